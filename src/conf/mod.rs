//! `sentinel.conf`: text to settings and durable state, and back.
//!
//! Pure: files come in through [`Sources`], text goes out as bytes. [`load`] reads a configuration of
//! either stock implementation as it is; [`rewrite()`] writes the state back into the operator's own
//! text as stock does; [`state_file`] is what stock's directives cannot hold. One table of
//! directives (`directives.rs`) feeds the reader and the writer.
//!
//! Source: spec 01, sections 2, 5, 6, 7.

mod directives;
mod error;
mod generic;
mod load;
mod numbers;
mod options;
mod rewrite;
mod rewrite_lines;
mod sentinel;
mod settle;
pub mod state_file;
mod tls;
mod users;
mod values;
pub mod words;

pub use error::{ConfigError, report};
pub use generic::{BufferLimit, Generic, Supervised};
pub use load::load;
pub use rewrite::rewrite;
pub use tls::{AuthClients, Pair, Tls};
pub use users::UserLine;

pub use crate::engine::settings::LogLevel;

use crate::engine::{RunId, State};

/// What the reader needs from the outside world; the runtime implements it.
pub trait Sources {
    /// The files that an `include` names, each with the name to report; a pattern with wildcards
    /// that matches nothing is an empty list.
    ///
    /// # Errors
    /// The reason in stock's words, to be logged without a banner, such as
    /// `Fatal error, can't open config file '/x': No such file or directory`.
    fn read(&mut self, pattern: &str) -> Result<Vec<(String, Vec<u8>)>, String>;

    /// Whether this process may execute the file.
    fn is_executable(&self, path: &str) -> bool;

    /// Whether the rules of a `user` line could ever be right; what depends on the commands that exist is
    /// not looked at.
    ///
    /// # Errors
    /// The wrong rule, and what is wrong with it.
    fn check_user(&self, _rules: &[String]) -> Result<(), (String, String)> {
        Ok(())
    }

    /// Called for each `dir` line, in file order and before later lines are read; changes the
    /// directory of the process and returns it in absolute form.
    ///
    /// # Errors
    /// The text of the system's error (`No such file or directory`).
    fn change_dir(&mut self, path: &str) -> Result<String, String> {
        Ok(path.to_owned())
    }
}

/// What is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadInput<'a> {
    /// The text of the configuration file.
    pub text: &'a [u8],
    /// More text from standard input (`-` on the command line).
    pub stdin: Option<&'a [u8]>,
    /// The words of the command line after the file: `--name value ...`, without the `-` that means standard input.
    pub options: &'a [String],
}

/// A configuration that was accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loaded {
    /// `sentinel myid`; `None` (no line, or all zero) means: generate one and write it at once.
    pub my_id: Option<RunId>,
    /// What the engine starts with. `globals.my_id` is empty when `my_id` is `None`.
    pub state: State,
    /// Everything that is not a `sentinel` line.
    pub generic: Generic,
    /// What was accepted but will not do what its author may think; to be logged.
    pub warnings: Vec<String>,
}
