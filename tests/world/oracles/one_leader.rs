//! S2: at most one sentinel leads per (master, epoch), but for forced failovers without a reachable
//! majority. Source: DESIGN, section 4.

use std::collections::BTreeMap;

use super::{Oracle, Sight};

/// (master, epoch) to the leader.
#[derive(Debug, Default)]
pub struct OneLeader(BTreeMap<(String, u64), String>);

impl Oracle for OneLeader {
    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        let Sight::Elected { sentinel, master, epoch, forced } = *sight else { return Ok(()) };
        if forced {
            return Ok(());
        }
        let first = self.0.entry((master.to_string(), epoch)).or_insert_with(|| sentinel.to_owned());
        if first == sentinel {
            return Ok(());
        }
        Err(format!("S2: {first} and {sentinel} lead {master} in epoch {epoch}"))
    }
}

#[test]
fn a_second_leader_in_one_epoch_is_caught() {
    use vigia::engine::MasterName;
    let mut oracle = OneLeader::default();
    let master = MasterName::from("m");
    let elected = |sentinel, epoch, forced| Sight::Elected { sentinel, master: &master, epoch, forced };
    assert!(oracle.see(&elected("s1", 1, false)).is_ok());
    assert!(oracle.see(&elected("s2", 2, false)).is_ok());
    assert!(oracle.see(&elected("s3", 1, true)).is_ok());
    assert!(oracle.see(&elected("s2", 1, false)).is_err());
}
