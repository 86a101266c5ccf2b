//! The real binary, byte by byte: what a client on a raw connection sees, and how a start ends
//! that cannot succeed.
//!
//! `vigia::` runs this package's binary; `stock::` (ignored by default) runs the same tests with
//! Debian's redis-sentinel, which proves that they describe the original:
//! `cargo test --test server stock:: -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test that gets no reply has failed")]

#[path = "../support/mod.rs"]
mod support;

/// Makes a test of each function for each program.
macro_rules! for_each_program {
    ($($name:ident),* $(,)?) => {
        mod vigia {
            $(#[test] fn $name() { super::$name(crate::support::sentinel::Program::Vigia) })*
        }
        mod stock {
            $(
                #[test]
                #[ignore = "proves the test, not Vigía"]
                fn $name() { super::$name(crate::support::sentinel::Program::Stock) }
            )*
        }
    };
}

mod acl;
mod admin;
mod control;
mod durability;
mod events;
mod figures;
mod identity;
mod logs;
mod protocol;
mod pubsub;
mod replies;
mod scripts;
mod sockets;
mod startup;
mod supervised;
mod tilt;
mod tls;
