//! The rules of votes, epochs and configurations as a small model, checked exhaustively.
//!
//! Three sentinels of one master, crashes, failed writes, and a network that loses, delays, repeats and reorders
//! everything, in every interleaving up to stated bounds. What the model leaves out and how its parts map to the
//! code is in [`group`]; [`conform`] holds the engine itself against the rules of the model.
//!
//! `VIGIA_MODEL_EPOCHS`, `VIGIA_MODEL_CRASHES` and `VIGIA_MODEL_FAILURES` raise the bounds of the exhaustive search
//! (`./compat/run model` does that in a release build).
#![allow(unreachable_pub, reason = "modules of one test target")]

#[path = "model/conform.rs"]
mod conform;
#[path = "model/group.rs"]
mod group;
#[path = "model/rules.rs"]
mod rules;

use std::collections::BTreeSet;

use group::{Bounds, Group};
use rules::Mutant;
use stateright::{Checker, HasDiscoveries, Model};

fn number(variable: &str, default: u8) -> u8 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn bounds() -> Bounds {
    Bounds {
        epochs: number("VIGIA_MODEL_EPOCHS", 1),
        crashes: number("VIGIA_MODEL_CRASHES", 2),
        failures: number("VIGIA_MODEL_FAILURES", 1),
    }
}

/// Every property holds in every reachable state, and everything that should be possible is.
#[test]
fn the_rules_keep_every_promise_in_every_interleaving() {
    let bounds = bounds();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = Group::new(bounds, None).checker().threads(threads).spawn_bfs().join();
    println!(
        "{bounds:?}: {} states, {} of them different, longest path {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// Each broken rule breaks the promise that it stands for: the model can see.
#[test]
fn every_broken_rule_is_found() {
    for mutant in Mutant::ALL {
        for promise in mutant.promises() {
            let wanted = HasDiscoveries::AnyOf(BTreeSet::from([*promise]));
            let checker =
                Group::new(mutant.bounds(), Some(mutant)).checker().finish_when(wanted).spawn_bfs().join();
            let path = checker.discovery(promise);
            assert!(path.is_some(), "{mutant:?} does not break `{promise}`");
            let steps = path.map_or(0, |path| path.into_actions().len());
            println!("{mutant:?} breaks `{promise}` in {steps} steps");
        }
    }
}
