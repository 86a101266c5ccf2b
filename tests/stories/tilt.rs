//! TILT: its faces are stock's, and what it stops is two seconds, not thirty.

use std::collections::BTreeSet;

use vigia::engine::{Answer, Command, Input, Span, Time};

use crate::world::{MASTER, Options, Pid, World};
use crate::{assert_no_sdown, name, switched, three};

const LOOK: Span = Span::secs(2);

fn answer(world: &mut World, pid: Pid, command: Command) -> Answer {
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

fn debug(world: &mut World, pid: Pid, words: &[&str]) {
    let words = words.iter().map(|word| (*word).into()).collect();
    assert_eq!(answer(world, pid, Command::Debug(words)), Answer::Ok);
}

fn pause(world: &mut World, pid: Pid, length: Span) {
    world.stop(pid);
    world.run_for(length);
    world.cont(pid);
}

/// Its own `+tilt` and `-tilt` since `from`.
fn tilts(world: &World, pid: Pid, from: Time) -> Vec<(u64, String)> {
    let events = world.events(pid).into_iter().filter(|(at, _)| *at >= from);
    let own = events.filter(|(_, line)| line.contains("tilt "));
    own.map(|(at, line)| (at.since(from).as_ms(), line)).collect()
}

/// The down flag that a sentinel shows of the first master.
fn flag(world: &mut World, pid: Pid) -> bool {
    let addr = world.procs[0].addr.clone();
    let ask = Command::IsMasterDown { host: addr.host, port: addr.port.into(), epoch: 0, candidate: None };
    let answer = answer(world, pid, ask);
    let Answer::Down { down, .. } = answer else { world.fail(&format!("no flag but {answer:?}")) };
    down
}

#[test]
fn a_pause_is_told_with_its_length_and_again_at_its_end() {
    let mut world = three(1);
    let s1 = world.pid("s1");
    pause(&mut world, s1, Span::ms(1_900));
    assert_eq!(tilts(&world, s1, Time(0)), [], "not longer than tilt-trigger");
    pause(&mut world, s1, Span::ms(3_000));
    let from = world.now;
    world.run_for(Span::secs(20));
    pause(&mut world, s1, Span::ms(2_500));
    world.run_for(Span::secs(40));
    let told = tilts(&world, s1, from);
    let starts: Vec<&str> = told.iter().map(|(_, line)| line.split(',').next().expect("a word")).collect();
    assert_eq!(starts, ["+tilt #tilt mode entered", "+tilt #tilt mode entered", "-tilt #tilt mode exited"]);
    assert_eq!(told[2].1, "-tilt #tilt mode exited");
    assert_eq!((told[1].0, told[2].0), (22_500, 52_500), "a second pause begins the period anew");
    // A deadline was at most a tenth of tilt-trigger away.
    let late: u64 = told[0].1.split([',', ' ']).find_map(|word| word.parse().ok()).expect("a number");
    assert!((2_800..=3_000).contains(&late), "{told:?}");
    assert!(told[0].1.contains(" ms late: this process did not run; it was stopped"), "{told:?}");
    for other in ["s2", "s3"] {
        assert_eq!(tilts(&world, world.pid(other), Time(0)), []);
    }
    assert_no_sdown(&world, Time(0), "nobody was down but s1");
}

#[test]
fn debug_changes_trigger_and_period() {
    let mut world = three(2);
    let s1 = world.pid("s1");
    debug(&mut world, s1, &["tilt-trigger", "100", "tilt-period", "700"]);
    pause(&mut world, s1, Span::ms(150));
    let from = world.now;
    world.run_for(Span::secs(1));
    let told: Vec<u64> = tilts(&world, s1, from).into_iter().map(|(at, _)| at).collect();
    assert_eq!(told, [0, 700]);
    pause(&mut world, s1, Span::ms(150));
    let from = world.now;
    world.run_for(Span::ms(300));
    debug(&mut world, s1, &["tilt-period", "200"]);
    assert_eq!(tilts(&world, s1, from).len(), 2, "a shorter period counts at once");
}

#[test]
fn a_sentinel_without_masters_has_a_tilt_that_ends() {
    let mut world = World::new(Options::seed(3));
    let s1 = world.add_sentinel("s1", &[]);
    world.run_for(Span::secs(1));
    pause(&mut world, s1, Span::secs(3));
    world.run_for(Span::secs(31));
    assert_eq!(tilts(&world, s1, Time(0)).len(), 2, "the original's would never end");
}

/// Two sentinels, both needed. One is paused while the master dies: the failover comes as if the paused one had
/// been started at the end of its pause, not after tilt-period.
#[test]
fn a_pause_does_not_stop_the_failover_that_needs_it() {
    for seed in 0..20 {
        for (pause, down_after_ms) in [(3, 1_000), (8, 1_000), (3, 5_000), (20, 5_000)] {
            let options = Options { sentinels: 2, down_after_ms, ..Options::seed(seed) };
            let mut world = World::settled(options);
            let (s1, old) = (world.pid("s1"), world.pid("m"));
            world.stop(s1);
            world.run_for(Span::ms(500));
            world.kill(old);
            world.run_for(Span::secs(pause));
            assert_eq!(world.promotions.len(), 0, "nobody else can decide this");
            world.cont(s1);
            let from = world.now;
            let done = switched(&mut world, old, Span::ms(down_after_ms) + Span::secs(3)).since(from);
            assert!(world.event_at(s1, from, "+tilt").is_some(), "seed {seed}");
            assert!(world.event_at(s1, from, "-tilt").is_none(), "seed {seed}: TILT is not over, and shown");
            let limit = LOOK.max(Span::ms(down_after_ms)) + Span::ms(700);
            assert!(done <= limit, "seed {seed} D {down_after_ms}: {} ms", done.as_ms());
        }
    }
}

/// What was down before the pause may have come back: nobody is told that it is down, and nobody is asked to
/// fail it over, before it was looked at again.
#[test]
fn what_was_down_before_the_pause_is_looked_at_again_first() {
    for seed in 0..20 {
        let mut world = World::settled(Options { sentinels: 2, down_after_ms: 5_000, ..Options::seed(seed) });
        let (s1, s2, m) = (world.pid("s1"), world.pid("s2"), world.pid("m"));
        // s1 is alone with a master that hangs, so that it cannot win an election.
        world.cut(&[s1], &[s2]);
        world.stop(m);
        world.run_until("+sdown", Span::secs(8), |world| {
            world.event_at(s1, Time(0), "+sdown master").is_some()
        });
        world.run_for(Span::secs(1));
        assert!(flag(&mut world, s1), "it is down");
        world.stop(s1);
        world.run_for(Span::secs(3));
        world.heal();
        let from = world.now;
        assert!(!flag(&mut world, s1), "seed {seed}: in doubt");
        world.run_for(Span::secs(20));
        assert_eq!(world.event_at(s1, from, "+try-failover"), None, "seed {seed}");
        assert!(world.event_at(s1, from, "-sdown master").is_some(), "seed {seed}: it answers, so it is up");
        assert_eq!(world.promotions.len(), 0, "seed {seed}");
    }
}

/// It is still down: then it is said again after the look, although TILT is still shown.
#[test]
fn what_is_still_down_after_the_look_is_down() {
    let mut world = World::settled(Options { sentinels: 2, replicas: 0, ..Options::seed(4) });
    let (s1, m) = (world.pid("s1"), world.pid("m"));
    world.kill(m);
    world.run_for(Span::secs(3));
    pause(&mut world, s1, Span::secs(3));
    let from = world.now;
    assert!(!flag(&mut world, s1));
    world.run_for(Span::ms(900));
    assert!(!flag(&mut world, s1), "D is 1 s");
    world.run_for(Span::ms(200));
    assert!(flag(&mut world, s1));
    assert_eq!(tilts(&world, s1, from).len(), 1);
}

#[test]
fn votes_and_orders_are_served_in_tilt() {
    let mut world = three(5);
    let (s1, old) = (world.pid("s1"), world.pid("m"));
    pause(&mut world, s1, Span::secs(3));
    let addr = world.procs[old.0].addr.clone();
    let candidate = "c".repeat(40);
    let ask = Command::IsMasterDown {
        host: addr.host,
        port: addr.port.into(),
        epoch: 9,
        candidate: Some(candidate.as_str().into()),
    };
    let Answer::Down { down, leader, epoch } = answer(&mut world, s1, ask) else { panic!("no vote") };
    assert_eq!((down, leader.as_deref(), epoch.0), (false, Some(candidate.as_str()), 9));
    let s2 = world.pid("s2");
    pause(&mut world, s2, Span::secs(3));
    assert_eq!(answer(&mut world, s2, Command::Failover(name())), Answer::Ok);
    switched(&mut world, old, Span::secs(12));
}

/// While it was paused the others failed over. What it believed before is out of date; it must not turn the new
/// master back (the oracles watch), and learns of it at once.
#[test]
fn a_failover_that_was_slept_through_is_accepted() {
    for seed in 0..30 {
        let mut world = three(seed);
        let (s1, old) = (world.pid("s1"), world.pid("m"));
        world.kill(old);
        let moment = world.rng.below(1_600);
        world.run_for(Span::ms(moment));
        let length = Span::secs(3 + world.rng.below(15));
        world.stop(s1);
        world.run_for(length);
        world.start(old);
        world.cont(s1);
        let from = world.now;
        switched(&mut world, old, Span::secs(3));
        let converted = world.event_at(s1, from, "+convert-to-slave").map(|at| at.since(from));
        assert!(converted.is_none_or(|after| after >= Span::secs(1)), "seed {seed}: {converted:?}");
        world.run_for(Span::secs(20));
        assert_eq!(world.promotions.len(), 1, "seed {seed}");
    }
}

/// `SENTINEL DEBUG tilt-trigger 1` makes every hiccup a TILT, as in stock; nothing else breaks.
#[test]
fn a_touchy_trigger_only_delays() {
    let mut world = World::settled(Options { timer_late_us: 30_000, ..Options::seed(6) });
    for pid in world.sentinels() {
        debug(&mut world, pid, &["tilt-trigger", "20", "tilt-period", "50"]);
    }
    let (from, old) = (world.now, world.pid("m"));
    world.run_for(Span::secs(5));
    assert!(world.count_events(from, "+tilt") > 10, "this world's timers are up to 30 ms late");
    world.kill(old);
    switched(&mut world, old, Span::secs(15));
}

#[test]
fn evidence_alone_is_no_stall() {
    let mut world = three(7);
    let s1 = world.pid("s1");
    let evidence = vigia::engine::Evidence { asleep: Span::secs(9), busy: Span::ZERO, waited: None };
    world.feed_late(s1, Input::Late(evidence));
    assert_eq!(tilts(&world, s1, Time(0)), []);
    let set = Command::Set {
        name: name(),
        args: vec!["quorum".into(), "2".into()],
        not_executable: BTreeSet::new(),
    };
    assert_eq!(answer(&mut world, s1, set), Answer::Ok);
    assert!(world.view(s1, MASTER).is_some());
}

/// A forced failover goes on alone when nobody answers for a second. Answers that came while it did not run itself
/// are answers (S8).
#[test]
fn answers_that_were_not_read_yet_are_no_silence_of_the_voters() {
    for seed in 0..30 {
        let mut world = three(seed);
        let (s1, s2, s3) = (world.pid("s1"), world.pid("s2"), world.pid("s3"));
        world.cut(&[s1], &[s2, s3]);
        let from = world.now;
        assert_eq!(answer(&mut world, s1, Command::Failover(name())), Answer::Ok);
        world.run_until("its vote", Span::ms(100), |world| {
            world.event_at(s1, from, "+vote-for-leader").is_some()
        });
        let moment = 250 + world.rng.below(100);
        world.run_for(Span::ms(moment));
        world.stop(s1);
        world.cuts_mended();
        world.run_for(Span::ms(1_050 - moment));
        world.cont(s1);
        world.run_for(Span::secs(3));
        assert_eq!(world.event_at(s1, from, "-failover-forced-without-majority"), None, "seed {seed}");
    }
}

/// A replica turned master. Whether another leader promoted it a sentinel must have had 8 s to hear (redis#1445);
/// time in which it heard nothing is none of them.
#[test]
fn patience_with_a_claim_is_time_in_which_one_could_hear() {
    for seed in 0..10 {
        let mut world = World::settled(Options { sentinels: 1, quorum: 1, ..Options::seed(seed) });
        let (s1, r1) = (world.pid("s1"), world.pid("r1"));
        let from = world.now;
        world.promote(r1);
        world.run_until("it is seen", Span::secs(11), |world| {
            world.event_at(s1, from, "-role-change").is_some()
        });
        world.run_for(Span::secs(1));
        pause(&mut world, s1, Span::secs(20));
        let back = world.now;
        world.run_for(Span::secs(12));
        let after = world.event_at(s1, from, "+convert-to-slave").expect("it is turned back").since(back);
        assert!(after >= Span::ms(6_500), "seed {seed}: {} ms after the pause", after.as_ms());
    }
}
