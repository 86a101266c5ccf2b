//! Host names in the engine: when they are looked up, what waits for that, and what changes with the answer.
//!
//! A lookup is asked for by [`Output::Resolve`] and answered by [`super::Input::Resolved`]; a link to a
//! name waits a moment for a fresh answer and then takes the last good one, so a resolver that hangs delays
//! what is known by no more than that moment, and what is known by IP not at all.
//!
//! Source: spec 07, section 3; DESIGN section 5; watched on redis-sentinel 7.0.15.
//! Differs: stock looks names up while everything else waits, and knows replicas by the text that it
//! shows, so that a name that moves or a change of `announce-hostnames` makes a second entry of one replica.

use std::net::IpAddr;
use std::sync::Arc;

use super::Engine;
use super::LinkOwner;
use super::event::{Level, Note};
use super::ids::{Addr, Epoch, MasterName};
use super::info::{self, Role};
use super::instance::{MasterId, NodeId, Phase};
use super::names::{Name, Parked, User, is_name};
use super::numeric::numeric;
use super::output::{Answer, Output};
use super::schedule::Wake;
use super::time::{Span, Time};

/// An answer that is not older than this is fresh: both links of a node share one.
const FRESH: Span = Span::ms(200);
/// Pause before a name that could not be resolved is looked up again.
const RETRY: Span = Span::secs(1);
/// How long a link waits for the lookup of a name that has an answer, and never longer than the pause
/// between two attempts.
const LINK_PATIENCE: Span = Span::ms(500);
/// How long a hello, a question or an INFO with a new name waits.
const PATIENCE: Span = Span::ms(500);
/// How long an operator who asked for a lookup waits.
pub(super) const OPERATOR_PATIENCE: Span = Span::secs(5);
/// How often the log is told of a name that cannot be resolved.
const TELL: Span = Span::secs(60);

/// Where a link goes.
pub(super) enum Route {
    /// There.
    To(IpAddr),
    /// Nowhere before this time, or before the name is resolved.
    Wait(Time),
}

impl Engine {
    /// Whether two addresses are one: equal ports, and equal hosts (ignoring case) or an IP in common.
    pub(super) fn same(&self, a: &Addr, b: &Addr) -> bool {
        a.same_as(b) || (a.port == b.port && self.names.meet(&a.host, &b.host))
    }

    /// An address as replies and events show it: the IP, empty if there is none, or with `announce-hostnames
    /// yes` the name as it was configured or learned.
    pub(super) fn shown(&self, addr: &Addr) -> Addr {
        match self.names.get(&addr.host) {
            Some(name) if !self.globals.announce_hostnames => {
                Addr { host: name.texts().first().cloned().unwrap_or_default(), port: addr.port }
            }
            Some(_) | None => addr.clone(),
        }
    }

    /// An address as others can use it, in the config file, in hellos and in commands: as it is shown, or the
    /// name while there is no IP.
    ///
    /// Differs: stock writes nothing in its place, and does not start from such a file again.
    pub(super) fn usable(&self, addr: &Addr) -> Addr {
        let shown = self.shown(addr);
        if shown.host.is_empty() { addr.clone() } else { shown }
    }

    /// An address as it is saved: as others can use it, but by its IP where a name could not be read back.
    ///
    /// Differs: with `announce-hostnames yes`, stock saves names after `resolve-hostnames no`, and does not start
    /// from such a file again.
    pub(super) fn saved(&self, addr: &Addr) -> Addr {
        let ip = self.names.get(&addr.host).and_then(|name| name.texts().first().cloned());
        match ip.filter(|_| !self.globals.resolve_hostnames) {
            Some(host) => Addr { host, port: addr.port },
            None => self.usable(addr),
        }
    }

    /// The usable address of a master.
    pub(super) fn usable_master(&self, id: MasterId) -> Option<Addr> {
        Some(self.usable(&self.nodes.get(&self.masters.get(&id)?.node)?.addr))
    }

    /// Whether a host may be used: numeric, or any name with `resolve-hostnames yes`.
    pub(super) fn acceptable_host(&self, host: &str) -> bool {
        numeric(host).is_some() || (self.globals.resolve_hostnames && is_name(host))
    }

