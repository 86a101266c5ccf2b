//! What is known of a command.

use std::fmt;

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

/// An ACL category.
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

/// One command or sub-command.
#[derive(Eq, PartialEq)]
pub struct Spec {
    /// Full lower-case name: `ping`, `sentinel|master`.
    pub name: &'static str,
    /// Number of words, the name included; a negative one is the least number.
    pub arity: i8,
    /// Its flags, in stock's order.
    pub flags: &'static [Flag],
    /// Its ACL categories, in stock's order.
    pub categories: &'static [Category],
    /// One line for people.
    pub summary: &'static str,
    /// First version that had it.
    pub since: &'static str,
    /// Its group.
    pub group: &'static str,
    /// Its cost.
    pub complexity: &'static str,
    /// What shards and clients are told about it.
    pub tips: &'static [&'static str],
    /// Since when it is deprecated and what replaces it.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Whether lists leave it out: Vigía's own additions.
    pub hidden: bool,
    /// Its sub-commands.
    pub subs: &'static [Spec],
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spec({})", self.name)
    }
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

impl Spec {
    /// Whether it takes so many words, its name included.
    pub fn takes(&self, words: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { words >= wanted } else { words == wanted }
    }

    /// Command and sub-command.
    pub fn split(&self) -> (&'static str, Option<&'static str>) {
        match self.name.split_once('|') {
            Some((top, sub)) => (top, Some(sub)),
            None => (self.name, None),
        }
    }

    /// The sub-command called `name`, ignoring case.
    pub fn sub(&'static self, name: &[u8]) -> Option<&'static Self> {
        self.subs
            .iter()
            .find(|spec| spec.split().1.is_some_and(|sub| sub.as_bytes().eq_ignore_ascii_case(name)))
    }

    /// Whether it has the flag.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }
}
