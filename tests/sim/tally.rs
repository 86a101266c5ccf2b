//! What episodes held.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::AddAssign;

use vigia::engine::event::{Kind, Subject};
use vigia::engine::{MasterName, Time};

use crate::world::{Pid, World};

/// Sums over episodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Worlds.
    pub(crate) worlds: u64,
    /// Groups in them: masters with their sentinels.
    pub(crate) groups: u64,
    /// Groups of a world with a fault whose master was ODOWN: these count as episodes.
    pub(crate) counted: u64,
    /// Of those, with stock peers.
    pub(crate) mixed: u64,
    /// Faults that struck.
    pub(crate) faults: u64,
    /// Elections that somebody stood for.
    pub(crate) candidacies: u64,
    /// Elections won.
    pub(crate) elections: u64,
    /// Epochs of a master in which the votes went to more than one candidate.
    pub(crate) split_votes: u64,
    /// Saves that failed, hung, or were lost in a crash.
    pub(crate) lost_saves: u64,
    /// Elections won while the failover of another leader was unfinished.
    pub(crate) takeovers: u64,
    /// Two addresses under one epoch that were settled.
    pub(crate) ties: u64,
    /// Nodes promoted.
    pub(crate) promotions: u64,
    /// Worlds that took longer than L1's bound among Vigía, as stock peers and forgetful orders may make them.
    pub(crate) patient: u64,
    /// Virtual time, in milliseconds.
    pub(crate) virtual_ms: u64,
    /// Virtual time from the last repair until everything was well, in milliseconds: the sum.
    pub(crate) repair_ms: u64,
    /// The same: the longest.
    pub(crate) longest_repair_ms: u64,
}

impl Tally {
    /// Counts a world that has come to its end.
    pub(crate) fn of(world: &World, faults: u64, repair_ms: u64) -> Self {
        let mut tally = Self {
            worlds: 1,
            groups: world.masters.len() as u64,
            faults,
            lost_saves: world.sentinels().iter().map(|pid| world.sentinel(*pid).disk.lost).sum(),
            promotions: world.promotions.len() as u64,
            virtual_ms: world.now.since(Time(0)).as_ms(),
            patient: u64::from(repair_ms > 3_200),
            repair_ms,
            longest_repair_ms: repair_ms,
            ..Self::default()
        };
        tally.count_events(world);
        tally
    }

    fn count_events(&mut self, world: &World) {
        let mut down: BTreeSet<&MasterName> = BTreeSet::new();
        let mut votes: BTreeMap<(&MasterName, &str), BTreeSet<&str>> = BTreeMap::new();
        let mut led: Vec<(Time, &MasterName, Pid, bool)> = Vec::new();
        for pid in world.sentinels() {
            for (at, event) in &world.sentinel(pid).events {
                let Subject::Master(master) = &event.subject else { continue };
                match event.kind {
                    Kind::Odown => {
                        down.insert(&master.name);
                    }
                    Kind::TryFailover => self.candidacies += 1,
                    Kind::VoteForLeader => {
                        if let Some((leader, epoch)) = event.detail.trim().split_once(' ') {
                            votes.entry((&master.name, epoch)).or_default().insert(leader);
                        }
                    }
                    Kind::ElectedLeader => led.push((*at, &master.name, pid, true)),
                    Kind::SwitchMaster
                    | Kind::AbortNoGoodSlave
                    | Kind::AbortSlaveTimeout
                    | Kind::StoodDown => led.push((*at, &master.name, pid, false)),
                    Kind::ConfigConflict => self.ties += 1,
                    _ => {}
                }
            }
        }
        led.sort();
        let mut unfinished: BTreeMap<&MasterName, Pid> = BTreeMap::new();
        for (_, master, pid, elected) in led {
            if elected {
                self.elections += 1;
                self.takeovers += u64::from(unfinished.insert(master, pid).is_some_and(|other| other != pid));
            } else {
                unfinished.remove(master);
            }
        }
        self.split_votes = votes.values().filter(|leaders| leaders.len() > 1).count() as u64;
        self.counted = down.len() as u64;
        let stock = world.options.stock > 0;
        self.mixed = down.iter().filter(|name| stock && &*name.0 == crate::world::MASTER).count() as u64;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.groups += other.groups;
        self.counted += other.counted;
        self.mixed += other.mixed;
        self.faults += other.faults;
        self.candidacies += other.candidacies;
        self.elections += other.elections;
        self.split_votes += other.split_votes;
        self.lost_saves += other.lost_saves;
        self.takeovers += other.takeovers;
        self.ties += other.ties;
        self.promotions += other.promotions;
        self.patient += other.patient;
        self.virtual_ms += other.virtual_ms;
        self.repair_ms += other.repair_ms;
        self.longest_repair_ms = self.longest_repair_ms.max(other.longest_repair_ms);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worlds = self.worlds.max(1);
        let mut line = |what: &str, value: u64| writeln!(f, "{what:<44} {value:>12}");
        line("simulated worlds that ended well", self.worlds)?;
        line("groups in them", self.groups)?;
        line("group-episodes (a fault and an ODOWN)", self.counted)?;
        line("  of them with stock peers", self.mixed)?;
        line("faults", self.faults)?;
        line("candidacies", self.candidacies)?;
        line("elections won", self.elections)?;
        line("split votes", self.split_votes)?;
        line("lost saves", self.lost_saves)?;
        line("takeovers", self.takeovers)?;
        line("ties settled", self.ties)?;
        line("promotions", self.promotions)?;
        line("worlds well again after more than 3.2 s", self.patient)?;
        line("virtual ms per world", self.virtual_ms / worlds)?;
        line("ms until all was well again: mean", self.repair_ms / worlds)?;
        line("ms until all was well again: longest", self.longest_repair_ms)
    }
}
