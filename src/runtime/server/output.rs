//! What waits to be written to one client: replies and pub/sub messages in one order.
//!
//! The connection's own task appends replies and takes chunks to write; publishers append messages
//! from any thread without ever waiting. Bounds:
//! - Replies: the connection stops executing requests while [`REPLY_BACKLOG`] is pending, so at
//!   most that and one reply are held.
//!   `client-output-buffer-limit normal` may be tighter.
//! - Messages: `client-output-buffer-limit pubsub`. Each queued message counts in full, plus
//!   [`CHUNK_COST`], although its bytes are shared by all subscribers: hence, per process, memory
//!   is at most clients times the hard limit, and in practice one copy of each pending message
//!   plus a chunk per subscriber.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::settings::Limits;
use crate::wire::Proto;

/// Pending bytes at which a connection stops reading and executing requests: a client that does
/// not read its replies holds itself up, not this process. 1 MiB is far more than a pipeline of
/// discovery queries needs.
pub(super) const REPLY_BACKLOG: usize = 1 << 20;

/// What a queued chunk costs besides its bytes.
pub(super) const CHUNK_COST: usize = size_of::<Bytes>();

/// Queue of one client.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Bytes and costs of chunks that are not yet written, those taken for writing included.
    pending: usize,
    chunks: usize,
    proto: Proto,
    /// The client has subscriptions: other limits.
    subscriber: bool,
    over_soft_since: Option<Instant>,
    killed: Option<Killed>,
    waker: Option<Waker>,
}

/// Bytes of replies that count towards no limit: stock has a fixed buffer of that size for each client.
const FREE_REPLIES: usize = 16 << 10;

/// One of the client's limits.
#[derive(Clone, Copy, Debug)]
struct Limit {
    hard: usize,
    soft: usize,
    soft_for: Duration,
}

/// Why a connection must end at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Killed {
    /// `CLIENT KILL`.
    ByClient,
    /// Over its output limit.
    TooSlow,
    /// The process ends.
    Shutdown,
}

/// One message in the forms that subscribers may want; encoded at most once per protocol.
pub(super) struct Frames<F> {
    encode: F,
    made: [Option<Bytes>; 2],
}

impl<F: Fn(Proto) -> Bytes> Frames<F> {
    pub(super) fn new(encode: F) -> Self {
        Self { encode, made: [None, None] }
    }

    fn get(&mut self, proto: Proto) -> Bytes {
        let slot = match proto {
            Proto::Resp2 => &mut self.made[0],
            Proto::Resp3 => &mut self.made[1],
        };
        slot.get_or_insert_with(|| (self.encode)(proto)).clone()
    }
}

