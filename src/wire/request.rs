//! Bytes of a client -> the words of one request.
//!
//! Arrays of bulk strings, or inline lines. What is complete is taken off the input at once and the
//! place inside an incomplete line is remembered, so every byte is looked at once, however slowly it
//! comes. Nothing is reserved for what is merely announced.
//!
//! Source: spec 02, section 1; checked byte by byte against redis-sentinel 7.0.15.
//! Differs: the result never depends on how the bytes were cut into reads. (In stock an over-long
//! line passes if its end comes with the same read, and a NUL hides the end of an inline line.)

use bytes::{Buf, Bytes, BytesMut};

use super::inline;
use super::value::Value;
use super::words;

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// `proto-max-bulk-len`: bytes of one word, default 512 MiB.
    pub max_bulk_len: usize,
    /// `client-query-buffer-limit`: bytes of one request held in memory, default 1 GiB.
    pub max_query_buffer: usize,
    /// Bytes of an inline request or of a header line, default 64 KiB.
    pub max_inline: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bulk_len: 512 << 20, max_query_buffer: 1 << 30, max_inline: 64 << 10 }
    }
}

/// Words in a request of a client that is not authenticated.
const UNAUTHENTICATED_WORDS: i64 = 10;
/// Bytes of one such word.
const UNAUTHENTICATED_BULK: i64 = 16_384;
/// Words for which room is made at once; more are added as they come.
const WORDS_AT_ONCE: usize = 16;
/// What a word costs besides its bytes.
const WORD_OVERHEAD: usize = size_of::<Bytes>();

/// Why a connection must be closed. `Display` is what follows `-ERR ` in the last reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProtocolError {
    /// The number after `*` is none, or too large.
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// The number after `$` is none, negative, or too large.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// Something else than a bulk string in an array.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    ExpectedBulk(u8),
    /// An inline request with a quote that does not end, or ends inside a word.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// An inline request without an end.
    #[error("Protocol error: too big inline request")]
    TooBigInline,
    /// A `*` line without an end.
    #[error("Protocol error: too big mbulk count string")]
    TooBigMultibulkCount,
    /// A `$` line without an end.
    #[error("Protocol error: too big bulk count string")]
    TooBigBulkCount,
    /// Too many words before authentication.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// Too long a word before authentication.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// One request beyond `client-query-buffer-limit`: close without a reply.
    #[error("the request exceeds the query buffer limit")]
    QueryBufferLimit,
    /// The first word is `POST` or `Host:`: a browser is being abused. Close without a reply.
    #[error("Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands")]
    CrossProtocol,
}

impl ProtocolError {
    /// The last reply of the connection; `None` to close without one.
    pub fn reply(&self) -> Option<Value> {
        match self {
            Self::QueryBufferLimit | Self::CrossProtocol => None,
            Self::ExpectedBulk(byte) => {
                let text: &[&[u8]] = &[b"ERR Protocol error: expected '$', got '", &[*byte], b"'"];
                Some(Value::error(text.concat()))
            }
            Self::InvalidMultibulkLength
            | Self::InvalidBulkLength
            | Self::UnbalancedQuotes
            | Self::TooBigInline
            | Self::TooBigMultibulkCount
            | Self::TooBigBulkCount
            | Self::UnauthenticatedMultibulkLength
            | Self::UnauthenticatedBulkLength => Some(Value::error(format!("ERR {self}"))),
        }
    }
}

/// Splits one connection's input into requests.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    state: State,
    /// How much of the front of the input is known to hold no line end.
    scanned: usize,
    /// Bytes looked at, to show that the work is linear.
    #[cfg(test)]
    work: usize,
}

/// What the front of the input is.
#[derive(Debug)]
enum State {
    /// The start of a request.
    Start,
    /// Inside an array.
    Array(Partial),
}

/// A request of which some words are there.
#[derive(Debug)]
struct Partial {
    argv: Vec<Bytes>,
    /// Words that are missing, at least one.
    missing: usize,
    /// Length of the next word, if its header has been read.
    length: Option<usize>,
    /// Memory that the words take, the next one included.
    held: usize,
}

