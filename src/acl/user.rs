//! A user: whether it may log in, and what it may do then.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::channels::channels_of;
use super::rule::RuleError;
use super::selector::Selector;
use crate::wire::command::Spec;
use crate::wire::split_words;

/// A user without its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    pub(super) enabled: bool,
    pub(super) nopass: bool,
    /// `sanitize-payload`; means nothing to a sentinel, which restores no payloads.
    pub(super) sanitize: bool,
    /// SHA-256 of each password, oldest first.
    pub(super) passwords: Vec<[u8; 32]>,
    pub(super) root: Selector,
    pub(super) selectors: Vec<Selector>,
    /// No command can be denied: nothing else has to be looked at.
    unlimited: bool,
}

/// What a new user may hear: `acl-pubsub-default`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NewUsers {
    /// `resetchannels`, the default.
    #[default]
    HearNothing,
    /// `allchannels`.
    HearAll,
}

/// Why a command may not run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Denied {
    /// The command itself.
    Command,
    /// The channel that is this word of it.
    Channel(usize),
}

/// Whether a user may have this name. Differs: stock accepts control characters and bytes that are no
/// text, which no line of a file could hold.
pub fn is_name(name: &str) -> bool {
    !name.contains(|c: char| c == ' ' || c.is_control())
}

impl User {
    /// A user before any rule: off, without passwords and permissions.
    pub fn new(new: NewUsers) -> Self {
        Self {
            enabled: false,
            nopass: false,
            sanitize: true,
            passwords: Vec::new(),
            root: Selector::new(new),
            selectors: Vec::new(),
            unlimited: false,
        }
    }

    /// The default user before any rule: on, without a password, everything allowed.
    pub fn open() -> Self {
        let closed = Self::new(NewUsers::HearAll);
        Self { enabled: true, nopass: true, root: Selector::open(), unlimited: true, ..closed }
    }

    /// The default user under `requirepass`.
    pub fn with_password(password: &str) -> Self {
        Self { nopass: false, passwords: vec![sha256(password.as_bytes())], ..Self::open() }
    }

    /// Applies one rule; `reset` takes the permissions of `new` users.
    ///
    /// # Errors
    /// What is wrong with it; the user is as it was.
    ///
    /// Differs: what could not be written to a file (control characters, bytes that are no text) is a
    /// syntax error, except in a password, of which only the hash is kept.
    pub fn apply(&mut self, rule: &[u8], new: NewUsers) -> Result<(), RuleError> {
        match rule {
            [b'>', password @ ..] => self.add_password(sha256(password)),
            [b'<', password @ ..] => self.remove_password(sha256(password))?,
            [b'#', hash @ ..] => self.add_password(parse_hash(hash)?),
            [b'!', hash @ ..] => self.remove_password(parse_hash(hash)?)?,
            _ => match str::from_utf8(rule) {
                Ok(rule) => self.apply_text(rule, new)?,
                Err(_) if rule.starts_with(b"+") || rule.starts_with(b"-") => return Err(RuleError::Unknown),
                Err(_) => return Err(RuleError::Syntax),
            },
        }
        self.unlimited = self.root.is_unlimited() || self.selectors.iter().any(Selector::is_unlimited);
        Ok(())
    }

    fn apply_text(&mut self, rule: &str, new: NewUsers) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_str() {
            "" => {}
            "on" => self.enabled = true,
            "off" => self.enabled = false,
            "nopass" => {
                self.nopass = true;
                self.passwords.clear();
            }
            "resetpass" => {
                self.nopass = false;
                self.passwords.clear();
            }
            "sanitize-payload" => self.sanitize = true,
            "skip-sanitize-payload" => self.sanitize = false,
            "clearselectors" => self.selectors.clear(),
            "reset" => *self = Self::new(new),
            _ => match rule.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
                Some(inner) => self.selectors.push(parse_selector(inner, new)?),
                None => return self.root.apply(rule),
            },
        }
        Ok(())
    }

    fn add_password(&mut self, hash: [u8; 32]) {
        self.nopass = false;
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
    }

    fn remove_password(&mut self, hash: [u8; 32]) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| *known == hash).ok_or(RuleError::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// `on`.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether any password will do.
    pub fn needs_no_password(&self) -> bool {
        self.nopass
    }

    /// As the default user: whether a client must log in.
    pub fn must_log_in(&self) -> bool {
        !(self.enabled && self.nopass)
    }

    /// Whether the user may log in with this password. Hashes are compared in constant time.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let given = sha256(password);
        let matching = self.passwords.iter().filter(|hash| same(hash, &given)).count();
        self.enabled && (self.nopass || matching > 0)
    }

    /// Whether the command may run. For a user who may do everything that is one look at a flag, for the
    /// others a bit of the command per selector, then its channels.
    ///
    /// # Errors
    /// What is not allowed, as seen by the selector that got furthest.
    #[inline]
    pub fn check(&self, spec: &'static Spec, argv: &[Bytes]) -> Result<(), Denied> {
        if self.unlimited { Ok(()) } else { self.check_selectors(spec, argv) }
    }

    fn check_selectors(&self, spec: &'static Spec, argv: &[Bytes]) -> Result<(), Denied> {
        let channels = channels_of(spec, argv);
        let mut furthest = Denied::Command;
        for selector in std::iter::once(&self.root).chain(&self.selectors) {
            match selector.check(spec, argv, channels) {
                Ok(()) => return Ok(()),
                Err(denied) => furthest = furthest.max(denied),
            }
        }
        Err(furthest)
    }

    /// Whether a subscription that exists may go on, whatever became of the command that made it.
    pub fn may_hear(&self, name: &[u8], is_pattern: bool) -> bool {
        let mut selectors = std::iter::once(&self.root).chain(&self.selectors);
        self.unlimited || selectors.any(|selector| selector.allows_channel(name, is_pattern))
    }

    /// Rules `+command|argument` in force: stock warns of them.
    pub fn first_args(&self) -> impl Iterator<Item = String> {
        std::iter::once(&self.root).chain(&self.selectors).flat_map(Selector::first_args)
    }
}

/// The inside of `(...)`. Differs: unbalanced quotes are an error, where stock silently takes an empty
/// selector.
fn parse_selector(inner: &str, new: NewUsers) -> Result<Selector, RuleError> {
    let mut selector = Selector::new(new);
    for word in split_words(inner.as_bytes()).ok_or(RuleError::Syntax)? {
        selector.apply(str::from_utf8(&word).map_err(|_| RuleError::Syntax)?)?;
    }
    Ok(selector)
}

fn sha256(password: &[u8]) -> [u8; 32] {
    Sha256::digest(password).into()
}

fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn parse_hash(text: &[u8]) -> Result<[u8; 32], RuleError> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() {
        return Err(RuleError::BadHash);
    }
    for (byte, digits) in hash.iter_mut().zip(text.chunks_exact(2)) {
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(RuleError::BadHash),
            };
            *byte = *byte << 4 | value;
        }
    }
    Ok(hash)
}
