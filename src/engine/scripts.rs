//! Notification and client-reconfiguration scripts: when they are called, and the rules of their queue.
//! The runtime executes them.
//!
//! Source: spec 03, sections 4 to 6.
//!
//! | What may grow | Bound |
//! |---|---|
//! | scripts that run | 16 |
//! | jobs, the running ones included | 256; beyond that the oldest that does not run is dropped |
//! | time of one run | `script-max-runtime`, 60 s |
//! | runs of one job | 10, with pauses of 30 s, 60 s, 2 min ... |

use std::sync::Arc;

use super::Engine;
use super::event::{Event, Kind, Level, Subject};
use super::ids::{Addr, ScriptId};
use super::input::ScriptEnd;
use super::instance::MasterId;
use super::output::{Output, PendingScript};
use super::schedule::Wake;
use super::time::Time;

mod queue;

use queue::Queue;

/// The queue, and how far the outputs of this call were looked at.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    queue: Queue,
    /// Outputs before this one have called their scripts.
    seen: usize,
    /// Something may start, or a deadline changed.
    stirred: bool,
}

/// Who is telling clients of a new configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Teller {
    /// The leader of the failover.
    Leader,
    /// Who heard of it by hello.
    Observer,
}

impl Engine {
    /// Calls the notification scripts for the events so far, at level warning and with a subject.
    pub(super) fn call_scripts(&mut self) {
        for at in self.scripts.seen..self.out.len() {
            let Some(Output::Event(event)) = self.out.get(at) else { continue };
            if event.kind.level() < Level::Warning {
                continue;
            }
            let Some(name) = event.subject.master_name() else { continue };
            let master = self.named(name).and_then(|id| self.masters.get(&id));
            let script = master.and_then(|master| master.settings.notification_script.clone());
            if let Some(path) = script {
                let argv = vec![path, event.kind.name().into(), event.payload().into()];
                self.scripts.queue.push(argv);
                self.scripts.stirred = true;
            }
        }
        self.scripts.seen = self.out.len();
    }

    /// Calls the client-reconfiguration script, after the scripts of the events so far.
    pub(super) fn reconfigure_clients(&mut self, id: MasterId, teller: Teller, from: &Addr, to: &Addr) {
        self.call_scripts();
        let Some(master) = self.masters.get(&id) else { return };
        let Some(path) = master.settings.client_reconfig_script.clone() else { return };
        let role = match teller {
            Teller::Leader => "leader",
            Teller::Observer => "observer",
        };
        let ports = [from.port.to_string(), to.port.to_string()];
        let words = [&*master.name, role, "start", &from.host, &ports[0], &to.host, &ports[1]];
        let argv = [path].into_iter().chain(words.map(Arc::from)).collect();
        self.scripts.queue.push(argv);
        self.scripts.stirred = true;
    }

    /// The end of a call of `handle`: starts what may start, ends what runs too long.
    pub(super) fn run_scripts(&mut self, now: Time) {
        self.call_scripts();
        self.scripts.seen = 0;
        if !std::mem::take(&mut self.scripts.stirred) {
            return;
        }
        for (script, argv) in self.scripts.queue.start(now) {
            self.out.push(Output::RunScript { script, argv });
        }
        for (script, path, pid) in self.scripts.queue.overdue(now, self.tuning.script_max_runtime) {
            self.emit_script(Kind::ScriptTimeout, format!("{path} {pid}"));
            self.out.push(Output::KillScript(script));
        }
        match self.scripts.queue.deadline(self.tuning.script_max_runtime) {
            Some(at) => self.schedule.set(Wake::Scripts, at),
            None => self.schedule.cancel(Wake::Scripts),
        }
    }

    /// A deadline of a script, or a change of the limits: looked at when the call ends.
    pub(super) fn stir_scripts(&mut self) {
        self.scripts.stirred = true;
    }

    /// A process runs a script.
    pub(super) fn on_script_started(&mut self, script: ScriptId, pid: u32) {
        if self.scripts.queue.started(script, pid) {
            self.emit_script(Kind::ScriptChild, pid.to_string());
        }
    }

    /// A script ended, or could not be started.
    pub(super) fn on_script_ended(&mut self, now: Time, script: ScriptId, end: ScriptEnd) {
        let delay = self.tuning.script_retry_delay;
        let Some(ended) = self.scripts.queue.ended(now, script, end, delay) else { return };
        self.scripts.stirred = true;
        let (code, signal) = codes(end);
        if let Some(pid) = ended.pid {
            self.emit_script(Kind::ScriptChildEnd, format!("{pid} {code} {signal}"));
        }
        if ended.given_up || end == ScriptEnd::NotStarted {
            self.emit_script(Kind::ScriptError, format!("{} {signal} {code}", ended.path));
        }
    }

    /// What `PENDING-SCRIPTS` answers.
    pub(super) fn pending_scripts(&self, now: Time) -> Vec<PendingScript> {
        self.scripts.queue.jobs.iter().map(|job| job.pending(now)).collect()
    }

    /// Scripts that run, and all jobs.
    pub(super) fn count_scripts(&self) -> (usize, usize) {
        (self.scripts.queue.running(), self.scripts.queue.jobs.len())
    }

    fn emit_script(&mut self, kind: Kind, detail: String) {
        self.out.push(Output::Event(Event { kind, subject: Subject::Process, detail }));
    }
}

/// Exit code and signal as events show them; `99 0` in [`Kind::ScriptError`] means that no process could be
/// made.
fn codes(end: ScriptEnd) -> (i32, i32) {
    match end {
        ScriptEnd::Exited(code) => (code, 0),
        ScriptEnd::Killed(signal) => (0, signal),
        ScriptEnd::NotExecuted => (2, 0),
        ScriptEnd::NotStarted => (0, 99),
    }
}
