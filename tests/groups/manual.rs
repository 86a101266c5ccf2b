//! `SENTINEL FAILOVER` at one sentinel, and at two in the same moment.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::master_lost::expect_replica_of;
use crate::support::group::{Group, NAME, Shape};
use crate::support::resp::{Client, Value};
use crate::support::sentinel::Program;

scenarios! {
    all: [a_manual_failover_moves_the_master_and_demotes_the_old_one],
    vigia: [manual_failovers_at_two_sentinels_at_once_agree_on_one_master],
}

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

/// Property S8. The original breaks it: both lead in the same epoch, and with one
/// replica out of reach of each they promote different ones.
fn manual_failovers_at_two_sentinels_at_once_agree_on_one_master(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let mut seen = BTreeMap::new();
    let mut epoch = 0;
    for round in 0..3 {
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

/// Cuts sentinel 0 off one replica and sentinel 1 off the other, by killing their connections
/// there. Until they have reconnected, each has only the other replica to choose.
fn make_them_disagree(group: &mut Group) {
    let master = group.converge().address;
    let replicas: Vec<usize> =
        (0..group.nodes.len()).filter(|n| group.nodes[*n].address() != master).collect();
    // The original reconnects at once, but only once in a second: the second cut lasts.
    for _ in 0..2 {
        for (sentinel, node) in [0, 1].into_iter().zip(&replicas) {
            cut(group, sentinel, *node);
        }
    }
}

/// Kills both connections of a sentinel to a node as soon as they stand.
fn cut(group: &mut Group, sentinel: usize, node: usize) {
    let id = group.sentinels[sentinel].ask(&["SENTINEL", "MYID"]).expect("an answer").text();
    let name = format!("name=sentinel-{}-", &id[..8]);
    let mut links = Vec::new();
    group.wait(&format!("sentinel {sentinel} has two links to node {node}"), |group| {
        let clients = group.nodes[node].ask(&["CLIENT", "LIST"]).expect("an answer").text();
        let theirs = clients.lines().filter(|line| line.contains(&name));
        links = theirs
            .filter_map(|line| line.strip_prefix("id=")?.split(' ').next().map(str::to_owned))
            .collect();
        links.len() == 2
    });
    for link in &links {
        let killed = group.nodes[node].ask(&["CLIENT", "KILL", "ID", link]).expect("an answer");
        assert_eq!(killed, Value::Int(1));
    }
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
