//! Private keys, and parameters for a Diffie-Hellman exchange.

use std::fs;
use std::io;

use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Params, Private};

use super::error::{TlsError, first, system};
use crate::runtime::files::strerror;

/// What stands in the first line of a key that needs a passphrase, or in the header of an old one.
const ENCRYPTED: [&str; 2] = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];

/// Reads a private key; `directive` is the one that names its passphrase.
pub(super) fn private_key(
    path: &str,
    pass: Option<&str>,
    directive: &str,
) -> Result<PKey<Private>, TlsError> {
    let pem = fs::read(path).map_err(|error| refused(path, &system(&error)))?;
    let parsed = PKey::private_key_from_pem_callback(&pem, |buffer| {
        let pass = pass.unwrap_or_default().as_bytes();
        // Longer than OpenSSL takes: an empty one fails as well.
        let Some(room) = buffer.get_mut(..pass.len()) else { return Ok(0) };
        room.copy_from_slice(pass);
        Ok(pass.len())
    });
    parsed.map_err(|stack| {
        let error = refused(path, &first(&stack));
        let text = String::from_utf8_lossy(&pem);
        if !ENCRYPTED.iter().any(|mark| text.contains(mark)) {
            return error;
        }
        let what = if pass.is_some() { "is wrong" } else { "is not set" };
        error.hint(format!("The key {path} is encrypted, and {directive} {what}."))
    })
}

/// Stock's line about a key that cannot be used.
pub(super) fn refused(path: &str, why: &str) -> TlsError {
    TlsError::new(format!("Failed to load private key: {path}: {why}"))
}

/// The parameters in a file, or a group of RFC 3526 where none is named: OpenSSL's own choice is of that size.
pub(super) fn dh_params(path: Option<&str>) -> Result<Dh<Params>, TlsError> {
    let Some(path) = path else {
        let known = || -> Result<Dh<Params>, ErrorStack> {
            Dh::from_pqg(BigNum::get_rfc3526_prime_2048()?, None, BigNum::from_u32(2)?)
        };
        return known().map_err(|stack| TlsError::new(first(&stack)));
    };
    let pem = fs::read(path)
        .map_err(|error: io::Error| TlsError::new(format!("Failed to load {path}: {}", strerror(&error))))?;
    Dh::params_from_pem(&pem).map_err(|_| {
        TlsError::new(format!("{path}: failed to read DH params."))
            .hint("tls-dh-params-file takes what 'openssl dhparam 2048' prints.")
    })
}
