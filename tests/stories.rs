//! Stories of whole groups on virtual time, through the public contract of the engine.
//!
//! Every story runs under the safety oracles of `tests/world/oracles`. `VIGIA_EPISODES` sets the number of
//! random episodes, `VIGIA_EPISODE_FROM` their first seed.

mod world;

use std::collections::BTreeSet;

use vigia::engine::{Answer, Command, MasterName, Millis, Span, Status, Time};
use world::disk::DiskMode;
use world::episode;
use world::node::Role;
use world::{MASTER, Options, Pid, World};

fn name() -> MasterName {
    MasterName::from(MASTER)
}

/// A settled group of five with a failover-timeout of 10 s.
fn five(seed: u64) -> World {
    World::settled(Options { sentinels: 5, quorum: 3, ..Options::seed(seed) })
}

fn three(seed: u64) -> World {
    World::settled(Options::seed(seed))
}

/// Waits until every living sentinel has switched to another master than `old`.
fn switched(world: &mut World, old: Pid, limit: Span) -> Time {
    let old = world.procs[old.0].addr.clone();
    world.run_until("every sentinel switched", limit, |world| {
        world.live_sentinels().iter().all(|pid| {
            world.view(*pid, MASTER).is_some_and(|view| view.configured != old && view.addr != old)
        })
    })
}

/// How long after `from` the first SDOWN of the master came, if any.
fn first_sdown(world: &World, from: Time) -> Option<Span> {
    let times = world.sentinels().into_iter().filter_map(|pid| world.event_at(pid, from, "+sdown master"));
    times.min().map(|at| at.since(from))
}

fn assert_no_sdown(world: &World, from: Time, why: &str) {
    if let Some(after) = first_sdown(world, from) {
        world.fail(&format!("false +sdown {} us after it began: {why}", after.0));
    }
}

// The world itself.

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut world = World::group(Options::seed(seed));
        world.run_for(Span::secs(5));
        world.kill(world.pid("m"));
        world.run_for(Span::secs(5));
        world.trace.fingerprint()
    };
    assert_eq!(trace(42), trace(42));
    assert_ne!(trace(42), trace(43));
}

#[test]
fn the_modelled_stock_sentinels_fail_over_among_themselves() {
    let options = Options { sentinels: 0, stock: 3, stock_candidates: true, ..Options::seed(1) };
    let mut world = World::group(options);
    world.run_for(Span::secs(6));
    world.kill(world.pid("m"));
    world.run_until("a replica is promoted", Span::secs(30), |world| world.promotions.len() == 1);
    world.run_until("all switched", Span::secs(5), |world| {
        world.stocks().iter().all(|pid| world.stock(*pid).master != world.procs[0].addr)
    });
}

#[test]
fn a_group_gets_to_know_itself() {
    for seed in 0..20 {
        let world = three(seed);
        for pid in world.sentinels() {
            let view = world.view(pid, MASTER).expect("a view");
            assert_eq!((view.status, view.sentinels, view.replicas), (Status::Ok, 3, 2), "seed {seed}");
        }
        assert_eq!(world.count_events(Time(0), "+sentinel"), 6, "each of three found two others");
        assert_eq!(world.count_events(Time(0), "+slave"), 6, "each of three found two replicas");
        assert_no_sdown(&world, Time(0), "nothing happened");
    }
}

// Detection.

/// Values of D that the rules about silence are proven for.
const DS: [u64; 7] = [100, 200, 500, 1_000, 3_000, 10_000, 30_000];

/// Upper bound of detection: D + P + 20 ms, P = min(1 s, max(10 ms, D/10)), and what the world adds.
fn latest_sdown(world: &World) -> Span {
    let d = world.options.down_after_ms;
    Span::ms(d + (d / 10).clamp(10, 1_000) + 20)
        + Span(world.options.timer_late_us + 2 * world.options.latency_us.1)
}

#[test]
fn sdown_comes_after_d_and_not_before_when_the_master_is_killed() {
    for (at, down_after_ms) in DS.into_iter().enumerate() {
        for seed in 0..8 {
            let seed = seed + 100 * at as u64;
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let phase = world.rng.below(2_000_000);
            world.run_for(Span(phase));
            let killed = world.now;
            world.kill(world.pid("m"));
            world.run_for(Span::ms(down_after_ms + 1_100));
            let first = first_sdown(&world, killed).expect("+sdown");
            // The oldest unanswered PING may have been sent one way through the network before the kill.
            let early = Span(world.options.latency_us.1);
            assert!(first + early >= Span::ms(down_after_ms), "seed {seed} D {down_after_ms}: {first:?}");
            for pid in world.sentinels() {
                let sdown = world.event_at(pid, killed, "+sdown master").expect("+sdown").since(killed);
                let latest = latest_sdown(&world);
                assert!(sdown <= latest, "seed {seed} D {down_after_ms}: {sdown:?} > {latest:?}");
            }
        }
    }
}