    /// Takes note that somebody speaks of a host; says whether it is a name that is looked up for the
    /// first time right now, so that nothing can be said about it yet.
    pub(super) fn mention(&mut self, now: Time, host: &str) -> bool {
        if !self.globals.resolve_hostnames || !is_name(host) {
            return false;
        }
        let Some(name) = self.names.mention(now, host) else { return false };
        let pending = name.is_pending();
        if pending {
            self.look_up(now, host);
        }
        pending
    }

    /// Whether a host is a name that is looked up for the first time right now.
    pub(super) fn is_pending(&self, host: &str) -> bool {
        self.globals.resolve_hostnames && self.names.get(host).is_some_and(Name::is_pending)
    }

    /// Lets something wait for a name that is pending.
    pub(super) fn park(&mut self, now: Time, host: &str, patience: Option<Span>, what: Parked) {
        let no_room = self.names.park(host, now + patience.unwrap_or(PATIENCE), what);
        self.time_names();
        match no_room {
            // It is repeated every two seconds.
            Some(Parked::Hello(_)) | None => {}
            Some(Parked::IsMasterDown { ticket, .. }) => {
                self.answer(ticket, Answer::Down { down: false, leader: None, epoch: Epoch(0) });
            }
            Some(what) => self.carry_out(now, what),
        }
    }

    /// Asks for a lookup unless one runs.
    pub(super) fn look_up(&mut self, now: Time, host: &str) {
        let Some(name) = self.names.get_mut(host).filter(|name| name.asked.is_none()) else { return };
        name.asked = Some(now);
        self.out.push(Output::Resolve(Arc::from(host)));
        self.names.refresh_later(now, host);
        self.time_names();
    }

    /// Where a link to this address goes now; `turn` counts the attempts at its addresses.
    pub(super) fn route(&mut self, now: Time, addr: &Addr, turn: usize, pace: Span) -> Route {
        let Some(name) = self.names.get_mut(&addr.host) else {
            return numeric(&addr.host).map_or(Route::Wait(now + RETRY), Route::To);
        };
        name.mentioned = now;
        let (answered, asked) = (name.answered, name.asked);
        let age = answered.map(|at| now.since(at));
        let fresh = age.is_some_and(|age| age <= if name.failed { RETRY } else { FRESH });
        let next = match answered {
            Some(at) if fresh => at + RETRY,
            Some(_) | None => now + pace,
        };
        if self.globals.resolve_hostnames && !fresh {
            self.look_up(now, &addr.host);
            let until = asked.unwrap_or(now) + LINK_PATIENCE.min(pace);
            if now < until {
                return Route::Wait(until);
            }
            self.take_later(&addr.host);
        }
        let ips = self.names.get(&addr.host).map_or(&[][..], Name::ips);
        match ips.get(turn % ips.len().max(1)) {
            Some(ip) => Route::To(*ip),
            None => Route::Wait(next.max(now + Span(1))),
        }
    }

    /// The address of a link stands for more than one IP, and some were not tried in this round.
    pub(super) fn next_address(&mut self, owner: LinkOwner) -> bool {
        let count = self
            .addr_of(owner)
            .and_then(|addr| self.names.get(&addr.host).map(|name| name.texts().len()))
            .unwrap_or(1);
        let Some(link) = self.link_mut(owner) else { return false };
        link.turn += 1;
        count > 1 && link.turn % count != 0
    }

    /// A connection stands: of several addresses, this is the one.
    pub(super) fn address_proven(&mut self, owner: LinkOwner) {
        let Some(link) = self.link_mut(owner) else { return };
        link.turn = 0;
        let Some(ip) = link.to else { return };
        let Some(addr) = self.addr_of(owner) else { return };
        let changed = self.names.get_mut(&addr.host).is_some_and(|name| name.prove(ip));
        if changed {
            self.addresses_changed(&addr.host);
        }
    }

    /// The answer to a lookup; empty if it failed.
    pub(super) fn on_resolved(&mut self, now: Time, host: &str, ips: &[IpAddr]) {
        let Some(name) = self.names.get_mut(host) else { return };
        let asked = name.asked.take();
        name.answered = Some(now);
        name.failed = ips.is_empty();
        let users: Vec<User> = name.users.iter().copied().collect();
        if ips.is_empty() {
            self.tell_unresolved(now, host);
        } else {
            name.told = None;
            if !name.stands(ips) && self.is_held(host, &users, asked) {
                self.keep_for_later(host, ips);
            } else {
                self.take_answer(host, ips, &users);
            }
        }
        for user in users {
            self.resume_links(now, user, asked);
        }
        for (_, parked) in self.names.unpark(host) {
            self.carry_out(now, parked);
        }
        self.names.refresh_later(now, host);
        self.time_names();
    }

