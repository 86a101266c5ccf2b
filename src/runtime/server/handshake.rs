//! TLS handshakes of clients: bounded in time and number, and at nobody's cost.
//!
//! A client takes a place of `maxclients` when its handshake is done, not before. When too many handshakes are
//! under way, the oldest ends: an honest one takes milliseconds, so it is those that hang that give way.
//!
//! Differs: stock gives a place to whoever connects, for ever unless `timeout` is set.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_openssl::SslStream;

use super::Shared;
use crate::runtime::tls::{Tls, describe};

/// Most handshakes under way.
pub const MOST: usize = 256;

/// How long one may take.
const LONGEST: Duration = Duration::from_secs(10);

/// How long a client that is being closed may take to accept the end of the stream.
const FAREWELL: Duration = Duration::from_secs(1);

/// Handshakes under way, oldest first; dropping a sender ends its handshake.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    running: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Handshakes {
    /// The process ends.
    pub(super) fn end_all(&self) {
        self.lock().running.clear();
    }

    fn begin(&self) -> (Turn<'_>, oneshot::Receiver<()>) {
        let mut state = self.lock();
        if state.running.len() >= MOST {
            state.running.pop_front();
        }
        state.last_id += 1;
        let (id, (keep, ended)) = (state.last_id, oneshot::channel());
        state.running.push_back((id, keep));
        (Turn { all: self, id }, ended)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them.
struct Turn<'a> {
    all: &'a Handshakes,
    id: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.all.lock().running.retain(|(id, _)| *id != self.id);
    }
}

/// Shakes hands with a client. `None`: it failed, which is logged (once a second at most).
pub(super) async fn accept(
    stream: TcpStream,
    (addr, local): (SocketAddr, SocketAddr),
    tls: &Tls,
    shared: &Shared,
) -> Option<SslStream<TcpStream>> {
    let (turn, pushed_out) = shared.handshakes.begin();
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(LONGEST, shake_hands(stream, tls)) => {
            shaken.unwrap_or_else(|_| Err(format!("no TLS handshake within {} seconds", LONGEST.as_secs())))
        }
        _ = pushed_out => Err(format!("no TLS handshake, and {MOST} others wait")),
    };
    drop(turn);
    match shaken {
        Ok(stream) => Some(stream),
        Err(why) => {
            shared.stats.handshake_failures.add(1);
            if shared.stats.log_handshake.now() {
                let failures = shared.stats.handshake_failures.get();
                let hint = hint(&why);
                tracing::warn!(
                    failures,
                    "Error accepting a client connection: {why} (addr={addr} laddr={local}){hint}"
                );
            }
            None
        }
    }
}

async fn shake_hands(stream: TcpStream, tls: &Tls) -> Result<SslStream<TcpStream>, String> {
    let ssl = tls.server().map_err(|error| error.to_string())?;
    let mut stream = SslStream::new(ssl, stream).map_err(|error| error.to_string())?;
    match Pin::new(&mut stream).accept().await {
        Ok(()) => Ok(stream),
        Err(error) => Err(describe(&error)),
    }
}

/// What OpenSSL's words mean, where that is not plain.
fn hint(why: &str) -> &'static str {
    const HINTS: [(&str, &str); 4] = [
        ("peer did not return a certificate", ": tls-auth-clients yes asks for one"),
        (
            "certificate verify failed",
            ": no CA of tls-ca-cert-file signed the client's certificate, or it expired",
        ),
        ("wrong version number", ": the client does not speak TLS"),
        ("http request", ": the client speaks HTTP"),
    ];
    HINTS.iter().find(|(words, _)| why.contains(words)).map_or("", |(_, hint)| hint)
}

/// Tells the client that nothing more comes: without that, an end looks like an attack.
pub(super) async fn farewell(mut stream: SslStream<TcpStream>) {
    let shut = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx));
    // It is gone either way.
    let _ = tokio::time::timeout(FAREWELL, shut).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_there_are_too_many_the_oldest_ends() {
        let all = Handshakes::default();
        let mut running: Vec<_> = (0..MOST).map(|_| all.begin()).collect();
        let ends =
            |ended: &mut oneshot::Receiver<()>| ended.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert!(!ends(&mut running[0].1));
        let newest = all.begin();
        assert!(ends(&mut running[0].1) && !ends(&mut running[1].1));
        drop(newest);
        running.truncate(10);
        assert_eq!(all.lock().running.len(), 9, "who is done makes room");
    }
}
