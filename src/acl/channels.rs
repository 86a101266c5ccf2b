//! Which words of a command name channels.

use bytes::Bytes;

use crate::wire::command::Spec;

/// The channels of one command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Channels<'a> {
    /// Their names or patterns.
    pub names: &'a [Bytes],
    /// They are patterns: a permission must be for the very same pattern.
    pub are_patterns: bool,
}

/// The channels that `argv` wants to use. Leaving a channel needs no permission.
pub fn channels_of<'a>(spec: &Spec, argv: &'a [Bytes]) -> Channels<'a> {
    let after = argv.get(1..).unwrap_or_default();
    let (names, are_patterns) = match spec.name {
        "subscribe" => (after, false),
        "psubscribe" => (after, true),
        "publish" => (after.get(..1).unwrap_or_default(), false),
        _ => (&[][..], false),
    };
    Channels { names, are_patterns }
}
