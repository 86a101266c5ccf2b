//! Corners where a state could stick, an epoch fall, or a stale leader act: each was a bug once.

use std::collections::BTreeSet;

use vigia::engine::{Answer, Command, RunId, Span};

use crate::world::disk::DiskMode;
use crate::world::{MASTER, Options, Pid, World, episode};
use crate::{name, switched, three};

fn answer(world: &mut World, pid: Pid, command: Command) -> Answer {
    let ticket = world.command(pid, command);
    world.run_until("an answer", Span::secs(5), |world| world.answer(ticket).is_some());
    world.answer(ticket).expect("awaited").clone()
}

/// Asks a sentinel for its vote about the first master; whom it shows.
fn vote(world: &mut World, pid: Pid, epoch: i64, candidate: &str) -> Option<RunId> {
    let addr = world.procs[0].addr.clone();
    let candidate = Some(RunId::from(candidate));
    let ask = Command::IsMasterDown { host: addr.host, port: addr.port.into(), epoch, candidate };
    let answer = answer(world, pid, ask);
    let Answer::Down { leader, .. } = answer else { world.fail(&format!("no vote but {answer:?}")) };
    leader
}

/// Everybody votes for a leader that does nothing, so that its term has to be waited out.
fn idle_leader(world: &mut World, epoch: i64) {
    for pid in world.sentinels() {
        assert_eq!(vote(world, pid, epoch, &"e".repeat(40)), Some(RunId::from(&*"e".repeat(40))));
    }
}

fn set(option: &str, value: &str) -> Command {
    let args = vec![option.into(), value.into()];
    Command::Set { name: name(), args, not_executable: BTreeSet::new() }
}

fn hello(id: &str, host: &str, master: &str, addr: &str) -> Command {
    Command::Hello(format!("{host},26379,{id},0,{master},{addr},6379,0").as_str().into())
}

#[test]
fn a_forced_failover_that_waits_outlives_an_odown_of_the_master() {
    let mut world = three(1);
    let (m, s1) = (world.pid("m"), world.pid("s1"));
    idle_leader(&mut world, 50);
    assert_eq!(answer(&mut world, s1, Command::Failover(name())), Answer::Ok);
    let from = world.now;
    world.stop(m);
    world.run_until("+odown", Span::secs(3), |world| world.event_at(s1, from, "+odown").is_some());
    world.cont(m);
    world.run_until("-odown", Span::secs(3), |world| world.event_at(s1, from, "-odown").is_some());
    switched(&mut world, m, Span::secs(12));
    episode::until_converged(&mut world, Span::secs(5));
}

#[test]
fn an_order_that_could_not_be_carried_out_while_saving_failed_does_not_come_later() {
    let mut world = three(2);
    let s1 = world.pid("s1");
    idle_leader(&mut world, 50);
    assert_eq!(answer(&mut world, s1, Command::Failover(name())), Answer::Ok);
    world.set_disk(s1, DiskMode::Fails);
    vote(&mut world, s1, 51, &"e".repeat(40));
    world.run_for(Span::secs(60));
    world.set_disk(s1, DiskMode::Works);
    world.run_for(Span::secs(30));
    assert_eq!(world.promotions.len(), 0);
    let again = answer(&mut world, s1, Command::Failover(name()));
    assert_eq!(again, Answer::Ok, "no order is pending");
}

#[test]
fn a_switch_during_a_job_leaves_no_replica_marked() {
    for seed in 0..10 {
        let mut world = World::settled(Options { replicas: 3, ..Options::seed(seed) });
        let (s1, s2) = (world.pid("s1"), world.pid("s2"));
        for replica in ["r1", "r2", "r3"] {
            world.node_called(replica).sync = Span::secs(2);
        }
        assert_eq!(answer(&mut world, s1, Command::Failover(name())), Answer::Ok);
        let from = world.now;
        world.run_until("a job", Span::secs(3), |world| {
            world.event_at(s1, from, "+slave-reconf-sent slave").is_some()
        });
        world.run_for(Span::ms(300));
        assert_eq!(answer(&mut world, s2, Command::Failover(name())), Answer::Ok);
        episode::until_converged(&mut world, Span::secs(25));
        world.run_for(Span::secs(3));
        let entries = format!("{:?}", answer(&mut world, s1, Command::Replicas(name())));
        assert!(!entries.contains("reconf_"), "seed {seed}: {entries}");
    }
}

