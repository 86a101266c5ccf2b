//! `CLIENT`.

use bytes::Bytes;

use super::acl::words_or_sub;
use super::connection::check_name;
use super::{CommandError, Result};
use crate::wire::words;

/// `CLIENT <sub-command>`.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientSub {
    /// `CACHING yes|no`; the word is checked by [`ClientSub::caching`] after the tracking mode.
    Caching(Bytes),
    /// `GETNAME`.
    GetName,
    /// `GETREDIR`.
    GetRedir,
    /// `HELP`.
    Help,
    /// `ID`.
    Id,
    /// `INFO`.
    Info,
    /// `KILL ...`.
    Kill(Kill),
    /// `LIST [TYPE kind]`, `LIST ID id ...`.
    List {
        /// Only this kind.
        kind: Option<ClientKind>,
        /// Only these, in this order; an unknown one is left out.
        ids: Option<Vec<i64>>,
    },
    /// `NO-EVICT on|off`.
    NoEvict(bool),
    /// `PAUSE timeout [WRITE|ALL]`.
    Pause {
        /// How long, in milliseconds.
        timeout_ms: u64,
        /// Whether writes alone are held.
        writes_only: bool,
    },
    /// `REPLY ON|OFF|SKIP`.
    Reply(ReplyMode),
    /// `SETINFO LIB-NAME|LIB-VER value`.
    SetInfo {
        /// Whether it is the library's version (else its name).
        version: bool,
        /// The value; empty unsets.
        value: Bytes,
    },
    /// `SETNAME name`; empty unsets.
    SetName(Bytes),
    /// `TRACKING on|off ...`.
    Tracking(Tracking),
    /// `TRACKINGINFO`.
    TrackingInfo,
    /// `UNBLOCK id [TIMEOUT|ERROR]`; nobody is ever blocked here: `:0`.
    Unblock(i64),
    /// `UNPAUSE`.
    Unpause,
}

/// What a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientKind {
    /// An ordinary client.
    Normal,
    /// A master; no client of a sentinel is.
    Master,
    /// A replica; no client of a sentinel is.
    Replica,
    /// A client with subscriptions.
    PubSub,
}

/// Which connections `CLIENT KILL` ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Kill {
    /// `KILL ip:port`: `+OK` or `ERR No such client`.
    Addr(Bytes),
    /// `KILL option value ...`: answers how many. Boxed: far larger than its sibling.
    Filter(Box<ClientFilter>),
}

/// The filters of `CLIENT KILL`; all that are given must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientFilter {
    /// `ID`.
    pub id: Option<i64>,
    /// `TYPE`.
    pub kind: Option<ClientKind>,
    /// Each `USER`: the last counts, but all must exist, or stock answers `ERR No such user '...'`
    /// before it reads on.
    pub users: Vec<Bytes>,
    /// What is wrong with the words behind the users.
    pub error: Option<CommandError>,
    /// `ADDR`.
    pub addr: Option<Bytes>,
    /// `LADDR`.
    pub laddr: Option<Bytes>,
    /// `MAXAGE`: connected for at least so many seconds.
    pub max_age: Option<i64>,
    /// `SKIPME`.
    pub skip_me: SkipMe,
}

/// Whether the caller's own connection is spared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SkipMe {
    /// The default.
    #[default]
    Yes,
    /// `SKIPME no`.
    No,
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyMode {
    /// `+OK` and replies from now on.
    On,
    /// No replies from now on, not even to this.
    Off,
    /// No reply to this and to the next command.
    Skip,
}

/// `CLIENT TRACKING`: keys there are none; the mode shows in `TRACKINGINFO`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracking {
    /// `on`.
    pub on: bool,
    /// `REDIRECT id`: the server checks that the connection exists, before it reads on.
    pub redirect: Option<i64>,
    /// What is wrong with the words behind the `REDIRECT`.
    pub error: Option<CommandError>,
    /// `BCAST`.
    pub bcast: bool,
    /// `OPTIN`.
    pub opt_in: bool,
    /// `OPTOUT`.
    pub opt_out: bool,
    /// `NOLOOP`.
    pub no_loop: bool,
    /// `PREFIX prefix ...`.
    pub prefixes: Vec<Bytes>,
}

