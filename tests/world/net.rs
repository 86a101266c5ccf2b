//! The network: TCP as the engine feels it. FIFO per connection, latency, refusals, hangs, cuts, resets.

use std::collections::VecDeque;
use std::sync::Arc;

use vigia::engine::{Addr, LinkId, Request, Span, Time};

use super::queue::Plan;
use super::reply::Owned;
use super::{Arrival, Body, Pid, World};

/// One connection of the world.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConnId(pub u64);

/// Direction on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From client to server.
    Up,
    /// From server to client.
    Down,
}

/// What travels.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A request.
    Request(Request),
    /// A reply.
    Reply(Owned),
    /// A published message.
    Message(Arc<str>),
    /// The sender closed.
    Eof,
}

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    queue: VecDeque<(Time, Msg)>,
    last: Time,
    /// The present retransmission time-out, while the head is lost.
    rto: Option<Span>,
}

/// A connection.
#[derive(Debug)]
pub struct Conn {
    /// Who opened it.
    pub client: Pid,
    /// Which run of it.
    pub client_life: u32,
    /// What the client calls it.
    pub link: LinkId,
    /// Who was called; nobody lives at some addresses.
    pub server: Option<Pid>,
    /// Which run of the server accepted.
    pub server_life: u32,
    /// The client still holds it.
    pub client_open: bool,
    /// The server accepted and still holds it.
    pub server_open: bool,
    /// The client knows that it stands.
    pub up: bool,
    /// The server's side of it.
    pub session: Session,
    to_server: Stream,
    to_client: Stream,
}

/// All connections, by [`ConnId`]: the first is 1.
#[derive(Debug, Default)]
pub struct Conns(Vec<Option<Box<Conn>>>);

impl Conns {
    fn add(&mut self, conn: Conn) -> ConnId {
        self.0.push(Some(Box::new(conn)));
        ConnId(self.0.len() as u64)
    }

    fn slot(id: ConnId) -> usize {
        (id.0 as usize).wrapping_sub(1)
    }

    fn get(&self, id: ConnId) -> Option<&Conn> {
        self.0.get(Self::slot(id))?.as_deref()
    }

    fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.0.get_mut(Self::slot(id))?.as_deref_mut()
    }

    fn remove(&mut self, id: ConnId) {
        if let Some(slot) = self.0.get_mut(Self::slot(id)) {
            *slot = None;
        }
    }

    fn iter(&self) -> impl Iterator<Item = (ConnId, &Conn)> {
        let slots = self.0.iter().enumerate();
        slots.filter_map(|(at, conn)| Some((ConnId(at as u64 + 1), conn.as_deref()?)))
    }
}

/// What a server knows of one client.
#[derive(Debug, Default)]
pub struct Session {
    /// AUTH went well.
    pub authed: bool,
    /// SUBSCRIBE was sent.
    pub subscribed: bool,
    /// Commands since MULTI.
    pub multi: Option<Vec<Request>>,
    /// A command since MULTI was refused.
    pub multi_broken: bool,
    /// Replies that must leave in order; `None` is still being worked on.
    pub slots: VecDeque<Option<Owned>>,
    /// Number of the first slot.
    pub first_slot: u64,
}

/// First retransmission of lost data; doubled each time.
const FIRST_RTO: Span = Span::ms(200);
const MAX_RTO: Span = Span::secs(120);
/// Retransmissions of the first packet before the kernel gives up.
const SYN_RETRIES: u32 = 6;

impl World {
    /// Whether packets pass from `a` to `b` now.
    pub fn path(&self, a: Pid, b: Pid) -> bool {
        self.procs[a.0].host_up && self.procs[b.0].host_up && !self.cuts.contains(&(a, b))
    }

    /// Whether packets pass both ways.
    pub fn linked(&self, a: Pid, b: Pid) -> bool {
        self.path(a, b) && self.path(b, a)
    }

    fn latency(&mut self) -> Span {
        Span(self.rng.within(self.options.latency_us))
    }

    /// When something that one process sends to another now begins its way.
    fn ready(&mut self, from: Pid, to: Pid) -> Time {
        self.weather.ready(self.now, &mut self.rng, from, to)
    }

    /// Opens a connection.
    pub(crate) fn connect(&mut self, client: Pid, link: LinkId, addr: &Addr) -> ConnId {
        let server = if addr.port == 0 { None } else { self.at(addr) };
        let conn = Conn {
            client,
            client_life: self.procs[client.0].life,
            link,
            server,
            server_life: 0,
            client_open: true,
            server_open: false,
            up: false,
            session: Session::default(),
            to_server: Stream::default(),
            to_client: Stream::default(),
        };
        let id = self.conns.add(conn);
        let ready = server.map_or(self.now, |server| self.ready(client, server));
        let at = ready + self.latency();
        self.queue.push(at, Plan::Syn { conn: id, attempt: 0 });
        id
    }

