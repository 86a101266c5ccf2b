//! `syslog-enabled`: every line also to the system's log.
//!
//! The message goes to the datagram socket of the local daemon in the form that `syslog(3)` gives it. The
//! `syslog` crate would take the local time from a library that cannot tell it in a process with threads.
//!
//! Source: spec 01, section 7; RFC 3164.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Local};

use crate::conf::LogLevel;

/// The daemon's socket.
pub(super) const SOCKET: &str = "/dev/log";
/// How long a daemon that does not read may hold up the log.
const PATIENCE: Duration = Duration::from_millis(200);

/// What the daemon is told with each message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    ident: String,
    facility: u8,
}

impl Header {
    /// `syslog-ident` and `syslog-facility`.
    pub fn new(ident: &str, facility: &str) -> Self {
        Self { ident: ident.to_owned(), facility: facility_code(facility) }
    }

    /// The datagram.
    pub fn message(&self, now: &DateTime<Local>, level: LogLevel, message: &str) -> String {
        let priority = self.facility * 8 + severity(level);
        let (time, pid) = (now.format("%b %e %H:%M:%S"), std::process::id());
        format!("<{priority}>{time} {}[{pid}]: {message}", self.ident)
    }
}

/// `user` is 1, `local0` to `local7` are 16 to 23.
fn facility_code(name: &str) -> u8 {
    match name.strip_prefix("local").and_then(|digit| digit.parse::<u8>().ok()) {
        Some(number) => 16 + number.min(7),
        None => 1,
    }
}

fn severity(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 7,
        LogLevel::Verbose => 6,
        LogLevel::Notice => 5,
        LogLevel::Warning | LogLevel::Nothing => 4,
    }
}

/// The way to the daemon.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    /// `None` while the daemon is not there.
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// The daemon at this socket, there or not.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), socket: None }
    }

    /// Sends one message; a daemon that was restarted has a new socket. What it does not take is lost, as
    /// with `syslog(3)`. False when it does not read, which took [`PATIENCE`] to see.
    pub(super) fn send(&mut self, message: &str) -> bool {
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = self.connect().ok();
            }
            let Some(socket) = &self.socket else { return true };
            match socket.send(message.as_bytes()) {
                Ok(_) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => self.socket = None,
            }
        }
        true
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_message_is_as_syslog_writes_it() {
        let at = Local.with_ymd_and_hms(2026, 11, 2, 7, 4, 43).unwrap();
        let pid = std::process::id();
        let message = |facility, level| Header::new("redis", facility).message(&at, level, "text");
        assert_eq!(message("local0", LogLevel::Notice), format!("<133>Nov  2 07:04:43 redis[{pid}]: text"));
        assert!(message("local7", LogLevel::Debug).starts_with("<191>"));
        assert!(message("user", LogLevel::Warning).starts_with("<12>"));
    }

    #[test]
    fn a_daemon_that_comes_late_or_again_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::new(&path);
        syslog.send("lost");
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&path).unwrap();
            syslog.send("heard");
            let mut buffer = [0; 16];
            assert_eq!(daemon.recv(&mut buffer).unwrap(), 5);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_daemon_that_does_not_read_is_told_from_one_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::new(&path);
        assert!(syslog.send("nobody is there"));
        let _hangs = UnixDatagram::bind(&path).unwrap();
        assert!((0..10_000).any(|_| !syslog.send("waits")));
    }
}