pub(super) fn parse(sub: Option<&str>, args: &[Bytes]) -> Result<ClientSub> {
    Ok(match sub.unwrap_or_default() {
        "caching" => ClientSub::Caching(words::at(args, 0)?),
        "getname" => ClientSub::GetName,
        "getredir" => ClientSub::GetRedir,
        "help" => ClientSub::Help,
        "id" => ClientSub::Id,
        "info" => ClientSub::Info,
        "kill" => ClientSub::Kill(kill(args)?),
        "list" => list(args)?,
        "no-evict" => ClientSub::NoEvict(on_off(&words::at(args, 0)?)?),
        "pause" => pause(args)?,
        "reply" => ClientSub::Reply(reply(&words::at(args, 0)?)?),
        "setinfo" => set_info(args)?,
        "setname" => set_name(args)?,
        "tracking" => ClientSub::Tracking(tracking(args)?),
        "trackinginfo" => ClientSub::TrackingInfo,
        "unblock" => unblock(args)?,
        "unpause" => ClientSub::Unpause,
        other => return Err(words_or_sub(other, "CLIENT")),
    })
}

impl ClientSub {
    /// The word of `CLIENT CACHING`. Stock checks the connection's tracking mode first.
    ///
    /// # Errors
    /// `ERR syntax error`.
    pub fn caching(word: &[u8]) -> Result<bool> {
        match words::lower(word).as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(words::syntax()),
        }
    }
}

fn kill(args: &[Bytes]) -> Result<Kill> {
    if let [addr] = args {
        return Ok(Kill::Addr(addr.clone()));
    }
    let mut filter = Box::new(ClientFilter::default());
    match filters(&mut filter, args) {
        Err(error) if filter.users.is_empty() => return Err(error),
        result => filter.error = result.err(),
    }
    Ok(Kill::Filter(filter))
}

fn filters(filter: &mut ClientFilter, args: &[Bytes]) -> Result<()> {
    for pair in args.chunks(2) {
        let [option, value] = pair else { return Err(words::syntax()) };
        match words::lower(option).as_str() {
            "id" => filter.id = Some(positive_id(value)?),
            "type" => filter.kind = Some(kind(value)?),
            "user" => filter.users.push(value.clone()),
            "addr" => filter.addr = Some(value.clone()),
            "laddr" => filter.laddr = Some(value.clone()),
            "maxage" => filter.max_age = Some(words::integer(value)?),
            "skipme" => filter.skip_me = skip_me(value)?,
            _ => return Err(words::syntax()),
        }
    }
    Ok(())
}

fn positive_id(word: &[u8]) -> Result<i64> {
    match words::strict(word) {
        Some(id) if id > 0 => Ok(id),
        Some(_) | None => Err(CommandError::new("ERR client-id should be greater than 0")),
    }
}

fn skip_me(word: &[u8]) -> Result<SkipMe> {
    match words::lower(word).as_str() {
        "yes" => Ok(SkipMe::Yes),
        "no" => Ok(SkipMe::No),
        _ => Err(words::syntax()),
    }
}

fn kind(word: &[u8]) -> Result<ClientKind> {
    match words::lower(word).as_str() {
        "normal" => Ok(ClientKind::Normal),
        "master" | "primary" => Ok(ClientKind::Master),
        "replica" | "slave" => Ok(ClientKind::Replica),
        "pubsub" => Ok(ClientKind::PubSub),
        _ => Err(CommandError::quoting("ERR Unknown client type '", word, "'")),
    }
}

fn list(args: &[Bytes]) -> Result<ClientSub> {
    match args {
        [] => Ok(ClientSub::List { kind: None, ids: None }),
        [option, word] if option.eq_ignore_ascii_case(b"type") => {
            Ok(ClientSub::List { kind: Some(kind(word)?), ids: None })
        }
        [option, first, rest @ ..] if option.eq_ignore_ascii_case(b"id") => {
            let parsed = std::iter::once(first).chain(rest).map(|word| words::strict(word)).collect();
            let invalid = || CommandError::new("ERR Invalid client ID");
            let ids: Option<Vec<i64>> = parsed;
            Ok(ClientSub::List { kind: None, ids: Some(ids.ok_or_else(invalid)?) })
        }
        _ => Err(words::syntax()),
    }
}

fn on_off(word: &[u8]) -> Result<bool> {
    match words::lower(word).as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(words::syntax()),
    }
}