#[test]
fn votes_that_are_read_after_the_term_elect_nobody() {
    for seed in 0..10 {
        let mut world = World::settled(Options { failover_timeout_ms: 3_000, ..Options::seed(seed) });
        let from = world.now;
        let old = world.pid("m");
        world.kill(old);
        let stands = |world: &World| {
            world.sentinels().into_iter().find(|pid| world.event_at(*pid, from, "+try-failover").is_some())
        };
        world.run_until("a candidate", Span::secs(3), |world| stands(world).is_some());
        let candidate = stands(&world).expect("awaited");
        world.stop(candidate);
        // Its questions are on their way; the answers wait for it until the term of its voters is over.
        world.run_for(Span::ms(3_005));
        let back = world.now;
        world.cont(candidate);
        world.run_for(Span::secs(5));
        let late = world.event_at(candidate, back, "+elected-leader").filter(|at| *at <= back + Span::ms(1));
        assert_eq!(late, None, "seed {seed}");
        assert_eq!(world.promotions.len(), 1, "seed {seed}");
    }
}

#[test]
fn no_second_vote_in_an_epoch_after_remove_and_monitor() {
    let mut world = three(3);
    let s1 = world.pid("s1");
    let addr = world.procs[0].addr.clone();
    assert_eq!(vote(&mut world, s1, 50, &"a".repeat(40)), Some(RunId::from(&*"a".repeat(40))));
    assert_eq!(answer(&mut world, s1, Command::Remove(name())), Answer::Ok);
    let monitor = Command::Monitor { name: name(), host: addr.host, port: addr.port.into(), quorum: 2 };
    assert_eq!(answer(&mut world, s1, monitor), Answer::Ok);
    assert_eq!(vote(&mut world, s1, 50, &"b".repeat(40)), None);
    assert_eq!(vote(&mut world, s1, 51, &"b".repeat(40)), Some(RunId::from(&*"b".repeat(40))));
}

#[test]
fn a_reset_does_not_end_the_term_of_another_leader() {
    let mut world = World::settled(Options { sentinels: 1, quorum: 1, ..Options::seed(4) });
    let s1 = world.pid("s1");
    idle_leader(&mut world, 50);
    let from = world.now;
    assert_eq!(answer(&mut world, s1, Command::Reset("*".into())), Answer::Integer(1));
    world.run_for(Span::secs(1));
    let old = world.pid("m");
    world.kill(old);
    world.run_for(Span::secs(8));
    assert_eq!(world.event_at(s1, from, "+try-failover"), None, "its term lasts 10 s");
    switched(&mut world, old, Span::secs(5));
}

#[test]
fn a_sentinel_with_a_new_id_keeps_the_count_of_voters_under_every_master() {
    let mut world = World::new(Options::seed(5));
    let nodes = ["one", "two"].map(|name| world.add_node(name, name, crate::world::node::Role::Master));
    let addrs = nodes.map(|pid| world.procs[pid.0].addr.clone());
    let s1 = world.add_sentinel("s1", &[("one", addrs[0].clone()), ("two", addrs[1].clone())]);
    for n in 1..=4 {
        for (master, addr) in ["one", "two"].iter().zip(&addrs) {
            let (id, host) = (n.to_string().repeat(40), format!("10.0.9.{n}"));
            answer(&mut world, s1, hello(&id, &host, master, &addr.host));
        }
    }
    answer(&mut world, s1, hello(&"f".repeat(40), "10.0.9.1", "one", &addrs[0].host));
    world.run_for(Span::secs(1));
    for master in &world.sentinel(s1).disk.durable.masters {
        assert_eq!(master.voters.len(), 4, "{}", master.name);
        assert!(!master.voters.contains(&RunId::from(&*"1".repeat(40))), "{}", master.name);
    }
}

#[test]
fn any_failover_timeout_that_can_be_set_can_be_lived_with() {
    let mut world = three(6);
    for pid in world.sentinels() {
        let huge = set("failover-timeout", "9223372036854775807");
        assert_eq!(answer(&mut world, pid, huge), Answer::Ok);
    }
    for replica in ["r1", "r2"] {
        world.node_called(replica).priority = 0;
    }
    world.run_for(Span::secs(11));
    let old = world.pid("m");
    world.kill(old);
    world.run_for(Span::secs(5));
    for replica in ["r1", "r2"] {
        world.node_called(replica).priority = 1;
    }
    switched(&mut world, old, Span::secs(10));
}

