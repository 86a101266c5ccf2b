//! The pid file, and telling systemd that the process is ready.
//!
//! Source: spec 01, sections 3 and 7.

use std::env;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

use crate::conf::Supervised;
use crate::runtime::files::strerror;

/// A pid file that was written; removed at the end.
#[derive(Debug)]
pub(super) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes it, if one is configured. Failure is only logged.
    pub(super) fn write(path: Option<&str>) -> Self {
        let Some(path) = path.filter(|path| !path.is_empty()) else { return Self(None) };
        if let Err(error) = fs::write(path, format!("{}\n", std::process::id())) {
            tracing::info!("Failed to write PID file: {}", strerror(&error));
        }
        Self(Some(path.into()))
    }

    /// Removes it and says so.
    pub(super) fn remove(&self) {
        if let Some(path) = &self.0 {
            tracing::info!("Removing the pid file.");
            // It may never have been written, or be gone already.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether a service manager that is told about readiness runs this process.
pub(super) fn is_supervised(mode: Supervised) -> bool {
    match mode {
        Supervised::No | Supervised::Upstart => false,
        Supervised::Systemd => true,
        Supervised::Auto => env::var_os("NOTIFY_SOCKET").is_some(),
    }
}

/// `process_supervised` in `INFO`: systemd counts only if it can be told, as in redis-sentinel 7.0.15.
pub(super) fn supervisor_name(mode: Supervised) -> &'static str {
    let told = env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
    if told && is_supervised(mode) { "systemd" } else { "no" }
}

/// Tells systemd that clients may come.
pub(super) fn notify_ready(mode: Supervised) {
    if !is_supervised(mode) {
        return;
    }
    let Some(socket) = env::var("NOTIFY_SOCKET").ok().filter(|socket| !socket.is_empty()) else {
        tracing::warn!("systemd supervision error: NOTIFY_SOCKET not found!");
        return;
    };
    if let Err(error) = send(&socket, b"STATUS=Ready to accept connections\nREADY=1\n") {
        tracing::warn!("systemd supervision error: {socket}: {}", strerror(&error));
    }
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
        send(path.to_str().unwrap(), b"READY=1\n").unwrap();
        let mut buffer = [0; 64];
        let length = systemd.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1\n");
        assert!(send("@vigia-test-of-a-socket-that-is-not-there", b"x").is_err());
    }

    #[test]
    fn the_pid_file_holds_the_pid_and_goes_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::write(path.to_str());
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        file.remove();
        assert!(!path.exists());
        PidFile::write(Some("/nonexistent/pid")).remove();
    }
}
