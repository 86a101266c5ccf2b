//! Vigía: a drop-in replacement for Redis Sentinel.

pub mod cli;
pub mod conf;
pub mod demo;
pub mod engine;
pub mod runtime;
pub mod wire;
