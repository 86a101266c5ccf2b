//! A running group is replaced process by process, each on the file that the one before it left: no failover
//! comes of it, nothing is forgotten, and the mixes in between are as good as any.
//!
//! Between releases of Vigía: `VIGIA_OLD_BINARY` names another build (`compat/peer/upgrade` makes one of an
//! older revision); without it, the binary of this package follows itself.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::faults::{Fault, heal};
use crate::rng::Rng;
use crate::support::group::{Belief, Group, NAME, Shape};
use crate::support::sentinel::Program::{self, Older, Stock, Vigia};

/// What happens between two replacements.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pause {
    /// The next one ends as soon as the one before answers.
    None,
    /// All have told each other hello again, twice.
    Gossip,
    /// The master is killed, and comes back as a replica.
    Failover,
}

#[test]
fn stock_by_ours_and_back_in_a_hurry() {
    roll(&[Stock, Vigia, Stock, Vigia], Pause::None);
}

#[test]
fn stock_by_ours_and_back_with_time_to_gossip() {
    roll(&[Stock, Vigia, Stock], Pause::Gossip);
}

#[test]
fn stock_by_ours_with_a_failover_in_each_mix() {
    roll(&[Stock, Vigia], Pause::Failover);
}

#[test]
#[ignore = "long; compat/run peer runs it"]
fn ours_by_stock_with_a_failover_in_each_mix() {
    roll(&[Vigia, Stock], Pause::Failover);
}

#[test]
fn an_older_release_by_this_one_and_back_in_a_hurry() {
    roll(&[Older, Vigia, Older], Pause::None);
}

#[test]
#[ignore = "long; compat/run peer runs it"]
fn an_older_release_by_this_one_and_back_with_time_to_gossip() {
    roll(&[Older, Vigia, Older], Pause::Gossip);
}

#[test]
#[ignore = "long; compat/run peer runs it"]
fn an_older_release_by_this_one_and_back_with_a_failover_in_each_mix() {
    roll(&[Older, Vigia, Older], Pause::Failover);
}

/// Starts three of the first program, and replaces them one by one by each of the next.
fn roll(programs: &[Program], pause: Pause) {
    // The original's times even without it: a slow machine must not look like an outage here.
    let mut group = Group::start(&Shape { down_after: 2_000, ..Shape::of(&[programs[0]; 3]) });
    // Epochs above zero, votes, and a master that is not the one that was configured.
    let first = group.converge();
    Fault::MasterKilled.strike(&mut group, &first, &mut Rng::new(0));
    heal(&mut group);
    let outages = outages(&group);
    for next in &programs[1..] {
        for i in 0..3 {
            let before = if pause == Pause::None { group.converge() } else { ready(&mut group) };
            replace(&mut group, i, *next);
            between(&mut group, pause, (&before, &outages), i);
        }
    }
    ready(&mut group);
}

/// Replaces one sentinel; it must be the one that it was.
fn replace(group: &mut Group, i: usize, next: Program) {
    let known: Vec<Memory> = group.sentinels.iter().map(|s| Memory::read(&s.config())).collect();
    let id = group.sentinels[i].ask(&["SENTINEL", "MYID"]).expect("an answer");
    let entry = entry(group, i);

    group.sentinels[i].replace_by(next);

    assert_eq!(group.sentinels[i].ask(&["SENTINEL", "MYID"]).expect("an answer"), id, "the same id");
    assert_eq!(self::entry(group, i), entry, "the entry that it shows at once");
    for (sentinel, known) in group.sentinels.iter().zip(&known) {
        assert_eq!(Memory::read(&sentinel.config()), *known, "the file of {:?}", sentinel.program);
    }
}

/// Nobody believes anything else than before, nor saw an outage.
fn between(group: &mut Group, pause: Pause, (before, outages_before): (&Belief, &[usize]), replaced: usize) {
    match pause {
        Pause::None => {}
        Pause::Gossip => {
            for _ in 0..2 {
                let start = Instant::now();
                group.wait("everybody has heard everybody", |group| {
                    (0..3).all(|i| hello_ages(group, i).iter().all(|age| *age < start.elapsed()))
                });
            }
        }
        Pause::Failover => {
            // The mix as it is now, with another fault each time.
            let fault = [Fault::MasterKilled, Fault::CandidateKilled, Fault::MasterHung][replaced];
            let before = ready(group);
            fault.strike(group, &before, &mut Rng::new(0));
            heal(group);
            return;
        }
    }
    for i in 0..3 {
        let now = group.belief(i);
        assert_eq!(now.as_ref(), Some(before), "sentinel {i} after the replacement of {replaced}");
    }
    assert_eq!(outages(group), outages_before, "outages of the master after the replacement of {replaced}");
}

/// How often each sentinel told of an outage of the master.
fn outages(group: &Group) -> Vec<usize> {
    let told = |i: usize, event: &str| {
        let master = format!("master {NAME} ");
        group.payloads(i, event).iter().filter(|line| line.starts_with(&master)).count()
    };
    let of = |i: usize| ["+sdown", "+odown", "+try-failover"].iter().map(|event| told(i, event)).sum();
    (0..3).map(of).collect()
}

/// What all agree on, as soon as everybody is known to everybody.
fn ready(group: &mut Group) -> Belief {
    group.wait("the group is complete", Group::is_complete);
    group.converge()
}

/// The fields of SENTINEL MASTER that a restart must not change.
fn entry(group: &Group, i: usize) -> Vec<Option<String>> {
    let entry = group.ask(i, "MASTER").expect("an answer");
    let kept = [
        "name",
        "ip",
        "port",
        "config-epoch",
        "num-slaves",
        "num-other-sentinels",
        "quorum",
        "down-after-milliseconds",
        "failover-timeout",
        "parallel-syncs",
    ];
    kept.iter().map(|field| entry.field(field)).collect()
}

/// How long ago sentinel `i` heard the hello of each other.
fn hello_ages(group: &Group, i: usize) -> Vec<Duration> {
    let entries = group.ask(i, "SENTINELS").expect("an answer");
    let age = |field: Option<String>| field.and_then(|text| text.parse().ok()).map(Duration::from_millis);
    entries.items().iter().filter_map(|entry| age(entry.field("last-hello-message"))).collect()
}

/// What a file remembers: ids, epochs, addresses; in no order.
#[derive(Debug, Eq, PartialEq)]
struct Memory(BTreeSet<String>);

impl Memory {
    fn read(config: &str) -> Memory {
        let kinds = ["myid", "current-epoch", "monitor", "config-epoch", "leader-epoch", "known-"];
        let lines = config.lines().filter_map(|line| line.strip_prefix("sentinel "));
        let kept = lines.filter(|line| kinds.iter().any(|kind| line.starts_with(kind)));
        Memory(kept.map(str::to_owned).collect())
    }
}
