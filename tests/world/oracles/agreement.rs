//! S4: an automatic failover needs the leader's own SDOWN, and that a quorum saw the master down lately.
//! Source: DESIGN, section 4.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::event::{Kind, Subject};
use vigia::engine::{MasterName, Span, State, Time};

use super::{Oracle, Sight};

/// How old an answer may be when it counts, and for how long it may have been under way: five seconds
/// of freshness, and the longest that the network of this world keeps something back.
const LATELY: Span = Span::secs(15);

/// What each sentinel sees.
#[derive(Debug, Default)]
pub struct Agreement {
    /// Since when a sentinel sees the master up again; `None` while it is down.
    down: BTreeMap<(MasterName, String), Option<Time>>,
    quorum: BTreeMap<(MasterName, String), usize>,
    /// Failovers that an operator asked for.
    ordered: BTreeSet<(MasterName, String)>,
}

impl Agreement {
    fn started(&mut self, sentinel: &str, at: Time) {
        // A new process sees nothing down yet, but what its last life answered may still count.
        for (_, until) in self.down.iter_mut().filter(|((_, who), _)| who == sentinel) {
            until.get_or_insert(at);
        }
        self.ordered.retain(|(_, who)| who != sentinel);
    }

    fn saved(&mut self, sentinel: &str, state: &State) {
        for master in &state.masters {
            let quorum = master.settings.quorum as usize;
            self.quorum.insert((master.name.clone(), sentinel.to_owned()), quorum);
        }
    }

    fn elected(&mut self, sentinel: &str, master: &MasterName, at: Time) -> Result<(), String> {
        let key = (master.clone(), sentinel.to_owned());
        if self.ordered.remove(&key) {
            return Ok(());
        }
        if self.down.get(&key) != Some(&None) {
            return Err(format!("S4: {sentinel} leads a failover of {master}, which it does not see down"));
        }
        let lately = |until: &Option<Time>| until.is_none_or(|until| at.since(until) <= LATELY);
        let seen = self.down.iter().filter(|((name, _), until)| name == master && lately(until));
        let (seen, quorum) = (seen.count(), self.quorum.get(&key).copied().unwrap_or(1));
        if seen >= quorum {
            return Ok(());
        }
        Err(format!(
            "S4: {sentinel} leads a failover of {master}; {seen} saw it down, the quorum is {quorum}"
        ))
    }
}

impl Oracle for Agreement {
    fn rule(&self) -> &'static str {
        "S4"
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Started { sentinel, at, .. } => self.started(sentinel, at),
            Sight::Saved { sentinel, state } => self.saved(sentinel, state),
            Sight::Ordered { sentinel, master } => {
                self.ordered.insert((master.clone(), sentinel.to_owned()));
            }
            Sight::Event { sentinel, at, event, .. } => {
                let Subject::Master(master) = &event.subject else { return Ok(()) };
                let key = (master.name.clone(), sentinel.to_owned());
                match event.kind {
                    Kind::Sdown => {
                        self.down.insert(key, None);
                    }
                    Kind::SdownEnd | Kind::SwitchMaster | Kind::ResetMaster => {
                        if let Some(until) = self.down.get_mut(&key) {
                            until.get_or_insert(at);
                        }
                    }
                    _ => {}
                }
            }
            Sight::Elected { sentinel, at, master, .. } => return self.elected(sentinel, master, at),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vigia::engine::event::MasterRef;
    use vigia::engine::{Addr, Event};

    use super::super::samples;
    use super::*;

    fn event(kind: Kind) -> Event {
        let (name, addr) = (MasterName::from("m"), Addr::new("10.0.0.1", 6379));
        Event { kind, subject: Subject::Master(MasterRef { name, addr }), detail: String::new() }
    }

    #[test]
    fn a_failover_that_nobody_agreed_to_is_caught() {
        let mut oracle = Agreement::default();
        let (master, state) = (MasterName::from("m"), samples::state(1, 0, None, "10.0.0.1"));
        let leads = Sight::Elected { sentinel: "s1", at: Time(9), master: &master, epoch: 1, forced: false };
        assert!(oracle.see(&Sight::Saved { sentinel: "s1", state: &state }).is_ok());
        assert!(oracle.see(&leads).is_err(), "not down here");
        let (down, up) = (event(Kind::Sdown), event(Kind::SdownEnd));
        assert!(
            oracle.see(&Sight::Event { sentinel: "s1", at: Time(1), local: Time(1), event: &down }).is_ok()
        );
        assert!(oracle.see(&leads).is_err(), "alone");
        assert!(
            oracle.see(&Sight::Event { sentinel: "s2", at: Time(2), local: Time(2), event: &down }).is_ok()
        );
        assert!(oracle.see(&leads).is_ok());
        assert!(
            oracle.see(&Sight::Event { sentinel: "s2", at: Time(3), local: Time(3), event: &up }).is_ok()
        );
        assert!(oracle.see(&leads).is_ok(), "it was down a moment ago");
        let late = Time(16_000_000);
        let leads = Sight::Elected { sentinel: "s1", at: late, master: &master, epoch: 1, forced: false };
        assert!(oracle.see(&leads).is_err(), "that was long ago");
        assert!(oracle.see(&Sight::Ordered { sentinel: "s1", master: &master }).is_ok());
        assert!(oracle.see(&leads).is_ok(), "by order of an operator");
    }
}
