//! One failover, measured from the kill of the master.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::events::Event;
use super::group::connect;

/// What is known about the failover under way.
pub(super) struct Outage {
    /// When the master was killed.
    pub(super) start: Instant,
    /// First `+sdown` of the master.
    pub(super) sdown: Option<Duration>,
    /// First answer of another node that it is master now.
    pub(super) writable: Option<Duration>,
    /// `+switch-master` of each sentinel.
    pub(super) told: BTreeMap<usize, Duration>,
    /// The new address as announced, `ip port`.
    pub(super) new_address: Option<String>,
    promotion: JoinHandle<Instant>,
}

impl Outage {
    /// Starts the clock; `survivors` are the ports of the nodes that may take over.
    pub(super) fn start(survivors: Vec<u16>) -> Self {
        Self {
            start: Instant::now(),
            sdown: None,
            writable: None,
            told: BTreeMap::new(),
            new_address: None,
            promotion: tokio::spawn(watch_promotion(survivors)),
        }
    }

    /// Takes note of an event.
    pub(super) fn note(&mut self, event: &Event) {
        let after = event.at.saturating_duration_since(self.start);
        if event.channel == "+sdown" && event.payload.starts_with("master ") && self.sdown.is_none() {
            self.sdown = Some(after);
        }
        if event.channel == "+switch-master" {
            self.told.entry(event.sentinel).or_insert(after);
            let words: Vec<&str> = event.payload.split(' ').collect();
            if let [_name, _old_ip, _old_port, ip, port] = words[..] {
                self.new_address = Some(format!("{ip} {port}"));
            }
        }
    }

    /// Whether all of `sentinels` have announced the new master, and it answers as one.
    pub(super) async fn is_over(&mut self, sentinels: usize) -> bool {
        if self.writable.is_none() && self.promotion.is_finished() {
            let seen = (&mut self.promotion).await;
            self.writable = seen.ok().map(|at| at - self.start);
        }
        self.writable.is_some() && self.told.len() == sentinels
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        self.promotion.abort();
    }
}

/// Asks the survivors for their role until one of them is a master.
async fn watch_promotion(ports: Vec<u16>) -> Instant {
    let mut connections = BTreeMap::new();
    loop {
        for port in &ports {
            if !connections.contains_key(port) {
                // A promotion cuts this connection, too.
                let Ok(connection) = connect(*port).await else { continue };
                connections.insert(*port, connection);
            }
            let Some(connection) = connections.get_mut(port) else { continue };
            let role: Result<redis::Value, _> = redis::cmd("ROLE").query_async(connection).await;
            match role {
                Ok(role) if is_master(&role) => return Instant::now(),
                Ok(_) => {}
                Err(_) => drop(connections.remove(port)),
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn is_master(role: &redis::Value) -> bool {
    let redis::Value::Array(items) = role else { return false };
    items.first().is_some_and(|first| *first == redis::Value::BulkString(b"master".to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_sdown_and_each_switch_are_timed() {
        let mut outage = Outage::start(Vec::new());
        let event = |ms, sentinel, channel: &str, payload: &str| Event {
            at: outage.start + Duration::from_millis(ms),
            sentinel,
            channel: channel.to_owned(),
            payload: payload.to_owned(),
        };
        let events = [
            event(5, 1, "+sdown", "slave 127.0.0.1:2 127.0.0.1 2 @ mymaster 127.0.0.1 1"),
            event(10, 1, "+sdown", "master mymaster 127.0.0.1 1"),
            event(11, 2, "+sdown", "master mymaster 127.0.0.1 1"),
            event(20, 2, "+switch-master", "mymaster 127.0.0.1 1 127.0.0.1 2"),
            event(30, 1, "+switch-master", "mymaster 127.0.0.1 1 127.0.0.1 2"),
        ];
        for event in &events {
            outage.note(event);
        }

        assert_eq!(outage.sdown, Some(Duration::from_millis(10)));
        assert_eq!(outage.told.values().max(), Some(&Duration::from_millis(30)));
        assert_eq!(outage.new_address.as_deref(), Some("127.0.0.1 2"));
        assert!(!outage.is_over(2).await, "no node has said that it is master");
    }
}