#[test]
fn sdown_comes_after_d_and_not_before_when_the_master_hangs_or_vanishes() {
    for (at, down_after_ms) in DS.into_iter().enumerate() {
        for seed in 0..8 {
            let seed = seed + 100 * at as u64;
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let phase = world.rng.below(2_000_000);
            world.run_for(Span(phase));
            let began = world.now;
            if seed.is_multiple_of(2) {
                world.stop(world.pid("m"))
            } else {
                world.host_down(world.pid("m"))
            }
            world.run_for(Span::ms(down_after_ms + 1_100));
            let early = Span(world.options.latency_us.1);
            for pid in world.sentinels() {
                let sdown = world.event_at(pid, began, "+sdown master").expect("+sdown").since(began);
                let latest = latest_sdown(&world);
                assert!(sdown + early >= Span::ms(down_after_ms), "seed {seed} D {down_after_ms}: {sdown:?}");
                assert!(sdown <= latest, "seed {seed} D {down_after_ms}: {sdown:?} > {latest:?}");
            }
        }
    }
}

#[test]
fn killed_connections_are_no_reason_for_sdown() {
    for down_after_ms in DS {
        for seed in 0..6 {
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let from = world.now;
            for _ in 0..10 {
                world.reset_clients(world.pid("m"));
                let pause = world.rng.below(300_000);
                world.run_for(Span(pause));
            }
            world.run_for(Span::ms(2 * down_after_ms));
            assert_no_sdown(&world, from, "only connections were cut");
        }
    }
}

#[test]
fn a_restart_within_d_is_no_reason_for_sdown() {
    for down_after_ms in DS {
        for seed in 0..6 {
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let from = world.now;
            world.kill(world.pid("m"));
            // Reconnection is tried every min(1 s, D/10), with jitter; then a round trip, and the PING's.
            let back = down_after_ms - (down_after_ms / 5).min(2_000) - 10;
            world.run_for(Span::ms(back));
            world.start(world.pid("m"));
            world.run_for(Span::ms(3 * down_after_ms));
            assert_no_sdown(&world, from, "it was back within D");
            assert_eq!(world.promotions.len(), 0, "seed {seed}");
        }
    }
}

#[test]
fn a_hang_shorter_than_d_is_no_reason_for_sdown() {
    for down_after_ms in DS {
        for seed in 0..6 {
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let from = world.now;
            world.stop(world.pid("m"));
            world.run_for(Span::ms(down_after_ms * 4 / 5));
            world.cont(world.pid("m"));
            world.run_for(Span::ms(3 * down_after_ms));
            assert_no_sdown(&world, from, "it answered within D");
        }
    }
}

#[test]
fn an_own_stall_is_no_evidence_against_others() {
    for down_after_ms in DS {
        for seed in 0..6 {
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let from = world.now;
            world.stop(world.pid("s1"));
            let stall = down_after_ms / 2 + world.rng.below(5 * down_after_ms);
            world.run_for(Span::ms(stall));
            world.cont(world.pid("s1"));
            world.run_for(Span::ms(2 * down_after_ms));
            let s1 = world.pid("s1");
            if world.event_at(s1, from, "+sdown").is_some_and(|at| at >= from) {
                world.fail("a stall of its own made a sentinel see others down");
            }
        }
    }
}

#[test]
fn a_loading_master_is_up() {
    let mut world = three(3);
    let from = world.now;
    world.kill(world.pid("m"));
    world.run_for(Span::ms(300));
    world.start_loading(world.pid("m"), Span::secs(20));
    world.run_for(Span::secs(15));
    assert_no_sdown(&world, from, "LOADING is an acceptable answer");
}

#[test]
fn a_master_that_wants_a_password_is_down() {
    let mut world = three(4);
    let from = world.now;
    world.node_mut(Pid(0)).password = Some("secret".to_owned());
    world.run_for(Span::secs(3));
    assert!(first_sdown(&world, from).is_some(), "NOAUTH is no acceptable answer");
}

// Agreement and election.

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
        // Without links to a majority no epoch is minted.
        assert_eq!(world.count_events(from, "+new-epoch"), 0, "seed {seed}");
    }
}

