//! `CLIENT TRACKING`: a sentinel has no keys, so the mode is only kept and shown.
//!
//! Clients such as rueidis refuse to start unless it can be switched on (client research, 3.13).
//! Source: rules and texts watched in redis-sentinel 7.0.15.

use bytes::Bytes;

use crate::wire::Value;
use crate::wire::command::{ClientSub, Tracking};

/// Prefixes that one connection may name, and their bytes: nothing is ever sent for them.
const PREFIXES: usize = 128;
const PREFIX_BYTES: usize = 64 << 10;

const SWITCH_BCAST: &str = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.";
const SWITCH_OPT: &str = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.";
const NO_REDIRECT: &str = "ERR The client ID you want redirect to does not exist";
const NO_CACHING: &str = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
const NOT_OPTIN: &str = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
const NOT_OPTOUT: &str = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";

/// The mode of one connection.
#[derive(Debug, Default)]
pub(super) struct Mode {
    on: Option<Tracking>,
    /// `CLIENT CACHING`, until the next command.
    caching: Option<bool>,
}

impl Mode {
    /// `CLIENT TRACKING ...`; `exists` tells whether a connection has that id.
    pub(super) fn set(&mut self, asked: Tracking, exists: impl FnOnce(i64) -> bool) -> Value {
        match self.check(&asked, exists) {
            Ok(()) => Value::ok(),
            Err(error) => return Value::error(error),
        };
        if asked.on {
            let mut prefixes = self.on.take().map(|old| old.prefixes).unwrap_or_default();
            prefixes.extend(asked.prefixes.iter().map(|prefix| Bytes::copy_from_slice(prefix)));
            // "All keys" is a prefix like others, but is not checked for overlaps.
            if asked.bcast && asked.prefixes.is_empty() && !prefixes.iter().any(Bytes::is_empty) {
                prefixes.push(Bytes::new());
            }
            prefixes.sort_unstable();
            self.on = Some(Tracking { prefixes, ..asked });
        } else {
            self.on = None;
        }
        self.caching = None;
        Value::ok()
    }

    fn check(&self, asked: &Tracking, exists: impl FnOnce(i64) -> bool) -> Result<(), String> {
        if asked.redirect.is_some_and(|id| !exists(id)) {
            return Err(NO_REDIRECT.to_owned());
        }
        if let Some(error) = &asked.error {
            return Err(error.to_string());
        }
        if !asked.on {
            return Ok(());
        }
        if let Some(now) = &self.on {
            if now.bcast != asked.bcast {
                return Err(SWITCH_BCAST.to_owned());
            }
            if (now.opt_in && asked.opt_out) || (now.opt_out && asked.opt_in) {
                return Err(SWITCH_OPT.to_owned());
            }
        }
        self.check_prefixes(&asked.prefixes)
    }

    fn check_prefixes(&self, asked: &[Bytes]) -> Result<(), String> {
        let known = self.on.as_ref().map(|now| &now.prefixes[..]).unwrap_or_default();
        let bytes: usize = known.iter().chain(asked).map(Bytes::len).sum();
        if known.len() + asked.len() > PREFIXES || bytes > PREFIX_BYTES {
            return Err("ERR too many prefixes".to_owned());
        }
        let overlap = |a: &Bytes, b: &Bytes| a.starts_with(b) || b.starts_with(a);
        let text = |prefix: &Bytes, what: &str, other: &Bytes| {
            let (prefix, other) = (String::from_utf8_lossy(prefix), String::from_utf8_lossy(other));
            format!(
                "ERR Prefix '{prefix}' overlaps with {what} '{other}'. Prefixes for a single client must not overlap."
            )
        };
        for (at, prefix) in asked.iter().enumerate() {
            if let Some(other) = known.iter().find(|other| overlap(prefix, other)) {
                return Err(text(prefix, "an existing prefix", other));
            }
            if let Some(other) = asked.iter().skip(at + 1).find(|other| overlap(prefix, other)) {
                return Err(text(prefix, "another provided prefix", other));
            }
        }
        Ok(())
    }

