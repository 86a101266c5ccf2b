//! Host names: a process stays the same instance wherever its name moves, and no resolver holds anybody up.

use std::sync::Arc;

use vigia::engine::{
    Addr, Answer, Command, DownCause, Engine, Entry, Input, LinkId, MasterName, Millis, Output, RunId, Span,
    Status, Time,
};

use crate::world::node::Role;
use crate::world::{MASTER, Options, Pid, World, episode};
use crate::{name, switched};

/// How nodes speak of each other.
#[derive(Clone, Copy, Debug)]
struct Style {
    /// `announce-hostnames`.
    announce: bool,
    /// Replicas follow the master by its name.
    follow_by_name: bool,
    /// Replicas have a `replica-announce-ip` that is a name.
    announced_by_name: bool,
    /// Every second sentinel was given the IP of the master.
    some_by_ip: bool,
}

const STYLES: [Style; 6] = [
    Style { announce: false, follow_by_name: false, announced_by_name: false, some_by_ip: false },
    Style { announce: false, follow_by_name: true, announced_by_name: true, some_by_ip: true },
    Style { announce: false, follow_by_name: true, announced_by_name: false, some_by_ip: false },
    Style { announce: true, follow_by_name: true, announced_by_name: true, some_by_ip: false },
    Style { announce: true, follow_by_name: false, announced_by_name: true, some_by_ip: true },
    Style { announce: true, follow_by_name: false, announced_by_name: false, some_by_ip: false },
];

/// What must not be said when nothing but a name changes.
const SPURIOUS: [&str; 6] =
    ["+slave ", "+sentinel", "+fix-slave-config", "+convert-to-slave", "+switch-master", "-config-conflict"];

fn group(seed: u64, style: Style, down_after_ms: u64) -> World {
    let options = Options {
        resolve_hostnames: true,
        announce_hostnames: style.announce,
        down_after_ms,
        ..Options::seed(seed)
    };
    let mut world = World::new(options.clone());
    let master = world.add_node("m", MASTER, Role::Master);
    let monitored = world.name_host("m.test", master);
    for n in 1..=options.replicas {
        let replica = world.add_replica(&format!("r{n}"), master);
        world.name_host(&format!("r{n}.test"), replica);
        let node = world.node_mut(replica);
        if style.follow_by_name {
            node.role = Role::Replica(monitored.clone());
            node.saved_role = node.role.clone();
        }
        node.announce_host = style.announced_by_name.then(|| format!("r{n}.test").into());
    }
    world.node_called("m").announce_host = style.announced_by_name.then(|| "m.test".into());
    for n in 1..=options.sentinels {
        let by_ip = style.some_by_ip && n % 2 == 0;
        let addr = if by_ip { world.procs[master.0].addr.clone() } else { monitored.clone() };
        world.add_sentinel(&format!("s{n}"), &[(MASTER, addr)]);
    }
    acquainted(&mut world);
    world.run_for(Span::secs(3));
    world
}

fn acquainted(world: &mut World) {
    let (sentinels, replicas) = (world.options.sentinels, world.options.replicas);
    world.run_until("everybody knows everybody", Span::secs(30), |world| {
        world.live_sentinels().iter().all(|pid| {
            world
                .view(*pid, MASTER)
                .is_some_and(|view| view.sentinels == sentinels && view.replicas == replicas)
        })
    });
}

fn expect_silence(world: &World, from: Time, what: &str) {
    for start in SPURIOUS {
        world.expect(world.count_events(from, start) == 0, &format!("{what}: {start} was said"));
    }
}

fn expect_no_twins(world: &World, what: &str) {
    for pid in world.sentinels() {
        let view = world.view(pid, MASTER).expect("a view");
        let known = (view.replicas, view.sentinels);
        world.expect(known == (2, 3), &format!("{what}: {} knows {known:?}", world.name(pid)));
    }
}

