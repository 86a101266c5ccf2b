//! The connected clients: `CLIENT LIST`, `INFO`, `KILL`.
//!
//! Source: spec 02, section 12 (`CLIENT`).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use dashmap::DashMap;

use super::address::Address;
use super::output::{Killed, Outbox};
use super::stats::Counter;
use crate::product::Product;
use crate::wire::command::{ClientFilter, ClientKind, SkipMe};

/// Whom a client counts as before AUTH, in lists and for `KILL USER`.
const DEFAULT_USER: &str = "default";

/// All clients, by id.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: DashMap<u64, Arc<Client>>,
    last_id: AtomicU64,
    /// Connections that take a place of `maxclients`.
    open: AtomicUsize,
}

/// Numbers of clients, for `INFO`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Special {
    /// With a subscription.
    pub(super) subscribers: usize,
    /// With tracking on.
    pub(super) tracking: usize,
    /// With a command held by `CLIENT PAUSE`.
    pub(super) blocked: usize,
}

/// What the others may see of one client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) addr: Address,
    pub(super) local: Address,
    pub(super) fd: i32,
    pub(super) since: Instant,
    pub(super) outbox: Arc<Outbox>,
    /// Milliseconds from `since` to the last bytes heard.
    active_ms: AtomicU64,
    input: AtomicUsize,
    channels: AtomicUsize,
    patterns: AtomicUsize,
    no_evict: AtomicBool,
    /// A command of it is held.
    blocked: AtomicBool,
    /// Bytes read, bytes written, commands executed: what Valkey shows.
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
    pub(super) commands: Counter,
    /// What it did itself ends its connection, after the reply.
    condemned: AtomicBool,
    texts: Mutex<Texts>,
}

/// What changes seldom and is more than a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    /// `CLIENT SETNAME`; empty when unset.
    pub(super) name: Bytes,
    /// `CLIENT SETINFO LIB-NAME`.
    pub(super) lib_name: Bytes,
    /// `CLIENT SETINFO LIB-VER`.
    pub(super) lib_ver: Bytes,
    /// Who it is; `None` before AUTH.
    pub(super) user: Option<Arc<str>>,
    /// Full name of its last command.
    pub(super) command: Option<&'static str>,
    /// `REDIRECT` of `CLIENT TRACKING`, 0 without one; `None` when tracking is off.
    pub(super) tracking: Option<i64>,
    /// `BCAST` of `CLIENT TRACKING`.
    pub(super) broadcast: bool,
}