    pub(crate) fn on_syn(&mut self, id: ConnId, attempt: u32) {
        let Some(conn) = self.conns.get(id) else { return };
        if !conn.client_open || conn.up {
            return;
        }
        let client = conn.client;
        let Some(server) = conn.server.filter(|server| self.path(client, *server)) else {
            self.retry_syn(id, attempt);
            return;
        };
        let at = self.ready(server, client) + self.latency();
        let (alive, life) = (self.procs[server.0].alive, self.procs[server.0].life);
        if alive {
            let conn = self.conns.get_mut(id).expect("present");
            conn.server_open = true;
            conn.server_life = life;
            self.queue.push(at, Plan::SynAck { conn: id, attempt });
        } else {
            self.queue.push(at, Plan::Refused { conn: id });
        }
    }

    fn retry_syn(&mut self, id: ConnId, attempt: u32) {
        if attempt >= SYN_RETRIES {
            self.client_lost(id, false);
            return;
        }
        let at = self.now + Span::secs(1 << attempt);
        self.queue.push(at, Plan::Syn { conn: id, attempt: attempt + 1 });
    }

    pub(crate) fn on_syn_ack(&mut self, id: ConnId, attempt: u32) {
        let Some(conn) = self.conns.get(id) else { return };
        if !conn.client_open || conn.up {
            return;
        }
        let (client, server) = (conn.client, conn.server.expect("somebody accepted"));
        if !self.path(server, client) {
            self.retry_syn(id, attempt);
            return;
        }
        self.conns.get_mut(id).expect("present").up = true;
        self.arrive(client, Arrival::Up(id));
    }

    pub(crate) fn on_refused(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let (client, server) = (conn.client, conn.server.expect("somebody refused"));
        if !self.path(server, client) {
            self.retry_syn(id, 0);
            return;
        }
        self.client_lost(id, true);
    }

    /// The client's side ends without its doing.
    fn client_lost(&mut self, id: ConnId, refused: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if !conn.client_open {
            return;
        }
        conn.client_open = false;
        let client = conn.client;
        self.arrive(client, Arrival::Down(id, refused));
        self.sweep(id);
    }

    /// The client closes.
    pub(crate) fn close_client(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.client_open = false;
        if conn.server_open {
            self.transmit(id, Way::Up, Msg::Eof);
        }
        self.sweep(id);
    }

    /// The server closes.
    pub(crate) fn close_server(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.server_open {
            conn.server_open = false;
            if conn.client_open {
                self.transmit(id, Way::Down, Msg::Eof);
            }
        }
        self.sweep(id);
    }

    /// Forgets a connection that nobody holds.
    fn sweep(&mut self, id: ConnId) {
        if self.conns.get(id).is_some_and(|conn| !conn.client_open && !conn.server_open) {
            self.conns.remove(id);
        }
    }

    /// Sends something over a connection.
    pub(crate) fn transmit(&mut self, id: ConnId, way: Way, msg: Msg) {
        let latency = self.latency();
        let Some(conn) = self.conns.get(id) else { return };
        let ready = match (way, conn.server) {
            (Way::Up, Some(server)) => self.ready(conn.client, server),
            (Way::Down, Some(server)) => {
                let (client, busy) = (conn.client, self.busy_until(server));
                self.ready(server, client).max(busy)
            }
            (_, None) => self.now,
        };
        let Some(conn) = self.conns.get_mut(id) else { return };
        let stream = conn.stream(way);
        let at = (ready + latency).max(stream.last);
        stream.last = at;
        stream.queue.push_back((at, msg));
        if stream.queue.len() == 1 {
            self.queue.push(at, Plan::Pump { conn: id, way });
        }
    }

    pub(crate) fn on_pump(&mut self, id: ConnId, way: Way) {
        let Some(conn) = self.conns.get(id) else { return };
        let Some(server) = conn.server else { return };
        let (from, to) = if way == Way::Up { (conn.client, server) } else { (server, conn.client) };
        let passes = self.path(from, to);
        let now = self.now;
        let held = conn.client_open;
        let conn = self.conns.get_mut(id).expect("present");
        let stream = conn.stream(way);
        if !passes {
            let rto = stream.rto.map_or(FIRST_RTO, |rto| Span((rto.0 * 2).min(MAX_RTO.0)));
            stream.rto = Some(rto);
            self.queue.push(now + rto, Plan::Pump { conn: id, way });
            return;
        }
        if stream.rto.take().is_some() && held {
            self.last_stall_end = now;
        }
        let Some((_, msg)) = stream.queue.pop_front() else { return };
        let next = stream.queue.front().map(|(at, _)| (*at).max(now));
        if let Some(at) = next {
            self.queue.push(at, Plan::Pump { conn: id, way });
        }
        match way {
            Way::Up => self.reach_server(id, server, msg),
            Way::Down => self.reach_client(id, msg),
        }
    }