fn answer(world: &mut World, pid: Pid, command: Command) -> Answer {
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(6), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

fn words(text: &str) -> Vec<Arc<str>> {
    text.split(' ').map(Arc::from).collect()
}

fn field<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

/// `name ip` of each replica, in order.
fn replicas(world: &mut World, pid: Pid) -> Vec<String> {
    let Answer::Entries(entries) = answer(world, pid, Command::Replicas(name())) else {
        panic!("no entries")
    };
    let mut shown: Vec<String> =
        entries.iter().map(|entry| format!("{} {}", field(entry, "name"), field(entry, "ip"))).collect();
    shown.sort();
    shown
}

#[test]
fn a_group_fails_over_by_names_and_the_old_master_returns() {
    for (seed, style) in (0_u64..).zip(STYLES) {
        let mut world = group(seed, style, 1_000);
        let (old, from) = (world.pid("m"), world.now);
        expect_no_twins(&world, "at the beginning");
        world.run_for(Span::secs(12));
        expect_silence(&world, from, &format!("{style:?} at rest"));
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::secs(2));
        let back = world.now;
        world.start(old);
        let done = episode::until_converged(&mut world, Span::secs(12));
        world.expect(
            done.since(back) <= Span::ms(3_200),
            &format!("{style:?}: {} ms", done.since(back).as_ms()),
        );
        world.run_for(Span::secs(22));
        expect_no_twins(&world, &format!("{style:?} in the end"));
        let fixes = world.count_events(back, "+fix-slave-config");
        world.expect(fixes == 0, &format!("{style:?}: a replica in line was corrected"));
        assert_eq!(episode::converged(&world), Ok(()), "{style:?}");
    }
}

#[test]
fn addresses_are_shown_as_the_options_say() {
    for announce in [false, true] {
        let style = Style { announce, ..STYLES[3] };
        let mut world = group(7, style, 1_000);
        let s1 = world.pid("s1");
        let (master, expected) = if announce {
            ("m.test", ["r1.test:6379 r1.test", "r2.test:6379 r2.test"])
        } else {
            ("10.0.0.1", ["10.0.0.2:6379 10.0.0.2", "10.0.0.3:6379 10.0.0.3"])
        };
        assert_eq!(world.view(s1, MASTER).expect("a view").addr, Addr::new(master, 6_379));
        assert_eq!(replicas(&mut world, s1), expected);
        let saved = &world.sentinel(s1).disk.durable.masters[0];
        assert_eq!(&*saved.addr.host, master);
        let hellos = world.trace.all().contains(&format!(",0,{MASTER},{master},6379,0"));
        assert!(hellos, "hellos carry {master}");
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::secs(1));
        let told = if announce { "FOLLOWS r" } else { "FOLLOWS 10.0.0." };
        world.expect(world.trace.all().contains(told), told);
    }
}

/// A pod dies, and comes back with the same name and another IP; nobody answers at the old one.
#[test]
fn a_master_that_comes_back_under_another_ip_is_the_same_master() {
    for seed in 1..=16 {
        // By IP, the sentinels disagree until each has looked the name up.
        let announce = seed % 4 == 2;
        let style = Style { announce, some_by_ip: false, ..STYLES[1] };
        let mut world = group(seed, style, 10_000);
        let (master, from) = (world.pid("m"), world.now);
        let vanishes = seed % 2 == 1;
        if vanishes {
            world.host_down(master);
            world.run_for(Span::secs(1));
            world.procs[master.0].host_up = true;
        }
        world.kill(master);
        let away = Span::ms(world.rng.below(1_500));
        world.run_for(away);
        world.start_elsewhere(master, "10.0.9.9");
        world.run_until("all sentinels are connected to it", Span::secs(8), |world| {
            let at = |pid: &Pid| {
                let shown = &world.view(*pid, MASTER).expect("a view").addr.host;
                let expected = if announce { "m.test" } else { "10.0.9.9" };
                **shown == *expected
            };
            world.sentinels().iter().all(at)
        });
        world.run_for(Span::secs(22));
        expect_silence(&world, from, "the master moved");
        assert_eq!(world.count_events(from, "+sdown master"), 0, "it was away for less than D");
        assert_eq!(world.count_events(from, "+reboot master"), 3);
        expect_no_twins(&world, "the master moved");
        assert_eq!(episode::converged(&world), Ok(()));
        world.kill(master);
        switched(&mut world, master, Span::secs(14));
    }
}

