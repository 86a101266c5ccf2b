//! S5: a replica is promoted only if what its last INFO told the leader makes it eligible: a priority above
//! 0, not SDOWN, read lately, of the group's lineage.
//! Source: DESIGN, section 4; spec 05, section 6.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::event::{Kind, Subject};
use vigia::engine::{Addr, Event, MasterName, Span, Time};

use super::{Oracle, Sight};

/// Stock's limit while the master is down; the choice reads INFO afresh, so this is generous.
const LATELY: Span = Span::secs(30);

/// What one INFO told.
#[derive(Clone, Debug)]
struct Told {
    at: Time,
    priority: u32,
    replid: String,
    replid2: String,
    master: bool,
}

/// What each sentinel knows of each node.
#[derive(Debug, Default)]
pub struct Eligible {
    told: BTreeMap<(String, Addr), Told>,
    down: BTreeSet<(String, Addr)>,
    /// Per sentinel and group: every replication id that a master showed, or a replica linked to one.
    histories: BTreeMap<(String, MasterName), BTreeSet<String>>,
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(':')).unwrap_or("")
}

impl Eligible {
    fn info(&mut self, sentinel: &str, node: &Addr, group: &MasterName, at: Time, text: &str) {
        let told = Told {
            at,
            priority: field(text, "slave_priority").parse().unwrap_or(100),
            replid: field(text, "master_replid").to_owned(),
            replid2: field(text, "master_replid2").to_owned(),
            master: field(text, "role") == "master",
        };
        if told.master {
            let histories = self.histories.entry((sentinel.to_owned(), group.clone())).or_default();
            histories.insert(told.replid.clone());
            histories.insert(told.replid2.clone());
        } else if field(text, "master_link_status") == "up" {
            let port = field(text, "master_port").parse().unwrap_or(0);
            let followed = (sentinel.to_owned(), Addr::new(field(text, "master_host"), port));
            if self.told.get(&followed).is_some_and(|told| told.master) {
                let histories = self.histories.entry((sentinel.to_owned(), group.clone())).or_default();
                histories.insert(told.replid.clone());
            }
        }
        self.told.insert((sentinel.to_owned(), node.clone()), told);
    }

    fn event(&mut self, sentinel: &str, event: &Event) {
        match (event.kind, &event.subject) {
            (Kind::Sdown, Subject::Replica { addr, .. }) => {
                self.down.insert((sentinel.to_owned(), addr.clone()));
            }
            (Kind::SdownEnd, Subject::Replica { addr, .. }) => {
                self.down.remove(&(sentinel.to_owned(), addr.clone()));
            }
            // Entries are made anew.
            (Kind::SwitchMaster | Kind::ResetMaster | Kind::Unmonitor, _) => {
                self.down.retain(|(who, _)| who != sentinel);
            }
            _ => {}
        }
    }

    fn promotes(&self, sentinel: &str, node: &Addr, group: &MasterName, at: Time) -> Result<(), String> {
        let bad = |why: &str| Err(format!("S5: {sentinel} promotes {node}, {why}"));
        let key = (sentinel.to_owned(), node.clone());
        if self.down.contains(&key) {
            return bad("which it sees down");
        }
        let Some(told) = self.told.get(&key) else { return bad("of which it has no INFO") };
        if told.priority == 0 {
            return bad("whose priority is 0");
        }
        if at.since(told.at) > LATELY {
            return bad("whose INFO is old");
        }
        let histories = self.histories.get(&(sentinel.to_owned(), group.clone()));
        let ours = |id: &str| histories.is_none_or(|known| known.contains(id));
        if !told.master && !ours(&told.replid) && !ours(&told.replid2) {
            return bad("whose data are of a history that no master here had");
        }
        Ok(())
    }
}

impl Oracle for Eligible {
    fn rule(&self) -> &'static str {
        "S5"
    }

    fn holds_with_stock(&self) -> bool {
        true
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Started { sentinel, .. } => {
                self.told.retain(|(who, _), _| who != sentinel);
                self.down.retain(|(who, _)| who != sentinel);
                self.histories.retain(|(who, _), _| who != sentinel);
            }
            Sight::Info { sentinel, node, group, at, text } => self.info(sentinel, node, group, at, text),
            Sight::Event { sentinel, event, .. } => self.event(sentinel, event),
            Sight::Promotes { sentinel, node, group, at } => return self.promotes(sentinel, node, group, at),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vigia::engine::event::MasterRef;

    use super::*;

    const S1: &str = "s1";

    fn addr(host: &str) -> Addr {
        Addr::new(host, 6379)
    }

    fn told(oracle: &mut Eligible, host: &str, text: &str) {
        let info =
            Sight::Info { sentinel: S1, node: &addr(host), group: &MasterName::from("m"), at: Time(0), text };
        assert!(oracle.see(&info).is_ok());
    }

    fn promotes(oracle: &mut Eligible, at: u64) -> Result<(), String> {
        let (node, group) = (&addr("10.0.0.2"), &MasterName::from("m"));
        oracle.see(&Sight::Promotes { sentinel: S1, node, group, at: Time(at) })
    }

    #[test]
    fn every_ineligible_replica_is_caught() {
        let mut oracle = Eligible::default();
        assert!(promotes(&mut oracle, 0).is_err(), "no INFO");
        let good = "role:slave\r\nslave_priority:100\r\nmaster_replid:a\r\nmaster_replid2:0\r\n";
        told(&mut oracle, "10.0.0.1", "role:master\r\nmaster_replid:a\r\nmaster_replid2:b\r\n");
        told(&mut oracle, "10.0.0.2", good);
        assert!(promotes(&mut oracle, 1).is_ok());
        assert!(promotes(&mut oracle, 31_000_000).is_err(), "old");
        told(&mut oracle, "10.0.0.2", &good.replace("100", "0"));
        assert!(promotes(&mut oracle, 1).is_err(), "priority");
        told(&mut oracle, "10.0.0.2", &good.replace("replid:a", "replid:b"));
        assert!(promotes(&mut oracle, 1).is_ok(), "the history before");
        told(&mut oracle, "10.0.0.2", &good.replace("replid:a", "replid:c"));
        assert!(promotes(&mut oracle, 1).is_err(), "lineage");
        let linked =
            |host: &str| format!("master_host:{host}\r\nmaster_port:6379\r\nmaster_link_status:up\r\n");
        let elsewhere = linked("10.0.9.9") + &good.replace("replid:a", "replid:d");
        told(&mut oracle, "10.0.0.2", &elsewhere);
        assert!(promotes(&mut oracle, 1).is_err(), "linked to a master of another group");
        told(&mut oracle, "10.0.0.2", &(linked("10.0.0.1") + &good.replace("replid:a", "replid:e")));
        assert!(promotes(&mut oracle, 1).is_ok(), "linked to ours, whose new history nobody read");
        told(&mut oracle, "10.0.0.2", good);
        let master = MasterRef { name: MasterName::from("m"), addr: addr("10.0.0.1") };
        let subject = Subject::Replica { name: "r".into(), addr: addr("10.0.0.2"), master };
        let event = Event { kind: Kind::Sdown, subject, detail: String::new() };
        assert!(
            oracle.see(&Sight::Event { sentinel: S1, at: Time(1), local: Time(1), event: &event }).is_ok()
        );
        assert!(promotes(&mut oracle, 2).is_err(), "down");
    }
}
