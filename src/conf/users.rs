//! `user` lines: who may log in.

/// Somebody who may log in; this release knows full access only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its name; `default` is who a client is before `AUTH`.
    pub name: String,
    /// `on`.
    pub enabled: bool,
    /// `nopass`: any password is right.
    pub nopass: bool,
    /// SHA-256 of each password.
    pub password_hashes: Vec<[u8; 32]>,
}

impl User {
    /// `default` as it is without any configuration: on, without a password.
    pub fn open_default() -> Self {
        Self { name: "default".into(), enabled: true, nopass: true, password_hashes: Vec::new() }
    }
}
