//! Which save is wanted, which is under way, and when one has taken too long.

use super::late::WORTH_ASKING;
use crate::engine::{Input, Seq, Span, Time};
use crate::runtime::save::Saved;

/// A save that was not answered for this long counts as failed: votes and commands must not wait for a disk
/// that hangs. Source: DESIGN, section 2.
const PATIENCE: Span = Span::secs(1);

/// One write in flight; everything wanted meanwhile goes into the next.
#[derive(Debug, Default)]
pub(super) struct Saves {
    wanted: Option<Waiting>,
    writing: Option<Waiting>,
}

/// A number somebody waits for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    seq: Seq,
    /// When it counts as failed.
    until: Time,
    /// It was reported as failed.
    given_up: bool,
}

impl Saves {
    /// The engine wants everything up to `seq` on disk.
    pub(super) fn want(&mut self, seq: Seq, now: Time) {
        let until = match self.wanted {
            Some(wanted) if !wanted.given_up => wanted.until,
            Some(_) | None => now + PATIENCE,
        };
        self.wanted = Some(Waiting { seq, until, given_up: false });
    }

    /// Whether something is wanted and the writer is free.
    pub(super) fn may_start(&self) -> bool {
        self.wanted.is_some() && self.writing.is_none()
    }

    /// A snapshot with this number is on its way.
    pub(super) fn started(&mut self, seq: Seq) {
        debug_assert!(self.may_start(), "one write at a time");
        let wanted = self.wanted.take();
        debug_assert!(wanted.is_some_and(|wanted| wanted.seq <= seq), "the snapshot has what was wanted");
        self.writing = wanted.map(|wanted| Waiting { seq, ..wanted });
    }

    /// What to tell the engine of a result. A late success counts, a late failure is known already.
    pub(super) fn finished(&mut self, saved: Saved) -> Option<Input<'static>> {
        let given_up = self.writing.take().is_some_and(|writing| writing.given_up);
        match (saved.ok, given_up) {
            (true, _) => Some(Input::Persisted(saved.seq)),
            (false, false) => Some(Input::PersistFailed(saved.seq)),
            (false, true) => None,
        }
    }

    /// When the next save counts as failed.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.pending().map(|waiting| waiting.until).min()
    }

    /// Gives up one save whose time has come. The write goes on, and a later success is still reported.
    ///
    /// One whose time came while this process did not run has its second anew: the disk had no say in that, nor
    /// the thread that writes.
    pub(super) fn expire(&mut self, now: Time) -> Option<Input<'static>> {
        for waiting in self.writing.iter_mut().chain(&mut self.wanted) {
            if waiting.given_up || waiting.until > now {
                continue;
            }
            if now.since(waiting.until) >= WORTH_ASKING {
                waiting.until = now + PATIENCE;
                continue;
            }
            waiting.given_up = true;
            return Some(Input::PersistFailed(waiting.seq));
        }
        None
    }

    fn pending(&self) -> impl Iterator<Item = Waiting> {
        self.writing.into_iter().chain(self.wanted).filter(|waiting| !waiting.given_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(input: Option<Input<'static>>) -> String {
        input.map_or("nothing".to_owned(), |input| format!("{input:?}"))
    }

    #[test]
    fn what_is_wanted_during_a_write_goes_into_the_next() {
        let mut saves = Saves::default();
        saves.want(Seq(1), Time(0));
        saves.started(Seq(1));
        saves.want(Seq(2), Time(10));
        saves.want(Seq(3), Time(20));
        assert!(!saves.may_start(), "one in flight");
        assert_eq!(told(saves.finished(Saved { seq: Seq(1), ok: true })), "Persisted(Seq(1))");
        assert!(saves.may_start());
        saves.started(Seq(5));
        assert!(!saves.may_start(), "coalesced");
        assert_eq!(told(saves.finished(Saved { seq: Seq(5), ok: false })), "PersistFailed(Seq(5))");
        assert_eq!(saves.deadline(), None);
    }

    #[test]
    fn a_hanging_disk_fails_what_is_written_and_what_waits() {
        let mut saves = Saves::default();
        saves.want(Seq(1), Time(0));
        saves.started(Seq(1));
        saves.want(Seq(2), Time(400_000));
        saves.want(Seq(3), Time(500_000));
        assert_eq!(saves.deadline(), Some(Time(1_000_000)));
        assert_eq!(told(saves.expire(Time(999_999))), "nothing");
        assert_eq!(told(saves.expire(Time(1_000_000))), "PersistFailed(Seq(1))");
        assert_eq!(told(saves.expire(Time(1_000_000))), "nothing", "told once");
        assert_eq!(saves.deadline(), Some(Time(1_400_000)), "one second after the oldest wish");
        assert_eq!(told(saves.expire(Time(1_400_000))), "PersistFailed(Seq(3))");

        // A later wish has its own second.
        saves.want(Seq(4), Time(2_000_000));
        assert_eq!(saves.deadline(), Some(Time(3_000_000)));
        assert_eq!(
            told(saves.finished(Saved { seq: Seq(1), ok: true })),
            "Persisted(Seq(1))",
            "late, but true"
        );
        assert!(saves.may_start());
    }

    #[test]
    fn a_stall_of_our_own_is_no_failure_of_the_disk() {
        let mut saves = Saves::default();
        saves.want(Seq(1), Time(0));
        saves.started(Seq(1));
        assert_eq!(told(saves.expire(Time(1_100_000))), "nothing", "stopped when its time came");
        assert_eq!(saves.deadline(), Some(Time(2_100_000)));
        assert_eq!(told(saves.expire(Time(2_100_000))), "PersistFailed(Seq(1))", "now it hangs");
    }

    #[test]
    fn a_late_failure_is_not_told_twice() {
        let mut saves = Saves::default();
        saves.want(Seq(1), Time(0));
        saves.started(Seq(1));
        assert_eq!(told(saves.expire(Time(1_000_000))), "PersistFailed(Seq(1))");
        assert_eq!(told(saves.finished(Saved { seq: Seq(1), ok: false })), "nothing");
    }
}
