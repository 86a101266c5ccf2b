//! Bytes of a client -> the words of one request.

use bytes::{Bytes, BytesMut};

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// `proto-max-bulk-len`: bytes of one word, default 512 MiB.
    pub max_bulk_len: usize,
    /// `client-query-buffer-limit`: bytes of one request, default 1 GiB.
    pub max_query_buffer: usize,
    /// Bytes of an inline request or a header without a line end, 64 KiB.
    pub max_inline: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bulk_len: 512 << 20, max_query_buffer: 1 << 30, max_inline: 64 << 10 }
    }
}

/// Why a connection must be closed. `Display` is what follows `-ERR ` in the last reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProtocolError {
    /// placeholder
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
}

/// Splits one connection's input into requests.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
}

impl RequestParser {
    /// A parser for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// The next complete request, taken off the front of `input`; `None` when more is needed.
    ///
    /// # Errors
    /// The connection must be closed.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        authenticated: bool,
    ) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        let _ = (input, authenticated, self.limits);
        Ok(None)
    }
}
