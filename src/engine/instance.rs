//! What the engine knows of the processes around it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::failover::{Candidacy, Failover, Job};
use super::ids::{Addr, Epoch, LinkId, MasterName, RunId, Seq};
use super::info::Role;
use super::settings::MasterSettings;
use super::time::{Span, Time};
use super::view::MasterView;

/// A monitored master (the entry, by name).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MasterId(pub u32);

/// A data node of one entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u32);

/// Another sentinel process.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PeerId(pub u32);

/// What the next reply on a link answers.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// AUTH, SETNAME, SCRIPT KILL: nothing depends on it.
    Nothing,
    /// PING.
    Ping,
    /// INFO.
    Info,
    /// PUBLISH.
    Publish,
    /// SUBSCRIBE: an error ends the link.
    Subscribe,
    /// `is-master-down-by-addr` for a master that is this node, with the epoch a vote was asked for.
    Down { master: MasterId, node: NodeId, candidate_epoch: Option<Epoch> },
    /// `SENTINEL MASTER` of a stock peer, before a promotion in this epoch.
    MasterEntry { master: MasterId, epoch: Epoch },
    /// `SENTINEL VIGIA 1 HELLO`.
    VigiaHello,
    /// `SENTINEL VIGIA 1 CALM`.
    VigiaCalm { master: MasterId, asked: Time },
    /// `SENTINEL VIGIA 1 VOTERS`.
    VigiaVoters { master: MasterId },
    /// One command of a transaction before EXEC; the word names it in an error.
    Queued(&'static str),
    /// EXEC.
    Exec,
}

/// One outgoing connection and its attempts.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) phase: Phase,
    pub(super) pending: VecDeque<Expect>,
    /// Before this no new attempt is made.
    pub(super) retry_at: Time,
    /// From here on an attempt that is still pending counts as hanging.
    pub(super) hang_at: Time,
    /// Attempts in a row that hung.
    pub(super) hung: u32,
    /// The last attempt was refused: nobody listens there.
    pub(super) refused: bool,
    /// The IP of the present attempt or connection.
    pub(super) to: Option<IpAddr>,
    /// Attempts since the last connection: which of several addresses is next.
    pub(super) turn: usize,
    /// The next attempt waits for the lookup of a name.
    pub(super) awaits_name: bool,
    /// When anything was last heard on it.
    pub(super) heard: Time,
}

/// Where a link stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Down,
    Connecting { id: LinkId, since: Time },
    Up { id: LinkId, since: Time, local: IpAddr },
}

impl Link {
    pub(super) fn new(now: Time) -> Self {
        Self {
            phase: Phase::Down,
            pending: VecDeque::new(),
            retry_at: now,
            hang_at: now,
            hung: 0,
            refused: false,
            to: None,
            turn: 0,
            awaits_name: false,
            heard: now,
        }
    }

    pub(super) fn id(&self) -> Option<LinkId> {
        match self.phase {
            Phase::Down => None,
            Phase::Connecting { id, .. } | Phase::Up { id, .. } => Some(id),
        }
    }

    /// The connection, when it is established.
    pub(super) fn up(&self) -> Option<LinkId> {
        match self.phase {
            Phase::Up { id, .. } => Some(id),
            Phase::Down | Phase::Connecting { .. } => None,
        }
    }

    pub(super) fn local(&self) -> Option<IpAddr> {
        match self.phase {
            Phase::Up { local, .. } => Some(local),
            Phase::Down | Phase::Connecting { .. } => None,
        }
    }
}

/// Signs of life of one process, over all its connections.
#[derive(Debug)]
pub(super) struct Vitals {
    /// The earlier of "the oldest unanswered PING was sent" and "the command connection was lost";
    /// only an acceptable PING reply clears it. Source: DESIGN section 3, "Detection".
    pub(super) silent_since: Option<Time>,
    /// The PING that is unanswered on the present connection.
    pub(super) ping_sent: Option<Time>,
    /// When the last PING was sent.
    pub(super) last_ping: Option<Time>,
    /// Last acceptable PING reply (or creation).
    pub(super) last_available: Time,
    /// Last PING reply of any kind (or creation).
    pub(super) last_pong: Time,
    /// Smoothed round trip of PING.
    pub(super) round_trip: Span,
}

