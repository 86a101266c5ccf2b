//! Listening sockets.
//!
//! Source: spec 01, sections 2 (texts) and 7 (`bind`, `port`, `tcp-backlog`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::settings::Settings;

/// What is spoken on a listening socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// RESP on `port`.
    Tcp,
    /// RESP within TLS on `tls-port`.
    Tls,
}

impl Kind {
    /// Its name in `INFO` and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// A socket that clients come to.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) kind: Kind,
}

/// A listening socket that could not be made. `Display` is stock's two log lines.
#[derive(Debug, thiserror::Error)]
#[error(
    "Warning: Could not create server TCP listening socket {host}:{port}: {step}{}\n\
     Failed listening on port {port} ({}), aborting.",
    plain(.source),
    .kind.as_str()
)]
pub struct BindError {
    host: String,
    port: u16,
    kind: Kind,
    step: &'static str,
    source: io::Error,
}

/// Opens the listening sockets: for `port`, then for `tls-port`, each in the order of `bind`; none for port 0.
///
/// Must be called inside a tokio runtime. An address with a `-` in front is left out when the host
/// does not have it (or has no IPv6 at all).
///
/// # Errors
/// [`BindError`] for the first address that is needed and can't be had.
pub fn bind(settings: &Settings) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    warn_of_short_backlog(settings.tcp_backlog);
    for (kind, port) in [(Kind::Tcp, settings.port), (Kind::Tls, settings.tls_port)] {
        if port != 0 {
            bind_port(settings, kind, port, &mut listeners)?;
        }
    }
    Ok(listeners)
}

/// Says when the kernel cuts `tcp-backlog` short.
fn warn_of_short_backlog(asked: u32) {
    const FILE: &str = "/proc/sys/net/core/somaxconn";
    let most: Option<u32> = std::fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse().ok());
    if let Some(most) = most.filter(|most| *most < asked) {
        tracing::warn!(
            "WARNING: The TCP backlog setting of {asked} cannot be enforced because {FILE} is set to the lower value of {most}."
        );
    }
}

fn bind_port(
    settings: &Settings,
    kind: Kind,
    port: u16,
    listeners: &mut Vec<Listener>,
) -> Result<(), BindError> {
    for entry in &settings.bind {
        let (optional, host) = match entry.strip_prefix('-') {
            Some(host) => (true, host),
            None => (false, entry.as_str()),
        };
        let at = |(step, source)| BindError { host: host.to_owned(), port, kind, step, source };
        match listen(host, port, settings.tcp_backlog).map_err(at) {
            Ok(socket) => listeners.push(Listener { socket, kind }),
            Err(error) if optional && error.is_absence() => {
                // Only this address is given up.
                tracing::warn!("{}", error.to_string().lines().next().unwrap_or_default());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl BindError {
    /// Whether the host simply does not have such an address.
    fn is_absence(&self) -> bool {
        use rustix::io::Errno;
        const ABSENT: [Errno; 7] = [
            Errno::ADDRNOTAVAIL,
            Errno::AFNOSUPPORT,
            Errno::PFNOSUPPORT,
            Errno::PROTONOSUPPORT,
            Errno::SOCKTNOSUPPORT,
            Errno::NOPROTOOPT,
            Errno::NOENT,
        ];
        self.source.raw_os_error().is_some_and(|code| ABSENT.iter().any(|errno| errno.raw_os_error() == code))
    }
}

/// The step that failed, and why.
type Failed = (&'static str, io::Error);

fn listen(host: &str, port: u16, backlog: u32) -> Result<TcpListener, Failed> {
    let at = |step| move |source| (step, source);
    let addr = SocketAddr::new(resolve(host).map_err(at(""))?, port);
    let socket =
        Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP)).map_err(at("socket: "))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true).map_err(at("setsockopt: "))?;
    }
    socket.set_reuse_address(true).map_err(at("setsockopt: "))?;
    socket.set_nonblocking(true).map_err(at("fcntl: "))?;
    socket.bind(&addr.into()).map_err(at("bind: "))?;
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    socket.listen(backlog).map_err(at("listen: "))?;
    TcpListener::from_std(socket.into()).map_err(at("register: "))
}

/// `*` and `::*` are all addresses of a family; a name gives its first address.
fn resolve(host: &str) -> io::Result<IpAddr> {
    match host {
        "*" => return Ok(Ipv4Addr::UNSPECIFIED.into()),
        "::*" => return Ok(Ipv6Addr::UNSPECIFIED.into()),
        _ => {}
    }
    if let Ok(ip) = host.parse() {
        return Ok(ip);
    }
    // Blocks, but only before the process serves anybody; stock does the same.
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(host, 0))
        .map_err(|_| io::Error::other("Name or service not known"))?;
    found.next().map(|addr| addr.ip()).ok_or_else(|| io::Error::other("Name or service not known"))
}

/// The system's text without Rust's ` (os error N)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((plain, _)) => plain.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RunId;

    fn settings(port: u16, bind: &[&str]) -> Settings {
        let mut settings = Settings::new(RunId::from("me"));
        settings.port = port;
        settings.bind = bind.iter().map(|host| (*host).to_owned()).collect();
        settings
    }

    #[tokio::test]
    async fn a_busy_port_is_reported_in_stocks_words() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = bind(&settings(port, &["127.0.0.1"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Warning: Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use\n\
                 Failed listening on port {port} (tcp), aborting."
            )
        );
        let error = bind(&Settings { tls_port: port, ..settings(0, &["*"]) }).unwrap_err().to_string();
        assert!(error.contains(&format!("socket *:{port}: bind: ")), "{error}");
        assert!(error.ends_with(&format!("Failed listening on port {port} (tls), aborting.")), "{error}");
    }

    #[tokio::test]
    async fn an_absent_address_is_an_error_unless_marked() {
        let error = bind(&settings(26_379, &["198.51.100.77"])).unwrap_err();
        assert!(error.to_string().contains("bind: Cannot assign requested address\n"), "{error}");
        assert_eq!(bind(&settings(26_379, &["-198.51.100.77"])).unwrap().len(), 0);
    }

    #[tokio::test]
    async fn port_zero_listens_nowhere() {
        assert!(bind(&settings(0, &["*"])).unwrap().is_empty());
    }
}
