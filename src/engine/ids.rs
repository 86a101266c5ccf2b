//! Small newtypes: the unit or the meaning is in the type.

use std::fmt;
use std::sync::Arc;

use super::numeric::numeric;

/// A logical clock of the group: `current-epoch`, `leader-epoch`, `config-epoch`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

/// Number of a change to the durable state; larger is later. Zero is "what was loaded".
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seq(pub u64);

/// One outgoing connection (one attempt). Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkId(pub u64);

/// One command of a client that waits for its answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// Identity of a sentinel (`myid`) or of a data node (`run_id`): normally 40 lowercase hex digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RunId(pub Arc<str>);

/// Name of a monitored master; case-sensitive, any text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MasterName(pub Arc<str>);

/// Where a process listens: an IP in its canonical text form (or a host name) and a port.
///
/// Port 0 is valid and means "never connect" (spec 07, section 3).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Addr {
    /// IP or host name, as it is shown to clients.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

impl Addr {
    /// An address from its parts. A numeric host is brought to its canonical form.
    pub fn new(host: &str, port: u16) -> Self {
        let host = match numeric(host) {
            Some(ip) => Arc::from(ip.to_string()),
            None => Arc::from(host),
        };
        Self { host, port }
    }

    /// Whether both name the same process: same port, same IP text or same name ignoring case.
    pub fn same_as(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }
}

/// `host:port`, an IPv6 address in brackets: the name of a replica entry.
impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Names one call of a script, over all its runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ScriptId(pub u64);

macro_rules! text_newtype {
    ($($name:ident),*) => {$(
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }
        impl std::ops::Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text_newtype!(RunId, MasterName);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
