//! Publish and subscribe: who hears which event.
//!
//! Source: spec 02, section 12; spec 03, section 1.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dashmap::DashMap;

use super::output::{Frames, Outbox};
use crate::engine::glob;
use crate::wire::{Proto, Value};

/// Channels and patterns of one client together. There are about fifty channels; the most that a
/// known client asks for is 14.
pub(super) const SUBSCRIPTIONS_PER_CLIENT: usize = 4_096;

/// Bytes of all names that one client is subscribed to, so that memory and the matching of
/// patterns stay bounded.
pub(super) const SUBSCRIBED_BYTES_PER_CLIENT: usize = 256 << 10;

/// Distinct patterns in the process: each is tried against each event, on the publisher's task.
pub(super) const PATTERNS: usize = 4_096;

/// Publishes events to the subscribers. Cheap to clone.
///
/// Each message is encoded once per protocol and shared by its subscribers. A subscriber that does
/// not keep up is bounded by its output limits and then disconnected; a publisher never waits.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    channels: DashMap<Bytes, Subscribers>,
    patterns: DashMap<Bytes, Subscribers>,
}

type Subscribers = HashMap<u64, Arc<Outbox>>;

impl Hub {
    /// A hub without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives every subscriber of `channel` the message, first by channel, then by pattern.
    ///
    /// Neither blocks on a subscriber nor awaits anything.
    pub fn publish(&self, channel: &str, payload: &str) {
        if let Some(subscribers) = self.0.channels.get(channel.as_bytes()) {
            let mut frames = Frames::new(|proto| message(&[b"message", channel.as_bytes()], payload, proto));
            subscribers.values().for_each(|outbox| outbox.publish(&mut frames));
        }
        for entry in &self.0.patterns {
            let pattern = entry.key();
            if glob::matches(pattern, channel.as_bytes(), false) {
                let words = [b"pmessage", &pattern[..], channel.as_bytes()];
                let mut frames = Frames::new(|proto| message(&words, payload, proto));
                entry.value().values().for_each(|outbox| outbox.publish(&mut frames));
            }
        }
    }

    /// Channels with a subscriber, distinct patterns: as `INFO` counts them.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.0.channels.len(), self.0.patterns.len())
    }

    /// Those of the clients that have a subscription which `allowed` does not allow.
    pub(super) fn deaf(&self, ids: &HashSet<u64>, allowed: impl Fn(Kind, &[u8]) -> bool) -> HashSet<u64> {
        let mut deaf = HashSet::new();
        for kind in [Kind::Channel, Kind::Pattern] {
            for entry in self.table(kind) {
                let mut here = entry.value().keys().filter(|id| ids.contains(id)).peekable();
                if here.peek().is_some() && !allowed(kind, entry.key()) {
                    deaf.extend(here);
                }
            }
        }
        deaf
    }

    fn table(&self, kind: Kind) -> &DashMap<Bytes, Subscribers> {
        match kind {
            Kind::Channel => &self.0.channels,
            Kind::Pattern => &self.0.patterns,
        }
    }
}

fn message(words: &[&[u8]], payload: &str, proto: Proto) -> Bytes {
    let words = words.iter().copied().chain([payload.as_bytes()]);
    let push = Value::Push(words.map(|word| Value::bulk(Bytes::copy_from_slice(word))).collect());
    let mut out = BytesMut::new();
    push.encode(proto, &mut out);
    out.freeze()
}

/// What is subscribed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `SUBSCRIBE`.
    Channel,
    /// `PSUBSCRIBE`.
    Pattern,
}

/// The subscriptions of one client; dropping it ends them.
#[derive(Debug)]
pub(super) struct Subscriptions {
    hub: Hub,
    id: u64,
    outbox: Arc<Outbox>,
    channels: BTreeSet<Bytes>,
    patterns: BTreeSet<Bytes>,
    bytes: usize,
}

/// One subscription too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooMany;

