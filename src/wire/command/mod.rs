//! Words of a client -> a typed command, with stock's checks in stock's order.
//!
//! A command is first looked up (unknown name, unknown sub-command, number of words), then the
//! connection checks authentication and permissions, and only then do the words matter. [`lookup`]
//! is the first step alone; [`parse`] does both and says in [`CommandError::spec`] which one failed.

mod acl;
mod client;
mod connection;
mod introspect;
mod sentinel;
mod spec;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

pub use acl::AclCommand;
pub use client::{ClientFilter, ClientKind, ClientSub, Kill, ReplyMode, SkipMe, Tracking};
pub use connection::{Hello, HelloOption, Shutdown};
pub use introspect::{CommandSub, ListFilter};
pub use sentinel::SentinelCommand;
pub use spec::{Arg, Category, Flag, Spec, Traits, VALKEY_SINCE};
pub use table::{TABLE, find, listed};

use super::words;

/// A command of a client, its words checked as far as that needs no state.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientCommand {
    /// `ACL ...`.
    Acl(AclCommand),
    /// `AUTH [user] pass`.
    Auth {
        /// The user; `None` in the one-word form.
        user: Option<Bytes>,
        /// The password.
        pass: Bytes,
    },
    /// `CLIENT ...`.
    Client(ClientSub),
    /// `COMMAND ...`.
    Command(CommandSub),
    /// `HELLO ...`.
    Hello(Hello),
    /// `INFO [section ...]`; lower-case names as typed, empty for the default.
    Info(Vec<String>),
    /// `PING [text]`.
    Ping(Option<Bytes>),
    /// `PSUBSCRIBE pattern ...`.
    PSubscribe(Vec<Bytes>),
    /// `PUBLISH channel payload`.
    Publish {
        /// The channel; stock accepts `__sentinel__:hello` only.
        channel: Bytes,
        /// The message.
        payload: Bytes,
    },
    /// `PUNSUBSCRIBE [pattern ...]`; empty for all.
    PUnsubscribe(Vec<Bytes>),
    /// `QUIT`: answer `+OK` and close. Differs: unknown to stock sentinels.
    Quit,
    /// `RESET`: answer `+RESET` after forgetting subscriptions, name, protocol and user. Differs:
    /// unknown to stock sentinels.
    Reset,
    /// `ROLE`.
    Role,
    /// `SENTINEL ...`.
    Sentinel(SentinelCommand),
    /// `SHUTDOWN ...`.
    Shutdown(Shutdown),
    /// `SUBSCRIBE channel ...`.
    Subscribe(Vec<Bytes>),
    /// `UNSUBSCRIBE [channel ...]`; empty for all.
    Unsubscribe(Vec<Bytes>),
}

/// A command and its row in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The command.
    pub command: ClientCommand,
    /// Its row: name for error texts, flags, ACL categories.
    pub spec: &'static Spec,
}

impl Parsed {
    /// Full lower-case name: `ping`, `sentinel|master`.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }
}

/// Why a command was refused. `Display` is the text of the reply, without the dash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandError {
    text: Bytes,
    /// The command, if the words were enough to know it. `None`: unknown command or sub-command, or
    /// a wrong number of words, which stock reports even to a client that is not authenticated.
    /// `Some`: an error of its options; authentication and permissions go first.
    pub spec: Option<&'static Spec>,
    /// The command that the words name, whatever is wrong with the others.
    pub named: Option<&'static Spec>,
}

impl CommandError {
    /// The error reply.
    pub fn to_value(&self) -> super::Value {
        super::Value::Error(self.text.clone())
    }

    pub(super) fn new(text: impl Into<Bytes>) -> Self {
        Self { text: text.into(), spec: None, named: None }
    }

