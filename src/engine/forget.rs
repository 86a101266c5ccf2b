//! `SENTINEL FORGET` and `SENTINEL RESET … FORCE`: how an operator makes the voter set smaller.
//!
//! Stock has neither: there, every RESET shrinks the majority. Source: DESIGN section 4, S10.

use std::sync::Arc;

use super::Engine;
use super::admin::no_such_master;
use super::event::Kind;
use super::ids::{MasterName, RunId, Seq, Ticket};
use super::instance::MasterId;
use super::output::Answer;
use super::time::Time;

const NO_SUCH_SENTINEL: &str = "ERR No such Sentinel with that id";

impl Engine {
    /// `SENTINEL FORGET`: drops the entry of a sentinel and its place in the voter set. `+OK` when that is
    /// durable. One that lives comes back with its next hello, and others that are asked for their voters
    /// remember it until they are told as well.
    pub(super) fn forget(&mut self, now: Time, ticket: Ticket, name: &MasterName, run_id: &RunId) {
        let Some(id) = self.named(name) else {
            return self.answer(ticket, no_such_master());
        };
        let Some(master) = self.masters.get_mut(&id) else { return };
        let was_voter = master.voters.remove(run_id);
        if !was_voter && !master.sentinels.contains_key(run_id) {
            return self.answer(ticket, Answer::Error(NO_SUCH_SENTINEL.to_owned()));
        }
        if let Some(heard) = &mut master.heard_since_reset {
            heard.remove(run_id);
        }
        master.voter_hint = 0;
        self.remove_sentinel(id, run_id);
        let seq = self.changed(Some(id));
        self.publish_view(id);
        self.answer_when_saved(ticket, seq);
        self.emit(id, Kind::ForgetSentinel, format!(" id {run_id}"));
        self.check_odown(now, id);
        self.plan_candidacy(now, id);
    }

    /// `SENTINEL RESET pattern FORCE`: a RESET after which only those that are heard again are voters. The
    /// number of masters is answered when that is durable.
    pub(super) fn reset_force(&mut self, now: Time, ticket: Ticket, pattern: &Arc<str>) {
        let ids = self.matching(pattern);
        let mut seq = Seq(0);
        for id in &ids {
            self.reset_master(now, *id);
            seq = seq.max(self.shrink_voters(now, *id));
        }
        let count = Answer::Integer(i64::try_from(ids.len()).unwrap_or(i64::MAX));
        self.answer_saved(ticket, seq, count);
    }

    /// Whoever knows nobody waits for two publish periods before it stands: the others are to be heard first.
    fn shrink_voters(&mut self, now: Time, id: MasterId) -> Seq {
        if let Some(master) = self.masters.get_mut(&id) {
            master.voters.clear();
            master.voter_hint = 0;
            master.heard_since_reset = None;
            master.alone_since = now;
        }
        self.changed(Some(id))
    }
}
