//! Who a connection is.
//!
//! Source: spec 02, section 12 (`AUTH`, `HELLO`).

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::settings::User;

/// The one reply to every wrong user, wrong password and disabled user.
pub(super) const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
/// A command before AUTH.
pub(super) const NOAUTH: &str = "NOAUTH Authentication required.";
/// HELLO before AUTH.
pub(super) const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";
const DEFAULT: &str = "default";

/// The users of the process.
#[derive(Debug)]
pub(super) struct Users(BTreeMap<Arc<str>, User>);

impl Users {
    pub(super) fn new(users: &[User]) -> Self {
        let open = User::open();
        let mut by_name = BTreeMap::from([(Arc::clone(&open.name), open)]);
        by_name.extend(users.iter().map(|user| (Arc::clone(&user.name), user.clone())));
        Self(by_name)
    }

    /// Whom a new connection is taken for, if it needs no AUTH.
    pub(super) fn initial(&self) -> Option<Arc<str>> {
        let user = self.0.get(DEFAULT)?;
        (user.enabled && user.nopass).then(|| Arc::clone(&user.name))
    }

    /// Whether the default user needs no password: what protected mode asks.
    pub(super) fn default_is_open(&self) -> bool {
        self.0.get(DEFAULT).is_some_and(|user| user.nopass)
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        std::str::from_utf8(name).is_ok_and(|name| self.0.contains_key(name))
    }

    /// Checks `AUTH [user] pass`; gives the user's name.
    ///
    /// # Errors
    /// The text of the reply.
    pub(super) fn check(&self, user: Option<&[u8]>, pass: &[u8]) -> Result<Arc<str>, &'static str> {
        if user.is_none() && self.default_is_open() {
            return Err(NO_PASSWORD);
        }
        let user = std::str::from_utf8(user.unwrap_or(DEFAULT.as_bytes())).ok();
        let given: [u8; 32] = Sha256::digest(pass).into();
        match user.and_then(|name| self.0.get(name)) {
            Some(user) if user.enabled && user.accepts(&given) => Ok(Arc::clone(&user.name)),
            Some(_) | None => Err(WRONGPASS),
        }
    }
}

impl User {
    fn accepts(&self, given: &[u8; 32]) -> bool {
        let matching = self.password_hashes.iter().filter(|hash| same(hash, given)).count();
        self.nopass || matching > 0
    }
}

/// Compares in constant time.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, enabled: bool, passwords: &[&str]) -> User {
        User {
            name: Arc::from(name),
            enabled,
            nopass: passwords.is_empty(),
            password_hashes: passwords.iter().map(|password| Sha256::digest(password).into()).collect(),
        }
    }

    #[test]
    fn an_open_default_user_takes_any_password_by_name_only() {
        let users = Users::new(&[]);
        assert_eq!(users.initial().as_deref(), Some("default"));
        assert_eq!(users.check(None, b"x"), Err(NO_PASSWORD));
        assert_eq!(users.check(Some(b"default"), b"x").as_deref(), Ok("default"));
        assert_eq!(users.check(Some(b"nobody"), b"x"), Err(WRONGPASS));
    }

    #[test]
    fn passwords_and_disabled_users() {
        let users = Users::new(&[
            user("default", true, &["secret", "other"]),
            user("bob", true, &["pw"]),
            user("off", false, &["pw"]),
        ]);
        assert_eq!(users.initial(), None);
        for (name, password, expected) in [
            (None, "secret", Ok("default")),
            (None, "other", Ok("default")),
            (None, "bad", Err(WRONGPASS)),
            (Some("bob"), "pw", Ok("bob")),
            (Some("bob"), "secret", Err(WRONGPASS)),
            (Some("off"), "pw", Err(WRONGPASS)),
        ] {
            let checked = users.check(name.map(str::as_bytes), password.as_bytes());
            assert_eq!(checked.as_deref().map_err(|error| *error), expected, "{name:?} {password}");
        }
    }
}
