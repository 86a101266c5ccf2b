//! Certificates made for one test, as files.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// Numbers of the version field.
const V1: i32 = 0;
const V3: i32 = 2;

/// A CA and the folder that its files lie in.
pub struct Authority {
    folder: PathBuf,
    key: PKey<Private>,
    cert: X509,
}

/// What a certificate says.
#[derive(Clone, Copy, Default)]
pub struct Claims<'a> {
    /// Names and addresses for subjectAltName. Without any it is a v1 certificate, as Redis' own recipe makes
    /// them (`openssl x509 -req` without extensions).
    pub hosts: &'a [&'a str],
    /// It has expired.
    pub expired: bool,
    /// The key is encrypted with this.
    pub pass: Option<&'a str>,
    /// The key is RSA, as in Redis' own recipe; an elliptic curve costs less time.
    pub rsa: bool,
}

/// A certificate and its key on disk.
#[derive(Clone, Debug)]
pub struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Makes `<name>.crt` in `folder`.
    pub fn new(folder: &Path, name: &str) -> Authority {
        Authority::try_new(folder, name).expect("a CA")
    }

    fn try_new(folder: &Path, name: &str) -> Result<Authority, ErrorStack> {
        let key = key(false)?;
        // No two authorities have the same name.
        let place = folder.file_name().unwrap_or_default().to_string_lossy();
        let subject = subject(&format!("{name} of {place}"))?;
        let mut builder = builder(&subject, &subject, &key, false)?;
        builder.set_version(V3)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let cert = builder.build();
        fs::write(folder.join(format!("{name}.crt")), cert.to_pem()?).expect("a file");
        Ok(Authority { folder: folder.to_owned(), key, cert })
    }

    /// Makes `<name>.crt` and `<name>.key`, over what is there.
    pub fn issue(&self, name: &str, claims: Claims<'_>) -> Pair {
        self.try_issue(name, claims).expect("a certificate")
    }

    fn try_issue(&self, name: &str, claims: Claims<'_>) -> Result<Pair, ErrorStack> {
        let key = key(claims.rsa)?;
        let mut builder = builder(&subject(name)?, self.cert.subject_name(), &key, claims.expired)?;
        if claims.hosts.is_empty() {
            builder.set_version(V1)?;
        } else {
            builder.set_version(V3)?;
            let mut names = SubjectAlternativeName::new();
            for host in claims.hosts {
                if host.parse::<IpAddr>().is_ok() {
                    names.ip(host)
                } else {
                    names.dns(host)
                };
            }
            let extension = names.build(&builder.x509v3_context(Some(&self.cert), None))?;
            builder.append_extension(extension)?;
        }
        builder.sign(&self.key, MessageDigest::sha256())?;
        let pem = match claims.pass {
            None => key.private_key_to_pem_pkcs8()?,
            Some(pass) => key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), pass.as_bytes())?,
        };
        let path = |suffix: &str| self.folder.join(format!("{name}.{suffix}"));
        let pair = Pair { cert: path("crt"), key: path("key") };
        replace(&pair.key, &pem);
        replace(&pair.cert, &builder.build().to_pem()?);
        Ok(pair)
    }
}

/// A new file in the place of the old one, as programs that renew certificates do it.
pub fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).expect("a file");
    fs::rename(&new, path).expect("a rename");
}

fn key(rsa: bool) -> Result<PKey<Private>, ErrorStack> {
    if rsa {
        return PKey::from_rsa(Rsa::generate(2_048)?);
    }
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)
}

fn subject(name: &str) -> Result<X509Name, ErrorStack> {
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_text("O", "Vigia Test")?;
    subject.append_entry_by_text("CN", name)?;
    Ok(subject.build())
}

fn builder(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
    expired: bool,
) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(64, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    // Long ago: the clock of a test machine may be behind.
    builder.set_not_before(&*Asn1Time::from_str("20200101000000Z")?)?;
    let until = if expired { "20200102000000Z" } else { "20991231000000Z" };
    builder.set_not_after(&*Asn1Time::from_str(until)?)?;
    Ok(builder)
}
