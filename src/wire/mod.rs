//! RESP bytes <-> typed commands and replies. Pure: no sockets, tasks or clocks.
//!
//! - From clients: [`request`] splits bytes into words, [`command`] makes typed commands of them.
//! - To clients: [`answer`], [`catalog`] and [`help`] make a [`value::Value`], which writes itself.
//! - To data nodes and other sentinels: [`outgoing`]; what they answer: [`reply`].

pub mod answer;
pub mod catalog;
pub mod command;
pub mod help;
mod inline;
pub mod outgoing;
pub mod reply;
pub mod request;
pub mod value;
mod words;

pub use command::{ClientCommand, CommandError, Parsed, SentinelCommand};
pub use inline::split as split_words;
pub use reply::{OwnedReply, ReplyDecoder};
pub use request::{Limits, ProtocolError, RequestParser};
pub use value::{Proto, Value};
