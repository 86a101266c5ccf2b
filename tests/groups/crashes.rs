//! Sentinels that die at bad moments and come back with what they had saved.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::group::{Group, NAME, Shape};
use crate::support::ports::random;
use crate::support::sentinel::Program;

scenarios! {
    all: [
        a_leader_killed_in_mid_failover_does_not_split_the_group,
        sentinels_killed_at_random_moments_forget_nothing,
    ],
    vigia: [],
}

/// The candidate dies as soon as it has told anybody that it stands.
fn a_leader_killed_in_mid_failover_does_not_split_the_group(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let old = group.nodes[0].address();

    group.nodes[0].kill();
    let mut leader = 0;
    group.wait("somebody tries a failover", |group| {
        let tries = (0..mix.len()).find(|i| group.count(*i, "+try-failover") > 0);
        leader = tries.unwrap_or(leader);
        tries.is_some()
    });
    group.sentinels[leader].kill();

    for i in group.alive() {
        group.wait_event(i, "+switch-master");
    }
    let new = group.converge();
    assert_ne!(new.address, old);
    group.sentinels[leader].restart();
    let last = group.converge();
    assert!(last.epoch >= new.epoch, "config epoch fell from {} to {}", new.epoch, last.epoch);
    assert_ne!(last.address, old);
}

/// Properties S1 and S3 over kill -9: epochs in the file never fall, nobody is forgotten, and no
/// sentinel votes twice in one epoch.
fn sentinels_killed_at_random_moments_forget_nothing(mix: &[Program]) {
    let mut group = Group::start(&Shape { failover_timeout: 3_000, ..Shape::of(mix) });
    group.wait("what was discovered is saved", |group| {
        group
            .sentinels
            .iter()
            .map(|s| Saved::read(&s.config()))
            .all(|s| s.peers.len() == mix.len() - 1 && s.replicas == 2)
    });
    let mut saved: Vec<Saved> = group.sentinels.iter().map(|s| Saved::read(&s.config())).collect();
    for round in 0..8 {
        let (victim, asked) = (random() as usize % mix.len(), random() as usize % mix.len());
        let delay = Duration::from_micros(random() % 400_000);
        let reply = group.ask(asked, "FAILOVER").map(|reply| reply.text());
        std::thread::sleep(delay);
        group.sentinels[victim].kill();
        eprintln!("round {round}: failover at {asked} ({reply:?}), {victim} killed after {delay:?}");

        let now = Saved::read(&group.sentinels[victim].config());
        now.check_not_behind(&saved[victim]);
        group.sentinels[victim].restart();
        group.converge();
        for (i, before) in saved.iter_mut().enumerate() {
            let now = Saved::read(&group.sentinels[i].config());
            now.check_not_behind(before);
            *before = now;
        }
    }
    for i in 0..mix.len() {
        check_one_vote_per_epoch(&group, i);
    }
}

/// What a config file says about the past.
struct Saved {
    epochs: BTreeMap<&'static str, u64>,
    peers: Vec<String>,
    replicas: usize,
}

impl Saved {
    fn read(config: &str) -> Saved {
        let lines = || config.lines().filter_map(|line| line.strip_prefix("sentinel "));
        let epoch = |prefix: &str| {
            let line = lines().find_map(|line| line.strip_prefix(prefix));
            line.map_or(0, |number| number.trim().parse().expect("an epoch is a number"))
        };
        let of_master = |directive: &str| format!("{directive} {NAME} ");
        let mut peers: Vec<String> = lines()
            .filter(|line| line.starts_with(&of_master("known-sentinel")))
            .filter_map(|line| line.split_whitespace().last().map(str::to_owned))
            .collect();
        peers.sort();
        Saved {
            epochs: BTreeMap::from([
                ("current-epoch", epoch("current-epoch ")),
                ("config-epoch", epoch(&of_master("config-epoch"))),
                ("leader-epoch", epoch(&of_master("leader-epoch"))),
            ]),
            peers,
            replicas: lines().filter(|line| line.starts_with(&of_master("known-replica"))).count(),
        }
    }

    #[track_caller]
    fn check_not_behind(&self, before: &Saved) {
        for (name, epoch) in &before.epochs {
            assert!(self.epochs[name] >= *epoch, "{name} fell from {epoch} to {}", self.epochs[name]);
        }
        assert_eq!(self.peers, before.peers, "the same peers are known");
        assert_eq!(self.replicas, before.replicas, "as many replicas are known");
    }
}

#[track_caller]
fn check_one_vote_per_epoch(group: &Group, sentinel: usize) {
    let mut votes: BTreeMap<String, String> = BTreeMap::new();
    for payload in group.payloads(sentinel, "+vote-for-leader") {
        let (leader, epoch) = payload.split_once(' ').expect("<runid> <epoch>");
        let first = votes.entry(epoch.to_owned()).or_insert_with(|| leader.to_owned());
        assert_eq!(first, leader, "sentinel {sentinel} voted twice in epoch {epoch}");
    }
}
