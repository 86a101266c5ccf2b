//! ODOWN, ranks, votes: who may lead, and how soon.

use vigia::engine::{MasterName, Span};

use crate::world::node::Role;
use crate::world::{MASTER, Options, Pid, World};
use crate::{five, switched};

#[test]
fn below_the_quorum_nobody_says_odown() {
    let mut world = World::settled(Options { sentinels: 5, quorum: 3, ..Options::seed(5) });
    let from = world.now;
    let (left, right) = (vec![world.pid("s1"), world.pid("s2")], vec![world.pid("m")]);
    world.cut(&left, &right);
    world.run_for(Span::secs(20));
    assert_eq!(world.count_events(from, "+sdown master"), 2);
    assert_eq!(world.count_events(from, "+odown"), 0);
    assert_eq!(world.promotions.len(), 0);
}

#[test]
fn a_minority_may_say_odown_but_never_promotes() {
    for seed in 0..10 {
        let mut world = World::settled(Options { sentinels: 5, quorum: 2, ..Options::seed(seed) });
        let from = world.now;
        let left = vec![world.pid("s1"), world.pid("s2")];
        // The minority keeps the replicas: only votes keep it from promoting one.
        let right = vec![world.pid("s3"), world.pid("s4"), world.pid("s5"), world.pid("m")];
        world.cut(&left, &right);
        world.run_for(Span::secs(60));
        assert!(world.count_events(from, "+odown") >= 1, "seed {seed}");
        assert_eq!(world.count_events(from, "+elected-leader"), 0, "seed {seed}");
        assert_eq!(world.promotions.len(), 0, "seed {seed}");
        // Without links to a majority no retry mints an epoch: at most one first attempt of each.
        for pid in left {
            let minted = world.sentinel(pid).disk.durable.current_epoch;
            assert!(minted.0 <= 2, "seed {seed}: epoch {minted} after a minute in a minority");
        }
    }
}

#[test]
fn ranked_candidates_need_one_election_and_one_epoch() {
    // Ranks are taken from what is known at ODOWN; now and then two candidates know different things.
    let mut tries = 0;
    for seed in 0..30 {
        let mut world = five(seed);
        let from = world.now;
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::secs(3));
        tries += world.count_events(from, "+try-failover");
        world.expect(world.count_events(from, "+elected-leader") == 1, "one leader");
        world.expect(world.promotions.len() == 1, "one promotion");
        for pid in world.sentinels() {
            assert_eq!(world.view(pid, MASTER).map(|view| view.config_epoch.0), Some(1), "seed {seed}");
        }
    }
    assert!(tries <= 33, "{tries} candidates in 30 failovers");
}

#[test]
fn beyond_d_a_failover_takes_tens_of_milliseconds() {
    let mut writable = Vec::new();
    let mut told = Vec::new();
    for seed in 0..30 {
        // Loopback: a tenth of a millisecond at most.
        let mut world = World::settled(Options { latency_us: (20, 100), ..Options::seed(seed) });
        let old = world.pid("m");
        let from = world.now;
        world.kill(old);
        world.run_until("a promotion", Span::secs(5), |world| world.promotions.len() == 1);
        let spent = world.promotions[0].0.since(from + Span::ms(1_000)).0;
        writable.push(spent);
        told.push(switched(&mut world, old, Span::secs(5)).since(from + Span::ms(1_000)).0);
    }
    writable.sort_unstable();
    told.sort_unstable();
    // D/10 is the widest gap between a death and the connection's end as seen from here: none here.
    assert!(writable[15] <= 25_000, "median until the new master is writable: {writable:?} us beyond D");
    assert!(told[15] <= 50_000, "median until every sentinel switched: {told:?} us beyond D");
}

#[test]
fn split_votes_are_retried_until_somebody_leads() {
    for seed in 0..20 {
        // Slow links make ranks useless: everybody campaigns before the others are heard.
        let slow = Options { sentinels: 5, quorum: 3, latency_us: (20_000, 60_000), ..Options::seed(seed) };
        let mut world = World::settled(slow);
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(10));
    }
}

/// Sentinels that watch `count` masters with one replica each.
fn many(count: usize, seed: u64) -> World {
    let mut world = World::new(Options { down_after_ms: 1_000, ..Options::seed(seed) });
    let names: Vec<String> = (0..count).map(|n| format!("cache-{n}")).collect();
    let masters: Vec<Pid> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let master = world.add_node(&format!("m{n}"), name, Role::Master);
            world.add_replica(&format!("m{n}r"), master);
            master
        })
        .collect();
    let addrs: Vec<_> = masters.iter().map(|pid| world.procs[pid.0].addr.clone()).collect();
    let watched: Vec<(&str, _)> = names.iter().map(String::as_str).zip(addrs).collect();
    for n in 1..=3 {
        world.add_sentinel(&format!("s{n}"), &watched);
    }
    world.run_for(Span::secs(15));
    world
}

#[test]
fn many_masters_that_die_at_once_are_all_replaced_at_once() {
    for seed in 0..3 {
        let mut world = many(20, seed);
        let from = world.now;
        for pid in world.nodes().into_iter().step_by(2) {
            world.kill(pid);
        }
        let until = world.run_until("all are replaced", Span::secs(10), |world| world.promotions.len() == 20);
        let took = until.since(from);
        assert!(took <= Span::ms(1_500), "seed {seed}: the last one {} ms after the deaths", took.as_ms());
        world.run_for(Span::secs(2));
        for pid in world.sentinels() {
            for n in 0..20 {
                let view = world.sentinel(pid).views.get(&MasterName::from(format!("cache-{n}").as_str()));
                assert_eq!(
                    view.map(|view| world.name(world.at(&view.addr).expect("a node"))),
                    Some(&*format!("m{n}r"))
                );
            }
        }
    }
}

#[test]
fn a_sentinel_that_knows_nobody_yet_waits_before_it_stands() {
    for seed in 0..10 {
        let options = Options { down_after_ms: 300, quorum: 1, ..Options::seed(seed) };
        let mut world = World::group(options);
        let from = world.now;
        world.run_for(Span::ms(20));
        world.kill(world.pid("m"));
        // Two publish periods; everybody is known to everybody by then, or believed to be alone.
        world.run_for(Span::ms(3_900));
        for pid in world.sentinels() {
            let alone = world.view(pid, MASTER).is_some_and(|view| view.sentinels == 1);
            let tried = world.event_at(pid, from, "+try-failover").is_some();
            assert!(!alone || !tried, "seed {seed}: {} stands for election alone", world.name(pid));
        }
    }
}

#[test]
fn a_lone_sentinel_fails_over_alone() {
    for seed in 0..5 {
        let mut world = World::settled(Options { sentinels: 1, quorum: 1, ..Options::seed(seed) });
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(3));
    }
}
