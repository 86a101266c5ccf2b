//! Opens a connection, and says whose fault it is when that fails.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::engine::DownCause;
use crate::runtime::tls::Tls;

/// After this long without traffic the kernel asks whether the other side is still there. A backstop: the
/// engine's PINGs notice a silent node much earlier.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How connections are made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `bind-source-addr`.
    pub source: Option<IpAddr>,
    /// `tls-replication`: how TLS is spoken; `None` where it is not.
    pub tls: Option<Arc<Tls>>,
}

/// Whose doing a failed or lost connection is.
///
/// Only an error that surely lies on this machine is [`DownCause::Local`], because such an error does not start
/// the clock of SDOWN; that a route is missing or a firewall says no looks like a dead host from here.
pub fn cause_of(error: &io::Error) -> DownCause {
    const LOCAL: [Errno; 8] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::ADDRNOTAVAIL,
        Errno::ADDRINUSE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::AFNOSUPPORT,
    ];
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => DownCause::Refused,
        Some(code) if LOCAL.contains(&code) => DownCause::Local,
        Some(_) | None => DownCause::Remote,
    }
}

/// Whether the system did not even try: nothing was sent.
pub(super) fn not_tried(error: &io::Error) -> bool {
    const AT_ONCE: [Errno; 4] = [Errno::NETUNREACH, Errno::ACCESS, Errno::PERM, Errno::INVAL];
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    cause_of(error) == DownCause::Local || code.is_some_and(|code| AT_ONCE.contains(&code))
}

/// Connects.
///
/// # Errors
/// Why that failed. There is no time limit: the engine restarts attempts that hang.
pub(super) async fn open(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.set_nodelay(true)?;
    // A link that the engine gives up must take what was not delivered with it: a SLAVEOF that comes out of a
    // healed cut seconds later would promote a node that nobody wants promoted any more.
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    let stream = socket.connect(to).await?;
    // A port of the ephemeral range on which nobody listens can be the very port that the kernel chose for our
    // end: TCP then connects the socket to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_blamed_on_the_right_side() {
        let cases = [
            (Errno::CONNREFUSED, DownCause::Refused),
            (Errno::CONNRESET, DownCause::Remote),
            (Errno::PIPE, DownCause::Remote),
            (Errno::TIMEDOUT, DownCause::Remote),
            (Errno::HOSTUNREACH, DownCause::Remote),
            (Errno::NETUNREACH, DownCause::Remote),
            (Errno::ACCESS, DownCause::Remote),
            (Errno::PERM, DownCause::Remote),
            (Errno::MFILE, DownCause::Local),
            (Errno::NFILE, DownCause::Local),
            (Errno::ADDRNOTAVAIL, DownCause::Local),
            (Errno::ADDRINUSE, DownCause::Local),
            (Errno::NOBUFS, DownCause::Local),
            (Errno::NOMEM, DownCause::Local),
            (Errno::AFNOSUPPORT, DownCause::Local),
        ];
        for (code, cause) in cases {
            assert_eq!(cause_of(&code.into()), cause, "{code:?}");
        }
        assert_eq!(cause_of(&io::ErrorKind::NotFound.into()), DownCause::Remote, "a name without addresses");
    }

    #[tokio::test]
    async fn a_source_address_of_another_machine_is_a_local_error() {
        let to = "127.0.0.1:1".parse().unwrap();
        let error = open(to, Some("192.0.2.1".parse().unwrap())).await.unwrap_err();
        assert_eq!(cause_of(&error), DownCause::Local);
        assert!(not_tried(&error) && not_tried(&Errno::NETUNREACH.into()));
        assert!(!not_tried(&Errno::CONNREFUSED.into()) && !not_tried(&Errno::HOSTUNREACH.into()));
    }

    #[tokio::test]
    async fn the_source_address_is_used() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let source = "127.0.0.2".parse().unwrap();
        let stream = open(listener.local_addr().unwrap(), Some(source)).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), source);
        assert!(stream.nodelay().unwrap() && SockRef::from(&stream).keepalive().unwrap());
        assert_eq!(SockRef::from(&stream).linger().unwrap(), Some(Duration::ZERO));
    }
}