    /// While a command connection to the address in force stands, that is where the instance is. Not one
    /// that was made to the last good answer while this one was awaited.
    fn is_held(&self, host: &str, users: &[User], asked: Option<Time>) -> bool {
        let in_force = self.names.get(host).and_then(|name| name.ips().first());
        users.iter().any(|user| {
            let owner = match user {
                User::Node(id) => LinkOwner::NodeCommand(*id),
                User::Peer(id) => LinkOwner::Peer(*id),
            };
            self.link(owner).is_some_and(|link| match link.phase {
                Phase::Up { since, .. } => link.to.as_ref() == in_force && asked.is_none_or(|at| since < at),
                Phase::Down | Phase::Connecting { .. } => false,
            })
        })
    }

    fn keep_for_later(&mut self, host: &str, ips: &[IpAddr]) {
        if let Some(name) = self.names.get_mut(host) {
            name.later = Some(ips.to_vec());
        }
    }

    /// The resolver hangs, but an earlier answer was put aside: it is the last good one.
    fn take_later(&mut self, host: &str) {
        let Some(name) = self.names.get(host) else { return };
        let Some(later) = name.later.clone() else { return };
        let users: Vec<User> = name.users.iter().copied().collect();
        if !self.is_held(host, &users, None) {
            self.take_answer(host, &later, &users);
        }
    }

    /// A good answer: instances move in the index, and are shown by their new IP.
    fn take_answer(&mut self, host: &str, ips: &[IpAddr], users: &[User]) {
        let had = self.names.get(host).and_then(|name| name.texts().first().cloned());
        for user in users {
            self.unindex_user(*user);
        }
        let changed = self.names.get_mut(host).is_some_and(|name| name.take(ips));
        for user in users {
            self.index_user(*user);
        }
        if !changed {
            return;
        }
        let in_force = self.names.get(host).and_then(|name| name.texts().first().cloned());
        if let (Some(old), Some(new)) = (had, in_force)
            && old != new
        {
            let text = format!("'{host}' is {new} now, it was {old}");
            self.out.push(Output::Note(Note::Text { level: Level::Notice, text }));
        }
        self.addresses_changed(host);
    }

