//! What the engine wants done.

use std::net::IpAddr;
use std::sync::Arc;

use super::event::{Event, Note};
use super::ids::{Addr, Epoch, LinkId, MasterName, RunId, ScriptId, Seq, Ticket};
use super::settings::{LogLevel, Renames};
use super::view::{Entry, Figures, MasterView};

/// One effect. The runtime performs them in order; it never decides.
///
/// What reveals a change of state comes out only after [`super::Input::Persisted`] covered it: the
/// engine holds it back itself, so every output may be executed at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a connection and report [`super::Input::LinkUp`] or [`super::Input::LinkDown`].
    Connect {
        /// Names the attempt and the connection.
        link: LinkId,
        /// What the other side is known by: a certificate is for this host.
        addr: Addr,
        /// Where it is now.
        ip: IpAddr,
    },
    /// Look up a host name and report [`super::Input::Resolved`], however long it takes. It is not asked for
    /// again before that.
    Resolve(Arc<str>),
    /// End a connection or an attempt. Nothing more is reported about it.
    Close {
        /// The connection.
        link: LinkId,
    },
    /// Send one request; its reply comes as [`super::Input::Reply`], in order.
    Send {
        /// The connection.
        link: LinkId,
        /// The request.
        request: Request,
        /// Renamed commands to be used on this connection.
        renames: Option<Renames>,
    },
    /// Write a state that contains the changes up to this number: take
    /// [`super::Engine::snapshot`] when the writer is free, answer with its number.
    Save(Seq),
    /// The outside may read this of a master from now on.
    View(Arc<MasterView>),
    /// The master is no longer monitored.
    ViewGone(MasterName),
    /// One line of the event stream: log, pub/sub, metrics and scripts all hang off it.
    Event(Event),
    /// A line for the operator that is no event.
    Note(Note),
    /// Log from now on what is at least as loud as this.
    LogLevel(LogLevel),
    /// Execute a script as a direct child, without a shell; report [`super::Input::ScriptStarted`] and
    /// [`super::Input::ScriptEnded`].
    RunScript {
        /// Names it in reports.
        script: ScriptId,
        /// Its path and its arguments.
        argv: Vec<Arc<str>>,
    },
    /// Kill a script that runs (SIGKILL).
    KillScript(ScriptId),
    /// The outside may read this of the process from now on.
    Figures(Figures),
    /// End the process at once with this code, as a crash would: nothing after this is carried out.
    Exit(u8),
    /// The answer to [`super::Input::Command`].
    Answer {
        /// Which command.
        ticket: Ticket,
        /// Its answer.
        answer: Answer,
    },
}

/// One request to a data node or to another sentinel. Source: spec 04, sections 3 to 7.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// `AUTH [user] pass`.
    Auth {
        /// User, if one is configured.
        user: Option<Arc<str>>,
        /// Password.
        pass: Arc<str>,
    },
    /// `CLIENT SETNAME name`.
    SetName(Arc<str>),
    /// `PING`.
    Ping,
    /// `INFO`.
    Info,
    /// `SUBSCRIBE __sentinel__:hello`.
    Subscribe,
    /// `PUBLISH __sentinel__:hello payload`.
    Publish(Arc<str>),
    /// `SENTINEL is-master-down-by-addr host port epoch candidate|*`.
    AskDown {
        /// Address of the master.
        addr: Addr,
        /// The asker's epoch.
        epoch: Epoch,
        /// The candidate that wants a vote.
        candidate: Option<RunId>,
    },
    /// `SENTINEL MASTER name`.
    AskMaster(MasterName),
    /// `SENTINEL VIGIA <words>`.
    Vigia(Vec<Arc<str>>),
    /// `MULTI`.
    Multi,
    /// `SLAVEOF host port`.
    SlaveOf(Addr),
    /// `SLAVEOF NO ONE`.
    SlaveOfNoOne,
    /// `CONFIG REWRITE`.
    ConfigRewrite,
    /// `CLIENT KILL TYPE normal`.
    KillNormal,
    /// `CLIENT KILL TYPE pubsub`.
    KillPubsub,
    /// `EXEC`.
    Exec,
    /// `SCRIPT KILL`.
    ScriptKill,
}

/// The last INFO of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CachedInfo {
    /// Its age in milliseconds; 0 without a text.
    pub age_ms: u64,
    /// The text; `None` if there was none.
    pub text: Option<Arc<str>>,
}

/// A script in the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingScript {
    /// Its path and its arguments.
    pub argv: Vec<Arc<str>>,
    /// Its pid while it runs, 0 for the moment that it takes to start.
    pub running: Option<u32>,
    /// For how long it runs, or how long it still waits, in milliseconds.
    pub time_ms: u64,
    /// How often it was started.
    pub runs: u32,
}

/// The answer to a client's command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// `+OK`.
    Ok,
    /// A simple string.
    Status(String),
    /// An error with its prefix (`ERR ...`, `INPROG ...`), without the dash.
    Error(String),
    /// An integer.
    Integer(i64),
    /// One instance entry, or the values of parameters: a map.
    Entry(Entry),
    /// Several instance entries: an array of maps.
    Entries(Vec<Entry>),
    /// Reply to `IS-MASTER-DOWN-BY-ADDR`.
    Down {
        /// Whether this sentinel sees the master as SDOWN.
        down: bool,
        /// Whom it voted for.
        leader: Option<RunId>,
        /// In which epoch.
        epoch: Epoch,
    },
    /// An array of bulk strings.
    Words(Vec<String>),
    /// Reply to `INFO-CACHE`: for each master its nodes, the master first.
    InfoCache(Vec<(MasterName, Vec<CachedInfo>)>),
    /// Reply to `PENDING-SCRIPTS`.
    Scripts(Vec<PendingScript>),
}