impl Vitals {
    /// A process never heard of is silent from its creation on, so it becomes SDOWN after D.
    pub(super) fn new(now: Time) -> Self {
        Self {
            silent_since: Some(now),
            ping_sent: None,
            last_ping: None,
            last_available: now,
            last_pong: now,
            round_trip: Span::ZERO,
        }
    }
}

/// What INFO of a replica said last.
#[derive(Debug)]
pub(super) struct ReplicaInfo {
    /// `master_host` and `master_port`, as reported.
    pub(super) master: Option<Addr>,
    /// When it changed last.
    pub(super) master_since: Time,
    pub(super) link_down_ms: i64,
    pub(super) link_up: bool,
    pub(super) priority: i64,
    pub(super) offset: u64,
    pub(super) announced: bool,
}

/// A data node: the master of an entry or one of its replicas.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) master: MasterId,
    /// What it is in our configuration.
    pub(super) role: Role,
    /// `ip:port` as it was shown when it was found (empty: as soon as it is resolved); names the replica
    /// entry.
    pub(super) name: Arc<str>,
    pub(super) addr: Addr,
    pub(super) cmd: Link,
    pub(super) sub: Link,
    pub(super) vitals: Vitals,
    pub(super) next_info: Time,
    pub(super) info_sent: Option<Time>,
    pub(super) info_at: Option<Time>,
    /// The last INFO, for `INFO-CACHE`.
    pub(super) info_text: Option<Arc<str>>,
    pub(super) next_hello: Time,
    pub(super) run_id: Option<RunId>,
    /// What it says it is, and since when.
    pub(super) reported: Role,
    pub(super) reported_since: Time,
    pub(super) replica: ReplicaInfo,
    /// Whose writes it has: `master_replid`, `master_replid2`.
    pub(super) replid: Option<Arc<str>>,
    pub(super) replid2: Option<Arc<str>>,
    pub(super) sdown: Option<Time>,
    /// When it became SDOWN last; not cleared when that ends (spec 04, section 5).
    pub(super) down_began: Option<Time>,
    pub(super) rebooted: Option<Time>,
    pub(super) script_kill_sent: bool,
    /// Its part in the reconfiguration of the replicas.
    pub(super) reconf: Reconf,
    /// When the last SLAVEOF transaction was sent to it outside a reconfiguration job.
    pub(super) corrected: Option<Time>,
    /// After it refused such a transaction: it is told again then.
    pub(super) told_again_at: Time,
    /// When it refused a promotion last, and why, in its words.
    pub(super) refused: Option<(Time, Arc<str>)>,
    /// It was our master under this older config epoch (or was promoted by us then, in vain) and was not
    /// seen as a replica since.
    pub(super) retired: Option<Epoch>,
}

/// How far a replica is in the reconfiguration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reconf {
    None,
    Sent(Time),
    InProgress,
    Done,
}

impl Node {
    pub(super) fn new(master: MasterId, role: Role, addr: Addr, name: Arc<str>, now: Time) -> Self {
        Self {
            master,
            role,
            name,
            addr,
            cmd: Link::new(now),
            sub: Link::new(now),
            vitals: Vitals::new(now),
            next_info: now,
            info_sent: None,
            info_at: None,
            info_text: None,
            next_hello: now,
            run_id: None,
            reported: role,
            reported_since: now,
            replica: ReplicaInfo {
                master: None,
                master_since: now,
                link_down_ms: 0,
                link_up: false,
                priority: 100,
                offset: 0,
                announced: true,
            },
            replid: None,
            replid2: None,
            sdown: None,
            down_began: None,
            rebooted: None,
            script_kill_sent: false,
            reconf: Reconf::None,
            corrected: None,
            told_again_at: Time(0),
            refused: None,
            retired: None,
        }
    }
}

/// Another sentinel process: one link, shared by all masters that it watches with us.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) run_id: RunId,
    pub(super) addr: Addr,
    pub(super) cmd: Link,
    pub(super) vitals: Vitals,
    pub(super) masters: BTreeSet<MasterId>,
    /// D of its masters, with the number of masters that have it.
    pub(super) limits: BTreeMap<Span, usize>,
    /// Under how many masters it is SDOWN.
    pub(super) down_in: usize,
    pub(super) next_hello: Time,
    /// Whether it is a Vigía: it answered `SENTINEL VIGIA` on this connection.
    pub(super) kin: Kin,
}

