//! Real groups: redis-server processes watched by sentinel processes.
//!
//! A scenario takes the mix of sentinels as its parameter. `vigia::` runs this package's binary,
//! `mixed::` one redis-sentinel and two of ours, and `stock::` (ignored by default) Debian's
//! redis-sentinel alone, which proves that a scenario describes what the original does:
//! `cargo test --test groups stock:: -- --ignored`.

#[allow(dead_code, unreachable_pub, reason = "this target uses a part of it")]
#[path = "../world/rng.rs"]
mod rng;
#[path = "../support/mod.rs"]
mod support;

use support::sentinel::Program::{self, Stock, Vigia};

/// Makes a test of each scenario for each mix that it is named under.
macro_rules! scenarios {
    (all: [$($all:ident),* $(,)?], vigia: [$($vigia:ident),* $(,)?] $(,)?) => {
        mod vigia {
            $(#[test] fn $all() { super::$all(crate::VIGIA) })*
            $(#[test] fn $vigia() { super::$vigia(crate::VIGIA) })*
        }
        mod mixed {
            $(#[test] fn $all() { super::$all(crate::MIXED) })*
        }
        mod stock {
            $(#[test] #[ignore = "proves the harness, not Vigía"] fn $all() { super::$all(crate::STOCK) })*
        }
    };
}

mod clients;
mod crashes;
mod manual;
mod master_lost;
mod mixed;
mod names;
mod quorum;
mod tls;

/// Three of ours.
const VIGIA: &[Program] = &[Vigia; 3];
/// One original among two of ours, as in the middle of a migration.
const MIXED: &[Program] = &[Stock, Vigia, Vigia];
/// Three originals.
const STOCK: &[Program] = &[Stock; 3];