#[test]
fn a_replica_that_moves_stays_the_same_replica_and_can_be_promoted() {
    for announce in [false, true] {
        let mut world = group(5, Style { announce, ..STYLES[1] }, 1_000);
        let (r1, r2, from) = (world.pid("r1"), world.pid("r2"), world.now);
        world.kill(r1);
        world.run_for(Span::secs(5));
        world.start_elsewhere(r1, "10.0.9.1");
        world.run_for(Span::secs(25));
        expect_silence(&world, from, "a replica moved");
        expect_no_twins(&world, "a replica moved");
        assert_eq!(world.count_events(from, "-sdown slave"), 3, "found again by everybody");
        let s1 = world.pid("s1");
        let expected = if announce { "r1.test" } else { "10.0.9.1" };
        assert!(replicas(&mut world, s1)[0].ends_with(expected));

        world.kill(r2);
        let old = world.pid("m");
        world.run_for(Span::secs(2));
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        assert_eq!(world.master_of(MASTER), r1);
    }
}

#[test]
fn the_last_good_answer_carries_a_failover_while_the_resolver_hangs_or_fails() {
    for (seed, hangs) in [(1, true), (2, false), (3, true)] {
        let mut world = group(seed, STYLES[1 + 2 * (seed as usize % 2)], 1_000);
        let all = world.dns.names().into_iter().collect();
        if hangs {
            world.dns.hanging = all;
        } else {
            world.dns.unknown = all;
        }
        let old = world.pid("m");
        let from = world.now;
        world.kill(old);
        let at = switched(&mut world, old, Span::secs(5));
        world.expect(at.since(from) <= Span::ms(1_400), &format!("{} ms", at.since(from).as_ms()));
        world.run_for(Span::secs(2));
        let back = world.now;
        world.start(old);
        let done = episode::until_converged(&mut world, Span::secs(5));
        world
            .expect(done.since(back) <= Span::ms(3_500), &format!("back in {} ms", done.since(back).as_ms()));
        world.run_for(Span::secs(12));
        expect_no_twins(&world, "with last good answers");
    }
}

#[test]
fn a_name_that_hangs_delays_no_other_master_and_no_other_command() {
    let options = Options { resolve_hostnames: true, replicas: 1, sentinels: 0, ..Options::seed(3) };
    let mut world = World::new(options);
    let (m, lost) = (world.add_node("m", MASTER, Role::Master), world.add_node("x", "lost", Role::Master));
    world.add_replica("r1", m);
    let slow = world.name_host("slow.test", lost);
    world.dns.hanging.insert("slow.test".into());
    let good = world.procs[m.0].addr.clone();
    let started = world.now;
    for n in 1..=3 {
        world.add_sentinel(&format!("s{n}"), &[("lost", slow.clone()), (MASTER, good.clone())]);
    }
    let s1 = world.pid("s1");
    assert_eq!(world.view(s1, MASTER).map(|view| view.status), Some(Status::Ok), "at once");
    let monitor = |name: &str, host: &str| Command::Monitor {
        name: MasterName::from(name),
        host: host.into(),
        port: 6_379,
        quorum: 1,
    };
    let asked = world.now;
    let waiting = world.command(s1, monitor("y", "SLOW.test"));
    assert_eq!(answer(&mut world, s1, monitor("z", "10.0.0.77")), Answer::Ok);
    assert!(world.now.since(asked) < Span::ms(10), "nobody waits for somebody else's name");
    world.run_until("+monitor of the other", Span::secs(1), |world| {
        world.event_at(s1, started, "+monitor master lost  6379 quorum 2").is_some()
    });
    world.run_until("the answer", Span::secs(6), |world| world.answer(waiting).is_some());
    assert_eq!(
        world.answer(waiting),
        Some(&Answer::Error("ERR Invalid IP address or hostname specified".into()))
    );
    world.kill(m);
    let at = world.now;
    world
        .run_until("a failover", Span::ms(1_400), |world| world.event_at(s1, at, "+switch-master").is_some());
    // What is saved must be a line that can be read again.
    let saved = &world.sentinel(s1).disk.durable;
    let hosts: Vec<&str> = saved.masters.iter().map(|master| &*master.addr.host).collect();
    assert_eq!(hosts, ["slow.test", "10.0.0.3", "10.0.0.77"]);
    assert!(world.event_at(s1, at, "+sdown master lost").is_none(), "it was down before");

    world.dns.hanging.clear();
    world.run_until("the name is resolved", Span::secs(30), |world| {
        world.view(s1, "lost").is_some_and(|view| *view.addr.host == *"10.0.0.2" || view.status == Status::Ok)
    });
}

