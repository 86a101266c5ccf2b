//! `daemonize yes`: the process goes on without its terminal.
//!
//! Rust has no safe fork, and a fork after threads were started is no good anyway. So this process, once
//! it has read the configuration and found no fault, starts its own program again with the same words, in
//! the same folder and with the same standard input, and waits until that child serves clients. The child
//! knows what it is by a variable of its environment that names its parent; it begins a session of its own
//! and lets go of the standard descriptors when it serves.
//!
//! Source: spec 01, section 7 (`daemonize`).
//! Differs: stock's first process ends before the second one listens, with status 0 even when that fails.
//! Here it ends when the child serves, or with status 1 and the child's words on standard error.

use std::env;
use std::ffi::{CString, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{getppid, setsid};

use super::{Fatal, Launch};
use crate::runtime::files::strerror;

/// Names, in the environment of a child, the parent that waits for it.
pub(in crate::runtime) const PARENT: &str = "VIGIA_DETACHES_FROM";
/// Ends what a child tells its parent: it serves.
const SERVES: u8 = 0;

/// Whether a process was started by [`detach`]. A variable that came down from another process (a script
/// of a sentinel starts a sentinel) names somebody else's parent.
pub(super) fn is_child() -> bool {
    let parent = getppid().map(|parent| parent.as_raw_pid().to_string());
    parent.is_some() && env::var(PARENT).ok() == parent
}

/// The child's first act: a session of its own, so that the end of the terminal is nothing to it, and the
/// name by which it was called.
pub(super) fn begin(launch: &Launch) -> Result<(), Fatal> {
    let name = launch.words.first().and_then(|name| Path::new(name).file_name());
    if let Some(name) = name.and_then(|name| CString::new(name.as_bytes()).ok()) {
        // Only shown by tools.
        let _ = rustix::thread::set_name(&name);
    }
    // The parent does not lead the child's process group, so this can only fail for a child that has its own.
    setsid().map(|_| ()).map_err(|errno| Fatal::Log(format!("No session: {}", strerror(&errno.into()))))
}

/// The child serves: the parent may end. From here on nothing is read from or written to the terminal.
pub(super) fn let_go() -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    // The parent may have been killed.
    let _ = io::stderr().write_all(&[SERVES]);
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// The parent: starts the child and waits until it serves or has ended. Returns the exit code.
///
/// `here` is the folder in which this process was started; `stdin` is what it read from standard input.
pub(super) fn detach(launch: &Launch, here: Option<PathBuf>, stdin: Option<&[u8]>) -> Result<u8, Fatal> {
    let mut command = Command::new(program());
    command.args(launch.words.iter().skip(1)).env(PARENT, std::process::id().to_string());
    if let Some(name) = launch.words.first() {
        command.arg0(name);
    }
    if let Some(here) = here {
        command.current_dir(here);
    }
    let input = if stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    let child = command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let failed =
        |error: io::Error| Fatal::Log(format!("Can't start in the background: {}", strerror(&error)));
    wait(child.map_err(failed)?, stdin.unwrap_or_default()).map_err(failed)
}

/// This program, even if its file was replaced since it was started.
fn program() -> OsString {
    match env::current_exe() {
        Ok(path) if path.is_file() => path.into(),
        Ok(_) | Err(_) => "/proc/self/exe".into(),
    }
}

fn wait(mut child: Child, stdin: &[u8]) -> io::Result<u8> {
    if let Some(mut to) = child.stdin.take() {
        // A child that ends before it has read everything says why on standard error.
        let _ = to.write_all(stdin);
    }
    let mut said = [0; 1_024];
    if let Some(mut from) = child.stderr.take() {
        loop {
            let length = from.read(&mut said)?;
            let heard = &said[..length];
            let end = heard.iter().position(|byte| *byte == SERVES);
            let _ = io::stderr().write_all(&heard[..end.unwrap_or(length)]);
            match (end, length) {
                (Some(_), _) => return Ok(0),
                (None, 0) => break,
                (None, _) => {}
            }
        }
    }
    let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    // Ended before it served: not even status 0 would be a success.
    Ok(code.filter(|code| *code > 0).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn a_child_that_serves_is_a_success_and_one_that_ends_is_none() {
        for (script, expected) in [
            ("printf 'a\\000' >&2; exec sleep 1 2>/dev/null", 0),
            ("read -r word; [ \"$word\" = hello ] && printf '\\000' >&2", 0),
            ("exit 3", 3),
            ("exit 0", 1),
            ("kill -9 $$", 1),
        ] {
            assert_eq!(wait(child(script), b"hello\n").unwrap(), expected, "{script}");
        }
    }

    #[test]
    fn a_test_is_nobodys_child() {
        assert!(!is_child());
    }
}
