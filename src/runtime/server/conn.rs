//! One connection: reading, executing, writing, in one task.
//!
//! Requests are executed in order, as many as the input holds; their replies leave in one write.
//! While the engine is asked, messages go on being written. A client that does not read is not
//! read from.

use std::collections::VecDeque;
use std::future::Future;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Shared;
use super::auth::Identity;
use super::clients::Client;
use super::output::{Killed, REPLY_BACKLOG};
use super::pubsub::Subscriptions;
use super::tracking::Mode;
use crate::engine::Answer;
use crate::wire::command::{ClientKind, ReplyMode};
use crate::wire::{Proto, ProtocolError, RequestParser, Value};

/// Bytes read at once, on the stack: an idle connection holds no buffer.
const READ_AT_ONCE: usize = 16 << 10;

/// Chunks written at once.
const WRITE_AT_ONCE: usize = 64;

/// Requests of one client executed before the others have their turn.
const REQUESTS_AT_ONCE: usize = 256;

/// Replies collected before they are written, so that a long pipeline is answered as it goes.
const REPLIES_AT_ONCE: usize = 64 << 10;

/// How long a connection that is being closed may take to accept its last replies.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// A connection and what is known of its client.
pub(super) struct Conn {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Arc<Client>,
    pub(super) who: Identity,
    pub(super) proto: Proto,
    pub(super) subscriptions: Subscriptions,
    pub(super) tracking: Mode,
    pub(super) reply_mode: ReplyMode,
    /// No reply to the command that is being executed.
    pub(super) silent: bool,
    /// Replies not yet handed to the outbox.
    pub(super) replies: BytesMut,
    /// The engine's answer that the next request waits for.
    asking: Option<Asking>,
    parser: RequestParser,
    input: BytesMut,
    /// A request held by `CLIENT PAUSE`.
    held: Option<Vec<Bytes>>,
    /// No further requests: end when everything is written, or at this time.
    closing: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// `None`: the engine has gone, the process is shutting down.
type Asking = Pin<Box<dyn Future<Output = Option<Value>> + Send>>;

/// What the connection does next.
enum Step {
    /// Executes what it has.
    Work,
    /// Replies to the command that asked the engine.
    Answer(Option<Value>),
    /// Ends when everything is written.
    Close,
    /// Ends.
    End(Why),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    /// The client closed it, or it broke.
    Client,
    /// We closed it after the last reply.
    Done,
    /// Nothing heard for `timeout`.
    Idle,
    /// Ended by others.
    Killed(Killed),
}

impl Conn {
    pub(super) fn new(shared: Arc<Shared>, client: Client) -> Self {
        let client = Arc::new(client);
        let who = Identity::new(&shared.settings.acl);
        client.update(|texts| texts.user = Some(who.name()));
        shared.clients.insert(Arc::clone(&client));
        Self {
            subscriptions: Subscriptions::new(shared.hub.clone(), client.id, Arc::clone(&client.outbox)),
            parser: RequestParser::new(shared.settings.limits.request),
            who,
            shared,
            client,
            proto: Proto::default(),
            tracking: Mode::default(),
            reply_mode: ReplyMode::On,
            silent: false,
            replies: BytesMut::new(),
            asking: None,
            input: BytesMut::new(),
            held: None,
            closing: None,
            timer: None,
        }
    }

    /// Serves the client until the connection ends.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut stream: S) {
        let why = self.drive(&mut stream).await;
        if why == Why::Killed(Killed::TooSlow) {
            self.shared.stats.too_slow.add(1);
            if self.shared.stats.log_closed.now() {
                let (id, addr) = (self.client.id, &self.client.addr);
                let closed = self.shared.stats.too_slow.get();
                tracing::warn!(id, %addr, closed, "closed: the client does not read its messages (output buffer limits)");
            }
        } else {
            tracing::debug!(id = self.client.id, addr = %self.client.addr, ?why, "connection closed");
        }
        // Off the list first: who sees the end of the stream must not find the client there.
        drop(self);
        drop(stream);
    }

    async fn drive<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Why {
        let mut batch = VecDeque::new();
        loop {
            let more = self.work();
            if more {
                tokio::task::yield_now().await;
            }
            let step = std::future::poll_fn(|cx| self.poll_step(cx, stream, &mut batch, more)).await;
            match step {
                Step::Work => {}
                Step::Answer(Some(value)) => {
                    self.reply(&value);
                    self.close_if_condemned();
                }
                Step::Answer(None) | Step::Close => self.close(),
                Step::End(why) => return why,
            }
        }
    }