#[test]
fn monitor_takes_a_name_that_can_be_resolved_now() {
    let mut world = group(1, STYLES[0], 1_000);
    let s1 = world.pid("s1");
    let monitor =
        |host: &str, port| Command::Monitor { name: "y".into(), host: host.into(), port, quorum: 1 };
    let refused = |text: &str| Answer::Error(format!("ERR {text}"));
    let bad_host = "Invalid IP address or hostname specified";
    for (host, port, expected) in [
        ("nobody.test", 1, refused(bad_host)),
        ("no name", 1, refused(bad_host)),
        ("", 1, refused(bad_host)),
        ("r1.test", 65_536, refused("Invalid port number.")),
        ("r1.test", 6_379, Answer::Ok),
        ("r1.test", 6_379, refused("Duplicate master name.")),
    ] {
        assert_eq!(answer(&mut world, s1, monitor(host, port)), expected, "{host} {port}");
    }
    assert_eq!(world.view(s1, "y").expect("a view").addr, Addr::new("10.0.0.2", 6_379));
    let off = Command::ConfigSet(words("resolve-hostnames no"));
    assert_eq!(answer(&mut world, s1, off), Answer::Ok);
    assert_eq!(answer(&mut world, s1, Command::Remove("y".into())), Answer::Ok);
    assert_eq!(answer(&mut world, s1, monitor("r1.test", 1)), refused(bad_host));
}

#[test]
fn announce_hostnames_can_be_changed_both_ways_without_twins() {
    let mut world = group(2, STYLES[1], 1_000);
    let (s1, from) = (world.pid("s1"), world.now);
    for (value, host) in [("yes", "m.test"), ("no", "10.0.0.1"), ("yes", "m.test")] {
        let set = Command::ConfigSet(words(&format!("announce-hostnames {value}")));
        assert_eq!(answer(&mut world, s1, set), Answer::Ok);
        assert_eq!(&*world.view(s1, MASTER).expect("a view").addr.host, host, "shown at once");
        world.run_for(Span::secs(12));
        expect_no_twins(&world, value);
        assert_eq!(&*world.sentinel(s1).disk.durable.masters[0].addr.host, host);
    }
    expect_silence(&world, from, "an option was changed");
    // The names of entries stay, their addresses follow.
    assert_eq!(replicas(&mut world, s1), ["10.0.0.2:6379 r1.test", "10.0.0.3:6379 r2.test"]);
}

/// Names are an error in a file that says `resolve-hostnames no`.
#[test]
fn without_resolve_hostnames_no_name_is_saved() {
    let mut world = group(2, STYLES[1], 1_000);
    let s1 = world.pid("s1");
    for option in ["announce-hostnames yes", "resolve-hostnames no"] {
        assert_eq!(answer(&mut world, s1, Command::ConfigSet(words(option))), Answer::Ok);
    }
    world.run_for(Span::secs(3));
    let saved = &world.sentinel(s1).disk.durable.masters[0];
    let sentinels = saved.sentinels.iter().map(|(_, addr)| addr);
    for addr in saved.replicas.iter().chain(sentinels).chain([&saved.addr]) {
        assert!(addr.host.parse::<std::net::IpAddr>().is_ok(), "{addr} cannot be read back");
    }
    assert_eq!((saved.replicas.len(), saved.sentinels.is_empty()), (2, false));
}

