//! Replies to clients, and how they are written in RESP2 and RESP3.
//!
//! The encoder is our own: `redis-protocol` keeps maps in a hash map, which loses the order of
//! fields that clients rely on, and its RESP2 knows no null array.

use bytes::{BufMut, Bytes, BytesMut};

/// Protocol version of a connection; `HELLO` changes it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Proto {
    /// The default.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Proto {
    /// The number in `HELLO` and `CLIENT LIST`.
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+OK`.
    Status(Bytes),
    /// `-ERR ...`; without the dash.
    Error(Bytes),
    /// `:1`.
    Integer(i64),
    /// `$5 hello`.
    Bulk(Bytes),
    /// `$-1`; `_` in RESP3.
    NullBulk,
    /// `*-1`; `_` in RESP3.
    NullArray,
    /// `*n`.
    Array(Vec<Value>),
    /// `%n`; a flat array in RESP2.
    Map(Vec<(Value, Value)>),
    /// `~n`; an array in RESP2.
    Set(Vec<Value>),
    /// `>n`; an array in RESP2.
    Push(Vec<Value>),
    /// `=`; a bulk in RESP2.
    Verbatim {
        /// Exactly three characters, such as `txt`.
        format: [u8; 3],
        /// The text.
        text: Bytes,
    },
    /// `#t`; an integer in RESP2.
    Boolean(bool),
    /// `,1.5`; a bulk in RESP2.
    Double(f64),
}

impl Value {
    /// `+OK`.
    pub fn ok() -> Self {
        Self::status("OK")
    }

    /// A simple string.
    pub fn status(text: impl Into<Bytes>) -> Self {
        Self::Status(text.into())
    }

    /// An error with its prefix (`ERR ...`), without the dash.
    pub fn error(text: impl Into<Bytes>) -> Self {
        Self::Error(text.into())
    }

    /// A bulk string that owns its bytes or has them for ever.
    pub fn bulk(text: impl Into<Bytes>) -> Self {
        Self::Bulk(text.into())
    }

    /// A bulk string copied from `text`.
    pub fn text(text: &str) -> Self {
        Self::Bulk(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// A bulk string, or a null bulk.
    pub fn optional(text: Option<Bytes>) -> Self {
        text.map_or(Self::NullBulk, Self::Bulk)
    }

    /// Verbatim text (`txt:`): what `CLIENT LIST` answers in RESP3.
    pub fn verbatim(text: impl Into<Bytes>) -> Self {
        Self::Verbatim { format: *b"txt", text: text.into() }
    }

    /// An array of bulk strings.
    pub fn words<T: Into<Bytes>>(words: impl IntoIterator<Item = T>) -> Self {
        Self::Array(words.into_iter().map(Self::bulk).collect())
    }

    /// A map with constant keys.
    pub fn map(pairs: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (Self::bulk(key), value)).collect())
    }

    /// Appends the reply to `out`.
    ///
    /// Line breaks inside a status or an error are written as blanks.
    pub fn encode(&self, proto: Proto, out: &mut BytesMut) {
        let resp3 = proto == Proto::Resp3;
        match self {
            Self::Status(text) => put_line(out, b'+', text),
            Self::Error(text) => put_line(out, b'-', text),
            Self::Integer(number) => put_number(out, b':', *number),
            Self::Bulk(bytes) => put_bulk(out, bytes),
            Self::NullBulk if !resp3 => out.put_slice(b"$-1\r\n"),
            Self::NullArray if !resp3 => out.put_slice(b"*-1\r\n"),
            Self::NullBulk | Self::NullArray => out.put_slice(b"_\r\n"),
            Self::Array(items) => put_all(out, b'*', items, proto),
            Self::Set(items) => put_all(out, if resp3 { b'~' } else { b'*' }, items, proto),
            Self::Push(items) => put_all(out, if resp3 { b'>' } else { b'*' }, items, proto),
            Self::Map(pairs) => {
                let (kind, length) = if resp3 { (b'%', pairs.len()) } else { (b'*', pairs.len() * 2) };
                put_length(out, kind, length);
                for (key, value) in pairs {
                    key.encode(proto, out);
                    value.encode(proto, out);
                }
            }
            Self::Verbatim { format, text } if resp3 => {
                put_length(out, b'=', text.len() + 4);
                out.put_slice(format);
                out.put_u8(b':');
                out.put_slice(text);
                out.put_slice(b"\r\n");
            }
            Self::Verbatim { text, .. } => put_bulk(out, text),
            Self::Boolean(truth) if resp3 => out.put_slice(if *truth { b"#t\r\n" } else { b"#f\r\n" }),
            Self::Boolean(truth) => put_number(out, b':', i64::from(*truth)),
            Self::Double(number) if resp3 => put_line(out, b',', number.to_string().as_bytes()),
            Self::Double(number) => put_bulk(out, number.to_string().as_bytes()),
        }
    }
}

