//! `<config>.vigia`: the durable state that stock's directives cannot hold.
//!
//! Per master: the voter set, and whom the last vote went to. Kept beside the configuration because
//! an unknown `sentinel` line would stop a stock sentinel from starting on the way back.
//!
//! Source: DESIGN, section 5.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::{Epoch, RunId, State};

/// Version of the format; a reader refuses others.
const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
struct File {
    version: u32,
    #[serde(default)]
    masters: BTreeMap<String, Master>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Master {
    voters: Vec<String>,
    leader: Option<Vote>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Vote {
    epoch: u64,
    run_id: String,
}

/// The text of the file.
pub fn render(state: &State) -> Vec<u8> {
    let masters = state.masters.iter().map(|master| {
        let vote = |leader: &RunId| Vote { epoch: master.leader_epoch.0, run_id: leader.to_string() };
        let voters = master.voters.iter().map(RunId::to_string).collect();
        (master.name.to_string(), Master { voters, leader: master.leader.as_ref().map(vote) })
    });
    let file = File { version: VERSION, masters: masters.collect() };
    // A map with text keys and plain numbers always has a JSON form.
    let mut text = serde_json::to_vec_pretty(&file).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Adds what the file holds to a state that was loaded from the configuration.
///
/// A vote counts only if its epoch is the `leader-epoch` of the configuration; the voters are
/// those of the file and every known sentinel. Masters and fields that are not known are ignored.
///
/// # Errors
/// What is wrong with the text; the state is unchanged then.
pub fn merge(text: &[u8], state: &mut State) -> Result<(), String> {
    let mut file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if file.version != VERSION {
        return Err(format!("version {} of the file is not supported (only {VERSION})", file.version));
    }
    for master in &mut state.masters {
        let Some(saved) = file.masters.remove(&*master.name) else { continue };
        let known = master.sentinels.iter().map(|(run_id, _)| run_id.clone());
        let mut voters: Vec<RunId> = Vec::new();
        for voter in saved.voters.iter().map(|voter| RunId::from(voter.as_str())).chain(known) {
            if !voter.is_empty() && !voters.contains(&voter) {
                voters.push(voter);
            }
        }
        master.voters = voters;
        let vote = saved.leader.filter(|vote| Epoch(vote.epoch) == master.leader_epoch);
        master.leader = vote.map(|vote| RunId::from(vote.run_id.as_str()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::{Globals, MasterSettings};
    use crate::engine::{Addr, MasterName, MasterState};

    fn state() -> State {
        let master = MasterState {
            name: MasterName::from("my master"),
            addr: Addr::new("127.0.0.1", 6379),
            settings: MasterSettings::new(2),
            config_epoch: Epoch(1),
            leader_epoch: Epoch(7),
            leader: Some(RunId::from("b")),
            replicas: Vec::new(),
            sentinels: vec![(RunId::from("a"), Addr::new("127.0.0.1", 26379))],
            voters: vec![RunId::from("b"), RunId::from("a")],
        };
        State { globals: Globals::new(RunId::from("me")), current_epoch: Epoch(7), masters: vec![master] }
    }

    fn without(mut state: State) -> State {
        state.masters[0].voters.clear();
        state.masters[0].leader = None;
        state
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut read = without(state());
        merge(&render(&state()), &mut read).unwrap();
        assert_eq!(read, state());
    }

    #[test]
    fn a_vote_of_another_epoch_does_not_count() {
        let mut read = without(state());
        read.masters[0].leader_epoch = Epoch(8);
        merge(&render(&state()), &mut read).unwrap();
        assert_eq!(read.masters[0].leader, None);
    }

    #[test]
    fn known_sentinels_are_always_voters_and_unknown_fields_are_ignored() {
        let mut read = without(state());
        let text = br#"{"version":1,"new":2,"masters":{"my master":{"voters":["b"],"x":{}},"gone":{}}}"#;
        merge(text, &mut read).unwrap();
        assert_eq!(read.masters[0].voters, [RunId::from("b"), RunId::from("a")]);
    }

    #[test]
    fn bad_text_changes_nothing() {
        for text in ["", "{", r#"{"version":2}"#, r#"{"masters":{}}"#, r#"{"version":1,"masters":[]}"#] {
            let mut read = without(state());
            assert!(merge(text.as_bytes(), &mut read).is_err(), "{text}");
            assert_eq!(read, without(state()));
        }
    }
}
