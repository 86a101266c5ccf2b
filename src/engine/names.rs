//! What host names stand for, as far as the resolver told: a table, and when to look again.
//!
//! A process is known by the name it announces, not by the IP that the name has this minute: the IP of an
//! entry is whatever this table says, and the last good answer stands while the resolver fails or hangs.
//!
//! | What may grow | Bound |
//! |---|---|
//! | names of instances | the instances |
//! | other names (in INFO, hellos, questions) | 256; one that nobody mentioned for 5 minutes is forgotten |
//! | addresses of one name | one of each family |
//! | hellos and questions that wait for one name | 16; beyond that they are dealt with as if it had none |
//!
//! Source: spec 07, section 3; DESIGN section 5.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::ids::{Addr, MasterName, RunId, Ticket};
use super::instance::{MasterId, NodeId, PeerId};
use super::numeric::numeric;
use super::time::{Span, Time};

/// Pause between two looks at a name that nothing else asks about.
const REFRESH: Span = Span::secs(10);
/// Every name adds this to the pause: at most a hundred looks per second in all.
const SHARE: Span = Span::ms(10);
/// A name that no instance has and nobody mentioned for so long is forgotten.
const FORGET: Span = Span::secs(300);
/// Names that no instance has.
const MOST_GUESTS: usize = 256;
/// Longest name of the DNS.
const LONGEST: usize = 253;
/// Hellos and questions that may wait for one name.
const MOST_PARKED: usize = 16;

/// An instance that is known by a name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum User {
    Node(NodeId),
    Peer(PeerId),
}

/// What is carried out once a name is looked up.
#[derive(Clone, Debug)]
pub(super) enum Parked {
    /// A hello that speaks of the name.
    Hello(Arc<str>),
    /// A question of another sentinel about the name.
    IsMasterDown { ticket: Ticket, host: Arc<str>, port: i64, epoch: i64, candidate: Option<RunId> },
    /// `SENTINEL MONITOR` with the name.
    Monitor { ticket: Ticket, name: MasterName, host: Arc<str>, port: i64, quorum: i64 },
    /// The last INFO of this node mentions the name.
    Reread(NodeId),
    /// `+monitor` of a master that was in the configuration.
    Announce(MasterId),
}

/// One name.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// The last good answer, one address of each family; the one in force first.
    ips: Vec<IpAddr>,
    /// The same as text.
    texts: Vec<Arc<str>>,
    /// A connection to the first one was made.
    proven: bool,
    /// A newer good answer, without the address in force, that came while a connection to it stood.
    pub(super) later: Option<Vec<IpAddr>>,
    pub(super) answered: Option<Time>,
    pub(super) failed: bool,
    /// A lookup runs since.
    pub(super) asked: Option<Time>,
    /// The first lookup takes so long that nobody waits for it any more.
    pub(super) given_up: bool,
    /// When the log was last told that the name cannot be resolved.
    pub(super) told: Option<Time>,
    pub(super) mentioned: Time,
    /// When the name is looked at by itself.
    refresh: Time,
    pub(super) users: BTreeSet<User>,
    parked: VecDeque<(Time, Parked)>,
    due: Option<Time>,
}

impl Name {
    /// The addresses in force; none if the name never had any.
    pub(super) fn ips(&self) -> &[IpAddr] {
        &self.ips
    }

