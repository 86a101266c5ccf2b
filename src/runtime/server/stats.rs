//! Counters of the server, shown by `INFO`.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::recent::{Meter, RecentMax};

/// One counter.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was denied to clients, by the kind of `acl_access_denied_*`.
#[derive(Debug, Default)]
pub(super) struct Denials {
    /// Wrong passwords.
    pub(super) auth: Counter,
    pub(super) commands: Counter,
    pub(super) channels: Counter,
}

/// Lets one log line through per second: what clients can provoke must not fill the disk.
#[derive(Debug, Default)]
pub(super) struct Rarely(Mutex<Option<Instant>>);

impl Rarely {
    /// Whether to log now.
    pub(super) fn now(&self) -> bool {
        const EVERY: Duration = Duration::from_secs(1);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// Since the start of the process.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) started: Instant,
    pub(super) connections: Counter,
    pub(super) rejected: Counter,
    pub(super) commands: Meter,
    pub(super) errors: Counter,
    pub(super) reads: Counter,
    pub(super) writes: Counter,
    pub(super) bytes_in: Meter,
    pub(super) bytes_out: Meter,
    /// Clients ended because they did not read their messages.
    pub(super) too_slow: Counter,
    /// Clients ended because of one request beyond `client-query-buffer-limit`.
    pub(super) too_much: Counter,
    /// `accept` failed for want of descriptors or memory.
    pub(super) accept_failures: Counter,
    /// For log lines about failures to accept.
    pub(super) log_accept: Rarely,
    /// TLS handshakes that failed.
    pub(super) handshake_failures: Counter,
    /// For log lines about them.
    pub(super) log_handshake: Rarely,
    /// For log lines about clients that are closed for what they did.
    pub(super) log_closed: Rarely,
    /// Bytes of requests that were not executed yet, of one client.
    pub(super) input: RecentMax,
    /// Bytes that were not written yet, of one client.
    pub(super) output: RecentMax,
}

impl Stats {
    pub(super) fn new() -> Self {
        let started = Instant::now();
        Self {
            started,
            connections: Counter::default(),
            rejected: Counter::default(),
            commands: Meter::new(started),
            errors: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            bytes_in: Meter::new(started),
            bytes_out: Meter::new(started),
            too_slow: Counter::default(),
            too_much: Counter::default(),
            accept_failures: Counter::default(),
            log_accept: Rarely::default(),
            handshake_failures: Counter::default(),
            log_handshake: Rarely::default(),
            log_closed: Rarely::default(),
            input: RecentMax::new(started),
            output: RecentMax::new(started),
        }
    }
}
