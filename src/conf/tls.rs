//! The `tls-*` directives, typed.
//!
//! Source: spec 01, section 7.

use super::Generic;

/// The directive of ours that stock starts with as well, since it takes a name with a dot for the setting of a
/// module (and comments it out at its next rewrite).
pub(super) const CHECK_HOSTNAMES: &str = "vigia.tls-check-hostnames";

/// What the configuration says about TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// `tls-port`; 0, the default, listens nowhere.
    pub port: u16,
    /// `tls-replication`, default no: all outgoing links use TLS.
    pub replication: bool,
    /// `tls-cluster`, default no: means nothing here, but asks for a complete configuration as in stock.
    pub cluster: bool,
    /// `tls-cert-file`, `tls-key-file`, `tls-key-file-pass`.
    pub server: Pair,
    /// `tls-client-cert-file`, `tls-client-key-file`, `tls-client-key-file-pass`: used for outgoing links when
    /// certificate and key are set.
    pub client: Pair,
    /// `tls-ca-cert-file`.
    pub ca_file: Option<String>,
    /// `tls-ca-cert-dir`.
    pub ca_dir: Option<String>,
    /// `tls-dh-params-file`.
    pub dh_params: Option<String>,
    /// `tls-auth-clients`.
    pub auth_clients: AuthClients,
    /// `tls-protocols`: words separated by blanks; unset means TLSv1.2 and TLSv1.3.
    pub protocols: Option<String>,
    /// `tls-ciphers`, for TLSv1.2 and older.
    pub ciphers: Option<String>,
    /// `tls-ciphersuites`, for TLSv1.3.
    pub ciphersuites: Option<String>,
    /// `tls-prefer-server-ciphers`, default no.
    pub prefer_server_ciphers: bool,
    /// `tls-session-caching`, default yes.
    pub session_caching: bool,
    /// `tls-session-cache-size` in sessions, default 20480; 0 has no bound.
    pub session_cache_size: u32,
    /// `tls-session-cache-timeout` in seconds, default 300.
    pub session_cache_timeout: u32,
    /// `vigia.tls-check-hostnames`, default no: the certificate of the other side of an outgoing link must name
    /// the host that is configured.
    pub check_hostnames: bool,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pair {
    /// The certificate, then those between it and the CA.
    pub cert: Option<String>,
    /// The private key.
    pub key: Option<String>,
    /// The passphrase of the key.
    pub pass: Option<String>,
}

/// `tls-auth-clients`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthClients {
    /// Certificates of clients are not asked for.
    No,
    /// A client needs a certificate that a CA of ours signed: the default.
    Yes,
    /// A client without a certificate is let in; one that shows a certificate needs a good one.
    Optional,
}

impl Tls {
    /// Whether anything uses TLS.
    pub fn is_on(&self) -> bool {
        self.port != 0 || self.replication || self.cluster
    }

    /// What is shown on outgoing links.
    pub fn outgoing_pair(&self) -> &Pair {
        let is_complete = self.client.cert.is_some() && self.client.key.is_some();
        if is_complete { &self.client } else { &self.server }
    }

    /// Whether a client may resume a session.
    pub fn keeps_sessions(&self) -> bool {
        self.session_caching && self.session_cache_timeout > 0
    }
}

impl Generic {
    /// What the configuration says about TLS.
    pub fn tls(&self) -> Tls {
        let word = |name: &str| self.raw.get(name)?.last()?.first().filter(|word| !word.is_empty()).cloned();
        let is = |name: &str, value: &str| word(name).is_some_and(|word| word == value);
        let number =
            |name: &str, default: u32| word(name).and_then(|word| word.parse().ok()).unwrap_or(default);
        let pair = |prefix: &str| Pair {
            cert: word(&format!("{prefix}cert-file")),
            key: word(&format!("{prefix}key-file")),
            pass: word(&format!("{prefix}key-file-pass")),
        };
        Tls {
            port: word("tls-port").and_then(|port| port.parse().ok()).unwrap_or(0),
            replication: is("tls-replication", "yes"),
            cluster: is("tls-cluster", "yes"),
            server: pair("tls-"),
            client: pair("tls-client-"),
            ca_file: word("tls-ca-cert-file"),
            ca_dir: word("tls-ca-cert-dir"),
            dh_params: word("tls-dh-params-file"),
            auth_clients: match word("tls-auth-clients").as_deref() {
                Some("no") => AuthClients::No,
                Some("optional") => AuthClients::Optional,
                Some(_) | None => AuthClients::Yes,
            },
            protocols: word("tls-protocols"),
            ciphers: word("tls-ciphers"),
            ciphersuites: word("tls-ciphersuites"),
            prefer_server_ciphers: is("tls-prefer-server-ciphers", "yes"),
            session_caching: !is("tls-session-caching", "no"),
            session_cache_size: number("tls-session-cache-size", 20_480),
            session_cache_timeout: number("tls-session-cache-timeout", 300),
            check_hostnames: is(CHECK_HOSTNAMES, "yes"),
        }
    }

    /// The port that hellos announce unless `announce-port` says another: where a peer that connects the way
    /// this process connects is answered. Source: spec 06, section 1.
    pub(super) fn hello_port(&self) -> u16 {
        let tls = self.tls();
        if tls.replication && tls.port != 0 { tls.port } else { self.port }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LoadInput, Sources, load};
    use super::*;

    struct Nowhere;

    impl Sources for Nowhere {
        fn read(&mut self, _pattern: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
            Ok(Vec::new())
        }
        fn is_executable(&self, _path: &str) -> bool {
            false
        }
    }

    #[test]
    fn directives_become_settings_and_hellos_announce_the_port_of_tls() {
        let read = |text: &str| {
            let input = LoadInput { text: text.as_bytes(), ..LoadInput::default() };
            let loaded = load(&input, &mut Nowhere).unwrap();
            (loaded.generic.tls(), loaded.state.globals.port)
        };
        let (tls, port) = read("port 5");
        assert!(!tls.is_on() && tls.auth_clients == AuthClients::Yes && tls.keeps_sessions());
        assert_eq!((tls.session_cache_size, tls.session_cache_timeout, port), (20_480, 300, 5));

        let text = "port 5\ntls-port 6\ntls-cert-file a\ntls-key-file b\ntls-key-file-pass c\ntls-client-cert-file d\n\
                    tls-auth-clients OPTIONAL\ntls-session-cache-timeout 0\nvigia.tls-check-hostnames yes";
        let (tls, port) = read(text);
        assert!(tls.is_on() && !tls.keeps_sessions() && tls.check_hostnames);
        assert_eq!(port, 5, "peers do not use TLS");
        assert_eq!(tls.auth_clients, AuthClients::Optional);
        let word = |word: &str| Some(word.to_owned());
        assert_eq!(tls.outgoing_pair(), &Pair { cert: word("a"), key: word("b"), pass: word("c") });
        let (tls, port) = read(&format!("{text}\ntls-replication yes\ntls-client-key-file e"));
        assert_eq!((tls.outgoing_pair().cert.as_deref(), port), (Some("d"), 6));
        assert_eq!(read("port 5\ntls-replication yes").1, 5);
    }
}
