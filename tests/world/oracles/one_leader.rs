//! S2: at most one sentinel leads per (master, epoch), by the votes of a majority of the largest voter set
//! that it or a voter of it knows, and of the quorum at least; but for forced failovers without a reachable
//! majority. Source: DESIGN, section 4.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::{MasterName, RunId, State};

use super::{Oracle, Sight};

/// What was seen of elections.
#[derive(Debug, Default)]
pub struct OneLeader {
    /// (master, epoch) to the leader.
    leaders: BTreeMap<(MasterName, u64), String>,
    /// (master, epoch, candidate) to its voters.
    votes: BTreeMap<(MasterName, u64, RunId), BTreeSet<String>>,
    ids: BTreeMap<String, RunId>,
    /// Per sentinel and master: number of voters and quorum on its disk.
    known: BTreeMap<(String, MasterName), (usize, usize)>,
    /// Entries that an operator made: until others are known, the sentinel was told that it is alone.
    anew: BTreeSet<(String, MasterName)>,
    /// Failovers that an operator asked for need the majority, but not the quorum.
    ordered: BTreeSet<(String, MasterName)>,
}

impl OneLeader {
    fn saved(&mut self, sentinel: &str, state: &State) {
        self.ids.entry(sentinel.to_owned()).or_insert_with(|| state.globals.my_id.clone());
        for master in &state.masters {
            let known = (master.voters.len() + 1, master.settings.quorum as usize);
            self.known.insert((sentinel.to_owned(), master.name.clone()), known);
        }
    }

    fn enough(&mut self, sentinel: &str, master: &MasterName, epoch: u64) -> Result<(), String> {
        let Some(me) = self.ids.get(sentinel) else { return Ok(()) };
        let nobody = BTreeSet::new();
        let voters = self.votes.get(&(master.clone(), epoch, me.clone())).unwrap_or(&nobody);
        let known = |voter: &str| self.known.get(&(voter.to_owned(), master.clone())).copied();
        let ordered = self.ordered.remove(&(sentinel.to_owned(), master.clone()));
        let quorum = known(sentinel).filter(|_| !ordered).map_or(1, |(_, quorum)| quorum);
        let largest = voters.iter().filter_map(|voter| known(voter)).map(|(voters, _)| voters).max();
        let needed = (largest.unwrap_or(1) / 2 + 1).max(quorum);
        if voters.len() >= needed {
            return Ok(());
        }
        Err(format!(
            "S2: {sentinel} leads {master} in epoch {epoch} by the votes of {voters:?}; it needs {needed}"
        ))
    }

    fn alone_by_order(&self, sentinel: &str, master: &MasterName) -> bool {
        let key = (sentinel.to_owned(), master.clone());
        self.anew.contains(&key) && self.known.get(&key).is_none_or(|(voters, _)| *voters == 1)
    }

    fn only(&mut self, sentinel: &str, master: &MasterName, epoch: u64) -> Result<(), String> {
        let first = self.leaders.entry((master.clone(), epoch)).or_insert_with(|| sentinel.to_owned());
        if first == sentinel {
            return Ok(());
        }
        Err(format!("S2: {first} and {sentinel} lead {master} in epoch {epoch}"))
    }
}

impl Oracle for OneLeader {
    fn rule(&self) -> &'static str {
        "S2"
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Saved { sentinel, state } => {
                self.saved(sentinel, state);
                Ok(())
            }
            Sight::Vote { sentinel, master, epoch, leader } => {
                let voters = self.votes.entry((master.clone(), epoch, RunId::from(leader))).or_default();
                voters.insert(sentinel.to_owned());
                Ok(())
            }
            Sight::Anew { sentinel, master } => {
                self.anew.insert((sentinel.to_owned(), master.clone()));
                Ok(())
            }
            Sight::Elected { sentinel, master, .. } if self.alone_by_order(sentinel, master) => Ok(()),
            Sight::Ordered { sentinel, master } => {
                self.ordered.insert((sentinel.to_owned(), master.clone()));
                Ok(())
            }
            Sight::Elected { sentinel, master, epoch, forced: false, .. } => {
                self.only(sentinel, master, epoch)?;
                self.enough(sentinel, master, epoch)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use vigia::engine::Time;

    use super::super::samples;
    use super::*;

    fn elected<'a>(sentinel: &'a str, master: &'a MasterName, epoch: u64, forced: bool) -> Sight<'a> {
        Sight::Elected { sentinel, at: Time(0), master, epoch, forced }
    }

    #[test]
    fn a_second_leader_in_one_epoch_is_caught() {
        let mut oracle = OneLeader::default();
        let master = MasterName::from("m");
        assert!(oracle.see(&elected("s1", &master, 1, false)).is_ok());
        assert!(oracle.see(&elected("s2", &master, 2, false)).is_ok());
        assert!(oracle.see(&elected("s3", &master, 1, true)).is_ok());
        assert!(oracle.see(&elected("s2", &master, 1, false)).is_err());
    }

    #[test]
    fn a_leader_with_too_few_votes_is_caught() {
        let mut oracle = OneLeader::default();
        let master = MasterName::from("m");
        let mut state = samples::state(1, 0, None, "10.0.0.1");
        state.masters[0].voters = ["b", "c"].map(RunId::from).to_vec();
        assert!(oracle.see(&Sight::Saved { sentinel: "s1", state: &state }).is_ok());
        let vote = |sentinel| Sight::Vote { sentinel, master: &master, epoch: 1, leader: samples::ID };
        assert!(oracle.see(&vote("s1")).is_ok());
        assert!(oracle.see(&elected("s1", &master, 1, false)).is_err());
        assert!(oracle.see(&vote("s2")).is_ok());
        assert!(oracle.see(&elected("s1", &master, 1, false)).is_ok());
        // The second voter knows of more sentinels.
        state.masters[0].voters = ["a", "c", "d", "e"].map(RunId::from).to_vec();
        assert!(oracle.see(&Sight::Saved { sentinel: "s2", state: &state }).is_ok());
        assert!(oracle.see(&elected("s1", &master, 1, false)).is_err());
    }
}
