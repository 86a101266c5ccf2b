//! Which scripts are called, with what, and in which order.

use std::collections::BTreeSet;

use vigia::engine::{Answer, Command, ScriptEnd, Span, Time};

use crate::world::{Options, Pid, World};
use crate::{name, switched};

/// A settled group in which every sentinel has both scripts.
fn scripted(seed: u64) -> World {
    let mut world = World::settled(Options { deny_scripts: false, ..Options::seed(seed) });
    for pid in world.sentinels() {
        set(&mut world, pid, &["notification-script", "/notify", "client-reconfig-script", "/reconfig"]);
    }
    world
}

fn set(world: &mut World, pid: Pid, words: &[&str]) {
    let args = words.iter().map(|word| (*word).into()).collect();
    let ticket = world.command(pid, Command::Set { name: name(), args, not_executable: BTreeSet::new() });
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    assert_eq!(world.answer(ticket), Some(&Answer::Ok));
}

/// The command lines since `from`.
fn ran(world: &World, pid: Pid, from: Time) -> Vec<String> {
    let ran = world.sentinel(pid).scripts.iter().filter(|(at, _)| *at >= from);
    ran.map(|(_, argv)| argv.join(" ")).collect()
}

#[test]
fn every_warning_about_a_master_calls_the_notification_script() {
    let mut world = scripted(1);
    let (s1, from) = (world.pid("s1"), world.now);
    set(&mut world, s1, &["quorum", "1", "notification-script", "/other"]);
    let ticket = world.command(s1, Command::Remove(name()));
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    let m = world.procs[world.pid("m").0].addr.clone();
    let at = format!("mymaster {} {}", m.host, m.port);
    assert_eq!(
        ran(&world, s1, from),
        [
            format!("/notify +set master {at} quorum 1"),
            format!("/other +set master {at} notification-script /other"),
            format!("/other -monitor master {at}"),
        ]
    );
}

#[test]
fn clients_are_told_by_the_leader_before_the_switch_and_by_observers_after_it() {
    for seed in 0..10 {
        let mut world = scripted(seed);
        let (from, old) = (world.now, world.pid("m"));
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::ms(900));
        let old = world.procs[old.0].addr.clone();
        let new = world.view(world.pid("s1"), "mymaster").expect("a view").addr.clone();
        let addresses = format!("{} {} {} {}", old.host, old.port, new.host, new.port);
        for pid in world.sentinels() {
            let leads = world.event_at(pid, from, "+promoted-slave").is_some();
            let role = if leads { "leader" } else { "observer" };
            let ran = ran(&world, pid, from);
            let place = |start: &str| {
                let places: Vec<usize> = ran
                    .iter()
                    .enumerate()
                    .filter(|(_, line)| line.starts_with(start))
                    .map(|(at, _)| at)
                    .collect();
                assert_eq!(places.len(), 1, "seed {seed}: {start} in {ran:#?}");
                places[0]
            };
            let told = place("/reconfig");
            assert_eq!(ran[told], format!("/reconfig mymaster {role} start {addresses}"), "seed {seed}");
            let switch = place(&format!("/notify +switch-master mymaster {addresses}"));
            if leads {
                let reconf = place("/notify +failover-state-reconf-slaves");
                assert!(place("/notify +promoted-slave") < reconf && reconf < told, "seed {seed}: {ran:#?}");
                assert!(told < switch, "seed {seed}: {ran:#?}");
            } else {
                assert!(told > switch, "seed {seed}: {ran:#?}");
            }
            let silent = ["+slave ", "+script-child", "+role-change", "+slave-reconf"];
            let wrong = |line: &String| silent.iter().any(|kind| line.contains(&format!(" {kind}")));
            assert!(!ran.iter().any(wrong), "seed {seed}: {ran:#?}");
        }
    }
}

/// No process can be made: told at each run, and tried again like a script that fails.
#[test]
fn a_script_for_which_there_is_no_process_is_told_and_tried_again() {
    let mut world = scripted(2);
    let (s1, from) = (world.pid("s1"), world.now);
    world.sentinel_mut(s1).script_end = Some(ScriptEnd::NotStarted);
    set(&mut world, s1, &["quorum", "2"]);
    world.run_for(Span::secs(100));
    world.sentinel_mut(s1).script_end = Some(ScriptEnd::Exited(0));
    world.run_for(Span::secs(300));
    let line =
        format!("/notify +set master mymaster {} 6379 quorum 2", world.procs[world.pid("m").0].addr.host);
    assert_eq!(ran(&world, s1, from), vec![line; 4], "at once, after 30, 60 and 120 s");
    let told = world.events(s1).into_iter().filter(|(_, event)| event.starts_with("-script-error"));
    assert_eq!(told.map(|(_, event)| event).collect::<Vec<_>>(), vec!["-script-error /notify 99 0"; 3]);
}

/// What was called before a master was removed still runs, also when it is to be tried again.
#[test]
fn a_removed_masters_scripts_still_run() {
    let mut world = scripted(3);
    let (s1, from) = (world.pid("s1"), world.now);
    world.sentinel_mut(s1).script_end = Some(ScriptEnd::Exited(1));
    let ticket = world.command(s1, Command::Remove(name()));
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.run_for(Span::secs(31));
    let ran = ran(&world, s1, from);
    assert_eq!(ran.len(), 2, "{ran:?}");
    assert!(ran.iter().all(|line| line.starts_with("/notify -monitor master mymaster ")), "{ran:?}");
}
