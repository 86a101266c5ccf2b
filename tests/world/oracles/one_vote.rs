//! S1: per master, no sentinel ever shows two different votes for one epoch. Source: DESIGN, section 4.

use std::collections::BTreeMap;

use super::{Oracle, Sight};

/// (sentinel, master, epoch) to the vote shown first.
#[derive(Debug, Default)]
pub struct OneVote(BTreeMap<(String, String, u64), String>);

impl Oracle for OneVote {
    fn rule(&self) -> &'static str {
        "S1"
    }

    fn holds_with_stock(&self) -> bool {
        true
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        let Sight::Vote { sentinel, master, epoch, leader } = *sight else { return Ok(()) };
        let key = (sentinel.to_owned(), master.to_string(), epoch);
        let first = self.0.entry(key).or_insert_with(|| leader.to_owned());
        if first == leader {
            return Ok(());
        }
        Err(format!("S1: {sentinel} voted for {first} and for {leader} in epoch {epoch} of {master}"))
    }
}

#[test]
fn a_second_vote_in_one_epoch_is_caught() {
    use vigia::engine::MasterName;
    let mut oracle = OneVote::default();
    let master = MasterName::from("m");
    let vote = |leader| Sight::Vote { sentinel: "s1", master: &master, epoch: 3, leader };
    assert!(oracle.see(&vote("a")).is_ok());
    assert!(oracle.see(&vote("a")).is_ok());
    assert!(oracle.see(&vote("b")).is_err());
    assert!(oracle.see(&Sight::Vote { sentinel: "s2", master: &master, epoch: 3, leader: "b" }).is_ok());
}
