//! A modelled Redis server: the part of it that sentinels see.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigia::engine::{Addr, MasterName, Request, Span, Time};

use super::net::ConnId;
use super::oracles::Sight;
use super::reply::Owned;
use super::{Pid, World};

/// Role of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Role {
    /// Accepts writes.
    Master,
    /// Follows another node.
    Replica(Addr),
}

/// A replica's connection to its master.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReplLink {
    /// A master has none.
    None,
    /// Not there; `since` is unknown when it never was.
    Down { since: Option<Time> },
    /// Handshake under way.
    Syncing { since: Option<Time> },
    /// Data flows, unless nothing was heard since `silent`.
    Up { via: Pid, life: u32, silent: Option<Time> },
}

/// A data node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name of the master of its group.
    pub group: MasterName,
    /// New at each start.
    pub run_id: String,
    /// Its role now.
    pub role: Role,
    /// Its role in its configuration file.
    pub saved_role: Role,
    /// History of its data.
    pub replid: String,
    /// The history before that, if it was promoted.
    pub replid2: Option<(String, u64)>,
    /// Offset at `offset_at`.
    pub offset: u64,
    /// When `offset` was settled.
    pub offset_at: Time,
    /// Bytes that clients write per second while it is a master.
    pub rate: u64,
    /// Its link to its master.
    pub link: ReplLink,
    /// Number of the present handshake.
    pub handshake: u32,
    /// How long a handshake takes.
    pub sync: Span,
    /// `replica-priority`.
    pub priority: u32,
    /// `replica-announce-ip`.
    pub announce_host: Option<std::sync::Arc<str>>,
    /// `replica-announced`.
    pub announced: bool,
    /// Answers LOADING.
    pub loading: bool,
    /// `requirepass`.
    pub password: Option<String>,
    /// Commands (lower case) that the ACL refuses.
    pub refused: BTreeMap<&'static str, &'static str>,
    /// It says OK to SLAVEOF, and goes on following whom it follows.
    pub stays: bool,
    /// CONFIG REWRITE fails.
    pub rewrite_fails: bool,
    /// How long CONFIG REWRITE keeps it from answering anything.
    pub rewrite_takes: Span,
    /// It answers nothing before.
    pub busy_until: Time,
    /// When it was started.
    pub started: Time,
}

impl Node {
    /// A fresh node.
    pub fn new(
        group: &MasterName,
        role: Role,
        run_id: String,
        replid: String,
        sync: Span,
        rate: u64,
    ) -> Self {
        let link = match role {
            Role::Master => ReplLink::None,
            Role::Replica(_) => ReplLink::Down { since: None },
        };
        Self {
            group: group.clone(),
            run_id,
            saved_role: role.clone(),
            role,
            replid,
            replid2: None,
            offset: 1_000,
            offset_at: Time(0),
            rate,
            link,
            handshake: 0,
            sync,
            priority: 100,
            announce_host: None,
            announced: true,
            loading: false,
            password: None,
            refused: BTreeMap::new(),
            stays: false,
            rewrite_fails: false,
            rewrite_takes: Span::ZERO,
            busy_until: Time(0),
            started: Time(0),
        }
    }
}

/// The command's name as an ACL rule spells it.
fn verb(request: &Request) -> &'static str {
    match request {
        Request::Auth { .. } => "auth",
        Request::SetName(_) => "client|setname",
        Request::Ping => "ping",
        Request::Info => "info",
        Request::Subscribe => "subscribe",
        Request::Publish(_) => "publish",
        Request::AskDown { .. } | Request::AskMaster(_) | Request::Vigia(_) => "sentinel",
        Request::Multi => "multi",
        Request::SlaveOf(_) | Request::SlaveOfNoOne => "slaveof",
        Request::ConfigRewrite => "config|rewrite",
        Request::KillNormal | Request::KillPubsub => "client|kill",
        Request::Exec => "exec",
        Request::ScriptKill => "script|kill",
    }
}