    /// `CLIENT CACHING yes|no`.
    pub(super) fn set_caching(&mut self, word: &[u8]) -> Value {
        let mode = self.on.as_ref().filter(|now| now.opt_in || now.opt_out);
        let Some(mode) = mode else { return Value::error(NO_CACHING) };
        match ClientSub::caching(word) {
            Err(error) => return error.to_value(),
            Ok(true) if !mode.opt_in => return Value::error(NOT_OPTIN),
            Ok(false) if !mode.opt_out => return Value::error(NOT_OPTOUT),
            Ok(choice) => self.caching = Some(choice),
        }
        Value::ok()
    }

    /// A command other than `CLIENT` was executed.
    pub(super) fn used(&mut self) {
        self.caching = None;
    }

    /// Target of invalidation messages: 0 is this connection, `None` when tracking is off.
    pub(super) fn redirect(&self) -> Option<i64> {
        self.on.as_ref().map(|now| now.redirect.unwrap_or(0))
    }

    pub(super) fn is_broadcast(&self) -> bool {
        self.on.as_ref().is_some_and(|now| now.bcast)
    }

    /// `CLIENT TRACKINGINFO`.
    pub(super) fn info(&self) -> Value {
        let flags: Vec<&'static str> = match &self.on {
            None => vec!["off"],
            Some(now) => [
                (true, "on"),
                (now.bcast, "bcast"),
                (now.opt_in, "optin"),
                (self.caching == Some(true), "caching-yes"),
                (now.opt_out, "optout"),
                (self.caching == Some(false), "caching-no"),
                (now.no_loop, "noloop"),
            ]
            .into_iter()
            .filter_map(|(set, name)| set.then_some(name))
            .collect(),
        };
        let prefixes = self.on.as_ref().map(|now| now.prefixes.clone()).unwrap_or_default();
        Value::map([
            ("flags", Value::Set(flags.into_iter().map(Value::bulk).collect())),
            ("redirect", Value::Integer(self.redirect().unwrap_or(-1))),
            ("prefixes", Value::words(prefixes)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(change: impl FnOnce(&mut Tracking)) -> Tracking {
        let mut tracking = Tracking { on: true, ..Tracking::default() };
        change(&mut tracking);
        tracking
    }

    fn prefixed(prefixes: &[&'static str]) -> Tracking {
        on(|t| {
            t.bcast = true;
            t.prefixes = prefixes.iter().map(|prefix| Bytes::from(*prefix)).collect();
        })
    }

    #[test]
    fn a_session_as_watched_in_stock() {
        let mut mode = Mode::default();
        let overlap = "ERR Prefix 'ab' overlaps with an existing prefix 'a'. Prefixes for a single client must not overlap.";
        let provided = "ERR Prefix 'a' overlaps with another provided prefix 'ab'. Prefixes for a single client must not overlap.";
        for (asked, expected) in [
            (on(|_| {}), Value::ok()),
            (on(|t| t.opt_in = true), Value::ok()),
            (on(|t| t.opt_out = true), Value::error(SWITCH_OPT)),
            (on(|_| {}), Value::ok()),
            (on(|t| t.opt_out = true), Value::ok()),
            (prefixed(&["a"]), Value::error(SWITCH_BCAST)),
            (Tracking::default(), Value::ok()),
            (prefixed(&["a", "ab"]), Value::error(provided)),
            (prefixed(&["a"]), Value::ok()),
            (prefixed(&["ab"]), Value::error(overlap)),
            (on(|_| {}), Value::error(SWITCH_BCAST)),
            (on(|t| t.redirect = Some(9)), Value::error(NO_REDIRECT)),
        ] {
            let shown = format!("{asked:?}");
            assert_eq!(mode.set(asked, |_| false), expected, "{shown}");
        }
    }

    #[test]
    fn caching_needs_a_mode() {
        let mut mode = Mode::default();
        assert_eq!(mode.set_caching(b"yes"), Value::error(NO_CACHING));
        mode.set(on(|t| t.opt_in = true), |_| true);
        assert_eq!(mode.set_caching(b"no"), Value::error(NOT_OPTOUT));
        assert_eq!(mode.set_caching(b"x"), Value::error("ERR syntax error"));
        assert_eq!(mode.set_caching(b"YES"), Value::ok());
        assert_eq!(mode.caching, Some(true));
        mode.used();
        assert_eq!(mode.caching, None);
    }
}
