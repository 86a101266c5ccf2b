//! S10: the voter set on disk never shrinks by a RESET or a restart; after a RESET it may be replaced once
//! a majority of it was heard again. A sentinel that knows nobody starts no election soon after its start.
//! Source: DESIGN, section 4.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::event::{Kind, Subject};
use vigia::engine::{MasterName, MasterState, RunId, Span, State, Time};

use super::{Oracle, Sight};

/// Two publish periods.
const ALONE: Span = Span::secs(4);

/// What each disk held.
#[derive(Debug, Default)]
pub struct VoterSet {
    held: BTreeMap<(String, MasterName), BTreeSet<RunId>>,
    /// Since when a RESET allows a smaller set.
    reset: BTreeSet<(String, MasterName)>,
    /// Entries that an operator removed or made: their set begins anew, once. A save from before may land
    /// in between.
    anew: BTreeSet<(String, MasterName)>,
    /// How many voters an operator allowed to be forgotten.
    forgotten: BTreeMap<(String, MasterName), usize>,
    started: BTreeMap<String, Time>,
    /// Elections that an operator asked for are not judged.
    ordered: BTreeSet<(String, MasterName)>,
}

impl VoterSet {
    fn saved(&mut self, sentinel: &str, state: &State) -> Result<(), String> {
        state.masters.iter().try_for_each(|master| self.one(sentinel, master))
    }

    fn one(&mut self, sentinel: &str, master: &MasterState) -> Result<(), String> {
        let key = (sentinel.to_owned(), master.name.clone());
        let held = self.held.entry(key.clone()).or_default();
        let same = held.len() == master.voters.len() && master.voters.iter().all(|id| held.contains(id));
        if same {
            return Ok(());
        }
        let new: BTreeSet<RunId> = master.voters.iter().cloned().collect();
        // A sentinel with a new id at an old address takes the place of the old one.
        let missing = held.len().saturating_sub(new.len());
        let heard_again = held.intersection(&new).count() + 1;
        let everybody = held.len() + 1;
        let majority = everybody / 2 + 1;
        let by_reset = self.reset.contains(&key) && heard_again >= majority;
        let allowed = self.forgotten.get(&key).copied().unwrap_or_default();
        let by_order = missing > 0 && missing <= allowed;
        if by_order {
            self.forgotten.insert(key.clone(), allowed - missing);
        }
        if missing > 0 && !by_reset && !by_order && !self.anew.remove(&key) {
            return Err(format!(
                "S10: the voter set of {} at {sentinel} lost {missing} of {} others without reason",
                master.name,
                held.len()
            ));
        }
        if missing > 0 {
            self.reset.remove(&key);
        }
        *held = new;
        Ok(())
    }

    fn stands(&self, sentinel: &str, master: &MasterName, at: Time) -> Result<(), String> {
        let key = (sentinel.to_owned(), master.clone());
        let knows_somebody = self.held.get(&key).is_some_and(|held| !held.is_empty());
        let since = self.started.get(sentinel).map_or(Span::ZERO, |started| at.since(*started));
        if knows_somebody || since >= ALONE || self.ordered.contains(&key) {
            return Ok(());
        }
        Err(format!(
            "S10: {sentinel} knows nobody and stands for {master} {} ms after its start",
            since.as_ms()
        ))
    }
}

