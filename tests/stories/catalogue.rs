//! The catalogue of events: for each kind its name, level and payload, and a story in which it comes.
//!
//! `entry` has no arm for "anything else": a new event does not compile before it has a row here. The names,
//! levels and payloads are written down from spec 03, section 2, not taken from the engine.

use std::collections::BTreeSet;

use vigia::engine::event::{Kind, Level};
use vigia::engine::{Answer, Command, ScriptEnd, Span, Time};

use crate::world::node::Role;
use crate::world::{Options, Pid, World};
use crate::{id_of, name, switched, three};

/// Name, level, payload, and a story in which it comes.
///
/// Payload: `@m`, `@r`, `@s` are a master, replica or sentinel with all that belongs to it, `@` any of them;
/// `N` a number, `ID` a run id, `IP`, `PORT`, `NAME`; `...` at least one more word; anything else is itself.
type Entry = (&'static str, Level, &'static str, fn() -> World);

/// Read as a table: one row for each event of the catalogue.
#[rustfmt::skip]
fn entry(kind: Kind) -> Entry {
    use Level::{Debug as D, Notice as N, Verbose as V, Warning as W};
    match kind {
        Kind::Monitor => ("+monitor", W, "@m quorum N", settled),
        Kind::Unmonitor => ("-monitor", W, "@m", removed),
        Kind::ResetMaster => ("+reset-master", W, "@m", reset),
        Kind::Set => ("+set", W, "@m quorum N", quorum_set),
        Kind::Slave => ("+slave", N, "@r", settled),
        Kind::Sentinel => ("+sentinel", N, "@s", settled),
        Kind::SentinelAddressSwitch => ("+sentinel-address-switch", N, "@m ip IP port PORT for ID", sentinel_moved),
        Kind::SentinelAddressUpdate => ("+sentinel-address-update", N, "@s 1 additional matching instances", sentinel_moved),
        Kind::ForgetSentinel => ("+forget-sentinel", N, "@m id ID", forgotten),
        Kind::SentinelInvalidAddr => ("+sentinel-invalid-addr", N, "@s", sentinel_displaced),
        Kind::Reboot => ("+reboot", N, "@", node_rebooted),
        Kind::RoleChange => ("+role-change", V, "@ new reported role is NAME", failed_over),
        Kind::RoleMismatch => ("-role-change", V, "@ new reported role is NAME", failed_over),
        Kind::Sdown => ("+sdown", W, "@", failed_over),
        Kind::SdownEnd => ("-sdown", W, "@", failed_over),
        Kind::Odown => ("+odown", W, "@m #quorum N/N", failed_over),
        Kind::OdownEnd => ("-odown", W, "@m", recovered),
        Kind::NewEpoch => ("+new-epoch", W, "N", failed_over),
        Kind::VoteForLeader => ("+vote-for-leader", W, "ID N", failed_over),
        Kind::TryFailover => ("+try-failover", W, "@m", failed_over),
        Kind::ElectedLeader => ("+elected-leader", W, "@m", failed_over),
        Kind::StateSelectSlave => ("+failover-state-select-slave", W, "@m", failed_over),
        Kind::AbortNotElected => ("-failover-abort-not-elected", W, "@m", not_elected),
        Kind::AbortNoGoodSlave => ("-failover-abort-no-good-slave", W, "@m", no_good_replica),
        Kind::SelectedSlave => ("+selected-slave", W, "@r", failed_over),
        Kind::StateSendSlaveofNoone => ("+failover-state-send-slaveof-noone", N, "@r", failed_over),
        Kind::StateWaitPromotion => ("+failover-state-wait-promotion", N, "@r", failed_over),
        Kind::AbortSlaveTimeout => ("-failover-abort-slave-timeout", W, "@m", promotion_ignored),
        Kind::PromotedSlave => ("+promoted-slave", W, "@r", failed_over),
        Kind::StateReconfSlaves => ("+failover-state-reconf-slaves", W, "@m", failed_over),
        Kind::SlaveReconfSent => ("+slave-reconf-sent", N, "@r", failed_over),
        Kind::SlaveReconfInprog => ("+slave-reconf-inprog", N, "@r", failed_over),
        Kind::SlaveReconfDone => ("+slave-reconf-done", N, "@r", failed_over),
        Kind::SlaveReconfSentTimeout => ("-slave-reconf-sent-timeout", N, "@r", replica_ignores),
        Kind::SlaveReconfSentBe => ("+slave-reconf-sent-be", N, "@r", replicas_sync_slowly),
        Kind::FailoverEndForTimeout => ("+failover-end-for-timeout", W, "@m", replicas_sync_slowly),
        Kind::FailoverEnd => ("+failover-end", W, "@m", failed_over),
        Kind::ConfigUpdateFrom => ("+config-update-from", W, "@s", failed_over),
        Kind::SwitchMaster => ("+switch-master", W, "NAME IP PORT IP PORT", failed_over),
        Kind::ConvertToSlave => ("+convert-to-slave", N, "@r", replica_turned_master),
        Kind::FixSlaveConfig => ("+fix-slave-config", N, "@r", replica_led_astray),
        Kind::Tilt => ("+tilt", W, "#tilt mode entered, N ms late: ...", paused),
        Kind::TiltEnd => ("-tilt", W, "#tilt mode exited", paused),
        Kind::ScriptChild => ("+script-child", D, "N", script_fails),
        Kind::ScriptChildEnd => ("-script-child", D, "N 7 0", script_fails),
        Kind::ScriptError => ("-script-error", W, "/notify 0 7", script_fails),
        Kind::ScriptTimeout => ("-script-timeout", W, "/notify N", script_hangs),
        Kind::CmdLinkReconnection => ("-cmd-link-reconnection", D, "@ #Network is unreachable", no_route),
        Kind::PubsubLinkReconnection => ("-pubsub-link-reconnection", D, "@ #Network is unreachable", no_route),
        // Vigía's own.
        Kind::ReconfCommandFailed => ("-reconf-command-failed", W, "@ #SLAVEOF: ...", promotion_refused),
        Kind::ForcedWithoutMajority => ("-failover-forced-without-majority", W, "@m #epoch N", forced_alone),
        Kind::ConfigConflict => ("-config-conflict", W, "@m #IP PORT has the same config epoch N", conflict),
        Kind::StoodDown => ("-failover-stood-down", W, "@m #this process ...", leader_stalls),
        Kind::HelloRejected => ("-hello-rejected", V, "@m #epoch out of range", bad_hello),
    }
}

