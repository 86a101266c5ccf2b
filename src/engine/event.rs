//! The event stream: one variant per wire name. Log, pub/sub, scripts and metrics hang off it.
//!
//! Source: spec 03, section 2.

use std::fmt;
use std::sync::Arc;

use super::ids::{Addr, Epoch, MasterName, RunId};
use super::time::Span;

/// How loud an event is: decides the log level character and whether scripts are called.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// `.`
    Debug,
    /// `-`
    Verbose,
    /// `*`
    Notice,
    /// `#`; calls the notification script when there is a subject.
    Warning,
}

/// The instance an event speaks of, as it was at that moment: `@` in the spec.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// `master <name> <ip> <port>`
    Master(MasterRef),
    /// `slave <name> <ip> <port> @ <master name> <master ip> <master port>`
    Replica {
        /// `ip:port`, fixed when the entry was made.
        name: Arc<str>,
        /// Its address.
        addr: Addr,
        /// Its master.
        master: MasterRef,
    },
    /// `sentinel <runid> <ip> <port> @ <master name> <master ip> <master port>`
    Sentinel {
        /// Its identity.
        run_id: RunId,
        /// Its address.
        addr: Addr,
        /// The master it watches with us.
        master: MasterRef,
    },
    /// None: the event is about this process itself and calls no script.
    Process,
}

impl Subject {
    /// The master whose scripts are called.
    pub fn master_name(&self) -> Option<&MasterName> {
        match self {
            Self::Master(master) | Self::Replica { master, .. } | Self::Sentinel { master, .. } => {
                Some(&master.name)
            }
            Self::Process => None,
        }
    }
}

/// A master's name and configured address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MasterRef {
    /// Its name.
    pub name: MasterName,
    /// Its address (unchanged until `+switch-master`).
    pub addr: Addr,
}

/// One event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// What happened: the channel it is published on.
    pub kind: Kind,
    /// Whom it concerns.
    pub subject: Subject,
    /// What follows the subject, with its leading blank; or the whole payload of a kind whose
    /// payload does not begin with the subject (see [`Kind::bare`]).
    pub detail: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $level:ident;)*) => {
        /// What an event says; the wire name is the channel.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every kind, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The wire name: channel and first word of the log line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How loud it is.
            pub fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)* }
            }
        }
    };
}

kinds! {
    /// A master is monitored from now on.
    Monitor = "+monitor", Warning;
    /// A master is no longer monitored.
    Unmonitor = "-monitor", Warning;
    /// SENTINEL RESET.
    ResetMaster = "+reset-master", Warning;
    /// An option was set at run time.
    Set = "+set", Warning;
    /// A replica was found, or re-created at a master switch.
    Slave = "+slave", Notice;
    /// Another sentinel was found.
    Sentinel = "+sentinel", Notice;
    /// A known sentinel came back under another address.
    SentinelAddressSwitch = "+sentinel-address-switch", Notice;
    /// Its entries under other masters followed.
    SentinelAddressUpdate = "+sentinel-address-update", Notice;
    /// A sentinel was forgotten by SENTINEL FORGET: Vigía's.
    ForgetSentinel = "+forget-sentinel", Notice;
    /// Another sentinel took over an address; the old one is removed.
    SentinelInvalidAddr = "+sentinel-invalid-addr", Notice;
    /// A node restarted: its run id changed.
    Reboot = "+reboot", Notice;
    /// The reported role changed to what we think.
    RoleChange = "+role-change", Verbose;
    /// The reported role changed to something else.
    RoleMismatch = "-role-change", Verbose;
    /// Subjectively down.
    Sdown = "+sdown", Warning;
    /// No longer subjectively down.
    SdownEnd = "-sdown", Warning;
    /// Objectively down.
    Odown = "+odown", Warning;
    /// No longer objectively down.
    OdownEnd = "-odown", Warning;
    /// The current epoch was raised.
    NewEpoch = "+new-epoch", Warning;
    /// A vote was cast.
    VoteForLeader = "+vote-for-leader", Warning;
    /// A failover started; the election is pending.
    TryFailover = "+try-failover", Warning;
    /// The election was won.
    ElectedLeader = "+elected-leader", Warning;
    /// Choosing the replica.
    StateSelectSlave = "+failover-state-select-slave", Warning;
    /// The election was lost, or timed out.
    AbortNotElected = "-failover-abort-not-elected", Warning;
    /// No replica may be promoted.
    AbortNoGoodSlave = "-failover-abort-no-good-slave", Warning;
    /// The replica to promote.
    SelectedSlave = "+selected-slave", Warning;
    /// About to promote it.
    StateSendSlaveofNoone = "+failover-state-send-slaveof-noone", Notice;
    /// The promotion was sent.
    StateWaitPromotion = "+failover-state-wait-promotion", Notice;
    /// The replica could not be promoted in time.
    AbortSlaveTimeout = "-failover-abort-slave-timeout", Warning;
    /// The replica reports that it is a master.
    PromotedSlave = "+promoted-slave", Warning;
    /// The other replicas are next.
    StateReconfSlaves = "+failover-state-reconf-slaves", Warning;
    /// A replica was told to follow the new master.
    SlaveReconfSent = "+slave-reconf-sent", Notice;
    /// It reports the new master's address.
    SlaveReconfInprog = "+slave-reconf-inprog", Notice;
    /// And its link is up.
    SlaveReconfDone = "+slave-reconf-done", Notice;
    /// It did not react in time.
    SlaveReconfSentTimeout = "-slave-reconf-sent-timeout", Notice;
    /// Told once more, best effort, at the failover's time-out.
    SlaveReconfSentBe = "+slave-reconf-sent-be", Notice;
    /// Not all replicas were reconfigured in time.
    FailoverEndForTimeout = "+failover-end-for-timeout", Warning;
    /// The failover is over.
    FailoverEnd = "+failover-end", Warning;
    /// Another sentinel has a newer configuration.
    ConfigUpdateFrom = "+config-update-from", Warning;
    /// Clients: the master is somewhere else now.
    SwitchMaster = "+switch-master", Warning;
    /// A node that claims to be a master was turned into a replica.
    ConvertToSlave = "+convert-to-slave", Notice;
    /// A replica of a wrong master was pointed at ours.
    FixSlaveConfig = "+fix-slave-config", Notice;
    /// This process did not run for longer than `tilt-trigger`.
    Tilt = "+tilt", Warning;
    /// `tilt-period` is over.
    TiltEnd = "-tilt", Warning;
    /// A script was started.
    ScriptChild = "+script-child", Debug;
    /// A script ended.
    ScriptChildEnd = "-script-child", Debug;
    /// A script failed for good, or no process could be made for it.
    ScriptError = "-script-error", Warning;
    /// A script ran for too long and is killed.
    ScriptTimeout = "-script-timeout", Warning;
    /// A command connection could not even be tried.
    CmdLinkReconnection = "-cmd-link-reconnection", Debug;
    /// A subscription connection could not even be tried.
    PubsubLinkReconnection = "-pubsub-link-reconnection", Debug;
    /// A step of a promotion or reconfiguration was refused by the node. Vigía's own.
    ReconfCommandFailed = "-reconf-command-failed", Warning;
    /// A forced failover goes on without a reachable majority. Vigía's own (DESIGN S8).
    ForcedWithoutMajority = "-failover-forced-without-majority", Warning;
    /// Two addresses under one config epoch; or a configuration reasserted. Vigía's own (DESIGN S8).
    ConfigConflict = "-config-conflict", Warning;
    /// A leader gave up its term before promoting. Vigía's own (DESIGN S9).
    StoodDown = "-failover-stood-down", Warning;
    /// A hello was rejected (epoch out of range, broken address). Vigía's own.
    HelloRejected = "-hello-rejected", Verbose;
}

