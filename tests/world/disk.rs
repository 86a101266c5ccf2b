//! The modelled disk of a sentinel: one write in flight, later changes coalesce into the next.

use vigia::engine::{Input, Seq, Snapshot, Span, State};

use super::oracles::Sight;
use super::queue::Plan;
use super::{Arrival, Pid, World};

/// How the disk behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskMode {
    /// Every write ends well.
    Works,
    /// Every write ends with an error; some of them reach the disk nevertheless.
    Fails,
    /// No write ends.
    Hangs,
}

/// The disk.
#[derive(Debug)]
pub struct Disk {
    /// How it behaves now.
    pub mode: DiskMode,
    /// What a restart would find.
    pub durable: State,
    in_flight: Option<Snapshot>,
    wanted: Option<Seq>,
    writes: u64,
    given_up: bool,
    /// Writes that failed, hung, or were lost in a crash.
    pub lost: u64,
}

/// An unanswered write counts as failed after this time.
const GIVE_UP: Span = Span::secs(1);

impl Disk {
    /// A disk that holds `state`.
    pub fn new(state: State) -> Self {
        Self {
            mode: DiskMode::Works,
            durable: state,
            in_flight: None,
            wanted: None,
            writes: 0,
            given_up: false,
            lost: 0,
        }
    }
}

impl World {
    /// Changes how a sentinel's disk behaves. A write that hung ends when the disk works again.
    pub fn set_disk(&mut self, pid: Pid, mode: DiskMode) {
        tell!(self, "{} disk {mode:?}", self.name(pid));
        self.sight(&Sight::Cause { at: self.now });
        let was = std::mem::replace(&mut self.sentinel_mut(pid).disk.mode, mode);
        if was == DiskMode::Hangs && mode != DiskMode::Hangs {
            let life = self.procs[pid.0].life;
            self.queue.push(self.now + Span::ms(1), Plan::Disk { pid, life });
        }
    }

    pub(crate) fn save(&mut self, pid: Pid, seq: Seq) {
        let life = self.procs[pid.0].life;
        let disk = &mut self.sentinel_mut(pid).disk;
        disk.wanted = disk.wanted.max(Some(seq));
        if disk.in_flight.is_none() {
            self.start_write(pid);
        } else {
            let write = disk.writes;
            self.queue.push(self.now + GIVE_UP, Plan::DiskTimeout { pid, life, write });
        }
    }

    fn start_write(&mut self, pid: Pid) {
        let life = self.procs[pid.0].life;
        let took = Span(self.rng.within(self.options.disk_us));
        let sentinel = self.sentinel_mut(pid);
        let Some(wanted) = sentinel.disk.wanted.take() else { return };
        let snapshot = sentinel.engine.snapshot();
        let covered = snapshot.seq;
        sentinel.disk.in_flight = Some(snapshot);
        sentinel.disk.given_up = false;
        sentinel.disk.writes += 1;
        let (write, mode) = (sentinel.disk.writes, sentinel.disk.mode);
        if covered < wanted {
            self.fail(&format!("Save({}) was asked for, the snapshot covers {} only", wanted.0, covered.0));
        }
        if mode != DiskMode::Hangs {
            self.queue.push(self.now + took, Plan::Disk { pid, life });
        }
        self.queue.push(self.now + GIVE_UP, Plan::DiskTimeout { pid, life, write });
    }

    pub(crate) fn on_disk(&mut self, pid: Pid, life: u32) {
        if self.procs[pid.0].life != life || !self.procs[pid.0].alive {
            return;
        }
        let lands = self.rng.one_in(2);
        let disk = &mut self.sentinel_mut(pid).disk;
        if disk.mode == DiskMode::Hangs {
            return;
        }
        let Some(snapshot) = disk.in_flight.take() else { return };
        let (works, given_up) = (disk.mode == DiskMode::Works, disk.given_up);
        disk.lost += u64::from(!works);
        if works || lands {
            self.landed(pid, &snapshot);
        }
        let told = (!given_up).then_some((snapshot.seq, works));
        self.arrive(pid, Arrival::Disk(told));
    }

    fn landed(&mut self, pid: Pid, snapshot: &Snapshot) {
        self.sentinel_mut(pid).disk.durable = snapshot.state.clone();
        let name = self.name_of(pid);
        self.sight(&Sight::Saved { sentinel: &name, state: &snapshot.state });
    }

    pub(crate) fn on_disk_timeout(&mut self, pid: Pid, life: u32, write: u64) {
        if self.procs[pid.0].life != life || !self.procs[pid.0].alive {
            return;
        }
        let disk = &mut self.sentinel_mut(pid).disk;
        let Some(stuck) = disk.in_flight.as_ref().filter(|_| disk.writes == write).map(|s| s.seq) else {
            return;
        };
        if disk.given_up && disk.wanted.is_none() {
            return;
        }
        let seq = disk.wanted.take().unwrap_or(stuck).max(stuck);
        disk.given_up = true;
        disk.lost += 1;
        self.arrive(pid, Arrival::Disk(Some((seq, false))));
    }

    pub(crate) fn disk_told(&mut self, pid: Pid, told: Option<(Seq, bool)>) {
        if let Some((seq, works)) = told {
            let input = if works { Input::Persisted(seq) } else { Input::PersistFailed(seq) };
            self.feed(pid, input);
        }
        if self.sentinel(pid).disk.in_flight.is_none() {
            self.start_write(pid);
        }
    }

    /// A process died during a write: the rename happened or it did not.
    pub(crate) fn disk_at_crash(&mut self, pid: Pid) {
        let lands = self.rng.one_in(2);
        let disk = &mut self.sentinel_mut(pid).disk;
        disk.wanted = None;
        let Some(snapshot) = disk.in_flight.take() else { return };
        if lands && disk.mode != DiskMode::Hangs {
            self.landed(pid, &snapshot);
        } else if lands {
            // The file beside the configuration was replaced, the configuration itself was not.
            let torn = torn(&disk.durable, &snapshot.state);
            disk.lost += 1;
            disk.durable = torn;
        } else {
            disk.lost += 1;
        }
    }
}

/// What a restart finds when only the file beside the configuration is new: its voters and those that the
/// configuration names, and a vote only if it is of the epoch that the configuration knows.
fn torn(old: &State, new: &State) -> State {
    let mut state = old.clone();
    for master in &mut state.masters {
        let Some(beside) = new.masters.iter().find(|other| other.name == master.name) else { continue };
        let known = master.sentinels.iter().map(|(run_id, _)| run_id.clone());
        let mut voters = beside.voters.clone();
        voters.extend(known.filter(|run_id| !beside.voters.contains(run_id)));
        master.voters = voters;
        let same = beside.leader_epoch == master.leader_epoch;
        master.leader = beside.leader.clone().filter(|_| same);
    }
    state
}
