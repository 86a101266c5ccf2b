//! Where a client comes from, and where to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// One end of a connection. `Display` is what `CLIENT LIST` shows and `CLIENT KILL` takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket: both ends bear the path of the socket, and port 0.
    Unix(Arc<str>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "{path}:0"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}
