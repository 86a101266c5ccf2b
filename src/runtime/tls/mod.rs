//! TLS on the listening side and towards nodes and peers, by OpenSSL.
//!
//! Why OpenSSL: Redis' own recipe makes X.509 v1 certificates, which rustls refuses, and the directives speak of
//! what only OpenSSL has (its names of ciphers, encrypted keys, DH parameters, TLSv1.0). The original uses it, so
//! whatever works there works here.
//!
//! [`Tls`] holds two contexts, one for accepted connections and one for outgoing ones. A reload ([`watch()`])
//! makes new ones from the files; connections that exist keep the context they began with.
//!
//! Source: spec 01, sections 2 (texts) and 7; DESIGN section 6; start-up texts and their order as redis-sentinel
//! 7.0.15 prints them.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use openssl::error::ErrorStack;
use openssl::ssl::Ssl;
use openssl::x509::verify::X509CheckFlags;
use tokio::sync::Semaphore;

use crate::conf;
use crate::engine::Addr;

mod advice;
mod context;
mod error;
mod key;
mod watch;

pub use advice::Failure;
pub use error::{TlsError, describe};
pub use watch::watch;

use advice::Complaints;
use context::Contexts;
use watch::Fingerprint;

/// Handshakes on outgoing connections at a time: enough to keep the processors busy over a wide network. With
/// thousands at once, as after a start, each would take until the last one is done, and be given up before.
const TURNS: usize = 64;

/// The contexts in force. Shared by listeners and links.
pub struct Tls {
    config: conf::Tls,
    /// How the files looked before they were first read.
    seen: Fingerprint,
    current: RwLock<Arc<Contexts>>,
    complaints: Complaints,
    turns: Semaphore,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first thing that is missing or wrong, in stock's words and order.
    pub fn new(config: conf::Tls) -> Result<Self, TlsError> {
        let seen = Fingerprint::of(&config);
        let current = RwLock::new(Arc::new(Contexts::build(&config)?));
        Ok(Self { config, seen, current, complaints: Complaints::default(), turns: Semaphore::new(TURNS) })
    }

    /// What the configuration says.
    pub fn config(&self) -> &conf::Tls {
        &self.config
    }

    /// Reads the files again. Connections from now on use what they hold.
    ///
    /// # Errors
    /// As [`Tls::new`]; then everything stays as it was.
    pub fn renew(&self) -> Result<(), TlsError> {
        let contexts = Arc::new(Contexts::build(&self.config)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = contexts;
        Ok(())
    }

    /// The state of a connection that was accepted.
    ///
    /// # Errors
    /// Only for want of memory.
    pub fn server(&self) -> Result<Ssl, ErrorStack> {
        Ssl::new(&self.current().server)
    }

    /// The state of a connection to `host`, which the certificate must name if the configuration asks for that.
    ///
    /// # Errors
    /// For want of memory, or when `host` cannot be a name.
    pub fn client(&self, host: &str) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.current().client)?;
        if self.config.check_hostnames {
            match host.parse::<IpAddr>() {
                Ok(ip) => ssl.param_mut().set_ip(ip)?,
                Err(_) => {
                    ssl.param_mut().set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
                    ssl.param_mut().set_host(host)?;
                    ssl.set_hostname(host)?;
                }
            }
        }
        Ok(ssl)
    }

    /// Who may shake hands on an outgoing connection now.
    pub fn turns(&self) -> &Semaphore {
        &self.turns
    }

    /// Logs why a connection to `addr` failed and what to do, once in a while.
    pub fn complain(&self, addr: &Addr, failure: &Failure) {
        self.complaints.log(addr, failure, self);
    }

    fn current(&self) -> Arc<Contexts> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
pub(super) mod tests;
