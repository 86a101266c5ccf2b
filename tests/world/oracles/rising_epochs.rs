//! S3: current, leader and config epochs never decrease, on disk or on the wire. Source: DESIGN, section 4.
//!
//! On the wire a new process begins anew: what it adopted from others and could not save may be gone.

use std::collections::BTreeMap;

use super::{Oracle, Sight};

/// Highest epoch seen per sentinel and place.
#[derive(Debug, Default)]
pub struct RisingEpochs {
    seen: BTreeMap<(String, String), u64>,
}

impl RisingEpochs {
    fn rise(&mut self, sentinel: &str, place: String, epoch: u64) -> Result<(), String> {
        let highest = self.seen.entry((sentinel.to_owned(), place.clone())).or_default();
        if epoch < *highest {
            return Err(format!("S3: {place} of {sentinel} fell from {highest} to {epoch}"));
        }
        *highest = epoch;
        Ok(())
    }
}

impl Oracle for RisingEpochs {
    fn rule(&self) -> &'static str {
        "S3"
    }

    fn holds_with_stock(&self) -> bool {
        true
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Started { sentinel, .. } => {
                self.seen.retain(|(name, place), _| name != sentinel || place.starts_with("saved"));
                Ok(())
            }
            Sight::Saved { sentinel, state } => {
                self.rise(sentinel, "saved current-epoch".to_owned(), state.current_epoch.0)?;
                for master in &state.masters {
                    let (name, config, leader) = (&master.name, master.config_epoch.0, master.leader_epoch.0);
                    self.rise(sentinel, format!("saved config-epoch of {name}"), config)?;
                    self.rise(sentinel, format!("saved leader-epoch of {name}"), leader)?;
                }
                Ok(())
            }
            Sight::Hello { sentinel, hello } => {
                self.rise(sentinel, "current-epoch in hellos".to_owned(), hello.current_epoch)?;
                self.rise(sentinel, format!("config-epoch of {}", hello.master), hello.config_epoch)
            }
            Sight::View { sentinel, view } => {
                self.rise(sentinel, format!("config-epoch of {}", view.name), view.config_epoch.0)
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn a_falling_epoch_is_caught() {
    use super::samples;
    let mut oracle = RisingEpochs::default();
    let (high, low) = (samples::state(3, 2, None, "10.0.0.1"), samples::state(2, 2, None, "10.0.0.1"));
    assert!(oracle.see(&Sight::Saved { sentinel: "s1", state: &high }).is_ok());
    assert!(oracle.see(&Sight::Started { sentinel: "s1", at: vigia::engine::Time(0) }).is_ok());
    assert!(oracle.see(&Sight::Saved { sentinel: "s1", state: &low }).is_err());

    let (new, old) = (samples::hello(5, 4, "10.0.0.1"), samples::hello(5, 3, "10.0.0.1"));
    assert!(oracle.see(&Sight::Hello { sentinel: "s1", hello: &new }).is_ok());
    assert!(oracle.see(&Sight::Hello { sentinel: "s1", hello: &old }).is_err());
    let view = samples::view(1, "10.0.0.1");
    assert!(oracle.see(&Sight::View { sentinel: "s1", view: &view }).is_err());
}
