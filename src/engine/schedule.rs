//! The timers of the engine: set, cancel and take the earliest in O(log n), never a scan.

use std::collections::{BTreeMap, BTreeSet};

use super::instance::{MasterId, NodeId, PeerId};
use super::time::Time;

/// Every timer of the engine, and so every reason to wait. The table with the reasons stands in the
/// crate documentation; any wait that is not one of these is a bug.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wake {
    /// The next PING, INFO or hello to a data node, or its hung link to be replaced.
    Beat(NodeId),
    /// The next PING or hello to another sentinel, or its hung link to be replaced.
    PeerBeat(PeerId),
    /// The next attempt to connect to a data node, or the end of a hanging one.
    Connect(NodeId),
    /// The next attempt to connect to another sentinel, or the end of a hanging one.
    PeerConnect(PeerId),
    /// A data node becomes SDOWN unless something is heard.
    Down(NodeId),
    /// Another sentinel becomes SDOWN unless something is heard.
    PeerDown(PeerId),
    /// The next round of asking the other sentinels about a master that is SDOWN.
    Ask(MasterId),
    /// This sentinel's turn to stand for election.
    Candidacy(MasterId),
    /// The running step of a failover takes too long, or its next look is due.
    Failover(MasterId),
    /// The reconfiguration of the replicas: next look, or its time-out.
    Reconf(MasterId),
    /// A host name is looked up again, or what waits for one has waited for too long.
    Names,
    /// Try again to save the state.
    Save,
    /// A script may run again, or runs for too long.
    Scripts,
    /// The end of TILT.
    Tilt,
    /// Shows whether this process runs.
    Pulse,
}

/// A table of at most one deadline for each [`Wake`].
#[derive(Debug, Default)]
pub(super) struct Schedule {
    by_wake: BTreeMap<Wake, Time>,
    by_time: BTreeSet<(Time, Wake)>,
}

impl Schedule {
    /// Sets the deadline of `wake`; an earlier one of the same name is replaced.
    pub(super) fn set(&mut self, wake: Wake, at: Time) {
        if let Some(old) = self.by_wake.insert(wake, at) {
            if old == at {
                return;
            }
            self.by_time.remove(&(old, wake));
        }
        self.by_time.insert((at, wake));
    }

    /// Sets the deadline of `wake` unless an earlier one stands.
    pub(super) fn set_earlier(&mut self, wake: Wake, at: Time) {
        if self.by_wake.get(&wake).is_none_or(|old| at < *old) {
            self.set(wake, at);
        }
    }

    /// Forgets the deadline of `wake`.
    pub(super) fn cancel(&mut self, wake: Wake) {
        if let Some(old) = self.by_wake.remove(&wake) {
            self.by_time.remove(&(old, wake));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<(Time, Wake)> {
        self.by_time.first().copied()
    }

    /// Takes the earliest deadline that `now` has reached.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Wake> {
        let (at, wake) = self.next().filter(|(at, _)| *at <= now)?;
        self.by_time.remove(&(at, wake));
        self.by_wake.remove(&wake);
        Some(wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_only_when_due() {
        let mut schedule = Schedule::default();
        schedule.set(Wake::Beat(NodeId(2)), Time(20));
        schedule.set(Wake::Beat(NodeId(1)), Time(10));
        schedule.set(Wake::Save, Time(15));
        schedule.set(Wake::Save, Time(5));
        schedule.cancel(Wake::Beat(NodeId(2)));
        schedule.set_earlier(Wake::Beat(NodeId(1)), Time(30));

        assert_eq!(schedule.next(), Some((Time(5), Wake::Save)));
        assert_eq!(schedule.take_due(Time(4)), None);
        assert_eq!(schedule.take_due(Time(50)), Some(Wake::Save));
        assert_eq!(schedule.take_due(Time(50)), Some(Wake::Beat(NodeId(1))));
        assert_eq!(schedule.take_due(Time(50)), None);
    }
}
