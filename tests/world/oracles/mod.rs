//! What must never be seen, one rule per file; each is proven to bite by a test of its own.

pub mod agreement;
pub mod converged;
pub mod eligible;
pub mod newer_wins;
pub mod no_stuck_state;
pub mod one_config;
pub mod one_leader;
pub mod one_promotion;
pub mod one_vote;
pub mod progress;
pub mod retired_follow;
pub mod rising_epochs;
pub mod visible_is_durable;
pub mod voter_set;

use std::collections::BTreeSet;

use vigia::engine::{Addr, Event, MasterName, MasterView, RunId, State, Time, Wake};

/// Something that can be seen from outside a sentinel (or of its disk).
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// A process starts (again).
    Started {
        /// Which.
        sentinel: &'a str,
        /// When.
        at: Time,
        /// The same on its own clock.
        local: Time,
    },
    /// A state is on disk.
    Saved {
        /// Whose.
        sentinel: &'a str,
        /// What a restart would find.
        state: &'a State,
    },
    /// A vote was shown: an answer to a candidate, or the event.
    Vote {
        /// Whose.
        sentinel: &'a str,
        /// For which master.
        master: &'a MasterName,
        /// In which epoch.
        epoch: u64,
        /// For whom.
        leader: &'a str,
    },
    /// `+elected-leader`.
    Elected {
        /// Who.
        sentinel: &'a str,
        /// When.
        at: Time,
        /// For which master.
        master: &'a MasterName,
        /// In which epoch.
        epoch: u64,
        /// Without a majority (S8's exemption).
        forced: bool,
    },
    /// A hello was sent.
    Hello {
        /// By whom.
        sentinel: &'a str,
        /// What it says.
        hello: &'a Hello,
    },
    /// A stock sentinel said hello; it has saved what it says.
    StockHello {
        /// What it says.
        hello: &'a Hello,
    },
    /// A vote was asked for.
    Campaign {
        /// By whom.
        sentinel: &'a str,
        /// In which epoch.
        epoch: u64,
        /// For itself.
        own: bool,
    },
    /// A view was published.
    View {
        /// By whom.
        sentinel: &'a str,
        /// What.
        view: &'a MasterView,
    },
    /// A replica became a master.
    Promoted {
        /// Which.
        node: &'a str,
        /// In which group.
        group: &'a MasterName,
        /// No fault hides anything from anybody.
        whole: bool,
    },
    /// A master became a replica.
    Demoted {
        /// In which group.
        group: &'a MasterName,
        /// Where it listens.
        node: &'a Addr,
        /// Whom it follows.
        to: &'a Addr,
    },
    /// An event was published.
    Event {
        /// By whom.
        sentinel: &'a str,
        /// When.
        at: Time,
        /// The same on its own clock.
        local: Time,
        /// What it says.
        event: &'a Event,
    },
    /// INFO of a data node reached a sentinel.
    Info {
        /// Which sentinel.
        sentinel: &'a str,
        /// The node that answered.
        node: &'a Addr,
        /// Its group.
        group: &'a MasterName,
        /// When.
        at: Time,
        /// The text.
        text: &'a str,
    },
    /// `SLAVEOF NO ONE` leaves a sentinel.
    Promotes {
        /// Which sentinel.
        sentinel: &'a str,
        /// To which node.
        node: &'a Addr,
        /// Of which group.
        group: &'a MasterName,
        /// When.
        at: Time,
    },
    /// `SENTINEL FAILOVER`: an operator wants another master.
    Ordered {
        /// At which sentinel.
        sentinel: &'a str,
        /// Of which master.
        master: &'a MasterName,
    },
    /// `SENTINEL RESET *`.
    Reset {
        /// At which sentinel.
        sentinel: &'a str,
    },
    /// `SENTINEL REMOVE` or `MONITOR`: the entry of a master begins anew.
    Anew {
        /// At which sentinel.
        sentinel: &'a str,
        /// Of which master.
        master: &'a MasterName,
    },
    /// `SENTINEL FORGET` of one other sentinel of a master, or `RESET … FORCE`, which forgets all of all.
    Forgotten {
        /// At which sentinel.
        sentinel: &'a str,
        /// Of which master; `None` after `RESET … FORCE`.
        master: Option<&'a MasterName>,
    },
    /// A stimulus was handled.
    Handled {
        /// By whom.
        sentinel: &'a str,
        /// When.
        at: Time,
        /// The same on its own clock.
        now: Time,
        /// The next deadline, and what for.
        wake: Option<(Time, Wake)>,
    },
    /// A fault, a repair, or a command of the operator: a reason for another promotion.
    Cause {
        /// When.
        at: Time,
    },
}

/// One rule.
pub trait Oracle: std::fmt::Debug {
    /// Its number in DESIGN section 4.
    fn rule(&self) -> &'static str;

    /// Whether it waits for the end of something that it has seen begin.
    fn waits(&self) -> bool {
        false
    }

    /// Whether it holds in a group with stock peers too.
    fn holds_with_stock(&self) -> bool {
        false
    }

    /// Looks at one thing.
    ///
    /// # Errors
    /// The violation, in words.
    fn see(&mut self, sight: &Sight) -> Result<(), String>;
}

/// All rules that watch every step; L1 and L2 are asked about a whole world instead.
#[derive(Debug, Default)]
pub struct Oracles {
    rules: Vec<Box<dyn Oracle>>,
    /// Masters that a stock sentinel watches too.
    mixed: BTreeSet<MasterName>,
}

