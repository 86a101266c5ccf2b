//! A real sentinel process, Vigía's or Debian's, with its own config file.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::ports::free_port;
use super::process::Process;
use super::resp::{Value, ask};
use super::tls::Secrets;
use super::wait::{PATIENCE, wait_until};

/// Tries to find a port that nobody takes between the check and the bind of the child.
const PORT_TRIES: usize = 10;

/// Which sentinel runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// The binary of this package.
    Vigia,
    /// `redis-sentinel` from the PATH.
    Stock,
    /// Another release of Vigía: `VIGIA_OLD_BINARY`, or the binary of this package once more.
    Older,
}

impl Program {
    /// What to execute. `VIGIA_TEST_PROGRAM` names another build (or another sentinel) to test.
    pub fn path(self) -> PathBuf {
        match self {
            Program::Vigia => match std::env::var_os("VIGIA_TEST_PROGRAM") {
                Some(path) => path.into(),
                None => PathBuf::from(env!("CARGO_BIN_EXE_vigia")),
            },
            Program::Stock => PathBuf::from("redis-sentinel"),
            Program::Older => match std::env::var_os("VIGIA_OLD_BINARY") {
                Some(path) => path.into(),
                None => Program::Vigia.path(),
            },
        }
    }
}

/// One sentinel with a folder that holds `sentinel.conf` and `log`.
pub struct Sentinel {
    // Before its folder: the end of its log is printed when a test fails.
    process: Process,
    folder: tempfile::TempDir,
    /// Which program it is.
    pub program: Program,
    /// Its port; kept over restarts.
    pub port: u16,
}

impl Sentinel {
    /// Starts a sentinel with `config` (without `port`) on a free port; waits until it answers.
    pub fn start(program: Program, config: &str) -> Sentinel {
        Sentinel::start_with(program, config, |port| format!("port {port}\n"))
    }

    /// The same, with TLS only.
    pub fn start_tls(program: Program, config: &str, secrets: &Secrets) -> Sentinel {
        Sentinel::start_with(program, config, |port| {
            secrets.speak_at(&format!("127.0.0.1:{port}"));
            secrets.lines_only(port)
        })
    }

    /// `listen` gives the lines that make it listen on a port.
    pub fn start_with(program: Program, config: &str, listen: impl Fn(u16) -> String) -> Sentinel {
        for _ in 0..PORT_TRIES {
            let port = free_port();
            let folder =
                tempfile::Builder::new().prefix("vigia-sentinel-").tempdir().expect("temporary folder");
            let text = listen(port) + config;
            fs::write(folder.path().join("sentinel.conf"), text).expect("config file");
            let process = spawn(program, folder.path(), port);
            let mut sentinel = Sentinel { folder, process, program, port };
            if sentinel.wait_ready() {
                return sentinel;
            }
        }
        panic!("{program:?} found its port taken {PORT_TRIES} times");
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// `ip:port` for the test.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// One command on a fresh connection.
    pub fn ask(&self, words: &[&str]) -> io::Result<Value> {
        ask(&self.address(), words)
    }

    /// Path of its config file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("sentinel.conf")
    }

    /// The config file as it is now.
    pub fn config(&self) -> String {
        fs::read_to_string(self.config_path()).expect("config file of a sentinel")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// SIGTERM, and waits for the end.
    pub fn shut_down(&mut self) {
        self.process.signal(Signal::TERM);
        wait_until("the sentinel ends on SIGTERM", PATIENCE, || self.process.exit_status().is_some());
    }

    /// Ends as any service manager ends it, and goes on from its file as `program`.
    pub fn replace_by(&mut self, program: Program) {
        self.shut_down();
        self.program = program;
        self.restart();
    }

    /// Starts it again with the config file as it is now, and waits until it answers.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(self.program, self.folder.path(), self.port);
        assert!(self.wait_ready(), "the port of a restarted sentinel was taken");
    }

    /// Whether the process runs and is not stopped.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// False when the process ended because its port was taken.
    fn wait_ready(&mut self) -> bool {
        let mut ended = false;
        wait_until("the sentinel answers", PATIENCE, || {
            ended = self.process.exit_status().is_some();
            // Any reply will do: with a password it is an error.
            ended || self.ask(&["PING"]).is_ok()
        });
        if ended {
            let log = self.process.log_text();
            assert!(log.contains("Address already in use"), "{:?} ended:\n{log}", self.program);
        }
        !ended
    }
}

fn spawn(program: Program, folder: &Path, port: u16) -> Process {
    let command: Vec<OsString> = vec![program.path().into(), folder.join("sentinel.conf").into()];
    Process::spawn(&format!("{program:?} {port}"), &command, folder, &folder.join("log"))
}
