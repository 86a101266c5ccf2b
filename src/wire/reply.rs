//! Bytes of a data node or of another sentinel -> replies.
//!
//! `redis-protocol` decodes complete frames well, but parses an incomplete one from the start again
//! and recurses as deep as it is told to. So a scanner of our own goes first: it remembers its
//! place, bounds depth, size and number of elements, and hands over one complete frame.
//!
//! Our links speak RESP2, but a server may be configured to start in RESP3 (spec 04, section 3), so
//! frames that have a RESP3 type go to the RESP3 decoder.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use redis_protocol::error::RedisProtocolError;
use redis_protocol::resp2::types::BytesFrame as Frame2;
use redis_protocol::resp3::types::BytesFrame as Frame3;
use redis_protocol::{resp2, resp3};

use super::words;
use crate::engine::Reply;

/// Most bytes of one reply. An INFO with everything has about 10 KiB.
pub const MAX_REPLY: usize = 16 << 20;
/// Most elements of one reply, those of nested arrays included: bounds what a frame costs beyond
/// its bytes. A `SENTINEL MASTER` has about 50.
pub const MAX_ELEMENTS: usize = 65_536;
/// Deepest nesting. The EXEC of a promotion has 1.
pub const MAX_DEPTH: usize = 32;

/// Why a link must be closed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// What came is not RESP.
    #[error("broken reply: {0}")]
    Broken(String),
    /// A reply is larger than [`MAX_REPLY`].
    #[error("reply of more than {MAX_REPLY} bytes")]
    TooBig,
    /// A reply has more elements than [`MAX_ELEMENTS`].
    #[error("reply of more than {MAX_ELEMENTS} elements")]
    TooMany,
    /// A reply is nested deeper than [`MAX_DEPTH`].
    #[error("reply nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// One complete reply, RESP2 or RESP3.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedReply {
    frame: Frame,
}

#[derive(Clone, Debug, PartialEq)]
enum Frame {
    Resp2(Frame2),
    Resp3(Frame3),
}

impl OwnedReply {
    /// The reply as the engine reads it: verbatim text is a bulk, a set or a push an array, a map a flat
    /// array, a boolean an integer. A floating point number, which nothing that we ask for contains, is nil.
    pub fn as_reply(&self) -> Reply<'_> {
        match &self.frame {
            Frame::Resp2(frame) => from_resp2(frame),
            Frame::Resp3(frame) => from_resp3(frame),
        }
    }

    /// Whether it is an out-of-band push, which answers no request. RESP3 only: on a RESP2
    /// subscription everything is an array.
    pub fn is_push(&self) -> bool {
        matches!(self.frame, Frame::Resp3(Frame3::Push { .. }))
    }

    /// Channel and payload, if it is a `message` (RESP2 array or RESP3 push).
    pub fn as_message(&self) -> Option<(&[u8], &[u8])> {
        let Reply::Array(items) = self.as_reply() else { return None };
        match items[..] {
            [Reply::Bulk(b"message"), Reply::Bulk(channel), Reply::Bulk(payload)] => Some((channel, payload)),
            _ => None,
        }
    }

    /// The channel, if it confirms a `subscribe` (RESP2 array or RESP3 push).
    pub fn subscription(&self) -> Option<&[u8]> {
        let Reply::Array(items) = self.as_reply() else { return None };
        match items[..] {
            [Reply::Bulk(b"subscribe"), Reply::Bulk(channel), Reply::Integer(_)] => Some(channel),
            _ => None,
        }
    }
}

/// Splits one link's input into replies.
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    scan: Scan,
    /// Bytes looked at, to show that the work is linear.
    #[cfg(test)]
    work: usize,
}

/// A header that the RESP3 decoder does not read as we want it.
///
/// It takes `$-1` for the start of a stream, and gives maps and sets in an order of chance, of two equal keys either
/// one; the engine must see the same reply in the same way every time.
#[derive(Debug)]
struct Rewrite {
    at: usize,
    length: usize,
    instead: Cow<'static, str>,
}