impl Oracles {
    /// The rules for groups of which `mixed` have stock peers (which void some of them).
    pub fn new(mixed: BTreeSet<MasterName>) -> Self {
        Self {
            rules: vec![
                Box::<one_vote::OneVote>::default(),
                Box::<one_leader::OneLeader>::default(),
                Box::<rising_epochs::RisingEpochs>::default(),
                Box::<agreement::Agreement>::default(),
                Box::<eligible::Eligible>::default(),
                Box::<newer_wins::NewerWins>::default(),
                Box::<visible_is_durable::VisibleIsDurable>::default(),
                Box::<one_config::OneConfig>::default(),
                Box::<one_promotion::OnePromotion>::default(),
                Box::<voter_set::VoterSet>::default(),
                Box::<no_stuck_state::NoStuckState>::default(),
                Box::<progress::Progress>::default(),
            ],
            mixed,
        }
    }

    /// Takes a rule away, to see what the others notice.
    pub fn without(&mut self, rule: &str) {
        self.rules.retain(|oracle| oracle.rule() != rule);
    }

    /// Whether some rule waits for an end.
    pub fn wait(&self) -> bool {
        self.rules.iter().any(|rule| rule.waits())
    }

    /// Shows one thing to every rule.
    ///
    /// # Errors
    /// The first violation, in words.
    pub fn see(&mut self, sight: &Sight) -> Result<(), String> {
        let mixed = sight.group().is_some_and(|group| self.mixed.contains(group));
        let mut rules = self.rules.iter_mut().filter(|rule| !mixed || rule.holds_with_stock());
        rules.try_for_each(|rule| rule.see(sight))
    }
}

impl Sight<'_> {
    /// The group that it concerns, if it is one.
    fn group(&self) -> Option<&MasterName> {
        match self {
            Self::Vote { master, .. }
            | Self::Elected { master, .. }
            | Self::Ordered { master, .. }
            | Self::Anew { master, .. } => Some(master),
            Self::Forgotten { master, .. } => *master,
            Self::Promoted { group, .. } | Self::Demoted { group, .. } => Some(group),
            Self::Hello { hello, .. } => Some(&hello.master),
            Self::View { view, .. } => Some(&view.name),
            Self::Event { event, .. } => event.subject.master_name(),
            Self::Started { .. }
            | Self::Saved { .. }
            | Self::Campaign { .. }
            | Self::StockHello { .. }
            | Self::Info { .. }
            | Self::Promotes { .. }
            | Self::Reset { .. }
            | Self::Handled { .. }
            | Self::Cause { .. } => None,
        }
    }
}

/// A hello, taken apart.
#[derive(Clone, Debug)]
pub struct Hello {
    /// Who says it.
    pub sender: RunId,
    /// `current-epoch` of the sender.
    pub current_epoch: u64,
    /// The master.
    pub master: MasterName,
    /// Its address.
    pub addr: Addr,
    /// The version of the address.
    pub config_epoch: u64,
}

impl Hello {
    /// Reads a payload.
    ///
    /// # Errors
    /// If it has not exactly eight good fields (spec 06, section 1).
    pub fn read(payload: &str) -> Result<Self, String> {
        let fields: Vec<&str> = payload.split(',').collect();
        let [ip, port, id, current, master, host, master_port, config] = fields[..] else {
            return Err(format!("hello without exactly eight fields: {payload}"));
        };
        let bad = |what: &str| format!("hello with a bad {what}: {payload}");
        if ip.is_empty() || id.len() != 40 || port.parse::<u16>().is_err() {
            return Err(bad("sender"));
        }
        Ok(Self {
            sender: RunId::from(id),
            current_epoch: current.parse().map_err(|_| bad("current epoch"))?,
            master: MasterName::from(master),
            addr: Addr::new(host, master_port.parse().map_err(|_| bad("port"))?),
            config_epoch: config.parse().map_err(|_| bad("config epoch"))?,
        })
    }
}

#[cfg(test)]
pub mod samples {
    //! Things to show to oracles in their own tests.

    use vigia::engine::settings::{Globals, MasterSettings};
    use vigia::engine::{Addr, Epoch, MasterName, MasterState, MasterView, RunId, State, Status};

    /// 40 characters.
    pub const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// A state with one master.
    pub fn state(current: u64, config: u64, leader: Option<(u64, &str)>, host: &str) -> State {
        State {
            globals: Globals::new(RunId::from(ID)),
            current_epoch: Epoch(current),
            masters: vec![MasterState {
                name: MasterName::from("m"),
                addr: Addr::new(host, 6379),
                settings: MasterSettings::new(2),
                config_epoch: Epoch(config),
                leader_epoch: Epoch(leader.map_or(0, |(epoch, _)| epoch)),
                leader: leader.map(|(_, id)| RunId::from(id)),
                replicas: vec![],
                sentinels: vec![],
                voters: vec![],
            }],
        }
    }

    /// A view of the same master.
    pub fn view(config: u64, host: &str) -> MasterView {
        MasterView {
            name: MasterName::from("m"),
            addr: Addr::new(host, 6379),
            configured: Addr::new(host, 6379),
            status: Status::Ok,
            replicas: 0,
            sentinels: 1,
            config_epoch: Epoch(config),
        }
    }

    /// A hello about the same master.
    ///
    /// # Panics
    /// Never: it is well formed.
    pub fn hello(current: u64, config: u64, host: &str) -> super::Hello {
        let payload = format!("10.0.1.1,26379,{ID},{current},m,{host},6379,{config}");
        super::Hello::read(&payload).expect("eight good fields")
    }
}