fn error(text: &str) -> Owned {
    Owned::Error(text.to_owned())
}

impl World {
    /// A request reaches a data node.
    pub(crate) fn node_request(&mut self, id: ConnId, request: &Request) {
        let Some(conn) = self.conn(id) else { return };
        if !conn.server_open {
            return;
        }
        let pid = conn.server.expect("served");
        let (in_multi, authed) = (conn.session.multi.is_some(), conn.session.authed);
        let node = self.node(pid);
        let refusal = if node.password.is_some() && !authed && !matches!(request, Request::Auth { .. }) {
            Some("NOAUTH Authentication required.")
        } else if let Some(text) = node.refused.get(verb(request)) {
            Some(*text)
        } else if node.loading && refused_while_loading(request) {
            Some("LOADING Redis is loading the dataset in memory")
        } else {
            None
        };
        if let Some(text) = refusal {
            if in_multi {
                self.conn_mut(id).expect("present").session.multi_broken = true;
            }
            return self.reply(id, error(text));
        }
        if in_multi && *request != Request::Exec {
            let session = &mut self.conn_mut(id).expect("present").session;
            session.multi.as_mut().expect("in a transaction").push(request.clone());
            return self.reply(id, Owned::Status("QUEUED".to_owned()));
        }
        let reply = match request {
            Request::Exec => self.exec(pid, id),
            other => self.run_command(pid, id, other),
        };
        self.reply(id, reply);
    }

    fn exec(&mut self, pid: Pid, id: ConnId) -> Owned {
        let session = &mut self.conn_mut(id).expect("present").session;
        let broken = std::mem::take(&mut session.multi_broken);
        let Some(queued) = session.multi.take() else { return error("ERR EXEC without MULTI") };
        if broken {
            return error("EXECABORT Transaction discarded because of previous errors.");
        }
        Owned::Array(queued.iter().map(|request| self.run_command(pid, id, request)).collect())
    }

    fn run_command(&mut self, pid: Pid, id: ConnId, request: &Request) -> Owned {
        match request {
            Request::Ping => Owned::Status("PONG".to_owned()),
            Request::Info => Owned::Bulk(self.info_text(pid)),
            Request::Auth { pass, .. } => self.auth(pid, id, pass),
            Request::SetName(_) => Owned::ok(),
            Request::Subscribe => {
                self.conn_mut(id).expect("present").session.subscribed = true;
                let words = ["subscribe", "__sentinel__:hello"].map(|word| Owned::Bulk(word.to_owned()));
                Owned::Array(words.into_iter().chain([Owned::Integer(1)]).collect())
            }
            Request::Publish(payload) => Owned::Integer(self.publish(pid, payload)),
            Request::Multi => {
                self.conn_mut(id).expect("present").session.multi = Some(Vec::new());
                Owned::ok()
            }
            Request::SlaveOf(addr) => {
                if !self.node(pid).stays {
                    self.follow(pid, addr);
                }
                Owned::ok()
            }
            Request::SlaveOfNoOne => {
                self.promote(pid);
                Owned::ok()
            }
            Request::ConfigRewrite => self.rewrite(pid),
            Request::KillNormal => Owned::Integer(self.kill_clients(pid, id, false)),
            Request::KillPubsub => Owned::Integer(self.kill_clients(pid, id, true)),
            Request::ScriptKill => error("NOTBUSY No scripts in execution right now."),
            Request::Exec => error("ERR EXEC without MULTI"),
            Request::AskDown { .. } | Request::AskMaster(_) | Request::Vigia(_) => {
                error("ERR unknown command 'SENTINEL', with args beginning with: ")
            }
        }
    }

    fn auth(&mut self, pid: Pid, id: ConnId, pass: &str) -> Owned {
        match &self.node(pid).password {
            None => error(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            ),
            Some(password) if password == pass => {
                self.conn_mut(id).expect("present").session.authed = true;
                Owned::ok()
            }
            Some(_) => error("WRONGPASS invalid username-password pair or user is disabled."),
        }
    }

