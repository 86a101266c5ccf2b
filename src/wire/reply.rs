//! Replies of data nodes and other sentinels.

use bytes::{Bytes, BytesMut};
use redis_protocol::resp3::types::BytesFrame;

use crate::engine::Reply;

/// Why a link must be closed: what came is no RESP, or more than we take.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not RESP.
    #[error("broken reply: {0}")]
    Broken(&'static str),
}

/// One complete reply.
#[derive(Clone, Debug)]
pub struct OwnedReply {
    frame: BytesFrame,
}

impl OwnedReply {
    /// The reply as the engine reads it.
    pub fn as_reply(&self) -> Reply<'_> {
        Reply::Nil
    }

    /// Whether it is an out-of-band push (RESP3).
    pub fn is_push(&self) -> bool {
        matches!(self.frame, BytesFrame::Push { .. })
    }

    /// Channel and payload of a `message`.
    pub fn as_message(&self) -> Option<(&[u8], &[u8])> {
        None
    }

    /// Channel of a `subscribe` confirmation.
    pub fn subscription(&self) -> Option<&[u8]> {
        None
    }
}

/// Splits one link's input into replies.
#[derive(Debug, Default)]
pub struct ReplyDecoder {}

impl ReplyDecoder {
    /// A decoder for a new link.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next complete reply, taken off the front of `input`; `None` when more is needed.
    ///
    /// # Errors
    /// The link must be closed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<OwnedReply>, DecodeError> {
        let _ = (input, Bytes::new());
        Ok(None)
    }
}
