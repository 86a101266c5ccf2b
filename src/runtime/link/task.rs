//! The task of one connection.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::connect::{Options, cause_of, not_tried, open};
use super::outbox::{Batch, Outbox};
use super::stream::Stream;
use super::{LinkEvent, Target};
use crate::engine::{Addr, DownCause, LinkId};
use crate::runtime::files::strerror;
use crate::wire::outgoing::HELLO_CHANNEL;
use crate::wire::{OwnedReply, ReplyDecoder};

/// Bytes read at once, on the stack: an idle link holds no buffer.
const READ_AT_ONCE: usize = 16 * 1_024;
/// Bytes of requests that may wait for the other side beyond what its socket takes: far more than the engine
/// ever has outstanding, so only a node that takes nothing gets here.
const MAX_UNSENT: usize = 256 * 1_024;

/// Connects, works until the connection ends, and says so. The task is aborted when the engine closes the link.
pub(super) async fn run(
    link: LinkId,
    target: Target,
    options: Arc<Options>,
    outbox: Arc<Outbox>,
    events: mpsc::Sender<LinkEvent>,
) {
    let cause = match connect(link, &target, &options, &events).await {
        Ok(stream) => {
            let conversation = Conversation::new(link, stream, events.clone());
            conversation.last(&target.addr, &options, &outbox).await
        }
        Err(error) => {
            tracing::trace!(link = link.0, addr = %target.addr, %error, "no connection");
            if not_tried(&error) {
                let _ = events.send(LinkEvent::Failed { link, why: strerror(&error) }).await;
            }
            cause_of(&error)
        }
    };
    // Nobody listens any more only when the process ends.
    let _ = events.send(LinkEvent::Down { link, cause }).await;
}

async fn connect(
    link: LinkId,
    target: &Target,
    options: &Options,
    events: &mpsc::Sender<LinkEvent>,
) -> io::Result<Stream> {
    let stream = open(SocketAddr::new(target.ip, target.addr.port), options.source).await?;
    let local = stream.local_addr()?.ip().to_canonical();
    let stream = match &options.tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let turn = match tls.turns().try_acquire() {
                Ok(turn) => turn,
                Err(_) => {
                    let _ = events.send(LinkEvent::Reached { link, begun: false }).await;
                    tls.turns().acquire().await.map_err(io::Error::other)?
                }
            };
            let _ = events.send(LinkEvent::Reached { link, begun: true }).await;
            Stream::shake_hands(stream, &target.addr, tls, turn).await?
        }
    };
    let _ = events.send(LinkEvent::Up { link, local }).await;
    Ok(stream)
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("closed by the other side")]
    Eof,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("garbage from the other side: {0}")]
    Garbage(String),
    #[error("the other side takes no requests")]
    Stuck,
    #[error("shutting down")]
    NobodyListens,
}

impl Ended {
    fn cause(&self) -> DownCause {
        match self {
            Self::Io(error) => cause_of(error),
            Self::Eof | Self::Garbage(_) | Self::Stuck | Self::NobodyListens => DownCause::Remote,
        }
    }
}

/// One established connection.
struct Conversation {
    link: LinkId,
    stream: Stream,
    events: mpsc::Sender<LinkEvent>,
    decoder: ReplyDecoder,
    /// Received, not decoded.
    received: BytesMut,
    /// Encoded, not sent.
    unsent: BytesMut,
    /// Requests taken from the outbox whose replies have not come.
    unanswered: usize,
    /// Messages may come.
    subscribed: bool,
}

impl Conversation {
    fn new(link: LinkId, stream: Stream, events: mpsc::Sender<LinkEvent>) -> Self {
        Self {
            link,
            stream,
            events,
            decoder: ReplyDecoder::new(),
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            unanswered: 0,
            subscribed: false,
        }
    }

    /// Lasts as long as the connection.
    async fn last(mut self, addr: &Addr, options: &Options, outbox: &Outbox) -> DownCause {
        let ended = loop {
            if let Err(ended) = self.step(outbox).await {
                break ended;
            }
        };
        match &ended {
            Ended::Garbage(_) | Ended::Stuck => tracing::debug!("Closing the link to {addr}: {ended}"),
            Ended::Eof | Ended::Io(_) | Ended::NobodyListens => {
                tracing::trace!(link = self.link.0, %addr, why = %ended, "link lost");
            }
        }
        if let Ended::Io(error) = &ended
            && let Some(failure) = self.stream.failure(error)
            && let Some(tls) = &options.tls
        {
            tls.complain(addr, &failure);
        }
        ended.cause()
    }

    /// Waits for the next thing to do, and does it. Reading goes on while the other side takes nothing.
    async fn step(&mut self, outbox: &Outbox) -> Result<(), Ended> {
        tokio::select! {
            read = std::future::poll_fn(|cx| self.poll_stream(cx)) => {
                read?;
                self.decode().await
            }
            batch = outbox.take() => self.accept(batch),
        }
    }

    fn accept(&mut self, batch: Batch) -> Result<(), Ended> {
        if batch.overflow || self.unsent.len() > MAX_UNSENT {
            return Err(Ended::Stuck);
        }
        self.unanswered += batch.replies;
        self.subscribed |= batch.subscribes;
        if self.unsent.is_empty() {
            self.unsent = batch.bytes;
        } else {
            self.unsent.extend_from_slice(&batch.bytes);
        }
        Ok(())
    }

    /// Writes what waits, as far as it is taken; ready when something was read.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        self.poll_write(cx)?;
        let mut space = [const { MaybeUninit::<u8>::uninit() }; READ_AT_ONCE];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(Ended::Eof));
        }
        self.received.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.unsent) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(sent)) => self.unsent.advance(sent),
                // The other side is gone. What it said before is still to be read, and then its end.
                Poll::Ready(Err(error)) if is_gone(&error) => self.unsent.clear(),
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
        }
        if self.unsent.capacity() > 0 {
            self.unsent = BytesMut::new();
        }
        Ok(())
    }

    async fn decode(&mut self) -> Result<(), Ended> {
        loop {
            let next = self.decoder.next(&mut self.received);
            let Some(reply) = next.map_err(|error| Ended::Garbage(error.to_string()))? else { break };
            if let Some(event) = self.sort(reply)? {
                self.events.send(event).await.map_err(|_| Ended::NobodyListens)?;
            }
        }
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        Ok(())
    }

    /// Whether a frame is a message, the reply to a request, or of no interest.
    ///
    /// In RESP2 a message is an array like any other, hence the look at what was asked for. Messages on other
    /// channels, and payloads that are no text, concern nobody.
    fn sort(&mut self, reply: OwnedReply) -> Result<Option<LinkEvent>, Ended> {
        let link = self.link;
        if (self.subscribed || reply.is_push())
            && let Some((channel, payload)) = reply.as_message()
        {
            let ours = channel == HELLO_CHANNEL.as_bytes() && std::str::from_utf8(payload).is_ok();
            return Ok(ours.then_some(LinkEvent::Message { link, message: reply }));
        }
        if reply.is_push() && reply.subscription().is_none() {
            return Ok(None);
        }
        let Some(left) = self.unanswered.checked_sub(1) else {
            return Err(Ended::Garbage(format!("not asked for: {:.200}", format!("{:?}", reply.as_reply()))));
        };
        self.unanswered = left;
        Ok(Some(LinkEvent::Reply { link, reply }))
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
