//! Child processes of the demo: started in their own process group, ended by their pid.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::DemoError;

/// How long a child may take to end on SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Lines of a log that an error shows.
const LOG_LINES: usize = 8;

/// A child with its output in a file; ends with its owner.
pub(super) struct Process {
    pub(super) name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with the config file `config`; output goes to `<config>.log`.
    ///
    /// Its own process group keeps Ctrl-C for the demo, which then ends its children in order.
    pub(super) fn start(name: &str, program: &Path, config: &Path) -> Result<Self, DemoError> {
        let log = config.with_extension("log");
        let failed = |source| DemoError::Io { what: format!("cannot start {}", program.display()), source };
        let output = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let child = Command::new(program)
            .arg(config)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as a crash would end it.
    pub(super) fn kill(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }

    /// Whether it still runs.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The error that shows why it ended by itself.
    pub(super) fn ended(&self) -> DemoError {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let log = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        DemoError::Ended { name: self.name.clone(), log }
    }

    /// Whether its log says that another process holds its port.
    pub(super) fn found_its_port_taken(&self) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|text| text.contains("Address already in use"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            let _ended_meanwhile = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let start = Instant::now();
        while self.is_running() && start.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

/// A folder that only this user can enter; removed with its content on drop unless it is kept.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Makes `vigia-demo-<pid>` in the system's temporary folder.
    pub(super) fn create(keep: bool) -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(format!("vigia-demo-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| DemoError::Io { what: format!("cannot create {}", path.display()), source })?;
        Ok(Self { path, keep })
    }

    /// Writes one file into it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let path = self.path.join(name);
        let failed = |source| DemoError::Io { what: format!("cannot write {}", path.display()), source };
        fs::write(&path, text).map_err(failed)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _leftover = fs::remove_dir_all(&self.path);
        }
    }
}

/// The data server to run: the one named, or the first of the usual names in the PATH.
pub(super) fn find_server(named: Option<&Path>) -> Result<PathBuf, DemoError> {
    if let Some(path) = named {
        return match path.is_file() {
            true => Ok(path.to_owned()),
            false => Err(DemoError::Io {
                what: format!("--server {}", path.display()),
                source: io::ErrorKind::NotFound.into(),
            }),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    let candidates =
        ["redis-server", "valkey-server"].iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
    candidates.into_iter().find(|path| path.is_file()).ok_or(DemoError::NoServer)
}
