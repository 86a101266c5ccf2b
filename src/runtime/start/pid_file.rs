//! The pid file.
//!
//! Source: spec 01, sections 4 and 7.
//! Differs: it is written when the listening sockets are there, so that a second start by mistake does not
//! take away the pid of the one that serves.

use std::fs;
use std::path::PathBuf;

use crate::runtime::files::strerror;

/// The pid file of a process that detaches itself and has none configured.
pub(super) const DEFAULT: &str = "/var/run/redis.pid";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_pid_and_goes_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::write(path.to_str());
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        file.remove();
        assert!(!path.exists());
        PidFile::write(Some("/nonexistent/pid")).remove();
    }
}