#[test]
fn every_event_comes_with_its_name_level_and_payload() {
    for kind in Kind::ALL {
        let (name, level, pattern, story) = entry(*kind);
        assert_eq!((kind.name(), kind.level()), (name, level));
        let world = story();
        let mut seen = 0;
        for pid in world.sentinels() {
            for (_, event) in world.sentinel(pid).events.iter().filter(|(_, event)| event.kind == *kind) {
                seen += 1;
                let payload = event.payload();
                let fits = matches(&pattern.split(' ').collect::<Vec<_>>(), &payload);
                assert!(fits, "{name} says {payload:?}, not {pattern:?}");
                let has_subject = event.subject.master_name().is_some();
                let process =
                    ["+tilt", "-tilt", "-script-error", "-script-timeout", "+script-child", "-script-child"];
                assert_eq!(has_subject, !process.contains(&name), "{name}: whose script is called");
            }
        }
        assert!(seen > 0, "{name} did not come in its story\n{}", world.trace.tail(40));
    }
}

fn matches(pattern: &[&str], payload: &str) -> bool {
    let words: Vec<&str> = payload.split(' ').collect();
    fit(pattern, &words)
}

fn fit(pattern: &[&str], words: &[&str]) -> bool {
    const MASTER: [&str; 4] = ["master", "NAME", "IP", "PORT"];
    const REPLICA: [&str; 8] = ["slave", "IP:PORT", "IP", "PORT", "@", "NAME", "IP", "PORT"];
    const SENTINEL: [&str; 8] = ["sentinel", "ID", "IP", "PORT", "@", "NAME", "IP", "PORT"];
    let Some((first, rest)) = pattern.split_first() else { return words.is_empty() };
    let instead = |subject: &[&str]| fit_plain(subject, words) && fit(rest, &words[subject.len()..]);
    match *first {
        "..." => !words.is_empty(),
        "@m" => instead(&MASTER),
        "@r" => instead(&REPLICA),
        "@s" => instead(&SENTINEL),
        "@" => instead(&MASTER) || instead(&REPLICA) || instead(&SENTINEL),
        one => fit_plain(&[one], words) && fit(rest, &words[1..]),
    }
}

/// Whether `words` begin with this.
fn fit_plain(pattern: &[&str], words: &[&str]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ip = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    let hex = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    pattern.len() <= words.len()
        && pattern.iter().zip(words).all(|(wanted, word)| match *wanted {
            "N" | "PORT" => number(word),
            "N/N" => word.split_once('/').is_some_and(|(left, right)| number(left) && number(right)),
            "ID" => hex(word),
            "IP" => ip(word),
            "#IP" => word.strip_prefix('#').is_some_and(ip),
            "IP:PORT" => word.split_once(':').is_some_and(|(host, port)| ip(host) && number(port)),
            "NAME" => !word.is_empty(),
            other => other == *word,
        })
}

