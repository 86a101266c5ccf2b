//! What may happen to a group of both kinds: each fault ends with another master that all living sentinels name.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::rng::Rng;
use crate::support::events::Event;
use crate::support::group::{Belief, Group, NAME};
use crate::support::sentinel::{Program, Sentinel};

/// Something that ends in a failover.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// SIGKILL; the master is back while the last sentinels learn of the new one.
    MasterKilled,
    /// SIGSTOP; it wakes up as a master.
    MasterHung,
    /// The master and one of its replicas are gone at once.
    ReplicaKilledToo,
    /// The quorum is the number of sentinels.
    AllMustAgree,
    /// Whoever is elected first is killed at once.
    LeaderKilled,
    /// Whoever stands first is killed at once.
    CandidateKilled,
    /// Whoever is elected first hangs until the others have gone on.
    LeaderHung,
    /// A sentinel other than the one that stands first hangs until the others have gone on.
    VoterHung,
    /// One sentinel is down all the while, and must adopt what the others decided.
    SentinelAbsent,
    /// SENTINEL RESET at one sentinel, and then the master is killed.
    ResetBefore,
    /// The Vigías hang until a redis-sentinel stands for election: with their votes it may win.
    StockFirst,
    /// SENTINEL FAILOVER at a redis-sentinel.
    ManualAtStock,
    /// SENTINEL FAILOVER at a Vigía.
    ManualAtVigia,
    /// SENTINEL FAILOVER at one of each kind at once: DESIGN section 4, S8, says what is not guaranteed.
    ManualAtBoth,
}

impl Fault {
    /// All of them.
    pub(super) const ALL: [Fault; 14] = [
        Fault::MasterKilled,
        Fault::LeaderKilled,
        Fault::ManualAtVigia,
        Fault::VoterHung,
        Fault::SentinelAbsent,
        Fault::ResetBefore,
        Fault::MasterHung,
        Fault::AllMustAgree,
        Fault::ManualAtStock,
        Fault::CandidateKilled,
        Fault::LeaderHung,
        Fault::ReplicaKilledToo,
        Fault::StockFirst,
        Fault::ManualAtBoth,
    ];

    /// Votes without which nobody can have been elected, where no sentinel is killed that may have voted.
    pub(super) fn votes_needed(self, sentinels: usize) -> Option<usize> {
        match self {
            Fault::MasterKilled | Fault::MasterHung => Some(sentinels / 2 + 1),
            Fault::AllMustAgree => Some(sentinels),
            Fault::ReplicaKilledToo
            | Fault::LeaderKilled
            | Fault::CandidateKilled
            | Fault::LeaderHung
            | Fault::VoterHung
            | Fault::SentinelAbsent
            | Fault::ResetBefore
            | Fault::StockFirst
            | Fault::ManualAtStock
            | Fault::ManualAtVigia
            | Fault::ManualAtBoth => None,
        }
    }

    /// Strikes a healthy group whose master is `before.address`, and waits until all living sentinels name another.
    pub(super) fn strike(self, group: &mut Group, before: &Belief, rng: &mut Rng) {
        let start = Instant::now();
        match self {
            Fault::MasterKilled => kill_master(group, before),
            Fault::MasterHung => group.node_at(&before.address).stop(),
            Fault::ReplicaKilledToo => {
                let replicas: Vec<usize> =
                    (0..group.nodes.len()).filter(|n| group.nodes[*n].address() != before.address).collect();
                group.nodes[*rng.pick(&replicas)].kill();
                kill_master(group, before);
            }
            Fault::AllMustAgree => {
                set_quorum(group, group.sentinels.len());
                kill_master(group, before);
            }
            Fault::LeaderKilled => {
                kill_master(group, before);
                let leader = first_event(group, "+elected-leader", start);
                group.sentinels[leader].kill();
            }
            Fault::CandidateKilled => {
                kill_master(group, before);
                let candidate = first_event(group, "+try-failover", start);
                group.sentinels[candidate].kill();
            }
            Fault::LeaderHung => {
                kill_master(group, before);
                let leader = first_event(group, "+elected-leader", start);
                group.sentinels[leader].stop();
            }
            Fault::VoterHung => {
                kill_master(group, before);
                let candidate = first_event(group, "+try-failover", start);
                let others: Vec<usize> = (0..group.sentinels.len()).filter(|i| *i != candidate).collect();
                group.sentinels[*rng.pick(&others)].stop();
            }
            Fault::SentinelAbsent => {
                let absent = rng.below(group.sentinels.len() as u64) as usize;
                group.sentinels[absent].kill();
                kill_master(group, before);
            }
            Fault::ResetBefore => {
                let asked = rng.below(group.sentinels.len() as u64) as usize;
                group.sentinels[asked].ask(&["SENTINEL", "RESET", "*"]).expect("an answer");
                // Without replicas nobody can promote: stock learns of them again by the next INFO.
                group.wait("replicas are known again", |group| {
                    group.ask(asked, "REPLICAS").is_some_and(|replicas| !replicas.items().is_empty())
                });
                kill_master(group, before);
            }
            Fault::StockFirst => {
                // So that the originals need no Vigía to see ODOWN.
                set_quorum(group, 1);
                each(group, Program::Vigia, Sentinel::stop);
                kill_master(group, before);
                first_event(group, "+try-failover", start);
                each(group, Program::Vigia, Sentinel::resume);
            }
            Fault::ManualAtStock => order_failover(group, &[Program::Stock]),
            Fault::ManualAtVigia => order_failover(group, &[Program::Vigia]),
            Fault::ManualAtBoth => order_failover(group, &[Program::Stock, Program::Vigia]),
        }
        let manual = matches!(self, Fault::ManualAtStock | Fault::ManualAtVigia | Fault::ManualAtBoth);
        group.wait(&format!("{self:?}: all living sentinels name another master"), |group| {
            group.agreed().is_some_and(|now| {
                // Of two manual failovers the second may lead back.
                now.address != before.address || (self == Fault::ManualAtBoth && now.epoch > before.epoch)
            })
        });
        if manual {
            group.wait("the manual failover is over", |group| {
                (0..group.sentinels.len()).all(|i| !group.flags(i).contains("failover_in_progress"))
            });
        }
        if matches!(self, Fault::AllMustAgree | Fault::StockFirst) {
            set_quorum(group, group.sentinels.len() / 2 + 1);
        }
    }
}

