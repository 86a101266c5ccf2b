//! Where the time went when the driver was late: computed, waited for a processor, asleep, or none of these.

use std::time::Duration;

use crate::engine::{Evidence, Span, Time};

/// Shorter delays are not looked into.
pub(super) const WORTH_ASKING: Span = Span::ms(100);
/// How old the reading may be that later ones are compared with: what happened between it and the beginning
/// of a stall is taken for part of the stall.
const FRESH: Span = Span::ms(500);

/// The last reading of the system's counters.
#[derive(Debug)]
pub(super) struct Usage {
    at: Time,
    now: Reading,
    read: fn() -> Reading,
}

/// Counters of this process; they only grow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Reading {
    /// Processor time of all threads.
    busy: Duration,
    /// By thread, the time in which it was ready to run and got no processor, in nanoseconds.
    waited: Option<Vec<(u64, u64)>>,
    asleep: Span,
}

impl Usage {
    pub(super) fn new() -> Self {
        Self { at: Time(0), now: read(), read }
    }

    /// Reads the counters again if that was long ago.
    pub(super) fn refresh(&mut self, now: Time, asleep: Span) {
        if now.since(self.at) >= FRESH {
            self.at = now;
            self.now = Reading { asleep, ..(self.read)() };
        }
    }

    /// What happened since the last reading.
    pub(super) fn evidence(&mut self, now: Time, asleep: Span) -> Evidence {
        let last = std::mem::replace(&mut self.now, Reading { asleep, ..(self.read)() });
        self.at = now;
        difference(&last, &self.now)
    }
}

fn difference(last: &Reading, now: &Reading) -> Evidence {
    let of_thread =
        |threads: &[(u64, u64)], id| threads.iter().find(|(other, _)| *other == id).map(|(_, ns)| *ns);
    let waited = now.waited.as_ref().zip(last.waited.as_ref()).map(|(now, last)| {
        let grown = now.iter().map(|(id, ns)| ns.saturating_sub(of_thread(last, *id).unwrap_or(0)));
        Span(grown.max().unwrap_or(0) / 1_000)
    });
    let busy = now.busy.saturating_sub(last.busy).as_micros();
    Evidence {
        asleep: Span(now.asleep.0.saturating_sub(last.asleep.0)),
        busy: Span(u64::try_from(busy).unwrap_or(u64::MAX)),
        waited,
    }
}

fn read() -> Reading {
    use rustix::time::{ClockId, clock_gettime};
    let busy = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    Reading { busy, waited: waits(), asleep: Span::ZERO }
}

/// From `/proc`: the second number of a thread's `schedstat`.
fn waits() -> Option<Vec<(u64, u64)>> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let of = |thread: std::fs::DirEntry| {
        let id = thread.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some((id, text.split_ascii_whitespace().nth(1)?.parse().ok()?))
    };
    let all: Vec<(u64, u64)> = threads.flatten().filter_map(of).collect();
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_of_one_thread_counts_and_a_new_thread_counts_from_zero() {
        let reading = |busy, waited: &[(u64, u64)], asleep| Reading {
            busy: Duration::from_millis(busy),
            waited: Some(waited.to_vec()),
            asleep: Span::ms(asleep),
        };
        let last = reading(100, &[(1, 5_000_000_000), (2, 0)], 0);
        let now = reading(130, &[(1, 5_500_000_000), (2, 2_000_000_000), (3, 7_000_000)], 40);
        let expected = Evidence { asleep: Span::ms(40), busy: Span::ms(30), waited: Some(Span::secs(2)) };
        assert_eq!(difference(&last, &now), expected);
        let unknown = difference(&Reading::default(), &Reading::default());
        assert_eq!(unknown.waited, None);
    }

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let mut usage = Usage::new();
        let busy_until =
            Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)).unwrap()
                + Duration::from_millis(60);
        let mut spins: u64 = 0;
        while read().busy < busy_until {
            spins = spins.wrapping_add(1);
        }
        let evidence = usage.evidence(Time(1), Span::ZERO);
        assert!(evidence.busy >= Span::ms(50), "{evidence:?} after {spins}");
        assert_eq!(evidence.asleep, Span::ZERO);
    }
}
