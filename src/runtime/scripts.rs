//! Executes notification and client-reconfiguration scripts. When, and how often, is the engine's business.
//!
//! A script is a direct child of this process, executed without a shell. It inherits the environment, the
//! working directory and the three standard descriptors; all others of this process are close-on-exec.
//! Scripts that run when this process ends go on alone.
//!
//! Source: spec 03, sections 4 and 5.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::engine::{ScriptEnd, ScriptId};
use crate::runtime::files::strerror;

/// What became of a script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScriptEvent {
    /// It runs.
    Started {
        /// Which one.
        script: ScriptId,
        /// Its process.
        pid: u32,
    },
    /// It ended, or could not be started.
    Ended {
        /// Which one.
        script: ScriptId,
        /// How.
        end: ScriptEnd,
    },
}

/// The scripts that run; at most as many as the engine lets run at a time.
#[derive(Debug)]
pub struct Scripts {
    events: mpsc::Sender<ScriptEvent>,
    /// Kills a script; closed when it has ended.
    running: HashMap<ScriptId, mpsc::Sender<()>>,
}

impl Scripts {
    /// Reports go to `events`.
    pub fn new(events: mpsc::Sender<ScriptEvent>) -> Self {
        Self { events, running: HashMap::new() }
    }

    /// Executes a script: its path, then its arguments. Must be called inside a runtime.
    pub fn run(&mut self, script: ScriptId, argv: Vec<Arc<str>>) {
        self.running.retain(|_, kill| !kill.is_closed());
        let (kill, killed) = mpsc::channel(1);
        self.running.insert(script, kill);
        let events = self.events.clone();
        tokio::spawn(async move {
            let end = execute(script, &argv, killed, &events).await;
            // Nobody listens any more when the process ends.
            let _ = events.send(ScriptEvent::Ended { script, end }).await;
        });
    }

    /// Kills a script, if it runs.
    pub fn kill(&mut self, script: ScriptId) {
        if let Some(kill) = self.running.get(&script) {
            // Full means that it is being killed already.
            let _ = kill.try_send(());
        }
    }
}

async fn execute(
    script: ScriptId,
    argv: &[Arc<str>],
    mut killed: mpsc::Receiver<()>,
    events: &mpsc::Sender<ScriptEvent>,
) -> ScriptEnd {
    let mut child = match spawn(argv) {
        Ok(child) => child,
        Err(error) => {
            tracing::warn!("Can't run the script {}: {}", argv.join(" "), strerror(&error));
            return not_started(&error);
        }
    };
    let pid = child.id().unwrap_or(0);
    let _ = events.send(ScriptEvent::Started { script, pid }).await;
    loop {
        tokio::select! {
            status = child.wait() => return end_of(status),
            Some(()) = killed.recv() => {
                if let Err(error) = child.start_kill() {
                    tracing::warn!("Can't kill the script {pid}: {}", strerror(&error));
                }
            }
        }
    }
}

fn spawn(argv: &[Arc<str>]) -> io::Result<Child> {
    let (path, arguments) = argv.split_first().ok_or(io::ErrorKind::NotFound)?;
    // A name without a slash would be looked for in PATH; stock takes it from the working directory.
    let program = if path.contains('/') { path.to_string() } else { format!("./{path}") };
    let mut command = Command::new(program);
    command.arg0(&**path).args(arguments.iter().map(|word| &**word));
    command.env_remove(super::start::daemon::PARENT);
    command.spawn()
}

/// What the system lacks may be there at the next run; a file that cannot be executed stays so.
fn not_started(error: &io::Error) -> ScriptEnd {
    let lacking = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    let lacks =
        error.raw_os_error().is_some_and(|code| lacking.iter().any(|errno| errno.raw_os_error() == code));
    if lacks { ScriptEnd::NotStarted } else { ScriptEnd::NotExecuted }
}

