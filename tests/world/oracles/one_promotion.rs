//! One failure, one promotion (S9): a second promotion in a group needs a second reason.
//!
//! While something is cut or stopped nobody can know whether a promotion took place; only a whole
//! world is judged.

use std::collections::BTreeMap;

use vigia::engine::MasterName;

use super::{Oracle, Sight};

/// Per group: the node promoted since the last fault, repair or command.
#[derive(Debug, Default)]
pub struct OnePromotion(BTreeMap<MasterName, String>);

impl Oracle for OnePromotion {
    fn rule(&self) -> &'static str {
        "S9"
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Cause { .. } => {
                self.0.clear();
                Ok(())
            }
            Sight::Promoted { node, group, whole } => match self.0.insert(group.clone(), node.to_owned()) {
                Some(first) if whole => {
                    Err(format!("S9: {first} and {node} of {group} were promoted for one failure"))
                }
                Some(_) | None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[test]
fn a_second_promotion_without_a_reason_is_caught() {
    let mut oracle = OnePromotion::default();
    let group = MasterName::from("m");
    let promoted = |node| Sight::Promoted { node, group: &group, whole: true };
    assert!(oracle.see(&promoted("r1")).is_ok());
    assert!(oracle.see(&Sight::Cause { at: vigia::engine::Time(0) }).is_ok());
    assert!(oracle.see(&promoted("r2")).is_ok());
    assert!(oracle.see(&promoted("m")).is_err());
}
