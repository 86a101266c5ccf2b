//! A small blocking RESP client, so that the tests do not check Vigía with Vigía's own parser.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use openssl::ssl::{SslContext, SslStream};
use openssl::x509::X509;

use super::tls;

/// Time limit for connecting and for each read.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A decoded reply; RESP3 types keep their own shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(String),
    Verbatim(String),
    Null,
    Bool(bool),
    Double(String),
    Array(Vec<Value>),
    Push(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// Text of a simple, bulk, verbatim or error reply, and of an integer.
    pub fn text(&self) -> String {
        match self {
            Value::Simple(text) | Value::Error(text) | Value::Bulk(text) => text.clone(),
            Value::Verbatim(text) | Value::Double(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Null => "(nil)".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(_) | Value::Push(_) | Value::Map(_) => format!("{self:?}"),
        }
    }

    /// Elements of an array or push; empty for anything else.
    pub fn items(&self) -> &[Value] {
        if let Value::Array(items) | Value::Push(items) = self { items } else { &[] }
    }

    /// The value of `name` in a flat field list (RESP2) or a map (RESP3).
    pub fn field(&self, name: &str) -> Option<String> {
        let found = if let Value::Map(pairs) = self {
            pairs.iter().find(|(key, _)| key.text() == name).map(|(_, value)| value)
        } else {
            self.items().chunks(2).find(|pair| pair[0].text() == name).and_then(|pair| pair.get(1))
        };
        found.map(Value::text)
    }
}

/// One connection.
pub struct Client {
    stream: BufReader<Stream>,
}

/// What it is made of.
enum Stream {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

impl Client {
    /// Connects to `address` (`ip:port`), with TLS if that is spoken there.
    pub fn connect(address: &str) -> io::Result<Client> {
        match tls::context_for(address) {
            None => Ok(Client { stream: BufReader::new(Stream::Plain(open(address)?)) }),
            Some(context) => Client::connect_tls(address, &context),
        }
    }

    /// Connects with TLS.
    pub fn connect_tls(address: &str, context: &SslContext) -> io::Result<Client> {
        let stream = tls::connect(context, open(address)?)?;
        Ok(Client { stream: BufReader::new(Stream::Tls(stream)) })
    }

    /// The certificate that the other side showed.
    pub fn peer_certificate(&self) -> Option<X509> {
        match self.stream.get_ref() {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => stream.ssl().peer_certificate(),
        }
    }

    /// Changes how long a read may take.
    pub fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.stream.get_ref().socket().set_read_timeout(Some(timeout))
    }

    /// Number of bytes that can be read without waiting; waits for the first one.
    pub fn peek(&mut self) -> io::Result<usize> {
        Ok(self.stream.fill_buf()?.len())
    }

    /// Sends one command and reads its reply.
    pub fn command(&mut self, words: &[&str]) -> io::Result<Value> {
        self.send(&encode(words))?;
        self.read()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one reply or push.
    pub fn read(&mut self) -> io::Result<Value> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| io::Error::other("empty line"))?;
        let count = || rest.parse::<i64>().map_err(io::Error::other);
        Ok(match kind {
            "+" => Value::Simple(rest.to_owned()),
            "-" => Value::Error(rest.to_owned()),
            ":" => Value::Int(count()?),
            "," => Value::Double(rest.to_owned()),
            "#" => Value::Bool(rest == "t"),
            "_" => Value::Null,
            "$" | "*" if rest == "-1" => Value::Null,
            "$" => Value::Bulk(self.bulk(count()?)?),
            "=" => Value::Verbatim(self.bulk(count()?)?),
            "*" | "~" => Value::Array(self.many(count()?)?),
            ">" => Value::Push(self.many(count()?)?),
            "%" => {
                let flat = self.many(count()? * 2)?;
                Value::Map(flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
            }
            _ => return Err(io::Error::other(format!("not RESP: {line:?}"))),
        })
    }

    /// Reads exactly `length` bytes, or what came before the end of the stream.
    pub fn read_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.stream).take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads until the other side closes.
    pub fn read_to_close(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(bytes),
                Ok(length) => bytes.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(bytes),
                Err(error) => return Err(error),
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| io::Error::other("line without CRLF"))?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    fn bulk(&mut self, length: i64) -> io::Result<String> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        assert_eq!(&bytes[length..], b"\r\n", "a bulk ends with CRLF");
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    fn many(&mut self, count: i64) -> io::Result<Vec<Value>> {
        (0..count).map(|_| self.read()).collect()
    }
}

fn open(address: &str) -> io::Result<TcpStream> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A command as an array of bulk strings.
pub fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// One command on a connection of its own.
pub fn ask(address: &str, words: &[&str]) -> io::Result<Value> {
    Client::connect(address)?.command(words)
}
