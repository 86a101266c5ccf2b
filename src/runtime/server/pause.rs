//! `CLIENT PAUSE`: commands of all clients are held for a while.
//!
//! Source: watched in redis-sentinel 7.0.15: `ALL` holds everything, `UNPAUSE` included; `WRITE`
//! holds `PUBLISH`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Longest pause that is kept track of; longer ones end here. A year is "for ever".
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// The pause in force, if any.
#[derive(Debug, Default)]
pub(super) struct Pause {
    on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    all_until: Option<Instant>,
    writes_until: Option<Instant>,
}

impl Pause {
    /// Starts or prolongs a pause; it never gets shorter.
    pub(super) fn start(&self, ms: u64, writes_only: bool) {
        let until = Instant::now() + Duration::from_millis(ms).min(LONGEST);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = if writes_only { &mut state.writes_until } else { &mut state.all_until };
        *slot = (*slot).max(Some(until));
        self.on.store(true, Ordering::Release);
    }

    /// Ends all pauses.
    pub(super) fn end(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
        self.on.store(false, Ordering::Release);
    }

    /// Until when a command must wait.
    pub(super) fn holds(&self, is_write: bool) -> Option<Instant> {
        if !self.on.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.all_until = state.all_until.filter(|until| *until > now);
        state.writes_until = state.writes_until.filter(|until| *until > now);
        if state.all_until.is_none() && state.writes_until.is_none() {
            self.on.store(false, Ordering::Release);
        }
        if is_write { state.all_until.max(state.writes_until) } else { state.all_until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_or_by_hand() {
        let pause = Pause::default();
        assert_eq!(pause.holds(true), None);
        pause.start(100, true);
        assert!(pause.holds(true).is_some() && pause.holds(false).is_none());
        pause.start(u64::MAX, false);
        assert!(pause.holds(false).is_some());
        pause.end();
        assert_eq!(pause.holds(true), None);
        pause.start(100, false);
        tokio::time::advance(Duration::from_millis(101)).await;
        assert_eq!(pause.holds(false), None);
    }
}
