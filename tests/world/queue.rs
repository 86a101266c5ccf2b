//! What is going to happen: ordered by time, then by the order of planning.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigia::engine::Time;

use super::Pid;
use super::net::{ConnId, Way};

/// One planned happening.
#[derive(Clone, Debug)]
pub enum Plan {
    /// The first packet of a connection reaches the server's host.
    Syn { conn: ConnId, attempt: u32 },
    /// The server's answer to it reaches the client.
    SynAck { conn: ConnId, attempt: u32 },
    /// The other host's refusal reaches the client.
    Refused { conn: ConnId },
    /// The head of one direction of a connection arrives, or is sent again.
    Pump { conn: ConnId, way: Way },
    /// The disk is done with a write.
    Disk { pid: Pid, life: u32 },
    /// A write that was asked for is not answered within a second.
    DiskTimeout { pid: Pid, life: u32, write: u64 },
    /// A replica's handshake with its master is through.
    Synced { pid: Pid, life: u32, handshake: u32 },
    /// Replicas without a link try again.
    ReplicationCron,
    /// A restarted node has loaded its data.
    Loaded { pid: Pid, life: u32 },
    /// A lookup of a name ends.
    LookedUp { pid: Pid, life: u32, host: Arc<str> },
    /// The timer of a modelled stock sentinel.
    StockTick { pid: Pid, life: u32 },
    /// A process that paused goes on.
    Continue { pid: Pid, life: u32 },
}

/// The plan.
#[derive(Debug, Default)]
pub struct Queue {
    plans: BTreeMap<(Time, u64), Plan>,
    nonce: u64,
}

impl Queue {
    /// Plans something.
    pub fn push(&mut self, at: Time, plan: Plan) {
        self.nonce += 1;
        self.plans.insert((at, self.nonce), plan);
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.plans.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing.
    pub fn pop(&mut self) -> Option<(Time, Plan)> {
        self.plans.pop_first().map(|((at, _), plan)| (at, plan))
    }
}
