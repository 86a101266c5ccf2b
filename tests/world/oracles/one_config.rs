//! S8: for a master, one config epoch stands for one address. Source: DESIGN, section 4.
//!
//! Epoch 0 is what operators wrote into files; forced failovers without a majority are exempt.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::{Addr, MasterName};

use super::{Oracle, Sight};

/// (master, config epoch) to the address seen first, and by whom.
#[derive(Debug, Default)]
pub struct OneConfig {
    seen: BTreeMap<(MasterName, u64), (Addr, String)>,
    exempt: BTreeSet<MasterName>,
}

impl OneConfig {
    fn one(&mut self, sentinel: &str, master: &MasterName, epoch: u64, addr: &Addr) -> Result<(), String> {
        if epoch == 0 || self.exempt.contains(master) {
            return Ok(());
        }
        let first = || (addr.clone(), sentinel.to_owned());
        let (seen, by) = self.seen.entry((master.clone(), epoch)).or_insert_with(first);
        if seen.same_as(addr) {
            return Ok(());
        }
        Err(format!("S8: epoch {epoch} of {master} is {seen} at {by} and {addr} at {sentinel}"))
    }
}

impl Oracle for OneConfig {
    fn rule(&self) -> &'static str {
        "S8"
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Hello { sentinel, hello } => {
                self.one(sentinel, &hello.master, hello.config_epoch, &hello.addr)
            }
            Sight::View { sentinel, view } => self.one(sentinel, &view.name, view.config_epoch.0, &view.addr),
            Sight::Elected { forced: true, master, .. } => {
                self.exempt.insert(master.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn two_addresses_under_one_epoch_are_caught() {
    use super::samples;
    let mut oracle = OneConfig::default();
    let (mine, other) = (samples::hello(3, 2, "10.0.0.1"), samples::view(2, "10.0.0.2"));
    assert!(oracle.see(&Sight::Hello { sentinel: "s1", hello: &mine }).is_ok());
    assert!(oracle.see(&Sight::Hello { sentinel: "s2", hello: &mine }).is_ok());
    assert!(oracle.see(&Sight::View { sentinel: "s2", view: &other }).is_err());
    assert!(oracle.see(&Sight::View { sentinel: "s2", view: &samples::view(3, "10.0.0.2") }).is_ok());
}
