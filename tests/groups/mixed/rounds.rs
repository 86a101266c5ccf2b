//! Round after round of faults in groups of every mix. A seed decides which (not when: these are real processes).
//!
//! `VIGIA_ROUNDS` (default 1) rounds for each mix; `VIGIA_SEED` repeats a choice. `compat/run peer` runs many.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::faults::{Fault, heal, last_election, promotions};
use crate::rng::Rng;
use crate::support::group::{Group, NAME, Shape};
use crate::support::ports::random;
use crate::support::sentinel::Program::{self, Stock, Vigia};

/// A round in which the switch takes longer than this tells its elections.
const SLOW: Duration = Duration::from_secs(8);

#[test]
fn one_vigia_and_two_stock() {
    run(&[Vigia, Stock, Stock], 0);
}

#[test]
fn two_vigia_and_one_stock() {
    run(&[Stock, Vigia, Vigia], 1);
}

#[test]
fn one_vigia_and_four_stock() {
    run(&[Vigia, Stock, Stock, Stock, Stock], 2);
}

#[test]
fn two_vigia_and_three_stock() {
    run(&[Vigia, Vigia, Stock, Stock, Stock], 3);
}

#[test]
fn three_vigia_and_two_stock() {
    run(&[Stock, Stock, Vigia, Vigia, Vigia], 4);
}

#[test]
fn four_vigia_and_one_stock() {
    run(&[Stock, Vigia, Vigia, Vigia, Vigia], 5);
}

