//! Waiting for conditions instead of for time.

use std::time::{Duration, Instant};

/// Patience of every wait: far above what any step takes on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Polls `condition` until it holds.
///
/// # Panics
/// When it does not hold within `patience`. The processes of the test print their logs as they
/// are dropped while panicking.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    loop {
        if condition() {
            return;
        }
        assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// Polls for `span` that `condition` keeps holding.
///
/// # Panics
/// As soon as it does not.
#[track_caller]
pub fn holds_for(what: &str, span: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < span {
        assert!(condition(), "after {:?} no longer true: {what}", start.elapsed());
        std::thread::sleep(POLL);
    }
}
