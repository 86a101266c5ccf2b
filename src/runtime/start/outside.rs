//! What the engine makes the process do: publish, log more or less, show figures, end.

use std::sync::Arc;

use crate::engine::Figures;
use crate::engine::settings::LogLevel;
use crate::runtime::driver::{EventSink, Process};
use crate::runtime::log::{Log, Threshold};
use crate::runtime::server::{self, Hub};

use super::LOG_PATIENCE;

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
    figures: Arc<server::Figures>,
    logging: Logging,
}

impl Outside {
    pub(super) fn new(hub: Hub, figures: Arc<server::Figures>, logging: Logging) -> Self {
        Self { hub, figures, logging }
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

    fn show(&mut self, figures: Figures) {
        self.figures.show(figures);
    }

    fn exit(&mut self, code: u8) {
        if let Some(log) = &self.logging.log {
            log.flush(LOG_PATIENCE);
        }
        std::process::exit(code.into());
    }
}
