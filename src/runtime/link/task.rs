//! The task of one connection.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::LinkEvent;
use super::connect::{Options, cause_of, not_tried, open};
use super::outbox::{Batch, Outbox};
use crate::engine::{Addr, DownCause, LinkId};
use crate::runtime::files::strerror;
use crate::wire::outgoing::HELLO_CHANNEL;
use crate::wire::{OwnedReply, ReplyDecoder};

/// First read of a quiet link: most of what comes is a `+PONG`.
const SMALL_READ: usize = 512;
/// Later reads, while a long reply (INFO: some KiB) is coming.
const LARGE_READ: usize = 16 * 1_024;
/// Bytes of requests that may wait for the other side beyond what its socket takes: far more than the engine
/// ever has outstanding, so only a node that takes nothing gets here.
const MAX_UNSENT: usize = 256 * 1_024;

/// Connects, works until the connection ends, and says so. The task is aborted when the engine closes the link.
pub(super) async fn run(
    link: LinkId,
    addr: Addr,
    options: Arc<Options>,
    outbox: Arc<Outbox>,
    events: mpsc::Sender<LinkEvent>,
) {
    let cause = match connect(link, &addr, &options, &events).await {
        Ok(stream) => Conversation::new(link, stream, events.clone()).last(&addr, &outbox).await,
        Err(error) => {
            tracing::trace!(link = link.0, %addr, %error, "no connection");
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
    addr: &Addr,
    options: &Options,
    events: &mpsc::Sender<LinkEvent>,
) -> io::Result<TcpStream> {
    let stream = open(addr, options).await?;
    let local = stream.local_addr()?.ip().to_canonical();
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
    stream: TcpStream,
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
    fn new(link: LinkId, stream: TcpStream, events: mpsc::Sender<LinkEvent>) -> Self {
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
    async fn last(mut self, addr: &Addr, outbox: &Outbox) -> DownCause {
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
        ended.cause()
    }

    /// Waits for the next thing to do, and does it. Reading goes on while the other side takes nothing.
    async fn step(&mut self, outbox: &Outbox) -> Result<(), Ended> {
        tokio::select! {
            ready = self.stream.readable() => {
                ready?;
                self.read().await
            }
            batch = outbox.take() => self.accept(batch),
            ready = self.stream.writable(), if !self.unsent.is_empty() => {
                ready?;
                self.write()
            }
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
        self.write()
    }

    fn write(&mut self) -> Result<(), Ended> {
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(sent) => self.unsent.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The other side is gone. What it said before is still to be read, and then its end.
                Err(error) if is_gone(&error) => self.unsent.clear(),
                Err(error) => return Err(error.into()),
            }
        }
        self.unsent = BytesMut::new();
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Ended> {
        self.received.reserve(if self.received.is_empty() { SMALL_READ } else { LARGE_READ });
        match self.stream.try_read_buf(&mut self.received) {
            Ok(0) => return Err(Ended::Eof),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
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
