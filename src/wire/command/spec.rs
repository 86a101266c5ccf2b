//! What is known of a command, and how the table says it.

use std::fmt;

use crate::product::Product;

/// The version in which Valkey renamed commands.
pub const VALKEY_SINCE: &str = "8.0.0";

/// A property of a command, as `COMMAND INFO` shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flag {
    /// For administrators.
    Admin,
    /// Publish and subscribe.
    PubSub,
    /// Not from scripts.
    NoScript,
    /// Also while loading.
    Loading,
    /// Also with stale data.
    Stale,
    /// Constant or logarithmic time.
    Fast,
    /// Without authentication.
    NoAuth,
    /// While a script runs.
    AllowBusy,
    /// Not inside MULTI.
    NoMulti,
}

/// An ACL category that some command here has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Category {
    /// `@pubsub`.
    PubSub,
    /// `@admin`.
    Admin,
    /// `@fast`.
    Fast,
    /// `@slow`.
    Slow,
    /// `@dangerous`.
    Dangerous,
    /// `@connection`.
    Connection,
}

/// Flags and ACL categories, both in stock's order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Traits {
    /// Flags of `COMMAND INFO`.
    pub flags: &'static [Flag],
    /// ACL categories.
    pub categories: &'static [Category],
}

/// One command or sub-command.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Spec {
    /// Full lower-case name: `ping`, `sentinel|master`.
    pub name: &'static str,
    /// Number of words, the command included; a negative one is the least number.
    pub arity: i8,
    /// Flags and ACL categories.
    pub traits: &'static Traits,
    /// First version that had it.
    pub since: &'static str,
    /// Its group in the documentation.
    pub group: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Its cost; may be empty.
    pub complexity: &'static str,
    /// What clients and proxies are told about it.
    pub tips: &'static [&'static str],
    /// Versions and what they changed.
    pub history: &'static [(&'static str, &'static str)],
    /// Since when it is deprecated, and what replaces it.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Its arguments, for the documentation.
    pub args: &'static [Arg],
    /// Whether lists leave it out: Vigía's own additions.
    pub hidden: bool,
    /// A number of words that Vigía accepts as well; lists do not show it.
    pub also: Option<u8>,
    /// Whether Redis does not have it.
    pub valkey: bool,
    /// What it is called in Valkey, where this name is deprecated since [`VALKEY_SINCE`].
    pub valkey_name: Option<&'static str>,
    /// Its sub-commands.
    pub subs: &'static [Spec],
}

/// A documented argument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// Its type in `COMMAND DOCS`.
    pub kind: &'static str,
    /// The word in front of it, or that it is.
    pub token: Option<&'static str>,
    /// First version that had it.
    pub since: Option<&'static str>,
    /// Since when it is deprecated.
    pub deprecated_since: Option<&'static str>,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may be repeated.
    pub multiple: bool,
    /// Whether its token is repeated with it.
    pub multiple_token: bool,
    /// Its parts or alternatives.
    pub args: &'static [Arg],
}

impl Flag {
    /// Its name in `COMMAND INFO`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::PubSub => "pubsub",
            Self::NoScript => "noscript",
            Self::Loading => "loading",
            Self::Stale => "stale",
            Self::Fast => "fast",
            Self::NoAuth => "no_auth",
            Self::AllowBusy => "allow_busy",
            Self::NoMulti => "no_multi",
        }
    }
}

impl Category {
    /// Its name without the `@`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PubSub => "pubsub",
            Self::Admin => "admin",
            Self::Fast => "fast",
            Self::Slow => "slow",
            Self::Dangerous => "dangerous",
            Self::Connection => "connection",
        }
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spec({})", self.name)
    }
}

impl Spec {
    /// Whether it takes so many words, the command included.
    pub fn takes(&self, words: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        let as_listed = if self.arity < 0 { words >= wanted } else { words == wanted };
        as_listed || self.also.is_some_and(|also| words == usize::from(also))
    }

    /// Command and sub-command.
    pub fn split(&self) -> (&'static str, Option<&'static str>) {
        match self.name.split_once('|') {
            Some((top, sub)) => (top, Some(sub)),
            None => (self.name, None),
        }
    }

