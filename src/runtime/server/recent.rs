//! What happened lately: figures over a sliding window that need no timer.
//!
//! Source: the windows are those of redis-sentinel 7.0.15: sixteen samples of 100 ms for rates, eight
//! seconds for the largest buffers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::stats::Counter;

/// Length of a slot of a rate, in milliseconds.
const RATE_SLOT_MS: u64 = 100;
/// Whole slots that a rate looks back on; one more is being filled.
const RATE_SLOTS: usize = 16;
/// The largest value is that of so many slots of one second.
const MAX_SLOTS: usize = 8;

/// A slot: number of its period in the upper half, value in the lower.
#[derive(Debug, Default)]
struct Slot(AtomicU64);

impl Slot {
    /// Changes the value of a period; whatever an older period left is gone.
    fn change(&self, period: u32, change: impl Fn(u32) -> u32) {
        let step = |slot: u64| {
            let (old, value) = halves(slot);
            let value = change(if old == period { value } else { 0 });
            Some(u64::from(period) << 32 | u64::from(value))
        };
        // Never fails: the step always gives a value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }
}

fn halves(slot: u64) -> (u32, u32) {
    (
        u32::try_from(slot >> 32).unwrap_or_default(),
        u32::try_from(slot & u64::from(u32::MAX)).unwrap_or_default(),
    )
}

/// Periods are counted from 1, so that an untouched slot belongs to none.
fn period(since: Instant, slot_ms: u64) -> u32 {
    let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    u32::try_from(ms / slot_ms + 1).unwrap_or(u32::MAX)
}

fn clamp(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A total, and how fast it grows.
#[derive(Debug)]
pub(super) struct Meter {
    total: Counter,
    since: Instant,
    slots: [Slot; RATE_SLOTS + 1],
}

impl Meter {
    pub(super) fn new(since: Instant) -> Self {
        Self { total: Counter::default(), since, slots: Default::default() }
    }

    pub(super) fn add(&self, count: u64) {
        self.total.add(count);
        let now = period(self.since, RATE_SLOT_MS);
        if let Some(slot) = self.slots.get(now as usize % self.slots.len()) {
            slot.change(now, |value| value.saturating_add(clamp(count)));
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.total.get()
    }

    /// Mean of the last 1.6 s, up to the last full tenth of a second.
    pub(super) fn per_second(&self) -> f64 {
        let now = period(self.since, RATE_SLOT_MS);
        let first = now.saturating_sub(RATE_SLOTS as u32);
        let slots = self.slots.iter().map(|slot| halves(slot.0.load(Ordering::Relaxed)));
        let sum: u64 = slots
            .filter(|(period, _)| (first..now).contains(period))
            .map(|(_, value)| u64::from(value))
            .sum();
        let window = Duration::from_millis(RATE_SLOT_MS * RATE_SLOTS as u64).as_secs_f64();
        u32::try_from(sum).map_or(f64::from(u32::MAX), f64::from) / window
    }
}

/// The largest value of the last eight seconds.
#[derive(Debug)]
pub(super) struct RecentMax {
    since: Instant,
    slots: [Slot; MAX_SLOTS],
}

impl RecentMax {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, slots: Default::default() }
    }

    pub(super) fn note(&self, size: usize) {
        let now = period(self.since, 1_000);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        if let Some(slot) = self.slots.get(now as usize % MAX_SLOTS) {
            slot.change(now, |value| value.max(size));
        }
    }

    pub(super) fn get(&self) -> u32 {
        let now = period(self.since, 1_000);
        let recent = |period: u32| now - period.min(now) < MAX_SLOTS as u32;
        let slots = self.slots.iter().map(|slot| halves(slot.0.load(Ordering::Relaxed)));
        slots.filter(|(period, _)| recent(*period)).map(|(_, value)| value).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(ms: u64) -> Instant {
        Instant::now().checked_sub(Duration::from_millis(ms)).unwrap()
    }

    #[test]
    fn a_rate_is_that_of_the_last_whole_slots() {
        let mut meter = Meter::new(ago(10_000));
        meter.add(500);
        assert_eq!((meter.get(), meter.per_second()), (500, 0.0), "the present slot is not full");
        let moved = |meter: &mut Meter, ms: u64| meter.since -= Duration::from_millis(ms);
        moved(&mut meter, 200);
        meter.add(300);
        moved(&mut meter, 100);
        assert!((meter.per_second() - 500.0).abs() < 0.01, "{}", meter.per_second());
        moved(&mut meter, 1_500);
        assert!((meter.per_second() - 187.5).abs() < 0.01, "the older half is gone: {}", meter.per_second());
        moved(&mut meter, 100_000);
        assert_eq!((meter.get(), meter.per_second()), (800, 0.0));
    }

    #[test]
    fn the_largest_is_forgotten_after_eight_seconds() {
        let mut max = RecentMax::new(ago(500));
        max.note(7);
        max.note(5);
        assert_eq!(max.get(), 7);
        max.since -= Duration::from_secs(3);
        max.note(usize::MAX >> 40);
        max.note(6);
        assert_eq!(max.get(), u32::try_from(usize::MAX >> 40).unwrap());
        max.since -= Duration::from_secs(7);
        assert_eq!(max.get(), u32::try_from(usize::MAX >> 40).unwrap());
        max.since -= Duration::from_secs(1);
        assert_eq!(max.get(), 0);
    }
}
