//! Our own stalls: time in which this process did not run is no evidence against others.
//!
//! Source: DESIGN section 2. Differs: stock has only TILT, which blinds it for 30 s (see `tilt`).

use std::collections::VecDeque;

use super::time::{Span, Time};

/// A wake-up later than this is a stall. Below it lies ordinary scheduling noise.
pub(super) const SHORTEST: Span = Span::ms(10);

/// How many stalls are remembered; older ones lie before any silence that is still judged, or the
/// machine stalls so often that forgetting one only makes SDOWN a little earlier.
const REMEMBERED: usize = 256;

/// The latest stalls, oldest first, disjoint.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    latest: VecDeque<(Time, Time)>,
}

impl Stalls {
    /// Takes note that what was due at `due` is handled only `now`; how long the stall was, if this is news.
    pub(super) fn note(&mut self, due: Time, now: Time) -> Option<Span> {
        if now.since(due) <= SHORTEST {
            return None;
        }
        let from = self.latest.back().map_or(due, |(_, end)| due.max(*end));
        if from >= now {
            return None;
        }
        self.latest.push_back((from, now));
        if self.latest.len() > REMEMBERED {
            self.latest.pop_front();
        }
        Some(now.since(from))
    }

    /// How much of the time since `since` does not count as silence, judged with the limit
    /// `down_after`: stalls of more than max(10 ms, D/10).
    pub(super) fn within(&self, since: Time, down_after: Span) -> Span {
        let worth = SHORTEST.max(Span(down_after.0 / 10));
        let mut total = Span::ZERO;
        for (from, until) in self.latest.iter().rev().take_while(|(_, until)| *until > since) {
            if until.since(*from) > worth {
                total = total + until.since((*from).max(since));
            }
        }
        total
    }

    /// How much of the time since `since` this process could observe others.
    pub(super) fn observed(&self, now: Time, since: Time) -> Span {
        Span(now.since(since).0.saturating_sub(self.within(since, Span::ZERO).0))
    }

    /// The longest single stall that ended after `since`.
    pub(super) fn longest(&self, since: Time) -> Span {
        let recent = self.latest.iter().rev().take_while(|(_, until)| *until > since);
        recent.map(|(from, until)| until.since(*from)).max().unwrap_or(Span::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stalls_worth_mentioning_are_discounted() {
        let mut stalls = Stalls::default();
        assert_eq!(stalls.note(Time(1_000), Time(9_000)), None, "8 ms is noise");
        assert_eq!(stalls.note(Time(100_000), Time(150_000)), Some(Span::ms(50)));
        assert_eq!(stalls.note(Time(900_000), Time(1_900_000)), Some(Span::secs(1)));
        assert_eq!(stalls.note(Time(900_000), Time(1_900_000)), None, "each stall is news once");

        assert_eq!(stalls.within(Time(0), Span::ms(100)), Span(1_050_000));
        assert_eq!(stalls.within(Time(0), Span::ms(1_000)), Span(1_000_000));
        assert_eq!(stalls.within(Time(1_400_000), Span::ms(100)), Span(500_000));
        assert_eq!(stalls.within(Time(2_000_000), Span::ms(100)), Span::ZERO);
        assert_eq!(stalls.observed(Time(2_000_000), Time(1_800_000)), Span::ms(100));
        assert_eq!(stalls.longest(Time(0)), Span::secs(1));
        assert_eq!(stalls.longest(Time(1_900_000)), Span::ZERO);
    }
}
