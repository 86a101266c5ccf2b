//! Commands about the connection itself: `HELLO`, `AUTH`, `PING`, `SHUTDOWN`.

use bytes::Bytes;

use super::{ClientCommand, CommandError, Result};
use crate::wire::value::Proto;
use crate::wire::words;

/// `HELLO [2|3 [AUTH user pass] [SETNAME name]]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hello {
    /// The protocol asked for; `None` leaves it.
    pub proto: Option<Proto>,
    /// What comes before the protocol changes, from the left; what was done stays when a later
    /// option fails.
    pub options: Vec<HelloOption>,
    /// What is wrong with the words behind these options.
    pub error: Option<CommandError>,
}

/// One option of `HELLO`.
#[derive(Clone, Debug, PartialEq)]
pub enum HelloOption {
    /// `AUTH user pass`.
    Auth {
        /// The user.
        user: Bytes,
        /// The password.
        pass: Bytes,
    },
    /// `SETNAME name`; an empty one unsets.
    SetName(Bytes),
}

/// `SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE]`; saving is never done by a sentinel, so the words do
/// not matter beyond their syntax.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shutdown {
    /// End the process.
    Go,
    /// `SHUTDOWN ABORT`: always `ERR No shutdown in progress.`
    Abort,
}

pub(super) fn hello(args: &[Bytes]) -> Result<Hello> {
    let Some((version, mut options)) = args.split_first() else {
        return Ok(Hello::default());
    };
    let proto = match words::strict(version) {
        Some(2) => Proto::Resp2,
        Some(3) => Proto::Resp3,
        Some(_) => return Err(CommandError::new("NOPROTO unsupported protocol version")),
        None => {
            return Err(CommandError::new("ERR Protocol version is not an integer or out of range"));
        }
    };
    let mut hello = Hello { proto: Some(proto), ..Hello::default() };
    while let Some((option, rest)) = options.split_first() {
        match hello_option(option, rest) {
            Ok((option, rest)) => {
                hello.options.push(option);
                options = rest;
            }
            Err(error) if hello.options.is_empty() => return Err(error),
            Err(error) => {
                hello.error = Some(error);
                break;
            }
        }
    }
    Ok(hello)
}

fn hello_option<'a>(option: &[u8], rest: &'a [Bytes]) -> Result<(HelloOption, &'a [Bytes])> {
    match rest {
        [user, pass, rest @ ..] if option.eq_ignore_ascii_case(b"auth") => {
            Ok((HelloOption::Auth { user: user.clone(), pass: pass.clone() }, rest))
        }
        [name, rest @ ..] if option.eq_ignore_ascii_case(b"setname") => {
            check_name(name)?;
            Ok((HelloOption::SetName(name.clone()), rest))
        }
        _ => Err(CommandError::quoting("ERR Syntax error in HELLO option '", option, "'")),
    }
}

/// Names of connections have neither blanks nor anything outside printable ASCII.
///
/// # Errors
/// Otherwise.
pub(super) fn check_name(name: &[u8]) -> Result<()> {
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(CommandError::new("ERR Client names cannot contain spaces, newlines or special characters."))
}

pub(super) fn auth(args: &[Bytes]) -> Result<ClientCommand> {
    match args {
        [pass] => Ok(ClientCommand::Auth { user: None, pass: pass.clone() }),
        [user, pass] => Ok(ClientCommand::Auth { user: Some(user.clone()), pass: pass.clone() }),
        _ => Err(words::syntax()),
    }
}

pub(super) fn ping(args: &[Bytes]) -> Result<ClientCommand> {
    match args {
        [] => Ok(ClientCommand::Ping(None)),
        [text] => Ok(ClientCommand::Ping(Some(text.clone()))),
        _ => Err(CommandError::new("ERR wrong number of arguments for 'ping' command")),
    }
}

pub(super) fn shutdown(args: &[Bytes]) -> Result<Shutdown> {
    let (mut save, mut nosave, mut abort, mut other) = (false, false, false, false);
    for word in args {
        match words::lower(word).as_str() {
            "save" => save = true,
            "nosave" => nosave = true,
            "now" | "force" => other = true,
            "abort" => abort = true,
            _ => return Err(words::syntax()),
        }
    }
    if (save && nosave) || (abort && (save || nosave || other)) {
        return Err(words::syntax());
    }
    Ok(if abort { Shutdown::Abort } else { Shutdown::Go })
}
