//! Releases of Vigía in one group: hints of another version are answered so that both fall back, and no safety
//! property depends on them (DESIGN, section 5). All oracles watch.

use std::collections::BTreeSet;
use std::sync::Arc;

use vigia::engine::{Answer, Command, Span};

use crate::world::sentinel::Release;
use crate::world::{Options, World, episode};
use crate::{name, switched};

const OTHERS: [Release; 3] = [Release::Older, Release::Newer, Release::Foreign];

/// A group of this release but for the first `count` sentinels, which are started again as another one.
fn mixed(options: Options, count: usize, other: Release) -> World {
    let mut world = World::settled(options);
    for pid in world.sentinels().into_iter().take(count) {
        world.kill(pid);
        world.sentinel_mut(pid).release = other;
        world.start(pid);
        world.run_for(Span::secs(2));
    }
    world.run_for(Span::secs(10));
    world
}

/// L1: with peers that give no hints it takes as long as with stock.
fn bound(other: Release) -> Span {
    match other {
        Release::This | Release::Newer => Span::ms(3_200),
        Release::Older | Release::Foreign => Span::secs(25),
    }
}

#[test]
fn replacing_a_release_process_by_process_moves_nothing() {
    for other in OTHERS {
        for seed in 0..5 {
            let mut world = World::settled(Options::seed(seed));
            let from = world.now;
            for release in [other, Release::This] {
                for pid in world.sentinels() {
                    world.kill(pid);
                    world.sentinel_mut(pid).release = release;
                    world.start(pid);
                    world.run_for(Span::secs(1));
                }
            }
            world.run_for(Span::secs(10));
            for event in ["+sdown master", "+try-failover", "+switch-master"] {
                assert_eq!(world.count_events(from, event), 0, "{other:?}, seed {seed}: {event}");
            }
            assert_eq!(episode::converged(&world), Ok(()), "{other:?}, seed {seed}");
        }
    }
}

#[test]
fn releases_in_one_group_fail_over_and_turn_the_old_master_back() {
    for other in OTHERS {
        let mut hinted = 0;
        for (count, seed) in [(1, 0), (1, 1), (2, 2), (2, 3), (1, 4), (2, 5)] {
            let mut world = mixed(Options::seed(seed), count, other);
            let old = world.pid("m");
            world.kill(old);
            switched(&mut world, old, Span::secs(5));
            world.run_for(Span::secs(5));
            world.start(old);
            episode::until_converged(&mut world, bound(other));
            world.run_for(Span::secs(10));
            assert_eq!(world.promotions.len(), 1, "{other:?}, seed {seed}");
            let hint = |line: &str| line.contains(" -> s1 link ") && line.contains("VOTERS");
            hinted += usize::from(world.trace.all().lines().any(hint));
        }
        // Whoever answers HELLO is a Vigía, in whatever version it does; unless s1 leads, it is asked.
        assert_eq!(
            hinted > 0,
            other != Release::Older,
            "{other:?}: s1 was asked for its voters {hinted} times"
        );
    }
}

#[test]
fn forced_failovers_at_two_releases_at_once_end_in_one_configuration() {
    for other in OTHERS {
        for seed in 0..10 {
            let mut world = mixed(Options::seed(seed), 1, other);
            let (s1, s2) = (world.pid("s1"), world.pid("s2"));
            world.command(s1, Command::Failover(name()));
            let gap = world.rng.below(3_000);
            world.run_for(Span(gap));
            world.command(s2, Command::Failover(name()));
            world.run_for(Span::secs(3));
            episode::until_converged(&mut world, bound(other));
        }
    }
}

#[test]
fn random_episodes_of_releases_in_one_group_end_well() {
    for other in OTHERS {
        for seed in 0..15 {
            let count = 1 + usize::from(seed % 2 == 0);
            episode::run_in(mixed(episode::options(seed), count, other), bound(other));
        }
    }
}

#[test]
fn what_is_not_understood_is_answered_with_an_error_and_a_hello_of_any_version_with_ours() {
    let mut world = World::settled(Options::seed(1));
    let s1 = world.pid("s1");
    let id = world.sentinel(s1).id.to_string();
    let mut ask = |words: &[&str]| {
        let words: Vec<Arc<str>> = words.iter().map(|word| Arc::from(*word)).collect();
        let ticket = world.command(s1, Command::Vigia(words));
        world.run_until("an answer", Span::secs(1), |world| world.answer(ticket).is_some());
        world.answer(ticket).expect("awaited").clone()
    };
    let ours = Answer::Words(vec!["1".to_owned(), id]);
    for version in ["1", "2", "17"] {
        assert_eq!(ask(&[version, "HELLO", "f"]), ours, "HELLO of version {version}");
    }
    let unknown = Answer::Error("ERR unknown VIGIA message".to_owned());
    let bad: [&[&str]; 9] = [
        &[],
        &["1"],
        &["0", "HELLO"],
        &["-1", "HELLO"],
        &["x", "HELLO"],
        &["2", "VOTERS", "mymaster"],
        &["1", "NONSENSE", "mymaster"],
        &["1", "CALM"],
        &["1", "IDLE", "mymaster", "f"],
    ];
    let seen: BTreeSet<String> = bad.iter().map(|words| format!("{:?}", ask(words))).collect();
    assert_eq!(seen, BTreeSet::from([format!("{unknown:?}")]));
}