impl Kind {
    /// Whether the payload is the detail alone, without the subject in front.
    pub fn bare(self) -> bool {
        matches!(self, Self::NewEpoch | Self::VoteForLeader | Self::SwitchMaster)
    }
}

impl Event {
    /// The message as published and logged after the channel name, cut at 1023 bytes.
    ///
    /// Source: spec 03, section 1.
    pub fn payload(&self) -> String {
        const LIMIT: usize = 1_023;
        let mut text =
            if self.kind.bare() { self.detail.clone() } else { format!("{}{}", self.subject, self.detail) };
        if text.len() > LIMIT {
            let end = (0..=LIMIT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        text
    }
}

/// The log line: `<type> <message>`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.payload())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master(master) => write!(f, "master {master}"),
            Self::Replica { name, addr, master } => {
                write!(f, "slave {name} {} {} @ {master}", addr.host, addr.port)
            }
            Self::Process => Ok(()),
            Self::Sentinel { run_id, addr, master } => {
                write!(f, "sentinel {run_id} {} {} @ {master}", addr.host, addr.port)
            }
        }
    }
}

impl fmt::Display for MasterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.addr.host, self.addr.port)
    }
}

/// A log line that is no event. Source: spec 03, section 3 (last paragraph); ours are marked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// `<sentinel runid> voted for <runid> <epoch>`
    Voted {
        /// Who voted.
        voter: RunId,
        /// For whom.
        leader: RunId,
        /// In which epoch.
        epoch: Epoch,
    },
    /// `Executing user requested FAILOVER of '<m>'`
    UserFailover(MasterName),
    /// `Next failover delay: I will not start a failover before <local time>`; the length of the delay.
    NextFailover(Span),
    /// Why a replica was passed over (ours).
    PassedOver {
        /// The master.
        master: MasterName,
        /// The replica's name.
        replica: Arc<str>,
        /// The reason, in words.
        reason: String,
    },
    /// The state could not be saved: votes and elections are suspended (ours).
    SavingFails,
    /// Saving works again (ours).
    SavingWorks,
    /// Anything else an operator should read (ours).
    Text {
        /// How loud.
        level: Level,
        /// The line.
        text: String,
    },
}

impl Note {
    /// How loud it is.
    pub fn level(&self) -> Level {
        match self {
            Self::Voted { .. } | Self::UserFailover(_) | Self::PassedOver { .. } | Self::SavingWorks => {
                Level::Notice
            }
            Self::SavingFails | Self::NextFailover(_) => Level::Warning,
            Self::Text { level, .. } => *level,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voted { voter, leader, epoch } => write!(f, "{voter} voted for {leader} {epoch}"),
            Self::UserFailover(master) => write!(f, "Executing user requested FAILOVER of '{master}'"),
            Self::NextFailover(delay) => {
                write!(f, "Next failover delay: I will not start a failover for {} ms", delay.as_ms())
            }
            Self::PassedOver { master, replica, reason } => {
                write!(f, "Replica {replica} of '{master}' passed over: {reason}")
            }
            Self::SavingFails => f.write_str(
                "The state cannot be saved: this sentinel goes on monitoring and serving, but does not vote and starts no failover until saving works again",
            ),
            Self::SavingWorks => f.write_str("The state can be saved again: votes and failovers are possible"),
            Self::Text { text, .. } => f.write_str(text),
        }
    }
}