impl Subscriptions {
    pub(super) fn new(hub: Hub, id: u64, outbox: Arc<Outbox>) -> Self {
        Self { hub, id, outbox, channels: BTreeSet::new(), patterns: BTreeSet::new(), bytes: 0 }
    }

    /// Channels and patterns.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.channels.len(), self.patterns.len())
    }

    /// Channels and patterns together: the number in a confirmation.
    pub(super) fn total(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Subscribes to one name: first `confirm`s with the new total, so that no message can be
    /// queued in front of its confirmation.
    ///
    /// # Errors
    /// [`TooMany`]: a limit of this module is reached.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        name: &Bytes,
        confirm: impl FnOnce(usize),
    ) -> Result<(), TooMany> {
        if self.mine(kind).contains(name) {
            confirm(self.total());
            return Ok(());
        }
        let patterns_full = kind == Kind::Pattern
            && self.hub.0.patterns.len() >= PATTERNS
            && !self.hub.0.patterns.contains_key(name);
        let bytes = self.bytes + name.len();
        if patterns_full || self.total() >= SUBSCRIPTIONS_PER_CLIENT || bytes > SUBSCRIBED_BYTES_PER_CLIENT {
            return Err(TooMany);
        }
        // The word is a slice of the client's whole request: a copy lets go of that.
        let name = Bytes::copy_from_slice(name);
        self.bytes = bytes;
        self.mine_mut(kind).insert(name.clone());
        confirm(self.total());
        self.hub.table(kind).entry(name).or_default().insert(self.id, Arc::clone(&self.outbox));
        Ok(())
    }

    /// Unsubscribes from one name; whether there was such a subscription does not matter.
    pub(super) fn remove(&mut self, kind: Kind, name: &[u8]) {
        if self.mine_mut(kind).remove(name) {
            self.bytes = self.bytes.saturating_sub(name.len());
            self.leave(kind, name);
        }
    }

    /// The names subscribed to.
    pub(super) fn names(&self, kind: Kind) -> Vec<Bytes> {
        self.mine(kind).iter().cloned().collect()
    }

    /// Whether each of them is allowed.
    pub(super) fn all(&self, allowed: impl Fn(Kind, &[u8]) -> bool) -> bool {
        self.channels.iter().all(|name| allowed(Kind::Channel, name))
            && self.patterns.iter().all(|name| allowed(Kind::Pattern, name))
    }

    /// Ends all subscriptions.
    pub(super) fn clear(&mut self) {
        for kind in [Kind::Channel, Kind::Pattern] {
            for name in std::mem::take(self.mine_mut(kind)) {
                self.leave(kind, &name);
            }
        }
        self.bytes = 0;
    }

    fn leave(&self, kind: Kind, name: &[u8]) {
        let table = self.hub.table(kind);
        if let Some(mut subscribers) = table.get_mut(name) {
            subscribers.remove(&self.id);
        }
        table.remove_if(name, |_, subscribers| subscribers.is_empty());
    }

    fn mine(&self, kind: Kind) -> &BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
        }
    }

    fn mine_mut(&mut self, kind: Kind) -> &mut BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::{CHUNK_COST, Killed};
    use super::super::settings::Limits;
    use super::*;
    use std::collections::VecDeque;

    fn subscriber(hub: &Hub, id: u64) -> (Subscriptions, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::new(Limits::default()));
        (Subscriptions::new(hub.clone(), id, Arc::clone(&outbox)), outbox)
    }

    async fn drain(outbox: &Outbox) -> String {
        let mut batch = VecDeque::new();
        std::future::poll_fn(|cx| {
            let _ = outbox.poll_take(cx, &mut batch, usize::MAX);
            std::task::Poll::Ready(())
        })
        .await;
        batch.iter().map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect()
    }

    fn add(subscriptions: &mut Subscriptions, kind: Kind, name: &'static str) -> Option<usize> {
        let mut total = None;
        let _ = subscriptions.add(kind, &Bytes::from(name), |count| total = Some(count));
        total
    }

    #[tokio::test]
    async fn one_message_per_match_channel_first() {
        let hub = Hub::new();
        let (mut subscriptions, outbox) = subscriber(&hub, 1);
        assert_eq!(add(&mut subscriptions, Kind::Channel, "+sdown"), Some(1));
        assert_eq!(add(&mut subscriptions, Kind::Pattern, "[-+]sdown"), Some(2));
        assert_eq!(add(&mut subscriptions, Kind::Channel, "+sdown"), Some(2));
        hub.publish("+sdown", "x");
        hub.publish("-sdown", "y");
        hub.publish("+odown", "z");
        assert_eq!(
            drain(&outbox).await,
            "*3\r\n$7\r\nmessage\r\n$6\r\n+sdown\r\n$1\r\nx\r\n\
             *4\r\n$8\r\npmessage\r\n$9\r\n[-+]sdown\r\n$6\r\n+sdown\r\n$1\r\nx\r\n\
             *4\r\n$8\r\npmessage\r\n$9\r\n[-+]sdown\r\n$6\r\n-sdown\r\n$1\r\ny\r\n"
        );
    }

    #[tokio::test]
    async fn a_resp3_client_gets_pushes() {
        let hub = Hub::new();
        let (mut subscriptions, outbox) = subscriber(&hub, 1);
        outbox.switch(Bytes::new(), Proto::Resp3);
        add(&mut subscriptions, Kind::Channel, "c");
        hub.publish("c", "x");
        assert_eq!(drain(&outbox).await, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n");
    }

    #[test]
    fn nothing_is_left_of_a_client_that_is_gone() {
        let hub = Hub::new();
        let (mut one, _) = subscriber(&hub, 1);
        let (mut two, _) = subscriber(&hub, 2);
        add(&mut one, Kind::Channel, "c");
        add(&mut one, Kind::Pattern, "p*");
        add(&mut two, Kind::Channel, "c");
        assert_eq!(hub.counts(), (1, 1));
        drop(one);
        assert_eq!(hub.counts(), (1, 0));
        two.remove(Kind::Channel, b"c");
        assert_eq!(hub.counts(), (0, 0));
    }

    #[test]
    fn subscriptions_are_bounded() {
        let hub = Hub::new();
        let (mut many, _) = subscriber(&hub, 1);
        let accepted = (0..10_000)
            .filter(|n| many.add(Kind::Pattern, &Bytes::from(n.to_string()), |_| {}).is_ok())
            .count();
        assert_eq!(accepted, SUBSCRIPTIONS_PER_CLIENT.min(PATTERNS));
        let (mut long, _) = subscriber(&hub, 2);
        let name = Bytes::from(vec![b'x'; SUBSCRIBED_BYTES_PER_CLIENT + 1]);
        assert_eq!(long.add(Kind::Channel, &name, |_| {}), Err(TooMany));
    }

    #[test]
    fn a_hundred_subscribers_that_never_read_are_bounded_and_then_ended() {
        let hub = Hub::new();
        let limits = Limits { pubsub_hard: 64 << 10, ..Limits::default() };
        let all: Vec<_> = (0..100)
            .map(|id| {
                let outbox = Arc::new(Outbox::new(limits));
                let mut subscriptions = Subscriptions::new(hub.clone(), id, Arc::clone(&outbox));
                add(&mut subscriptions, Kind::Pattern, "*");
                (subscriptions, outbox)
            })
            .collect();
        let payload = "x".repeat(1_000);
        for _ in 0..200 {
            hub.publish("+sdown", &payload);
            for (_, outbox) in &all {
                assert!(outbox.pending().0 <= limits.pubsub_hard + payload.len() + CHUNK_COST);
            }
        }
        assert!(all.iter().all(|(_, outbox)| outbox.killed() == Some(Killed::TooSlow)));
    }
}