fn pause(args: &[Bytes]) -> Result<ClientSub> {
    let writes_only = match args {
        [_] => false,
        [_, mode] if mode.eq_ignore_ascii_case(b"write") => true,
        [_, mode] if mode.eq_ignore_ascii_case(b"all") => false,
        [_, _] => return Err(CommandError::new("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(words_or_sub("pause", "CLIENT")),
    };
    let timeout = words::strict(&words::at(args, 0)?)
        .ok_or_else(|| CommandError::new("ERR timeout is not an integer or out of range"))?;
    let timeout_ms = u64::try_from(timeout).map_err(|_| CommandError::new("ERR timeout is negative"))?;
    Ok(ClientSub::Pause { timeout_ms, writes_only })
}

fn reply(word: &[u8]) -> Result<ReplyMode> {
    match words::lower(word).as_str() {
        "on" => Ok(ReplyMode::On),
        "off" => Ok(ReplyMode::Off),
        "skip" => Ok(ReplyMode::Skip),
        _ => Err(words::syntax()),
    }
}

/// Source: spec 02, section 12; texts as Redis 7.2 documents them.
fn set_info(args: &[Bytes]) -> Result<ClientSub> {
    let (option, value) = (words::at(args, 0)?, words::at(args, 1)?);
    let version = match words::lower(&option).as_str() {
        "lib-name" => false,
        "lib-ver" => true,
        _ => return Err(CommandError::quoting("ERR Unrecognized option '", &option, "'")),
    };
    if value.iter().all(u8::is_ascii_graphic) {
        return Ok(ClientSub::SetInfo { version, value });
    }
    let option = String::from_utf8_lossy(&option).into_owned();
    Err(CommandError::new(format!("ERR {option} cannot contain spaces, newlines or special characters.")))
}

fn set_name(args: &[Bytes]) -> Result<ClientSub> {
    let name = words::at(args, 0)?;
    check_name(&name)?;
    Ok(ClientSub::SetName(name))
}

fn tracking(args: &[Bytes]) -> Result<Tracking> {
    let mut tracking = Tracking::default();
    match tracking_words(&mut tracking, args) {
        Err(error) if tracking.redirect.is_none() => return Err(error),
        result => tracking.error = result.err(),
    }
    Ok(tracking)
}

fn tracking_words(tracking: &mut Tracking, args: &[Bytes]) -> Result<()> {
    let mut options = args.get(1..).unwrap_or_default();
    while let Some((option, rest)) = options.split_first() {
        options = rest;
        match (words::lower(option).as_str(), rest) {
            ("redirect", [_, ..]) if tracking.redirect.is_some() => {
                return Err(CommandError::new("ERR A client can only redirect to a single other client"));
            }
            ("redirect", [id, rest @ ..]) => {
                tracking.redirect = Some(words::integer(id)?);
                options = rest;
            }
            ("prefix", [prefix, rest @ ..]) => {
                tracking.prefixes.push(prefix.clone());
                options = rest;
            }
            ("bcast", _) => tracking.bcast = true,
            ("optin", _) => tracking.opt_in = true,
            ("optout", _) => tracking.opt_out = true,
            ("noloop", _) => tracking.no_loop = true,
            _ => return Err(words::syntax()),
        }
    }
    tracking.on = on_off(&words::at(args, 0)?)?;
    if tracking.on { check_modes(tracking) } else { Ok(()) }
}

fn check_modes(tracking: &Tracking) -> Result<()> {
    if !tracking.bcast && !tracking.prefixes.is_empty() {
        return Err(CommandError::new("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    if tracking.bcast && (tracking.opt_in || tracking.opt_out) {
        return Err(CommandError::new("ERR OPTIN and OPTOUT are not compatible with BCAST"));
    }
    if tracking.opt_in && tracking.opt_out {
        return Err(CommandError::new("ERR You can't specify both OPTIN mode and OPTOUT mode"));
    }
    Ok(())
}

fn unblock(args: &[Bytes]) -> Result<ClientSub> {
    match args {
        [_] => {}
        [_, reason] if reason.eq_ignore_ascii_case(b"timeout") || reason.eq_ignore_ascii_case(b"error") => {}
        [_, _] => {
            return Err(CommandError::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
        _ => return Err(words_or_sub("unblock", "CLIENT")),
    }
    Ok(ClientSub::Unblock(words::integer(&words::at(args, 0)?)?))
}