    /// Executes complete requests until something must be waited for. True: there is more to do
    /// although nothing needs to be waited for.
    fn work(&mut self) -> bool {
        let mut budget = REQUESTS_AT_ONCE;
        while self.may_execute() {
            if budget == 0 || self.replies.len() >= REPLIES_AT_ONCE {
                self.flush();
                return !self.client.outbox.is_backlogged();
            }
            budget -= 1;
            match self.next_request() {
                Some(argv) => self.execute(argv),
                None => break,
            }
        }
        self.flush();
        false
    }

    fn may_execute(&self) -> bool {
        self.closing.is_none()
            && self.asking.is_none()
            && !self.is_held()
            && self.replies.len() < REPLY_BACKLOG
            && !self.client.outbox.is_backlogged()
    }

    fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|argv| self.held_until(argv).is_some())
    }

    /// The request that was held, or the next one of the input.
    fn next_request(&mut self) -> Option<Vec<Bytes>> {
        self.who.refresh(&self.shared.settings.acl);
        if let Some(argv) = self.held.take() {
            self.client.set_blocked(false);
            return Some(argv);
        }
        let parsed = self.parser.next(&mut self.input, self.who.is_logged_in());
        if self.input.is_empty() {
            // Lets go of the buffer, which requests share.
            self.input = BytesMut::new();
        }
        self.client.set_input(self.input.len());
        match parsed {
            Ok(Some(argv)) if self.held_until(&argv).is_some() => {
                let command = crate::wire::command::resolve(&argv).ok().map(|spec| spec.name);
                self.client.update(|texts| texts.command = command);
                self.client.set_blocked(true);
                self.held = Some(argv);
                None
            }
            Ok(request) => request,
            Err(error) => {
                self.reject(error);
                None
            }
        }
    }

    /// The last words to a client that does not speak the protocol.
    fn reject(&mut self, error: ProtocolError) {
        let (id, addr) = (self.client.id, &self.client.addr);
        self.shared.stats.too_much.add(u64::from(error == ProtocolError::QueryBufferLimit));
        // Without a reply, the log is the only place that tells why.
        if error.reply().is_none() && self.shared.stats.log_closed.now() {
            tracing::warn!(id, %addr, "closed: {error}");
        } else {
            tracing::debug!(id, %addr, "closed: {error}");
        }
        if let Some(value) = error.reply() {
            self.silent = false;
            self.reply(&value);
        }
        self.close();
    }

    /// Until when `CLIENT PAUSE` holds the request.
    fn held_until(&self, argv: &[Bytes]) -> Option<Instant> {
        let publishes = || argv.first().is_some_and(|name| name.eq_ignore_ascii_case(b"publish"));
        self.shared.pause.holds(publishes())
    }

    /// Adds a reply, unless the client wants none. Source: spec 02, section 12 (`CLIENT REPLY`).
    pub(super) fn reply(&mut self, value: &Value) {
        if matches!(value, Value::Error(_)) {
            self.shared.stats.errors.add(1);
        }
        if !self.silent && self.reply_mode != ReplyMode::Off {
            value.encode(self.proto, &mut self.replies);
        }
    }

    /// Adds a reply after the engine's answer; no request is executed before it comes.
    pub(super) fn ask(&mut self, asking: impl Future<Output = Option<Value>> + Send + 'static) {
        self.asking = Some(Box::pin(asking));
    }

    /// Asks the engine; `reply` makes the reply of its answer.
    pub(super) fn ask_engine(&mut self, command: crate::engine::Command, reply: fn(&Answer) -> Value) {
        let handle = self.shared.handle.clone();
        self.ask(async move { handle.ask(command).await.ok().map(|answer| reply(&answer)) });
    }

    /// Hands the collected replies to the outbox.
    pub(super) fn flush(&mut self) {
        if !self.replies.is_empty() {
            self.client.outbox.reply(self.replies.split().freeze());
        }
        if self.replies.capacity() > REPLIES_AT_ONCE {
            self.replies = BytesMut::new();
        }
    }

    /// For commands that may end their own connection.
    pub(super) fn close_if_condemned(&mut self) {
        if self.client.is_condemned() {
            self.close();
        }
    }

    /// Executes nothing more; the connection ends when everything is written.
    pub(super) fn close(&mut self) {
        self.flush();
        self.held = None;
        self.closing.get_or_insert_with(|| Instant::now() + CLOSE_GRACE);
    }

    /// Writes, waits for the engine, reads, or waits for a timer: whatever is possible first.
    fn poll_step<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        batch: &mut VecDeque<Bytes>,
        more: bool,
    ) -> Poll<Step> {
        if let Poll::Ready(Err(why)) = self.client.outbox.poll_take(cx, batch, WRITE_AT_ONCE) {
            return Poll::Ready(Step::End(Why::Killed(why)));
        }
        if !batch.is_empty()
            && let Poll::Ready(step) = self.poll_write(cx, stream, batch)
        {
            return Poll::Ready(step);
        }
        if more {
            return Poll::Ready(Step::Work);
        }
        if let Some(until) = self.closing {
            return if batch.is_empty() {
                Poll::Ready(Step::End(Why::Done))
            } else {
                self.poll_closing(cx, until)
            };
        }
        if let Some(asking) = &mut self.asking {
            let answer = ready!(asking.as_mut().poll(cx));
            self.asking = None;
            return Poll::Ready(Step::Answer(answer));
        }
        if self.held.is_some() && !self.is_held() {
            return Poll::Ready(Step::Work);
        }
        if self.held.is_none()
            && !self.client.outbox.is_backlogged()
            && let Poll::Ready(step) = self.poll_read(cx, stream)
        {
            return Poll::Ready(step);
        }
        self.poll_timer(cx)
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        batch: &mut VecDeque<Bytes>,
    ) -> Poll<Step> {
        let mut slices = [IoSlice::new(&[]); WRITE_AT_ONCE];
        for (slice, chunk) in slices.iter_mut().zip(batch.iter()) {
            *slice = IoSlice::new(chunk);
        }
        let count = batch.len().min(WRITE_AT_ONCE);
        let written = ready!(Pin::new(stream).poll_write_vectored(cx, &slices[..count]));
        let Ok(written @ 1..) = written else { return Poll::Ready(Step::End(Why::Client)) };
        let complete = advance(batch, written);
        let pending = self.client.outbox.written(written, complete);
        self.shared.stats.output.note(pending);
        self.shared.stats.writes.add(1);
        self.shared.stats.bytes_out.add(count_of(written));
        self.client.bytes_out.add(count_of(written));
        Poll::Ready(Step::Work)
    }

    fn poll_read<S: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, stream: &mut S) -> Poll<Step> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; READ_AT_ONCE];
        let mut buffer = ReadBuf::uninit(&mut space);
        if ready!(Pin::new(stream).poll_read(cx, &mut buffer)).is_err() {
            return Poll::Ready(Step::End(Why::Client));
        }
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Step::Close);
        }
        self.input.extend_from_slice(bytes);
        self.client.heard(self.input.len());
        self.shared.stats.input.note(self.input.len());
        self.shared.stats.reads.add(1);
        self.shared.stats.bytes_in.add(count_of(bytes.len()));
        self.client.bytes_in.add(count_of(bytes.len()));
        Poll::Ready(Step::Work)
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<Step> {
        ready!(self.poll_until(cx, until));
        Poll::Ready(Step::End(Why::Done))
    }

    /// The soft limit, `timeout` and the end of a pause; nothing when none of them is due to come.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let soft = self.client.outbox.soft_deadline();
        let pause = self.held.as_ref().and_then(|argv| self.held_until(argv));
        let idle = self.idle_deadline();
        let Some(deadline) = [soft, pause, idle].into_iter().flatten().min() else {
            self.timer = None;
            return Poll::Pending;
        };
        ready!(self.poll_until(cx, deadline));
        Poll::Ready(if soft.is_some_and(|at| at <= deadline) {
            self.client.outbox.kill(Killed::TooSlow);
            Step::Work
        } else if idle.is_some_and(|at| at <= deadline) {
            Step::End(Why::Idle)
        } else {
            Step::Work
        })
    }

    /// When `timeout` ends it; subscribers are exempt, and so is a client whose command is held.
    fn idle_deadline(&self) -> Option<Instant> {
        let timeout = self.shared.settings.timeout_secs;
        let exempt = timeout == 0 || self.held.is_some() || self.client.kind() == ClientKind::PubSub;
        (!exempt).then(|| {
            let left = timeout.saturating_mul(1_000).saturating_sub(self.client.idle_ms());
            Instant::now() + Duration::from_millis(left)
        })
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.shared.clients.remove(self.client.id);
    }
}

/// Takes `written` bytes off the front; gives the number of complete chunks.
fn advance(batch: &mut VecDeque<Bytes>, mut written: usize) -> usize {
    let mut complete = 0;
    while let Some(front) = batch.front_mut() {
        if written < front.len() {
            front.advance(written);
            break;
        }
        written -= front.len();
        complete += 1;
        batch.pop_front();
    }
    complete
}

fn count_of(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_take_complete_chunks_off() {
        let mut batch: VecDeque<_> = ["ab", "cd", "ef"].map(Bytes::from).into();
        assert_eq!(advance(&mut batch, 3), 1);
        assert_eq!(batch, ["d", "ef"].map(Bytes::from));
        assert_eq!(advance(&mut batch, 3), 2);
        assert!(batch.is_empty());
    }
}
