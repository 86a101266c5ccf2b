//! Who a connection is, and what it is told when that is not enough.
//!
//! Source: spec 02, sections 2 and 12 (`AUTH`, `HELLO`, `NOPERM`).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::conn::Conn;
use super::pubsub::Kind;
use crate::acl::log::{Denial, Reason};
use crate::acl::{DEFAULT, Denied, User};
use crate::runtime::acl::{Account, Acl};
use crate::wire::Value;
use crate::wire::command::Spec;

/// The one reply to every wrong user, wrong password and disabled user.
pub(super) const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
/// A command before AUTH.
pub(super) const NOAUTH: &str = "NOAUTH Authentication required.";
/// HELLO before AUTH.
pub(super) const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";
const NO_CHANNEL: &str = "NOPERM No permissions to access a channel";

/// The user of a connection, with the rights as of the last look.
#[derive(Debug)]
pub(super) struct Identity {
    account: Arc<Account>,
    /// It logged in, or came when nobody had to: that stays, whatever becomes of the default user.
    logged_in: bool,
    rights: Arc<User>,
    version: u64,
}

impl Identity {
    /// A new connection: the default user.
    pub(super) fn new(acl: &Acl) -> Self {
        let account = Arc::clone(acl.default_account());
        let version = acl.version();
        let rights = account.rights();
        Self { logged_in: !rights.must_log_in(), account, rights, version }
    }

    /// Takes over what changed since the last look; costs one atomic read when nothing did.
    pub(super) fn refresh(&mut self, acl: &Acl) {
        // The number first: a change in between is seen the next time.
        let version = acl.version();
        if version != self.version {
            self.version = version;
            self.rights = self.account.rights();
        }
    }

    pub(super) fn become_user(&mut self, account: Arc<Account>, acl: &Acl) {
        self.version = acl.version();
        self.rights = account.rights();
        self.account = account;
        self.logged_in = true;
    }

    /// Whether it may do more than log in.
    pub(super) fn is_logged_in(&self) -> bool {
        self.logged_in || !self.rights.must_log_in()
    }

    pub(super) fn rights(&self) -> &User {
        &self.rights
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.account.name)
    }

    /// Whether rights changed since the last look.
    fn is_stale(&self, acl: &Acl) -> bool {
        self.version != acl.version()
    }

    pub(super) fn may_hear(&self, kind: Kind, name: &[u8]) -> bool {
        self.rights.may_hear(name, kind == Kind::Pattern)
    }
}

impl Conn {
    pub(super) fn auth(&mut self, argv: &[Bytes], user: Option<&[u8]>, pass: &[u8]) {
        let value = match self.log_in(argv, user, pass) {
            Ok(()) => Value::ok(),
            Err(error) => Value::error(error),
        };
        self.reply(&value);
    }

    /// A wrong password leaves the user as it was.
    pub(super) fn log_in(
        &mut self,
        argv: &[Bytes],
        user: Option<&[u8]>,
        pass: &[u8],
    ) -> Result<(), &'static str> {
        let acl = &self.shared.settings.acl;
        if user.is_none() && acl.default_account().rights().needs_no_password() {
            return Err(NO_PASSWORD);
        }
        let name = user.unwrap_or(DEFAULT.as_bytes());
        let (client, who) = (&self.client, &mut self.who);
        let entered = acl.log_in(name, pass, |account| {
            client.update(|texts| texts.user = Some(Arc::clone(&account.name)));
            who.become_user(Arc::clone(account), acl);
        });
        if entered {
            return Ok(());
        }
        self.shared.denied.auth.add(1);
        let object = argv.first().map_or(&b"AUTH"[..], |word| word);
        self.note(Reason::Auth, object, name);
        Err(WRONGPASS)
    }

    /// Notes what is denied, and gives the reply. Source: spec 02, section 2 (`NOPERM`).
    pub(super) fn deny(&self, denied: Denied, spec: &'static Spec, argv: &[Bytes]) -> Value {
        self.client.update(|texts| texts.command = Some(spec.name));
        let user = self.who.name();
        match denied {
            Denied::Command => {
                self.shared.denied.commands.add(1);
                self.note(Reason::Command, spec.name.as_bytes(), user.as_bytes());
                Value::error(format!(
                    "NOPERM User {user} has no permissions to run the '{}' command",
                    spec.name
                ))
            }
            Denied::Channel(at) => {
                self.shared.denied.channels.add(1);
                let channel = argv.get(at).map_or(&b""[..], |channel| channel);
                self.note(Reason::Channel, channel, user.as_bytes());
                Value::error(NO_CHANNEL)
            }
        }
    }

    fn note(&self, reason: Reason, object: &[u8], username: &[u8]) {
        let mut client_info = String::new();
        self.client.describe(self.shared.settings.product, &mut client_info);
        let denial = Denial { reason, object, username, client_info };
        self.shared.settings.acl.log().note(wall_ms(), denial);
    }

    /// After new subscriptions: who lost the right to them since it was checked is ended, as it would have
    /// been if they had existed then.
    pub(super) fn recheck_subscriptions(&mut self) {
        if self.who.is_stale(&self.shared.settings.acl) {
            self.who.refresh(&self.shared.settings.acl);
            if !self.subscriptions.all(|kind, name| self.who.may_hear(kind, name)) {
                self.close();
            }
        }
    }
}

/// Milliseconds of the wall clock.
pub(super) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_when_nobody_had_to_log_in_stays() {
        let acl = Acl::default();
        let mut early = Identity::new(&acl);
        acl.set_user(b"default", &["off"]).unwrap();
        let mut late = Identity::new(&acl);
        early.refresh(&acl);
        assert!(early.is_logged_in() && !late.is_logged_in());
        acl.set_user(b"default", &["on"]).unwrap();
        late.refresh(&acl);
        assert!(late.is_logged_in());
        acl.set_user(b"default", &[">pw"]).unwrap();
        late.refresh(&acl);
        assert!(!late.is_logged_in());
    }

    #[test]
    fn rights_are_those_of_the_last_look() {
        let acl = Acl::default();
        let mut who = Identity::new(&acl);
        acl.set_user(b"default", &["resetchannels"]).unwrap();
        assert!(who.may_hear(Kind::Channel, b"x") && who.is_stale(&acl));
        who.refresh(&acl);
        assert!(!who.may_hear(Kind::Channel, b"x") && !who.is_stale(&acl));
    }
}
