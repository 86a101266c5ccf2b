//! `user` lines: their words. What the rules mean is not known here.

use super::words::quote_if_needed;

/// One `user` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserLine {
    /// The user's name.
    pub name: String,
    /// The words behind it.
    pub rules: Vec<String>,
}

impl UserLine {
    /// The line for the rewritten file, each word quoted if it must be (stock quotes none, and cannot read
    /// some of its own files).
    pub(super) fn text(&self) -> String {
        let start = format!("user {}", quote_if_needed(&self.name));
        self.rules.iter().fold(start, |line, rule| line + " " + &quote_if_needed(rule))
    }
}