/// Whatever was killed or stopped runs again.
pub(super) fn heal(group: &mut Group) {
    for i in 0..group.sentinels.len() {
        group.sentinels[i].resume();
        if !group.sentinels[i].is_running() {
            group.sentinels[i].restart();
        }
    }
    for node in &mut group.nodes {
        node.resume();
        if !node.is_running() {
            node.restart();
        }
    }
}

/// How an election went: who won it, and who voted for the winner.
pub(super) struct Won {
    /// Index of the leader.
    pub(super) leader: usize,
    /// Indexes of the others that published a vote for it in that epoch.
    pub(super) voters: Vec<usize>,
}

/// The last leader elected after `start`, by the events of all.
pub(super) fn last_election(group: &Group, start: Instant) -> Option<Won> {
    let recent = |i: usize| group.events(i).into_iter().filter(move |event| event.at >= start);
    let elected = (0..group.sentinels.len())
        .flat_map(recent)
        .filter(|event| event.channel == "+elected-leader")
        .max_by_key(|event| event.at)?;
    let leader = elected.sentinel;
    let id = group.sentinels[leader].ask(&["SENTINEL", "MYID"]).ok()?.text();
    let own = |event: &Event| event.channel == "+vote-for-leader" && event.payload.starts_with(&id);
    let vote = recent(leader).rfind(|event| own(event) && event.at <= elected.at)?.payload;
    let voted =
        |i: &usize| recent(*i).any(|event| event.channel == "+vote-for-leader" && event.payload == vote);
    let voters = (0..group.sentinels.len()).filter(|i| *i != leader).filter(voted).collect();
    Some(Won { leader, voters })
}

/// Nodes promoted since `start`, by the events of the leaders.
pub(super) fn promotions(group: &Group, start: Instant) -> usize {
    let events = (0..group.sentinels.len()).flat_map(|i| group.events(i));
    let promoted = events.filter(|event| event.at >= start && event.channel == "+promoted-slave");
    promoted.map(|event| (event.sentinel, event.payload)).collect::<BTreeSet<_>>().len()
}

/// Does something to all sentinels of one kind.
pub(super) fn each(group: &mut Group, kind: Program, act: impl Fn(&mut Sentinel)) {
    group.sentinels.iter_mut().filter(|sentinel| sentinel.program == kind).for_each(act);
}

fn kill_master(group: &mut Group, before: &Belief) {
    group.node_at(&before.address).kill();
}

/// Waits for the first `channel` after `start`; who published it.
fn first_event(group: &mut Group, channel: &str, start: Instant) -> usize {
    let mut first = None;
    group.wait(&format!("somebody publishes {channel}"), |group| {
        let events = (0..group.sentinels.len()).flat_map(|i| group.events(i));
        let events = events.filter(|event| event.channel == channel && event.at >= start);
        first = events.min_by_key(|event| event.at).map(|event| event.sentinel);
        first.is_some()
    });
    first.expect("just awaited")
}

fn set_quorum(group: &Group, quorum: usize) {
    for sentinel in &group.sentinels {
        let reply = sentinel.ask(&["SENTINEL", "SET", NAME, "quorum", &quorum.to_string()]);
        assert_eq!(reply.expect("an answer").text(), "OK");
    }
}

/// SENTINEL FAILOVER at the first sentinel of each kind; again while there is a reason not to (a replica whose
/// link is just being made anew).
fn order_failover(group: &mut Group, kinds: &[Program]) {
    let asked = kinds.iter().filter_map(|kind| group.sentinels.iter().position(|s| s.program == *kind));
    let asked: Vec<usize> = asked.collect();
    let start = Instant::now();
    loop {
        let replies: Vec<String> =
            asked.iter().filter_map(|i| group.ask(*i, "FAILOVER")).map(|reply| reply.text()).collect();
        if replies.iter().any(|reply| reply == "OK") {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nobody accepts a manual failover: {replies:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