#[test]
fn the_patterns_tell_payloads_apart() {
    let (id, master) = ("a".repeat(40), "master m 10.0.0.1 6379");
    let sentinel = format!("sentinel {id} 10.0.1.1 26379 @ m 10.0.0.1 6379");
    for (pattern, payload, fits) in [
        ("@m", master.to_owned(), true),
        ("@m", format!("{master} "), false),
        ("@m", format!("{master} more"), false),
        ("@r", master.to_owned(), false),
        ("@ ...", sentinel.clone(), false),
        ("@s 1 more", format!("{sentinel} 1 more"), true),
        ("@s", sentinel.replace('a', "x"), false),
        ("ID N", format!("{id} 7"), true),
        ("ID N", format!("{id} x"), false),
        ("@m #quorum N/N", format!("{master} #quorum 2/3"), true),
    ] {
        assert_eq!(matches(&pattern.split(' ').collect::<Vec<_>>(), &payload), fits, "{pattern} {payload}");
    }
}

fn give(world: &mut World, pid: Pid, command: Command) -> Answer {
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

fn set(world: &mut World, pid: Pid, option: &str, value: &str) {
    let args = vec![option.into(), value.into()];
    let set = Command::Set { name: name(), args, not_executable: BTreeSet::new() };
    assert_eq!(give(world, pid, set), Answer::Ok);
}

fn debug(world: &mut World, words: &[&str]) {
    for pid in world.sentinels() {
        let words = words.iter().map(|word| (*word).into()).collect();
        assert_eq!(give(world, pid, Command::Debug(words)), Answer::Ok);
    }
}

fn settled() -> World {
    three(1)
}

fn removed() -> World {
    let mut world = three(1);
    let s1 = world.pid("s1");
    assert_eq!(give(&mut world, s1, Command::Remove(name())), Answer::Ok);
    world
}

fn reset() -> World {
    let mut world = three(1);
    let s1 = world.pid("s1");
    assert_eq!(give(&mut world, s1, Command::Reset("*".into())), Answer::Integer(1));
    world
}

fn forgotten() -> World {
    let mut world = three(1);
    let s1 = world.pid("s1");
    let s3 = id_of(&world, "s3");
    assert_eq!(give(&mut world, s1, Command::Forget { name: name(), run_id: s3 }), Answer::Ok);
    world
}

fn quorum_set() -> World {
    let mut world = three(1);
    let s1 = world.pid("s1");
    set(&mut world, s1, "quorum", "3");
    world
}

/// A sentinel of two masters, to which a forged sentinel says hello about both.
fn two_masters() -> World {
    let mut world = World::new(Options::seed(1));
    let nodes = ["one", "two"].map(|name| world.add_node(name, name, Role::Master));
    let addrs = nodes.map(|pid| world.procs[pid.0].addr.clone());
    world.add_sentinel("s1", &[("one", addrs[0].clone()), ("two", addrs[1].clone())]);
    for master in ["one", "two"] {
        greet(&mut world, "1", "10.0.9.1", master, 0);
    }
    world
}

/// A hello about a master, true but for its sender and epochs.
fn greet(world: &mut World, id: &str, host: &str, master: &str, epoch: i64) {
    let addr = world.procs[world.pid(master).0].addr.clone();
    let hello = format!("{host},26379,{},{epoch},{master},{},{},0", id.repeat(40), addr.host, addr.port);
    let s1 = world.pid("s1");
    give(world, s1, Command::Hello(hello.as_str().into()));
}

fn sentinel_moved() -> World {
    let mut world = two_masters();
    greet(&mut world, "1", "10.0.9.7", "one", 0);
    world
}

fn sentinel_displaced() -> World {
    let mut world = two_masters();
    greet(&mut world, "2", "10.0.9.1", "one", 0);
    world
}

fn bad_hello() -> World {
    let mut world = two_masters();
    greet(&mut world, "3", "10.0.9.3", "one", -1);
    world
}

fn node_rebooted() -> World {
    let mut world = three(1);
    let (m, r1) = (world.pid("m"), world.pid("r1"));
    for pid in [m, r1] {
        world.kill(pid);
        world.run_for(Span::ms(200));
        world.start(pid);
        world.run_for(Span::secs(12));
    }
    for subject in ["+reboot master", "+reboot slave"] {
        assert_eq!(world.count_events(Time(0), subject), 3, "each sees it");
    }
    world
}

fn failed_over() -> World {
    let mut world = three(1);
    let old = world.pid("m");
    world.kill(old);
    switched(&mut world, old, Span::secs(5));
    world.run_for(Span::secs(5));
    world.start(old);
    world.run_for(Span::secs(15));
    world
}

fn recovered() -> World {
    let mut world = World::settled(Options { replicas: 0, ..Options::seed(1) });
    let m = world.pid("m");
    world.stop(m);
    world.run_for(Span::secs(3));
    world.cont(m);
    world.run_for(Span::secs(1));
    world
}

/// Two of five see the master down; a third one is needed to elect.
fn not_elected() -> World {
    let mut world = World::settled(Options { sentinels: 5, ..Options::seed(1) });
    for name in ["s3", "s4", "s5", "m"] {
        world.kill(world.pid(name));
    }
    world.run_for(Span::secs(5));
    world
}

fn no_good_replica() -> World {
    let mut world = three(1);
    for replica in ["r1", "r2"] {
        world.node_called(replica).priority = 0;
    }
    // So that its priority is known.
    world.run_for(Span::secs(11));
    world.kill(world.pid("m"));
    world.run_for(Span::secs(4));
    world
}

/// The chosen replica is stopped as soon as it was chosen.
fn promotion_ignored() -> World {
    let mut world = World::settled(Options { replicas: 1, failover_timeout_ms: 3_000, ..Options::seed(1) });
    world.kill(world.pid("m"));
    world.run_until("a choice", Span::secs(4), |world| world.count_events(Time(0), "+selected-slave") > 0);
    world.stop(world.pid("r1"));
    world.run_for(Span::secs(8));
    world
}

fn promotion_refused() -> World {
    let mut world = three(1);
    for replica in ["r1", "r2"] {
        world.node_called(replica).refused.insert("slaveof", "NOPERM no permissions to run 'slaveof'");
    }
    world.kill(world.pid("m"));
    world.run_for(Span::secs(4));
    world
}

/// Every replica but the promoted one says OK, and does not follow.
fn replica_ignores() -> World {
    let mut world = World::settled(Options { replicas: 3, ..Options::seed(1) });
    debug(&mut world, &["slave-reconf-timeout", "500"]);
    let old = world.pid("m");
    world.kill(old);
    world.run_until("a choice", Span::secs(4), |world| world.count_events(Time(0), "+promoted-slave") > 0);
    for replica in ["r1", "r2", "r3"] {
        world.node_called(replica).stays = true;
    }
    let from = world.now;
    world.run_for(Span::secs(8));
    // As in stock, it is told once more.
    let of = |world: &World, kind: &str| world.count_events(from, kind);
    assert_eq!(of(&world, "+slave-reconf-sent "), 4, "two replicas, twice each");
    assert_eq!(of(&world, "-slave-reconf-sent-timeout"), 2);
    assert_eq!(of(&world, "+failover-end "), 1);
    world
}

/// One replica at a time may follow, and the first one takes for ever.
fn replicas_sync_slowly() -> World {
    let mut world = World::settled(Options { replicas: 4, failover_timeout_ms: 3_000, ..Options::seed(1) });
    for replica in ["r1", "r2", "r3", "r4"] {
        world.node_called(replica).sync = Span::secs(600);
    }
    let old = world.pid("m");
    world.kill(old);
    switched(&mut world, old, Span::secs(5));
    let from = world.now;
    world.run_for(Span::secs(5));
    let order: Vec<String> = world
        .sentinels()
        .into_iter()
        .flat_map(|pid| world.events(pid))
        .filter(|(at, line)| *at >= from && (line.contains("failover-end") || line.contains("-be ")))
        .map(|(_, line)| line.split(' ').next().expect("a word").to_owned())
        .collect();
    let be = "+slave-reconf-sent-be";
    assert_eq!(order, ["+failover-end-for-timeout", "+failover-end", be, be, be], "in stock's order");
    world
}

fn replica_turned_master() -> World {
    let mut world = three(1);
    let r1 = world.pid("r1");
    world.promote(r1);
    world.run_for(Span::secs(25));
    world
}

fn replica_led_astray() -> World {
    let mut world = three(1);
    let (r1, r2) = (world.pid("r1"), world.pid("r2"));
    let elsewhere = world.procs[r2.0].addr.clone();
    world.follow(r1, &elsewhere);
    world.run_for(Span::secs(30));
    world
}

fn paused() -> World {
    let mut world = three(1);
    let s1 = world.pid("s1");
    world.stop(s1);
    world.run_for(Span::secs(3));
    world.cont(s1);
    world.run_for(Span::secs(31));
    world
}

/// A group whose first sentinel has a notification script.
fn scripted(end: Option<ScriptEnd>) -> World {
    let mut world = World::settled(Options { deny_scripts: false, ..Options::seed(1) });
    let s1 = world.pid("s1");
    set(&mut world, s1, "notification-script", "/notify");
    world.sentinel_mut(s1).script_end = end;
    set(&mut world, s1, "quorum", "2");
    world
}

fn script_fails() -> World {
    let mut world = scripted(Some(ScriptEnd::Exited(7)));
    // Of the run that did well there was one event before.
    let s1 = world.pid("s1");
    world.sentinel_mut(s1).events.retain(|(_, event)| event.payload() != "1 0 0");
    world
}

fn script_hangs() -> World {
    let mut world = scripted(None);
    world.run_for(Span::secs(61));
    world
}

fn no_route() -> World {
    let mut world = three(1);
    let (s1, s2, m) = (world.pid("s1"), world.pid("s2"), world.pid("m"));
    world.sentinel_mut(s1).no_route = true;
    world.reset_clients(m);
    world.kill(s2);
    world.run_for(Span::ms(300));
    for subject in ["-cmd-link-reconnection master", "-cmd-link-reconnection sentinel"] {
        assert!(world.event_at(s1, Time(0), subject).is_some(), "{subject}");
    }
    world
}

fn forced_alone() -> World {
    let mut world = three(1);
    for name in ["s2", "s3"] {
        world.kill(world.pid(name));
    }
    let s1 = world.pid("s1");
    assert_eq!(give(&mut world, s1, Command::Failover(name())), Answer::Ok);
    world.run_for(Span::secs(3));
    world
}

/// A sentinel claims that a replica is the master, under the config epoch in force.
fn conflict() -> World {
    let mut world = three(1);
    let (s3, r1) = (world.pid("s3"), world.pid("r1"));
    let (id, at) = (world.sentinel(s3).id.clone(), world.procs[s3.0].addr.clone());
    let claimed = world.procs[r1.0].addr.clone();
    let hello = format!("{},{},{id},0,mymaster,{},{},0", at.host, at.port, claimed.host, claimed.port);
    for name in ["s1", "s2"] {
        let pid = world.pid(name);
        give(&mut world, pid, Command::Hello(hello.as_str().into()));
    }
    world.run_for(Span::secs(3));
    world
}

/// The winner of an election does not run when its votes come.
fn leader_stalls() -> World {
    let mut world = three(1);
    world.kill(world.pid("m"));
    let stands = |world: &World| {
        world.sentinels().into_iter().find(|pid| world.event_at(*pid, Time(0), "+vote-for-leader").is_some())
    };
    world.run_until("a candidate", Span::secs(3), |world| stands(world).is_some());
    let candidate = stands(&world).expect("awaited");
    // Its questions are on their way; the answers wait for it.
    world.run_for(Span(1));
    world.stop(candidate);
    world.run_for(Span::ms(1_500));
    world.cont(candidate);
    world.run_for(Span::secs(5));
    world
}

/// Log lines that are no events. Source: spec 03, section 3.
#[test]
fn the_log_tells_of_votes_orders_and_delays() {
    let mut world = three(1);
    let (s1, old) = (world.pid("s1"), world.pid("m"));
    assert_eq!(give(&mut world, s1, Command::Failover(name())), Answer::Ok);
    switched(&mut world, old, Span::secs(5));
    world.run_for(Span::secs(3));
    // Everybody votes for a leader that does nothing.
    let addr = world.procs[world.master_of("mymaster").0].addr.clone();
    for pid in world.sentinels() {
        let candidate = Some("e".repeat(40).as_str().into());
        let ask =
            Command::IsMasterDown { host: addr.host.clone(), port: addr.port.into(), epoch: 50, candidate };
        give(&mut world, pid, ask);
    }
    let from = world.trace.all().len();
    world.kill(world.at(&addr).expect("the master"));
    world.run_for(Span::secs(5));
    let trace = world.trace.all();
    let id = &world.sentinel(s1).id;
    let voted = trace
        .lines()
        .filter(|line| line.contains("s1 note ") && line.ends_with(&format!(" voted for {id} 1")));
    assert_eq!(voted.count(), 2, "each of the others, once");
    assert!(trace.contains("s1 note Executing user requested FAILOVER of 'mymaster'"));
    let delays: Vec<&str> =
        trace[from..].lines().filter(|line| line.contains("Next failover delay")).collect();
    assert_eq!(delays.len(), 3, "each sentinel, once: {delays:#?}");
    assert!(delays[0].contains(" note Next failover delay: I will not start a failover for "), "{delays:?}");
}