/// The place inside an incomplete reply.
#[derive(Debug, Default)]
struct Scan {
    /// Where the next header starts; beyond the input while a bulk is incomplete.
    next: usize,
    /// How much is known to hold no line end.
    scanned: usize,
    /// Whether the outermost element has been seen.
    started: bool,
    /// Elements still missing in each open aggregate, the outermost first.
    open: Vec<usize>,
    /// Elements announced so far.
    elements: usize,
    /// Whether a line end must stand just before `next`, which was reached by counting.
    counted: bool,
    /// Whether a type of RESP3 was seen.
    resp3: bool,
    /// What the RESP3 decoder is to read instead of some headers.
    rewrites: Vec<Rewrite>,
}

impl ReplyDecoder {
    /// A decoder for a new link.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next complete reply, taken off the front of `input`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The link must be closed: what follows cannot be read.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<OwnedReply>, DecodeError> {
        if !self.complete(input)? {
            return Ok(None);
        }
        let scan = std::mem::take(&mut self.scan);
        let bytes = input.split_to(scan.next).freeze();
        let frame = if scan.resp3 {
            let bytes = rewritten(bytes, &scan.rewrites);
            whole(resp3::decode::complete::decode_bytes(&bytes), bytes.len()).map(Frame::Resp3)
        } else {
            whole(resp2::decode::decode_bytes(&bytes), bytes.len()).map(Frame::Resp2)
        };
        frame.map(|frame| Some(OwnedReply { frame }))
    }

    /// Goes on until a reply is complete; then `scan.next` is its length.
    fn complete(&mut self, input: &[u8]) -> Result<bool, DecodeError> {
        loop {
            if self.scan.next > MAX_REPLY {
                return Err(DecodeError::TooBig);
            }
            if self.scan.next > input.len() {
                return Ok(false);
            }
            if self.scan.counted && !input[..self.scan.next].ends_with(b"\r\n") {
                return Err(broken("a bulk string without its end"));
            }
            self.scan.counted = false;
            if self.scan.started && self.scan.open.is_empty() {
                return Ok(true);
            }
            let Some(end) = self.find_line_end(input)? else { return Ok(false) };
            self.scan.element(&input[self.scan.next..end], end + 2)?;
        }
    }

    fn find_line_end(&mut self, input: &[u8]) -> Result<Option<usize>, DecodeError> {
        let from = self.scan.scanned.max(self.scan.next);
        let found = input[from..].windows(2).position(|pair| pair == b"\r\n");
        #[cfg(test)]
        {
            self.work += found.map_or(input.len() - from, |at| at + 2);
        }
        if found.is_none() {
            if input.len() > MAX_REPLY {
                return Err(DecodeError::TooBig);
            }
            // The last byte may be the CR of a line end that is cut in two.
            self.scan.scanned = from.max(input.len().saturating_sub(1));
        }
        Ok(found.map(|at| from + at))
    }
}

impl Scan {
    /// Takes in the header `line` of one element; `after` is where the line ends.
    fn element(&mut self, line: &[u8], after: usize) -> Result<(), DecodeError> {
        let Some((kind, rest)) = line.split_first() else { return Err(broken("an empty line")) };
        self.resp3 |= !matches!(kind, b'+' | b'-' | b':' | b'$' | b'*');
        self.next = after;
        match kind {
            b'+' | b'-' | b':' | b',' | b'(' | b'#' | b'_' => {
                self.arrived();
                self.close();
                Ok(())
            }
            b'$' | b'*' if rest == b"-1" => {
                self.rewrite(line, after, Cow::Borrowed("_\r\n"));
                self.arrived();
                self.close();
                Ok(())
            }
            b'$' | b'=' | b'!' => {
                self.next = after.saturating_add(length(rest)?).saturating_add(2);
                self.counted = true;
                self.arrived();
                self.close();
                Ok(())
            }
            b'*' | b'>' => {
                self.arrived();
                self.enter(length(rest)?)
            }
            b'~' | b'%' => {
                let count = length(rest)?.saturating_mul(if *kind == b'%' { 2 } else { 1 });
                self.rewrite(line, after, Cow::Owned(format!("*{count}\r\n")));
                self.arrived();
                self.enter(count)
            }
            // Attributes stand in front of an element and are none themselves.
            b'|' => self.enter(length(rest)?.saturating_mul(2)),
            _ => Err(broken("an unknown type")),
        }
    }

