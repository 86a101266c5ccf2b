//! What can happen to the engine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::ids::{LinkId, MasterName, RunId, ScriptId, Seq, Ticket};
use super::reply::Reply;
use super::tilt::Evidence;

/// One stimulus. Text is borrowed: [`super::Engine::handle`] copies only what it keeps.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The time from [`super::Engine::next_wakeup`] came. Early or extra ticks change nothing.
    Tick,
    /// This process did not run for a while. Comes, if anything is known of it, right before the first input
    /// after that; what is due is left to that input.
    Late(Evidence),
    /// A connection asked for by [`super::Output::Connect`] is established.
    LinkUp {
        /// The connection.
        link: LinkId,
        /// Our end of it: announced in hellos when `announce-ip` is unset.
        local: IpAddr,
    },
    /// The host of a connection asked for answers, and a TLS handshake with the process is next: its time is
    /// that of processors, not the network's. Not sent where there is no handshake.
    LinkReached {
        /// The connection.
        link: LinkId,
        /// Whether the handshake has begun; otherwise it waits until this process has shaken hands with others,
        /// and another of these inputs tells of its begin.
        begun: bool,
    },
    /// A connection could not even be tried: no descriptors, no route, a source address that is not ours. Its
    /// [`Input::LinkDown`] follows.
    ConnectFailed {
        /// The connection.
        link: LinkId,
        /// The system's words.
        why: &'a str,
    },
    /// A connection could not be made, or ended. Not sent after [`super::Output::Close`].
    LinkDown {
        /// The connection.
        link: LinkId,
        /// Whose doing it was.
        cause: DownCause,
    },
    /// The next reply on a connection, in the order of the requests.
    Reply {
        /// The connection.
        link: LinkId,
        /// The reply.
        reply: Reply<'a>,
    },
    /// A message on `__sentinel__:hello`, heard on a subscription link.
    Message {
        /// The connection.
        link: LinkId,
        /// The payload.
        payload: &'a str,
    },
    /// A lookup asked for by [`super::Output::Resolve`] has ended.
    Resolved {
        /// The name as it was asked for.
        host: &'a str,
        /// Its addresses in the resolver's order; none if it failed.
        ips: &'a [IpAddr],
    },
    /// Every change up to this number is on disk.
    Persisted(Seq),
    /// The write that should have carried the changes up to this number failed.
    PersistFailed(Seq),
    /// A process runs a script.
    ScriptStarted {
        /// Which script.
        script: ScriptId,
        /// The process.
        pid: u32,
    },
    /// A script ended, or could not be started.
    ScriptEnded {
        /// Which script.
        script: ScriptId,
        /// How.
        end: ScriptEnd,
    },
    /// A command of a client.
    Command {
        /// Names the answer.
        ticket: Ticket,
        /// The command.
        command: Command,
    },
}

/// How a run of a script ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScriptEnd {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// The file could not be executed.
    NotExecuted,
    /// The system made no process for it.
    NotStarted,
}

/// Why a connection is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DownCause {
    /// The other host refused the connection: nobody listens there.
    Refused,
    /// The other side closed or reset it, sent garbage, or the host is unreachable.
    Remote,
    /// A local error (no descriptors, no free port): says nothing about the other side.
    Local,
}

/// A command that needs the engine. Texts are as the client typed them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// `SENTINEL MASTERS`.
    Masters,
    /// `SENTINEL MASTER name`.
    Master(MasterName),
    /// `SENTINEL REPLICAS name`, `SENTINEL SLAVES name`.
    Replicas(MasterName),
    /// `SENTINEL SENTINELS name`.
    Sentinels(MasterName),
    /// `SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid`.
    IsMasterDown {
        /// Host as typed.
        host: Arc<str>,
        /// Port as typed; one outside 0..65535 matches nothing.
        port: i64,
        /// The asker's epoch; a negative one asks for no vote.
        epoch: i64,
        /// Who wants the vote; `None` for `*`.
        candidate: Option<RunId>,
    },
    /// `SENTINEL CKQUORUM name`.
    CkQuorum(MasterName),
    /// `SENTINEL MONITOR name ip port quorum`; integers were parsed, nothing else was checked.
    Monitor {
        /// The new master's name.
        name: MasterName,
        /// Host as typed.
        host: Arc<str>,
        /// Port as typed.
        port: i64,
        /// Quorum as typed.
        quorum: i64,
    },
    /// `SENTINEL REMOVE name`.
    Remove(MasterName),
    /// `SENTINEL SET name option value [option value ...]`.
    Set {
        /// The master.
        name: MasterName,
        /// Everything after the name, as typed.
        args: Vec<Arc<str>>,
        /// Those of `args` that the process may not execute (checked for script options).
        not_executable: BTreeSet<Arc<str>>,
    },
    /// `SENTINEL RESET pattern`.
    Reset(Arc<str>),
    /// `SENTINEL RESET pattern FORCE`: Vigía's.
    ResetForce(Arc<str>),
    /// `SENTINEL FORGET name sentinel-id`: Vigía's.
    Forget {
        /// The master.
        name: MasterName,
        /// Whom it should forget.
        run_id: RunId,
    },
    /// `SENTINEL FAILOVER name`.
    Failover(MasterName),
    /// `SENTINEL FLUSHCONFIG`.
    FlushConfig,
    /// `SENTINEL CONFIG GET pattern [pattern ...]`.
    ConfigGet(Vec<Arc<str>>),
    /// `SENTINEL CONFIG SET param value [param value ...]`: the words after `SET`; an odd one out is
    /// a missing value.
    ConfigSet(Vec<Arc<str>>),
    /// `SENTINEL DEBUG [param value ...]`.
    Debug(Vec<Arc<str>>),
    /// `SENTINEL INFO-CACHE name [name ...]`.
    InfoCache(Vec<MasterName>),
    /// `SENTINEL PENDING-SCRIPTS`.
    PendingScripts,
    /// `SENTINEL SIMULATE-FAILURE flag [flag ...]`.
    SimulateFailure(Vec<Arc<str>>),
    /// `PUBLISH __sentinel__:hello payload`.
    Hello(Arc<str>),
    /// `SENTINEL VIGIA <version> ...`: hints between Vigía processes; the words after `VIGIA`.
    Vigia(Vec<Arc<str>>),
}
