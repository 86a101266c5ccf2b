//! The process' clock: monotonic, and counting while the machine is asleep.
//!
//! The wall clock has no say in anything: setting it changes nothing. The monotonic clock of the system stands
//! still while the machine is suspended, so by that clock alone a leader that slept for an hour would go on
//! with its term (S9) as if nothing had been. So the time asleep is added, as the difference between
//! `CLOCK_BOOTTIME` and `CLOCK_MONOTONIC` shows it. Timers stand still in sleep too and come late: a stall.
//!
//! A virtual machine whose clocks its hypervisor stops as well cannot know of its pause; to itself no time
//! passed, and to the others it was silent.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{Span, Time};

/// Readings of the two clocks that are further apart say nothing.
const STEADY: Duration = Duration::from_millis(1);
/// A difference that grew by less is noise of the readings.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

/// Microseconds since the clock was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    sleep: Sleep,
    /// By how much `CLOCK_BOOTTIME` is ahead of `CLOCK_MONOTONIC`.
    lead: fn() -> Option<Duration>,
}

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        Self::with(system_lead)
    }

    /// A clock for which `lead` tells how long the machine was asleep since some moment.
    pub(super) fn with(lead: fn() -> Option<Duration>) -> Self {
        let first = (0..10).find_map(|_| lead()).unwrap_or_default();
        Self { start: Instant::now(), sleep: Sleep { first, total: Duration::ZERO }, lead }
    }

    /// Takes note of sleep that ended.
    pub(super) fn look(&mut self) {
        if let Some(lead) = (self.lead)() {
            self.sleep.note(lead);
        }
    }

    /// How long the machine was asleep since the clock was made, as far as was looked.
    pub(super) fn asleep(&self) -> Span {
        Span(micros(self.sleep.total))
    }

    pub(super) fn now(&self) -> Time {
        Time(micros(self.start.elapsed() + self.sleep.total))
    }

    /// The moment at which the clock shows `time`, if nobody sleeps until then; the far future if there is no
    /// such moment.
    pub(super) fn at(&self, time: Time) -> Instant {
        let far = self.start + Duration::from_secs(86_400 * 365);
        let awake = Duration::from_micros(time.0).saturating_sub(self.sleep.total);
        self.start.checked_add(awake).map_or(far, |at| at.min(far))
    }
}

/// Sleep so far.
#[derive(Clone, Copy, Debug)]
struct Sleep {
    first: Duration,
    total: Duration,
}

impl Sleep {
    fn note(&mut self, lead: Duration) {
        let total = lead.saturating_sub(self.first);
        if total >= self.total + SHORTEST_SLEEP {
            self.total = total;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
fn system_lead() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let read = |id| Duration::try_from(clock_gettime(id)).ok();
    let before = read(ClockId::Monotonic)?;
    let boot = read(ClockId::Boottime)?;
    let after = read(ClockId::Monotonic)?;
    (after.checked_sub(before)? <= STEADY).then(|| boot.saturating_sub(before))
}

/// Elsewhere the monotonic clock is all there is.
#[cfg(not(target_os = "linux"))]
fn system_lead() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_counts_and_noise_does_not() {
        let ms = Duration::from_millis;
        let mut sleep = Sleep { first: ms(700), total: ms(0) };
        for (lead, total) in [(700, 0), (705, 0), (699, 0), (3_700, 3_000), (3_701, 3_000), (4_700, 4_000)] {
            sleep.note(ms(lead));
            assert_eq!(sleep.total, ms(total), "{lead}");
        }
    }

    #[test]
    fn the_systems_clocks_can_be_compared() {
        let lead = |_| system_lead();
        let (first, second) = ((0..100).find_map(lead), (0..100).find_map(lead));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.abs_diff(second) < SHORTEST_SLEEP, "{first:?} {second:?}");
    }
}
