//! What must survive a crash.

use super::ids::{Addr, Epoch, MasterName, RunId, Seq};
use super::settings::{Globals, MasterSettings};

/// The whole durable state: loaded at start, written after every change that others may see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// Options of the process, `myid` included.
    pub globals: Globals,
    /// `current-epoch`.
    pub current_epoch: Epoch,
    /// Every monitored master, ordered by name.
    pub masters: Vec<MasterState>,
}

/// The durable state of one master.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MasterState {
    /// Its name.
    pub name: MasterName,
    /// Its current address: the promoted replica's as soon as the promotion is verified.
    pub addr: Addr,
    /// Its options.
    pub settings: MasterSettings,
    /// `config-epoch`: version of `addr`.
    pub config_epoch: Epoch,
    /// `leader-epoch`: the last epoch voted in.
    pub leader_epoch: Epoch,
    /// Whom the vote of `leader_epoch` went to. Kept beside the config file (stock forgets it).
    pub leader: Option<RunId>,
    /// `known-replica` lines.
    pub replicas: Vec<Addr>,
    /// `known-sentinel` lines: the other sentinels.
    pub sentinels: Vec<(RunId, Addr)>,
    /// The voter set without this sentinel: base of the majority (S2, S10). A superset of
    /// `sentinels` after a RESET. Kept beside the config file.
    pub voters: Vec<RunId>,
}

/// A state to write, with the number of the last change in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// Everything up to this change is in `state`.
    pub seq: Seq,
    /// The state.
    pub state: State,
}
