//! The users of the process: shared by all connections, and by the thread that saves the configuration.
//!
//! A connection keeps the rights of its user and looks at one atomic number per command to learn that
//! something changed; no lock is held across an `.await`. Changes are made one at a time under the lock of
//! the table, and are in force before they are answered. `SETUSER` writes nothing: the next save of the
//! configuration takes the users from here ([`Acl::lines`]), at the moment of writing, so a flush that is
//! asked for after a change holds it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::acl::file::UsersByName;
use crate::acl::log::AclLog;
use crate::acl::{DEFAULT, NewUsers, User, is_name, merge_selectors};
use crate::conf::UserLine;

mod file;
mod start;

pub use file::SaveError;
pub use start::{check_rules, from_config};

/// `acllog-max-len` where nothing is configured.
const LOG_LENGTH: usize = 128;

/// All users, and the log of what was denied.
#[derive(Debug)]
pub struct Acl {
    table: Mutex<BTreeMap<Arc<str>, Arc<Account>>>,
    /// Changes so far.
    version: AtomicU64,
    default: Arc<Account>,
    new: NewUsers,
    /// `aclfile`.
    file: Option<PathBuf>,
    /// One `ACL SAVE` at a time, so that the last one to begin is the one that stays.
    saving: Mutex<()>,
    log: Mutex<AclLog>,
}

/// One user; the same one for as long as its name exists.
#[derive(Debug)]
pub struct Account {
    /// Its name.
    pub name: Arc<str>,
    rights: Mutex<Arc<User>>,
}

/// What a change did to accounts that existed before.
#[derive(Debug, Default)]
pub struct Changed {
    /// Accounts that have other rights now.
    pub changed: Vec<Arc<Account>>,
    /// Names of accounts that are gone.
    pub removed: Vec<Arc<str>>,
}

/// Why `SETUSER` was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SetError {
    /// Not a name for a user.
    Name,
    /// A `(` without its `)`.
    Unmatched(crate::acl::SelectorsUnmatched),
    /// A rule that is wrong.
    Rule {
        /// The rule as given.
        rule: Vec<u8>,
        /// What is wrong with it.
        reason: crate::acl::RuleError,
    },
}

impl SetError {
    /// Stock's text; a rule is repeated byte by byte, up to a NUL.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::Name => b"Usernames can't contain spaces or null characters".to_vec(),
            Self::Unmatched(unmatched) => unmatched.to_string().into_bytes(),
            Self::Rule { rule, reason } => {
                let shown = rule.split(|byte| *byte == 0).next().unwrap_or_default();
                [b"Error in ACL SETUSER modifier '", shown, b"': ", reason.to_string().as_bytes()].concat()
            }
        }
    }
}

/// `default` was to be deleted. `Display` is stock's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("The 'default' user cannot be removed")]
pub struct DefaultStays;

impl Account {
    /// What it may do now.
    pub fn rights(&self) -> Arc<User> {
        Arc::clone(&lock(&self.rights))
    }

    /// Takes all rights away: a connection that is about to be ended executes nothing more. Gives the name.
    fn close(&self) -> Arc<str> {
        self.set(User::new(NewUsers::HearNothing));
        Arc::clone(&self.name)
    }

    fn set(&self, rights: User) {
        *lock(&self.rights) = Arc::new(rights);
    }
}

impl Default for Acl {
    /// The default user alone, open to everybody.
    fn default() -> Self {
        Self::new(UsersByName::new(), NewUsers::default(), None, LOG_LENGTH)
    }
}

impl Acl {
    /// These users, and stock's `default` if it is not one of them.
    pub fn new(mut users: UsersByName, new: NewUsers, file: Option<PathBuf>, log_length: usize) -> Self {
        let default = users.remove(DEFAULT).unwrap_or_else(User::open);
        let default = account(DEFAULT, default);
        let others = users.into_iter().map(|(name, rights)| account(&name, rights));
        let all = others.chain([Arc::clone(&default)]);
        Self {
            table: Mutex::new(all.map(|account| (Arc::clone(&account.name), account)).collect()),
            version: AtomicU64::new(0),
            default,
            new,
            file,
            saving: Mutex::new(()),
            log: Mutex::new(AclLog::new(log_length)),
        }
    }

    /// Grows with every change of anybody's rights.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Who a connection is before `AUTH`.
    pub fn default_account(&self) -> &Arc<Account> {
        &self.default
    }

