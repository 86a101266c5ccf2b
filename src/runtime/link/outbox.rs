//! Requests on their way from the driver to the task of a link.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;

use crate::engine::Request;
use crate::engine::settings::Renames;
use crate::wire::outgoing;

/// Bytes that may wait for a task. The engine has at most some hundred requests outstanding per link, each
/// below 1 KiB but for absurd names; more means that the other side takes nothing.
const MAX_BYTES: usize = 256 * 1_024;

/// Encoded requests of one link. Shared by the driver, which never waits on it, and the link's task.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Batch>,
    wake: Notify,
}

/// What the task takes out at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The requests, encoded.
    pub(super) bytes: BytesMut,
    /// How many replies they get.
    pub(super) replies: usize,
    /// A subscription is among them: messages may come from now on.
    pub(super) subscribes: bool,
    /// More was queued than fits: the link is to be given up.
    pub(super) overflow: bool,
}

impl Outbox {
    /// Adds a request. Returns whether the task must be woken for it.
    pub(super) fn push(&self, request: &Request, renames: Option<&Renames>) -> bool {
        let mut batch = self.lock();
        if batch.overflow {
            return false;
        }
        let first = batch.bytes.is_empty();
        outgoing::encode(request, renames, &mut batch.bytes);
        batch.replies += outgoing::replies(request);
        batch.subscribes |= matches!(request, Request::Subscribe);
        batch.overflow = batch.bytes.len() > MAX_BYTES;
        first || batch.overflow
    }

    /// Wakes the task.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until woken, then takes everything. Cancel safe: nothing is taken before it returns.
    pub(super) async fn take(&self) -> Batch {
        self.wake.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_queued_is_taken_at_once() {
        let outbox = Outbox::default();
        assert!(outbox.push(&Request::Subscribe, None));
        assert!(!outbox.push(&Request::Ping, None), "woken once per batch");
        outbox.wake();

        let batch = outbox.take().await;
        assert_eq!(batch.replies, 2);
        assert!(batch.subscribes && !batch.overflow);
        assert!(batch.bytes.ends_with(b"*1\r\n$4\r\nPING\r\n"), "{:?}", batch.bytes);
    }

    #[tokio::test]
    async fn a_link_that_takes_nothing_is_given_up() {
        let outbox = Outbox::default();
        let hello = Request::Publish("x".repeat(1_000).into());
        let pushed = (0..).find(|_| outbox.push(&hello, None) && outbox.lock().overflow).unwrap();
        assert!((200..300).contains(&pushed));
        outbox.wake();
        assert!(outbox.take().await.overflow);
    }
}
