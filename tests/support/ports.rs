//! Ports for listeners of child processes, below the range from which the kernel takes ports for
//! outgoing connections.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::Mutex;

/// Below Linux' default ephemeral range (32768), above the well-known service ports.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// Ports that this test binary has handed out already.
static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A loopback port that is free now. Another process may still take it before the child binds
/// it, so the starter of the child retries with a new one.
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let taken = taken.get_or_insert_with(HashSet::new);
    for _ in 0..1_000 {
        let port = RANGE.start + (random() % u64::from(RANGE.end - RANGE.start)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && taken.insert(port) {
            return port;
        }
    }
    panic!("no free port in {RANGE:?} after 1000 tries");
}

/// A number that differs from call to call and from process to process.
pub fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
