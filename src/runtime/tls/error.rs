//! What went wrong, in the words that stock's log has.

use std::fmt;
use std::io;

use openssl::error::{Error, ErrorStack};
use openssl::ssl;

use crate::runtime::files::strerror;

/// Marks errors of the operating system among the codes of OpenSSL 3.
const SYSTEM: u64 = 0x8000_0000;

/// Why there are no contexts. `Display` is one or two lines of the log: stock's, and what to do where stock's
/// does not name the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsError {
    stock: String,
    hint: Option<String>,
}

impl TlsError {
    /// In stock's words.
    pub(super) fn new(stock: impl Into<String>) -> Self {
        Self { stock: stock.into(), hint: None }
    }

    /// And in ours.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stock)?;
        match &self.hint {
            Some(hint) => write!(f, "\n{hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TlsError {}

/// The first error, as OpenSSL prints it: `error:05800074:x509 certificate routines::key values mismatch`.
pub(super) fn first(stack: &ErrorStack) -> String {
    let Some(error) = stack.errors().first() else { return "unknown error".to_owned() };
    #[allow(clippy::useless_conversion, reason = "the width of the code differs between platforms")]
    let code = u64::try_from(error.code()).unwrap_or_default();
    if code & SYSTEM != 0 {
        let errno = i32::try_from(code & !SYSTEM).unwrap_or_default();
        return system(&io::Error::from_raw_os_error(errno));
    }
    let [library, reason] =
        [Error::library(error), Error::reason(error)].map(|text| text.unwrap_or("unknown"));
    format!("error:{code:08X}:{library}::{reason}")
}

/// An error of the operating system, as OpenSSL prints it.
pub(super) fn system(error: &io::Error) -> String {
    let errno = error.raw_os_error().and_then(|errno| u64::try_from(errno).ok()).unwrap_or_default();
    format!("error:{:08X}:system library::{}", SYSTEM | errno, strerror(error))
}

/// Why a handshake or a connection failed: the system's or OpenSSL's words.
pub fn describe(error: &ssl::Error) -> String {
    if let Some(error) = error.io_error() {
        return strerror(error);
    }
    match error.ssl_error() {
        Some(stack) => first(stack),
        None => "closed by the other side".to_owned(),
    }
}
