//! Contexts from good and bad files, and connections between them.

use std::path::Path;
use std::pin::Pin;

use openssl::pkey::PKey;
use openssl::x509::X509;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_openssl::SslStream;

use super::watch::Changes;
use super::*;
use crate::conf::{AuthClients, LoadInput, Sources};
use certs::{Authority, Claims, Pair, replace};

#[path = "../../../tests/support/certs.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the binary")]
mod certs;

struct NoFiles;

impl Sources for NoFiles {
    fn read(&mut self, _pattern: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        Ok(Vec::new())
    }
    fn is_executable(&self, _path: &str) -> bool {
        false
    }
}

/// A folder with a CA, a v1 certificate `node`, and an encrypted key `locked`.
pub(in crate::runtime) struct Files {
    folder: tempfile::TempDir,
    ca: Authority,
    node: Pair,
}

impl Files {
    pub(in crate::runtime) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Authority::new(folder.path(), "ca");
        let node = ca.issue("node", Claims { rsa: true, ..Claims::default() });
        Self { folder, ca, node }
    }

    pub(in crate::runtime) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The configuration of a good server, and `lines` after it; `DIR` stands for the folder.
    fn config(&self, lines: &str) -> conf::Tls {
        let good =
            "tls-port 1\ntls-cert-file DIR/node.crt\ntls-key-file DIR/node.key\ntls-ca-cert-file DIR/ca.crt";
        config(&format!("{good}\n{lines}").replace("DIR", &self.folder.path().display().to_string()))
    }

    pub(in crate::runtime) fn tls(&self, lines: &str) -> Tls {
        Tls::new(self.config(lines)).unwrap()
    }

    fn refused(&self, lines: &str) -> String {
        let text = Tls::new(self.config(lines)).unwrap_err().to_string();
        text.replace(&self.folder.path().display().to_string(), "DIR")
    }
}

fn config(text: &str) -> conf::Tls {
    let input = LoadInput { text: text.as_bytes(), ..LoadInput::default() };
    conf::load(&input, &mut NoFiles).unwrap().generic.tls()
}

#[test]
fn what_is_missing_is_named_in_stocks_order() {
    let files = Files::new();
    let dir = files.folder.path().display();
    let table = [
        ("tls-port 1".to_owned(), "No tls-cert-file configured!"),
        (format!("tls-cluster yes\ntls-cert-file {dir}/x"), "No tls-key-file configured!"),
        (
            format!("tls-port 1\ntls-cert-file {dir}/x\ntls-key-file {dir}/x"),
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or \
             tls-auth-clients are enabled!",
        ),
        (
            "tls-replication yes\ntls-ca-cert-file x\ntls-protocols y".to_owned(),
            "No tls-cert-file configured!",
        ),
    ];
    for (text, expected) in table {
        let config = config(&text);
        assert!(config.is_on());
        assert_eq!(Tls::new(config).unwrap_err().to_string(), expected, "{text}");
    }
    let open =
        format!("tls-port 1\ntls-auth-clients no\ntls-cert-file {dir}/node.crt\ntls-key-file {dir}/node.key");
    assert!(Tls::new(config(&open)).is_ok(), "nobody's certificate is checked");
    assert!(!config("tls-cert-file /nosuch").is_on());
}