/// Writes one bulk string.
pub(super) fn put_bulk(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, b'$', bytes.len());
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

/// Writes the header of a bulk string or an aggregate.
pub(super) fn put_length(out: &mut BytesMut, kind: u8, length: usize) {
    put_number(out, kind, i64::try_from(length).unwrap_or(i64::MAX));
}

fn put_number(out: &mut BytesMut, kind: u8, number: i64) {
    out.put_u8(kind);
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[at..]);
    out.put_slice(b"\r\n");
}

fn put_line(out: &mut BytesMut, kind: u8, text: &[u8]) {
    out.reserve(text.len() + 3);
    out.put_u8(kind);
    out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    out.put_slice(b"\r\n");
}

fn put_all(out: &mut BytesMut, kind: u8, items: &[Value], proto: Proto) {
    put_length(out, kind, items.len());
    for item in items {
        item.encode(proto, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(value: &Value) -> (String, String) {
        let write = |proto| {
            let mut out = BytesMut::new();
            value.encode(proto, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        (write(Proto::Resp2), write(Proto::Resp3))
    }

    #[test]
    fn every_kind_is_written_as_stock_does() {
        let pair = || vec![Value::bulk("a"), Value::Integer(-10)];
        for (value, resp2, resp3) in [
            (Value::ok(), "+OK\r\n", "+OK\r\n"),
            (Value::status("a\r\nb"), "+a  b\r\n", "+a  b\r\n"),
            (Value::error("ERR a\nb"), "-ERR a b\r\n", "-ERR a b\r\n"),
            (Value::Integer(0), ":0\r\n", ":0\r\n"),
            (Value::Integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (Value::Integer(i64::MAX), ":9223372036854775807\r\n", ":9223372036854775807\r\n"),
            (Value::text(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Value::text("a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"),
            (Value::optional(None), "$-1\r\n", "_\r\n"),
            (Value::NullArray, "*-1\r\n", "_\r\n"),
            (Value::Array(vec![]), "*0\r\n", "*0\r\n"),
            (Value::Array(pair()), "*2\r\n$1\r\na\r\n:-10\r\n", "*2\r\n$1\r\na\r\n:-10\r\n"),
            (Value::Set(pair()), "*2\r\n$1\r\na\r\n:-10\r\n", "~2\r\n$1\r\na\r\n:-10\r\n"),
            (Value::Push(pair()), "*2\r\n$1\r\na\r\n:-10\r\n", ">2\r\n$1\r\na\r\n:-10\r\n"),
            (Value::map([("k", Value::NullBulk)]), "*2\r\n$1\r\nk\r\n$-1\r\n", "%1\r\n$1\r\nk\r\n_\r\n"),
            (Value::verbatim("id=1"), "$4\r\nid=1\r\n", "=8\r\ntxt:id=1\r\n"),
            (Value::Boolean(true), ":1\r\n", "#t\r\n"),
            (Value::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Value::Double(0.0), "$1\r\n0\r\n", ",0\r\n"),
            (Value::words(["x"]), "*1\r\n$1\r\nx\r\n", "*1\r\n$1\r\nx\r\n"),
        ] {
            assert_eq!(both(&value), (resp2.to_owned(), resp3.to_owned()));
        }
    }
}
