//! How a line of the log looks.
//!
//! Source: spec 01, section 3; for `logfmt` the lines that Valkey's developers show in public
//! (valkey-io/valkey#1014).

use chrono::{DateTime, Local};

use crate::conf::LogLevel;

/// Messages are cut here, in bytes. Source: spec 01, section 3.
pub const MAX_MESSAGE: usize = 1_024;

/// `log-format` and `log-timestamp-format`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Style {
    /// What a line consists of.
    pub form: Form,
    /// How it tells the time.
    pub time: Timestamp,
}

/// `log-format`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// `<pid>:X <time> <mark> <message>`.
    #[default]
    Legacy,
    /// `pid=<pid> role=sentinel timestamp="<time>" level=<word> message="<message>"`.
    Logfmt,
}

/// `log-timestamp-format`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Timestamp {
    /// `22 Nov 2026 17:04:43.466`, local time.
    #[default]
    Legacy,
    /// `2026-11-22T17:04:43.466+01:00`.
    Iso8601,
    /// Milliseconds since 1970.
    Milliseconds,
}

impl Style {
    /// The style of two words of the configuration; others count as `legacy`.
    pub fn of(form: &str, time: &str) -> Self {
        let form = if form == "logfmt" { Form::Logfmt } else { Form::Legacy };
        let time = match time {
            "iso8601" => Timestamp::Iso8601,
            "milliseconds" => Timestamp::Milliseconds,
            _ => Timestamp::Legacy,
        };
        Self { form, time }
    }

    /// One line, with its line feed.
    pub fn line(self, now: &DateTime<Local>, level: LogLevel, message: &str) -> String {
        let time = match self.time {
            Timestamp::Legacy => now.format("%d %b %Y %H:%M:%S%.3f").to_string(),
            Timestamp::Iso8601 => now.format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
            Timestamp::Milliseconds => now.timestamp_millis().to_string(),
        };
        let pid = std::process::id();
        match self.form {
            Form::Legacy => format!("{pid}:X {time} {} {message}\n", mark(level)),
            Form::Logfmt => {
                let (word, message) = (word(level), unquoted(message));
                format!("pid={pid} role=sentinel timestamp=\"{time}\" level={word} message=\"{message}\"\n")
            }
        }
    }
}

/// The message as it is logged: cut, and without control characters, which could forge a line or move the cursor
/// of whoever reads it.
pub(super) fn tidied(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
    }
    message.replace(char::is_control, " ")
}

/// logfmt has no escapes that everybody reads.
fn unquoted(message: &str) -> String {
    message.replace('"', "'").replace('\\', "/")
}

fn mark(level: LogLevel) -> char {
    match level {
        LogLevel::Debug => '.',
        LogLevel::Verbose => '-',
        LogLevel::Notice => '*',
        LogLevel::Warning | LogLevel::Nothing => '#',
    }
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Verbose => "info",
        LogLevel::Notice => "notice",
        LogLevel::Warning | LogLevel::Nothing => "warning",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_line_looks_as_asked() {
        let at = Local.with_ymd_and_hms(2026, 11, 2, 17, 4, 43).unwrap() + Duration::from_millis(46);
        let pid = std::process::id();
        let line = |form, time| Style::of(form, time).line(&at, LogLevel::Warning, "+sdown \"a\\b\"");
        assert_eq!(line("legacy", "legacy"), format!("{pid}:X 02 Nov 2026 17:04:43.046 # +sdown \"a\\b\"\n"));
        let iso = at.format("%:z");
        assert_eq!(
            line("logfmt", "iso8601"),
            format!(
                "pid={pid} role=sentinel timestamp=\"2026-11-02T17:04:43.046{iso}\" level=warning message=\"+sdown 'a/b'\"\n"
            )
        );
        let ms = at.timestamp_millis();
        assert_eq!(line("", "milliseconds"), format!("{pid}:X {ms} # +sdown \"a\\b\"\n"));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(tidied("a".repeat(MAX_MESSAGE - 1) + "é!"), "a".repeat(MAX_MESSAGE - 1));
        assert_eq!(tidied("a\r\nb\u{1b}c".into()), "a  b c");
    }
}