    /// The header `line` that ends at `after` is to be read as `instead`.
    fn rewrite(&mut self, line: &[u8], after: usize, instead: Cow<'static, str>) {
        let length = line.len() + 2;
        self.rewrites.push(Rewrite { at: after - length, length, instead });
    }

    /// An element of the innermost open aggregate, or the outermost element itself, is here.
    fn arrived(&mut self) {
        match self.open.last_mut() {
            Some(missing) => *missing -= 1,
            None => self.started = true,
        }
    }

    fn enter(&mut self, children: usize) -> Result<(), DecodeError> {
        self.elements = self.elements.saturating_add(children);
        if self.elements > MAX_ELEMENTS {
            return Err(DecodeError::TooMany);
        }
        // A full aggregate stays open while its last element is, so this counts nesting.
        if self.open.len() >= MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        self.open.push(children);
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
    }
}

fn broken(what: &str) -> DecodeError {
    DecodeError::Broken(what.to_owned())
}

fn length(digits: &[u8]) -> Result<usize, DecodeError> {
    let number = words::strict(digits).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| broken("a length that is none"))
}

/// A decoder's result, which must be one frame of exactly the length that was scanned.
fn whole<F>(
    decoded: Result<Option<(F, usize)>, RedisProtocolError>,
    scanned: usize,
) -> Result<F, DecodeError> {
    match decoded {
        Ok(Some((frame, used))) if used == scanned => Ok(frame),
        Ok(_) => Err(broken("lengths that do not fit")),
        Err(error) => Err(DecodeError::Broken(error.details().to_string())),
    }
}

fn rewritten(bytes: Bytes, rewrites: &[Rewrite]) -> Bytes {
    if rewrites.is_empty() {
        return bytes;
    }
    let grown: usize = rewrites.iter().map(|rewrite| rewrite.instead.len()).sum();
    let mut out = BytesMut::with_capacity(bytes.len() + grown);
    let mut from = 0;
    for rewrite in rewrites {
        out.extend_from_slice(&bytes[from..rewrite.at]);
        out.extend_from_slice(rewrite.instead.as_bytes());
        from = rewrite.at + rewrite.length;
    }
    out.extend_from_slice(&bytes[from..]);
    out.freeze()
}

fn from_resp2(frame: &Frame2) -> Reply<'_> {
    match frame {
        Frame2::SimpleString(bytes) => status(bytes),
        Frame2::Error(text) => Reply::Error(text),
        Frame2::Integer(number) => Reply::Integer(*number),
        Frame2::BulkString(bytes) => Reply::Bulk(bytes),
        Frame2::Array(items) => Reply::Array(items.iter().map(from_resp2).collect()),
        Frame2::Null => Reply::Nil,
    }
}

fn from_resp3(frame: &Frame3) -> Reply<'_> {
    match frame {
        Frame3::SimpleString { data, .. } => status(data),
        Frame3::SimpleError { data, .. } => Reply::Error(data),
        Frame3::BlobError { data, .. } => match std::str::from_utf8(data) {
            Ok(text) => Reply::Error(text),
            Err(_) => Reply::Error("ERR (not UTF-8)"),
        },
        Frame3::Number { data, .. } => Reply::Integer(*data),
        Frame3::Boolean { data, .. } => Reply::Integer(i64::from(*data)),
        Frame3::BlobString { data, .. }
        | Frame3::VerbatimString { data, .. }
        | Frame3::BigNumber { data, .. } => Reply::Bulk(data),
        Frame3::Array { data, .. } | Frame3::Push { data, .. } => {
            Reply::Array(data.iter().map(from_resp3).collect())
        }
        // The scanner lets neither sets nor maps nor streams through.
        Frame3::Null
        | Frame3::Double { .. }
        | Frame3::Set { .. }
        | Frame3::Map { .. }
        | Frame3::Hello { .. }
        | Frame3::ChunkedString(_) => Reply::Nil,
    }
}

