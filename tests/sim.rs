//! Whole groups under seeded simulation: everything at once, watched by every oracle.
//!
//! ```text
//! ./compat/run sim 100000          seeds 0 to 99,999 on all cores, and what they held
//! ./compat/run sim 1 4711          one seed with its trace
//! ./compat/run mutants             every known-bad engine is caught by the oracle that it is for
//! ```
//!
//! An episode is a world drawn from its seed (`sim/draw.rs`): sentinels, masters, replicas, clocks, a menu
//! of faults. Faults strike (`sim/faults.rs`) under the oracles of safety; then they stop, and within a
//! stated bound everything must be well again (`sim/episode.rs`). Seeds that once failed are kept in
//! `sim/regress.txt` with a line of explanation.

#![allow(clippy::print_stdout, reason = "a run shows what it found as it goes")]
#![allow(clippy::wildcard_enum_match_arm, reason = "each function of the faults handles its own kinds")]

mod world;

#[path = "sim/draw.rs"]
mod draw;
#[path = "sim/episode.rs"]
mod episode;
#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/mutants.rs"]
mod mutants;
#[path = "sim/operators.rs"]
mod operators;
#[path = "sim/runner.rs"]
mod runner;
#[path = "sim/stock_defects.rs"]
mod stock_defects;
#[path = "sim/tally.rs"]
mod tally;

/// Seeds that once failed; a comment says why.
const REGRESS: &str = include_str!("sim/regress.txt");

/// Episodes of the plain test command.
const EPISODES: u64 = 1_000;

#[test]
fn simulated_groups_hold_what_the_design_promises() {
    let run = runner::Run::from_environment(EPISODES);
    let report = runner::explore(&run);
    println!("{report}");
    assert!(report.failures.is_empty(), "{} episodes failed", report.failures.len());
}

#[test]
fn seeds_that_once_failed_end_well() {
    for line in REGRESS.lines() {
        let seed = line.split('#').next().unwrap_or("").trim();
        if !seed.is_empty() {
            episode::run(seed.parse().expect("a seed"), true, None);
        }
    }
}

#[test]
fn a_run_is_repeatable_bit_for_bit_with_or_without_a_trace() {
    for seed in 0..20 {
        let (first, again) = (episode::run(seed, true, None), episode::run(seed, true, None));
        assert_eq!(first.fingerprint, again.fingerprint, "seed {seed}");
        let untraced = episode::run(seed, false, None);
        assert_eq!(first.tally, untraced.tally, "seed {seed}: the trace changes what happens");
    }
    let (one, other) = (episode::run(1, true, None), episode::run(2, true, None));
    assert_ne!(one.fingerprint, other.fingerprint);
}
