//! From the election to the last replica, and what happens when the leader does not live to see it.

use vigia::engine::{Span, Time};

use crate::world::{MASTER, Options, World, episode};
use crate::{five, switched, three};

/// The order of a leader's events, one word a line; the two kinds that may come or stay away are left out.
fn leader_story(world: &World, from: Time) -> Vec<String> {
    let leader = world
        .sentinels()
        .into_iter()
        .find(|pid| world.event_at(*pid, from, "+elected-leader").is_some())
        .expect("a leader");
    let events = world.events(leader).into_iter().filter(|(at, _)| *at >= from);
    let events = events.filter(|(_, line)| !line.starts_with("+sdown slave"));
    let words = events.map(|(_, line)| line.split(' ').next().unwrap_or_default().to_owned());
    words
        .filter(|word| !["-odown", "-role-change", "+role-change", "-sdown"].contains(&word.as_str()))
        .collect()
}

#[test]
fn a_leaders_events_come_in_their_order() {
    for seed in 0..10 {
        let mut world = three(seed);
        let from = world.now;
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::ms(900));
        let expected = [
            "+sdown",
            "+odown",
            "+new-epoch",
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
            "+slave",
            "+slave-reconf-sent",
            "+slave-reconf-inprog",
            "+slave-reconf-done",
            "+failover-end",
        ];
        assert_eq!(leader_story(&world, from), expected, "seed {seed}");
    }
}

#[test]
fn a_view_is_published_before_the_event_that_announces_it() {
    let mut world = three(6);
    let from = world.now;
    let old = world.pid("m");
    world.kill(old);
    for pid in world.sentinels() {
        world.run_until("+switch-master", Span::secs(5), |world| {
            world.event_at(pid, from, "+switch-master").is_some()
        });
    }
    let trace = world.trace.all();
    for pid in world.sentinels() {
        let name = world.name(pid);
        let new = world.view(pid, MASTER).expect("a view").addr.to_string();
        let view = trace.find(&format!("{name} view {MASTER} {new}")).expect("a view");
        let event = trace.find(&format!("{name} EVENT +switch-master")).expect("an event");
        assert!(view < event, "{name} announced before it could answer");
    }
}

#[test]
fn the_replicas_follow_and_the_old_master_returns_as_one() {
    for seed in 0..15 {
        let mut world = three(seed);
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::secs(2));
        world.start(old);
        let back = world.now;
        let done = episode::until_converged(&mut world, Span::secs(12));
        assert!(done.since(back) <= Span::ms(3_200), "seed {seed}: {} ms", done.since(back).as_ms());
        world.run_for(Span::secs(15));
        assert_eq!(world.promotions.len(), 1, "seed {seed}");
        assert_eq!(episode::converged(&world), Ok(()), "seed {seed}");
    }
}

#[test]
fn the_best_replica_is_chosen_and_ineligible_ones_are_not() {
    for seed in 0..6 {
        let mut world = World::settled(Options { replicas: 3, ..Options::seed(seed) });
        world.node_called("r1").priority = 0;
        world.node_called("r2").priority = 50;
        world.kill(world.pid("r3"));
        world.run_for(Span::secs(11));
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        assert_eq!(world.name(world.promotions[0].1), "r2", "seed {seed}");
    }
}

#[test]
fn without_a_good_replica_nothing_is_promoted_until_one_is_there() {
    let mut world = three(7);
    let from = world.now;
    for replica in ["r1", "r2"] {
        world.node_called(replica).priority = 0;
    }
    world.run_for(Span::secs(11));
    world.kill(world.pid("m"));
    world.run_for(Span::secs(6));
    assert!(world.count_events(from, "-failover-abort-no-good-slave") >= 1);
    assert_eq!(world.promotions.len(), 0);
    world.node_called("r1").priority = 10;
    let old = world.pid("m");
    switched(&mut world, old, Span::secs(21));
    assert_eq!(world.name(world.promotions[0].1), "r1");
}

