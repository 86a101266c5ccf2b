//! TILT: this process did not run for longer than `tilt-trigger`, so for a moment it trusts nothing it knew.
//!
//! Its visible faces are stock's: `+tilt`, `-tilt`, the figures of `INFO`. What it stops is not.
//!
//! | | stock | here |
//! |---|---|---|
//! | clock | wall clock: a time server can cause it | monotonic, time asleep included |
//! | begins | two ticks more than `tilt-trigger` (2 s) apart | a deadline handled more than `tilt-trigger` late |
//! | `+tilt` | `#tilt mode entered` | the same, then how late and why |
//! | judging and acting stop for | `tilt-period` (30 s) | [`LOOK`], at most D and `tilt-period` |
//! | flags, `-tilt` | after `tilt-period` | after `tilt-period` |
//!
//! While judging stops, as in stock: nobody becomes SDOWN or ODOWN, the down flag in answers is 0, nobody is
//! asked, no failover is started or led on, no node is corrected; links, PING, INFO, hellos, switches that
//! others announce, and votes go on. Two things differ: a node that answers is up again at once, and what an
//! operator orders is carried out.
//!
//! That is enough, because the stall itself never counts as silence (`stall`): what remains is that
//! beliefs from before it may be out of date, and every process that lives answers within [`LOOK`].
//!
//! Source: spec 04, section 8; DESIGN section 2 and S9.

use super::Engine;
use super::event::{Event, Kind, Subject};
use super::instance::MasterId;
use super::output::Output;
use super::schedule::Wake;
use super::time::{Span, Time};

/// How long nothing is judged after a stall: twice the slowest pace of PING and of reconnecting.
const LOOK: Span = Span::secs(2);

/// Where the time of a stall went, as far as the runtime can tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Evidence {
    /// The machine was suspended.
    pub asleep: Span,
    /// Threads of this process were computing.
    pub busy: Span,
    /// A thread of this process was ready to run and got no processor; `None` where the system does not say.
    pub waited: Option<Span>,
}

/// Why this process was late.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    /// The machine slept for so long.
    Asleep(Span),
    /// It computed for so long.
    Busy(Span),
    /// It waited for a processor for so long.
    Starved(Span),
    /// It did not run, and did not ask to.
    Stopped,
    /// It did not run; what it waited for cannot be told here.
    NotRun,
    /// Nothing is known.
    Unknown,
}

impl Cause {
    /// What took at least half of the time.
    fn of(late: Span, evidence: Option<Evidence>) -> Self {
        let Some(evidence) = evidence else { return Self::Unknown };
        // The runtime's reading from before may be a little older than the stall.
        let (asleep, busy) = (evidence.asleep.min(late), evidence.busy.min(late));
        let explains = |span: Span| span.0 >= late.0 / 2;
        if explains(asleep) {
            return Self::Asleep(asleep);
        }
        if explains(busy) {
            return Self::Busy(busy);
        }
        match evidence.waited {
            Some(waited) if explains(waited) => Self::Starved(waited.min(late)),
            Some(_) => Self::Stopped,
            None => Self::NotRun,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Asleep(span) => format!("the machine slept for {} ms", span.as_ms()),
            Self::Busy(span) => format!("this process itself computed for {} ms", span.as_ms()),
            Self::Starved(span) => format!(
                "this process waited {} ms for a processor; the machine is overloaded or the CPU limit too low",
                span.as_ms()
            ),
            Self::Stopped => "this process did not run; it was stopped (SIGSTOP, debugger), paused with its \
                              machine, or waited for a disk (swap)"
                .to_owned(),
            Self::NotRun => "this process did not run".to_owned(),
            Self::Unknown => "the cause is not known".to_owned(),
        }
    }
}

/// The state of TILT.
#[derive(Debug, Default)]
pub(super) struct Tilt {
    /// The end of the stall that began the present TILT.
    since: Option<Time>,
    /// How often it began since the start.
    total: u64,
}