#[test]
fn ranked_candidates_need_one_election_and_one_epoch() {
    for seed in 0..30 {
        let mut world = five(seed);
        let from = world.now;
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::secs(3));
        assert_eq!(world.count_events(from, "+try-failover"), 1, "seed {seed}");
        assert_eq!(world.count_events(from, "+elected-leader"), 1, "seed {seed}");
        assert_eq!(world.promotions.len(), 1, "seed {seed}");
        for pid in world.sentinels() {
            assert_eq!(world.view(pid, MASTER).map(|view| view.config_epoch.0), Some(1), "seed {seed}");
        }
    }
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

// The failover.

/// The order of a leader's events, one word a line; the two kinds that may come or stay away are left out.
fn leader_story(world: &World, from: Time) -> Vec<String> {
    let leader = world
        .sentinels()
        .into_iter()
        .find(|pid| world.event_at(*pid, from, "+elected-leader").is_some())
        .expect("a leader");
    let events = world.events(leader).into_iter().filter(|(at, _)| *at >= from);
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
        world.node_mut(world_pid(&world, "r1")).priority = 0;
        world.node_mut(world_pid(&world, "r2")).priority = 50;
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
        world.node_mut(world_pid(&world, replica)).priority = 0;
    }
    world.run_for(Span::secs(11));
    world.kill(world.pid("m"));
    world.run_for(Span::secs(6));
    assert!(world.count_events(from, "-failover-abort-no-good-slave") >= 1);
    assert_eq!(world.promotions.len(), 0);
    world.node_mut(world_pid(&world, "r1")).priority = 10;
    let old = world.pid("m");
    switched(&mut world, old, Span::secs(21));
    assert_eq!(world.name(world.promotions[0].1), "r1");
}

fn world_pid(world: &World, name: &str) -> Pid {
    world.pid(name)
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
        world.node_mut(world_pid(&world, node)).rewrite_fails = true;
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
        world
            .node_mut(world_pid(&world, node))
            .refused
            .insert("slaveof", "NOPERM this user has no permissions");
    }
    world.kill(world.pid("m"));
    world.run_for(Span::secs(20));
    assert_eq!(world.promotions.len(), 0);
    assert!(world.count_events(from, "-failover-abort") >= 1, "no state without an end (L3)");
}

// Operators.