#[test]
fn what_is_wrong_is_named_with_its_file() {
    let files = Files::new();
    files.ca.issue("other", Claims::default());
    files.ca.issue("locked", Claims { pass: Some("secret"), ..Claims::default() });
    std::fs::write(files.path("garbage"), "garbage\n").unwrap();
    let missing = "error:80000002:system library::No such file or directory";
    let locked = "tls-cert-file DIR/locked.crt\ntls-key-file DIR/locked.key";
    let starts = [
        ("tls-cert-file DIR/none", format!("Failed to load certificate: DIR/none: {missing}")),
        ("tls-cert-file DIR/garbage", "Failed to load certificate: DIR/garbage: error:".to_owned()),
        ("tls-key-file DIR/none", format!("Failed to load private key: DIR/none: {missing}")),
        ("tls-key-file DIR/garbage", "Failed to load private key: DIR/garbage: error:".to_owned()),
        ("tls-key-file DIR/other.key", "Failed to load private key: DIR/other.key: error:".to_owned()),
        (locked, "Failed to load private key: DIR/locked.key: error:".to_owned()),
        (
            "tls-ca-cert-file DIR/none",
            format!("Failed to configure CA certificate(s) file/directory: {missing}"),
        ),
        (
            "tls-ca-cert-file DIR/garbage",
            "Failed to configure CA certificate(s) file/directory: error:".to_owned(),
        ),
        ("tls-protocols TLSv9", "Invalid tls-protocols specified. Use a combination of 'TLSv1',".to_owned()),
        ("tls-ciphers NONE", "Failed to configure ciphers: NONE".to_owned()),
        ("tls-ciphersuites NONE", "Failed to configure ciphersuites: NONE".to_owned()),
        ("tls-dh-params-file DIR/none", "Failed to load DIR/none: No such file or directory".to_owned()),
        ("tls-dh-params-file DIR/garbage", "DIR/garbage: failed to read DH params.".to_owned()),
        (
            "tls-client-cert-file DIR/none\ntls-client-key-file DIR/node.key",
            "Failed to load certificate: DIR/none: ".to_owned(),
        ),
        (
            "tls-client-cert-file DIR/node.crt\ntls-client-key-file DIR/other.key",
            "Failed to load private key: DIR/other.key: ".to_owned(),
        ),
    ];
    for (lines, expected) in starts {
        let text = files.refused(lines);
        assert!(text.starts_with(&expected), "{lines}: {text}");
    }
    let hints = [
        ("tls-key-file DIR/other.key", "It must be the key of the certificate DIR/node.crt."),
        (locked, "The key DIR/locked.key is encrypted, and tls-key-file-pass is not set."),
        ("tls-ca-cert-file DIR/garbage", "tls-ca-cert-file is DIR/garbage"),
    ];
    for (lines, hint) in hints {
        assert_eq!(files.refused(lines).lines().nth(1), Some(hint), "{lines}");
    }
    let wrong = files.refused(&format!("{locked}\ntls-key-file-pass x"));
    assert!(wrong.ends_with("DIR/locked.key is encrypted, and tls-key-file-pass is wrong."), "{wrong}");
    files.tls(&format!("{locked}\ntls-key-file-pass secret"));
}

#[test]
fn what_stock_takes_is_taken() {
    let files = Files::new();
    std::fs::create_dir(files.path("empty")).unwrap();
    std::fs::write(files.path("dh"), key::dh_params(None).unwrap().params_to_pem().unwrap()).unwrap();
    for lines in [
        "tls-protocols \"tlsv1 TLSv1.1  TLSv1.2 TLSv1.3\"",
        "tls-protocols \"\"\ntls-ciphers \"\"\ntls-ciphersuites \"\"",
        "tls-ciphers HIGH:!3DES\ntls-ciphersuites TLS_AES_256_GCM_SHA384\ntls-prefer-server-ciphers yes",
        "tls-ca-cert-dir DIR/empty",
        "tls-ca-cert-dir DIR/nosuch",
        "tls-dh-params-file DIR/dh",
        "tls-session-caching no",
        "tls-session-cache-size 5\ntls-session-cache-timeout 60",
        // A client's pair counts when both parts are there.
        "tls-client-cert-file /nosuch",
        "tls-client-key-file /nosuch",
    ] {
        files.tls(lines);
    }
}

#[test]
fn the_recipe_without_extensions_makes_version_1() {
    let files = Files::new();
    let cert = X509::from_pem(&std::fs::read(&files.node.cert).unwrap()).unwrap();
    assert_eq!(cert.version(), 0);
}

