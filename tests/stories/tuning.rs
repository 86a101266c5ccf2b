//! `SENTINEL DEBUG`: each of its thirteen parameters does what its name says.
//!
//! Every case measures the same thing twice: as it is, and after the parameter was changed at run time.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use vigia::engine::{Answer, Command, ScriptEnd, Span, Time};

use crate::name;
use crate::world::{Options, Pid, World};

struct Case {
    parameter: &'static str,
    /// Its new value in ms; as it is, it has stock's default.
    value: u64,
    options: fn() -> Options,
    /// What is measured, in a settled world.
    measure: fn(&mut World) -> u64,
    usual: RangeInclusive<u64>,
    changed: RangeInclusive<u64>,
}

fn three() -> Options {
    Options::seed(31)
}

/// Nothing goes down soon, and PING is at its longest period.
fn patient() -> Options {
    Options { down_after_ms: 60_000, ..three() }
}

/// One says that the master is down; nobody agrees.
fn alone() -> Options {
    Options { quorum: 3, ..three() }
}

fn eager() -> Options {
    Options { sentinels: 5, quorum: 1, down_after_ms: 30_000, ..three() }
}

fn scripts() -> Options {
    Options { deny_scripts: false, ..three() }
}

#[rustfmt::skip]
const CASES: [Case; 13] = [
    Case { parameter: "info-period", value: 200, options: patient, measure: |w| sent(w, "m", " Info"), usual: 0..=1, changed: 18..=22 },
    Case { parameter: "ping-period", value: 50, options: patient, measure: |w| sent(w, "m", " Ping"), usual: 3..=5, changed: 70..=90 },
    Case { parameter: "publish-period", value: 100, options: patient, measure: |w| sent(w, "m", " Publish("), usual: 1..=3, changed: 38..=44 },
    Case { parameter: "ask-period", value: 50, options: alone, measure: asked, usual: 3..=5, changed: 70..=90 },
    Case { parameter: "default-down-after", value: 1_234, options: three, measure: |w| monitored(w).0, usual: 30_000..=30_000, changed: 1_234..=1_234 },
    Case { parameter: "default-failover-timeout", value: 5_678, options: three, measure: |w| monitored(w).1, usual: 180_000..=180_000, changed: 5_678..=5_678 },
    Case { parameter: "tilt-trigger", value: 400, options: three, measure: |w| paused(w, Span::ms(500)).0, usual: 0..=0, changed: 1..=1 },
    Case { parameter: "tilt-period", value: 700, options: three, measure: |w| paused(w, Span::ms(2_500)).1, usual: 30_000..=30_000, changed: 700..=700 },
    Case { parameter: "slave-reconf-timeout", value: 500, options: three, measure: given_up, usual: 10_000..=10_100, changed: 500..=600 },
    Case { parameter: "min-link-reconnect-period", value: 1_000, options: alone, measure: fresh_links, usual: 3..=5, changed: 30..=40 },
    Case { parameter: "election-timeout", value: 500, options: eager, measure: election, usual: 9_990..=10_010, changed: 490..=510 },
    Case { parameter: "script-max-runtime", value: 500, options: scripts, measure: killed_script, usual: 60_000..=60_010, changed: 500..=510 },
    Case { parameter: "script-retry-delay", value: 200, options: scripts, measure: second_run, usual: 30_000..=30_010, changed: 200..=210 },
];