    fn reach_server(&mut self, id: ConnId, server: Pid, msg: Msg) {
        let (alive, life) = (self.procs[server.0].alive, self.procs[server.0].life);
        let Some(conn) = self.conns.get_mut(id) else { return };
        if !alive || life != conn.server_life {
            conn.server_open = false;
            if conn.client_open {
                self.transmit(id, Way::Down, Msg::Eof);
            }
            self.sweep(id);
            return;
        }
        match msg {
            Msg::Eof => {
                conn.server_open = false;
                self.sweep(id);
            }
            Msg::Request(request) if conn.server_open => self.arrive(server, Arrival::Request(id, request)),
            Msg::Request(_) => {}
            Msg::Reply(_) | Msg::Message(_) => unreachable!("sent down only"),
        }
    }

    fn reach_client(&mut self, id: ConnId, msg: Msg) {
        let Some(conn) = self.conns.get(id) else { return };
        let client = conn.client;
        if !conn.client_open || conn.client_life != self.procs[client.0].life {
            return;
        }
        match msg {
            Msg::Eof => self.client_lost(id, false),
            Msg::Reply(reply) => self.arrive(client, Arrival::Reply(id, reply)),
            Msg::Message(payload) => self.arrive(client, Arrival::Message(id, payload)),
            Msg::Request(_) => unreachable!("sent up only"),
        }
    }

    /// Every connection of a process ends; `told` if the other sides learn of it.
    pub(crate) fn drop_connections(&mut self, pid: Pid, told: bool) {
        let served: Vec<ConnId> = self.conn_ids(|conn| conn.server == Some(pid) && conn.server_open);
        let held: Vec<ConnId> = self.conn_ids(|conn| conn.client == pid && conn.client_open);
        for id in served {
            if told {
                self.close_server(id);
            } else {
                self.conns.get_mut(id).expect("present").server_open = false;
                self.sweep(id);
            }
        }
        for id in held {
            if told {
                self.close_client(id);
            } else {
                self.conns.get_mut(id).expect("present").client_open = false;
                self.sweep(id);
            }
        }
    }

    /// Connections of which `wanted` holds, in order.
    pub(crate) fn conn_ids(&self, wanted: impl Fn(&Conn) -> bool) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, conn)| wanted(conn)).map(|(id, _)| id).collect()
    }

    /// A connection.
    pub(crate) fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.conns.get(id)
    }

    /// A connection, to change it.
    pub(crate) fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id)
    }

    /// Keeps a place for the next reply on a connection; replies leave in the order of requests.
    pub(crate) fn reserve(&mut self, id: ConnId) -> u64 {
        let Some(conn) = self.conns.get_mut(id) else { return 0 };
        conn.session.slots.push_back(None);
        conn.session.first_slot + conn.session.slots.len() as u64 - 1
    }

    /// Fills a place and sends what is ready.
    pub(crate) fn fill(&mut self, id: ConnId, slot: u64, reply: Owned) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let at = slot.wrapping_sub(conn.session.first_slot) as usize;
        if let Some(place) = conn.session.slots.get_mut(at) {
            *place = Some(reply);
        }
        while let Some(Some(_)) = self.conns.get(id).expect("present").session.slots.front() {
            let session = &mut self.conns.get_mut(id).expect("present").session;
            session.first_slot += 1;
            if let Some(Some(reply)) = session.slots.pop_front() {
                self.transmit(id, Way::Down, Msg::Reply(reply));
            }
        }
    }

    /// Answers a request at once.
    pub(crate) fn reply(&mut self, id: ConnId, reply: Owned) {
        let slot = self.reserve(id);
        self.fill(id, slot, reply);
    }

    /// Whether a process is a sentinel of any kind.
    pub(crate) fn is_sentinel(&self, pid: Pid) -> bool {
        matches!(self.procs[pid.0].body, Body::Sentinel(_) | Body::Stock(_))
    }
}

impl Conn {
    /// Replies that the client has not got yet.
    pub fn replies_under_way(&self) -> Vec<Owned> {
        let replies = self.to_client.queue.iter().filter_map(|(_, msg)| match msg {
            Msg::Reply(reply) => Some(reply.clone()),
            Msg::Request(_) | Msg::Message(_) | Msg::Eof => None,
        });
        replies.collect()
    }

    fn stream(&mut self, way: Way) -> &mut Stream {
        match way {
            Way::Up => &mut self.to_server,
            Way::Down => &mut self.to_client,
        }
    }
}
