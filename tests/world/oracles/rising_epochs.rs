//! S3: current, leader and config epochs never decrease, on disk or on the wire. Source: DESIGN, section 4.
//!
//! On the wire a new process begins anew: what it adopted from others and could not save may be gone.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::{MasterName, Time};

use super::{Oracle, Sight};

/// What rises.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    SavedCurrent,
    SavedConfig(MasterName),
    SavedLeader(MasterName),
    ShownCurrent,
    ShownConfig(MasterName),
}

/// Highest epoch seen per sentinel and place.
#[derive(Debug, Default)]
pub struct RisingEpochs {
    seen: BTreeMap<String, BTreeMap<Place, u64>>,
    /// Entries that an operator removed or made: their configuration begins anew, once.
    anew: BTreeSet<(String, Place)>,
}

impl RisingEpochs {
    fn rise(&mut self, sentinel: &str, place: Place, epoch: u64) -> Result<(), String> {
        if !self.seen.contains_key(sentinel) {
            self.seen.insert(sentinel.to_owned(), BTreeMap::new());
        }
        let Some(places) = self.seen.get_mut(sentinel) else { return Ok(()) };
        let Some(highest) = places.get_mut(&place) else {
            places.insert(place, epoch);
            return Ok(());
        };
        if epoch < *highest && !self.anew.remove(&(sentinel.to_owned(), place.clone())) {
            return Err(format!("S3: {place:?} of {sentinel} fell from {highest} to {epoch}"));
        }
        *highest = epoch;
        Ok(())
    }

    fn begin_anew(&mut self, sentinel: &str, master: &MasterName) {
        for place in [Place::SavedConfig(master.clone()), Place::ShownConfig(master.clone())] {
            self.anew.insert((sentinel.to_owned(), place));
        }
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
                if let Some(places) = self.seen.get_mut(sentinel) {
                    places.retain(|place, _| !matches!(place, Place::ShownCurrent | Place::ShownConfig(_)));
                }
                Ok(())
            }
            Sight::Anew { sentinel, master } => {
                self.begin_anew(sentinel, master);
                Ok(())
            }
            Sight::Saved { sentinel, state } => {
                self.rise(sentinel, Place::SavedCurrent, state.current_epoch.0)?;
                for master in &state.masters {
                    let (name, config, leader) = (&master.name, master.config_epoch.0, master.leader_epoch.0);
                    self.rise(sentinel, Place::SavedConfig(name.clone()), config)?;
                    self.rise(sentinel, Place::SavedLeader(name.clone()), leader)?;
                }
                Ok(())
            }
            Sight::Hello { sentinel, hello } => {
                self.rise(sentinel, Place::ShownCurrent, hello.current_epoch)?;
                self.rise(sentinel, Place::ShownConfig(hello.master.clone()), hello.config_epoch)
            }
            Sight::View { sentinel, view } => {
                self.rise(sentinel, Place::ShownConfig(view.name.clone()), view.config_epoch.0)
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
    assert!(oracle.see(&Sight::Started { sentinel: "s1", at: Time(0), local: Time(0) }).is_ok());
    assert!(oracle.see(&Sight::Saved { sentinel: "s1", state: &low }).is_err());

    let (new, old) = (samples::hello(5, 4, "10.0.0.1"), samples::hello(5, 3, "10.0.0.1"));
    assert!(oracle.see(&Sight::Hello { sentinel: "s1", hello: &new }).is_ok());
    assert!(oracle.see(&Sight::Hello { sentinel: "s1", hello: &old }).is_err());
    let view = samples::view(1, "10.0.0.1");
    assert!(oracle.see(&Sight::View { sentinel: "s1", view: &view }).is_err());
    let anew = Sight::Anew { sentinel: "s1", master: &MasterName::from("m") };
    assert!(oracle.see(&anew).is_ok() && oracle.see(&Sight::View { sentinel: "s1", view: &view }).is_ok());
}