#[test]
fn names_are_looked_up_no_more_without_resolve_hostnames() {
    let mut world = group(2, STYLES[1], 1_000);
    for pid in world.sentinels() {
        let set = Command::ConfigSet(words("resolve-hostnames no"));
        assert_eq!(answer(&mut world, pid, set), Answer::Ok);
    }
    world.run_for(Span::secs(3));
    let asked = world.dns.asked.clone();
    let from = world.now;
    let old = world.pid("m");
    world.kill(old);
    switched(&mut world, old, Span::secs(5));
    world.start(old);
    world.run_for(Span::secs(30));
    assert_eq!(world.dns.asked, asked, "no lookups");
    assert_eq!(world.count_events(from, "+slave 1"), 0);
    expect_no_twins(&world, "without lookups");
    for pid in world.sentinels() {
        let set = Command::ConfigSet(words("resolve-hostnames yes"));
        assert_eq!(answer(&mut world, pid, set), Answer::Ok);
    }
    world.run_for(Span::secs(30));
    assert_ne!(world.dns.asked, asked, "lookups again");
    expect_no_twins(&world, "with lookups again");
    episode::until_converged(&mut world, Span::secs(1));
}

#[test]
fn a_sentinel_starts_again_from_what_it_saved() {
    for style in STYLES {
        let mut world = group(4, style, 1_000);
        let s1 = world.pid("s1");
        let from = world.now;
        world.kill(s1);
        world.run_for(Span::ms(300));
        world.start(s1);
        acquainted(&mut world);
        world.run_for(Span::secs(22));
        expect_silence(&world, from, &format!("{style:?} after a restart"));
        expect_no_twins(&world, &format!("{style:?} after a restart"));
    }
}

#[test]
fn a_replica_is_one_whether_known_by_its_name_or_by_its_ip() {
    let mut world = group(6, STYLES[1], 1_000);
    let s1 = world.pid("s1");
    let from = world.now;
    world.kill(s1);
    // As a stock sentinel writes it after a change of `announce-hostnames`.
    let twin = Addr::new("r1.test", 6_379);
    world.sentinel_mut(s1).disk.durable.masters[0].replicas.push(twin);
    world.start(s1);
    acquainted(&mut world);
    assert_eq!(replicas(&mut world, s1).len(), 2);
    assert_eq!(world.count_events(from, "+slave"), 0);
}

#[test]
fn the_master_is_no_replica_of_itself_under_another_name() {
    let mut world = group(6, STYLES[1], 1_000);
    let s1 = world.pid("s1");
    world.name_host("alias.test", world.pid("m"));
    world.kill(s1);
    let saved = &mut world.sentinel_mut(s1).disk.durable.masters[0];
    assert_eq!(&*saved.addr.host, "10.0.0.1");
    saved.replicas.push(Addr::new("alias.test", 6_379));
    world.start(s1);
    world.run_until("one less", Span::secs(3), |world| {
        world.view(s1, MASTER).is_some_and(|view| view.replicas == 2 && view.status == Status::Ok)
    });
    let set = Command::ConfigSet(words("announce-hostnames yes"));
    assert_eq!(answer(&mut world, s1, set), Answer::Ok);
    assert_eq!(&*world.view(s1, MASTER).expect("a view").addr.host, "alias.test");
}

#[test]
fn a_replica_whose_name_cannot_be_resolved_yet_is_found_when_it_can() {
    let mut world = group(8, STYLES[1], 1_000);
    let (s1, r1) = (world.pid("s1"), world.pid("r1"));
    world.name_host("late.test", r1);
    world.dns.unknown.insert("late.test".into());
    world.node_mut(r1).announce_host = Some("late.test".into());
    // Elsewhere, so that it is not the replica that is known already.
    world.kill(r1);
    world.start_elsewhere(r1, "10.0.9.1");
    world.name_host("r1.test", world.pid("s2"));
    world.run_until("an entry", Span::secs(25), |world| {
        world.view(s1, MASTER).is_some_and(|view| view.replicas == 3)
    });
    assert!(replicas(&mut world, s1).contains(&":6379 ".to_owned()), "as stock shows it");
    world.dns.unknown.clear();
    world.run_for(Span::secs(3));
    assert!(replicas(&mut world, s1).contains(&"10.0.9.1:6379 10.0.9.1".to_owned()));
}