/// Shakes hands over memory and says a word each way; what each side makes of it.
async fn meet(server: &Tls, client: &Tls, host: &str) -> (Result<(), String>, Result<(), String>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let accepted = SslStream::new(server.server().unwrap(), far).unwrap();
    let connected = SslStream::new(client.client(host).unwrap(), near).unwrap();
    tokio::join!(serve(accepted), ask(connected))
}

// Whoever fails hangs up, since the stream ends with the function.

async fn serve(mut stream: SslStream<DuplexStream>) -> Result<(), String> {
    Pin::new(&mut stream).accept().await.map_err(|error| describe(&error))?;
    word(&mut stream).await
}

async fn ask(mut stream: SslStream<DuplexStream>) -> Result<(), String> {
    let shaken = Pin::new(&mut stream).connect().await;
    shaken.map_err(|error| Failure::of(&error, stream.ssl()).to_string())?;
    word(&mut stream).await
}

async fn word(stream: &mut SslStream<DuplexStream>) -> Result<(), String> {
    let said = async {
        stream.write_all(b"x").await?;
        stream.read_u8().await
    };
    said.await.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn both_sides_must_show_a_certificate_of_a_known_ca() {
    let (files, strangers) = (Files::new(), Files::new());
    let tls = files.tls("tls-replication yes");
    assert_eq!(meet(&tls, &tls, "10.0.0.1").await, (Ok(()), Ok(())), "v1 certificates, no names in them");

    let (server, client) = meet(&tls, &strangers.tls("tls-replication yes"), "10.0.0.1").await;
    assert_eq!(client.unwrap_err(), "self-signed certificate in certificate chain");
    assert!(server.unwrap_err().contains("alert unknown ca"));

    // It trusts us, but we do not know its CA.
    let mixed = strangers.config("tls-replication yes");
    let mixed = Tls::new(conf::Tls { ca_file: Some(files.path("ca.crt")), ..mixed }).unwrap();
    let (server, client) = meet(&tls, &mixed, "10.0.0.1").await;
    assert!(server.unwrap_err().contains("certificate verify failed"));
    assert!(client.is_err());
    for (word, server) in [(AuthClients::Optional, false), (AuthClients::No, true)] {
        let tls = Tls::new(conf::Tls { auth_clients: word, ..files.config("") }).unwrap();
        assert_eq!(
            meet(&tls, &mixed, "h").await.0.is_ok(),
            server,
            "{word:?}: a certificate that is shown must be good"
        );
    }
}

#[tokio::test]
async fn host_names_are_checked_when_that_is_asked_for() {
    let files = Files::new();
    files.ca.issue("named", Claims { hosts: &["db.example", "10.0.0.1"], ..Claims::default() });
    let server = files.tls("tls-cert-file DIR/named.crt\ntls-key-file DIR/named.key");
    let checks = files.tls("tls-replication yes\nvigia.tls-check-hostnames yes");
    for host in ["db.example", "10.0.0.1"] {
        assert_eq!(meet(&server, &checks, host).await, (Ok(()), Ok(())), "{host}");
    }
    for (host, why) in [("db2.example", "hostname mismatch"), ("10.0.0.2", "IP address mismatch")] {
        assert_eq!(meet(&server, &checks, host).await.1, Err(why.to_owned()), "{host}");
    }
    // A certificate without a subjectAltName is for the name that it is issued to.
    let unnamed = files.tls("");
    assert_eq!(meet(&unnamed, &checks, "node").await.1, Ok(()));
    assert!(meet(&unnamed, &checks, "10.0.0.1").await.1.is_err());
    let ssl = checks.client("db.example").unwrap();
    assert_eq!(ssl.servername(openssl::ssl::NameType::HOST_NAME), Some("db.example"));
    assert_eq!(unnamed.client("db.example").unwrap().servername(openssl::ssl::NameType::HOST_NAME), None);
}

#[tokio::test]
async fn a_folder_of_cas_works_as_openssl_has_it() {
    let files = Files::new();
    let pem = std::fs::read(files.path("ca.crt")).unwrap();
    let hash = X509::from_pem(&pem).unwrap().subject_name_hash();
    std::fs::create_dir(files.path("cas")).unwrap();
    std::fs::write(files.path(&format!("cas/{hash:08x}.0")), pem).unwrap();
    let config = |dir: &str| conf::Tls {
        ca_file: None,
        ca_dir: Some(files.path(dir)),
        ..files.config("tls-replication yes")
    };
    let (known, empty) = (Tls::new(config("cas")).unwrap(), Tls::new(config("nosuch")).unwrap());
    assert_eq!(meet(&known, &known, "h").await, (Ok(()), Ok(())));
    assert!(meet(&known, &empty, "h").await.1.is_err());
}

#[tokio::test]
async fn an_expired_certificate_is_named_as_such() {
    let files = Files::new();
    let good = files.tls("tls-replication yes");
    files.ca.issue("old", Claims { expired: true, ..Claims::default() });
    let old = files.tls("tls-cert-file DIR/old.crt\ntls-key-file DIR/old.key");
    assert_eq!(meet(&old, &good, "h").await.1, Err("certificate has expired".to_owned()));
}

#[tokio::test]
async fn protocols_and_ciphers_are_those_that_are_named() {
    let files = Files::new();
    let old = files.tls("tls-replication yes\ntls-protocols TLSv1.2\ntls-ciphers DHE-RSA-AES256-GCM-SHA384");
    assert_eq!(meet(&old, &old, "h").await, (Ok(()), Ok(())), "DH parameters are there without a file");
    let new = files.tls("tls-replication yes\ntls-protocols TLSv1.3");
    assert!(meet(&old, &new, "h").await.0.unwrap_err().contains("unsupported protocol"));
}

#[tokio::test]
async fn the_next_connection_uses_the_files_as_they_were_last_good() {
    let files = Files::new();
    let tls = files.tls("tls-replication yes");
    let second = Authority::new(files.folder.path(), "ca2");
    let theirs = second.issue("theirs", Claims::default());
    let other = |ca: &str| {
        let lines =
            format!("tls-cert-file DIR/theirs.crt\ntls-key-file DIR/theirs.key\ntls-ca-cert-file DIR/{ca}");
        files.tls(&lines)
    };
    let (first_ca, both) =
        (std::fs::read(files.path("ca.crt")).unwrap(), std::fs::read(files.path("ca2.crt")).unwrap());
    assert!(meet(&other("ca.crt"), &tls, "h").await.1.is_err());

    replace(Path::new(&files.path("ca.crt")), &[first_ca, both].concat());
    tls.renew().unwrap();
    assert_eq!(meet(&other("ca.crt"), &tls, "h").await, (Ok(()), Ok(())));

    replace(&files.node.key, &std::fs::read(&theirs.key).unwrap());
    assert!(tls.renew().unwrap_err().to_string().contains("Failed to load private key"));
    assert_eq!(meet(&other("ca.crt"), &tls, "h").await, (Ok(()), Ok(())));
}

#[test]
fn a_change_is_taken_up_when_it_has_settled_and_only_once() {
    let files = Files::new();
    let config = files.config("");
    let look = || Fingerprint::of(&config);
    let mut changes = Changes::new(look());
    assert!(!changes.are_to_be_read(look()) && !changes.are_to_be_read(look()));
    let key = PKey::generate_ed25519().unwrap().private_key_to_pem_pkcs8().unwrap();
    replace(&files.node.key, &key);
    assert!(!changes.are_to_be_read(look()), "the certificate may follow");
    files.ca.issue("node", Claims::default());
    assert!(!changes.are_to_be_read(look()));
    assert!(changes.are_to_be_read(look()));
    assert!(!changes.are_to_be_read(look()) && !changes.are_to_be_read(look()), "whatever came of it");
    std::fs::remove_file(files.path("ca.crt")).unwrap();
    assert!(!changes.are_to_be_read(look()) && changes.are_to_be_read(look()));
}
