//! What a TLS connection that fails means, and what to do about it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use openssl::ssl::{self, SslRef};
use openssl::x509::X509VerifyResult;

use super::Tls;
use super::error::describe;
use crate::engine::Addr;

/// One address is complained about once in this time: links are tried again and again.
const QUIET: Duration = Duration::from_secs(60);
/// Addresses remembered, and so the lines of one such time: thousands of nodes whose CA has expired are told of by
/// these, and push no other line out of the log.
const MAX_ADDRESSES: usize = 1_024;

// Codes of X509_verify_cert_error_string(3).
const NOT_YET_VALID: i32 = 9;
const HAS_EXPIRED: i32 = 10;
const HOSTNAME_MISMATCH: i32 = 62;
const IP_ADDRESS_MISMATCH: i32 = 64;

/// Why an outgoing connection failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    what: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// What came is no TLS.
    NotTls,
    /// Nothing came.
    NoAnswer,
    /// Its certificate: no CA of ours stands behind it.
    NotTrusted,
    /// Its certificate: not valid at this time.
    WrongTime,
    /// Its certificate: for somebody else.
    WrongName,
    /// It wants another certificate of ours.
    RefusesUs,
    /// Nothing in common.
    NothingInCommon,
    /// It says no more than this.
    Other,
}

impl Failure {
    /// Reads the error of a handshake, and what the check of the certificate said.
    pub fn of(error: &ssl::Error, ssl: &SslRef) -> Self {
        let verdict = ssl.verify_result();
        if verdict != X509VerifyResult::OK {
            return Self { what: verdict.error_string().to_owned(), kind: kind_of_verdict(verdict.as_raw()) };
        }
        let what = describe(error);
        Self { kind: kind_of_text(&what), what }
    }

    /// Nothing was heard for this long.
    pub fn silence(waited: Duration) -> Self {
        let what = format!("no answer to the handshake for {:.1} s", waited.as_secs_f64());
        Self { what, kind: Kind::NoAnswer }
    }

    /// Whether it says more than that the connection is gone.
    pub fn is_telling(&self) -> bool {
        self.kind != Kind::Other
    }

    fn advice(&self, addr: &Addr, tls: &Tls) -> String {
        let config = tls.config();
        let own = config.outgoing_pair().cert.as_deref().unwrap_or_default();
        let ca = config.ca_file.as_ref().or(config.ca_dir.as_ref()).map_or("", String::as_str);
        match self.kind {
            Kind::NotTls => {
                "It does not speak TLS on this port: name its TLS port, or set 'tls-replication no' \
                             if nodes and sentinels are reached without TLS."
                    .to_owned()
            }
            Kind::NoAnswer => {
                "The process hangs or is overloaded, or the port does not speak TLS.".to_owned()
            }
            Kind::NotTrusted => format!(
                "Its certificate is not signed by a CA of {ca}: look at it with 'openssl s_client -connect {addr} \
                 -showcerts', then mend the certificate there or the CA file here (no restart is needed here)."
            ),
            Kind::WrongTime => {
                "Renew its certificate, and compare the clocks of both hosts; redis-server reads a new \
                 certificate at CONFIG SET tls-cert-file."
                    .to_owned()
            }
            Kind::WrongName => format!(
                "Its certificate does not name {}: renew it with this name or address in subjectAltName, or set \
                 'vigia.tls-check-hostnames no'.",
                addr.host
            ),
            Kind::RefusesUs => format!(
                "It refuses our certificate {own}: that must be valid, and signed by a CA that the other side \
                 has in its tls-ca-cert-file."
            ),
            Kind::NothingInCommon => {
                "Compare tls-protocols, tls-ciphers and tls-ciphersuites of both sides.".to_owned()
            }
            Kind::Other => String::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

fn kind_of_verdict(code: i32) -> Kind {
    match code {
        NOT_YET_VALID | HAS_EXPIRED => Kind::WrongTime,
        HOSTNAME_MISMATCH | IP_ADDRESS_MISMATCH => Kind::WrongName,
        _ => Kind::NotTrusted,
    }
}

/// Reads OpenSSL's words; its codes differ between versions.
fn kind_of_text(what: &str) -> Kind {
    let has = |words: &[&str]| words.iter().any(|word| what.contains(word));
    if has(&["wrong version number", "http request", "packet length too long", "unexpected message"]) {
        Kind::NotTls
    } else if has(&["alert"]) && has(&["certificate", "unknown ca", "access denied"]) {
        Kind::RefusesUs
    } else if has(&["protocol version", "handshake failure", "no shared cipher", "unsupported protocol"]) {
        Kind::NothingInCommon
    } else {
        Kind::Other
    }
}

/// Lets one line per address and minute into the log.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<HashMap<Addr, Instant>>);

impl Complaints {
    /// Logs what is wrong with `addr`, unless that was said a moment ago.
    pub(super) fn log(&self, addr: &Addr, failure: &Failure, tls: &Tls) {
        if self.is_due(addr, Instant::now()) {
            tracing::warn!("TLS to {addr} failed: {failure}. {}", failure.advice(addr, tls));
        }
    }

    fn is_due(&self, addr: &Addr, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Instant| now.duration_since(*at) < QUIET;
        if said.get(addr).is_some_and(is_recent) {
            return false;
        }
        if said.len() >= MAX_ADDRESSES {
            said.retain(|_, at| is_recent(at));
        }
        let has_room = said.len() < MAX_ADDRESSES;
        if has_room {
            said.insert(addr.clone(), now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_openssl_are_understood() {
        for (what, kind) in [
            ("error:0A00010B:SSL routines::wrong version number", Kind::NotTls),
            ("error:0A000418:SSL routines::tlsv1 alert unknown ca", Kind::RefusesUs),
            ("error:0A00045C:SSL routines::tlsv13 alert certificate required", Kind::RefusesUs),
            ("error:0A000412:SSL routines::sslv3 alert bad certificate", Kind::RefusesUs),
            ("error:0A00042E:SSL routines::tlsv1 alert protocol version", Kind::NothingInCommon),
            ("error:0A000410:SSL routines::sslv3 alert handshake failure", Kind::NothingInCommon),
            ("error:0A000126:SSL routines::unexpected eof while reading", Kind::Other),
        ] {
            assert_eq!(kind_of_text(what), kind, "{what}");
        }
        assert_eq!(kind_of_verdict(20), Kind::NotTrusted);
        assert_eq!(kind_of_verdict(HAS_EXPIRED), Kind::WrongTime);
        assert_eq!(kind_of_verdict(IP_ADDRESS_MISMATCH), Kind::WrongName);
    }

    #[test]
    fn an_address_is_complained_about_once_a_minute() {
        let complaints = Complaints::default();
        let (a, b, start) = (Addr::new("a", 1), Addr::new("b", 1), Instant::now());
        assert!(complaints.is_due(&a, start) && complaints.is_due(&b, start));
        assert!(!complaints.is_due(&a, start + Duration::from_secs(59)));
        assert!(complaints.is_due(&a, start + Duration::from_secs(60)));
        let many = |at| (1..3_000).filter(|port| complaints.is_due(&Addr::new("c", *port), at)).count();
        assert_eq!(many(start), MAX_ADDRESSES - 2);
        assert_eq!(many(start), 0);
        assert!(many(start + Duration::from_secs(121)) >= MAX_ADDRESSES - 2);
    }
}
