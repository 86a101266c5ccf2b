//! What operators order: FAILOVER, RESET, SET.

use std::collections::BTreeSet;

use vigia::engine::{Answer, Command, Millis, Span};

use crate::world::{MASTER, Options, Pid, World, episode};
use crate::{first_sdown, name, switched, three};

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

/// A lone sentinel with the quorum of 2 that the packaged configuration has, and a group whose quorum is all
/// of its sentinels while one is down: stock obeys the order in both.
#[test]
fn a_forced_failover_needs_a_majority_but_no_quorum() {
    for (sentinels, quorum, killed) in [(1, 2, None), (3, 3, Some("s3"))] {
        let mut world = World::settled(Options { sentinels, quorum, ..Options::seed(3) });
        if let Some(name) = killed {
            world.kill(world.pid(name));
            world.run_for(Span::secs(3));
        }
        let (old, s1, from) = (world.pid("m"), world.pid("s1"), world.now);
        assert_eq!(answer(&mut world, s1, Command::Failover(name())), Answer::Ok);
        switched(&mut world, old, Span::secs(5));
        assert_eq!(world.count_events(from, "-failover-abort-not-elected"), 0, "quorum {quorum}");
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
    let mut forgotten = 0;
    for seed in 0..20 {
        let mut world = World::settled(Options { sentinels: 5, quorum: 1, ..Options::seed(seed) });
        let (s1, from) = (world.pid("s1"), world.now);
        assert_eq!(answer(&mut world, s1, Command::Reset("*".into())), Answer::Integer(1));
        world.run_until("the replicas are known again", Span::secs(12), |world| {
            world.view(s1, MASTER).is_some_and(|view| view.replicas == 2)
        });
        forgotten += usize::from(world.view(s1, MASTER).is_some_and(|view| view.sentinels < 3));
        // Alone with the replicas, it must not take the few that it knows for the whole group.
        let left = [s1, world.pid("r1"), world.pid("r2")];
        world.cut(&left, &world.others(&left));
        world.run_for(Span::secs(30));
        assert!(world.count_events(from, "+odown") >= 1, "seed {seed}: quorum is 1");
        assert_eq!(world.count_events(from, "+elected-leader"), 0, "seed {seed}");
        assert_eq!(world.promotions.len(), 0, "seed {seed}");
    }
    assert!(forgotten > 0, "no seed had a sentinel that knew less than a majority after RESET");
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

#[test]
fn garbage_in_hellos_harms_nobody() {
    let mut world = three(14);
    let id = "f".repeat(40);
    let max = u64::MAX;
    let garbage = [
        String::new(),
        ",,,,,,,".to_owned(),
        "10.0.9.9,26379".to_owned(),
        format!("10.0.9.9,26379,{id},{max},mymaster,10.0.0.9,6379,{max}"),
        format!("10.0.9.9,26379,{id},-1,mymaster,10.0.0.9,6379,-1"),
        format!("10.0.9.9,26379,{id},x,mymaster,10.0.0.9,6379,y"),
        format!("10.0.9.9,99999,{id},1,mymaster,10.0.0.9,6379,1"),
        format!("10.0.9.9,26379,{id},1,mymaster,10.0.0.9,-5,1"),
        format!("10.0.9.9,26379,{id},1,nobody,10.0.0.9,6379,1"),
        format!("10.0.9.9,26379,{id},1,mymaster,10.0.0.9,6379,1,extra"),
        format!(",26379,{id},1,mymaster,,6379,1"),
        "\u{0}\u{7f},\n".repeat(300),
    ];
    for pid in world.sentinels() {
        for payload in &garbage {
            answer(&mut world, pid, Command::Hello(payload.as_str().into()));
        }
    }
    world.run_for(Span::secs(5));
    for pid in world.sentinels() {
        let state = &world.sentinel(pid).disk.durable;
        assert!(state.current_epoch.0 < 10 && state.masters[0].config_epoch.0 < 10, "poisoned: {state:?}");
    }
    let old = world.pid("m");
    assert_eq!(episode::converged(&world), Ok(()));
    world.kill(old);
    switched(&mut world, old, Span::secs(5));
}

#[test]
fn a_leader_that_crashes_on_purpose_is_replaced() {
    for (flag, seeds) in [("crash-after-election", 0..5), ("crash-after-promotion", 5..10)] {
        for seed in seeds {
            let mut world = three(seed);
            let old = world.pid("m");
            for pid in world.sentinels() {
                let command = Command::SimulateFailure(vec![flag.into()]);
                assert_eq!(answer(&mut world, pid, command), Answer::Ok);
            }
            world.kill(old);
            world.run_until("the leader crashes", Span::secs(5), |world| world.live_sentinels().len() == 2);
            for pid in world.live_sentinels() {
                assert_eq!(
                    answer(&mut world, pid, Command::SimulateFailure(vec!["help".into()])),
                    Answer::Words(vec!["crash-after-election".into(), "crash-after-promotion".into()])
                );
            }
            switched(&mut world, old, Span::secs(40));
        }
    }
}