#[test]
fn the_kill_of_a_promotion_does_not_bring_the_new_master_down() {
    for down_after_ms in [100, 200, 500, 1_000] {
        for seed in 0..10 {
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let old = world.pid("m");
            world.kill(old);
            let at = switched(&mut world, old, Span::secs(5));
            world.run_for(Span::secs(5));
            assert_eq!(world.count_events(at, "+sdown master"), 0, "seed {seed} D {down_after_ms}");
            assert_eq!(world.promotions.len(), 1, "seed {seed} D {down_after_ms}");
        }
    }
}

#[test]
fn a_leader_that_dies_at_any_moment_is_replaced() {
    for step in 0..40 {
        let mut world = five(1_000 + step);
        let from = world.now;
        let old = world.pid("m");
        world.kill(old);
        let tried = |world: &World| {
            world.sentinels().into_iter().find(|pid| world.event_at(*pid, from, "+try-failover").is_some())
        };
        world.run_until("+try-failover", Span::secs(5), |world| tried(world).is_some());
        let leader = tried(&world).expect("found");
        world.run_for(Span::ms(step));
        world.kill(leader);
        switched(&mut world, old, Span::secs(15));
        world.run_for(Span::secs(3));
        world.start(old);
        world.start(leader);
        episode::until_converged(&mut world, Span::secs(12));
    }
}

#[test]
fn a_leader_that_hangs_is_waited_for_and_then_replaced() {
    for step in [1, 5, 10, 20, 30] {
        let mut world = five(2_000 + step);
        let from = world.now;
        let old = world.pid("m");
        world.kill(old);
        let tried = |world: &World| {
            world.sentinels().into_iter().find(|pid| world.event_at(*pid, from, "+try-failover").is_some())
        };
        world.run_until("+try-failover", Span::secs(5), |world| tried(world).is_some());
        let leader = tried(&world).expect("found");
        world.run_for(Span::ms(step));
        world.stop(leader);
        switched(&mut world, old, Span::secs(15));
        world.cont(leader);
        world.start(old);
        episode::until_converged(&mut world, Span::secs(12));
    }
}

#[test]
fn a_failed_config_rewrite_is_told() {
    let mut world = three(8);
    let from = world.now;
    for node in ["r1", "r2"] {
        world.node_called(node).rewrite_fails = true;
    }
    let old = world.pid("m");
    world.kill(old);
    switched(&mut world, old, Span::secs(5));
    assert!(world.count_events(from, "-reconf-command-failed") >= 1);
}

#[test]
fn a_refused_promotion_is_given_up_with_a_reason() {
    let mut world = World::settled(Options { failover_timeout_ms: 3_000, ..Options::seed(9) });
    let from = world.now;
    for node in ["r1", "r2"] {
        world.node_called(node).refused.insert("slaveof", "NOPERM this user has no permissions");
    }
    world.kill(world.pid("m"));
    world.run_for(Span::secs(20));
    assert_eq!(world.promotions.len(), 0);
    assert!(world.count_events(from, "-failover-abort") >= 1, "no state without an end (L3)");
}

/// What a replica followed before the switch is no disobedience to the new master, however long ago it chose it.
#[test]
fn observers_leave_the_replicas_to_the_leader_in_a_group_that_stood_for_long() {
    let sync_us = (700_000, 900_000);
    for seed in 0..6 {
        let options = Options { replicas: 4, failover_timeout_ms: 6_000, sync_us, ..Options::seed(seed) };
        let mut world = World::settled(options);
        world.run_for(Span::secs(7));
        let from = world.now;
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_until("the end of the job", Span::secs(5), |world| {
            world.count_events(from, "+failover-end ") == 1
        });
        assert_eq!(world.count_events(from, "+slave-reconf-done"), 3, "seed {seed}");
        assert_eq!(world.count_events(from, "+fix-slave-config"), 0, "seed {seed}");
    }
}

/// A master begins a new replication history when its first replica links up, after it was read perhaps.
#[test]
fn a_history_that_only_the_replicas_told_of_is_the_groups() {
    for seed in 0..6 {
        let mut world = three(seed);
        let old = world.pid("m");
        world.node_called("m").replid = format!("{seed:040}");
        for replica in ["r1", "r2"] {
            let pid = world.pid(replica);
            world.kill(pid);
            world.start(pid);
        }
        world.run_for(Span::secs(2));
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
    }
}
