//! A child process that ends by its own pid, whatever happens to the test.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

/// Lines of a log that a failing test prints.
const TAIL: usize = 60;

/// A running child with its output in a file.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    stopped: bool,
}

impl Process {
    /// Starts `command` (program first); stdout and stderr are appended to `log`.
    ///
    /// Where `setpriv` exists, the kernel also kills the child when the thread of the test ends
    /// without unwinding (a killed test binary leaves nothing behind).
    pub fn spawn(name: &str, command: &[OsString], folder: &Path, log: &Path) -> Process {
        let out = File::options().create(true).append(true).open(log).expect("log file");
        let mut words: Vec<OsString> = Vec::new();
        if can_bind_to_parent() {
            words.extend(["setpriv", "--pdeathsig", "KILL"].map(OsString::from));
        }
        words.extend_from_slice(command);
        let child = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("log handle"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: cannot start {words:?}: {error}"));
        Process { name: name.to_owned(), child, log: log.to_owned(), stopped: false }
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the child and to nobody else; nothing happens when it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.exit_status().is_none() {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal).unwrap_or_else(|error| panic!("{}: {signal:?}: {error}", self.name));
        }
    }

    /// SIGKILL, and waits until the kernel has released the child's sockets.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _status = self.child.wait();
    }

    /// SIGSTOP: the process hangs with its connections open.
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
        self.stopped = true;
    }

    /// SIGCONT after [`Process::stop`].
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
        self.stopped = false;
    }

    /// Whether the child runs and is not stopped.
    pub fn is_running(&mut self) -> bool {
        !self.stopped && self.exit_status().is_none()
    }

    /// The exit status, once the child has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for a child of ours")
    }

    /// Everything that the child (and earlier ones with the same log) wrote.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _result = self.child.kill();
        let _status = self.child.wait();
        if std::thread::panicking() {
            let text = self.log_text();
            let lines: Vec<&str> = text.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            eprintln!("---- log of {} (last {} lines)\n{}", self.name, tail.len(), tail.join("\n"));
        }
    }
}

fn can_bind_to_parent() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let probe = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        probe.is_ok_and(|status| status.success())
    })
}
