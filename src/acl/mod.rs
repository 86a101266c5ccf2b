//! Who may do what: users, their rules, and what is kept of those who were denied.
//!
//! Pure: no sockets, files or clocks. [`User::apply`] reads one rule, [`User::words`] writes the whole
//! user as rules again, [`User::check`] says whether a command may run. [`mod@file`] is the format of ACL
//! files, [`log`] what `ACL LOG` shows. The commands are those of [`crate::wire`]'s table: a rule about a
//! command that a sentinel has not is an error, as in stock.
//!
//! Source: spec 02, section 12 (`ACL`); the public description of ACL rules; rules, texts and reductions
//! watched in redis-sentinel 7.0.15 and 8.2.3 (where they differ, the newer).

mod channels;
mod commands;
mod describe;
pub mod file;
pub mod log;
mod rule;
mod selector;
#[cfg(test)]
mod tests;
mod user;

pub use channels::{Channels, channels_of};
pub use commands::{CATEGORIES, categories};
pub use rule::{RuleError, SelectorsUnmatched, merge_selectors};
pub use selector::Selector;
pub use user::{Denied, NewUsers, User, is_name};

/// The user that a connection is before `AUTH`; it always exists.
pub const DEFAULT: &str = "default";
