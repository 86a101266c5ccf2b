//! What must never be seen, one rule per file; each is proven to bite by a test of its own.

pub mod newer_wins;
pub mod one_config;
pub mod one_leader;
pub mod one_promotion;
pub mod one_vote;
pub mod rising_epochs;
pub mod visible_is_durable;

use vigia::engine::{Addr, MasterName, MasterView, State};

/// Something that can be seen from outside a sentinel (or of its disk).
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// A process starts (again).
    Started {
        /// Which.
        sentinel: &'a str,
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
        /// Its text.
        payload: &'a str,
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
        group: &'a str,
        /// No fault hides anything from anybody.
        whole: bool,
    },
    /// A master became a replica.
    Demoted {
        /// In which group.
        group: &'a str,
        /// Where it listens.
        node: &'a Addr,
        /// Whom it follows.
        to: &'a Addr,
    },
    /// A fault, a repair, or a command of the operator: a reason for another promotion.
    Cause,
}

/// One rule.
pub trait Oracle: std::fmt::Debug {
    /// Looks at one thing.
    ///
    /// # Errors
    /// The violation, in words.
    fn see(&mut self, sight: &Sight) -> Result<(), String>;
}

/// All rules.
#[derive(Debug, Default)]
pub struct Oracles(Vec<Box<dyn Oracle>>);

impl Oracles {
    /// The rules for a pure group, or for one with stock peers (which void S2 and S8).
    pub fn new(mixed: bool) -> Self {
        let mut rules: Vec<Box<dyn Oracle>> = vec![
            Box::<one_vote::OneVote>::default(),
            Box::<rising_epochs::RisingEpochs>::default(),
            Box::<visible_is_durable::VisibleIsDurable>::default(),
        ];
        if !mixed {
            rules.push(Box::<one_leader::OneLeader>::default());
            rules.push(Box::<newer_wins::NewerWins>::default());
            rules.push(Box::<one_config::OneConfig>::default());
            rules.push(Box::<one_promotion::OnePromotion>::default());
        }
        Self(rules)
    }

    /// Shows one thing to every rule.
    ///
    /// # Errors
    /// The first violation, in words.
    pub fn see(&mut self, sight: &Sight) -> Result<(), String> {
        self.0.iter_mut().try_for_each(|rule| rule.see(sight))
    }
}

/// A hello, taken apart.
#[derive(Clone, Debug)]
pub struct Hello {
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
    pub fn hello(current: u64, config: u64, host: &str) -> String {
        format!("10.0.1.1,26379,{ID},{current},m,{host},6379,{config}")
    }
}