#[test]
fn sentinels_announced_by_name_stay_themselves_when_they_move() {
    for announce in [false, true] {
        let mut world = group(9, Style { announce, ..STYLES[1] }, 1_000);
        for n in 1..=3 {
            let pid = world.pid(&format!("s{n}"));
            world.name_host(&format!("s{n}.test"), pid);
            let set = Command::ConfigSet(words(&format!("announce-ip s{n}.test")));
            assert_eq!(answer(&mut world, pid, set), Answer::Ok);
        }
        let from = world.now;
        world.run_for(Span::secs(5));
        expect_silence(&world, from, "the same address by name");
        let (s2, s1) = (world.pid("s2"), world.pid("s1"));
        world.kill(s2);
        world.run_for(Span::secs(3));
        world.start_elsewhere(s2, "10.0.9.2");
        world.run_for(Span::secs(8));
        expect_silence(&world, from, "a sentinel moved");
        let Answer::Entries(entries) = answer(&mut world, s1, Command::Sentinels(name())) else { panic!() };
        let id = world.sentinel(s2).id.clone();
        let entry = entries.iter().find(|entry| field(entry, "runid") == &*id.0).expect("an entry");
        assert_eq!(field(entry, "ip"), if announce { "s2.test" } else { "10.0.9.2" });
        assert_eq!(field(entry, "flags"), "sentinel");
    }
}

#[test]
fn a_question_by_a_name_is_answered_when_the_name_is_known() {
    let mut world = group(3, STYLES[0], 1_000);
    let s1 = world.pid("s1");
    world.name_host("alias.test", world.pid("m"));
    world.name_host("r9.test", world.pid("r1"));
    let ask = |host: &str, candidate: Option<RunId>| Command::IsMasterDown {
        host: host.into(),
        port: 6_379,
        epoch: 5,
        candidate,
    };
    let voted = |answer: &Answer| matches!(answer, Answer::Down { leader: Some(_), .. });
    let candidate = Some(RunId::from("c"));
    for (host, expected) in [
        ("nobody.test", false),
        ("r9.test", false),
        ("ALIAS.test", true),
        ("m.test", true),
        ("10.0.0.1", true),
    ] {
        let answer = answer(&mut world, s1, ask(host, candidate.clone()));
        assert_eq!(voted(&answer), expected, "{host}: {answer:?}");
    }
    world.name_host("stuck.test", world.pid("m"));
    world.dns.hanging.insert("stuck.test".into());
    let from = world.now;
    assert!(!voted(&answer(&mut world, s1, ask("stuck.test", candidate))));
    assert!(world.now.since(from) < Span::ms(600), "asked peers wait for an answer");
}

#[test]
fn lookups_are_few_while_all_is_well() {
    let mut world = group(3, STYLES[1], 1_000);
    let before: usize = world.dns.asked.values().sum();
    world.run_for(Span::secs(100));
    let asked = world.dns.asked.values().sum::<usize>() - before;
    // Three sentinels, three names, every 10 s.
    assert!((60..=100).contains(&asked), "{asked}");
}

