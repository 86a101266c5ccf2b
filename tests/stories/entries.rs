//! The entries of MASTER and REPLICAS while things happen: flags, their order, and the fields that come and go.

use std::collections::BTreeSet;

use vigia::engine::{Answer, Command, Span};

use crate::world::{Options, Pid, World};
use crate::{name, three};

fn ask(world: &mut World, pid: Pid, command: Command) -> Answer {
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

type Fields = Vec<(String, String)>;

fn fields(entry: &vigia::engine::Entry) -> Fields {
    entry.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect()
}

fn master(world: &mut World, pid: Pid) -> Fields {
    let Answer::Entry(entry) = ask(world, pid, Command::Master(name())) else { panic!("no entry") };
    fields(&entry)
}

fn replicas(world: &mut World, pid: Pid) -> Vec<Fields> {
    let Answer::Entries(entries) = ask(world, pid, Command::Replicas(name())) else { panic!("no entries") };
    entries.iter().map(fields).collect()
}

fn get<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// What is seen of the master (flags, failover-state) and of the replicas (flags), without repetitions in a row.
fn watch(world: &mut World, pid: Pid, span: Span) -> (Vec<String>, BTreeSet<String>) {
    let (mut of_master, mut of_replicas) = (Vec::new(), BTreeSet::new());
    let end = world.now + span;
    while world.now < end {
        world.run_for(Span(300));
        let entry = master(world, pid);
        let state = get(&entry, "failover-state").unwrap_or("-");
        let seen = format!("{} {state}", get(&entry, "flags").expect("flags"));
        if of_master.last() != Some(&seen) {
            of_master.push(seen);
        }
        for entry in replicas(world, pid) {
            of_replicas.insert(get(&entry, "flags").expect("flags").to_owned());
        }
    }
    (of_master, of_replicas)
}

#[test]
fn a_forced_failover_as_its_leader_shows_it() {
    let mut world = World::settled(Options { sync_us: (5_000, 50_000), ..Options::seed(3) });
    let s1 = world.pid("s1");
    assert_eq!(ask(&mut world, s1, Command::Failover(name())), Answer::Ok);
    let (of_master, of_replicas) = watch(&mut world, s1, Span::secs(3));
    assert_eq!(
        of_master,
        [
            "master,failover_in_progress,force_failover wait_start",
            "master,failover_in_progress,force_failover select_slave",
            "master,failover_in_progress,force_failover wait_promotion",
            "master -",
        ]
    );
    // Its healthy links are cut by the promotion itself.
    for flags in
        ["slave", "slave,promoted", "slave,reconf_sent", "slave,reconf_inprog", "slave,disconnected,promoted"]
    {
        assert!(of_replicas.contains(flags), "{flags} is not among {of_replicas:?}");
    }
    let known = ["slave", "disconnected", "promoted", "reconf_sent", "reconf_inprog", "reconf_done"];
    for flags in &of_replicas {
        let places: Vec<_> =
            flags.split(',').map(|flag| known.iter().position(|known| *known == flag)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{flags}");
    }
}

#[test]
fn a_failover_of_a_dead_master_as_its_leader_shows_it() {
    let mut world = three(4);
    let from = world.now;
    world.kill(world.pid("m"));
    world.run_until("a candidate", Span::secs(3), |world| world.count_events(from, "+try-failover") > 0);
    let leads = |pid: &Pid| world.event_at(*pid, from, "+try-failover").is_some();
    let leader = world.sentinels().into_iter().find(leads).expect("a candidate");
    let (of_master, _) = watch(&mut world, leader, Span::secs(2));
    let down = "s_down,o_down,master,disconnected,failover_in_progress";
    let expected =
        ["wait_start", "select_slave", "wait_promotion"].map(|state| format!("{down} {state}")).into_iter();
    let expected: Vec<String> = expected.chain(["master -".to_owned()]).collect();
    assert_eq!(of_master, expected);
}

/// Names of fields, with those that are there only sometimes.
fn names(head: &[&str], sometimes: &[&str], tail: &[&str]) -> Vec<String> {
    let vitals = ["last-ping-sent", "last-ok-ping-reply", "last-ping-reply"];
    let [state, down]: [Vec<&str>; 2] = [
        sometimes.iter().filter(|name| **name == "failover-state").copied().collect(),
        sometimes.iter().filter(|name| **name != "failover-state").copied().collect(),
    ];
    let all = head.iter().copied().chain(state).chain(vitals).chain(down).chain(tail.iter().copied());
    all.map(str::to_owned).collect()
}

const HEAD: [&str; 7] = ["name", "ip", "port", "runid", "flags", "link-pending-commands", "link-refcount"];
const NODE: [&str; 4] = ["down-after-milliseconds", "info-refresh", "role-reported", "role-reported-time"];

fn of_master(sometimes: &[&str], scripts: &[&str]) -> Vec<String> {
    let own =
        ["config-epoch", "num-slaves", "num-other-sentinels", "quorum", "failover-timeout", "parallel-syncs"];
    names(&HEAD, sometimes, &[&NODE[..], &own, scripts].concat())
}

fn of_replica(sometimes: &[&str]) -> Vec<String> {
    let own = [
        "master-link-down-time",
        "master-link-status",
        "master-host",
        "master-port",
        "slave-priority",
        "slave-repl-offset",
        "replica-announced",
    ];
    names(&HEAD, sometimes, &[&NODE[..], &own].concat())
}

fn of_sentinel(sometimes: &[&str]) -> Vec<String> {
    let own = ["down-after-milliseconds", "last-hello-message", "voted-leader", "voted-leader-epoch"];
    names(&HEAD, sometimes, &own)
}

fn shown(fields: &Fields) -> Vec<String> {
    fields.iter().map(|(name, _)| name.clone()).collect()
}

#[test]
fn fields_come_in_stocks_order_and_some_only_when_there_is_reason() {
    let mut world = World::settled(Options { deny_scripts: false, quorum: 2, ..Options::seed(5) });
    let s1 = world.pid("s1");
    let sentinels = |world: &mut World| {
        let Answer::Entries(entries) = ask(world, s1, Command::Sentinels(name())) else {
            panic!("no entries")
        };
        entries.iter().map(fields).collect::<Vec<_>>()
    };
    assert_eq!(shown(&master(&mut world, s1)), of_master(&[], &[]));
    assert!(replicas(&mut world, s1).iter().all(|entry| shown(entry) == of_replica(&[])));
    assert!(sentinels(&mut world).iter().all(|entry| shown(entry) == of_sentinel(&[])));

    let scripts = ["notification-script", "client-reconfig-script"];
    for script in scripts.iter().rev() {
        let args = vec![(*script).into(), "/s".into()];
        let set = Command::Set { name: name(), args, not_executable: BTreeSet::new() };
        assert_eq!(ask(&mut world, s1, set), Answer::Ok);
    }
    assert_eq!(shown(&master(&mut world, s1)), of_master(&[], &scripts));

    // One sentinel and one replica are down, then the master and so all that could be promoted.
    world.kill(world.pid("s3"));
    world.kill(world.pid("r1"));
    world.run_for(Span::secs(2));
    let replica = &replicas(&mut world, s1)[0];
    assert_eq!(
        (shown(replica), get(replica, "flags")),
        (of_replica(&["s-down-time"]), Some("s_down,slave,disconnected"))
    );
    let down = sentinels(&mut world).into_iter().find(|entry| get(entry, "flags") != Some("sentinel"));
    let down = down.expect("one that is down");
    assert_eq!(
        (shown(&down), get(&down, "flags")),
        (of_sentinel(&["s-down-time"]), Some("s_down,sentinel,disconnected"))
    );
    world.kill(world.pid("r2"));
    world.kill(world.pid("m"));
    world.run_for(Span::secs(4));
    let entry = master(&mut world, s1);
    assert_eq!(shown(&entry), of_master(&["s-down-time", "o-down-time"], &scripts));
    assert_eq!(get(&entry, "flags"), Some("s_down,o_down,master,disconnected"));
    assert!(sentinels(&mut world).iter().any(|entry| get(entry, "flags") == Some("sentinel,master_down")));
    let age = |field: &str| get(&entry, field).and_then(|value| value.parse::<u64>().ok()).expect("a number");
    assert!((2_900..3_100).contains(&age("s-down-time")) && age("last-ping-sent") > 3_900, "{entry:?}");
}
