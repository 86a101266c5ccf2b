//! `SENTINEL VIGIA <version> ...`: hints between Vigía processes on the peer link.
//!
//! Versioned, so that releases mix; hints only: no safety property may fail if every one of them is
//! lost or forged. A stock sentinel answers with an error, which means "no". Source: DESIGN section 5.
//!
//! `HELLO` is the same in every version: it names the highest that the sender speaks, the answer the highest
//! that the one asked speaks, and both use the lower one from then on. Any other message of a version or a
//! kind that is not known is answered with an error, which means that there is no such hint.
//!
//! | words | answer |
//! |---|---|
//! | `<version> HELLO <run id>` | array `1`, run id of the one asked |
//! | `1 VOTERS <master>` | array of the run ids of the voter set, the one asked included |
//! | `1 CALM <master>` | array of host, port and config epoch in force, unless somebody may be leading |
//! | `1 IDLE <master> <run id> <epoch>` | `+OK`: the sender's term ended without a promotion |

use std::sync::Arc;

use super::ids::{Addr, Epoch, MasterName, RunId, Ticket};
use super::instance::{Expect, Kin, MasterId, PeerId};
use super::output::{Answer, Request};
use super::reply::Reply;
use super::time::{Span, Time};
use super::{Engine, LinkOwner};

/// The version spoken here; there is no other yet.
const VERSION: u32 = 1;

/// The version that a HELLO or its answer names: a number from 1 on.
pub(super) fn version_of(word: &str) -> Option<u32> {
    word.parse().ok().filter(|version| *version >= VERSION)
}

/// Shortest pause between two rounds of CALM about one master.
const CALM_PAUSE: Span = Span::ms(100);

impl Engine {
    /// Answers one hint.
    pub(super) fn on_vigia(&mut self, now: Time, ticket: Ticket, words: &[Arc<str>]) {
        let words: Vec<&str> = words.iter().map(|word| &**word).collect();
        let answer = match words[..] {
            [version, "HELLO", ..] if version_of(version).is_some() => {
                Answer::Words(vec![VERSION.to_string(), self.globals.my_id.to_string()])
            }
            ["1", "VOTERS", master] => match self.named(&MasterName::from(master)) {
                Some(id) => Answer::Words(self.voter_words(id)),
                None => Answer::Error("ERR No such master with that name".to_owned()),
            },
            ["1", "CALM", master] => self.calm(now, &MasterName::from(master)),
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

    /// The configuration in force, as long as no failover may be changing it.
    fn calm(&self, now: Time, name: &MasterName) -> Answer {
        let Some((id, master)) = self.named(name).and_then(|id| Some((id, self.masters.get(&id)?))) else {
            return Answer::Error("ERR No such master with that name".to_owned());
        };
        match self.usable_master(id) {
            Some(addr) if !master.failover.in_progress() && !master.candidacy.other_may_lead(now) => {
                let words = [addr.host.to_string(), addr.port.to_string(), master.config_epoch.to_string()];
                Answer::Words(words.into())
            }
            Some(_) | None => Answer::Error("ERR A failover may be under way".to_owned()),
        }
    }

    /// Asks the Vigía peers whether they hold the configuration in force and see nobody who may be
    /// changing it: a hello cannot say that. Not again at once, unless it is about something that began
    /// only after the last time.
    pub(super) fn ask_calm(&mut self, now: Time, id: MasterId, since: Time) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        if master.calm_asked.is_some_and(|at| at >= since && now.since(at) < CALM_PAUSE) {
            return;
        }
        master.calm_asked = Some(now);
        let name = master.name.clone();
        for (_, peer) in self.connected_sentinels(id) {
            if self.peers.get(&peer).is_some_and(|p| p.kin == Kin::Vigia) {
                let words = ["1", "CALM", &name].map(Arc::from).to_vec();
                self.send(
                    LinkOwner::Peer(peer),
                    Request::Vigia(words),
                    Expect::VigiaCalm { master: id, asked: now },
                );
            }
        }
    }

    /// The answer to that; it counts from when it was asked for.
    pub(super) fn on_vigia_calm(
        &mut self,
        now: Time,
        peer: PeerId,
        (id, asked): (MasterId, Time),
        reply: &Reply<'_>,
    ) {
        let Reply::Array(words) = reply else { return };
        let [host, port, epoch] = &words[..] else { return };
        let (Some(host), Some(port), Some(epoch)) = (host.text(), port.text(), epoch.text()) else { return };
        let (Ok(port), Ok(epoch)) = (port.parse(), epoch.parse()) else { return };
        let Some(run_id) = self.peers.get(&peer).map(|peer| peer.run_id.clone()) else { return };
        if let Some(sentinel) = self.masters.get_mut(&id).and_then(|m| m.sentinels.get_mut(&run_id)) {
            sentinel.calm = Some((asked, Addr::new(host, port), Epoch(epoch)));
            self.correct_replicas(now, id);
        }
    }

    fn voter_words(&self, id: MasterId) -> Vec<String> {
        let voters = self.masters.get(&id).map(|master| &master.voters).into_iter().flatten();
        voters.chain([&self.globals.my_id]).map(RunId::to_string).collect()
    }
}