    /// The same as text.
    pub(super) fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }

    /// Whether the address in force is in this answer.
    pub(super) fn stands(&self, answer: &[IpAddr]) -> bool {
        self.ips.first().is_none_or(|ip| answer.contains(ip))
    }

    /// Whether nothing is known of it yet and somebody waits for that.
    pub(super) fn is_pending(&self) -> bool {
        self.answered.is_none() && !self.given_up
    }

    /// Takes a good answer: the first address of each family, those in force first if they are still in it,
    /// so that a server that shuffles its answers changes nothing. Says whether anything changed.
    pub(super) fn take(&mut self, answer: &[IpAddr]) -> bool {
        self.later = None;
        let mut ips: Vec<IpAddr> = Vec::with_capacity(2);
        for ip in self.ips.iter().chain(answer) {
            let kin = |other: &&IpAddr| other.is_ipv4() == ip.is_ipv4();
            let in_force = self.ips.iter().find(kin).filter(|known| answer.contains(known));
            if ips.iter().find(kin).is_none() {
                ips.extend(in_force.or_else(|| answer.iter().find(kin)));
            }
        }
        if ips == self.ips {
            return false;
        }
        self.proven &= ips.first() == self.ips.first();
        self.put(ips);
        true
    }

    /// A connection to this address was made. Says whether another one is in force now: the first one that
    /// answers is it.
    pub(super) fn prove(&mut self, ip: IpAddr) -> bool {
        if self.proven {
            return false;
        }
        let Some(at) = self.ips.iter().position(|known| *known == ip) else { return false };
        self.proven = true;
        let mut ips = self.ips.clone();
        ips.swap(0, at);
        self.put(ips);
        at != 0
    }

    fn put(&mut self, ips: Vec<IpAddr>) {
        self.texts = ips.iter().map(|ip| Arc::from(ip.to_string())).collect();
        self.ips = ips;
    }
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<Arc<str>, Name>,
    due: BTreeSet<(Time, Arc<str>)>,
    guests: usize,
}

