//! What an operator says when sentinels are gone for good: FORGET, and RESET … FORCE (S10).

use vigia::engine::{Answer, Command, Span};

use crate::world::disk::DiskMode;
use crate::world::{MASTER, Options, World};
use crate::{id_of, name, switched, three};

fn order(world: &mut World, who: &str, command: Command) -> Answer {
    let pid = world.pid(who);
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

fn forget(world: &World, whom: &str) -> Command {
    Command::Forget { name: name(), run_id: id_of(world, whom) }
}

fn voters(world: &World, who: &str) -> usize {
    world.sentinel(world.pid(who)).disk.durable.masters[0].voters.len()
}

/// Two of five are left: no majority, until they are told that two are gone for good.
#[test]
fn forgotten_sentinels_no_longer_count_for_the_majority() {
    let mut world = World::settled(Options { sentinels: 5, ..Options::seed(21) });
    let old = world.pid("m");
    for gone in ["s3", "s4", "s5"] {
        world.kill(world.pid(gone));
    }
    world.kill(old);
    let from = world.now;
    world.run_for(Span::secs(30));
    assert_eq!(world.count_events(from, "+elected-leader"), 0);

    for (who, whom, left) in [("s1", "s3", 3), ("s2", "s3", 3), ("s1", "s4", 2), ("s2", "s4", 2)] {
        let command = forget(&world, whom);
        assert_eq!(order(&mut world, who, command.clone()), Answer::Ok);
        assert_eq!(voters(&world, who), left, "durable before +OK");
        let state = &world.sentinel(world.pid(who)).disk.durable.masters[0];
        assert_eq!(state.sentinels.len(), left, "its entry is gone as well");
        let error = Answer::Error("ERR No such Sentinel with that id".to_owned());
        assert_eq!(order(&mut world, who, command), error);
    }
    switched(&mut world, old, Span::secs(10));
    world.run_for(Span::secs(5));

    // A restart does not bring them back.
    let s1 = world.pid("s1");
    world.kill(s1);
    world.start(s1);
    world.run_for(Span::secs(1));
    assert_eq!((voters(&world, "s1"), world.view(s1, MASTER).map(|view| view.sentinels)), (2, Some(3)));
}

#[test]
fn forget_names_what_it_does_not_know() {
    let mut world = three(22);
    let s2 = id_of(&world, "s2");
    for (master, run_id, error) in [
        ("nobody", s2, "ERR No such master with that name"),
        (MASTER, "f".repeat(40).as_str().into(), "ERR No such Sentinel with that id"),
        (MASTER, id_of(&world, "s1"), "ERR No such Sentinel with that id"),
        (MASTER, "".into(), "ERR No such Sentinel with that id"),
    ] {
        let command = Command::Forget { name: master.into(), run_id };
        assert_eq!(order(&mut world, "s1", command), Answer::Error(error.to_owned()), "{master}");
    }
    assert_eq!(voters(&world, "s1"), 2);
}

#[test]
fn a_forgotten_sentinel_that_lives_comes_back_with_its_hello() {
    let mut world = three(23);
    let command = forget(&world, "s2");
    assert_eq!(order(&mut world, "s1", command), Answer::Ok);
    assert_eq!(voters(&world, "s1"), 1);
    world.run_for(Span::secs(3));
    assert_eq!(voters(&world, "s1"), 2);
}

#[test]
fn a_forget_that_cannot_be_saved_is_an_error() {
    let mut world = three(24);
    let s1 = world.pid("s1");
    world.set_disk(s1, DiskMode::Fails);
    for command in [forget(&world, "s2"), Command::ResetForce("*".into())] {
        let error = Answer::Error("ERR Failed to save config file. Check server logs.".to_owned());
        assert_eq!(order(&mut world, "s1", command), error);
    }
}

/// After RESET the old base holds; with FORCE only those that were heard again count, and whoever heard
/// nobody waits for them first.
#[test]
fn a_forced_reset_shrinks_the_base_of_the_majority_at_once() {
    for (force, elected) in [(false, 0), (true, 1)] {
        let mut world = World::settled(Options { sentinels: 5, ..Options::seed(25) });
        for gone in ["s3", "s4", "s5"] {
            world.kill(world.pid(gone));
        }
        world.run_for(Span::secs(1));
        for who in ["s1", "s2"] {
            let pattern = "my*".into();
            let command = if force { Command::ResetForce(pattern) } else { Command::Reset(pattern) };
            assert_eq!(order(&mut world, who, command), Answer::Integer(1));
            let left = if force { 0 } else { 4 };
            world.run_for(Span::ms(100));
            assert!(voters(&world, who) <= left + 1, "{who} has {} voters", voters(&world, who));
        }
        world.run_for(Span::secs(15));
        let (old, from) = (world.pid("m"), world.now);
        world.kill(old);
        world.run_for(Span::secs(30));
        assert_eq!(world.count_events(from, "+elected-leader"), elected, "force: {force}");
    }
}

#[test]
fn after_a_forced_reset_a_sentinel_that_knows_nobody_listens_first() {
    for seed in 0..10 {
        let options = Options { sentinels: 3, quorum: 1, down_after_ms: 200, ..Options::seed(seed) };
        let mut world = World::settled(options);
        let (s1, others) = (world.pid("s1"), [world.pid("s2"), world.pid("s3")]);
        world.cut(&[s1], &others);
        assert_eq!(order(&mut world, "s1", Command::ResetForce("nothing".into())), Answer::Integer(0));
        assert_eq!(order(&mut world, "s1", Command::ResetForce("*".into())), Answer::Integer(1));
        world.run_until("the replicas are back", Span::secs(2), |world| {
            world.view(s1, MASTER).is_some_and(|view| view.replicas == 2)
        });
        // The master lives, but only the others see it; what they say comes through the replicas.
        let (master, from) = (world.pid("m"), world.now);
        world.cut(&[s1], &[master]);
        world.run_for(Span::secs(3));
        let elected = world.event_at(s1, from, "+elected-leader");
        assert_eq!(elected, None, "seed {seed}: alone it led, though two others watch the master");
    }
}