    /// The user of this name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Account>> {
        let name = str::from_utf8(name).ok()?;
        lock(&self.table).get(name).cloned()
    }

    /// All users, by name.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<User>)> {
        let table = lock(&self.table);
        table.values().map(|account| (Arc::clone(&account.name), account.rights())).collect()
    }

    /// Checks a password. `enter` is called under the lock of the table: an account that it was called with
    /// existed then, and whoever deletes it later finds what `enter` left.
    pub fn log_in(&self, name: &[u8], password: &[u8], enter: impl FnOnce(&Arc<Account>)) -> bool {
        let Some(account) = self.get(name) else { return false };
        if !account.rights().accepts(password) {
            return false;
        }
        let table = lock(&self.table);
        let is_current = table.get(&account.name).is_some_and(|current| Arc::ptr_eq(current, &account));
        if is_current {
            enter(&account);
        }
        is_current
    }

    /// `SETUSER`: all rules or none.
    ///
    /// # Errors
    /// What is wrong; nothing was changed.
    pub fn set_user<W: AsRef<[u8]>>(&self, name: &[u8], rules: &[W]) -> Result<Changed, SetError> {
        let name = str::from_utf8(name).ok().filter(|name| is_name(name)).ok_or(SetError::Name)?;
        let rules = merge_selectors(rules).map_err(SetError::Unmatched)?;
        let mut table = lock(&self.table);
        let known = table.get(name).cloned();
        let mut user = match &known {
            Some(account) => User::clone(&account.rights()),
            None => User::new(self.new),
        };
        for rule in rules {
            user.apply(&rule, self.new).map_err(|reason| SetError::Rule { rule, reason })?;
        }
        warn_of_first_args(&user);
        let mut done = Changed::default();
        match known {
            Some(account) => {
                account.set(user);
                done.changed.push(account);
            }
            None => {
                let account = account(name, user);
                table.insert(Arc::clone(&account.name), account);
            }
        }
        self.changed();
        Ok(done)
    }

    /// `DELUSER`: those of the names that exist.
    ///
    /// # Errors
    /// `default` is among them; nothing was changed.
    pub fn delete<W: AsRef<[u8]>>(&self, names: &[W]) -> Result<Changed, DefaultStays> {
        if names.iter().any(|name| name.as_ref() == DEFAULT.as_bytes()) {
            return Err(DefaultStays);
        }
        let mut table = lock(&self.table);
        let names = names.iter().filter_map(|name| str::from_utf8(name.as_ref()).ok());
        let removed = names.filter_map(|name| table.remove(name)).map(|account| account.close());
        let done = Changed { removed: removed.collect(), ..Changed::default() };
        self.changed();
        Ok(done)
    }

    /// `LOAD`: these users instead of all others; `default` becomes stock's if it is not one of them.
    fn replace(&self, mut users: UsersByName) -> Changed {
        users.entry(DEFAULT.to_owned()).or_insert_with(User::open);
        let mut table = lock(&self.table);
        let mut done = Changed::default();
        table.retain(|name, account| match users.remove(&**name) {
            Some(rights) => {
                if rights != *account.rights() {
                    account.set(rights);
                    done.changed.push(Arc::clone(account));
                }
                true
            }
            None => {
                done.removed.push(account.close());
                false
            }
        });
        table.extend(users.into_iter().map(|(name, rights)| {
            let account = account(&name, rights);
            (Arc::clone(&account.name), account)
        }));
        self.changed();
        done
    }

    /// The `user` lines that belong into the configuration: everybody, or nobody if there is an ACL file.
    pub fn lines(&self) -> Vec<UserLine> {
        if self.file.is_some() {
            return Vec::new();
        }
        let line =
            |(name, user): (Arc<str>, Arc<User>)| UserLine { name: name.to_string(), rules: user.words() };
        self.all().into_iter().map(line).collect()
    }

    /// The log of denials.
    pub fn log(&self) -> MutexGuard<'_, AclLog> {
        lock(&self.log)
    }

    /// Called with the table locked, after the change.
    fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}

fn account(name: &str, rights: User) -> Arc<Account> {
    Arc::new(Account { name: Arc::from(name), rights: Mutex::new(Arc::new(rights)) })
}