    fn rewrite(&mut self, pid: Pid) -> Owned {
        let now = self.now;
        let node = self.node_mut(pid);
        if node.rewrite_takes > Span::ZERO {
            node.busy_until = now + node.rewrite_takes;
        }
        if node.rewrite_fails {
            return error("ERR Rewriting config file: Permission denied");
        }
        node.saved_role = node.role.clone();
        Owned::ok()
    }

    /// Delivers to the node's subscribers, and through replication to those of its replicas.
    fn publish(&mut self, pid: Pid, payload: &Arc<str>) -> i64 {
        use super::net::{Msg, Way};
        let subscribed =
            self.conn_ids(|conn| conn.server == Some(pid) && conn.server_open && conn.session.subscribed);
        let count = subscribed.len() as i64;
        for id in subscribed {
            self.transmit(id, Way::Down, Msg::Message(payload.clone()));
            if self.weather.repeats(&mut self.rng) {
                self.transmit(id, Way::Down, Msg::Message(payload.clone()));
            }
        }
        for replica in self.followers(pid) {
            self.publish(replica, payload);
        }
        count
    }

    /// Until when a process answers nothing because it is busy.
    pub(crate) fn busy_until(&self, pid: Pid) -> Time {
        match &self.procs[pid.0].body {
            super::Body::Node(node) => node.busy_until,
            super::Body::Sentinel(_) | super::Body::Stock(_) => Time(0),
        }
    }

    fn kill_clients(&mut self, pid: Pid, issuer: ConnId, subscribed: bool) -> i64 {
        let victims = self.conn_ids(|conn| {
            conn.server == Some(pid) && conn.server_open && conn.session.subscribed == subscribed
        });
        let victims: Vec<ConnId> = victims.into_iter().filter(|id| *id != issuer).collect();
        let count = victims.len() as i64;
        for id in victims {
            self.close_server(id);
        }
        count
    }

    pub(crate) fn promote(&mut self, pid: Pid) {
        if self.node(pid).role == Role::Master {
            return;
        }
        self.settle();
        let now = self.now;
        let replid = self.rng.run_id();
        let node = self.node_mut(pid);
        node.replid2 = Some((std::mem::replace(&mut node.replid, replid), node.offset + 1));
        node.role = Role::Master;
        node.link = ReplLink::None;
        node.handshake += 1;
        let group = node.group.clone();
        self.promotions.push((now, pid));
        let name = self.name_of(pid);
        tell!(self, "{name} PROMOTED");
        let whole = self.is_whole();
        self.sight(&Sight::Promoted { node: &name, group: &group, whole });
    }

    pub(crate) fn follow(&mut self, pid: Pid, addr: &Addr) {
        let wanted = Role::Replica(addr.clone());
        if self.node(pid).role == wanted {
            return;
        }
        self.settle();
        let now = self.now;
        let node = self.node_mut(pid);
        let since = match node.link {
            ReplLink::Down { since } | ReplLink::Syncing { since } => since.or(Some(now)),
            ReplLink::None | ReplLink::Up { .. } => Some(now),
        };
        let was_master = std::mem::replace(&mut node.role, wanted) == Role::Master;
        node.link = ReplLink::Down { since };
        node.handshake += 1;
        let group = node.group.clone();
        let (name, me) = (self.name_of(pid), self.procs[pid.0].addr.clone());
        tell!(self, "{name} FOLLOWS {addr}");
        if was_master {
            self.sight(&Sight::Demoted { group: &group, node: &me, to: addr });
        }
        self.break_followers(pid);
        self.try_sync(pid);
    }
}

fn refused_while_loading(request: &Request) -> bool {
    matches!(verb(request), "ping" | "slaveof" | "config|rewrite")
}