impl Peer {
    /// Counts a master with this D among its masters.
    pub(super) fn add_limit(&mut self, down_after: Span) {
        *self.limits.entry(down_after).or_default() += 1;
    }

    /// Takes a master with this D out of the count.
    pub(super) fn remove_limit(&mut self, down_after: Span) {
        if let Some(count) = self.limits.get_mut(&down_after) {
            *count -= 1;
            if *count == 0 {
                self.limits.remove(&down_after);
            }
        }
    }
}

/// What a peer is, as far as it told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kin {
    Unknown,
    Stock,
    Vigia,
}

impl Peer {
    pub(super) fn new(run_id: RunId, addr: Addr, now: Time) -> Self {
        Self {
            run_id,
            addr,
            cmd: Link::new(now),
            vitals: Vitals::new(now),
            masters: BTreeSet::new(),
            limits: BTreeMap::new(),
            down_in: 0,
            next_hello: now,
            kin: Kin::Unknown,
        }
    }
}

/// A sentinel as the entry of one master knows it.
#[derive(Debug)]
pub(super) struct Sentinel {
    pub(super) peer: PeerId,
    pub(super) last_hello: Time,
    /// The configuration that it confirmed with nobody changing it, and when.
    pub(super) calm: Option<(Time, Addr, Epoch)>,
    /// The configuration its last hello carried.
    pub(super) config: Option<(Addr, Epoch)>,
    /// When it last answered whether the master is down.
    pub(super) reported_at: Option<Time>,
    pub(super) master_down: bool,
    /// Whom it last said it voted for.
    pub(super) vote: Option<(RunId, Epoch)>,
    /// A question whether the master is down is unanswered.
    pub(super) asked: bool,
    pub(super) sdown: Option<Time>,
}

impl Sentinel {
    pub(super) fn new(peer: PeerId, now: Time) -> Self {
        Self {
            peer,
            last_hello: now,
            calm: None,
            config: None,
            reported_at: None,
            master_down: false,
            vote: None,
            asked: false,
            sdown: None,
        }
    }
}

/// One monitored master.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) name: MasterName,
    pub(super) settings: MasterSettings,
    /// The node that is the master in the configuration in force.
    pub(super) node: NodeId,
    /// By the text of their addresses.
    pub(super) replicas: BTreeMap<Arc<str>, NodeId>,
    pub(super) sentinels: BTreeMap<RunId, Sentinel>,
    pub(super) config_epoch: Epoch,
    pub(super) leader_epoch: Epoch,
    pub(super) leader: Option<RunId>,
    /// The last vote that is on disk.
    pub(super) durable_vote: (Option<RunId>, Epoch),
    /// The voter set without this sentinel (S2).
    pub(super) voters: BTreeSet<RunId>,
    /// After a RESET: who of the old voter set was heard again (S10).
    pub(super) heard_since_reset: Option<BTreeSet<RunId>>,
    /// When this entry was made or RESET last.
    pub(super) reset_at: Time,
    /// The largest voter set that a Vigía peer told of in the present election, this sentinel included.
    pub(super) voter_hint: usize,
    /// When RESET … FORCE made it know no other sentinel, if it did: it listens first.
    pub(super) alone_since: Time,
    pub(super) odown: Option<Time>,
    /// When the present SDOWN's next round of asking is due, and how many there were.
    pub(super) ask_round: u32,
    pub(super) failover: Failover,
    pub(super) candidacy: Candidacy,
    /// The replicas are being reconfigured after a failover that this sentinel led.
    pub(super) job: Option<Job>,
    /// The config epoch in force was won by this sentinel, or by whom.
    pub(super) led_by: Option<RunId>,
    /// When the others were asked last whether a failover may be under way.
    pub(super) calm_asked: Option<Time>,
    /// Number of the last change that others may see only when it is durable.
    pub(super) seq: Seq,
    /// Number of the last change of the configuration in force: detailed answers wait for it, so that
    /// they never run ahead of the published view.
    pub(super) config_seq: Seq,
    /// Replication ids seen on this group's master, latest last.
    pub(super) lineage: VecDeque<Arc<str>>,
    /// The view that was published last.
    pub(super) view: Option<Arc<MasterView>>,
}

impl Master {
    /// D.
    pub(super) fn down_after(&self) -> Span {
        Span::from(self.settings.down_after)
    }
}