impl Outbox {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Appends replies; their bytes are bounded by the caller.
    pub(super) fn reply(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            let mut state = self.lock();
            state.append(bytes);
            state.check(&self.limits);
        }
    }

    /// Whether the client has subscriptions: which limits hold for it.
    pub(super) fn set_subscriber(&self, subscriber: bool) {
        self.lock().subscriber = subscriber;
    }

    /// Appends replies that were written in the protocol so far, and switches to `proto` for the
    /// messages after them.
    pub(super) fn switch(&self, bytes: Bytes, proto: Proto) {
        let mut state = self.lock();
        if !bytes.is_empty() {
            state.append(bytes);
        }
        state.proto = proto;
    }

    /// Appends a message, or ends a client that is over its limit. Never waits for the client.
    pub(super) fn publish<F: Fn(Proto) -> Bytes>(&self, frames: &mut Frames<F>) {
        let mut state = self.lock();
        if state.killed.is_some() {
            return;
        }
        let frame = frames.get(state.proto);
        state.subscriber = true;
        state.append(frame);
        state.check(&self.limits);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends the connection without writing what is pending.
    pub(super) fn kill(&self, why: Killed) {
        let mut state = self.lock();
        state.kill(why);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the connection's task.
    pub(super) fn nudge(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the connection was ended, and why.
    pub(super) fn killed(&self) -> Option<Killed> {
        self.lock().killed
    }

    /// Moves up to `most` chunks into `batch`; they stay counted until [`Outbox::written`].
    ///
    /// Pending: nothing to take; the task is woken by the next message or kill.
    pub(super) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        batch: &mut VecDeque<Bytes>,
        most: usize,
    ) -> Poll<Result<(), Killed>> {
        let mut state = self.lock();
        if let Some(why) = state.killed {
            return Poll::Ready(Err(why));
        }
        let room = most.saturating_sub(batch.len()).min(state.queue.len());
        batch.extend(state.queue.drain(..room));
        if state.queue.is_empty() && state.queue.capacity() > IDLE_CAPACITY {
            state.queue = VecDeque::new();
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => state.waker = Some(cx.waker().clone()),
        }
        if batch.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// `bytes` of taken chunks, of which `chunks` are complete, have been written; gives what was pending
    /// before, with the costs of chunks.
    pub(super) fn written(&self, bytes: usize, chunks: usize) -> usize {
        let mut state = self.lock();
        let before = state.pending;
        state.pending = state.pending.saturating_sub(bytes + chunks * CHUNK_COST);
        state.chunks = state.chunks.saturating_sub(chunks);
        if state.counted() <= state.limit(&self.limits).soft {
            state.over_soft_since = None;
        }
        before
    }

    /// When the soft limit ends the connection, if it stays exceeded.
    pub(super) fn soft_deadline(&self) -> Option<Instant> {
        let state = self.lock();
        state.over_soft_since.map(|since| since + state.limit(&self.limits).soft_for)
    }

    /// Whether requests must wait until the client has read.
    pub(super) fn is_backlogged(&self) -> bool {
        self.lock().pending >= REPLY_BACKLOG
    }

    /// Pending bytes (with costs) and chunks.
    pub(super) fn pending(&self) -> (usize, usize) {
        let state = self.lock();
        (state.pending, state.chunks)
    }

    pub(super) fn proto(&self) -> Proto {
        self.lock().proto
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Capacity of a queue that an idle connection keeps.
const IDLE_CAPACITY: usize = 8;

impl State {
    fn append(&mut self, bytes: Bytes) {
        if self.killed.is_some() {
            return;
        }
        self.pending += bytes.len() + CHUNK_COST;
        self.chunks += 1;
        self.queue.push_back(bytes);
    }

    fn check(&mut self, limits: &Limits) {
        let limit = self.limit(limits);
        let pending = self.counted();
        if limit.hard > 0 && pending > limit.hard {
            self.kill(Killed::TooSlow);
        } else if limit.soft > 0 && pending > limit.soft {
            let now = Instant::now();
            let since = *self.over_soft_since.get_or_insert(now);
            if now.duration_since(since) >= limit.soft_for {
                self.kill(Killed::TooSlow);
            }
        }
    }

    /// What counts towards the limits.
    fn counted(&self) -> usize {
        if self.subscriber { self.pending } else { self.pending.saturating_sub(FREE_REPLIES) }
    }

    /// The limit of the client's class.
    fn limit(&self, limits: &Limits) -> Limit {
        let (hard, soft, soft_for) = if self.subscriber {
            (limits.pubsub_hard, limits.pubsub_soft, limits.pubsub_soft_for)
        } else {
            (limits.normal_hard, limits.normal_soft, limits.normal_soft_for)
        };
        Limit { hard, soft, soft_for }
    }

    fn kill(&mut self, why: Killed) {
        self.killed.get_or_insert(why);
        self.queue = VecDeque::new();
        self.pending = 0;
        self.chunks = 0;
        self.over_soft_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: usize) -> Frames<impl Fn(Proto) -> Bytes> {
        Frames::new(move |_| Bytes::from(vec![b'x'; bytes]))
    }

    #[tokio::test(start_paused = true)]
    async fn replies_have_limits_of_their_own() {
        let limits = Limits {
            pubsub_hard: 10,
            normal_hard: 1_000,
            normal_soft: 500,
            normal_soft_for: Duration::from_secs(2),
            ..Limits::default()
        };
        let outbox = Outbox::new(limits);
        outbox.reply(Bytes::from(vec![b'x'; FREE_REPLIES + 600]));
        assert_eq!(outbox.killed(), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(outbox.soft_deadline().is_some_and(|at| at <= Instant::now()));
        let outbox = Outbox::new(limits);
        outbox.reply(Bytes::from(vec![b'x'; FREE_REPLIES]));
        assert_eq!(outbox.killed(), None);
        outbox.reply(Bytes::from(vec![b'x'; 1_000]));
        assert_eq!(outbox.killed(), Some(Killed::TooSlow));
    }

    fn limits(hard: usize, soft: usize) -> Limits {
        Limits { pubsub_hard: hard, pubsub_soft: soft, ..Limits::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn over_the_hard_limit_the_queue_is_freed_at_once() {
        let outbox = Outbox::new(limits(1_000, 0));
        let mut frame = frames(100);
        while outbox.killed().is_none() {
            let (pending, _) = outbox.pending();
            assert!(pending <= 1_000);
            outbox.publish(&mut frame);
        }
        assert_eq!(outbox.killed(), Some(Killed::TooSlow));
        assert_eq!(outbox.pending(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_soft_limit_needs_time() {
        let outbox = Outbox::new(limits(100_000, 1_000));
        outbox.publish(&mut frames(2_000));
        tokio::time::advance(Duration::from_secs(59)).await;
        outbox.publish(&mut frames(1));
        assert_eq!(outbox.killed(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        outbox.publish(&mut frames(1));
        assert_eq!(outbox.killed(), Some(Killed::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn reading_in_time_forgives_the_soft_limit() {
        let outbox = Outbox::new(limits(100_000, 1_000));
        outbox.publish(&mut frames(2_000));
        tokio::time::advance(Duration::from_secs(59)).await;
        outbox.written(2_000, 1);
        assert_eq!(outbox.soft_deadline(), None);
        assert_eq!(outbox.pending(), (0, 0));
    }

    #[tokio::test]
    async fn chunks_come_out_in_order_and_each_protocol_is_encoded_once() {
        let outbox = Outbox::new(Limits::default());
        let count = std::cell::Cell::new(0);
        let mut frame = Frames::new(|proto| {
            count.set(count.get() + 1);
            Bytes::from(format!("m{}", proto.number()))
        });
        outbox.publish(&mut frame);
        outbox.switch(Bytes::from_static(b"r"), Proto::Resp3);
        outbox.publish(&mut frame);
        outbox.publish(&mut frame);
        let mut batch = VecDeque::new();
        std::future::poll_fn(|cx| outbox.poll_take(cx, &mut batch, 9)).await.unwrap();
        assert_eq!(batch, ["m2", "r", "m3", "m3"].map(Bytes::from));
        assert_eq!(count.get(), 2);
    }
}