#[test]
fn a_forced_failover_without_others_needs_no_long_failover_timeout() {
    let mut world = World::settled(Options { failover_timeout_ms: 500, ..Options::seed(7) });
    let (s1, old) = (world.pid("s1"), world.pid("m"));
    let others = [world.pid("s2"), world.pid("s3")];
    world.cut(&[s1], &others);
    assert_eq!(answer(&mut world, s1, Command::Failover(name())), Answer::Ok);
    let addr = world.procs[old.0].addr.clone();
    world.run_until("s1 switched", Span::secs(5), |world| {
        world.view(s1, MASTER).is_some_and(|view| view.addr != addr)
    });
}

#[test]
fn the_voters_say_how_many_they_are_before_they_vote() {
    for seed in 0..10 {
        let mut world = World::settled(Options { sentinels: 5, ..Options::seed(seed) });
        let (s1, s2) = (world.pid("s1"), world.pid("s2"));
        let addr = world.procs[0].addr.clone();
        assert_eq!(answer(&mut world, s1, Command::Remove(name())), Answer::Ok);
        let monitor = Command::Monitor { name: name(), host: addr.host.clone(), port: 6379, quorum: 2 };
        assert_eq!(answer(&mut world, s1, monitor), Answer::Ok);
        let (id, host) = (world.sentinel(s2).id.0.to_string(), world.procs[s2.0].addr.host.to_string());
        answer(&mut world, s1, hello(&id, &host, MASTER, &addr.host));
        let from = world.now;
        world.run_for(Span::ms(40));
        if answer(&mut world, s1, Command::Failover(name())) != Answer::Ok {
            continue;
        }
        world.run_for(Span::ms(900));
        if world.event_at(s1, from, "+elected-leader").is_some() {
            let me = world.sentinel(s1).id.0.to_string();
            let votes = world.count_events(from, &format!("+vote-for-leader {me}"));
            assert!(votes >= 3, "seed {seed}: elected with {votes} of 5");
        }
    }
}

#[test]
fn forged_hellos_fill_no_memory() {
    let mut world = three(8);
    let (s1, m) = (world.pid("s1"), world.procs[0].addr.clone());
    for n in 0..1_500 {
        let forged = hello(&format!("{n:040x}"), &format!("10.9.{}.{}", n / 250, n % 250), MASTER, &m.host);
        world.command(s1, forged);
    }
    world.command(s1, hello(&"x".repeat(100_000), "10.9.9.9", MASTER, &m.host));
    let view = world.view(s1, MASTER).expect("a view");
    assert!(view.sentinels <= 1_001, "{}", view.sentinels);
    let longest = |state: &vigia::engine::State| {
        state.masters.iter().flat_map(|m| &m.sentinels).map(|(id, _)| id.len()).max()
    };
    world.run_for(Span::ms(100));
    assert!(longest(&world.sentinel(s1).disk.durable).is_some_and(|len| len <= 40));
}

#[test]
fn a_replica_that_once_refused_is_asked_again_later() {
    let options = Options { sentinels: 1, quorum: 1, replicas: 1, ..Options::seed(9) };
    let mut world = World::settled(options);
    let (old, from) = (world.pid("m"), world.now);
    world.node_called("r1").refused.insert("slaveof", "NOPERM no permissions");
    world.kill(old);
    world.run_for(Span::secs(5));
    assert!(world.count_events(from, "-failover-abort-slave-timeout") > 0, "it refused");
    world.node_called("r1").refused.clear();
    switched(&mut world, old, Span::secs(25));
}

#[test]
fn a_replica_without_its_master_is_read_every_second() {
    let mut world = three(10);
    let (s1, r1) = (world.pid("s1"), world.pid("r1"));
    world.kill(r1);
    world.node_called("r1").sync = Span::secs(60);
    world.start(r1);
    world.run_for(Span::ms(5_500));
    let Answer::Entries(entries) = answer(&mut world, s1, Command::Replicas(name())) else { panic!() };
    let entry = entries.iter().find(|entry| entry[1].1 == world.procs[r1.0].addr.host).expect("r1");
    let age = entry.iter().find(|(key, _)| *key == "info-refresh").expect("the age of INFO");
    assert!(age.1.parse::<u64>().is_ok_and(|ms| ms <= 1_100), "{age:?}");
}