impl Clients {
    /// Takes one of `most` places; [`Clients::release`] gives it back.
    pub(super) fn reserve(&self, most: usize) -> bool {
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < most).then_some(open + 1))
            .is_ok()
    }

    /// Whether one of `most` places is free now.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.open.load(Ordering::Relaxed) < most
    }

    pub(super) fn release(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn insert(&self, client: Arc<Client>) {
        self.by_id.insert(client.id, client);
    }

    pub(super) fn remove(&self, id: u64) {
        self.by_id.remove(&id);
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn contains(&self, id: i64) -> bool {
        u64::try_from(id).is_ok_and(|id| self.by_id.contains_key(&id))
    }

    /// How many are special.
    pub(super) fn special(&self) -> Special {
        self.by_id.iter().fold(Special::default(), |sum, client| Special {
            subscribers: sum.subscribers + usize::from(client.kind() == ClientKind::PubSub),
            tracking: sum.tracking + usize::from(client.texts().tracking.is_some()),
            blocked: sum.blocked + usize::from(client.blocked.load(Ordering::Relaxed)),
        })
    }

    /// `CLIENT LIST`: by kind, or by id in the order asked for.
    pub(super) fn list(&self, product: Product, kind: Option<ClientKind>, ids: Option<&[i64]>) -> String {
        let mut out = String::new();
        let mut add = |client: &Client| {
            client.describe(product, &mut out);
            out.push('\n');
        };
        if let Some(ids) = ids {
            let asked = ids.iter().filter_map(|id| u64::try_from(*id).ok());
            for id in asked {
                if let Some(client) = self.by_id.get(&id) {
                    add(&client);
                }
            }
        } else {
            let all = self.sorted();
            all.iter()
                .filter(|client| kind.is_none_or(|kind| client.kind() == kind))
                .for_each(|client| add(client));
        }
        out
    }

    /// Ends the clients that match; gives their number, and whether `me` is one of them. The
    /// caller itself is only counted: it replies first and closes then.
    pub(super) fn kill(&self, filter: &ClientFilter, me: u64) -> (usize, bool) {
        let mut count = 0;
        let mut myself = false;
        for client in self.sorted() {
            let spared = client.id == me && filter.skip_me == SkipMe::Yes;
            if spared || !client.matches(filter) {
                continue;
            }
            count += 1;
            if client.id == me {
                myself = true;
            } else {
                client.outbox.kill(Killed::ByClient);
            }
        }
        (count, myself)
    }

    /// The clients that are this user.
    pub(super) fn of_user(&self, name: &str) -> Vec<Arc<Client>> {
        let is_it = |client: &&Arc<Client>| client.texts().user.as_deref().unwrap_or(DEFAULT_USER) == name;
        self.sorted().iter().filter(is_it).cloned().collect()
    }

    /// Ends these clients. `me`, which waits for a reply, is ended after it.
    pub(super) fn end(&self, clients: &[Arc<Client>], me: u64) {
        for client in clients {
            if client.id == me {
                client.condemn();
            } else {
                client.outbox.kill(Killed::ByClient);
            }
        }
    }

    /// Ends all clients.
    pub(super) fn kill_all(&self) {
        self.by_id.iter().for_each(|client| client.outbox.kill(Killed::Shutdown));
    }

    /// Has every connection look again whether it may go on.
    pub(super) fn nudge_all(&self) {
        self.by_id.iter().for_each(|client| client.outbox.nudge());
    }

    /// Those that live: who was ended is gone, though its own task may not know it yet.
    fn sorted(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.by_id.iter().map(|entry| Arc::clone(entry.value())).collect();
        all.retain(|client| client.outbox.killed().is_none());
        all.sort_unstable_by_key(|client| client.id);
        all
    }
}

impl Client {
    pub(super) fn new(
        id: u64,
        addr: impl Into<Address>,
        local: impl Into<Address>,
        fd: i32,
        outbox: Arc<Outbox>,
    ) -> Self {
        Self {
            id,
            addr: addr.into(),
            local: local.into(),
            fd,
            since: Instant::now(),
            outbox,
            active_ms: AtomicU64::new(0),
            input: AtomicUsize::new(0),
            channels: AtomicUsize::new(0),
            patterns: AtomicUsize::new(0),
            no_evict: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            commands: Counter::default(),
            condemned: AtomicBool::new(false),
            texts: Mutex::default(),
        }
    }

    /// A copy of its texts.
    pub(super) fn texts(&self) -> Texts {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes its texts.
    pub(super) fn update(&self, change: impl FnOnce(&mut Texts)) {
        change(&mut self.texts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes that bytes were heard, and how many wait unparsed.
    pub(super) fn heard(&self, unparsed: usize) {
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active_ms.store(ms, Ordering::Relaxed);
        self.input.store(unparsed, Ordering::Relaxed);
    }

    pub(super) fn set_input(&self, unparsed: usize) {
        self.input.store(unparsed, Ordering::Relaxed);
    }

    pub(super) fn set_subscriptions(&self, (channels, patterns): (usize, usize)) {
        self.channels.store(channels, Ordering::Relaxed);
        self.patterns.store(patterns, Ordering::Relaxed);
        self.outbox.set_subscriber(channels + patterns > 0);
    }

    pub(super) fn set_no_evict(&self, on: bool) {
        self.no_evict.store(on, Ordering::Relaxed);
    }

    /// Has it end after its next reply.
    pub(super) fn condemn(&self) {
        self.condemned.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Relaxed)
    }

    pub(super) fn set_blocked(&self, on: bool) {
        self.blocked.store(on, Ordering::Relaxed);
    }

    pub(super) fn idle_ms(&self) -> u64 {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        now.saturating_sub(self.active_ms.load(Ordering::Relaxed))
    }

    pub(super) fn kind(&self) -> ClientKind {
        let subscriptions = self.channels.load(Ordering::Relaxed) + self.patterns.load(Ordering::Relaxed);
        if subscriptions > 0 { ClientKind::PubSub } else { ClientKind::Normal }
    }

    /// Its line in `CLIENT LIST`, without the line end.
    ///
    /// Differs: buffers that we do not have (`argv-mem`, `rbs`...) are 0.
    pub(super) fn describe(&self, product: Product, out: &mut String) {
        let texts = self.texts();
        let (pending, chunks) = self.outbox.pending();
        let input = self.input.load(Ordering::Relaxed);
        let memory = size_of::<Self>() + size_of::<Outbox>() + pending + input;
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        // Writing to a string can't fail.
        let _ = write!(
            out,
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db=0 sub={} psub={} ssub=0 multi=-1 \
             qbuf={input} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={chunks} omem={pending} \
             tot-mem={memory} events=r cmd={} user={} redir={} resp={} lib-name={} lib-ver={}",
            self.id,
            self.addr,
            self.local,
            self.fd,
            text(&texts.name),
            self.since.elapsed().as_secs(),
            self.idle_ms() / 1_000,
            self.flags(&texts),
            self.channels.load(Ordering::Relaxed),
            self.patterns.load(Ordering::Relaxed),
            texts.command.unwrap_or("NULL"),
            texts.user.as_deref().unwrap_or(DEFAULT_USER),
            texts.tracking.unwrap_or(-1),
            self.outbox.proto().number(),
            text(&texts.lib_name),
            text(&texts.lib_ver),
        );
        if product.is_valkey() {
            let figures = [&self.bytes_in, &self.bytes_out, &self.commands].map(Counter::get);
            let _ =
                write!(out, " tot-net-in={} tot-net-out={} tot-cmds={}", figures[0], figures[1], figures[2]);
        }
    }

    fn flags(&self, texts: &Texts) -> String {
        let set = [
            (self.kind() == ClientKind::PubSub, 'P'),
            (self.blocked.load(Ordering::Relaxed), 'b'),
            (texts.tracking.is_some(), 't'),
            (texts.tracking.is_some() && texts.broadcast, 'B'),
            (matches!(self.addr, Address::Unix(_)), 'U'),
            (self.no_evict.load(Ordering::Relaxed), 'e'),
        ];
        let flags: String = set.into_iter().filter_map(|(on, flag)| on.then_some(flag)).collect();
        if flags.is_empty() { "N".to_owned() } else { flags }
    }

    fn matches(&self, filter: &ClientFilter) -> bool {
        let is = |addr: &Address, wanted: &Bytes| addr.to_string().as_bytes() == &wanted[..];
        let age = i64::try_from(self.since.elapsed().as_secs()).unwrap_or(i64::MAX);
        let user = || self.texts().user.unwrap_or_else(|| Arc::from(DEFAULT_USER));
        filter.id.is_none_or(|id| u64::try_from(id) == Ok(self.id))
            && filter.kind.is_none_or(|kind| kind == self.kind())
            && filter.addr.as_ref().is_none_or(|addr| is(&self.addr, addr))
            && filter.laddr.as_ref().is_none_or(|addr| is(&self.local, addr))
            && filter.max_age.is_none_or(|least| age >= least)
            && filter.users.last().is_none_or(|wanted| user().as_bytes() == &wanted[..])
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Limits;
    use super::*;

    fn client(clients: &Clients, port: u16) -> Arc<Client> {
        let outbox = Arc::new(Outbox::new(Limits::default()));
        let ip = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let (addr, local) = (ip(port), ip(26_379));
        let client = Arc::new(Client::new(clients.next_id(), addr, local, 8, outbox));
        client.update(|texts| texts.user = Some(Arc::from("default")));
        clients.insert(Arc::clone(&client));
        client
    }

    fn filter(change: impl FnOnce(&mut ClientFilter)) -> ClientFilter {
        let mut filter = ClientFilter::default();
        change(&mut filter);
        filter
    }

    #[test]
    fn a_line_has_stocks_fields_in_stocks_order() {
        let clients = Clients::default();
        client(&clients, 1_000).update(|texts| texts.name = Bytes::from("n"));
        let line = clients.list(Product::Redis, None, None);
        let fields: Vec<_> = line.split_whitespace().filter_map(|field| field.split('=').next()).collect();
        assert_eq!(
            fields.join(" "),
            "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp \
             obl oll omem tot-mem events cmd user redir resp lib-name lib-ver"
        );
        let start =
            "id=1 addr=127.0.0.1:1000 laddr=127.0.0.1:26379 fd=8 name=n age=0 idle=0 flags=N db=0 sub=0 ";
        assert!(line.starts_with(start), "{line}");
        let line = clients.list(Product::Valkey, None, None);
        assert!(line.ends_with(" lib-name= lib-ver= tot-net-in=0 tot-net-out=0 tot-cmds=0\n"), "{line}");
    }

    #[test]
    fn filters_of_kill() {
        for (filter, expected) in [
            (filter(|_| {}), (2, false)),
            (filter(|f| f.skip_me = SkipMe::No), (3, true)),
            (filter(|f| f.id = Some(2)), (1, false)),
            (filter(|f| f.kind = Some(ClientKind::PubSub)), (1, false)),
            (filter(|f| f.kind = Some(ClientKind::Master)), (0, false)),
            (filter(|f| f.addr = Some(Bytes::from("127.0.0.1:1001"))), (1, false)),
            (filter(|f| f.addr = Some(Bytes::from("127.0.0.1:1"))), (0, false)),
            (filter(|f| f.laddr = Some(Bytes::from("127.0.0.1:26379"))), (2, false)),
            (filter(|f| f.users = vec![Bytes::from("bob")]), (0, false)),
            (filter(|f| f.max_age = Some(0)), (2, false)),
            (filter(|f| f.max_age = Some(100)), (0, false)),
        ] {
            let clients = Clients::default();
            let all: Vec<_> = (1_000..1_003).map(|port| client(&clients, port)).collect();
            all[2].set_subscriptions((1, 0));
            assert_eq!(clients.kill(&filter, 1), expected, "{filter:?}");
            assert_eq!(all[0].outbox.killed(), None, "the caller is never killed from here");
        }
    }

    #[test]
    fn places_are_counted() {
        let clients = Clients::default();
        assert!(clients.reserve(2) && clients.reserve(2) && !clients.reserve(2));
        clients.release();
        assert!(clients.reserve(2));
    }
}
