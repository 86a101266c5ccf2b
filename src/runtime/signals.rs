//! Signals of the operating system.
//!
//! SIGTERM and SIGINT end the process in an orderly way; a second SIGINT ends it at once. SIGHUP does nothing
//! here (a handler that nobody listens to is installed; with TLS, `runtime::tls` listens); SIGPIPE is ignored by Rust's start-up code. All others keep
//! their default.
//!
//! Source: spec 01, section 4.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::log::Log;

/// The signals that end the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    _hangup: Signal,
    interrupted: bool,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// An orderly end, exit code 0.
    Stop(&'static str),
    /// The second SIGINT: exit code 1, now.
    Insist,
}

impl Wish {
    /// The line that tells of it, in the format of stock's signal handlers.
    pub fn log(self, log: &Log) {
        let text = match self {
            Self::Stop(name) => format!("Received {name} scheduling shutdown..."),
            Self::Insist => "You insist... exiting now.".to_owned(),
        };
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        log.push(format!("{}:signal-handler ({seconds}) {text}\n", std::process::id()));
    }
}

impl Signals {
    /// Takes over the signals.
    ///
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _hangup: signal(SignalKind::hangup())?,
            interrupted: false,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => {
                if std::mem::replace(&mut self.interrupted, true) {
                    Wish::Insist
                } else {
                    Wish::Stop("SIGINT")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Raw, getpid, kill_process};

    use super::*;

    /// One test for all: a signal reaches every test of this process.
    #[tokio::test]
    async fn a_second_sigint_insists_and_sighup_does_nothing() {
        let mut signals = Signals::take().unwrap();
        kill_process(getpid(), Raw::HUP).unwrap();
        kill_process(getpid(), Raw::TERM).unwrap();
        assert_eq!(signals.next().await, Wish::Stop("SIGTERM"));
        kill_process(getpid(), Raw::INT).unwrap();
        assert_eq!(signals.next().await, Wish::Stop("SIGINT"));
        kill_process(getpid(), Raw::INT).unwrap();
        assert_eq!(signals.next().await, Wish::Insist);
    }
}
