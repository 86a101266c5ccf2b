//! What the engine makes the process do: publish, log more or less.

use crate::engine::settings::LogLevel;
use crate::runtime::driver::{EventSink, Process};
use crate::runtime::log::{Log, Threshold};
use crate::runtime::server::Hub;

/// The log of the process.
#[derive(Clone, Debug)]
pub(super) struct Logging {
    /// What is written.
    pub(super) threshold: Threshold,
    /// Where to; `None` if there is no log yet.
    pub(super) log: Option<Log>,
}

/// The process as the driver sees it.
#[derive(Debug)]
pub(super) struct Outside {
    hub: Hub,
    logging: Logging,
}

impl Outside {
    pub(super) fn new(hub: Hub, logging: Logging) -> Self {
        Self { hub, logging }
    }
}

impl EventSink for Outside {
    fn publish(&self, channel: &str, payload: &str) {
        self.hub.publish(channel, payload);
    }
}

impl Process for Outside {
    fn set_log_level(&mut self, level: LogLevel) {
        self.logging.threshold.set(level);
    }
}
