//! Replies on the wire of the world: owned, so that they can travel.

use std::fmt;

use vigia::engine::{Answer, Entry, Reply};

/// A reply under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Owned {
    /// `+text`.
    Status(String),
    /// `-text`.
    Error(String),
    /// `:n`.
    Integer(i64),
    /// `$text`.
    Bulk(String),
    /// Null.
    Nil,
    /// An array.
    Array(Vec<Self>),
}

impl Owned {
    /// `+OK`.
    pub fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    /// As the engine reads it.
    pub fn borrow(&self) -> Reply<'_> {
        match self {
            Self::Status(text) => Reply::Status(text),
            Self::Error(text) => Reply::Error(text),
            Self::Integer(n) => Reply::Integer(*n),
            Self::Bulk(text) => Reply::Bulk(text.as_bytes()),
            Self::Nil => Reply::Nil,
            Self::Array(items) => Reply::Array(items.iter().map(Self::borrow).collect()),
        }
    }
}

/// What the wire would carry for an answer, in RESP2.
impl From<&Answer> for Owned {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Ok => Self::ok(),
            Answer::Status(text) => Self::Status(text.clone()),
            Answer::Error(text) => Self::Error(text.clone()),
            Answer::Integer(n) => Self::Integer(*n),
            Answer::Entry(entry) => entry_reply(entry),
            Answer::Entries(entries) => Self::Array(entries.iter().map(entry_reply).collect()),
            Answer::Down { down, leader, epoch } => Self::Array(vec![
                Self::Integer(i64::from(*down)),
                Self::Bulk(leader.as_ref().map_or("*", |id| &id.0).to_owned()),
                Self::Integer(i64::try_from(epoch.0).unwrap_or(i64::MAX)),
            ]),
            Answer::Words(words) => Self::Array(words.iter().map(|word| Self::Bulk(word.clone())).collect()),
        }
    }
}

fn entry_reply(entry: &Entry) -> Owned {
    let mut items = Vec::with_capacity(entry.len() * 2);
    for (field, value) in entry {
        items.push(Owned::Bulk((*field).to_owned()));
        items.push(Owned::Bulk(value.to_string()));
    }
    Owned::Array(items)
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(n) => write!(f, ":{n}"),
            Self::Bulk(text) if text.starts_with("# Server") => write!(f, "$INFO {}", info_gist(text)),
            Self::Bulk(text) => write!(f, "${text}"),
            Self::Nil => f.write_str("nil"),
            Self::Array(items) => {
                f.write_str("[")?;
                for item in items {
                    write!(f, "{item} ")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// The lines of INFO that decide something.
fn info_gist(text: &str) -> String {
    const TOLD: [&str; 5] =
        ["role:", "master_host:", "master_link_status:", "slave_repl_offset:", "connected_slaves:"];
    let lines: Vec<&str> =
        text.lines().filter(|line| TOLD.iter().any(|told| line.starts_with(told))).collect();
    lines.join(" ")
}
