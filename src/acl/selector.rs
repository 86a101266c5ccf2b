//! One set of permissions: commands, keys and channels that go together.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::channels::Channels;
use super::commands::{self, CommandSet};
use super::rule::RuleError;
use super::user::{Denied, NewUsers};
use crate::engine::glob;
use crate::wire::command::{Flag, Spec};

/// A set of permissions. A user has a root selector and any number of others; a command runs if one of
/// them allows all of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector {
    allowed: CommandSet,
    /// First arguments with which a command that is not allowed may be called, in lower case.
    first_args: BTreeMap<&'static str, Vec<String>>,
    /// `+@all` or `-@all` came last.
    pub(super) starts_with_all: bool,
    /// What was applied after that, oldest first, without what later ones override.
    pub(super) command_rules: Vec<CommandRule>,
    pub(super) all_keys: bool,
    pub(super) keys: Vec<KeyPattern>,
    pub(super) all_channels: bool,
    pub(super) channels: Vec<String>,
}

/// `+name` or `-name`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct CommandRule {
    pub(super) allow: bool,
    /// `ping`, `client|kill`, `@fast`, or `ping|argument`.
    pub(super) name: String,
}

/// `~pattern`, `%R~pattern` or `%W~pattern`. A sentinel has no keys: they are only kept and shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct KeyPattern {
    pub(super) pattern: String,
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Selector {
    /// Nothing is allowed, but what new users may hear.
    pub(super) fn new(new: NewUsers) -> Self {
        Self {
            allowed: CommandSet::default(),
            first_args: BTreeMap::new(),
            starts_with_all: false,
            command_rules: Vec::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels: new == NewUsers::HearAll,
            channels: Vec::new(),
        }
    }

    /// Everything is allowed.
    pub(super) fn open() -> Self {
        let mut open = Self::new(NewUsers::HearAll);
        open.set_all_commands(true);
        open.all_keys = true;
        open
    }

    /// Whether no command can be denied.
    pub(super) fn is_unlimited(&self) -> bool {
        self.allowed == CommandSet::ALL && self.all_channels
    }

    /// Applies a rule that a selector may hold.
    ///
    /// # Errors
    /// What is wrong with it; the selector is as it was.
    pub(super) fn apply(&mut self, rule: &str) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_str() {
            "allkeys" | "~*" => {
                self.all_keys = true;
                self.keys.clear();
            }
            "resetkeys" => {
                self.all_keys = false;
                self.keys.clear();
            }
            "allchannels" | "&*" => {
                self.all_channels = true;
                self.channels.clear();
            }
            "resetchannels" => {
                self.all_channels = false;
                self.channels.clear();
            }
            "allcommands" | "+@all" => self.set_all_commands(true),
            "nocommands" | "-@all" => self.set_all_commands(false),
            _ => return self.apply_prefixed(rule),
        }
        Ok(())
    }

    fn apply_prefixed(&mut self, rule: &str) -> Result<(), RuleError> {
        let mut chars = rule.chars();
        match (chars.next(), chars.as_str()) {
            (Some('~'), pattern) => self.add_key(pattern, true, true),
            (Some('%'), rest) => {
                let (flags, pattern) = rest.split_once('~').unwrap_or((rest, ""));
                let (read, write) = match flags.to_ascii_uppercase().as_str() {
                    "R" => (true, false),
                    "W" => (false, true),
                    "RW" | "WR" => (true, true),
                    _ => return Err(RuleError::Syntax),
                };
                self.add_key(pattern, read, write)
            }
            (Some('&'), pattern) => self.add_channel(pattern),
            (Some('+'), name) => self.set_commands(&name.to_ascii_lowercase(), true),
            (Some('-'), name) => self.set_commands(&name.to_ascii_lowercase(), false),
            (Some(_) | None, _) => Err(RuleError::Syntax),
        }
    }

    fn add_key(&mut self, pattern: &str, read: bool, write: bool) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::KeysAfterAll);
        }
        if !is_storable(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => {
                known.read |= read;
                known.write |= write;
            }
            None => self.keys.push(KeyPattern { pattern: pattern.to_owned(), read, write }),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &str) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::ChannelsAfterAll);
        }
        if !is_storable(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known == pattern) {
            self.channels.push(pattern.to_owned());
        }
        Ok(())
    }

    fn set_all_commands(&mut self, allow: bool) {
        self.allowed = if allow { CommandSet::ALL } else { CommandSet::default() };
        self.first_args.clear();
        self.starts_with_all = allow;
        self.command_rules.clear();
    }

    /// `+name` or `-name`; the name is in lower case.
    fn set_commands(&mut self, name: &str, allow: bool) -> Result<(), RuleError> {
        if let Some(category) = name.strip_prefix('@') {
            for spec in commands::in_category(category).ok_or(RuleError::Unknown)? {
                self.set(spec, allow);
            }
        } else if let Some(spec) = commands::named(name) {
            self.set(spec, allow);
            spec.subs.iter().for_each(|sub| self.set(sub, allow));
        } else if allow {
            self.allow_first_arg(name)?;
        } else {
            return Err(RuleError::Unknown);
        }
        self.note(allow, name);
        Ok(())
    }

    fn set(&mut self, spec: &'static Spec, allow: bool) {
        self.allowed.set(spec, allow);
        self.first_args.remove(spec.name);
    }

    /// `+command|argument`.
    ///
    /// Differs: an argument with a blank, which no file could hold, is refused (stock's process dies of
    /// showing it).
    fn allow_first_arg(&mut self, name: &str) -> Result<(), RuleError> {
        let (command, arg) = name.rsplit_once('|').ok_or(RuleError::Unknown)?;
        let spec = commands::named(command).ok_or(RuleError::Unknown)?;
        if arg.is_empty() || !is_storable(arg) {
            return Err(RuleError::Syntax);
        }
        if command.contains('|') {
            return Err(RuleError::SubFirstArg);
        }
        if !spec.subs.is_empty() {
            return Err(RuleError::Unknown);
        }
        let known = self.first_args.entry(spec.name).or_default();
        if !known.iter().any(|known| known == arg) {
            known.push(arg.to_owned());
        }
        Ok(())
    }

    /// Remembers a rule for the text of the user, and forgets older ones about the same: the same name,
    /// and for a command also its sub-commands and first arguments.
    fn note(&mut self, allow: bool, name: &str) {
        self.command_rules.retain(|old| {
            let below = old.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('|'));
            old.name != name && !below
        });
        self.command_rules.push(CommandRule { allow, name: name.to_owned() });
    }

    /// Whether all of a command is allowed.
    ///
    /// # Errors
    /// What is not.
    pub(super) fn check(
        &self,
        spec: &'static Spec,
        argv: &[Bytes],
        channels: Channels<'_>,
    ) -> Result<(), Denied> {
        if !self.allows_command(spec, argv) {
            return Err(Denied::Command);
        }
        let denied = channels.names.iter().position(|name| !self.allows_channel(name, channels.are_patterns));
        // The command itself is the word before the first channel.
        denied.map_or(Ok(()), |at| Err(Denied::Channel(at + 1)))
    }

    fn allows_command(&self, spec: &'static Spec, argv: &[Bytes]) -> bool {
        spec.has(Flag::NoAuth)
            || self.allowed.contains(spec)
            || self.first_args.get(spec.name).is_some_and(|args| {
                let given = argv.get(1);
                given.is_some_and(|given| args.iter().any(|arg| arg.as_bytes().eq_ignore_ascii_case(given)))
            })
    }

    /// Whether a channel may be used: its name must match a pattern, a pattern must be one of the patterns.
    pub(super) fn allows_channel(&self, name: &[u8], is_pattern: bool) -> bool {
        self.all_channels
            || self.channels.iter().any(|allowed| {
                if is_pattern {
                    allowed.as_bytes() == name
                } else {
                    glob::matches(allowed.as_bytes(), name, false)
                }
            })
    }

    /// First arguments by which a command is allowed in part: an operator should rather allow it all.
    pub(super) fn first_args(&self) -> impl Iterator<Item = String> {
        self.first_args.iter().flat_map(|(name, args)| args.iter().map(move |arg| format!("+{name}|{arg}")))
    }
}

/// Whether a line of a file can hold the word. Differs: stock takes control characters.
fn is_storable(word: &str) -> bool {
    !word.contains(|c: char| c == ' ' || c.is_control())
}
