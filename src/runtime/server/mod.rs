//! The TCP server that speaks RESP to clients.
//!
//! One task per connection reads, executes and writes. Hot reads (`GET-MASTER-ADDR-BY-NAME`, `ROLE`,
//! `INFO`, `PING`) are answered from the published views; everything else goes to the engine, one
//! question per connection at a time. Events come in through [`Hub`].
//!
//! | What may grow | Bound |
//! |---|---|
//! | connections | `maxclients` |
//! | TLS handshakes under way | 256, then the oldest gives way; 10 s each |
//! | one request | `client-query-buffer-limit`, `proto-max-bulk-len`; 10 words of 16 KiB before AUTH |
//! | unread replies of a client | 1 MiB and one reply: then its requests are not read |
//! | unread messages of a subscriber | 32 MiB, or 8 MiB for 60 s: then it is disconnected |
//! | subscriptions of a client | 4,096 names of 256 KiB together; 4,096 distinct patterns in the process |
//! | questions to the engine | one per connection |
//!
//! Source: spec 02; spec 01, section 7; spec 07; client research, section 3.

mod accept;
mod acl;
mod address;
mod auth;
mod client_command;
mod clients;
mod conn;
mod execute;
mod handshake;
mod info;
mod listen;
mod output;
mod pause;
mod pubsub;
mod recent;
mod renames;
mod sentinel;
mod settings;
mod stats;
#[cfg(test)]
mod tests;
mod tracking;
mod unix;
mod usage;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use handshake::MOST as MOST_HANDSHAKES;
pub use listen::{BindError, Kind, Listener, bind};
pub use pubsub::Hub;
pub use renames::Renames;
pub use settings::{Figures, Limits, Settings, Supervisor};
pub use unix::{File as SocketFile, UnixSocket, bind_unix};

use super::handle::EngineHandle;
use clients::Clients;
use handshake::Handshakes;
use pause::Pause;
use stats::{Denials, Stats};

/// What all connections share.
struct Shared {
    settings: Settings,
    handle: EngineHandle,
    hub: Hub,
    clients: Clients,
    handshakes: Handshakes,
    stats: Stats,
    /// What was denied to clients.
    denied: Denials,
    pause: Pause,
    /// Random for each start of the process; not the sentinel's id.
    run_id: String,
    on_shutdown: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// Serves clients on `listeners` and on the Unix socket until `shutdown` says `true` (or its sender is gone); then ends
/// every connection and returns when all are gone.
///
/// `on_shutdown_command` is called, on a connection's task, for each `SHUTDOWN` command; the client
/// gets no reply.
pub async fn serve(
    listeners: Vec<Listener>,
    unix: Option<UnixSocket>,
    settings: Settings,
    handle: EngineHandle,
    hub: Hub,
    mut shutdown: watch::Receiver<bool>,
    on_shutdown_command: impl Fn() + Send + Sync + 'static,
) {
    let shared = Arc::new(Shared::new(settings, handle, hub, Box::new(on_shutdown_command)));
    // Every connection holds a sender: the receiver ends when the last one is gone.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept::run(listener, Arc::clone(&shared), alive.clone()));
    }
    if let Some(socket) = unix {
        accepting.spawn(unix::run(socket, Arc::clone(&shared), alive.clone()));
    }
    drop(alive);
    // An error means that nobody can ask for the shutdown any more.
    let _ = shutdown.wait_for(|end| *end).await;
    accepting.shutdown().await;
    shared.handshakes.end_all();
    shared.clients.kill_all();
    while all_gone.recv().await.is_some() {}
}

impl Shared {
    fn new(
        settings: Settings,
        handle: EngineHandle,
        hub: Hub,
        on_shutdown: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            settings,
            handle,
            hub,
            clients: Clients::default(),
            handshakes: Handshakes::default(),
            stats: Stats::new(),
            denied: Denials::default(),
            pause: Pause::default(),
            run_id: random_id(),
            on_shutdown,
        }
    }
}

/// 40 hex digits. It names a run of the process and protects nothing.
fn random_id() -> String {
    let word = || RandomState::new().build_hasher().finish();
    let mut id = format!("{:016x}{:016x}{:016x}", word(), word(), word());
    id.truncate(40);
    id
}
