//! Replication between the modelled data nodes: links, offsets, histories.

use vigia::engine::{Span, Time};

use super::node::{ReplLink, Role};
use super::queue::Plan;
use super::{Body, Pid, World};

/// `repl-timeout`: a silent master is given up.
const REPL_TIMEOUT: Span = Span::secs(60);

/// How often replicas without a link try again.
const CRON: Span = Span::secs(1);

impl World {
    /// Replicas that are linked to this node and hear it.
    pub(crate) fn followers(&self, of: Pid) -> Vec<Pid> {
        self.nodes().into_iter().filter(|pid| self.heard_master(*pid) == Some(of)).collect()
    }

    /// Replicas whose link to this node stands, as the node itself lists them.
    pub(crate) fn listed_replicas(&self, of: Pid) -> Vec<Pid> {
        let life = self.procs[of.0].life;
        self.nodes()
            .into_iter()
            .filter(|pid| {
                self.procs[pid.0].alive
                    && matches!(self.node(*pid).link, ReplLink::Up { via, life: at, .. } if via == of && at == life)
            })
            .collect()
    }

    /// The master from which this node's data flow now.
    fn heard_master(&self, pid: Pid) -> Option<Pid> {
        match self.node(pid).link {
            ReplLink::Up { via, life, .. } => {
                let master = &self.procs[via.0];
                let flows = self.procs[pid.0].alive
                    && master.alive
                    && master.life == life
                    && !master.stopped
                    && !self.procs[pid.0].stopped
                    && self.linked(pid, via);
                flows.then_some(via)
            }
            ReplLink::None | ReplLink::Down { .. } | ReplLink::Syncing { .. } => None,
        }
    }

    /// The replication offset of a node now.
    pub fn offset(&self, pid: Pid) -> u64 {
        self.offset_within(pid, self.nodes().len())
    }

    fn offset_within(&self, pid: Pid, hops: usize) -> u64 {
        let node = self.node(pid);
        match node.role {
            Role::Master if self.procs[pid.0].alive && !self.procs[pid.0].stopped => {
                let passed = self.now.since(node.offset_at).0;
                node.offset + node.rate * passed / 1_000_000
            }
            Role::Master => node.offset,
            Role::Replica(_) => match self.heard_master(pid) {
                Some(master) if hops > 0 => self.offset_within(master, hops - 1).max(node.offset),
                _ => node.offset,
            },
        }
    }

    /// Notes every offset as it is now: before anything changes who follows whom.
    pub(crate) fn settle(&mut self) {
        let now = self.now;
        let offsets: Vec<(Pid, u64)> = self.nodes().into_iter().map(|pid| (pid, self.offset(pid))).collect();
        for (pid, offset) in offsets {
            let node = self.node_mut(pid);
            node.offset = offset;
            node.offset_at = now;
        }
    }

    /// After a change of processes or paths: links that are seen to be broken go down.
    pub(crate) fn check_replication(&mut self) {
        let now = self.now;
        for pid in self.nodes() {
            let ReplLink::Up { via, life, silent } = self.node(pid).link else { continue };
            if !self.procs[pid.0].alive {
                continue;
            }
            let master = &self.procs[via.0];
            let gone = !master.alive || master.life != life;
            let silent_now = gone || master.stopped || !self.linked(pid, via);
            let broken = gone && self.linked(pid, via);
            let given_up = silent.is_some_and(|at| now.since(at) >= REPL_TIMEOUT);
            self.node_mut(pid).link = if broken || given_up {
                ReplLink::Down { since: Some(now) }
            } else {
                ReplLink::Up { via, life, silent: silent_now.then(|| silent.unwrap_or(now)) }
            };
        }
    }

    /// A node that became a replica drops its own replicas; they come back by themselves.
    pub(crate) fn break_followers(&mut self, of: Pid) {
        let now = self.now;
        for pid in self.nodes() {
            if matches!(self.node(pid).link, ReplLink::Up { via, .. } if via == of) {
                self.node_mut(pid).link = ReplLink::Down { since: Some(now) };
            }
        }
    }

    /// Begins a handshake if the master can be reached.
    pub(crate) fn try_sync(&mut self, pid: Pid) {
        let ReplLink::Down { since } = self.node(pid).link else { return };
        let Role::Replica(addr) = self.node(pid).role.clone() else { return };
        let Some(master) = self.at(&addr).filter(|master| *master != pid) else { return };
        if !self.can_sync(pid, master) {
            return;
        }
        let life = self.procs[pid.0].life;
        let node = self.node_mut(pid);
        node.link = ReplLink::Syncing { since };
        node.handshake += 1;
        let (handshake, sync) = (node.handshake, node.sync);
        self.queue.push(self.now + sync, Plan::Synced { pid, life, handshake });
    }

    fn can_sync(&self, pid: Pid, master: Pid) -> bool {
        let (replica, proc) = (&self.procs[pid.0], &self.procs[master.0]);
        let Body::Node(node) = &proc.body else { return false };
        let serves = match node.role {
            Role::Master => true,
            Role::Replica(_) => matches!(node.link, ReplLink::Up { .. }),
        };
        let both = replica.alive && !replica.stopped && proc.alive && !proc.stopped;
        both && !node.loading && serves && self.linked(pid, master)
    }

    pub(crate) fn on_synced(&mut self, pid: Pid, life: u32, handshake: u32) {
        if !self.procs[pid.0].alive || self.procs[pid.0].life != life || self.node(pid).handshake != handshake
        {
            return;
        }
        let ReplLink::Syncing { since } = self.node(pid).link else { return };
        let Role::Replica(addr) = self.node(pid).role.clone() else { return };
        let Some(master) = self.at(&addr).filter(|master| self.can_sync(pid, *master)) else {
            self.node_mut(pid).link = ReplLink::Down { since };
            return;
        };
        self.settle();
        let (replid, replid2) = (self.node(master).replid.clone(), self.node(master).replid2.clone());
        let (offset, via_life) = (self.node(master).offset, self.procs[master.0].life);
        let node = self.node_mut(pid);
        node.replid = replid;
        node.replid2 = replid2;
        node.offset = offset;
        node.link = ReplLink::Up { via: master, life: via_life, silent: None };
        tell!(self, "{} linked to {}", self.name(pid), self.name(master));
    }

    pub(crate) fn on_replication_cron(&mut self) {
        self.check_replication();
        for pid in self.nodes() {
            self.try_sync(pid);
        }
        self.queue.push(self.now + CRON, Plan::ReplicationCron);
    }

    pub(crate) fn on_loaded(&mut self, pid: Pid, life: u32) {
        if self.procs[pid.0].life == life && self.procs[pid.0].alive {
            self.node_mut(pid).loading = false;
            self.try_sync(pid);
        }
    }

    /// Seconds since a replica's link is down, as INFO shows them.
    pub(crate) fn link_down_seconds(&self, since: Option<Time>) -> i64 {
        since.map_or(-1, |at| (self.now.since(at).as_ms() / 1_000) as i64)
    }
}
