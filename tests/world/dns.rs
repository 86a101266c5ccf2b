//! The names of the world: what they stand for now, and resolvers that fail or hang.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use vigia::engine::{Addr, Input, Span};

use super::oracles::{Hello, Sight};
use super::queue::Plan;
use super::{Body, Pid, World};

/// How long the system's resolver tries before it gives up.
const RESOLVER_TIMEOUT: Span = Span::secs(10);

/// All names.
#[derive(Debug, Default)]
pub struct Dns {
    hosts: BTreeMap<String, Pid>,
    /// Names for which the name server says no.
    pub unknown: BTreeSet<String>,
    /// Names for which it says nothing.
    pub hanging: BTreeSet<String>,
    /// Lookups so far.
    pub asked: BTreeMap<String, usize>,
    /// Where processes listened before they moved.
    past: BTreeMap<Addr, Pid>,
    homes: BTreeMap<Pid, Addr>,
}

impl Dns {
    /// Every name.
    pub fn names(&self) -> Vec<String> {
        self.hosts.keys().cloned().collect()
    }

    fn pid(&self, host: &str) -> Option<Pid> {
        self.hosts.get(&host.to_ascii_lowercase()).copied()
    }
}

impl World {
    /// Gives a process a name, and says it as an address.
    pub fn name_host(&mut self, host: &str, pid: Pid) -> Addr {
        self.dns.hosts.insert(host.to_owned(), pid);
        Addr::new(host, self.procs[pid.0].addr.port)
    }

    /// A dead process is started again somewhere else; its names follow it.
    pub fn start_elsewhere(&mut self, pid: Pid, ip: &str) {
        let new = Addr::new(ip, self.procs[pid.0].addr.port);
        let old = std::mem::replace(&mut self.procs[pid.0].addr, new);
        tell!(self, "{} moves from {old} to {ip}", self.name(pid));
        self.dns.homes.entry(pid).or_insert_with(|| old.clone());
        self.dns.past.insert(old, pid);
        self.start(pid);
    }

    /// The process that listens at `addr` now.
    pub fn at(&self, addr: &Addr) -> Option<Pid> {
        let named = self.dns.pid(&addr.host).filter(|pid| self.procs[pid.0].addr.port == addr.port);
        named.or_else(|| self.procs.iter().position(|proc| proc.addr.same_as(addr)).map(Pid))
    }

    /// The first address of the process that is or was at `addr`: the oracles know processes by that.
    fn home(&self, addr: &Addr) -> Addr {
        let Some(pid) = self.at(addr).or_else(|| self.dns.past.get(addr).copied()) else {
            return addr.clone();
        };
        self.dns.homes.get(&pid).unwrap_or(&self.procs[pid.0].addr).clone()
    }

    /// A sentinel looks a name up.
    pub(crate) fn look_up(&mut self, pid: Pid, host: &Arc<str>) {
        tell!(self, "{} looks up {host}", self.name(pid));
        *self.dns.asked.entry(host.to_string()).or_default() += 1;
        let wait = match self.dns.hanging.contains(&**host) {
            true => RESOLVER_TIMEOUT,
            false => Span(self.rng.within((50, 2_000))),
        };
        let life = self.procs[pid.0].life;
        self.queue.push(self.now + wait, Plan::LookedUp { pid, life, host: Arc::clone(host) });
    }

    pub(crate) fn on_looked_up(&mut self, pid: Pid, life: u32, host: &str) {
        let proc = &self.procs[pid.0];
        if !proc.alive || proc.life != life || !matches!(proc.body, Body::Sentinel(_)) {
            return;
        }
        let bad = self.dns.unknown.contains(host) || self.dns.hanging.contains(host);
        let found =
            self.dns.pid(host).filter(|_| !bad).and_then(|pid| self.procs[pid.0].addr.host.parse().ok());
        let ips: Vec<IpAddr> = found.into_iter().collect();
        tell!(self, "{} resolved {host} {ips:?}", self.name(pid));
        self.feed(pid, Input::Resolved { host, ips: &ips });
    }

    /// Shows `see` what can be seen with every address as the [`World::home`] of its process.
    pub(crate) fn seen_at_home(
        &self,
        sight: &Sight,
        see: &mut dyn FnMut(&Sight) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.dns.hosts.is_empty() {
            return see(sight);
        }
        match *sight {
            Sight::Saved { sentinel, state } => {
                let mut state = state.clone();
                for master in &mut state.masters {
                    master.addr = self.home(&master.addr);
                }
                see(&Sight::Saved { sentinel, state: &state })
            }
            Sight::Hello { sentinel, hello } => {
                let hello = Hello { addr: self.home(&hello.addr), ..hello.clone() };
                see(&Sight::Hello { sentinel, hello: &hello })
            }
            Sight::View { sentinel, view } => {
                let mut view = view.clone();
                view.addr = self.home(&view.addr);
                view.configured = self.home(&view.configured);
                see(&Sight::View { sentinel, view: &view })
            }
            Sight::Demoted { group, node, to } => {
                see(&Sight::Demoted { group, node: &self.home(node), to: &self.home(to) })
            }
            _ => see(sight),
        }
    }
}
