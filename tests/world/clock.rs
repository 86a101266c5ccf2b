//! The clock of one process: it drifts and jumps against the time of the world, but never runs backwards.

use vigia::engine::{Span, Time};

const MILLION: u64 = 1_000_000;

/// A process' own monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// How many microseconds it gains (or loses) in a second.
    ppm: i64,
    world: Time,
    local: Time,
}

impl Clock {
    /// One that shows the time of the world.
    pub fn true_time() -> Self {
        Self { ppm: 0, world: Time(0), local: Time(0) }
    }

    /// What it shows at a moment of the world.
    pub fn local(&self, world: Time) -> Time {
        let passed = world.since(self.world).0;
        let rate = MILLION.saturating_add_signed(self.ppm);
        let whole = passed / MILLION * rate + passed % MILLION * rate / MILLION;
        self.local + Span(whole)
    }

    /// The first moment of the world at which it shows `local` (or more).
    pub fn world(&self, local: Time) -> Time {
        let wanted = local.since(self.local).0;
        let rate = MILLION.saturating_add_signed(self.ppm);
        let guess = wanted / rate * MILLION + wanted % rate * MILLION / rate;
        let mut at = self.world + Span(guess.saturating_sub(1));
        while self.local(at) < local {
            at = at + Span(1);
        }
        at
    }

    /// From `now` on it gains `ppm` microseconds in a second.
    pub fn drift(&mut self, now: Time, ppm: i64) {
        *self = Self { ppm, world: now, local: self.local(now) };
    }

    /// It skips ahead, as after a suspension of the whole machine that the world did not notice.
    pub fn jump(&mut self, now: Time, by: Span) {
        *self = Self { ppm: self.ppm, world: now, local: self.local(now) + by };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_at_the_first_moment_that_shows_it() {
        for ppm in [0, 100, -100, 20_000, -20_000] {
            let mut clock = Clock::true_time();
            clock.drift(Time(5_000), ppm);
            for local in [5_000, 5_001, 123_456, 1_000_000, 1_000_001, 987_654_321] {
                let at = clock.world(Time(local));
                assert!(clock.local(at) >= Time(local), "{ppm} {local}");
                assert!(at <= Time(5_000) || clock.local(at - Span(1)) < Time(local), "{ppm} {local}");
            }
        }
    }

    #[test]
    fn a_jump_keeps_the_drift() {
        let mut clock = Clock::true_time();
        clock.drift(Time(0), 1_000);
        clock.jump(Time(1_000_000), Span::secs(3));
        assert_eq!(clock.local(Time(1_000_000)), Time(4_001_000));
        assert_eq!(clock.local(Time(2_000_000)), Time(5_002_000));
    }
}
