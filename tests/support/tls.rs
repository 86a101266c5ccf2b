//! TLS for tests: one set of certificates for all parties, and how the tests' own client speaks it.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslStream, SslVerifyMode};

use super::certs::{Authority, Claims, Pair};

/// Addresses (`ip:port`) at which this test binary speaks TLS.
static SPOKEN: Mutex<Option<HashMap<String, SslContext>>> = Mutex::new(None);

/// A CA, and the certificate of everybody.
pub struct Secrets {
    folder: tempfile::TempDir,
    /// Signs everybody's certificate.
    pub ca: Authority,
    /// Everybody's certificate: version 1, as Redis' own recipe makes it.
    pub pair: Pair,
}

impl Secrets {
    /// Makes `ca.crt`, `node.crt` and `node.key` in a folder of their own.
    pub fn new() -> Arc<Secrets> {
        let folder = tempfile::Builder::new().prefix("vigia-tls-").tempdir().expect("temporary folder");
        let ca = Authority::new(folder.path(), "ca");
        let pair = ca.issue("node", Claims { rsa: true, ..Claims::default() });
        Arc::new(Secrets { folder, ca, pair })
    }

    /// The folder with the files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Directives of a node or a sentinel that uses them on both sides.
    pub fn lines(&self) -> String {
        let folder = self.folder().display();
        format!(
            "tls-cert-file {folder}/node.crt\ntls-key-file {folder}/node.key\ntls-ca-cert-file {folder}/ca.crt\n\
             tls-replication yes\n"
        )
    }

    /// The same, and `port`, which is only for TLS.
    pub fn lines_only(&self, port: u16) -> String {
        format!("port 0\ntls-port {port}\n{}", self.lines())
    }

    /// From now on the tests' own client speaks TLS at `address`.
    pub fn speak_at(&self, address: &str) {
        let mut spoken = SPOKEN.lock().unwrap_or_else(PoisonError::into_inner);
        spoken.get_or_insert_default().insert(address.to_owned(), self.client(Some(&self.pair)));
    }

    /// A client that checks the other side, and shows a certificate if it has one.
    pub fn client(&self, pair: Option<&Pair>) -> SslContext {
        let mut context = SslContext::builder(SslMethod::tls_client()).expect("a context");
        context.set_ca_file(self.folder().join("ca.crt")).expect("a CA");
        context.set_verify(SslVerifyMode::PEER);
        if let Some(pair) = pair {
            context.set_certificate_chain_file(&pair.cert).expect("a certificate");
            context.set_private_key_file(&pair.key, SslFiletype::PEM).expect("its key");
        }
        context.build()
    }
}

/// The client for an address at which TLS is spoken.
pub fn context_for(address: &str) -> Option<SslContext> {
    SPOKEN.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(address).cloned()
}

/// Shakes hands.
pub fn connect(context: &SslContext, stream: TcpStream) -> std::io::Result<SslStream<TcpStream>> {
    let ssl = Ssl::new(context).map_err(std::io::Error::other)?;
    ssl.connect(stream).map_err(|error| std::io::Error::other(error.to_string()))
}