fn answer(world: &mut World, pid: Pid, command: Command) -> Answer {
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

#[test]
fn a_forced_failover_moves_a_healthy_master() {
    for seed in 0..10 {
        let mut world = three(seed);
        let (old, s1) = (world.pid("m"), world.pid("s1"));
        assert_eq!(answer(&mut world, s1, Command::Failover(name())), Answer::Ok);
        switched(&mut world, old, Span::secs(5));
        episode::until_converged(&mut world, Span::secs(5));
        world.run_for(Span::secs(15));
        assert_eq!(world.promotions.len(), 1, "seed {seed}");
        assert_eq!(episode::converged(&world), Ok(()), "seed {seed}");
    }
}

#[test]
fn two_forced_failovers_at_the_same_moment_end_in_one_configuration() {
    for seed in 0..40 {
        let mut world = three(seed);
        let (s1, s2) = (world.pid("s1"), world.pid("s2"));
        world.command(s1, Command::Failover(name()));
        let gap = world.rng.below(3_000);
        world.run_for(Span(gap));
        world.command(s2, Command::Failover(name()));
        world.run_for(Span::secs(3));
        episode::until_converged(&mut world, Span::secs(3));
        world.run_for(Span::secs(12));
        assert_eq!(episode::converged(&world), Ok(()), "seed {seed}");
    }
}

#[test]
fn a_reset_keeps_the_base_of_the_majority() {
    let mut world = five(11);
    let s1 = world.pid("s1");
    let from = world.now;
    // Alone with the replicas after RESET, it must not think that it is the whole group.
    let right = vec![world.pid("s2"), world.pid("s3"), world.pid("s4"), world.pid("s5"), world.pid("m")];
    assert_eq!(answer(&mut world, s1, Command::Reset("*".into())), Answer::Integer(1));
    world.cut(&[s1], &right);
    let set = Command::Set {
        name: name(),
        args: vec!["quorum".into(), "1".into()],
        not_executable: BTreeSet::new(),
    };
    assert_eq!(answer(&mut world, s1, set), Answer::Ok);
    world.run_for(Span::secs(30));
    assert_eq!(world.view(s1, MASTER).map(|view| view.sentinels), Some(1), "the list itself is empty");
    assert_eq!(world.count_events(from, "+elected-leader"), 0);
    assert_eq!(world.promotions.len(), 0);
}

#[test]
fn down_after_can_be_changed_at_run_time() {
    let mut world = World::settled(Options { down_after_ms: 30_000, ..Options::seed(12) });
    for pid in world.sentinels() {
        let args = vec!["down-after-milliseconds".into(), "500".into()];
        let set = Command::Set { name: name(), args, not_executable: BTreeSet::new() };
        assert_eq!(answer(&mut world, pid, set), Answer::Ok);
        world.run_for(Span::secs(1));
        let state = &world.sentinel(pid).disk.durable;
        assert_eq!(state.masters[0].settings.down_after, Millis(500));
    }
    let from = world.now;
    world.kill(world.pid("m"));
    world.run_for(Span::ms(700));
    assert!(first_sdown(&world, from).is_some_and(|after| after <= Span::ms(580)));
}

// Disks.

#[test]
fn a_failing_disk_stops_votes_but_not_monitoring() {
    for mode in [DiskMode::Fails, DiskMode::Hangs] {
        let mut world = three(13);
        let from = world.now;
        for pid in world.sentinels() {
            world.set_disk(pid, mode);
        }
        world.kill(world.pid("m"));
        world.run_for(Span::secs(8));
        assert_eq!(world.count_events(from, "+sdown master"), 3, "{mode:?}: monitoring goes on");
        assert!(world.count_events(from, "+odown") >= 1, "{mode:?}: the down flag is answered");
        assert_eq!(world.count_events(from, "+elected-leader"), 0, "{mode:?}");
        assert_eq!(world.promotions.len(), 0, "{mode:?}");
        for pid in world.sentinels() {
            world.set_disk(pid, DiskMode::Works);
        }
        let old = world.pid("m");
        switched(&mut world, old, Span::secs(25));
    }
}

#[test]
fn one_failing_disk_in_three_does_not_stop_the_group() {
    for mode in [DiskMode::Fails, DiskMode::Hangs] {
        for seed in 0..10 {
            let mut world = three(seed);
            let (old, bad) = (world.pid("m"), world.pid("s2"));
            world.set_disk(bad, mode);
            let from = world.now;
            world.kill(old);
            switched(&mut world, old, Span::secs(8));
            assert!(world.event_at(bad, from, "+elected-leader").is_none(), "seed {seed} {mode:?}");
        }
    }
}

#[test]
fn a_crash_does_not_change_a_vote() {
    for seed in 0..30 {
        let mut world = three(seed);
        let old = world.pid("m");
        world.kill(old);
        let when = world.rng.within((950, 1_060));
        world.run_for(Span::ms(when));
        let victim = *world.rng.pick(&[world.pid("s1"), world.pid("s2"), world.pid("s3")]);
        world.kill(victim);
        let pause = world.rng.below(20_000);
        world.run_for(Span(pause));
        world.start(victim);
        switched(&mut world, old, Span::secs(15));
    }
}

// Everything at once.

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_episodes_end_well() {
    let from = number("VIGIA_EPISODE_FROM", 0);
    let count = number("VIGIA_EPISODES", 200);
    let mut failed = Vec::new();
    for seed in from..from + count {
        if std::panic::catch_unwind(|| episode::run(seed)).is_err() {
            eprintln!("options: {:?}", episode::options(seed));
            eprintln!("again: VIGIA_EPISODE_FROM={seed} VIGIA_EPISODES=1 cargo test --test stories random");
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "{} of {count} episodes failed: {failed:?}", failed.len());
}

#[test]
fn a_cut_and_healed_group_agrees_within_two_seconds() {
    for seed in 0..20 {
        let mut world = five(seed);
        let left = vec![world.pid("m"), world.pid("s1")];
        let right = world.others(&left);
        world.cut(&left, &right);
        world.run_for(Span::secs(10));
        assert_eq!(world.promotions.len(), 1, "seed {seed}: the majority goes on");
        world.heal();
        let healed = world.now;
        let done = episode::until_converged(&mut world, Span::secs(20));
        assert!(done.since(healed) <= Span::ms(3_200), "seed {seed}: {} ms", done.since(healed).as_ms());
        assert!(matches!(world.node(world.pid("m")).role, Role::Replica(_)), "seed {seed}");
    }
}

#[test]
fn a_stock_peer_in_the_group_votes_and_follows() {
    for seed in 0..10 {
        let mut world = World::settled(Options { sentinels: 2, stock: 1, ..Options::seed(seed) });
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(25));
        let stock = world.stocks()[0];
        let addr = world.procs[old.0].addr.clone();
        world.run_until("the stock peer follows", Span::secs(5), |world| world.stock(stock).master != addr);
        world.start(old);
        episode::until_converged(&mut world, Span::secs(25));
    }
}
