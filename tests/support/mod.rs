//! Real processes for the tests: data nodes, sentinels (Vigía's or Debian's), whole groups, and
//! what is needed to watch them. Every process ends by its own pid when its owner is dropped.

#![allow(dead_code, unreachable_pub, reason = "each test target uses a part of it")]

pub mod certs;
pub mod events;
pub mod group;
pub mod hosts;
pub mod netns;
pub mod ports;
pub mod process;
pub mod redis_server;
pub mod resp;
pub mod sentinel;
pub mod tls;
pub mod wait;
