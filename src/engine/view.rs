//! What the outside may read without asking the engine, and the shape of a detailed entry.

use std::sync::Arc;

use super::ids::{Addr, Epoch, MasterName};
use super::time::Time;

/// Published per master whenever one of its fields changes, before the event that announces it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MasterView {
    /// Its name.
    pub name: MasterName,
    /// What `GET-MASTER-ADDR-BY-NAME` answers: the promoted node as soon as that is durable.
    pub addr: Addr,
    /// The address in force, as `INFO` shows it.
    pub configured: Addr,
    /// How it looks to this sentinel.
    pub status: Status,
    /// All known replicas.
    pub replicas: usize,
    /// Known sentinels, this one included.
    pub sentinels: usize,
    /// Version of the address.
    pub config_epoch: Epoch,
}

/// State of a master in `INFO`: `ok`, `sdown`, `odown`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Up.
    Ok,
    /// Subjectively down.
    Sdown,
    /// Objectively down.
    Odown,
}

impl Status {
    /// The word in `INFO`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Sdown => "sdown",
            Self::Odown => "odown",
        }
    }
}

/// What `INFO` shows of the process as a whole; published when it changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// `sentinel_simulate_failure_flags`: 1 after the election, 2 after the promotion.
    pub simulate_failure: u8,
    /// Since when this process is in TILT.
    pub tilt: Option<Time>,
    /// `sentinel_total_tilt`: how often TILT began since the start.
    pub tilts: u64,
    /// `sentinel_running_scripts`.
    pub running_scripts: usize,
    /// `sentinel_scripts_queue_length`: the running ones included.
    pub queued_scripts: usize,
}

/// One instance entry, fields in wire order; all values are bulk strings (spec 02, section 3).
pub type Entry = Vec<(&'static str, Arc<str>)>;