    /// A text around a word of the client, which may be any bytes; stock stops at a NUL.
    pub fn quoting(before: &str, word: &[u8], after: &str) -> Self {
        Self::new([before.as_bytes(), words::cut(word, usize::MAX), after.as_bytes()].concat())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl std::error::Error for CommandError {}

/// What the commands of one kind give their own parser.
type Result<T> = std::result::Result<T, CommandError>;

/// The row of the command that `argv` calls.
///
/// # Errors
/// Unknown command or sub-command; wrong number of words.
///
/// Source: spec 02, section 2.
pub fn lookup(argv: &[Bytes]) -> Result<&'static Spec> {
    let spec = resolve(argv)?;
    if spec.takes(argv.len()) {
        Ok(spec)
    } else {
        Err(CommandError { named: Some(spec), ..wrong_arity(spec) })
    }
}

/// The same, whatever the number of words.
///
/// # Errors
/// Unknown command or sub-command.
pub fn resolve(argv: &[Bytes]) -> Result<&'static Spec> {
    let Some(name) = argv.first() else {
        return Err(unknown_command(argv));
    };
    let Some(top) = table::find_top(name) else {
        return Err(unknown_command(argv));
    };
    match argv.get(1) {
        Some(sub) if !top.subs.is_empty() => top.sub(sub).ok_or_else(|| unknown_subcommand(top, sub)),
        Some(_) | None => Ok(top),
    }
}

/// Makes a typed command of the words of one request.
///
/// # Errors
/// See [`CommandError::spec`].
pub fn parse(argv: &[Bytes]) -> Result<Parsed> {
    let spec = lookup(argv)?;
    match typed(spec, argv) {
        Ok(command) => Ok(Parsed { command, spec }),
        Err(error) => Err(CommandError { spec: Some(spec), named: Some(spec), ..error }),
    }
}

fn typed(spec: &'static Spec, argv: &[Bytes]) -> Result<ClientCommand> {
    let (top, sub) = spec.split();
    let args = argv.get(1 + usize::from(sub.is_some())..).unwrap_or_default();
    Ok(match top {
        "acl" => ClientCommand::Acl(acl::parse(sub, args)?),
        "auth" => connection::auth(args)?,
        "client" => ClientCommand::Client(client::parse(sub, args)?),
        "command" => ClientCommand::Command(introspect::parse(sub, args)?),
        "hello" => ClientCommand::Hello(connection::hello(args)?),
        "info" => ClientCommand::Info(args.iter().map(|name| words::lower(name)).collect()),
        "ping" => connection::ping(args)?,
        "psubscribe" => ClientCommand::PSubscribe(args.to_vec()),
        "publish" => ClientCommand::Publish { channel: words::at(args, 0)?, payload: words::at(args, 1)? },
        "punsubscribe" => ClientCommand::PUnsubscribe(args.to_vec()),
        "quit" => ClientCommand::Quit,
        "reset" => ClientCommand::Reset,
        "role" => ClientCommand::Role,
        "sentinel" => ClientCommand::Sentinel(sentinel::parse(sub, args)?),
        "shutdown" => ClientCommand::Shutdown(connection::shutdown(args)?),
        "subscribe" => ClientCommand::Subscribe(args.to_vec()),
        "unsubscribe" => ClientCommand::Unsubscribe(args.to_vec()),
        _ => return Err(unknown_command(argv)),
    })
}

/// Most bytes of a name, and of all arguments together, that an error repeats.
const ECHO_LIMIT: usize = 128;

/// The reply to a name that nobody knows.
pub fn unknown_command(argv: &[Bytes]) -> CommandError {
    let (name, args) = argv.split_first().map_or((&b""[..], &[][..]), |(name, args)| (&name[..], args));
    let mut echo: Vec<u8> = Vec::new();
    for arg in args {
        if echo.len() >= ECHO_LIMIT {
            break;
        }
        let room = ECHO_LIMIT - echo.len();
        echo.push(b'\'');
        echo.extend_from_slice(words::cut(arg, room));
        echo.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(words::cut(name, ECHO_LIMIT));
    text.extend_from_slice(b"', with args beginning with: ");
    text.extend_from_slice(&echo);
    CommandError::new(text)
}

fn unknown_subcommand(top: &Spec, sub: &[u8]) -> CommandError {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(words::cut(sub, ECHO_LIMIT));
    text.extend_from_slice(format!("'. Try {} HELP.", top.name.to_ascii_uppercase()).as_bytes());
    CommandError::new(text)
}

/// `ERR wrong number of arguments for '...' command`.
pub(super) fn wrong_arity(spec: &Spec) -> CommandError {
    CommandError::new(format!("ERR wrong number of arguments for '{}' command", spec.name))
}
