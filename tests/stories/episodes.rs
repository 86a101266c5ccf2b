//! Everything at once: random faults, and what a repair must bring back (L1, L2).

use vigia::engine::Span;

use crate::world::node::Role;
use crate::world::{Options, World, episode};
use crate::{five, switched};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_episodes_end_well() {
    let from = number("VIGIA_EPISODE_FROM", 0);
    let count = number("VIGIA_EPISODES", 200);
    let mut failed = Vec::new();
    let mut took = Vec::new();
    for seed in from..from + count {
        if let Ok(span) = std::panic::catch_unwind(|| episode::run(seed)) {
            took.push(span.as_ms());
        } else {
            eprintln!("options: {:?}", episode::options(seed));
            eprintln!("again: VIGIA_EPISODE_FROM={seed} VIGIA_EPISODES=1 cargo test --test stories random");
            failed.push(seed);
        }
    }
    took.sort_unstable();
    let at =
        |percent: usize| took.get(took.len() * percent / 100).or(took.last()).copied().unwrap_or_default();
    println!("ms until converged: median {}, 90 % {}, 99 % {}, worst {}", at(50), at(90), at(99), at(100));
    assert!(failed.is_empty(), "{} of {count} episodes failed: {failed:?}", failed.len());
}

/// Seeds that once failed; a comment says why.
const REGRESS: &str = include_str!("../world/regress.txt");

#[test]
fn episodes_that_once_failed_end_well() {
    for line in REGRESS.lines() {
        let seed = line.split('#').next().unwrap_or("").trim();
        if !seed.is_empty() {
            episode::run(seed.parse().expect("a seed"));
        }
    }
}

#[test]
fn a_cut_and_healed_group_agrees_within_two_seconds() {
    for seed in 0..20 {
        let mut world = five(seed);
        let left = vec![world.pid("m"), world.pid("s1")];
        let right = world.others(&left);
        world.cut(&left, &right);
        world.run_for(Span::secs(10));
        assert_eq!(world.promotions.len(), 1, "seed {seed}: the majority goes on");
        world.heal();
        let healed = world.now;
        let done = episode::until_converged(&mut world, Span::secs(20));
        assert!(done.since(healed) <= Span::ms(3_200), "seed {seed}: {} ms", done.since(healed).as_ms());
        assert!(matches!(world.node(world.pid("m")).role, Role::Replica(_)), "seed {seed}");
    }
}

#[test]
fn a_stock_peer_in_the_group_votes_and_follows() {
    for seed in 0..10 {
        let mut world = World::settled(Options { sentinels: 2, stock: 1, ..Options::seed(seed) });
        let old = world.pid("m");
        world.kill(old);
        switched(&mut world, old, Span::secs(25));
        let stock = world.stocks()[0];
        let addr = world.procs[old.0].addr.clone();
        world.run_until("the stock peer follows", Span::secs(5), |world| world.stock(stock).master != addr);
        world.start(old);
        episode::until_converged(&mut world, Span::secs(25));
    }
}
