//! `SENTINEL FAILOVER` at one sentinel, and at two in the same moment.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::master_lost::expect_replica_of;
use crate::support::group::{Group, NAME, Shape};
use crate::support::redis_server::RedisServer;
use crate::support::resp::{Client, Value};
use crate::support::sentinel::Program;

scenarios! {
    all: [a_manual_failover_moves_the_master_and_demotes_the_old_one],
    vigia: [manual_failovers_at_two_sentinels_at_once_agree_on_one_master],
}

/// How old a replica's INFO gets, and a reserve.
const INFO_PERIOD: Duration = Duration::from_secs(12);

fn a_manual_failover_moves_the_master_and_demotes_the_old_one(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let old = group.nodes[0].address();

    let reply = group.ask(1, "FAILOVER").expect("an answer");

    assert_eq!(reply, Value::Simple("OK".to_owned()));
    for i in 0..mix.len() {
        group.wait_event(i, "+switch-master");
    }
    let new = group.converge().address;
    assert_ne!(new, old);
    expect_replica_of(&mut group, &old, &new);
}

/// Property S8. The original breaks it: both lead in the same epoch, and with different
/// ideas of the replicas' priorities they promote different ones.
fn manual_failovers_at_two_sentinels_at_once_agree_on_one_master(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let mut seen = BTreeMap::new();
    let mut epoch = 0;
    for round in 0..2 {
        make_them_disagree(&mut group);
        let replies = fail_over_at_once(&group, &[0, 1]);
        eprintln!("round {round}: {replies:?}");
        assert!(replies.iter().any(|reply| reply.text() == "OK"), "nobody accepted it: {replies:?}");

        let start = Instant::now();
        loop {
            group.check_one_address_per_epoch(&mut seen);
            if group.agreed().is_some_and(|belief| belief.epoch > epoch) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "round {round}: no agreement");
            std::thread::sleep(Duration::from_millis(5));
        }
        // A late second failover would still be under way.
        group.wait("the group is complete and agrees", |group| {
            group.is_complete() && group.agreed().is_some()
        });
        group.check_one_address_per_epoch(&mut seen);
        epoch = group.converge().epoch;
    }
}

/// Changes the preferred replica and returns while sentinel 1 knows about it and sentinel 0 does
/// not yet. A sentinel that cannot be caught like that (it may read INFO at other times) is no
/// failure: the two failovers then only start from the same idea.
fn make_them_disagree(group: &mut Group) {
    let master = group.converge().address;
    let replicas: Vec<String> =
        group.nodes.iter().map(RedisServer::address).filter(|a| *a != master).collect();
    let (first, second) = (&replicas[0], &replicas[1]);
    set_priority(group, first, 100);
    set_priority(group, second, 50);
    group.wait("both sentinels prefer the second replica", |group| {
        [0, 1].iter().all(|i| priority(group, *i, first) == 100 && priority(group, *i, second) == 50)
    });
    // A restarted sentinel reads INFO at once: from now on the two read it at different times.
    wait_for_age(group, first, 4_000..6_000);
    group.sentinels[1].restart();
    group.wait("the group is complete again", Group::is_complete);
    wait_for_age(group, first, 0..500);
    set_priority(group, first, 10);
    let start = Instant::now();
    while start.elapsed() < INFO_PERIOD && priority(group, 0, first) != 10 {
        if priority(group, 1, first) == 10 {
            eprintln!("sentinel 0 prefers {second}, sentinel 1 prefers {first}");
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    eprintln!("both prefer {first}");
}

/// Waits, but not for ever, until what sentinel 0 knows about a replica is that many ms old.
fn wait_for_age(group: &Group, replica: &str, ages: std::ops::Range<u64>) {
    let start = Instant::now();
    let age = || replica_field(group, 0, replica, "info-refresh").parse().unwrap_or_default();
    while start.elapsed() < INFO_PERIOD && !ages.contains(&age()) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn set_priority(group: &mut Group, address: &str, priority: u64) {
    let reply = group.node_at(address).ask(&["CONFIG", "SET", "replica-priority", &priority.to_string()]);
    assert_eq!(reply.expect("an answer").text(), "OK");
}

fn priority(group: &Group, i: usize, address: &str) -> u64 {
    replica_field(group, i, address, "slave-priority").parse().unwrap_or_default()
}

/// A field of one replica's entry at sentinel `i`; empty when it is not there.
fn replica_field(group: &Group, i: usize, address: &str, field: &str) -> String {
    let replicas = group.ask(i, "REPLICAS");
    let replicas = replicas.as_ref().map(Value::items).unwrap_or_default();
    let entry = replicas.iter().find(|entry| entry.field("name").as_deref() == Some(address));
    entry.and_then(|entry| entry.field(field)).unwrap_or_default()
}

/// Sends `SENTINEL FAILOVER` on connections that stand already, in one instant.
fn fail_over_at_once(group: &Group, sentinels: &[usize]) -> Vec<Value> {
    let barrier = Barrier::new(sentinels.len());
    let barrier = &barrier;
    std::thread::scope(|scope| {
        let askers: Vec<_> = sentinels
            .iter()
            .map(|i| {
                let address = group.sentinels[*i].address();
                scope.spawn(move || {
                    let mut client = Client::connect(&address).expect("connect");
                    barrier.wait();
                    client.command(&["SENTINEL", "FAILOVER", NAME]).expect("an answer")
                })
            })
            .collect();
        askers.into_iter().map(|asker| asker.join().expect("no panic")).collect()
    })
}
