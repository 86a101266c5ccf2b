//! A minority must not fail over, and a majority that comes back must.

use std::time::{Duration, Instant};

use crate::support::group::{Group, Shape};
use crate::support::resp::Value;
use crate::support::sentinel::Program;

scenarios! {
    all: [
        a_sentinel_without_quorum_does_not_even_see_odown,
        a_minority_with_its_own_quorum_never_promotes_and_a_majority_does,
    ],
    vigia: [],
}

fn a_sentinel_without_quorum_does_not_even_see_odown(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    kill_all_but_the_first(&mut group);

    group.nodes[0].kill();
    group.wait_event(0, "+sdown");
    expect_no_quorum(&mut group);

    assert_nothing_happens(&mut group, Duration::from_secs(4));
    assert_eq!(group.count(0, "+odown"), 0);
}

/// Quorum 1 lets one sentinel decide that the master is down, but not who leads.
fn a_minority_with_its_own_quorum_never_promotes_and_a_majority_does(mix: &[Program]) {
    let mut group = Group::start(&Shape { quorum: 1, failover_timeout: 2_000, ..Shape::of(mix) });
    let old = group.nodes[0].address();
    kill_all_but_the_first(&mut group);

    group.nodes[0].kill();
    group.wait_event(0, "+odown");
    expect_no_quorum(&mut group);

    // Long enough for several elections, each of which must fail for want of votes.
    assert_nothing_happens(&mut group, Duration::from_secs(8));

    group.sentinels[1].restart();
    group.wait_event(0, "+switch-master");
    assert_ne!(group.converge().address, old);
}

fn kill_all_but_the_first(group: &mut Group) {
    for sentinel in &mut group.sentinels[1..] {
        sentinel.kill();
    }
}

fn expect_no_quorum(group: &mut Group) {
    group.wait("CKQUORUM says that there is no majority", |group| {
        matches!(group.ask(0, "CKQUORUM"), Some(Value::Error(text)) if text.starts_with("NOQUORUM 1 usable Sentinels."))
    });
}

/// No promotion for `span`, or until three elections have failed.
fn assert_nothing_happens(group: &mut Group, span: Duration) {
    let start = Instant::now();
    while start.elapsed() < span && group.count(0, "-failover-abort-not-elected") < 3 {
        for event in ["+elected-leader", "+promoted-slave", "+switch-master"] {
            assert_eq!(group.count(0, event), 0, "{event} without a majority");
        }
        for replica in &group.nodes[1..] {
            assert_ne!(replica.role().as_deref(), Some("master"), "promoted without a majority");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
