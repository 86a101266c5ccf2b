//! Answers of the engine as replies.

use std::sync::Arc;

use bytes::Bytes;

use super::value::Value;
use crate::engine::{Answer, CachedInfo, Entry, MasterName, PendingScript};

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
        Answer::Scripts(scripts) => Value::Array(scripts.iter().map(script).collect()),
        Answer::InfoCache(masters) => Value::Array(masters.iter().flat_map(cached).collect()),
    }
}

/// One instance entry: a map whose values are all bulk strings.
fn entry(fields: &Entry) -> Value {
    Value::map(fields.iter().map(|(key, value)| (*key, Value::Bulk(shared(value)))))
}

/// The name of a master, and what is kept of its nodes.
fn cached((name, nodes): &(MasterName, Vec<CachedInfo>)) -> [Value; 2] {
    let node = |node: &CachedInfo| {
        let age = Value::Integer(i64::try_from(node.age_ms).unwrap_or(i64::MAX));
        let text = node.text.as_ref().map_or(Value::NullBulk, |text| Value::Bulk(shared(text)));
        Value::Array(vec![age, text])
    };
    [Value::text(name), Value::Array(nodes.iter().map(node).collect())]
}

/// One script: a map of five. Source: spec 03, section 5.
fn script(script: &PendingScript) -> Value {
    let (flags, time) = match script.running {
        Some(_) => ("running", "run-time"),
        None => ("scheduled", "run-delay"),
    };
    let argv = script.argv.iter().map(|word| Value::Bulk(shared(word))).collect();
    Value::map([
        ("argv", Value::Array(argv)),
        ("flags", Value::bulk(flags)),
        ("pid", Value::bulk(script.running.unwrap_or(0).to_string())),
        (time, Value::bulk(script.time_ms.to_string())),
        ("retry-num", Value::bulk(script.runs.to_string())),
    ])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Epoch, RunId};
    use crate::wire::Proto;
    use bytes::BytesMut;

    fn written(answer: &Answer, proto: Proto) -> String {
        let mut out = BytesMut::new();
        to_value(answer).encode(proto, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn answers_have_stocks_shapes() {
        let entry: Entry = vec![("name", "m".into()), ("port", "6379".into())];
        let fields = "$4\r\nname\r\n$1\r\nm\r\n$4\r\nport\r\n$4\r\n6379\r\n";
        let down = |down, leader: Option<&str>, epoch| Answer::Down {
            down,
            leader: leader.map(RunId::from),
            epoch: Epoch(epoch),
        };
        let same = |text: String| (text.clone(), text);
        for (answer, (resp2, resp3)) in [
            (Answer::Ok, same("+OK\r\n".into())),
            (Answer::Status("OK 1 usable".into()), same("+OK 1 usable\r\n".into())),
            (Answer::Error("INPROG x".into()), same("-INPROG x\r\n".into())),
            (Answer::Integer(3), same(":3\r\n".into())),
            (Answer::Entry(entry.clone()), (format!("*4\r\n{fields}"), format!("%2\r\n{fields}"))),
            (
                Answer::Entries(vec![entry]),
                (format!("*1\r\n*4\r\n{fields}"), format!("*1\r\n%2\r\n{fields}")),
            ),
            (Answer::Entries(vec![]), same("*0\r\n".into())),
            (down(false, None, 0), same("*3\r\n:0\r\n$1\r\n*\r\n:0\r\n".into())),
            (down(true, Some("ab"), 7), same("*3\r\n:1\r\n$2\r\nab\r\n:7\r\n".into())),
            (
                Answer::InfoCache(vec![(
                    MasterName::from("m"),
                    vec![
                        CachedInfo { age_ms: 7, text: Some("r".into()) },
                        CachedInfo { age_ms: 0, text: None },
                    ],
                )]),
                (
                    "*2\r\n$1\r\nm\r\n*2\r\n*2\r\n:7\r\n$1\r\nr\r\n*2\r\n:0\r\n$-1\r\n".into(),
                    "*2\r\n$1\r\nm\r\n*2\r\n*2\r\n:7\r\n$1\r\nr\r\n*2\r\n:0\r\n_\r\n".into(),
                ),
            ),
            (Answer::Words(vec!["a".into(), String::new()]), same("*2\r\n$1\r\na\r\n$0\r\n\r\n".into())),
        ] {
            assert_eq!(written(&answer, Proto::Resp2), resp2);
            assert_eq!(written(&answer, Proto::Resp3), resp3);
        }
    }
}
