//! L3: every failover that was begun ends: by a new master, with a reason, or by its time-out.
//! Source: DESIGN, section 4.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::event::{Kind, Subject};
use vigia::engine::{MasterName, Span, State, Time};

use super::{Oracle, Sight};

/// min(10 s, failover-timeout) for election and term, once more for a save that is tried again, and some
/// time for a process whose clock stood still.
const TERMS: u64 = 2;
const LONGEST_TERM: Span = Span::secs(10);

/// What is under way.
#[derive(Debug, Default)]
pub struct NoStuckState {
    /// Per sentinel and master: when the failover began.
    open: BTreeMap<(String, MasterName), Time>,
    /// A lost election is told at once, its beginning only when the vote is on disk.
    lost_early: BTreeSet<(String, MasterName)>,
    timeout: BTreeMap<(String, MasterName), Span>,
    /// The last fault or repair: a leader waits for a disk that fails, and for a process that is stopped.
    faulty: Time,
}

impl NoStuckState {
    fn look(&self, sentinel: &str, now: Time) -> Result<(), String> {
        let mine = self.open.iter().filter(|((who, _), _)| who == sentinel);
        for ((_, master), began) in mine {
            let timeout = self.timeout.get(&(sentinel.to_owned(), master.clone()));
            let term = timeout.copied().unwrap_or(LONGEST_TERM).min(LONGEST_TERM);
            let limit = Span(term.0 * TERMS) + Span::secs(1);
            let open = now.since((*began).max(self.faulty));
            if open > limit {
                let ms = open.as_ms();
                return Err(format!("L3: a failover of {master} at {sentinel} has been open for {ms} ms"));
            }
        }
        Ok(())
    }

    fn begun(&mut self, key: (String, MasterName), at: Time, is_over: bool) {
        if !is_over {
            self.open.insert(key, at);
        }
    }

    fn lost(&mut self, key: (String, MasterName), was_open: bool) {
        if !was_open {
            self.lost_early.insert(key);
        }
    }

    fn saved(&mut self, sentinel: &str, state: &State) {
        for master in &state.masters {
            let key = (sentinel.to_owned(), master.name.clone());
            self.timeout.insert(key, Span::from(master.settings.failover_timeout));
        }
    }
}

impl Oracle for NoStuckState {
    fn rule(&self) -> &'static str {
        "L3"
    }

    fn waits(&self) -> bool {
        !self.open.is_empty()
    }

    fn holds_with_stock(&self) -> bool {
        true
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Started { sentinel, .. } => {
                self.open.retain(|(who, _), _| who != sentinel);
                self.lost_early.retain(|(who, _)| who != sentinel);
            }
            Sight::Saved { sentinel, state } => self.saved(sentinel, state),
            Sight::Handled { sentinel, at, .. } if !self.open.is_empty() => return self.look(sentinel, at),
            Sight::Cause { at } => self.faulty = at,
            Sight::Reset { sentinel } => self.open.retain(|(who, _), _| who != sentinel),
            Sight::Anew { sentinel, master } => {
                self.open.remove(&(sentinel.to_owned(), master.clone()));
            }
            Sight::Event { sentinel, at, event, .. } => {
                let (Subject::Master(master) | Subject::Replica { master, .. }) = &event.subject else {
                    return Ok(());
                };
                let key = (sentinel.to_owned(), master.name.clone());
                match event.kind {
                    Kind::TryFailover => {
                        let is_over = self.lost_early.remove(&key);
                        self.begun(key, at, is_over);
                    }
                    Kind::AbortNotElected => {
                        let was_open = self.open.remove(&key).is_some();
                        self.lost(key, was_open);
                    }
                    Kind::AbortNoGoodSlave
                    | Kind::AbortSlaveTimeout
                    | Kind::StoodDown
                    | Kind::PromotedSlave
                    | Kind::SwitchMaster
                    | Kind::ConfigUpdateFrom => {
                        self.open.remove(&key);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vigia::engine::event::MasterRef;
    use vigia::engine::{Addr, Event};

    use super::*;

    fn see(oracle: &mut NoStuckState, kind: Kind, at: u64) {
        let (name, addr) = (MasterName::from("m"), Addr::new("10.0.0.1", 6379));
        let subject = Subject::Master(MasterRef { name, addr });
        let event = Event { kind, subject, detail: String::new() };
        let sight = Sight::Event { sentinel: "s1", at: Time(at), local: Time(at), event: &event };
        assert!(oracle.see(&sight).is_ok());
    }

    fn handled(oracle: &mut NoStuckState, secs: u64) -> Result<(), String> {
        oracle.see(&Sight::Handled { sentinel: "s1", at: Time(secs * 1_000_000), now: Time(0), wake: None })
    }

    #[test]
    fn a_failover_without_end_is_caught() {
        let mut oracle = NoStuckState::default();
        see(&mut oracle, Kind::TryFailover, 0);
        assert!(handled(&mut oracle, 21).is_ok());
        assert!(handled(&mut oracle, 22).is_err());
        see(&mut oracle, Kind::TryFailover, 22_000_000);
        see(&mut oracle, Kind::AbortNotElected, 23_000_000);
        assert!(handled(&mut oracle, 99).is_ok());
    }
}