fn status(bytes: &[u8]) -> Reply<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Reply::Status(text),
        Err(_) => Reply::Bulk(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Proto, Value};
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Vec<OwnedReply>, DecodeError> {
        by_chunks([bytes])
    }

    fn by_chunks<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Result<Vec<OwnedReply>, DecodeError> {
        let mut decoder = ReplyDecoder::new();
        let mut input = BytesMut::new();
        let mut replies = Vec::new();
        for chunk in chunks {
            input.extend_from_slice(chunk);
            while let Some(reply) = decoder.next(&mut input)? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    fn one(bytes: &str) -> OwnedReply {
        let mut replies = all(bytes.as_bytes()).unwrap();
        assert_eq!(replies.len(), 1, "{bytes:?}");
        replies.remove(0)
    }

    #[test]
    fn both_protocols_are_read() {
        use Reply::*;
        for (bytes, expected) in [
            ("+OK\r\n", Status("OK")),
            ("-ERR x\r\n", Error("ERR x")),
            (":-5\r\n", Integer(-5)),
            ("$2\r\n\r\n\r\n", Bulk(b"\r\n")),
            ("$0\r\n\r\n", Bulk(b"")),
            ("$-1\r\n", Nil),
            ("*-1\r\n", Nil),
            ("_\r\n", Nil),
            ("*0\r\n", Array(vec![])),
            ("*2\r\n*1\r\n:1\r\n$-1\r\n", Array(vec![Array(vec![Integer(1)]), Nil])),
            ("*3\r\n:1\r\n$1\r\n*\r\n:0\r\n", Array(vec![Integer(1), Bulk(b"*"), Integer(0)])),
            ("=7\r\ntxt:abc\r\n", Bulk(b"abc")),
            ("!5\r\nERR x\r\n", Error("ERR x")),
            ("#t\r\n", Integer(1)),
            ("(123456789012345678901\r\n", Bulk(b"123456789012345678901")),
            (",1.5\r\n", Nil),
            ("~3\r\n:2\r\n+b\r\n:1\r\n", Array(vec![Integer(2), Status("b"), Integer(1)])),
            ("%2\r\n+a\r\n:0\r\n+a\r\n:1\r\n", Array(vec![Status("a"), Integer(0), Status("a"), Integer(1)])),
            ("%2\r\n+b\r\n:2\r\n$1\r\na\r\n*-1\r\n", Array(vec![Status("b"), Integer(2), Bulk(b"a"), Nil])),
            ("|1\r\n+ttl\r\n:3600\r\n:7\r\n", Integer(7)),
            ("*1\r\n|1\r\n+ttl\r\n:3600\r\n:7\r\n", Array(vec![Integer(7)])),
        ] {
            assert_eq!(one(bytes).as_reply(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn published_messages_are_told_apart() {
        for bytes in
            ["*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n", ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n"]
        {
            let reply = one(bytes);
            assert_eq!(reply.as_message(), Some((&b"c"[..], &b"p"[..])));
            assert_eq!(reply.subscription(), None);
            assert_eq!(reply.is_push(), bytes.starts_with('>'));
        }
        let confirmed = one(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        assert_eq!(confirmed.subscription(), Some(&b"c"[..]));
        assert_eq!(confirmed.as_message(), None);
        assert_eq!(one("+OK\r\n").as_message(), None);
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in
            ["\r\n", "hello\r\n", "*x\r\n", "*-2\r\n", "$1\r\nabc\r\n", ":x\r\n", "$?\r\n", "*+1\r\n"]
        {
            assert!(matches!(all(bytes.as_bytes()), Err(DecodeError::Broken(_))), "{bytes:?}");
        }
    }

    #[test]
    fn size_depth_and_count_are_bounded() {
        assert!(all("*1\r\n".repeat(MAX_DEPTH - 1).as_bytes()).unwrap().is_empty());
        let deep = format!("{}:1\r\n", "*1\r\n".repeat(MAX_DEPTH));
        assert_eq!(all(deep.as_bytes()).unwrap().len(), 1);
        assert_eq!(all("*1\r\n".repeat(20_000).as_bytes()), Err(DecodeError::TooDeep));
        assert_eq!(all("*2147483647\r\n".as_bytes()), Err(DecodeError::TooMany));
        assert_eq!(all("*1\r\n%9223372036854775807\r\n".as_bytes()), Err(DecodeError::TooMany));
        assert_eq!(all(format!("${MAX_REPLY}\r\n").as_bytes()), Err(DecodeError::TooBig));
        assert_eq!(all("$9223372036854775807\r\n".as_bytes()), Err(DecodeError::TooBig));
        assert_eq!(all(&vec![b'+'; MAX_REPLY + 1]), Err(DecodeError::TooBig));
    }

    #[test]
    fn slow_senders_cost_no_more_than_fast_ones() {
        let nested =
            format!("*3\r\n$5000\r\n{}\r\n:1\r\n*1000\r\n{}", "x".repeat(5_000), ":1\r\n".repeat(1_000));
        let line = format!("+{}\r\n", "y".repeat(20_000));
        for bytes in [nested, line] {
            let mut decoder = ReplyDecoder::new();
            let mut input = BytesMut::new();
            let mut replies = 0;
            for byte in bytes.as_bytes() {
                input.extend_from_slice(&[*byte]);
                replies += usize::from(decoder.next(&mut input).unwrap().is_some());
            }
            assert_eq!(replies, 1);
            assert!(decoder.work <= 4 * bytes.len(), "{} steps for {} bytes", decoder.work, bytes.len());
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            "[ -~]{0,12}".prop_map(Value::status),
            "[ -~]{0,12}".prop_map(Value::error),
            any::<i64>().prop_map(Value::Integer),
            prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::bulk),
            Just(Value::NullBulk),
            Just(Value::NullArray),
            any::<bool>().prop_map(Value::Boolean),
            "[ -~]{0,12}".prop_map(Value::verbatim),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let items = prop::collection::vec(inner, 0..5);
            prop_oneof![items.clone().prop_map(Value::Array), items.prop_map(Value::Push)]
        })
    }

    /// What the other side should read.
    fn expected(value: &Value) -> Reply<'_> {
        match value {
            Value::Status(text) => Reply::Status(std::str::from_utf8(text).unwrap()),
            Value::Error(text) => Reply::Error(std::str::from_utf8(text).unwrap()),
            Value::Integer(number) => Reply::Integer(*number),
            Value::Bulk(bytes) | Value::Verbatim { text: bytes, .. } => Reply::Bulk(bytes),
            Value::NullBulk | Value::NullArray => Reply::Nil,
            Value::Boolean(truth) => Reply::Integer(i64::from(*truth)),
            Value::Double(_) => unreachable!("the strategy makes none"),
            Value::Array(items) | Value::Set(items) | Value::Push(items) => {
                Reply::Array(items.iter().map(expected).collect())
            }
            Value::Map(pairs) => {
                Reply::Array(pairs.iter().flat_map(|(key, value)| [expected(key), expected(value)]).collect())
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(value(), 1..4), resp3: bool) {
            let mut out = BytesMut::new();
            for value in &values {
                value.encode(if resp3 { Proto::Resp3 } else { Proto::Resp2 }, &mut out);
            }
            let replies = all(&out).unwrap();
            let read: Vec<_> = replies.iter().map(OwnedReply::as_reply).collect();
            prop_assert_eq!(read, values.iter().map(expected).collect::<Vec<_>>());
        }

        #[test]
        fn chunks_do_not_matter(
            pieces in prop::collection::vec("[-+:$*_#%~>|=!,(]([0-9]{1,2}|-1|[a-z]{0,3})\r\n|[a-z]{0,3}\r\n", 0..12),
            size in 1_usize..5,
        ) {
            let bytes = pieces.concat().into_bytes();
            prop_assert_eq!(by_chunks(bytes.chunks(size)), all(&bytes));
        }

        #[test]
        fn any_bytes_are_fine(bytes: Vec<u8>) {
            let _ = all(&bytes);
        }
    }
}
