//! The master is gone, hangs, vanishes with its host, or only blinks.

use std::time::Duration;

use crate::support::group::{Group, NAME, Shape};
use crate::support::netns;
use crate::support::redis_server::NodeOptions;
use crate::support::sentinel::Program;
use crate::support::wait::holds_for;

scenarios! {
    all: [
        a_killed_master_is_replaced_and_comes_back_as_a_replica,
        a_hung_master_is_replaced_and_comes_back_as_a_replica,
        a_master_lost_together_with_the_sentinel_beside_it_is_replaced,
        a_master_whose_host_is_gone_is_replaced,
        a_quick_restart_of_the_master_is_not_an_outage,
        nodes_with_a_password_fail_over,
    ],
    vigia: [a_down_after_of_200_ms_causes_no_second_failover],
}

/// What a leader publishes before it announces the new master, in this order.
const LEADER_STORY: &[&str] = &[
    "+sdown",
    "+odown",
    "+try-failover",
    "+vote-for-leader",
    "+elected-leader",
    "+failover-state-select-slave",
    "+selected-slave",
    "+failover-state-send-slaveof-noone",
    "+failover-state-wait-promotion",
    "+promoted-slave",
    "+failover-state-reconf-slaves",
    "+switch-master",
    "+slave",
];

fn a_killed_master_is_replaced_and_comes_back_as_a_replica(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let old = group.nodes[0].address();

    group.nodes[0].kill();
    let new = expect_switch(&mut group, &old);

    let leader = *group.leaders().last().expect("somebody was elected");
    expect_order(&group, leader, LEADER_STORY);
    for observer in (0..mix.len()).filter(|i| *i != leader) {
        expect_order(&group, observer, &["+config-update-from", "+switch-master", "+slave"]);
    }
    group.nodes[0].restart();
    expect_replica_of(&mut group, &old, &new);
}

fn a_hung_master_is_replaced_and_comes_back_as_a_replica(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let old = group.nodes[0].address();

    group.nodes[0].stop();
    let new = expect_switch(&mut group, &old);

    group.nodes[0].resume();
    expect_replica_of(&mut group, &old, &new);
}

fn a_master_lost_together_with_the_sentinel_beside_it_is_replaced(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let old = group.nodes[0].address();

    group.nodes[0].kill();
    group.sentinels[2].kill();
    let new = expect_switch(&mut group, &old);

    group.sentinels[2].restart();
    group.nodes[0].restart();
    expect_replica_of(&mut group, &old, &new);
}

/// Packets vanish: no connection is refused or reset, everything just hangs.
fn a_master_whose_host_is_gone_is_replaced(mix: &[Program]) {
    let kind = if mix == crate::VIGIA {
        "vigia"
    } else if mix == crate::STOCK {
        "stock"
    } else {
        "mixed"
    };
    let test = format!("master_lost::{kind}::a_master_whose_host_is_gone_is_replaced");
    netns::in_a_private_network(&test, || {
        let master = NodeOptions {
            host: Some(netns::FAR.to_owned()),
            prefix: vec!["unshare".to_owned(), "--net".to_owned()],
            started: Some(netns::connect_host),
            ..NodeOptions::default()
        };
        let nodes = NodeOptions { host: Some(netns::NEAR.to_owned()), ..NodeOptions::default() };
        let mut group = Group::start(&Shape { master: Some(master), nodes, ..Shape::of(mix) });
        let old = group.nodes[0].address();

        group.nodes[0].vanishes(netns::unplug_host);
        let new = expect_switch(&mut group, &old);

        group.nodes[0].reappears(netns::plug_host);
        expect_replica_of(&mut group, &old, &new);
    });
}

fn a_quick_restart_of_the_master_is_not_an_outage(mix: &[Program]) {
    let mut group = Group::start(&Shape { down_after: 10_000, ..Shape::of(mix) });

    group.nodes[0].restart();

    // Every sentinel has met the new process, so none can still be waiting for the old one.
    for i in 0..mix.len() {
        group.wait_event(i, "+reboot");
    }
    group.wait("the group is complete again", Group::is_complete);
    for i in 0..mix.len() {
        assert_eq!(group.count(i, "+sdown"), 0, "sentinel {i} took a restart within D for an outage");
        assert_eq!(group.count(i, "+switch-master"), 0);
    }
}

fn nodes_with_a_password_fail_over(mix: &[Program]) {
    let nodes = NodeOptions { password: Some("s3cret".to_owned()), ..NodeOptions::default() };
    let mut group = Group::start(&Shape { nodes, ..Shape::of(mix) });
    let old = group.nodes[0].address();

    group.nodes[0].kill();
    expect_switch(&mut group, &old);
}

/// The `CLIENT KILL` of a promotion cuts the sentinels' own links to the new master; with a short
/// D that must not look like the next outage.
fn a_down_after_of_200_ms_causes_no_second_failover(mix: &[Program]) {
    let mut group = Group::start(&Shape { down_after: 200, ..Shape::of(mix) });
    for round in 1..=3 {
        let old = group.converge().address;
        group.wait("the group is complete", Group::is_complete);

        group.node_at(&old).kill();
        for i in 0..mix.len() {
            group.wait(&format!("sentinel {i} announces failover {round}"), |group| {
                group.count(i, "+switch-master") >= round
            });
        }
        let new = group.converge().address;

        holds_for("the first new master stays", Duration::from_secs(2), || {
            group.agreed().is_none_or(|belief| belief.address == new)
        });
        for i in 0..mix.len() {
            let switches = group.count(i, "+switch-master");
            assert_eq!(switches, round, "sentinel {i} saw more than one failover for one outage");
        }
        group.node_at(&old).restart();
        assert_eq!(group.converge().address, new);
    }
}

/// Waits until every living sentinel has announced the same new master and the nodes follow it.
#[track_caller]
pub(crate) fn expect_switch(group: &mut Group, old: &str) -> String {
    for i in group.alive() {
        group.wait_event(i, "+switch-master");
    }
    let new = group.converge().address;
    assert_ne!(new, old, "another node is master now");
    let line = format!("{NAME} {} {}", old.replace(':', " "), new.replace(':', " "));
    for i in group.alive() {
        assert_eq!(group.payloads(i, "+switch-master"), [line.as_str()], "announced once by sentinel {i}");
    }
    new
}

#[track_caller]
pub(crate) fn expect_replica_of(group: &mut Group, old: &str, new: &str) {
    group.wait("the old master follows the new one", |group| {
        group.node_at(old).follows().as_deref() == Some(new)
    });
    assert_eq!(group.converge().address, new);
}

/// Checks that the first event of each type came in this order.
#[track_caller]
fn expect_order(group: &Group, sentinel: usize, story: &[&str]) {
    let events = group.events(sentinel);
    let mut from = 0;
    for channel in story {
        let found = events[from..].iter().position(|event| event.channel == *channel);
        let Some(found) = found else {
            panic!("sentinel {sentinel}: no {channel} in its place in {story:?}")
        };
        from += found + 1;
    }
}
