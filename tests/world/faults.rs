//! What goes wrong: kills, hangs, cuts, and their repair.

use vigia::engine::{Evidence, Input, Span};

use super::node::{ReplLink, Role};
use super::oracles::Sight;
use super::queue::Plan;
use super::{Body, Pid, World};

impl World {
    pub(crate) fn fault(&mut self, line: &str) {
        tell!(self, "FAULT {line}");
        self.settle();
        self.sight(&Sight::Cause { at: self.now });
    }

    /// Nothing is cut, stopped, or off the network: an observer could trust what it sees.
    pub fn is_whole(&self) -> bool {
        self.weather.is_calm()
            && self.cuts.is_empty()
            && self.procs.iter().all(|proc| proc.host_up && !proc.stopped)
    }

    /// `kill -9`: the kernel resets every connection.
    pub fn kill(&mut self, pid: Pid) {
        self.fault(&format!("kill {}", self.name(pid)));
        self.end(pid, true);
    }

    /// The host is off: nobody is told anything.
    pub fn host_down(&mut self, pid: Pid) {
        self.fault(&format!("host of {} down", self.name(pid)));
        self.procs[pid.0].host_up = false;
        self.end(pid, false);
    }

    fn end(&mut self, pid: Pid, told: bool) {
        if !self.procs[pid.0].alive {
            return;
        }
        if self.is_vigia(pid) {
            self.disk_at_crash(pid);
        }
        let proc = &mut self.procs[pid.0];
        proc.alive = false;
        proc.stopped = false;
        proc.life += 1;
        proc.inbox.clear();
        self.drop_connections(pid, told);
        self.check_replication();
    }

    fn is_vigia(&self, pid: Pid) -> bool {
        matches!(self.procs[pid.0].body, Body::Sentinel(_))
    }

    /// Starts a process (and its host) again with what its disk holds.
    pub fn start(&mut self, pid: Pid) {
        self.start_loading(pid, Span::ZERO);
    }

    /// The same; a data node answers LOADING for a while.
    pub fn start_loading(&mut self, pid: Pid, loading: Span) {
        self.fault(&format!("start {}", self.name(pid)));
        let proc = &mut self.procs[pid.0];
        proc.host_up = true;
        if proc.alive {
            return;
        }
        proc.alive = true;
        proc.life += 1;
        let (life, now, clock) = (proc.life, self.now, proc.clock);
        let (run_id, replid, seed) = (self.rng.run_id(), self.rng.run_id(), self.rng.next());
        match &mut self.procs[pid.0].body {
            Body::Node(node) => {
                node.run_id = run_id;
                node.replid = replid;
                node.replid2 = None;
                node.role = node.saved_role.clone();
                node.link = match node.role {
                    Role::Master => ReplLink::None,
                    Role::Replica(_) => ReplLink::Down { since: None },
                };
                node.handshake += 1;
                node.offset = 0;
                node.offset_at = now;
                node.started = now;
                node.loading = loading > Span::ZERO;
                self.check_replication();
                if loading > Span::ZERO {
                    self.queue.push(now + loading, Plan::Loaded { pid, life });
                } else {
                    self.try_sync(pid);
                }
            }
            Body::Sentinel(sentinel) => {
                sentinel.restart(seed, clock.local(now));
                self.started(pid);
            }
            Body::Stock(stock) => {
                stock.restart(now);
                self.queue.push(now + Span::ms(1), Plan::StockTick { pid, life });
            }
        }
    }

    /// SIGSTOP: connections are accepted by the kernel, nothing is read or sent.
    pub fn stop(&mut self, pid: Pid) {
        self.fault(&format!("stop {}", self.name(pid)));
        if self.procs[pid.0].alive {
            self.procs[pid.0].stopped = true;
        }
        self.check_replication();
    }

