//! Flags and ACL categories that several commands share.

use crate::wire::command::spec::{Category, Flag, Traits};

/// Subscriptions.
pub(super) const SUBSCRIBE: Traits = Traits {
    flags: &[Flag::PubSub, Flag::NoScript, Flag::Loading, Flag::Stale],
    categories: &[Category::PubSub, Category::Slow],
};
/// `HELLO` and `AUTH`.
pub(super) const GREETING: Traits = Traits {
    flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth, Flag::AllowBusy],
    categories: &[Category::Fast, Category::Connection],
};
/// Commands that are nothing without a sub-command.
pub(super) const CONTAINER: Traits = Traits { flags: &[], categories: &[Category::Slow] };
/// `ACL` for everybody.
pub(super) const ACL_READ: Traits =
    Traits { flags: &[Flag::NoScript, Flag::Loading, Flag::Stale], categories: &[Category::Slow] };
/// `ACL` for administrators.
pub(super) const ACL_ADMIN: Traits = Traits {
    flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
    categories: &[Category::Admin, Category::Slow, Category::Dangerous],
};
/// The help of `ACL` and `SENTINEL`.
pub(super) const HELP: Traits =
    Traits { flags: &[Flag::Loading, Flag::Stale], categories: &[Category::Slow] };
/// `PING`.
pub(super) const PING: Traits =
    Traits { flags: &[Flag::Fast], categories: &[Category::Fast, Category::Connection] };
/// `SENTINEL`.
pub(super) const SENTINEL: Traits =
    Traits { flags: &[Flag::Admin], categories: &[Category::Admin, Category::Slow, Category::Dangerous] };
/// `ROLE`.
pub(super) const ROLE: Traits = Traits {
    flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast],
    categories: &[Category::Admin, Category::Fast, Category::Dangerous],
};
/// `PUBLISH`.
pub(super) const PUBLISH: Traits = Traits {
    flags: &[Flag::PubSub, Flag::Loading, Flag::Stale, Flag::Fast],
    categories: &[Category::PubSub, Category::Fast],
};
/// `CLIENT` about one's own connection.
pub(super) const CLIENT_OWN: Traits = Traits {
    flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
    categories: &[Category::Slow, Category::Connection],
};
/// `CLIENT` about others' connections.
pub(super) const CLIENT_ADMIN: Traits = Traits {
    flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale],
    categories: &[Category::Admin, Category::Slow, Category::Dangerous, Category::Connection],
};
/// `COMMAND`, and the help of `CLIENT`.
pub(super) const INTROSPECT: Traits =
    Traits { flags: &[Flag::Loading, Flag::Stale], categories: &[Category::Slow, Category::Connection] };
/// `SHUTDOWN`.
pub(super) const SHUTDOWN: Traits = Traits {
    flags: &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::NoMulti, Flag::AllowBusy],
    categories: &[Category::Admin, Category::Slow, Category::Dangerous],
};
/// `INFO`.
pub(super) const INFO: Traits =
    Traits { flags: &[Flag::Loading, Flag::Stale], categories: &[Category::Slow, Category::Dangerous] };