/// Names are compared without regard to case.
fn key(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Whether a text can be looked up at all. One with a control character, of Unicode too, could not be read back
/// from the configuration.
pub(super) fn is_name(host: &str) -> bool {
    let odd = |c: char| c.is_control() || c == ' ' || c == ',';
    !host.is_empty() && host.len() <= LONGEST && !host.contains(odd) && numeric(host).is_none()
}

impl Names {
    pub(super) fn get(&self, host: &str) -> Option<&Name> {
        if self.known.is_empty() { None } else { self.known.get(&*key(host)) }
    }

    pub(super) fn get_mut(&mut self, host: &str) -> Option<&mut Name> {
        if self.known.is_empty() { None } else { self.known.get_mut(&*key(host)) }
    }

    /// Whether two hosts have an address in common.
    pub(super) fn meet(&self, a: &str, b: &str) -> bool {
        match (self.get(a), self.get(b)) {
            (None, None) => false,
            (Some(name), None) => name.texts.iter().any(|ip| **ip == *b),
            (None, Some(name)) => name.texts.iter().any(|ip| **ip == *a),
            (Some(one), Some(other)) => one.ips.iter().any(|ip| other.ips.contains(ip)),
        }
    }

    /// Under what an address is found: its text, and each IP that it stands for.
    pub(super) fn places(&self, addr: &Addr) -> Vec<Addr> {
        let own = match key(&addr.host) {
            Cow::Borrowed(_) => addr.clone(),
            Cow::Owned(lower) => Addr { host: lower.into(), port: addr.port },
        };
        let name = self.get(&addr.host);
        let ips = name.map(|name| name.texts.iter()).into_iter().flatten();
        let ips = ips.map(|ip| Addr { host: Arc::clone(ip), port: addr.port });
        [own].into_iter().chain(ips).collect()
    }

    /// An instance is known by this host from now on.
    pub(super) fn adopt(&mut self, now: Time, host: &str, user: User) {
        if is_name(host) {
            let name = self.entry(now, host);
            let was_guest = name.users.is_empty();
            name.users.insert(user);
            self.guests -= usize::from(was_guest);
        }
    }

    /// It is no longer.
    pub(super) fn release(&mut self, host: &str, user: User) {
        if self.get_mut(host).is_some_and(|name| name.users.remove(&user)) {
            self.guests += usize::from(self.get(host).is_some_and(|name| name.users.is_empty()));
        }
    }

    fn entry(&mut self, now: Time, host: &str) -> &mut Name {
        let key: Arc<str> = Arc::from(&*key(host));
        let guests = &mut self.guests;
        let name = self.known.entry(key).or_insert_with(|| {
            *guests += 1;
            Name::default()
        });
        name.mentioned = now;
        name
    }

    /// The entry of a name that somebody mentions; `None` for a new one when there are too many.
    pub(super) fn mention(&mut self, now: Time, host: &str) -> Option<&mut Name> {
        if self.get(host).is_none() && self.guests >= MOST_GUESTS {
            return None;
        }
        Some(self.entry(now, host))
    }

    /// Lets something wait for a name until `until`; returns it if there is no room.
    pub(super) fn park(&mut self, host: &str, until: Time, what: Parked) -> Option<Parked> {
        let Some(name) = self.get_mut(host) else { return Some(what) };
        let waiting = name.parked.iter();
        let (known, full) = match &what {
            Parked::Reread(node) => {
                let mut others = waiting.map(|(_, other)| other);
                (others.any(|other| matches!(other, Parked::Reread(known) if known == node)), false)
            }
            Parked::Hello(_) | Parked::IsMasterDown { .. } => (false, waiting.count() >= MOST_PARKED),
            Parked::Monitor { .. } | Parked::Announce(_) => (false, false),
        };
        if full {
            return Some(what);
        }
        if !known {
            name.parked.push_back((until, what));
            self.reschedule(host);
        }
        None
    }

    /// Takes everything that waits for a name.
    pub(super) fn unpark(&mut self, host: &str) -> VecDeque<(Time, Parked)> {
        self.get_mut(host).map(|name| std::mem::take(&mut name.parked)).unwrap_or_default()
    }

    /// Takes what has waited for too long.
    pub(super) fn expired(&mut self, now: Time, host: &str) -> Vec<Parked> {
        let Some(name) = self.get_mut(host) else { return Vec::new() };
        let (over, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut name.parked).into_iter().partition(|(until, _)| *until <= now);
        name.parked = kept;
        over.into_iter().map(|(_, what)| what).collect()
    }

    /// Sets the next look at a name for which nothing else asks.
    pub(super) fn refresh_later(&mut self, now: Time, host: &str) {
        let pause = REFRESH.max(Span(self.known.len() as u64 * SHARE.0));
        if let Some(name) = self.get_mut(host) {
            name.refresh = now + pause;
        }
        self.reschedule(host);
    }

    /// Whether a look at this name is due.
    pub(super) fn wants_refresh(&self, now: Time, host: &str) -> bool {
        self.get(host).is_some_and(|name| name.refresh <= now)
    }

    /// Forgets a name that nobody needs; says whether it did.
    pub(super) fn forget_unused(&mut self, now: Time, host: &str) -> bool {
        let unused = self.get(host).is_some_and(|name| {
            name.users.is_empty() && name.parked.is_empty() && now.since(name.mentioned) > FORGET
        });
        if unused && let Some((key, name)) = self.known.remove_entry(&*key(host)) {
            self.guests -= 1;
            if let Some(at) = name.due {
                self.due.remove(&(at, key));
            }
        }
        unused
    }

    /// Sets the deadline of a name anew.
    pub(super) fn reschedule(&mut self, host: &str) {
        let Some((key, _)) = self.known.get_key_value(&*key(host)) else { return };
        let key = Arc::clone(key);
        let Some(name) = self.known.get_mut(&key) else { return };
        let parked = name.parked.iter().map(|(until, _)| *until).min();
        let due = parked.map_or(name.refresh, |until| until.min(name.refresh));
        if let Some(old) = name.due.replace(due) {
            self.due.remove(&(old, Arc::clone(&key)));
        }
        self.due.insert((due, key));
    }

    /// The next deadline of all names.
    pub(super) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A name with a deadline that `now` has reached. It must be scheduled again or forgotten.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Arc<str>> {
        let first = self.due.first().filter(|(at, _)| *at <= now)?.clone();
        self.due.remove(&first);
        if let Some(name) = self.known.get_mut(&first.1) {
            name.due = None;
        }
        Some(first.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|ip| ip.parse().unwrap()).collect()
    }

    fn shown(name: &Name) -> String {
        name.texts().join(" ")
    }

    #[test]
    fn what_a_configuration_cannot_hold_is_no_name() {
        for host in ["a.test", "_x", "é.test", "it's\"quoted\""] {
            assert!(is_name(host), "{host}");
        }
        for host in ["", "10.0.0.1", "::1", "a b", "a,b", "a\n", "a\u{7f}", "a\u{85}", "a\u{9b}2J"] {
            assert!(!is_name(host), "{host:?}");
        }
    }

    #[test]
    fn the_address_in_force_stays_while_the_answer_has_it() {
        let mut name = Name::default();
        assert!(name.take(&ips("10.0.0.1 10.0.0.2 fd00::1 fd00::2")));
        assert_eq!(shown(&name), "10.0.0.1 fd00::1");
        assert!(!name.take(&ips("fd00::2 fd00::1 10.0.0.2 10.0.0.1")), "shuffled");
        assert!(name.take(&ips("fd00::1 10.0.0.2")));
        assert_eq!(shown(&name), "10.0.0.2 fd00::1");
        assert!(name.take(&ips("fd00::1")) && name.take(&ips("10.0.0.2 fd00::1")));
        assert_eq!(shown(&name), "fd00::1 10.0.0.2");
    }

    #[test]
    fn the_first_address_that_answers_is_in_force() {
        let mut name = Name::default();
        name.take(&ips("::1 127.0.0.1"));
        let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
        assert!(!name.prove(ip("127.0.0.9")));
        assert!(name.prove(ip("127.0.0.1")));
        assert_eq!(shown(&name), "127.0.0.1 ::1");
        assert!(!name.prove(ip("::1")), "one is enough");
        assert!(name.take(&ips("::1")));
        assert!(!name.prove(ip("::1")));
        assert!(name.take(&ips("127.0.0.1 ::1")) && shown(&name) == "::1 127.0.0.1");
        assert!(!name.prove(ip("127.0.0.1")), "the other one is in force already");
    }

    #[test]
    fn hosts_meet_by_ip() {
        let mut names = Names::default();
        for (host, answer) in [("A.test", "10.0.0.1"), ("b.test", "10.0.0.1 fd00::1"), ("c.test", "")] {
            names.mention(Time(0), host).unwrap().take(&ips(answer));
        }
        for (a, b, expected) in [
            ("a.TEST", "b.test", true),
            ("a.test", "10.0.0.1", true),
            ("fd00::1", "b.test", true),
            ("a.test", "fd00::1", false),
            ("c.test", "a.test", false),
            ("c.test", "c.test", false),
            ("unknown", "unknown", false),
        ] {
            assert_eq!(names.meet(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn guests_are_bounded_and_forgotten() {
        let mut names = Names::default();
        let user = User::Node(NodeId(1));
        names.adopt(Time(0), "home", user);
        for n in 0..MOST_GUESTS {
            assert!(names.mention(Time(0), &format!("guest{n}")).is_some());
        }
        assert!(names.mention(Time(0), "one-too-many").is_none());
        assert!(names.mention(Time(0), "guest0").is_some() && names.mention(Time(0), "HOME").is_some());
        let later = Time(0) + FORGET + Span(1);
        assert!(!names.forget_unused(later, "home") && names.forget_unused(later, "guest0"));
        assert!(names.mention(later, "one-more").is_some() && names.mention(later, "yet-one").is_none());
        names.release("home", user);
        assert!(names.forget_unused(later, "home"));
    }

    #[test]
    fn what_waits_is_bounded_and_runs_out() {
        let mut names = Names::default();
        names.mention(Time(0), "n");
        for _ in 0..MOST_PARKED {
            assert!(names.park("n", Time(5), Parked::Hello("h".into())).is_none());
        }
        assert!(matches!(names.park("n", Time(9), Parked::Hello("x".into())), Some(Parked::Hello(_))));
        assert!(names.park("n", Time(3), Parked::Reread(NodeId(1))).is_none());
        assert!(names.park("n", Time(9), Parked::Reread(NodeId(1))).is_none(), "known already");
        names.refresh_later(Time(0), "n");
        assert_eq!(names.next(), Some(Time(3)));
        assert_eq!(names.take_due(Time(4)).as_deref(), Some("n"));
        assert!(matches!(names.expired(Time(4), "n")[..], [Parked::Reread(NodeId(1))]));
        assert_eq!(names.unpark("n").len(), MOST_PARKED);
    }
}
