//! The accept loop.
//!
//! Source: spec 01, section 7 (`maxclients`, `protected-mode`, `tcp-keepalive`).

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Shared;
use super::clients::Client;
use super::conn::Conn;
use super::handshake;
use super::listen::{Kind, Listener};
use super::output::Outbox;
use crate::runtime::tls::Tls;

/// Pause after a failure to accept: without descriptors, trying again at once would only burn the
/// processor that is needed to end other connections.
const BACKOFF: Duration = Duration::from_millis(100);

/// How long a client that is turned away may take to hear why.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

const DENIED: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n";

/// Accepts clients for ever.
pub(super) async fn run(listener: Listener, shared: Arc<Shared>, alive: mpsc::Sender<()>) {
    let tls = match listener.kind {
        Kind::Tcp => None,
        Kind::Tls => shared.settings.tls.clone(),
    };
    loop {
        match listener.socket.accept().await {
            Ok((stream, addr)) => match &tls {
                None => admit(stream, addr, &shared, &alive),
                Some(tls) => admit_tls(stream, addr, tls, &shared, &alive),
            },
            Err(error) => after_failure(&shared, &error).await,
        }
    }
}

/// Counts and tells that nobody could be accepted, and pauses; nothing of it when that is the client's own doing.
pub(super) async fn after_failure(shared: &Shared, error: &std::io::Error) {
    if is_the_clients(error.kind()) {
        return;
    }
    shared.stats.accept_failures.add(1);
    if shared.stats.log_accept.now() {
        let failures = shared.stats.accept_failures.get();
        tracing::warn!(%error, failures, "Accepting client connection");
    }
    tokio::time::sleep(BACKOFF).await;
}

/// Whether the failure concerns only the connection that was to be accepted.
fn is_the_clients(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

fn admit(stream: TcpStream, addr: SocketAddr, shared: &Arc<Shared>, alive: &mpsc::Sender<()>) {
    let place = match Place::take(shared, addr.ip()) {
        Ok(place) => place,
        Err(text) => return refuse(stream, text),
    };
    // Not even an address: the client has gone already.
    let Ok(local) = stream.local_addr() else { return };
    shared.stats.connections.add(1);
    tune(&stream, shared.settings.tcp_keepalive_secs);
    let conn = conn(shared, addr, local, stream.as_raw_fd());
    let alive = alive.clone();
    tokio::spawn(async move {
        conn.run(stream).await;
        drop(place);
        drop(alive);
    });
}

/// Beyond `maxclients` no handshake is begun, as in stock, and the client learns no reason.
fn admit_tls(
    stream: TcpStream,
    addr: SocketAddr,
    tls: &Arc<Tls>,
    shared: &Arc<Shared>,
    alive: &mpsc::Sender<()>,
) {
    if !shared.clients.has_room(shared.settings.maxclients) {
        return shared.stats.rejected.add(1);
    }
    let Ok(local) = stream.local_addr() else { return };
    shared.stats.connections.add(1);
    tune(&stream, shared.settings.tcp_keepalive_secs);
    let (tls, shared, alive) = (Arc::clone(tls), Arc::clone(shared), alive.clone());
    tokio::spawn(async move {
        let fd = stream.as_raw_fd();
        if let Some(mut stream) = handshake::accept(stream, (addr, local), &tls, &shared).await {
            match Place::take(&shared, addr.ip()) {
                Ok(place) => {
                    conn(&shared, addr, local, fd).run(&mut stream).await;
                    drop(place);
                }
                // A client that can't take the text soon gets none.
                Err(text) => drop(timeout(PATIENCE, stream.write_all(text)).await),
            }
            handshake::farewell(stream).await;
        }
        drop(alive);
    });
}

fn conn(shared: &Arc<Shared>, addr: SocketAddr, local: SocketAddr, fd: i32) -> Conn {
    let outbox = Arc::new(Outbox::new(shared.settings.limits));
    let client = Client::new(shared.clients.next_id(), addr, local, fd, outbox);
    Conn::new(Arc::clone(shared), client)
}

/// Whether protected mode turns the client away: it is on, no password is set, and the client comes
/// from outside.
fn is_denied(shared: &Shared, ip: IpAddr) -> bool {
    shared.settings.protected_mode
        && shared.settings.acl.default_account().rights().needs_no_password()
        && !ip.to_canonical().is_loopback()
}

/// One place of `maxclients`.
pub(super) struct Place(pub(super) Arc<Shared>);

impl Place {
    /// Takes one, or says with which words the client is turned away.
    fn take(shared: &Arc<Shared>, ip: IpAddr) -> Result<Self, &'static [u8]> {
        if !shared.clients.reserve(shared.settings.maxclients) {
            shared.stats.rejected.add(1);
            return Err(TOO_MANY);
        }
        let place = Self(Arc::clone(shared));
        if is_denied(shared, ip) {
            shared.stats.rejected.add(1);
            return Err(DENIED);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.release();
    }
}

/// Says why and closes; a client that can't take the text at once gets none.
fn refuse(stream: TcpStream, text: &[u8]) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(text);
    }
}

/// Options that only cost speed or patience when they can't be set.
fn tune(stream: &TcpStream, keepalive_secs: u64) {
    let _ = stream.set_nodelay(true);
    if keepalive_secs > 0 {
        let every = Duration::from_secs((keepalive_secs / 3).max(1));
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(keepalive_secs))
            .with_interval(every)
            .with_retries(3);
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::engine::RunId;
    use crate::runtime::handle::EngineHandle;

    fn shared(protected_mode: bool, nopass: bool) -> Shared {
        let mut settings = Settings::new(RunId::from("me"));
        settings.protected_mode = protected_mode;
        if !nopass {
            settings.acl.set_user(b"default", &["resetpass"]).unwrap();
        }
        let (ask, _) = mpsc::channel(1);
        Shared::new(
            settings,
            EngineHandle::new(ask, Arc::default()),
            super::super::Hub::new(),
            Box::new(|| {}),
        )
    }

    #[test]
    fn protected_mode_turns_away_who_comes_from_outside_without_a_password() {
        for (protected, nopass, ip, expected) in [
            (true, true, "10.0.0.1", true),
            (true, true, "::ffff:10.0.0.1", true),
            (true, true, "127.0.0.1", false),
            (true, true, "::ffff:127.0.0.1", false),
            (true, true, "::1", false),
            (true, false, "10.0.0.1", false),
            (false, true, "10.0.0.1", false),
        ] {
            let denied = is_denied(&shared(protected, nopass), ip.parse().unwrap());
            assert_eq!(denied, expected, "{protected} {nopass} {ip}");
        }
    }
}
