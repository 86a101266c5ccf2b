//! The queue of scripts: what starts, what is tried again, what is dropped.
//!
//! Source: spec 03, section 5.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::{PendingScript, ScriptEnd, ScriptId, Span, Time};

/// Scripts that run at a time.
const MOST_RUNNING: usize = 16;
/// Jobs in the queue, the running ones included.
const MOST_JOBS: usize = 256;
/// Runs of a job that fails again and again.
const MOST_RUNS: u32 = 10;
/// A script that does not end although it was killed is killed and told of again after this.
const KILL_AGAIN: Span = Span::secs(1);

/// Words of a script's command line, its path first.
type Argv = Vec<Arc<str>>;

/// One call of a script.
#[derive(Debug)]
pub(super) struct Job {
    id: ScriptId,
    argv: Argv,
    /// How often it was started.
    runs: u32,
    state: JobState,
}

#[derive(Clone, Copy, Debug)]
enum JobState {
    /// It may start from then on.
    Waiting(Time),
    Running {
        since: Time,
        /// Unknown for the moment that it takes to start.
        pid: Option<u32>,
        killed: Option<Time>,
    },
}

impl Job {
    fn path(&self) -> Arc<str> {
        self.argv.first().cloned().unwrap_or_default()
    }

    fn is_running(&self) -> bool {
        matches!(self.state, JobState::Running { .. })
    }

    pub(super) fn pending(&self, now: Time) -> PendingScript {
        let (running, time) = match self.state {
            JobState::Waiting(until) => (None, until.since(now)),
            JobState::Running { since, pid, .. } => (Some(pid.unwrap_or(0)), now.since(since)),
        };
        PendingScript { argv: self.argv.clone(), running, time_ms: time.as_ms(), runs: self.runs }
    }

    /// When it must be killed (again).
    fn kill_at(&self, max_runtime: Span) -> Option<Time> {
        match self.state {
            JobState::Waiting(_) => None,
            JobState::Running { killed: Some(at), .. } => Some(at + KILL_AGAIN),
            JobState::Running { since, killed: None, .. } => Some(since + max_runtime),
        }
    }
}

/// A job whose run ended.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Ended {
    pub(super) path: Arc<str>,
    pub(super) pid: Option<u32>,
    /// It failed and is not tried again.
    pub(super) given_up: bool,
}

/// The jobs in order; one that is tried again keeps its place.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) jobs: VecDeque<Job>,
    last_id: u64,
}

impl Queue {
    pub(super) fn push(&mut self, argv: Argv) {
        self.last_id += 1;
        let state = JobState::Waiting(Time::default());
        self.jobs.push_back(Job { id: ScriptId(self.last_id), argv, runs: 0, state });
        if self.jobs.len() > MOST_JOBS
            && let Some(oldest) = self.jobs.iter().position(|job| !job.is_running())
        {
            self.jobs.remove(oldest);
        }
    }

    pub(super) fn running(&self) -> usize {
        self.jobs.iter().filter(|job| job.is_running()).count()
    }

    /// Starts jobs from the head while there is room.
    pub(super) fn start(&mut self, now: Time) -> Vec<(ScriptId, Argv)> {
        let room = MOST_RUNNING.saturating_sub(self.running());
        let due = |job: &&mut Job| matches!(job.state, JobState::Waiting(at) if at <= now);
        let starting = self.jobs.iter_mut().filter(due).take(room);
        let started = starting.map(|job| {
            job.runs += 1;
            job.state = JobState::Running { since: now, pid: None, killed: None };
            (job.id, job.argv.clone())
        });
        started.collect()
    }

    /// Marks those that run for too long as killed.
    pub(super) fn overdue(&mut self, now: Time, max_runtime: Span) -> Vec<(ScriptId, Arc<str>, u32)> {
        let mut late = Vec::new();
        for job in &mut self.jobs {
            if job.kill_at(max_runtime).is_none_or(|at| at > now) {
                continue;
            }
            let path = job.path();
            if let JobState::Running { pid, killed, .. } = &mut job.state {
                *killed = Some(now);
                late.push((job.id, path, pid.unwrap_or(0)));
            }
        }
        late
    }

    /// When there is something to do again: the next kill, or the next start if there is room.
    pub(super) fn deadline(&self, max_runtime: Span) -> Option<Time> {
        let room = self.running() < MOST_RUNNING;
        let due = |job: &Job| match job.state {
            JobState::Waiting(at) => room.then_some(at),
            JobState::Running { .. } => job.kill_at(max_runtime),
        };
        self.jobs.iter().filter_map(due).min()
    }

    pub(super) fn started(&mut self, id: ScriptId, started: u32) -> bool {
        let job = self.jobs.iter_mut().find(|job| job.id == id);
        match job.map(|job| &mut job.state) {
            Some(JobState::Running { pid, .. }) => {
                *pid = Some(started);
                true
            }
            Some(JobState::Waiting(_)) | None => false,
        }
    }