/// Without a seed or a number of rounds each mix has a fault of its own, so that a plain `cargo test` sees six.
fn run(mix: &[Program], place: usize) {
    let rounds = number("VIGIA_ROUNDS").unwrap_or(1) as usize;
    let seed = number("VIGIA_SEED").unwrap_or_else(random);
    let mut rng = Rng::new(seed ^ place as u64);
    let mut group = Group::start(&Shape { failover_timeout: 5_000, ..Shape::of(mix) });
    let ours = mix.iter().filter(|program| **program == Vigia).count();
    let mut tally = Tally { mix: format!("{ours} Vigía + {} stock", mix.len() - ours), ..Tally::default() };
    for round in 0..rounds {
        let fault = if rounds == 1 { Fault::ALL[place] } else { *rng.pick(&Fault::ALL) };
        one(&mut group, fault, &mut rng, &mut tally, round);
    }
    tally.print(seed);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn one(group: &mut Group, fault: Fault, rng: &mut Rng, tally: &mut Tally, round: usize) {
    group.wait("the group is complete, and nobody is in TILT", |group| {
        group.is_complete() && !any_tilt(group)
    });
    let before = group.converge();
    let start = Instant::now();
    fault.strike(group, &before, rng);
    let switched = start.elapsed();
    let healed = Instant::now();
    heal(group);
    settle(group);
    let settled = healed.elapsed();
    let after = group.converge();
    assert!(after.epoch > before.epoch, "config epoch {} after {}", after.epoch, before.epoch);

    let led = tally.leader(group, fault, start);
    eprintln!(
        "{}: round {round}: {fault:?} at {}: {led}, known after {switched:.2?}, settled {settled:.2?} after the healing",
        tally.mix, before.address,
    );
    if switched > SLOW {
        print_elections(group, start);
    }
    *tally.faults.entry(format!("{fault:?}")).or_default() += 1;
    tally.more_than_one += usize::from(promotions(group, start) > 1);
    tally.switched.push(switched);
    tally.settled.push(settled);
}

/// How the elections of a round went.
fn print_elections(group: &Group, start: Instant) {
    let kinds = ["down", "epoch", "vote", "failover", "leader", "promoted", "switch-master", "tilt"];
    let told = |channel: &str| kinds.iter().any(|kind| channel.contains(kind));
    let all = (0..group.sentinels.len()).flat_map(|i| group.events(i));
    let mut events: Vec<_> = all.filter(|event| event.at >= start && told(&event.channel)).collect();
    events.sort_by_key(|event| event.at);
    for event in events {
        let time = (event.at - start).as_secs_f64();
        eprintln!("    {time:7.3} s{} {} {}", event.sentinel, event.channel, event.payload);
    }
}

/// L1: one master, all follow it; all sentinels know everybody and agree on address, configuration epoch and
/// current epoch, and each says that it can reach quorum and majority.
fn settle(group: &mut Group) {
    group.converge();
    group.wait("everybody knows everybody again", Group::is_complete);
    group.wait("all are in the same epoch", |group| {
        let epochs: Vec<u64> = group.sentinels.iter().map(|s| current_epoch(&s.config())).collect();
        epochs.iter().all(|epoch| *epoch == epochs[0])
    });
    group.wait("CKQUORUM is content everywhere", |group| {
        (0..group.sentinels.len())
            .all(|i| group.ask(i, "CKQUORUM").is_some_and(|reply| reply.text().starts_with("OK ")))
    });
    for sentinel in &group.sentinels {
        let entry = sentinel.ask(&["SENTINEL", "MASTER", NAME]).expect("an answer");
        let peers = (group.sentinels.len() - 1).to_string();
        assert_eq!(entry.field("num-other-sentinels"), Some(peers));
        assert_eq!(entry.field("num-slaves"), Some((group.nodes.len() - 1).to_string()));
    }
}

fn any_tilt(group: &Group) -> bool {
    let tilt = |info: String| info.contains("sentinel_tilt:1");
    group.sentinels.iter().any(|s| s.ask(&["INFO", "sentinel"]).is_ok_and(|reply| tilt(reply.text())))
}

fn current_epoch(config: &str) -> u64 {
    let line = config.lines().find_map(|line| line.strip_prefix("sentinel current-epoch "));
    line.map_or(0, |number| number.trim().parse().expect("an epoch is a number"))
}

/// What was seen over all rounds.
#[derive(Default)]
struct Tally {
    mix: String,
    faults: BTreeMap<String, usize>,
    /// Who led, by kind.
    leaders: BTreeMap<String, usize>,
    /// Who led with votes of the other kind.
    by_others: BTreeMap<String, usize>,
    /// Rounds in which more than one node was promoted.
    more_than_one: usize,
    switched: Vec<Duration>,
    settled: Vec<Duration>,
}

impl Tally {
    /// Counts the leader of a round, and says who voted for it.
    fn leader(&mut self, group: &Group, fault: Fault, start: Instant) -> String {
        let Some(won) = last_election(group, start) else {
            return "led by somebody who died of it".to_owned();
        };
        let kind = |i: usize| group.sentinels[i].program;
        let leader = format!("{:?}", kind(won.leader));
        if let Some(needed) = fault.votes_needed(group.sentinels.len()) {
            assert!(
                won.voters.len() + 1 >= needed,
                "{fault:?}: {:?} voted, {needed} votes needed",
                won.voters
            );
        }
        if won.voters.iter().any(|i| kind(*i) != kind(won.leader)) {
            *self.by_others.entry(leader.clone()).or_default() += 1;
        }
        let voters: Vec<String> = won.voters.iter().map(|i| format!("s{i} {:?}", kind(*i))).collect();
        let text = format!("led by s{} {leader}, votes of {voters:?}", won.leader);
        *self.leaders.entry(leader).or_default() += 1;
        text
    }

    fn print(mut self, seed: u64) {
        self.switched.sort();
        self.settled.sort();
        let (rounds, half) = (self.switched.len(), self.switched.len() / 2);
        eprintln!(
            "{}: {rounds} rounds passed (VIGIA_SEED={seed}); led by {:?}, with votes of the other kind {:?}; \
             more than one promotion in {}; known to all after (median, most) {:.2?} {:.2?}; settled after the \
             healing {:.2?} {:.2?}; {:?}",
            self.mix,
            self.leaders,
            self.by_others,
            self.more_than_one,
            self.switched[half],
            self.switched[rounds - 1],
            self.settled[half],
            self.settled[rounds - 1],
            self.faults,
        );
    }
}