impl Tilt {
    /// Since when, and how often in all.
    pub(super) fn figures(&self) -> (Option<Time>, u64) {
        (self.since, self.total)
    }

    /// Until when nothing is judged with this D; the beginning of time outside of TILT.
    pub(super) fn looks_until(&self, down_after: Span, tilt_period: Span) -> Time {
        let look = LOOK.min(down_after).min(tilt_period);
        self.since.map_or(Time::default(), |since| since + look)
    }
}

impl Engine {
    /// Takes note of a stall that ended now: what was due at `due` is handled only `now`.
    pub(super) fn note_stall(&mut self, now: Time, evidence: Option<Evidence>) {
        let Some((due, _)) = self.schedule.next() else { return };
        let Some(late) = self.stalls.note(due, now) else { return };
        if late > self.tuning.tilt_trigger && self.greeted {
            self.enter_tilt(now, late, Cause::of(late, evidence));
        }
    }

    /// `+tilt`; in TILT already, its period begins anew and it is told again, as in stock.
    fn enter_tilt(&mut self, now: Time, late: Span, cause: Cause) {
        self.tilt.since = Some(now);
        self.tilt.total += 1;
        self.schedule.set(Wake::Tilt, now + self.tuning.tilt_period);
        let detail = format!("#tilt mode entered, {} ms late: {}", late.as_ms(), cause.text());
        self.emit_process(Kind::Tilt, detail);
    }

    /// The end of `tilt-period`.
    pub(super) fn leave_tilt(&mut self) {
        if self.tilt.since.take().is_some() {
            self.emit_process(Kind::TiltEnd, "#tilt mode exited".to_owned());
        }
    }

    /// `tilt-trigger` or `tilt-period` was changed.
    pub(super) fn retime_tilt(&mut self, now: Time) {
        self.pulse(now);
        if let Some(since) = self.tilt.since {
            self.schedule.set(Wake::Tilt, (since + self.tuning.tilt_period).max(now));
        }
    }

    /// A deadline that only shows whether this process runs: a stall is measured to a tenth of `tilt-trigger`,
    /// whatever else there is to do.
    pub(super) fn pulse(&mut self, now: Time) {
        let pause = Span((self.tuning.tilt_trigger.0 / 10).max(super::stall::SHORTEST.0));
        self.schedule.set(Wake::Pulse, now + pause);
    }

    /// See [`Tilt::looks_until`].
    pub(super) fn looks_until(&self, down_after: Span) -> Time {
        self.tilt.looks_until(down_after, self.tuning.tilt_period)
    }

    /// Whether what is known of this master may be out of date, because this process did not run.
    pub(super) fn in_doubt(&self, now: Time, id: MasterId) -> bool {
        self.masters.get(&id).is_some_and(|master| now < self.looks_until(master.down_after()))
    }

    fn emit_process(&mut self, kind: Kind, detail: String) {
        self.out.push(Output::Event(Event { kind, subject: Subject::Process, detail }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_half_of_the_time_is_the_cause() {
        let evidence = |asleep, busy, waited: i64| {
            let waited = u64::try_from(waited).ok().map(Span::ms);
            Some(Evidence { asleep: Span::ms(asleep), busy: Span::ms(busy), waited })
        };
        let table = [
            (evidence(0, 3, 20), Cause::Stopped),
            (evidence(0, 3, -1), Cause::NotRun),
            (evidence(0, 3, 1_500), Cause::Starved(Span::ms(1_500))),
            (evidence(0, 3, 3_400), Cause::Starved(Span::ms(3_000))),
            (evidence(0, 2_900, 50), Cause::Busy(Span::ms(2_900))),
            (evidence(3_000, 0, 0), Cause::Asleep(Span::ms(3_000))),
            (None, Cause::Unknown),
        ];
        for (evidence, cause) in table {
            assert_eq!(Cause::of(Span::ms(3_000), evidence), cause, "{evidence:?}");
        }
    }
}