    /// Takes a job off the queue, or has it wait for its next run.
    pub(super) fn ended(&mut self, now: Time, id: ScriptId, end: ScriptEnd, delay: Span) -> Option<Ended> {
        let at = self.jobs.iter().position(|job| job.id == id && job.is_running())?;
        let job = self.jobs.get_mut(at)?;
        let JobState::Running { pid, .. } = job.state else { return None };
        let retry = match end {
            ScriptEnd::Exited(code) => code == 1,
            ScriptEnd::Killed(_) | ScriptEnd::NotStarted => true,
            ScriptEnd::NotExecuted => false,
        };
        let path = job.path();
        if retry && job.runs < MOST_RUNS {
            let doubled = job.runs.saturating_sub(1);
            job.state = JobState::Waiting(now + Span(delay.0 << doubled));
            return Some(Ended { path, pid, given_up: false });
        }
        self.jobs.remove(at);
        Some(Ended { path, pid, given_up: end != ScriptEnd::Exited(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Span = Span::secs(30);
    const MAX: Span = Span::secs(60);

    fn queue(jobs: usize) -> Queue {
        let mut queue = Queue::default();
        for n in 1..=jobs {
            queue.push(vec![format!("/s{n}").into()]);
        }
        queue
    }

    fn ids(started: &[(ScriptId, Argv)]) -> Vec<u64> {
        started.iter().map(|(id, _)| id.0).collect()
    }

    #[test]
    fn at_most_16_run_and_the_head_goes_first() {
        let mut queue = queue(20);
        assert_eq!(ids(&queue.start(Time(0))), (1..=16).collect::<Vec<_>>());
        assert!(queue.start(Time(0)).is_empty());
        assert_eq!(queue.deadline(MAX), Some(Time(0) + MAX), "what waits has no room, so no deadline");
        assert!(queue.ended(Time(5), ScriptId(3), ScriptEnd::Exited(0), DELAY).is_some());
        assert_eq!(queue.deadline(MAX), Some(Time(0)));
        assert_eq!(ids(&queue.start(Time(5))), [17]);
        assert_eq!((queue.running(), queue.jobs.len()), (16, 19));
        assert_eq!(queue.ended(Time(5), ScriptId(3), ScriptEnd::Exited(0), DELAY), None, "once");
    }

    #[test]
    fn beyond_256_the_oldest_that_does_not_run_is_dropped() {
        let mut queue = queue(16);
        let _ = queue.start(Time(0));
        for n in 17..=300 {
            queue.push(vec![format!("/s{n}").into()]);
        }
        assert_eq!(queue.jobs.len(), MOST_JOBS);
        let left: Vec<u64> = queue.jobs.iter().map(|job| job.id.0).collect();
        assert_eq!(left, (1..=16).chain(61..=300).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_tried_again() {
        for (end, again, given_up) in [
            (ScriptEnd::Exited(0), false, false),
            (ScriptEnd::Exited(1), true, false),
            (ScriptEnd::Exited(2), false, true),
            (ScriptEnd::Exited(255), false, true),
            (ScriptEnd::Killed(9), true, false),
            (ScriptEnd::NotExecuted, false, true),
            (ScriptEnd::NotStarted, true, false),
        ] {
            let mut queue = queue(1);
            let _ = queue.start(Time(0));
            assert!(queue.started(ScriptId(1), 77));
            let ended = Ended { path: "/s1".into(), pid: Some(77), given_up };
            assert_eq!(queue.ended(Time(1), ScriptId(1), end, DELAY), Some(ended), "{end:?}");
            assert_eq!(queue.jobs.len(), usize::from(again), "{end:?}");
        }
    }

    #[test]
    fn the_pause_doubles_and_the_tenth_failure_is_the_last() {
        let mut queue = queue(2);
        let mut now = Time(0);
        let mut pauses = Vec::new();
        assert_eq!(ids(&queue.start(now)), [1, 2]);
        loop {
            now = now + Span::secs(1);
            let ended = queue.ended(now, ScriptId(1), ScriptEnd::Exited(1), DELAY).unwrap();
            if ended.given_up {
                break;
            }
            assert_eq!(queue.jobs[0].id, ScriptId(1), "it keeps its place");
            let JobState::Waiting(until) = queue.jobs[0].state else { panic!("running") };
            assert_eq!(queue.deadline(Span::secs(1_000_000)), Some(until));
            assert!(queue.start(Time(until.0 - 1)).is_empty());
            pauses.push(until.since(now).as_ms() / 1_000);
            now = until;
            assert_eq!(ids(&queue.start(now)), [1]);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680]);
        assert_eq!(queue.jobs.len(), 1);
    }

    #[test]
    fn what_runs_too_long_is_killed_until_it_ends() {
        let mut queue = queue(1);
        let _ = queue.start(Time(0));
        assert!(queue.started(ScriptId(1), 5));
        let (limit, again) = (Time(0) + MAX, Time(0) + MAX + KILL_AGAIN);
        assert!(queue.overdue(Time(limit.0 - 1), MAX).is_empty());
        assert_eq!(queue.overdue(limit, MAX), [(ScriptId(1), "/s1".into(), 5)]);
        assert!(queue.overdue(limit, MAX).is_empty());
        assert_eq!(queue.deadline(MAX), Some(again));
        assert_eq!(queue.overdue(again, MAX).len(), 1);
    }

    #[test]
    fn pending_shows_how_long() {
        let mut queue = queue(1);
        let pending = |queue: &Queue, now| queue.jobs[0].pending(Time(now));
        let argv: Argv = vec!["/s1".into()];
        let expect = |running, time_ms, runs| PendingScript { argv: argv.clone(), running, time_ms, runs };
        assert_eq!(pending(&queue, 9_000), expect(None, 0, 0));
        let _ = queue.start(Time(10_000));
        assert_eq!(pending(&queue, 12_000), expect(Some(0), 2, 1));
        let _ = queue.started(ScriptId(1), 7);
        assert_eq!(pending(&queue, 15_000), expect(Some(7), 5, 1));
        let _ = queue.ended(Time(20_000), ScriptId(1), ScriptEnd::Killed(15), DELAY);
        assert_eq!(pending(&queue, 21_000), expect(None, 29_999, 1));
    }
}