#[test]
fn every_parameter_has_its_effect() {
    let mut wrong = Vec::new();
    for case in CASES {
        let mut world = World::settled((case.options)());
        let usual = (case.measure)(&mut world);
        let mut world = World::settled((case.options)());
        for pid in world.sentinels() {
            let words = vec![case.parameter.into(), case.value.to_string().as_str().into()];
            assert_eq!(answer(&mut world, pid, Command::Debug(words)), Answer::Ok);
        }
        let changed = (case.measure)(&mut world);
        if !case.usual.contains(&usual) || !case.changed.contains(&changed) {
            let (parameter, expected) = (case.parameter, (&case.usual, &case.changed));
            wrong.push(format!("{parameter}: {usual}, then {changed}; not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The cases are the parameters that the reply shows, and the values as they are its values.
#[test]
fn every_parameter_has_a_case() {
    let mut world = World::settled(three());
    let s1 = world.pid("s1");
    let Answer::Entry(shown) = answer(&mut world, s1, Command::Debug(Vec::new())) else { panic!("no map") };
    let shown: BTreeSet<String> = shown.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    assert_eq!(shown, CASES.iter().map(|case| case.parameter.to_owned()).collect());
}

fn answer(world: &mut World, pid: Pid, command: Command) -> Answer {
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

/// Lines of the trace about what s1 does, with this in them.
fn lines(world: &World, what: &[&str]) -> u64 {
    let all = world.trace.all();
    let said = |line: &&str| what.iter().all(|word| line.contains(word));
    all.lines().filter(said).count() as u64
}

/// How often s1 sends this to a node in 4 s.
fn sent(world: &mut World, to: &str, request: &str) -> u64 {
    let to = format!(" s1 -> {to} link");
    let before = lines(world, &[&to, request]);
    world.run_for(Span::secs(4));
    lines(world, &[&to, request]) - before
}

/// How often s1, which alone does not see the master, asks s2 about it in 4 s, after the first eager rounds.
fn asked(world: &mut World) -> u64 {
    let (s1, m) = (world.pid("s1"), world.pid("m"));
    world.cut(&[s1], &[m]);
    world.run_for(Span::secs(6));
    assert!(world.event_at(s1, Time(0), "+sdown master").is_some());
    sent(world, "s2", " AskDown")
}

/// The two times of a master that is monitored from now on.
fn monitored(world: &mut World) -> (u64, u64) {
    let s1 = world.pid("s1");
    let monitor = Command::Monitor { name: "a".into(), host: "10.9.9.9".into(), port: 1, quorum: 1 };
    assert_eq!(answer(world, s1, monitor), Answer::Ok);
    let settings = &world.sentinel(s1).disk.durable.masters[0].settings;
    (settings.down_after.0, settings.failover_timeout.0)
}

/// How often s1 was in TILT after a pause, and for how long it was.
fn paused(world: &mut World, length: Span) -> (u64, u64) {
    let s1 = world.pid("s1");
    world.stop(s1);
    world.run_for(length);
    world.cont(s1);
    let from = world.now;
    world.run_for(Span::secs(31));
    let count = world.count_events(Time(0), "+tilt");
    let end = world.event_at(s1, from, "-tilt").map_or(0, |end| end.since(from).as_ms());
    (count as u64, end)
}

/// How long the leader waits for a replica that does not do as it is told.
fn given_up(world: &mut World) -> u64 {
    world.kill(world.pid("m"));
    world.run_until("a promotion", Span::secs(4), |world| world.count_events(Time(0), "+promoted-slave") > 0);
    for replica in ["r1", "r2"] {
        world.node_called(replica).stays = true;
    }
    world.run_for(Span::secs(12));
    between(world, "+slave-reconf-sent ", "-slave-reconf-sent-timeout")
}

/// Time between the first events of two kinds, of whichever sentinel.
fn between(world: &World, first: &str, second: &str) -> u64 {
    let at = |kind: &str| {
        let times = world.sentinels().into_iter().filter_map(|pid| world.event_at(pid, Time(0), kind));
        times.min().unwrap_or_else(|| panic!("no {kind}"))
    };
    at(second).since(at(first)).as_ms()
}

/// How often s1 opens a fresh link, for commands or hellos, to a master that hangs, in 30 s from +sdown on.
fn fresh_links(world: &mut World) -> u64 {
    let (s1, m) = (world.pid("s1"), world.pid("m"));
    world.stop(m);
    world.run_until("+sdown", Span::secs(5), |world| world.event_at(s1, Time(0), "+sdown master").is_some());
    let to = format!(" to {}", world.procs[m.0].addr);
    let before = lines(world, &[" s1 connect ", &to]);
    world.run_for(Span::secs(30));
    lines(world, &[" s1 connect ", &to]) - before
}

/// How long s1, whose voters hang, waits for their votes.
fn election(world: &mut World) -> u64 {
    world.kill(world.pid("m"));
    world.run_for(Span::ms(29_500));
    // Just before the master is down: their links are not given up yet when s1 asks for votes.
    for voter in ["s2", "s3", "s4", "s5"] {
        world.stop(world.pid(voter));
    }
    world.run_for(Span::secs(12));
    between(world, "+try-failover", "-failover-abort-not-elected")
}

fn with_script(world: &mut World, end: Option<ScriptEnd>) -> Pid {
    let s1 = world.pid("s1");
    world.sentinel_mut(s1).script_end = end;
    let args = ["notification-script", "/notify"].map(Into::into).to_vec();
    let set = Command::Set { name: name(), args, not_executable: BTreeSet::new() };
    assert_eq!(answer(world, s1, set), Answer::Ok);
    s1
}

fn killed_script(world: &mut World) -> u64 {
    with_script(world, None);
    world.run_for(Span::secs(61));
    between(world, "+script-child", "-script-timeout")
}

fn second_run(world: &mut World) -> u64 {
    let s1 = with_script(world, Some(ScriptEnd::Exited(1)));
    world.run_for(Span::secs(31));
    let runs = &world.sentinel(s1).scripts;
    runs[1].0.since(runs[0].0).as_ms()
}
