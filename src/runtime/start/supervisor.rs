//! Whoever supervises the process, and how it is told.
//!
//! Source: spec 01, sections 3 and 7.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::{Signal, getpid, kill_process};

use crate::conf::Supervised;
use crate::runtime::files::strerror;
use crate::runtime::server::Supervisor;

/// Who supervises this process, found out once at the start.
#[derive(Debug)]
pub(super) enum Supervision {
    /// Nobody.
    None,
    /// systemd; nobody in the end when it gave no socket.
    Systemd(Option<String>),
    /// upstart, with or without a job of its own.
    Upstart(bool),
}

impl Supervision {
    /// What the setting means in this environment.
    pub(super) fn find(mode: Supervised) -> Self {
        let socket = env::var("NOTIFY_SOCKET").ok().filter(|socket| !socket.is_empty());
        Self::judge(mode, socket, env::var_os("UPSTART_JOB").is_some())
    }

    fn judge(mode: Supervised, socket: Option<String>, job: bool) -> Self {
        match (mode, socket) {
            (Supervised::No, _) => Self::None,
            (Supervised::Systemd, socket) => Self::Systemd(socket),
            (Supervised::Upstart, _) => Self::Upstart(job),
            (Supervised::Auto, _) if job => Self::Upstart(job),
            (Supervised::Auto, Some(socket)) => Self::Systemd(Some(socket)),
            (Supervised::Auto, None) => Self::None,
        }
    }

    /// Who it is in the end: what `INFO` shows, and what makes `daemonize yes` void.
    pub(super) fn who(&self) -> Supervisor {
        match self {
            Self::None | Self::Systemd(None) | Self::Upstart(false) => Supervisor::No,
            Self::Systemd(Some(_)) => Supervisor::Systemd,
            Self::Upstart(true) => Supervisor::Upstart,
        }
    }

    /// The start, before the banner: upstart takes a process that stops itself for one that is ready.
    pub(super) fn begin(&self, program: &str) {
        match self {
            Self::None => {}
            Self::Systemd(None) => missing(),
            Self::Systemd(Some(_)) => {
                tracing::info!(
                    "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and \
                     TimeoutStopSec in your service unit."
                );
                self.tell(format!("STATUS={program} is loading...\n").as_bytes());
            }
            Self::Upstart(false) => {
                tracing::warn!("upstart supervision requested, but UPSTART_JOB not found!");
            }
            Self::Upstart(true) => {
                tracing::info!("supervised by upstart, will stop to signal readiness.");
                if let Err(errno) = kill_process(getpid(), Signal::STOP) {
                    tracing::warn!("upstart supervision error: {}", strerror(&errno.into()));
                }
            }
        }
    }

    /// Clients may come.
    pub(super) fn ready(&self) {
        self.tell(b"STATUS=Ready to accept connections\nREADY=1\n");
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.tell(b"STOPPING=1\n");
    }

    fn tell(&self, message: &[u8]) {
        match self {
            Self::None | Self::Upstart(_) => {}
            Self::Systemd(None) => missing(),
            Self::Systemd(Some(socket)) => {
                if let Err(error) = send(socket, message) {
                    tracing::warn!("systemd supervision error: {socket}: {}", strerror(&error));
                }
            }
        }
    }
}

fn missing() {
    tracing::warn!("systemd supervision error: NOTIFY_SOCKET not found!");
}

/// `@name` is a socket in the abstract namespace.
fn send(socket: &str, message: &[u8]) -> io::Result<()> {
    let to = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let from = UnixDatagram::unbound()?;
    from.set_nonblocking(true)?;
    from.send_to_addr(message, &to).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_on_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let supervision = Supervision::Systemd(Some(path.to_str().unwrap().to_owned()));
        supervision.begin("Vigia");
        supervision.ready();
        supervision.stopping();
        let heard = || {
            let mut buffer = [0; 64];
            let length = systemd.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        assert_eq!(heard(), "STATUS=Vigia is loading...\n");
        assert_eq!(heard(), "STATUS=Ready to accept connections\nREADY=1\n");
        assert_eq!(heard(), "STOPPING=1\n");
        assert!(send("@vigia-test-of-a-socket-that-is-not-there", b"x").is_err());
    }

    #[test]
    fn auto_takes_what_the_environment_offers() {
        let who =
            |mode, socket: Option<&str>, job| Supervision::judge(mode, socket.map(str::to_owned), job).who();
        for (mode, socket, job, expected) in [
            (Supervised::No, Some("/n"), true, Supervisor::No),
            (Supervised::Auto, None, false, Supervisor::No),
            (Supervised::Auto, Some("/n"), false, Supervisor::Systemd),
            (Supervised::Auto, Some("/n"), true, Supervisor::Upstart),
            (Supervised::Systemd, None, false, Supervisor::No),
            (Supervised::Systemd, Some("/n"), true, Supervisor::Systemd),
            (Supervised::Upstart, None, false, Supervisor::No),
            (Supervised::Upstart, None, true, Supervisor::Upstart),
        ] {
            assert_eq!(who(mode, socket, job), expected, "{mode:?} {socket:?} {job}");
        }
    }
}
