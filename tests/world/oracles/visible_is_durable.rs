//! S7: what a sentinel decides is on its disk before another process can see it. Source: DESIGN, section 4.
//!
//! An epoch or configuration that a peer made durable may be passed on before it is on the own disk.

use std::collections::BTreeMap;

use vigia::engine::{Addr, MasterName, State};

use super::{Oracle, Sight};

/// The disks, and the highest that any of them held.
#[derive(Debug, Default)]
pub struct VisibleIsDurable {
    disks: BTreeMap<String, State>,
    current: u64,
    configs: BTreeMap<(MasterName, u64), Vec<Addr>>,
}

impl VisibleIsDurable {
    fn saved(&mut self, sentinel: &str, state: &State) {
        self.current = self.current.max(state.current_epoch.0);
        for master in &state.masters {
            self.configured(master.name.clone(), master.config_epoch.0, &master.addr);
        }
        self.disks.insert(sentinel.to_owned(), state.clone());
    }

    fn configured(&mut self, master: MasterName, epoch: u64, addr: &Addr) {
        let addrs = self.configs.entry((master, epoch)).or_default();
        if !addrs.contains(addr) {
            addrs.push(addr.clone());
        }
    }

    fn vote(&self, sentinel: &str, master: &MasterName, epoch: u64, leader: &str) -> Result<(), String> {
        let masters = self.disks.get(sentinel).map(|state| state.masters.as_slice()).unwrap_or_default();
        let Some(saved) = masters.iter().find(|saved| saved.name == *master) else {
            return Err(format!("S7: {sentinel} shows a vote for {master}, which is not on its disk"));
        };
        let on_disk = saved.leader.as_ref().map_or("nobody", |id| &id.0);
        let same = saved.leader_epoch.0 == epoch && on_disk == leader;
        if same || saved.leader_epoch.0 > epoch {
            return Ok(());
        }
        Err(format!(
            "S7: {sentinel} shows a vote for {leader} in epoch {epoch} of {master}; on disk: {on_disk} in {}",
            saved.leader_epoch.0
        ))
    }

    fn config(&self, sentinel: &str, master: &MasterName, epoch: u64, addr: &Addr) -> Result<(), String> {
        let known = self.configs.get(&(master.clone(), epoch));
        if epoch == 0 || known.is_some_and(|addrs| addrs.contains(addr)) {
            return Ok(());
        }
        Err(format!("S7: {sentinel} shows {addr} for {master} in epoch {epoch}; no disk holds that"))
    }
}

impl Oracle for VisibleIsDurable {
    fn rule(&self) -> &'static str {
        "S7"
    }

    fn holds_with_stock(&self) -> bool {
        true
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Saved { sentinel, state } => {
                self.saved(sentinel, state);
                Ok(())
            }
            Sight::Vote { sentinel, master, epoch, leader } => self.vote(sentinel, master, epoch, leader),
            Sight::Campaign { sentinel, epoch, own } => {
                let durable = self.disks.get(sentinel).map_or(0, |state| state.current_epoch.0);
                if own && epoch > durable {
                    return Err(format!("S7: {sentinel} campaigns in epoch {epoch}; on disk: {durable}"));
                }
                Ok(())
            }
            Sight::Hello { sentinel, hello } => {
                if hello.current_epoch > self.current {
                    return Err(format!(
                        "S7: {sentinel} shows epoch {}; no disk holds it",
                        hello.current_epoch
                    ));
                }
                self.config(sentinel, &hello.master, hello.config_epoch, &hello.addr)
            }
            Sight::StockHello { hello } => {
                self.current = self.current.max(hello.current_epoch);
                self.configured(hello.master.clone(), hello.config_epoch, &hello.addr);
                Ok(())
            }
            Sight::View { sentinel, view } => {
                self.config(sentinel, &view.name, view.config_epoch.0, &view.addr)
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn showing_what_is_not_on_disk_is_caught() {
    use super::samples;
    let mut oracle = VisibleIsDurable::default();
    let master = MasterName::from("m");
    let state = samples::state(3, 2, Some((3, "a")), "10.0.0.1");
    assert!(oracle.see(&Sight::Saved { sentinel: "s1", state: &state }).is_ok());

    let vote = |epoch, leader| Sight::Vote { sentinel: "s1", master: &master, epoch, leader };
    assert!(oracle.see(&vote(3, "a")).is_ok());
    assert!(oracle.see(&vote(3, "b")).is_err());
    assert!(oracle.see(&vote(4, "a")).is_err());

    let campaign = |epoch| Sight::Campaign { sentinel: "s1", epoch, own: true };
    assert!(oracle.see(&campaign(3)).is_ok());
    assert!(oracle.see(&campaign(4)).is_err());

    for (current, config, host, good) in [
        (3, 2, "10.0.0.1", true),
        (4, 2, "10.0.0.1", false),
        (3, 3, "10.0.0.1", false),
        (3, 2, "10.0.0.2", false),
    ] {
        let hello = samples::hello(current, config, host);
        assert_eq!(oracle.see(&Sight::Hello { sentinel: "s2", hello: &hello }).is_ok(), good, "{hello:?}");
    }
    assert!(oracle.see(&Sight::View { sentinel: "s1", view: &samples::view(3, "10.0.0.1") }).is_err());
}
