//! SDOWN: not before D, soon after, and never for a reason that is not the other side's.

use std::collections::BTreeSet;

use vigia::engine::{Command, Span};

use crate::world::{Options, Pid, World};
use crate::{assert_no_sdown, first_sdown, name, three};

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
            // Nobody fails over: the quorum is out of reach.
            let mut world = World::settled(Options { down_after_ms, quorum: 9, ..Options::seed(seed) });
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
            // Nobody fails over: the quorum is out of reach.
            let mut world = World::settled(Options { down_after_ms, quorum: 9, ..Options::seed(seed) });
            let phase = world.rng.below(2_000_000);
            world.run_for(Span(phase));
            let began = world.now;
            if seed.is_multiple_of(2) {
                world.stop(world.pid("m"))
            } else {
                world.host_down(world.pid("m"))
            }
            world.run_for(Span::ms(down_after_ms + 1_100));
            // What a vanished host sent last is lost with it: the PING may be two ways through the network old.
            let early = Span(2 * world.options.latency_us.1);
            for pid in world.sentinels() {
                let Some(sdown) = world.event_at(pid, began, "+sdown master") else {
                    world.fail(&format!("no +sdown at {} for D {down_after_ms}", world.name(pid)));
                };
                let sdown = sdown.since(began);
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

#[test]
fn a_connect_that_hangs_for_a_while_is_no_reason_for_sdown() {
    for down_after_ms in DS {
        for seed in 0..6 {
            let mut world = World::settled(Options { down_after_ms, ..Options::seed(seed) });
            let from = world.now;
            let (s1, m) = (world.pid("s1"), world.pid("m"));
            // The connections are gone and the first packets of new ones are lost for 70 % of D.
            world.reset_clients(m);
            world.run_for(Span::ms(2));
            world.reset_clients(m);
            world.cut(&[s1], &[m]);
            world.run_for(Span::ms(down_after_ms * 7 / 10));
            world.heal();
            world.run_for(Span::ms(3 * down_after_ms));
            assert_no_sdown(&world, from, "attempts that hang are restarted at the pace of min(1 s, D/10)");
        }
    }
}

/// With a grace shorter than the pace of PING, too: the first PONG after the reboot ends it.
#[test]
fn a_rebooted_master_that_answers_is_up() {
    for seed in 0..10 {
        let mut world = World::settled(Options { down_after_ms: 10_000, quorum: 9, ..Options::seed(seed) });
        for pid in world.sentinels() {
            let args = vec!["master-reboot-down-after-period".into(), "200".into()];
            let set = Command::Set { name: name(), args, not_executable: BTreeSet::new() };
            world.command(pid, set);
        }
        world.run_for(Span::ms(100));
        let (from, m) = (world.now, world.pid("m"));
        world.kill(m);
        world.run_for(Span::ms(300));
        world.start(m);
        world.run_for(Span::secs(12));
        assert_eq!(world.count_events(from, "+reboot master"), 3, "seed {seed}");
        assert_no_sdown(&world, from, "it answers");
        world.kill(m);
        world.run_for(Span::ms(300));
        world.start_loading(m, Span::secs(4));
        world.run_for(Span::secs(3));
        assert_eq!(
            world.count_events(from, "+sdown master"),
            3,
            "seed {seed}: it loads for longer than its grace"
        );
    }
}