impl RequestParser {
    /// A parser for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
            scanned: 0,
            #[cfg(test)]
            work: 0,
        }
    }

    /// The next complete request, taken off the front of `input`; `None` when more bytes are needed.
    ///
    /// Requests have at least one word; empty ones are skipped. The words share memory with
    /// `input`: copy what outlives the request. `authenticated` lifts the tight limits for
    /// strangers. Call again until `None`, since one read may bring several requests.
    ///
    /// # Errors
    /// Send [`ProtocolError::reply`], if any, and close the connection.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        authenticated: bool,
    ) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            let argv = match &self.state {
                State::Array(_) => self.words(input, authenticated)?,
                State::Start => match input.first() {
                    None => return Ok(None),
                    Some(b'*') => match self.begin(input, authenticated)? {
                        true => continue,
                        false => return Ok(None),
                    },
                    Some(_) => self.inline(input)?,
                },
            };
            match argv {
                None => return Ok(None),
                Some(argv) => match argv.first() {
                    None => {}
                    Some(name) if is_http(name) => return Err(ProtocolError::CrossProtocol),
                    Some(_) => return Ok(Some(argv)),
                },
            }
        }
    }

    /// Reads the header of an array; whether it was complete.
    fn begin(&mut self, input: &mut BytesMut, authenticated: bool) -> Result<bool, ProtocolError> {
        let Some(line) = self.header(input, ProtocolError::TooBigMultibulkCount)? else {
            return Ok(false);
        };
        let count = words::strict(&line[1..]).ok_or(ProtocolError::InvalidMultibulkLength)?;
        if count > i64::from(i32::MAX) {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        if count > UNAUTHENTICATED_WORDS && !authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        if let Ok(missing @ 1..) = usize::try_from(count) {
            let argv = Vec::with_capacity(missing.min(WORDS_AT_ONCE));
            self.state = State::Array(Partial { argv, missing, length: None, held: 0 });
        }
        Ok(true)
    }

    /// Takes words until the array is complete.
    fn words(
        &mut self,
        input: &mut BytesMut,
        authenticated: bool,
    ) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            let State::Array(partial) = &mut self.state else { return Ok(None) };
            let Some(length) = partial.length else {
                if !self.word_header(input, authenticated)? {
                    return Ok(None);
                }
                continue;
            };
            // Stock does not look at the two bytes after a word either.
            if input.len() < length + 2 {
                return Ok(None);
            }
            partial.argv.push(input.split_to(length).freeze());
            input.advance(2);
            partial.length = None;
            partial.missing -= 1;
            if partial.missing == 0 {
                let argv = std::mem::take(&mut partial.argv);
                self.state = State::Start;
                return Ok(Some(argv));
            }
        }
    }

    /// Reads the header of a word; whether it was complete.
    fn word_header(&mut self, input: &mut BytesMut, authenticated: bool) -> Result<bool, ProtocolError> {
        let Some(line) = self.header(input, ProtocolError::TooBigBulkCount)? else {
            return Ok(false);
        };
        match line.first() {
            Some(b'$') => {}
            // The line end itself, which a reply shows as a blank.
            None => return Err(ProtocolError::ExpectedBulk(b' ')),
            Some(other) => return Err(ProtocolError::ExpectedBulk(*other)),
        }
        let number = words::strict(&line[1..]).ok_or(ProtocolError::InvalidBulkLength)?;
        let length = usize::try_from(number).map_err(|_| ProtocolError::InvalidBulkLength)?;
        if length > self.limits.max_bulk_len {
            return Err(ProtocolError::InvalidBulkLength);
        }
        if number > UNAUTHENTICATED_BULK && !authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        if let State::Array(partial) = &mut self.state {
            partial.held = partial.held.saturating_add(length).saturating_add(WORD_OVERHEAD);
            if partial.held > self.limits.max_query_buffer {
                return Err(ProtocolError::QueryBufferLimit);
            }
            partial.length = Some(length);
        }
        Ok(true)
    }

    /// Takes a header line off the input: up to a CR and one more byte, whatever it is (as stock).
    fn header(
        &mut self,
        input: &mut BytesMut,
        too_big: ProtocolError,
    ) -> Result<Option<BytesMut>, ProtocolError> {
        let Some(end) = self.find(input, b'\r', too_big)? else { return Ok(None) };
        if end + 1 >= input.len() {
            self.scanned = end;
            return Ok(None);
        }
        let line = input.split_to(end);
        input.advance(2);
        Ok(Some(line))
    }

    fn inline(&mut self, input: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        let Some(end) = self.find(input, b'\n', ProtocolError::TooBigInline)? else { return Ok(None) };
        let line = input.split_to(end);
        input.advance(1);
        let text = line.strip_suffix(b"\r").unwrap_or(&line);
        inline::split(text).map(Some).ok_or(ProtocolError::UnbalancedQuotes)
    }

    /// Where the first `wanted` byte is, within the limit of a line.
    fn find(
        &mut self,
        input: &BytesMut,
        wanted: u8,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let limit = self.limits.max_inline;
        let window = &input[self.scanned.min(input.len())..input.len().min(limit.saturating_add(1))];
        let found = window.iter().position(|byte| *byte == wanted);
        #[cfg(test)]
        {
            self.work += found.map_or(window.len(), |at| at + 1);
        }
        match found {
            Some(at) => {
                let end = self.scanned + at;
                self.scanned = 0;
                Ok(Some(end))
            }
            None if input.len() > limit => Err(too_big),
            None => {
                self.scanned = input.len();
                Ok(None)
            }
        }
    }
}

fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Outcome = (Vec<Vec<Bytes>>, Option<ProtocolError>);

    fn feed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, authenticated: bool) -> Outcome {
        let mut parser = RequestParser::new(Limits::default());
        let mut input = BytesMut::new();
        let mut requests = Vec::new();
        for chunk in chunks {
            input.extend_from_slice(chunk);
            loop {
                match parser.next(&mut input, authenticated) {
                    Ok(Some(argv)) => requests.push(argv),
                    Ok(None) => break,
                    Err(error) => return (requests, Some(error)),
                }
            }
        }
        (requests, None)
    }

    fn whole(bytes: &[u8]) -> Outcome {
        feed([bytes], true)
    }

    fn request(words: &[&str]) -> Vec<Bytes> {
        words.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
    }

    #[test]
    fn requests_are_read_as_stock_reads_them() {
        let ping = || request(&["PING"]);
        for (bytes, expected) in [
            ("PING\r\n", vec![ping()]),
            ("PING\n", vec![ping()]),
            ("\r\n\nPING\r\n  \r\n PING\r\n", vec![ping(), ping()]),
            ("\"PING\" 'a b'\r\n", vec![request(&["PING", "a b"])]),
            ("PING \"\\x41\\n\\\"z\"\r\n", vec![request(&["PING", "A\n\"z"])]),
            ("GET / HTTP/1.1\r\n", vec![request(&["GET", "/", "HTTP/1.1"])]),
            ("\"\" x\r\n", vec![request(&["", "x"])]),
            ("*1\r\n$4\r\nPING\r\n", vec![ping()]),
            ("*0\r\n*-1\r\n*-5\r\nPING\r\n", vec![ping()]),
            ("*1\rX$4\rXPING\r\n", vec![ping()]),
            ("*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", vec![ping(), ping()]),
            ("*2\r\n$4\r\nPING\r\n$0\r\n\r\n", vec![request(&["PING", ""])]),
            ("*2\r\n$4\r\nPING\r\n$4\r\n\r\n*1\r\n", vec![request(&["PING", "\r\n*1"])]),
            ("*1\n$4\nPING\n", vec![]),
            ("*2147483647\r\n", vec![]),
            ("*1\r\n$536870912\r\n", vec![]),
            ("*1\r\n:4\r", vec![]),
        ] {
            assert_eq!(whole(bytes.as_bytes()), (expected, None), "{bytes:?}");
        }
    }

    #[test]
    fn errors_are_stocks() {
        let long = |prefix: &str, filler: &str| format!("{prefix}{}", filler.repeat(70_000));
        for (bytes, expected) in [
            ("*abc\r\n".to_owned(), "Protocol error: invalid multibulk length"),
            ("*\r\n".to_owned(), "Protocol error: invalid multibulk length"),
            ("*01\r\n".to_owned(), "Protocol error: invalid multibulk length"),
            ("*+1\r\n".to_owned(), "Protocol error: invalid multibulk length"),
            ("*2147483648\r\n".to_owned(), "Protocol error: invalid multibulk length"),
            ("*1\n$4\r\nPING\r\n".to_owned(), "Protocol error: invalid multibulk length"),
            ("*1\r\n$-1\r\n".to_owned(), "Protocol error: invalid bulk length"),
            ("*1\r\n$04\r\n".to_owned(), "Protocol error: invalid bulk length"),
            ("*1\r\n$536870913\r\n".to_owned(), "Protocol error: invalid bulk length"),
            ("*1\r\n$9999999999999999999\r\n".to_owned(), "Protocol error: invalid bulk length"),
            ("*1\r\n:4\r\n".to_owned(), "Protocol error: expected '$', got ':'"),
            ("*1\r\n\r\n".to_owned(), "Protocol error: expected '$', got ' '"),
            ("PING \"abc\r\n".to_owned(), "Protocol error: unbalanced quotes in request"),
            ("\"PING\"x\r\n".to_owned(), "Protocol error: unbalanced quotes in request"),
            (long("", "a"), "Protocol error: too big inline request"),
            (long("*", "1"), "Protocol error: too big mbulk count string"),
            (long("*1\r\n$", "1"), "Protocol error: too big bulk count string"),
        ] {
            let error = whole(bytes.as_bytes()).1.unwrap();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.reply(), Some(Value::error(format!("ERR {expected}"))));
        }
        for bytes in ["POST / x\r\n", "host: x\r\n", "*1\r\n$4\r\nPOST\r\n"] {
            let error = whole(bytes.as_bytes()).1.unwrap();
            assert_eq!((error, error.reply()), (ProtocolError::CrossProtocol, None));
        }
        let binary = whole(b"*1\r\n\xff\r\n").1.unwrap();
        assert_eq!(binary.reply(), Some(Value::error(&b"ERR Protocol error: expected '$', got '\xff'"[..])));
    }

    #[test]
    fn strangers_get_less() {
        for (bytes, expected) in [
            ("*11\r\n", Some(ProtocolError::UnauthenticatedMultibulkLength)),
            ("*10\r\n", None),
            ("*1\r\n$16385\r\n", Some(ProtocolError::UnauthenticatedBulkLength)),
            ("*1\r\n$16384\r\n", None),
            ("PING 1 2 3 4 5 6 7 8 9 10 11 12\r\n", None),
        ] {
            assert_eq!(feed([bytes.as_bytes()], false).1, expected, "{bytes}");
            assert_eq!(whole(bytes.as_bytes()).1, None, "{bytes}");
        }
    }

    #[test]
    fn a_line_may_have_64_kib_however_it_comes() {
        let limit = Limits::default().max_inline;
        let fits = format!("{}\n", "a".repeat(limit));
        let over = format!("{}\n", "a".repeat(limit + 1));
        assert_eq!(whole(fits.as_bytes()).0.len(), 1);
        assert_eq!(whole(&over.as_bytes()[..limit]).1, None);
        assert_eq!(whole(&over.as_bytes()[..limit + 1]).1, Some(ProtocolError::TooBigInline));
        assert_eq!(whole(over.as_bytes()).1, Some(ProtocolError::TooBigInline));
    }

    #[test]
    fn one_request_may_not_hold_more_than_the_query_buffer() {
        let limits = Limits { max_query_buffer: 1_000, ..Limits::default() };
        let mut parser = RequestParser::new(limits);
        let mut input = BytesMut::from("*3\r\n$400\r\n");
        input.extend_from_slice(&[b'x'; 402]);
        input.extend_from_slice(b"$600\r\n");
        assert_eq!(parser.next(&mut input, true), Err(ProtocolError::QueryBufferLimit));

        let mut parser = RequestParser::new(limits);
        let mut many = BytesMut::from("*1000000\r\n");
        many.extend_from_slice(&b"$0\r\n\r\n".repeat(1_000));
        assert_eq!(parser.next(&mut many, true), Err(ProtocolError::QueryBufferLimit));
    }

    #[test]
    fn announcements_reserve_nothing() {
        let mut parser = RequestParser::new(Limits::default());
        let mut input = BytesMut::from("*2147483647\r\n$536870912\r\n");
        assert_eq!(parser.next(&mut input, true), Ok(None));
        assert!(input.capacity() < 1_000);
        match &parser.state {
            State::Array(partial) => assert!(partial.argv.capacity() <= WORDS_AT_ONCE),
            State::Start => panic!("an array is open"),
        }
    }

    #[test]
    fn slow_senders_cost_no_more_than_fast_ones() {
        let bulk = [b"*2\r\n$4\r\nPING\r\n$50000\r\n".as_slice(), &[b'x'; 50_000], b"\r\n"].concat();
        let line = [&[b'y'; 60_000], b"\r\n".as_slice()].concat();
        for bytes in [bulk, line] {
            let mut parser = RequestParser::new(Limits::default());
            let mut input = BytesMut::new();
            let mut requests = 0;
            for byte in &bytes {
                input.extend_from_slice(&[*byte]);
                requests += usize::from(parser.next(&mut input, true).unwrap().is_some());
            }
            assert_eq!(requests, 1);
            assert!(parser.work <= 2 * bytes.len(), "{} steps for {} bytes", parser.work, bytes.len());
        }
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..4).prop_map(|words| {
                let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
                for word in words {
                    bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                    bytes.extend_from_slice(&word);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes
            }),
            "[a-zA-Z0-9 \t\"'\\\\$*:-]{0,20}(\r\n|\n)".prop_map(String::into_bytes),
            "[*$][0-9-]{0,3}\r\n".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..8),
        ]
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            pieces in prop::collection::vec(piece(), 0..8),
            cuts in prop::collection::vec(1_usize..7, 1..6),
            authenticated: bool,
        ) {
            let bytes = pieces.concat();
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            for size in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, tail) = rest.split_at((*size).min(rest.len()));
                chunks.push(chunk);
                rest = tail;
            }
            prop_assert_eq!(feed(chunks, authenticated), feed([bytes.as_slice()], authenticated));
        }

        #[test]
        fn arrays_come_back_as_they_were_written(
            argv in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..10),
        ) {
            let mut out = BytesMut::new();
            Value::words(argv.clone()).encode(crate::wire::Proto::Resp2, &mut out);
            let expected: Vec<Bytes> = argv.into_iter().map(Bytes::from).collect();
            prop_assume!(!is_http(&expected[0]));
            prop_assert_eq!(whole(&out), (vec![expected], None));
        }
    }
}