fn end_of(status: io::Result<ExitStatus>) -> ScriptEnd {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => ScriptEnd::Exited(code),
            (None, signal) => ScriptEnd::Killed(signal.unwrap_or(0)),
        },
        // Somebody else collected our child; whether it did well is unknown.
        Err(error) => {
            tracing::warn!("A script can't be waited for: {}", strerror(&error));
            ScriptEnd::Exited(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn script(folder: &Path, name: &str, body: &str) -> Arc<str> {
        let (path, draft) = (folder.join(name), folder.join(format!("{name}.draft")));
        fs::write(&draft, format!("#!/bin/sh\n{body}\n")).unwrap();
        // A program of its own makes the file: a descriptor of ours, alive in a child that another test is
        // just forking, would make the file busy.
        let made = std::process::Command::new("install").args(["-m", "755"]).args([&draft, &path]).status();
        assert!(made.unwrap().success());
        path.to_str().unwrap().into()
    }

    async fn outcome(argv: Vec<Arc<str>>) -> (Option<u32>, ScriptEnd) {
        let (sender, mut events) = mpsc::channel(4);
        Scripts::new(sender).run(ScriptId(1), argv);
        let mut started = None;
        loop {
            match events.recv().await.unwrap() {
                ScriptEvent::Started { pid, .. } => started = Some(pid),
                ScriptEvent::Ended { end, .. } => return (started, end),
            }
        }
    }

    #[tokio::test]
    async fn ends_are_told_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        fs::write(&text, "not a program").unwrap();
        let text = text.to_str().unwrap();
        for (name, body, expected) in [
            ("ok", "exit 0", ScriptEnd::Exited(0)),
            ("again", "exit 1", ScriptEnd::Exited(1)),
            ("bad", "exit 200", ScriptEnd::Exited(200)),
            ("signal", "kill -15 $$", ScriptEnd::Killed(15)),
        ] {
            let (pid, end) = outcome(vec![script(folder.path(), name, body)]).await;
            assert_eq!((pid.is_some(), end), (true, expected), "{name}");
        }
        for path in ["/no/such", text, "no-such-in-this-folder", "a\0b"] {
            assert_eq!(outcome(vec![path.into()]).await, (None, ScriptEnd::NotExecuted), "{path:?}");
        }
        assert_eq!(
            not_started(&io::Error::from_raw_os_error(Errno::AGAIN.raw_os_error())),
            ScriptEnd::NotStarted
        );
    }

    #[tokio::test]
    async fn arguments_arrive_as_they_are_and_nothing_leaks() {
        let folder = tempfile::tempdir().unwrap();
        let body = "for word in \"$0\" \"$@\"; do echo \"<$word>\"; done > \"$(dirname $0)/words\"\n\
                    ls -l /proc/$$/fd > \"$(dirname $0)/fds\"; echo $PPID > \"$(dirname $0)/parent\"";
        let path = script(folder.path(), "s", body);
        let argv = vec![path.clone(), "+sdown".into(), "master m $(x) 'a' \"b\"".into(), "".into()];
        let _socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, end) = outcome(argv).await;
        assert_eq!(end, ScriptEnd::Exited(0));
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("words"), format!("<{path}>\n<+sdown>\n<master m $(x) 'a' \"b\">\n<>\n"));
        assert_eq!(read("parent").trim(), std::process::id().to_string());
        assert!(!read("fds").contains("socket"), "{}", read("fds"));
    }

    #[tokio::test]
    async fn a_script_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let path = script(folder.path(), "s", "trap '' TERM; while :; do sleep 1; done");
        let (sender, mut events) = mpsc::channel(4);
        let mut scripts = Scripts::new(sender);
        scripts.run(ScriptId(7), vec![path]);
        assert!(matches!(events.recv().await, Some(ScriptEvent::Started { script: ScriptId(7), .. })));
        scripts.kill(ScriptId(8));
        scripts.kill(ScriptId(7));
        let ended = ScriptEvent::Ended { script: ScriptId(7), end: ScriptEnd::Killed(9) };
        assert_eq!(events.recv().await, Some(ended));
    }
}
