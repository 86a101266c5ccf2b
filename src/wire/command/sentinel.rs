//! `SENTINEL`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::acl::words_or_sub;
use super::{CommandError, Result};
use crate::engine::{self, MasterName, RunId};
use crate::wire::words;

/// `SENTINEL <sub-command>`.
#[derive(Clone, Debug, PartialEq)]
pub enum SentinelCommand {
    /// Answered by the engine.
    Engine(engine::Command),
    /// `GET-MASTER-ADDR-BY-NAME name`: answered from the published views.
    GetMasterAddr(MasterName),
    /// `HELP`.
    Help,
    /// `MYID`.
    MyId,
}

pub(super) fn parse(sub: Option<&str>, args: &[Bytes]) -> Result<SentinelCommand> {
    use engine::Command;
    let name = || Ok::<_, CommandError>(MasterName(words::text(args, 0)?));
    Ok(match sub.unwrap_or_default() {
        "ckquorum" => SentinelCommand::Engine(Command::CkQuorum(name()?)),
        "config" => SentinelCommand::Engine(config(args)?),
        "debug" => SentinelCommand::Engine(Command::Debug(texts(args))),
        "failover" => SentinelCommand::Engine(Command::Failover(name()?)),
        "flushconfig" => SentinelCommand::Engine(Command::FlushConfig),
        "get-master-addr-by-name" | "get-primary-addr-by-name" => SentinelCommand::GetMasterAddr(name()?),
        "forget" => {
            SentinelCommand::Engine(Command::Forget { name: name()?, run_id: RunId(words::text(args, 1)?) })
        }
        "help" => SentinelCommand::Help,
        "info-cache" => SentinelCommand::Engine(Command::InfoCache(
            args.iter().map(|word| MasterName(words::shared(word))).collect(),
        )),
        "is-master-down-by-addr" | "is-primary-down-by-addr" => SentinelCommand::Engine(is_down(args)?),
        "master" | "primary" => SentinelCommand::Engine(Command::Master(name()?)),
        "masters" | "primaries" => SentinelCommand::Engine(Command::Masters),
        "monitor" => SentinelCommand::Engine(monitor(args)?),
        "myid" => SentinelCommand::MyId,
        "pending-scripts" => SentinelCommand::Engine(Command::PendingScripts),
        "remove" => SentinelCommand::Engine(Command::Remove(name()?)),
        "replicas" | "slaves" => SentinelCommand::Engine(Command::Replicas(name()?)),
        "reset" => SentinelCommand::Engine(reset(args)?),
        "sentinels" => SentinelCommand::Engine(Command::Sentinels(name()?)),
        "set" => SentinelCommand::Engine(Command::Set {
            name: name()?,
            args: texts(args.get(1..).unwrap_or_default()),
            not_executable: BTreeSet::new(),
        }),
        "simulate-failure" => SentinelCommand::Engine(Command::SimulateFailure(texts(args))),
        "vigia" => SentinelCommand::Engine(Command::Vigia(texts(args))),
        other => return Err(words_or_sub(other, "SENTINEL")),
    })
}

fn texts(args: &[Bytes]) -> Vec<Arc<str>> {
    args.iter().map(|word| words::shared(word)).collect()
}

/// `RESET pattern` and, Vigía's, `RESET pattern FORCE`; any other word is one too many.
fn reset(args: &[Bytes]) -> Result<engine::Command> {
    let pattern = words::text(args, 0)?;
    match args.get(1) {
        None => Ok(engine::Command::Reset(pattern)),
        Some(word) if word.eq_ignore_ascii_case(b"force") => Ok(engine::Command::ResetForce(pattern)),
        Some(_) => Err(CommandError::new("ERR wrong number of arguments for 'sentinel|reset' command")),
    }
}

/// The port is read before the epoch; both must be integers. Source: spec 02, section 5.
fn is_down(args: &[Bytes]) -> Result<engine::Command> {
    let candidate = words::text(args, 3)?;
    Ok(engine::Command::IsMasterDown {
        host: words::text(args, 0)?,
        port: words::integer(&words::at(args, 1)?)?,
        epoch: words::integer(&words::at(args, 2)?)?,
        candidate: (&*candidate != "*").then_some(RunId(candidate)),
    })
}

/// The quorum is read before the port. Source: spec 02, section 7.
fn monitor(args: &[Bytes]) -> Result<engine::Command> {
    let number = |index, error: &'static str| {
        words::strict(&words::at(args, index)?).ok_or_else(|| CommandError::new(error))
    };
    let quorum = number(3, "ERR Invalid quorum")?;
    let port = number(2, "ERR Invalid port")?;
    Ok(engine::Command::Monitor {
        name: MasterName(words::text(args, 0)?),
        host: words::text(args, 1)?,
        port,
        quorum,
    })
}

/// Names and values are checked by the engine. Source: spec 02, section 8 ("Other").
fn config(args: &[Bytes]) -> Result<engine::Command> {
    match args {
        [get, patterns @ ..] if get.eq_ignore_ascii_case(b"get") => {
            Ok(engine::Command::ConfigGet(texts(patterns)))
        }
        [set, pairs @ ..] if set.eq_ignore_ascii_case(b"set") && pairs.len() >= 2 => {
            Ok(engine::Command::ConfigSet(texts(pairs)))
        }
        _ => Err(CommandError::new(
            "ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are supported.",
        )),
    }
}