/// Source: stock's log line.
fn warn_of_first_args(user: &User) {
    for rule in user.first_args() {
        tracing::warn!(
            "Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may get \
             disabled in the future (offender: {rule})"
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(done: &Changed) -> (Vec<&str>, Vec<&str>) {
        (
            done.changed.iter().map(|account| &*account.name).collect(),
            done.removed.iter().map(|name| &**name).collect(),
        )
    }

    fn texts(acl: &Acl) -> Vec<String> {
        acl.all().iter().map(|(name, user)| format!("{name} {}", user.text())).collect()
    }

    #[test]
    fn a_wrong_rule_changes_nothing() {
        let acl = Acl::default();
        assert_eq!(names(&acl.set_user(b"a", &["on", "+ping"]).unwrap()), (vec![], vec![]));
        let before = (texts(&acl), acl.version());
        for (name, rules, text) in [
            (
                &b"a"[..],
                &["off", "+nosuch"][..],
                "Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL",
            ),
            (b"b", &["on", "x"], "Error in ACL SETUSER modifier 'x': Syntax error"),
            (b"a", &["off", "(+ping"], "Unmatched parenthesis in acl selector starting at '(+ping'."),
            (b"a", &["~x\0y"], "Error in ACL SETUSER modifier '~x': Syntax error"),
            (b"a b", &["x"], "Usernames can't contain spaces or null characters"),
            (b"\xff", &[], "Usernames can't contain spaces or null characters"),
        ] {
            assert_eq!(String::from_utf8(acl.set_user(name, rules).unwrap_err().text()).unwrap(), text);
            assert_eq!((texts(&acl), acl.version()), before);
        }
        assert_eq!(names(&acl.set_user(b"a", &["off"]).unwrap()), (vec!["a"], vec![]));
        assert_ne!(acl.version(), before.1);
    }

    #[test]
    fn deleting_spares_the_default_user_and_counts_who_existed() {
        let acl = Acl::default();
        acl.set_user(b"a", &["on"]).unwrap();
        assert_eq!(acl.delete(&["a", "default"]).unwrap_err(), DefaultStays);
        assert!(acl.get(b"a").is_some());
        assert_eq!(names(&acl.delete(&["a", "nobody", "a"]).unwrap()), (vec![], vec!["a"]));
        assert!(acl.get(b"a").is_none());
    }

    #[test]
    fn who_is_still_connected_as_a_user_that_is_gone_has_no_rights() {
        let acl = Acl::default();
        for name in ["a", "b"] {
            acl.set_user(name.as_bytes(), &["on", "nopass", "+@all", "&*"]).unwrap();
        }
        let (a, b) = (acl.get(b"a").unwrap(), acl.get(b"b").unwrap());
        acl.delete(&["a"]).unwrap();
        acl.replace(UsersByName::new());
        for account in [a, b] {
            assert_eq!(account.rights().text(), "off sanitize-payload resetchannels -@all");
        }
    }

    #[test]
    fn nobody_enters_an_account_that_is_gone() {
        let acl = Acl::default();
        acl.set_user(b"a", &["on", ">pw"]).unwrap();
        let mut entered = 0;
        assert!(acl.log_in(b"a", b"pw", |_| entered += 1));
        assert!(!acl.log_in(b"a", b"no", |_| entered += 1));
        assert!(!acl.log_in(b"nobody", b"pw", |_| entered += 1));
        acl.set_user(b"a", &["off"]).unwrap();
        assert!(!acl.log_in(b"a", b"pw", |_| entered += 1));
        assert_eq!(entered, 1);
    }

    #[test]
    fn replacing_keeps_accounts_and_resets_default() {
        let acl = Acl::default();
        for name in ["same", "other", "gone"] {
            acl.set_user(name.as_bytes(), &["on"]).unwrap();
        }
        acl.set_user(b"default", &[">pw"]).unwrap();
        let same = acl.get(b"same").unwrap();
        let users =
            crate::acl::file::parse(b"user same on\nuser other off\nuser new on", "f", NewUsers::default());
        let done = acl.replace(users.unwrap());
        assert_eq!(names(&done), (vec!["default", "other"], vec!["gone"]));
        assert!(Arc::ptr_eq(&same, &acl.get(b"same").unwrap()));
        assert!(acl.get(b"new").is_some() && acl.get(b"gone").is_none());
        assert!(!acl.default_account().rights().must_log_in());
    }
}
