//! `ACL`.

use bytes::Bytes;

use super::{CommandError, Result};
use crate::wire::words;

/// `ACL <sub-command>`; rules and users are the server's business.
#[derive(Clone, Debug, PartialEq)]
pub enum AclCommand {
    /// `CAT [category]`.
    Cat(Option<Bytes>),
    /// `DELUSER user ...`.
    DelUser(Vec<Bytes>),
    /// `DRYRUN user command [arg ...]`.
    DryRun {
        /// The user.
        user: Bytes,
        /// The command with its words.
        argv: Vec<Bytes>,
    },
    /// `GENPASS [bits]`: bits of the password, 1 to 4096, default 256.
    GenPass(u32),
    /// `GETUSER user`.
    GetUser(Bytes),
    /// `HELP`.
    Help,
    /// `LIST`.
    List,
    /// `LOAD`.
    Load,
    /// `LOG [count]`; default 10, a negative number means none.
    Log(i64),
    /// `LOG RESET`.
    LogReset,
    /// `SAVE`.
    Save,
    /// `SETUSER user rule ...`.
    SetUser {
        /// The user.
        user: Bytes,
        /// The rules, left to right.
        rules: Vec<Bytes>,
    },
    /// `USERS`.
    Users,
    /// `WHOAMI`.
    WhoAmI,
}

/// Entries that `ACL LOG` shows unless told otherwise.
const LOG_DEFAULT: i64 = 10;

pub(super) fn parse(sub: Option<&str>, args: &[Bytes]) -> Result<AclCommand> {
    Ok(match sub.unwrap_or_default() {
        "cat" if args.len() <= 1 => AclCommand::Cat(args.first().cloned()),
        "deluser" => AclCommand::DelUser(args.to_vec()),
        "dryrun" => {
            AclCommand::DryRun { user: words::at(args, 0)?, argv: args.get(1..).unwrap_or_default().to_vec() }
        }
        "genpass" if args.len() <= 1 => AclCommand::GenPass(bits(args.first())?),
        "getuser" => AclCommand::GetUser(words::at(args, 0)?),
        "help" => AclCommand::Help,
        "list" => AclCommand::List,
        "load" => AclCommand::Load,
        "log" => return log(args),
        "save" => AclCommand::Save,
        "setuser" => AclCommand::SetUser {
            user: words::at(args, 0)?,
            rules: args.get(1..).unwrap_or_default().to_vec(),
        },
        "users" => AclCommand::Users,
        "whoami" => AclCommand::WhoAmI,
        other => return Err(words_or_sub(other, "ACL")),
    })
}

/// What stock says when a sub-command's own check of the number of words fails.
pub(super) fn words_or_sub(sub: &str, container: &str) -> CommandError {
    CommandError::new(format!(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try {container} HELP.",
        sub.to_ascii_uppercase()
    ))
}

fn bits(word: Option<&Bytes>) -> Result<u32> {
    const LIMIT: i64 = 4_096;
    let Some(word) = word else { return Ok(256) };
    match words::integer(word)? {
        bits @ 1..=LIMIT => Ok(u32::try_from(bits).unwrap_or(256)),
        _ => Err(CommandError::new(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        )),
    }
}

fn log(args: &[Bytes]) -> Result<AclCommand> {
    match args {
        [] => Ok(AclCommand::Log(LOG_DEFAULT)),
        [word] if word.eq_ignore_ascii_case(b"reset") => Ok(AclCommand::LogReset),
        [word] => Ok(AclCommand::Log(words::integer(word)?)),
        _ => Err(words_or_sub("log", "ACL")),
    }
}
