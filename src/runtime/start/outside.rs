//! What the engine makes the process do: publish, log more or less, run scripts, show figures,
//! end.

use std::sync::Arc;

use crate::engine::settings::LogLevel;
use crate::engine::{Figures, ScriptId};
use crate::runtime::driver::{EventSink, Process};
use crate::runtime::log::{Log, Threshold};
use crate::runtime::resolver::Resolver;
use crate::runtime::scripts::Scripts;
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
    pub(super) hub: Hub,
    pub(super) figures: Arc<server::Figures>,
    pub(super) scripts: Scripts,
    pub(super) resolver: Resolver,
    pub(super) logging: Logging,
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

    fn run_script(&mut self, script: ScriptId, argv: Vec<Arc<str>>) {
        self.scripts.run(script, argv);
    }

    fn look_up(&mut self, host: Arc<str>) {
        self.resolver.look_up(host);
    }

    fn kill_script(&mut self, script: ScriptId) {
        self.scripts.kill(script);
    }

    fn exit(&mut self, code: u8) {
        if let Some(log) = &self.logging.log {
            log.flush(LOG_PATIENCE);
        }
        std::process::exit(code.into());
    }
}
