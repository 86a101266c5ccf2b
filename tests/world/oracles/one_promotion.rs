//! One failure, one promotion (S9): a second promotion in a group needs a second reason.
//!
//! While something is cut or stopped nobody can know whether a promotion took place; only a whole
//! world is judged.

use std::collections::BTreeMap;

use super::{Oracle, Sight};

/// Per group: the node promoted since the last fault, repair or command.
#[derive(Debug, Default)]
pub struct OnePromotion(BTreeMap<String, String>);

impl Oracle for OnePromotion {
    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Cause => {
                self.0.clear();
                Ok(())
            }
            Sight::Promoted { node, group, whole } => {
                match self.0.insert(group.to_owned(), node.to_owned()) {
                    Some(first) if whole => {
                        Err(format!("S9: {first} and {node} of {group} were promoted for one failure"))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Sight::Started { .. }
            | Sight::Saved { .. }
            | Sight::Vote { .. }
            | Sight::Elected { .. }
            | Sight::Hello { .. }
            | Sight::Campaign { .. }
            | Sight::View { .. }
            | Sight::Demoted { .. } => Ok(()),
        }
    }
}

#[test]
fn a_second_promotion_without_a_reason_is_caught() {
    let mut oracle = OnePromotion::default();
    let promoted = |node| Sight::Promoted { node, group: "m", whole: true };
    assert!(oracle.see(&promoted("r1")).is_ok());
    assert!(oracle.see(&Sight::Cause).is_ok());
    assert!(oracle.see(&promoted("r2")).is_ok());
    assert!(oracle.see(&promoted("m")).is_err());
}
