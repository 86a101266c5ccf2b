//! From directives and files to OpenSSL's contexts.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{
    SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslVerifyMode,
};

use super::error::{TlsError, first};
use super::key;
use crate::conf::{self, AuthClients, Pair};

/// Sessions are resumed by the program that made them, no other.
const SESSION_CONTEXT: &[u8] = b"vigia";

/// Protocols by their words in `tls-protocols`, and what turns each off.
const PROTOCOLS: [(&str, SslOptions); 4] = [
    ("TLSv1", SslOptions::NO_TLSV1),
    ("TLSv1.1", SslOptions::NO_TLSV1_1),
    ("TLSv1.2", SslOptions::NO_TLSV1_2),
    ("TLSv1.3", SslOptions::NO_TLSV1_3),
];
/// In force without `tls-protocols`.
const DEFAULT_PROTOCOLS: &str = "TLSv1.2 TLSv1.3";

/// What connections are made from.
pub(super) struct Contexts {
    /// For those that are accepted.
    pub(super) server: SslContext,
    /// For outgoing ones.
    pub(super) client: SslContext,
}

impl Contexts {
    /// Reads all files. The order of the checks is stock's.
    pub(super) fn build(config: &conf::Tls) -> Result<Self, TlsError> {
        let Pair { cert: Some(_), .. } = &config.server else {
            return Err(TlsError::new("No tls-cert-file configured!"));
        };
        let Pair { key: Some(_), .. } = &config.server else {
            return Err(TlsError::new("No tls-key-file configured!"));
        };
        let verifies = config.auth_clients != AuthClients::No || config.cluster || config.replication;
        if verifies && config.ca_file.is_none() && config.ca_dir.is_none() {
            return Err(TlsError::new(
                "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication \
                 or tls-auth-clients are enabled!",
            ));
        }
        let off = protocols_off(config.protocols.as_deref().unwrap_or(DEFAULT_PROTOCOLS))?;
        let server = server(config, off)?;
        let client = client(config, off)?;
        Ok(Self { server: server.build(), client: client.build() })
    }
}

/// Differs: without caching there are no tickets either, which stock goes on handing out.
fn server(config: &conf::Tls, off: SslOptions) -> Result<SslContextBuilder, TlsError> {
    let mut context = common(config, off, &config.server, "tls-key-file-pass")?;
    let dh = key::dh_params(config.dh_params.as_deref())?;
    context.set_tmp_dh(&dh).map_err(|stack| {
        let path = config.dh_params.as_deref().unwrap_or_default();
        TlsError::new(format!("{path}: DH params not usable: {}", first(&stack)))
    })?;
    context.set_verify(match config.auth_clients {
        AuthClients::No => SslVerifyMode::NONE,
        AuthClients::Optional => SslVerifyMode::PEER,
        AuthClients::Yes => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    });
    if config.prefer_server_ciphers {
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    }
    context.set_session_id_context(SESSION_CONTEXT).map_err(out_of_memory)?;
    if config.keeps_sessions() {
        context.set_session_cache_mode(SslSessionCacheMode::SERVER);
        context.set_session_cache_size(i32::try_from(config.session_cache_size).unwrap_or(i32::MAX));
    } else {
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        context.set_options(SslOptions::NO_TICKET);
        context.set_num_tickets(0).map_err(out_of_memory)?;
    }
    Ok(context)
}

/// Without `tls-client-*` the server's own pair is shown.
fn client(config: &conf::Tls, off: SslOptions) -> Result<SslContextBuilder, TlsError> {
    let pair = config.outgoing_pair();
    let is_own = pair == &config.client;
    let pass = if is_own { "tls-client-key-file-pass" } else { "tls-key-file-pass" };
    let mut context = common(config, off, pair, pass)?;
    context.set_verify(SslVerifyMode::PEER);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    Ok(context)
}

/// Protocols, certificate and key, CA, ciphers.
fn common(
    config: &conf::Tls,
    off: SslOptions,
    pair: &Pair,
    pass: &str,
) -> Result<SslContextBuilder, TlsError> {
    let mut context = SslContext::builder(SslMethod::tls()).map_err(out_of_memory)?;
    // An idle connection holds no buffers; what is written may lie elsewhere when it is tried again.
    context.set_mode(
        SslMode::RELEASE_BUFFERS | SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    context.set_options(off | SslOptions::NO_SSLV2 | SslOptions::NO_SSLV3 | SslOptions::NO_COMPRESSION);
    context.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::SINGLE_DH_USE);
    load_pair(&mut context, pair, pass)?;
    load_ca(&mut context, config)?;
    if let Some(ciphers) = &config.ciphers {
        let refused = |_| TlsError::new(format!("Failed to configure ciphers: {ciphers}"));
        context.set_cipher_list(ciphers).map_err(refused)?;
    }
    if let Some(suites) = &config.ciphersuites {
        let refused = |_| TlsError::new(format!("Failed to configure ciphersuites: {suites}"));
        context.set_ciphersuites(suites).map_err(refused)?;
    }
    Ok(context)
}

/// Differs: stock starts with an RSA certificate and an elliptic key, and then fails at every handshake.
fn load_pair(context: &mut SslContextBuilder, pair: &Pair, pass: &str) -> Result<(), TlsError> {
    let cert = pair.cert.as_deref().unwrap_or_default();
    let path = pair.key.as_deref().unwrap_or_default();
    context
        .set_certificate_chain_file(cert)
        .map_err(|stack| TlsError::new(format!("Failed to load certificate: {cert}: {}", first(&stack))))?;
    let key = key::private_key(path, pair.pass.as_deref(), pass)?;
    // The second look finds a key of another kind, which OpenSSL takes for that of a second certificate.
    let matched = context.set_private_key(&key).and_then(|()| context.check_private_key());
    matched.map_err(|stack| {
        key::refused(path, &first(&stack)).hint(format!("It must be the key of the certificate {cert}."))
    })
}

fn load_ca(context: &mut SslContextBuilder, config: &conf::Tls) -> Result<(), TlsError> {
    let (file, dir) = (config.ca_file.as_deref(), config.ca_dir.as_deref());
    if file.is_none() && dir.is_none() {
        return Ok(());
    }
    context.load_verify_locations(file.map(Path::new), dir.map(Path::new)).map_err(|stack| {
        let what = [("tls-ca-cert-file", file), ("tls-ca-cert-dir", dir)];
        let what: Vec<String> =
            what.into_iter().filter_map(|(name, path)| Some(format!("{name} is {}", path?))).collect();
        let why = first(&stack);
        TlsError::new(format!("Failed to configure CA certificate(s) file/directory: {why}"))
            .hint(what.join(", "))
    })
}

/// What turns off the protocols that are not named.
fn protocols_off(words: &str) -> Result<SslOptions, TlsError> {
    let mut off = PROTOCOLS.iter().fold(SslOptions::empty(), |all, (_, option)| all | *option);
    for word in words.split_ascii_whitespace() {
        let Some((_, option)) = PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) else {
            return Err(TlsError::new(
                "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.",
            ));
        };
        off.remove(*option);
    }
    Ok(off)
}

fn out_of_memory(stack: ErrorStack) -> TlsError {
    TlsError::new(format!("OpenSSL: {}", first(&stack)))
}