    /// What a name stands for changed: views, the names of entries that had none, and the file.
    fn addresses_changed(&mut self, host: &str) {
        let Some(name) = self.names.get(host) else { return };
        let nodes: Vec<NodeId> = name.users.iter().filter_map(|user| user.node()).collect();
        for id in nodes {
            self.unite(id);
            let Some(node) = self.nodes.get(&id) else { continue };
            let master = node.master;
            if node.name.starts_with(':') {
                let shown: Arc<str> = Arc::from(self.shown(&node.addr).to_string());
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.name = shown;
                }
            }
            self.publish_view(master);
        }
        self.unsaved();
    }

    /// Links of an instance whose name was looked up: those that waited for that start. What was made since it was
    /// asked for, and goes to an address that is none of its any more, is made anew; older connections stay.
    fn resume_links(&mut self, now: Time, user: User, asked: Option<Time>) {
        let owners = match user {
            User::Node(id) => [Some(LinkOwner::NodeCommand(id)), Some(LinkOwner::NodeEvents(id))],
            User::Peer(id) => [Some(LinkOwner::Peer(id)), None],
        };
        for owner in owners.into_iter().flatten() {
            let stray = self.is_stray(owner);
            let Some(link) = self.link_mut(owner) else { continue };
            if std::mem::take(&mut link.awaits_name) {
                link.retry_at = now;
            }
            let young = match link.phase {
                Phase::Down => false,
                Phase::Connecting { .. } => true,
                Phase::Up { since, .. } => asked.is_some_and(|at| since >= at),
            };
            if stray && young {
                self.replace_link(now, owner);
            }
        }
        match user {
            User::Node(id) => self.connect_node(now, id),
            User::Peer(id) => self.connect_peer(now, id),
        }
    }

    /// Whether a link goes to an IP that its name does not stand for.
    fn is_stray(&self, owner: LinkOwner) -> bool {
        let Some(ip) = self.link(owner).and_then(|link| link.to.as_ref()) else { return false };
        let addr = self.addr_of(owner);
        let name = addr.as_ref().and_then(|addr| self.names.get(&addr.host));
        name.is_some_and(|name| !name.ips().contains(ip))
    }

    /// Source: spec 03, section 3. Differs: once a minute, not at every attempt.
    pub(super) fn tell_unresolved(&mut self, now: Time, host: &str) {
        let Some(name) = self.names.get_mut(host) else { return };
        if name.told.is_some_and(|at| now.since(at) < TELL) {
            return;
        }
        name.told = Some(now);
        let kept = name.texts().first().map(|ip| format!(": {ip} is used, its last address"));
        let text =
            format!("Failed to resolve hostname '{}'{}", host.escape_debug(), kept.unwrap_or_default());
        self.out.push(Output::Note(Note::Text { level: Level::Warning, text }));
    }

    /// The timer of the names: looks that are due, and what has waited for too long.
    pub(super) fn review_names(&mut self, now: Time) {
        while let Some(host) = self.names.take_due(now) {
            let expired = self.names.expired(now, &host);
            if !expired.is_empty() {
                self.give_up(now, &host);
            }
            for parked in expired {
                self.carry_out(now, parked);
            }
            if self.names.forget_unused(now, &host) {
                continue;
            }
            let due = self.names.wants_refresh(now, &host);
            if due && self.globals.resolve_hostnames {
                self.look_up(now, &host);
            }
            if due {
                self.names.refresh_later(now, &host);
            } else {
                self.names.reschedule(&host);
            }
        }
        self.time_names();
    }

    /// Nobody waits any longer for the first answer about a name.
    fn give_up(&mut self, now: Time, host: &str) {
        let hangs = self.names.get_mut(host).is_some_and(|name| {
            let hangs = name.is_pending();
            name.given_up = true;
            hangs
        });
        if hangs {
            self.tell_unresolved(now, host);
        }
    }

    pub(super) fn time_names(&mut self) {
        match self.names.next() {
            Some(at) => self.schedule.set(Wake::Names, at),
            None => self.schedule.cancel(Wake::Names),
        }
    }

    fn carry_out(&mut self, now: Time, parked: Parked) {
        match parked {
            Parked::Hello(payload) => self.on_hello(now, &payload),
            Parked::IsMasterDown { ticket, host, port, epoch, candidate } => {
                self.on_is_master_down(now, ticket, &host, port, epoch, candidate);
            }
            Parked::Monitor { ticket, name, host, port, quorum } => {
                self.monitor_resolved(now, ticket, name, &host, port, quorum);
            }
            Parked::Reread(node) => self.reread(now, node),
            Parked::Announce(master) => self.announce_master(master),
        }
    }

    /// Looks once more at the last INFO of a node: a name in it is looked up now.
    fn reread(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let (master, role) = (node.master, node.role);
        if let Some(text) = node.info_text.clone() {
            if role == Role::Master {
                self.discover(now, id, master, &info::parse(&text).replicas);
            }
            self.act_on_info(now, master, id);
        }
    }

    /// `resolve-hostnames` or `announce-hostnames` was changed: everything is shown, and looked up, as it
    /// says now.
    pub(super) fn name_options_changed(&mut self) {
        for id in self.masters.keys().copied().collect::<Vec<_>>() {
            self.publish_view(id);
        }
    }

    /// Whether a hello waits for a name in it.
    pub(super) fn parks_hello(
        &mut self,
        now: Time,
        master: &MasterName,
        hosts: [&str; 2],
        payload: &str,
    ) -> bool {
        if self.named(master).is_none() {
            return false;
        }
        let pending = hosts.map(|host| self.mention(now, host));
        let waits_for = hosts.into_iter().zip(pending).find(|(_, pending)| *pending);
        if let Some((host, _)) = waits_for {
            self.park(now, host, None, Parked::Hello(payload.into()));
        }
        waits_for.is_some()
    }
}

impl User {
    fn node(self) -> Option<NodeId> {
        match self {
            Self::Node(id) => Some(id),
            Self::Peer(_) => None,
        }
    }
}
