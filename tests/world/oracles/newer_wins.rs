//! S6: a master is turned into a replica only in favour of a configuration that is not older than the
//! one it serves. Source: DESIGN, section 4.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::{Addr, MasterName};

use super::{Oracle, Sight};

/// Per node: the highest config epoch under which some disk names it the master.
#[derive(Debug, Default)]
pub struct NewerWins {
    served: BTreeMap<(MasterName, Addr), u64>,
    exempt: BTreeSet<MasterName>,
}

impl Oracle for NewerWins {
    fn rule(&self) -> &'static str {
        "S6"
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Saved { state, .. } => {
                for master in &state.masters {
                    let key = (master.name.clone(), master.addr.clone());
                    let served = self.served.entry(key).or_default();
                    *served = master.config_epoch.0.max(*served);
                }
                Ok(())
            }
            Sight::Demoted { group, node, to } => {
                let epoch = |addr: &Addr| self.served.get(&(group.clone(), addr.clone())).copied();
                let (older, newer) = (epoch(to).unwrap_or(0), epoch(node).unwrap_or(0));
                if newer > older && !self.exempt.contains(group) {
                    return Err(format!(
                        "S6: {node}, master of {group} since epoch {newer}, was told to follow {to} of epoch {older}"
                    ));
                }
                Ok(())
            }
            Sight::Elected { forced: true, master, .. } => {
                self.exempt.insert(master.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn a_demotion_toward_an_older_configuration_is_caught() {
    use super::samples;
    let mut oracle = NewerWins::default();
    let (one, two) = (samples::state(1, 1, None, "10.0.0.1"), samples::state(2, 2, None, "10.0.0.2"));
    assert!(oracle.see(&Sight::Saved { sentinel: "s1", state: &one }).is_ok());
    assert!(oracle.see(&Sight::Saved { sentinel: "s2", state: &two }).is_ok());
    let (old, new) = (&one.masters[0].addr, &two.masters[0].addr);
    assert!(oracle.see(&Sight::Demoted { group: &one.masters[0].name, node: old, to: new }).is_ok());
    assert!(oracle.see(&Sight::Demoted { group: &one.masters[0].name, node: new, to: old }).is_err());
}