    /// The sub-command called `name`, ignoring case.
    pub fn sub(&self, name: &[u8]) -> Option<&'static Self> {
        let called = |sub: &str| sub.as_bytes().eq_ignore_ascii_case(name);
        self.subs.iter().find(|spec| spec.split().1.is_some_and(called))
    }

    /// Whether lists of this product show it.
    pub fn is_listed(&self, product: Product) -> bool {
        !self.hidden && (!self.valkey || product.lists_primary())
    }

    /// Whether it has the flag.
    pub fn has(&self, flag: Flag) -> bool {
        self.traits.flags.contains(&flag)
    }

    /// Whether it is in the ACL category.
    pub fn is_in(&self, category: Category) -> bool {
        self.traits.categories.contains(&category)
    }
}

/// A row of the table.
pub(super) const fn row(
    name: &'static str,
    arity: i8,
    traits: &'static Traits,
    since: &'static str,
    group: &'static str,
) -> Spec {
    Spec {
        name,
        arity,
        traits,
        since,
        group,
        summary: "",
        complexity: "",
        tips: &[],
        history: &[],
        deprecated: None,
        args: &[],
        hidden: false,
        also: None,
        valkey: false,
        valkey_name: None,
        subs: &[],
    }
}

impl Spec {
    pub(super) const fn doc(self, summary: &'static str, complexity: &'static str) -> Self {
        Self { summary, complexity, ..self }
    }

    pub(super) const fn tips(self, tips: &'static [&'static str]) -> Self {
        Self { tips, ..self }
    }

    pub(super) const fn history(self, history: &'static [(&'static str, &'static str)]) -> Self {
        Self { history, ..self }
    }

    pub(super) const fn deprecated(self, since: &'static str, replaced_by: &'static str) -> Self {
        Self { deprecated: Some((since, replaced_by)), ..self }
    }

    pub(super) const fn args(self, args: &'static [Arg]) -> Self {
        Self { args, ..self }
    }

    pub(super) const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    pub(super) const fn also(self, words: u8) -> Self {
        Self { also: Some(words), ..self }
    }

    pub(super) const fn valkey(self) -> Self {
        Self { valkey: true, ..self }
    }

    pub(super) const fn valkey_name(self, name: &'static str) -> Self {
        Self { valkey_name: Some(name), ..self }
    }

    pub(super) const fn subs(self, subs: &'static [Spec]) -> Self {
        Self { subs, ..self }
    }
}

const fn arg(name: &'static str, kind: &'static str) -> Arg {
    Arg {
        name,
        kind,
        token: None,
        since: None,
        deprecated_since: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        args: &[],
    }
}

/// Any text.
pub(super) const fn string(name: &'static str) -> Arg {
    arg(name, "string")
}

/// A glob pattern.
pub(super) const fn pattern(name: &'static str) -> Arg {
    arg(name, "pattern")
}

/// A number.
pub(super) const fn integer(name: &'static str) -> Arg {
    arg(name, "integer")
}

/// A fixed word.
pub(super) const fn token(name: &'static str, token: &'static str) -> Arg {
    Arg { token: Some(token), ..arg(name, "pure-token") }
}

/// A fixed word that is not told.
pub(super) const fn word(name: &'static str) -> Arg {
    arg(name, "pure-token")
}

/// One of several.
pub(super) const fn oneof(name: &'static str, args: &'static [Arg]) -> Arg {
    Arg { args, ..arg(name, "oneof") }
}

/// Several in order.
pub(super) const fn block(name: &'static str, args: &'static [Arg]) -> Arg {
    Arg { args, ..arg(name, "block") }
}

impl Arg {
    pub(super) const fn after(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    pub(super) const fn since(self, version: &'static str) -> Self {
        Self { since: Some(version), ..self }
    }

    pub(super) const fn until(self, version: &'static str) -> Self {
        Self { deprecated_since: Some(version), ..self }
    }

    pub(super) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub(super) const fn multiple(self) -> Self {
        Self { multiple: true, ..self }
    }

    pub(super) const fn multiple_token(self) -> Self {
        Self { multiple_token: true, ..self }
    }
}
