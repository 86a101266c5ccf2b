//! `vigia demo`: a real group on this machine, and a failover to watch.
//!
//! One master, two replicas (redis-server or valkey-server from the PATH) and three sentinels
//! (this binary), all on free loopback ports with their files in a temporary folder. A client
//! keeps writing; the master is killed on request; the events are shown as they happen, then a
//! summary of what the outage cost. Everything that was started ends with the demo.

#![allow(clippy::print_stdout, reason = "stdout is what a demo is for")]

mod events;
mod group;
mod options;
mod outage;
mod process;
mod report;
mod story;
mod writer;

use std::process::ExitCode;

pub use options::{Options, command};

/// Why a demo ended early. `Display` is the text that the operator sees.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// Neither redis-server nor valkey-server is in the PATH.
    #[error(
        "found neither redis-server nor valkey-server in the PATH; install one (`apt-get install redis-server`) \
         or name it: vigia demo --server PATH"
    )]
    NoServer,
    /// A file or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A process ended that should have gone on.
    #[error("{name} ended by itself; its log says:\n{log}")]
    Ended {
        /// Which process.
        name: String,
        /// The end of its log.
        log: String,
    },
    /// Something did not happen in time.
    #[error("not within {seconds} s: {what}")]
    TimedOut {
        /// What was awaited.
        what: &'static str,
        /// How long, in seconds.
        seconds: u64,
    },
}

/// Runs the demo to its end on a runtime of its own; the exit code says whether what it was
/// asked to show has happened.
pub fn main(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vigia demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(story::tell(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vigia demo: {error}");
            ExitCode::FAILURE
        }
    }
}