    /// SIGCONT: what queued up is read first, then the timers fire.
    pub fn cont(&mut self, pid: Pid) {
        self.fault(&format!("continue {}", self.name(pid)));
        if !std::mem::take(&mut self.procs[pid.0].stopped) {
            return;
        }
        self.check_replication();
        if matches!(self.procs[pid.0].body, Body::Sentinel(_)) {
            // The runtime tells first that it was late: it did not compute, and was not ready to.
            self.feed_late(pid, Input::Late(Evidence { waited: Some(Span::ZERO), ..Evidence::default() }));
        }
        while let Some(arrival) = self.procs[pid.0].inbox.pop_front() {
            if self.procs[pid.0].alive {
                self.arrive(pid, arrival);
            }
        }
        match &self.procs[pid.0].body {
            Body::Sentinel(_) => self.feed(pid, Input::Tick),
            Body::Stock(_) => {
                let life = self.procs[pid.0].life;
                self.queue.push(self.now, Plan::StockTick { pid, life });
            }
            Body::Node(_) => {}
        }
    }

    /// SIGSTOP now, SIGCONT after a while.
    pub fn pause(&mut self, pid: Pid, span: Span) {
        self.stop(pid);
        let life = self.procs[pid.0].life;
        self.queue.push(self.now + span, Plan::Continue { pid, life });
    }

    pub(crate) fn on_continue(&mut self, pid: Pid, life: u32) {
        if self.procs[pid.0].life == life {
            self.cont(pid);
        }
    }

    /// The clock of a process gains so many microseconds a second from now on.
    pub fn drift(&mut self, pid: Pid, ppm: i64) {
        self.fault(&format!("clock of {} drifts by {ppm} ppm", self.name(pid)));
        let now = self.now;
        self.procs[pid.0].clock.drift(now, ppm);
        self.clock_changed(pid);
    }

    /// The clock of a process skips ahead.
    pub fn jump(&mut self, pid: Pid, by: Span) {
        self.fault(&format!("clock of {} jumps by {} ms", self.name(pid), by.as_ms()));
        let now = self.now;
        self.procs[pid.0].clock.jump(now, by);
        self.clock_changed(pid);
    }

    /// A sentinel crashes after so many more effects: between any two of them.
    pub fn crash_after(&mut self, pid: Pid, effects: u32) {
        self.fault(&format!("{} will crash after {effects} effects", self.name(pid)));
        self.sentinel_mut(pid).crash_after = Some(effects);
    }

    /// No packet passes between the two sides.
    pub fn cut(&mut self, left: &[Pid], right: &[Pid]) {
        self.fault(&format!("cut {} | {}", self.names(left), self.names(right)));
        for a in left {
            for b in right {
                self.cuts.insert((*a, *b));
                self.cuts.insert((*b, *a));
            }
        }
        self.check_replication();
    }

    /// No packet passes from one side to the other.
    pub fn cut_one_way(&mut self, from: &[Pid], to: &[Pid]) {
        self.fault(&format!("cut {} > {}", self.names(from), self.names(to)));
        for a in from {
            for b in to {
                self.cuts.insert((*a, *b));
            }
        }
        self.check_replication();
    }

    /// Every cut is mended; what is stopped stays so.
    pub fn cuts_mended(&mut self) {
        self.fault("mend cuts");
        self.cuts.clear();
        self.check_replication();
    }

    /// Every cut is mended, every host is on, every stopped process continues. The dead stay dead.
    pub fn heal(&mut self) {
        self.fault("heal");
        self.cuts.clear();
        for at in 0..self.procs.len() {
            self.procs[at].host_up = true;
            if self.procs[at].stopped {
                self.cont(Pid(at));
            }
        }
        self.check_replication();
    }

    /// Closes every client connection of a node, as `CLIENT KILL TYPE normal` and `pubsub` by an operator.
    pub fn reset_clients(&mut self, pid: Pid) {
        self.fault(&format!("reset clients of {}", self.name(pid)));
        for id in self.conn_ids(|conn| conn.server == Some(pid) && conn.server_open) {
            self.close_server(id);
        }
    }

    /// Every process but these.
    pub fn others(&self, but: &[Pid]) -> Vec<Pid> {
        (0..self.procs.len()).map(Pid).filter(|pid| !but.contains(pid)).collect()
    }

    fn names(&self, pids: &[Pid]) -> String {
        pids.iter().map(|pid| self.name(*pid)).collect::<Vec<_>>().join(",")
    }
}