/// The engine alone: a name that stands for an address of each family, of which the second one answers.
#[test]
fn the_address_that_answers_is_the_one() {
    let world = World::new(Options { resolve_hostnames: true, ..Options::seed(1) });
    let mut state = world.fresh_state(RunId::from("me"), &[(MASTER, Addr::new("m.test", 6_379))]);
    state.masters[0].settings.down_after = Millis(5_000);
    let mut engine = Engine::new(state, 1, Time(0));
    let connects = |outputs: &[Output]| -> Vec<(LinkId, String)> {
        let of = |output: &Output| {
            if let Output::Connect { link, ip, .. } = output { Some((*link, ip.to_string())) } else { None }
        };
        outputs.iter().filter_map(of).collect()
    };
    let shown = |outputs: &[Output]| -> Vec<String> {
        let of = |output: &Output| {
            if let Output::View(view) = output { Some(view.addr.host.to_string()) } else { None }
        };
        outputs.iter().filter_map(of).collect()
    };
    let first: Vec<Output> = engine.handle(Time(0), Input::Tick).collect();
    assert!(first.contains(&Output::Resolve("m.test".into())) && connects(&first).is_empty(), "{first:?}");
    assert_eq!(shown(&first), [""; 0], "not before it is known what to show");

    let ips = ["fd00::1", "10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().expect("an IP"));
    let next: Vec<Output> =
        engine.handle(Time(1_000), Input::Resolved { host: "m.test", ips: &ips }).collect();
    let links = connects(&next);
    assert!(links.len() == 2 && links.iter().all(|(_, to)| to == "fd00::1"), "{links:?}");
    assert_eq!(shown(&next), ["fd00::1"]);

    let down = Input::LinkDown { link: links[0].0, cause: DownCause::Refused };
    let next: Vec<Output> = engine.handle(Time(2_000), down).collect();
    let links = connects(&next);
    assert_eq!(links.iter().map(|(_, to)| &**to).collect::<Vec<_>>(), ["10.0.0.1"], "at once");

    let local = "10.0.0.9".parse().expect("an IP");
    let next: Vec<Output> = engine.handle(Time(3_000), Input::LinkUp { link: links[0].0, local }).collect();
    assert_eq!(shown(&next), ["10.0.0.1"]);
    // The server shuffles its answers.
    let ips = ["10.0.0.2", "10.0.0.1", "fd00::1"].map(|ip| ip.parse().expect("an IP"));
    let next: Vec<Output> =
        engine.handle(Time(4_000), Input::Resolved { host: "m.test", ips: &ips }).collect();
    assert_eq!((shown(&next), connects(&next)), (Vec::new(), Vec::new()));
}

/// The name is given to another host while the one that it meant is well: that is where the master is until the
/// connection to it breaks.
#[test]
fn a_name_that_moves_away_from_a_healthy_process_moves_nothing() {
    let mut world = group(11, STYLES[0], 1_000);
    let (m, from) = (world.pid("m"), world.now);
    let other = world.add_node("x", "other", Role::Master);
    world.name_host("m.test", other);
    world.run_for(Span::secs(25));
    expect_silence(&world, from, "a name moved away");
    assert_eq!(world.count_events(from, "+sdown"), 0);
    for pid in world.sentinels() {
        assert_eq!(&*world.view(pid, MASTER).expect("a view").addr.host, "10.0.0.1");
    }
    // Its host is given up, and the resolver hangs: the newest good answer counts.
    world.dns.hanging.insert("m.test".into());
    world.host_down(m);
    world.run_until("all look there", Span::secs(5), |world| {
        world
            .sentinels()
            .iter()
            .all(|pid| world.view(*pid, MASTER).is_some_and(|view| world.at(&view.addr) == Some(other)))
    });
}

#[test]
fn a_replica_known_by_its_ip_is_known_by_its_name_once_it_announces_one() {
    let mut world = group(12, STYLES[1], 1_000);
    let r1 = world.pid("r1");
    // With `announce-hostnames no` the IPs are saved.
    for pid in world.sentinels() {
        world.kill(pid);
        assert!(world.sentinel(pid).disk.durable.masters[0].replicas.contains(&Addr::new("10.0.0.2", 6_379)));
        world.start(pid);
    }
    acquainted(&mut world);
    world.run_for(Span::secs(22));
    let from = world.now;
    world.kill(r1);
    world.run_for(Span::secs(1));
    world.start_elsewhere(r1, "10.0.9.1");
    world.run_for(Span::secs(25));
    expect_silence(&world, from, "a replica moved");
    expect_no_twins(&world, "a replica moved");
    let s1 = world.pid("s1");
    assert_eq!(replicas(&mut world, s1)[0], "10.0.0.2:6379 10.0.9.1", "the name of an entry stays");
}
