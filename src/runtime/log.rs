//! The log: stock's line format on standard output or in a file.
//!
//! `<pid>:X <DD Mon YYYY HH:MM:SS.mmm> <c> <message>`, local time.
//!
//! | stock   | character | `tracing` level |
//! |---------|-----------|-----------------|
//! | debug   | `.`       | TRACE           |
//! | verbose | `-`       | DEBUG           |
//! | notice  | `*`       | INFO            |
//! | warning | `#`       | WARN, ERROR     |
//!
//! Only this program's own lines are written, not those of libraries. Fields follow the message as
//! ` name=value`; lines whose text stock fixes have none.
//!
//! The engine must not wait for a terminal that was stopped or a pipe that nobody reads, so lines go through
//! a bounded queue to a thread of their own. While the queue is full, lines are dropped and counted; when
//! there is room again, a line says how many are missing. [`Log::flush`] empties the queue before the
//! process exits, with a time limit for the same reason.
//!
//! Source: spec 01, section 3.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::conf::LogLevel;
use crate::engine::event;

mod queue;
mod style;
mod syslog;

pub use queue::{Destination, Log};
pub use style::{MAX_MESSAGE, Style};
pub use syslog::Header;

/// Whose lines are written.
const OWN_TARGET: &str = "vigia";

/// The level in force; shared, so that `SENTINEL CONFIG SET loglevel` can change it.
#[derive(Clone, Debug)]
pub struct Threshold(Arc<AtomicU8>);

impl Threshold {
    /// A threshold that starts at `level`.
    pub fn new(level: LogLevel) -> Self {
        Self(Arc::new(AtomicU8::new(rank(level))))
    }

    /// Changes it at once for all threads.
    pub fn set(&self, level: LogLevel) {
        self.0.store(rank(level), Ordering::Relaxed);
    }

    fn lets_through(&self, level: LogLevel) -> bool {
        rank(level) >= self.0.load(Ordering::Relaxed)
    }
}

/// Louder is larger.
fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Verbose => 1,
        LogLevel::Notice => 2,
        LogLevel::Warning => 3,
        LogLevel::Nothing => 4,
    }
}

/// Logs a line of the event stream, or a note, at its level.
pub fn line(level: event::Level, text: &impl fmt::Display) {
    match level {
        event::Level::Debug => tracing::trace!("{text}"),
        event::Level::Verbose => tracing::debug!("{text}"),
        event::Level::Notice => tracing::info!("{text}"),
        event::Level::Warning => tracing::warn!("{text}"),
    }
}

/// Makes this log the process' log.
///
/// # Errors
/// When a log was installed before.
pub fn install(
    threshold: Threshold,
    style: Style,
    log: Log,
) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    let lines = Lines { threshold, style, log };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines))
}

/// A line on standard output, at notice, for what is said before the configuration tells where the log is.
pub fn before_the_log(text: &str) {
    let line = Style::default().line(&chrono::Local::now(), LogLevel::Notice, text);
    // Nobody reads it: nothing to be done.
    let _ = io::stdout().write_all(line.as_bytes());
}

/// The layer that turns `tracing` events into lines.
struct Lines {
    threshold: Threshold,
    style: Style,
    log: Log,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let level = stock_level(*meta.level());
        let own = meta.target().split("::").next() == Some(OWN_TARGET);
        if !own || !self.threshold.lets_through(level) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let (now, message) = (chrono::Local::now(), style::tidied(text.message + &text.fields));
        self.log.push_message(self.style, &now, level, &message);
    }
}

/// The level of stock.
fn stock_level(level: Level) -> LogLevel {
    if level == Level::TRACE {
        LogLevel::Debug
    } else if level == Level::DEBUG {
        LogLevel::Verbose
    } else if level == Level::INFO {
        LogLevel::Notice
    } else {
        LogLevel::Warning
    }
}

/// Collects the message and the fields of an event.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => {
                let _ = write!(self.fields, " {name}={value}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(threshold: LogLevel, speak: impl FnOnce()) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log::open(Destination::File(path.clone()), None).unwrap();
        let (threshold, style) = (Threshold::new(threshold), Style::default());
        let lines = Lines { threshold, style, log: log.clone() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), speak);
        assert!(log.flush(Duration::from_secs(10)));
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    fn speak() {
        tracing::trace!("a");
        tracing::debug!("b");
        tracing::info!("c");
        tracing::warn!("d");
        tracing::error!(link = 7, why = "x", "e");
        tracing::warn!(target: "tokio::net", "not ours");
    }

    /// Character and message: what follows the time.
    fn tail(line: &str) -> &str {
        let start = format!("{}:X ", std::process::id());
        &line.strip_prefix(&start).unwrap()["22 Nov 2026 17:04:43.466 ".len()..]
    }

    #[test]
    fn levels_map_to_stocks_characters_and_the_threshold_holds() {
        let all = ["- b", "* c", "# d", "# e link=7 why=x"];
        let cases = [
            (LogLevel::Debug, vec![". a", all[0], all[1], all[2], all[3]]),
            (LogLevel::Verbose, all.to_vec()),
            (LogLevel::Notice, all[1..].to_vec()),
            (LogLevel::Warning, all[2..].to_vec()),
            (LogLevel::Nothing, vec![]),
        ];
        for (threshold, expected) in cases {
            let lines = written(threshold, speak);
            assert_eq!(lines.iter().map(|line| tail(line)).collect::<Vec<_>>(), expected, "{threshold:?}");
        }
    }

    #[test]
    fn a_message_is_one_line() {
        let lines = written(LogLevel::Notice, || tracing::info!("{}", "a\nb".repeat(MAX_MESSAGE)));
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(tail(line).len(), "* ".len() + MAX_MESSAGE);
    }

    #[test]
    fn the_threshold_can_be_changed_while_running() {
        let threshold = Threshold::new(LogLevel::Warning);
        assert!(!threshold.lets_through(LogLevel::Notice));
        threshold.clone().set(LogLevel::Debug);
        assert!(threshold.lets_through(LogLevel::Debug));
    }
}
