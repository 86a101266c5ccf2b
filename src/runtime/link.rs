//! Outgoing connections: one task each, our own RESP over tokio.
//!
//! Why not `MultiplexedConnection` of the `redis` crate: the end of a connection must be seen at once, not at
//! the next command; a failed AUTH must not fail the connection (a password for a node without one still
//! works); nothing may be sent that least-privilege ACL rules do not allow; and at 60,000 links the 17 kB that
//! it holds per link would be a gigabyte. Here an idle link costs a task and a socket: its buffers exist only
//! while there is something in them.
//!
//! The driver writes requests into a link's `Outbox`; the task sends all that is there in one write. What
//! comes back goes to the driver's queue as [`LinkEvent`]s. A link whose task waits for room in that queue reads
//! nothing meanwhile, so a flood stops at the other side's socket.
//!
//! Source: spec 04, section 3.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::engine::settings::Renames;
use crate::engine::{Addr, DownCause, LinkId, Request};
use crate::wire::OwnedReply;

mod connect;
mod outbox;
mod stream;
mod task;

pub use connect::{Options, cause_of};

use outbox::Outbox;

/// What a link tells the driver.
#[derive(Debug)]
pub enum LinkEvent {
    /// The connection is established.
    Up {
        /// The connection.
        link: LinkId,
        /// Our end of it.
        local: IpAddr,
    },
    /// The other side's host took the connection; a TLS handshake is next.
    Reached {
        /// The connection.
        link: LinkId,
        /// Whether it has begun, or waits for its turn.
        begun: bool,
    },
    /// It could not even be tried; [`LinkEvent::Down`] follows.
    Failed {
        /// The connection.
        link: LinkId,
        /// The system's words.
        why: String,
    },
    /// It could not be made, or ended. The last event of a link.
    Down {
        /// The connection.
        link: LinkId,
        /// Whose doing it was.
        cause: DownCause,
    },
    /// The reply to the oldest unanswered request.
    Reply {
        /// The connection.
        link: LinkId,
        /// The reply.
        reply: OwnedReply,
    },
    /// A hello.
    Message {
        /// The connection.
        link: LinkId,
        /// The `message`; its payload is UTF-8.
        message: OwnedReply,
    },
}

impl LinkEvent {
    /// Whom it is about.
    pub fn link(&self) -> LinkId {
        match self {
            Self::Up { link, .. } | Self::Reached { link, .. } => *link,
            Self::Failed { link, .. } | Self::Down { link, .. } => *link,
            Self::Reply { link, .. } | Self::Message { link, .. } => *link,
        }
    }
}

/// The outgoing connections as the driver sees them. None of the methods waits.
pub trait Links {
    /// Starts an attempt at `ip`; `addr` is what the other side is known by.
    fn connect(&mut self, link: LinkId, addr: &Addr, ip: IpAddr);
    /// Ends a connection or an attempt; what it still had to say is void.
    fn close(&mut self, link: LinkId);
    /// Queues a request until the next [`Links::flush`]; without effect on a link that has ended.
    fn send(&mut self, link: LinkId, request: &Request, renames: Option<&Renames>);
    /// Lets the tasks send what was queued.
    fn flush(&mut self);
    /// Whether an event still counts: its link was neither closed nor reported down before.
    fn accepts(&mut self, event: &LinkEvent) -> bool;
}

/// Where a link goes to.
#[derive(Debug)]
struct Target {
    /// What the other side is known by: its host may be a name.
    addr: Addr,
    /// Where it is now.
    ip: IpAddr,
}

/// Real connections.
#[derive(Debug)]
pub struct TcpLinks {
    options: Arc<Options>,
    events: mpsc::Sender<LinkEvent>,
    open: HashMap<LinkId, Open>,
    /// Links with requests queued since the last flush.
    dirty: Vec<LinkId>,
}

#[derive(Debug)]
struct Open {
    outbox: Arc<Outbox>,
    task: AbortHandle,
}

impl TcpLinks {
    /// No connections yet; what they report goes to `events`.
    pub fn new(options: Options, events: mpsc::Sender<LinkEvent>) -> Self {
        Self { options: Arc::new(options), events, open: HashMap::new(), dirty: Vec::new() }
    }
}

impl Links for TcpLinks {
    fn connect(&mut self, link: LinkId, addr: &Addr, ip: IpAddr) {
        let outbox = Arc::new(Outbox::default());
        let target = Target { addr: addr.clone(), ip };
        let work = task::run(link, target, self.options.clone(), outbox.clone(), self.events.clone());
        let task = tokio::spawn(work).abort_handle();
        let old = self.open.insert(link, Open { outbox, task });
        debug_assert!(old.is_none(), "the engine never uses a link id twice: {link:?}");
    }

    fn close(&mut self, link: LinkId) {
        if let Some(open) = self.open.remove(&link) {
            open.task.abort();
        }
    }

    fn send(&mut self, link: LinkId, request: &Request, renames: Option<&Renames>) {
        if let Some(open) = self.open.get(&link)
            && open.outbox.push(request, renames)
        {
            self.dirty.push(link);
        }
    }

    fn flush(&mut self) {
        for link in self.dirty.drain(..) {
            if let Some(open) = self.open.get(&link) {
                open.outbox.wake();
            }
        }
    }

    fn accepts(&mut self, event: &LinkEvent) -> bool {
        match event {
            LinkEvent::Down { link, .. } => self.open.remove(link).is_some(),
            LinkEvent::Up { link, .. }
            | LinkEvent::Reached { link, .. }
            | LinkEvent::Failed { link, .. }
            | LinkEvent::Reply { link, .. }
            | LinkEvent::Message { link, .. } => self.open.contains_key(link),
        }
    }
}

impl Drop for TcpLinks {
    fn drop(&mut self) {
        for open in self.open.values() {
            open.task.abort();
        }
    }
}

#[cfg(test)]
mod tests;
