//! Counters of the server, shown by `INFO`.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    pub(super) commands: Counter,
    pub(super) errors: Counter,
    pub(super) reads: Counter,
    pub(super) writes: Counter,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
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
    recent: Mutex<Recent>,
}

/// What happened per second, lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) commands: f64,
    pub(super) bytes_in: f64,
    pub(super) bytes_out: f64,
}

/// Two moments in the past, between one and two windows apart from now.
#[derive(Debug)]
struct Recent {
    older: Sample,
    newer: Sample,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    commands: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// Shortest time over which a rate is measured, as stock's sixteen samples of 100 ms.
const WINDOW_MS: u128 = 1_600;

impl Stats {
    pub(super) fn new() -> Self {
        let started = Instant::now();
        let zero = Sample { at: started, commands: 0, bytes_in: 0, bytes_out: 0 };
        Self {
            started,
            connections: Counter::default(),
            rejected: Counter::default(),
            commands: Counter::default(),
            errors: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            too_slow: Counter::default(),
            too_much: Counter::default(),
            accept_failures: Counter::default(),
            log_accept: Rarely::default(),
            handshake_failures: Counter::default(),
            log_handshake: Rarely::default(),
            log_closed: Rarely::default(),
            recent: Mutex::new(Recent { older: zero, newer: zero }),
        }
    }

    /// Rates since a moment at least [`WINDOW_MS`] ago (less only just after the start). Measured
    /// when asked, so that an idle process needs no timer; two questions that lie far apart see the
    /// average between them.
    pub(super) fn rates(&self) -> Rates {
        let now = Sample {
            at: Instant::now(),
            commands: self.commands.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
        };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if now.at.duration_since(recent.newer.at).as_millis() >= WINDOW_MS {
            recent.older = recent.newer;
            recent.newer = now;
        }
        now.rates_since(recent.older)
    }
}

impl Sample {
    #[allow(clippy::cast_precision_loss)]
    fn rates_since(self, then: Self) -> Rates {
        let seconds = self.at.duration_since(then.at).as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Rates {
            commands: rate(self.commands, then.commands),
            bytes_in: rate(self.bytes_in, then.bytes_in),
            bytes_out: rate(self.bytes_out, then.bytes_out),
        }
    }
}
