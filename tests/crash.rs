//! Crash safety on real files: the real binary killed at any moment, and disks that fail. After a restart nothing that
//! was shown to anybody is forgotten, and no vote is ever shown twice in two ways (S1, S3, S7).
//!
//! `VIGIA_CRASH_ROUNDS` sets the number of kills. The tests of failing disks mount a small file system in a mount
//! namespace of their own; where that is not allowed they say so and are skipped.

#![allow(clippy::unwrap_used, reason = "a test that gets no reply has failed")]
#![allow(unreachable_pub, reason = "modules of one test target")]

#[path = "crash/disks.rs"]
mod disks;
#[path = "crash/kills.rs"]
mod kills;
#[path = "support/mod.rs"]
mod support;
#[path = "crash/witness.rs"]
mod witness;
