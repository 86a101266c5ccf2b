//! `SENTINEL VIGIA <version> ...`: hints between Vigía processes on the peer link.
//!
//! Versioned, so that releases mix; hints only: no safety property may fail if every one of them is
//! lost or forged. A stock sentinel answers with an error, which means "no". Source: DESIGN section 5.
//!
//! | words | answer |
//! |---|---|
//! | `1 HELLO <run id>` | array `1`, run id of the one asked |
//! | `1 VOTERS <master>` | array of the run ids of the voter set, the one asked included |
//! | `1 IDLE <master> <run id> <epoch>` | `+OK`: the sender's term ended without a promotion |

use std::sync::Arc;

use super::Engine;
use super::ids::{Epoch, MasterName, RunId, Ticket};
use super::output::Answer;
use super::time::Time;

impl Engine {
    /// Answers one hint.
    pub(super) fn on_vigia(&mut self, now: Time, ticket: Ticket, words: &[Arc<str>]) {
        let words: Vec<&str> = words.iter().map(|word| &**word).collect();
        let answer = match words[..] {
            ["1", "HELLO", ..] => Answer::Words(vec!["1".to_owned(), self.globals.my_id.to_string()]),
            ["1", "VOTERS", master] => match self.named(&MasterName::from(master)) {
                Some(id) => Answer::Words(self.voter_words(id)),
                None => Answer::Error("ERR No such master with that name".to_owned()),
            },
            ["1", "IDLE", master, run_id, epoch] => {
                if let (Some(id), Ok(epoch)) = (self.named(&MasterName::from(master)), epoch.parse()) {
                    self.leader_idle(now, id, &RunId::from(run_id), Epoch(epoch));
                }
                Answer::Ok
            }
            _ => Answer::Error("ERR unknown VIGIA message".to_owned()),
        };
        self.answer(ticket, answer);
    }

    fn voter_words(&self, id: super::instance::MasterId) -> Vec<String> {
        let voters = self.masters.get(&id).map(|master| &master.voters).into_iter().flatten();
        voters.chain([&self.globals.my_id]).map(RunId::to_string).collect()
    }
}
