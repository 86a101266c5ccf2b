//! A reply of a data node or of another sentinel, decoded and borrowed from the receive buffer.

/// One reply. RESP3 forms are mapped onto these (verbatim text is a bulk, a map a flat array).
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// `+OK`.
    Status(&'a str),
    /// `-ERR ...`, without the dash.
    Error(&'a str),
    /// `:1`.
    Integer(i64),
    /// `$5 hello`; any bytes.
    Bulk(&'a [u8]),
    /// A null of any kind.
    Nil,
    /// An array, a map (flattened) or a set.
    Array(Vec<Reply<'a>>),
}

impl<'a> Reply<'a> {
    /// The text of a status or bulk reply, if it is UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        match self {
            Self::Status(text) => Some(text),
            Self::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Error(_) | Self::Integer(_) | Self::Nil | Self::Array(_) => None,
        }
    }

    /// Whether the reply is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}