impl Oracle for VoterSet {
    fn rule(&self) -> &'static str {
        "S10"
    }

    fn holds_with_stock(&self) -> bool {
        true
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Started { sentinel, local, .. } => {
                self.started.insert(sentinel.to_owned(), local);
                self.ordered.retain(|(who, _)| who != sentinel);
                // What was heard since a RESET is not kept.
                self.reset.retain(|(who, _)| who != sentinel);
            }
            Sight::Saved { sentinel, state } => return self.saved(sentinel, state),
            Sight::Reset { sentinel } => {
                let mine = self.held.keys().filter(|(who, _)| who == sentinel).cloned();
                self.reset.extend(mine.collect::<Vec<_>>());
            }
            Sight::Anew { sentinel, master } => {
                self.anew.insert((sentinel.to_owned(), master.clone()));
            }
            Sight::Forgotten { sentinel, master: Some(master) } => {
                *self.forgotten.entry((sentinel.to_owned(), master.clone())).or_default() += 1;
            }
            Sight::Forgotten { sentinel, master: None } => {
                let mine = self.held.keys().filter(|(who, _)| who == sentinel).cloned();
                self.anew.extend(mine.collect::<Vec<_>>());
            }
            Sight::Ordered { sentinel, master } => {
                self.ordered.insert((sentinel.to_owned(), master.clone()));
            }
            Sight::Event { sentinel, local, event, .. } => {
                if let (Kind::TryFailover, Subject::Master(master)) = (event.kind, &event.subject) {
                    return self.stands(sentinel, &master.name, local);
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

    use super::super::samples;
    use super::*;

    fn saved(oracle: &mut VoterSet, voters: &[&str]) -> Result<(), String> {
        let mut state = samples::state(1, 0, None, "10.0.0.1");
        state.masters[0].voters = voters.iter().map(|id| RunId::from(*id)).collect();
        oracle.see(&Sight::Saved { sentinel: "s1", state: &state })
    }

    #[test]
    fn a_set_that_shrinks_is_caught() {
        let mut oracle = VoterSet::default();
        assert!(saved(&mut oracle, &["a", "b"]).is_ok());
        assert!(saved(&mut oracle, &["a", "b", "c", "d"]).is_ok());
        assert!(saved(&mut oracle, &["a", "b", "c"]).is_err());
        assert!(oracle.see(&Sight::Reset { sentinel: "s1" }).is_ok());
        assert!(saved(&mut oracle, &["a"]).is_err(), "two of five are no majority");
        assert!(saved(&mut oracle, &["a", "b"]).is_ok(), "three of five");
        assert!(saved(&mut oracle, &["a", "c"]).is_ok(), "one took the place of another");
        assert!(saved(&mut oracle, &["a"]).is_err(), "once only");
        let forget = Sight::Forgotten { sentinel: "s1", master: Some(&MasterName::from("m")) };
        assert!(oracle.see(&forget).is_ok() && saved(&mut oracle, &["a"]).is_ok(), "one was forgotten");
        assert!(saved(&mut oracle, &["a", "c"]).is_ok() && saved(&mut oracle, &["a"]).is_err(), "once only");
        let anew = Sight::Anew { sentinel: "s1", master: &MasterName::from("m") };
        assert!(oracle.see(&anew).is_ok() && saved(&mut oracle, &[]).is_ok());
        assert!(saved(&mut oracle, &["a"]).is_ok() && saved(&mut oracle, &[]).is_err(), "once only");
    }

    #[test]
    fn an_early_election_of_a_lonely_sentinel_is_caught() {
        let mut oracle = VoterSet::default();
        let (name, addr) = (MasterName::from("m"), Addr::new("10.0.0.1", 6379));
        let subject = Subject::Master(MasterRef { name, addr });
        let event = Event { kind: Kind::TryFailover, subject, detail: String::new() };
        let stands = |at| Sight::Event { sentinel: "s1", at, local: at, event: &event };
        assert!(oracle.see(&Sight::Started { sentinel: "s1", at: Time(0), local: Time(0) }).is_ok());
        assert!(oracle.see(&stands(Time(3_000_000))).is_err());
        assert!(oracle.see(&stands(Time(4_000_000))).is_ok());
        assert!(saved(&mut oracle, &["a"]).is_ok());
        assert!(oracle.see(&Sight::Started { sentinel: "s1", at: Time(0), local: Time(9_000_000) }).is_ok());
        assert!(oracle.see(&stands(Time(9_000_001))).is_ok());
    }
}
