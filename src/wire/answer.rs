//! Answers of the engine as replies.

use std::sync::Arc;

use bytes::Bytes;

use super::value::Value;
use crate::engine::{Answer, Entry};

/// The reply to a client for an answer of the engine.
///
/// Source: spec 02, sections 3 to 7; client research, sections 3.7 and 3.8.
pub fn to_value(answer: &Answer) -> Value {
    match answer {
        Answer::Ok => Value::ok(),
        Answer::Status(text) => Value::status(text.clone()),
        Answer::Error(text) => Value::error(text.clone()),
        Answer::Integer(number) => Value::Integer(*number),
        Answer::Entry(fields) => entry(fields),
        Answer::Entries(entries) => Value::Array(entries.iter().map(entry).collect()),
        Answer::Down { down, leader, epoch } => Value::Array(vec![
            Value::Integer(i64::from(*down)),
            Value::text(leader.as_deref().unwrap_or("*")),
            Value::Integer(i64::try_from(epoch.0).unwrap_or(i64::MAX)),
        ]),
        Answer::Words(words) => Value::words(words.iter().cloned()),
    }
}

/// One instance entry: a map whose values are all bulk strings.
fn entry(fields: &Entry) -> Value {
    Value::map(fields.iter().map(|(key, value)| (*key, Value::Bulk(shared(value)))))
}

/// The bytes of a shared text, without a copy.
fn shared(text: &Arc<str>) -> Bytes {
    Bytes::from_owner(Text(Arc::clone(text)))
}

/// Lends a shared text to [`Bytes`].
struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
