//! How connections of clients reach the engine, and what they may read without it.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Answer, Command, MasterName, MasterView};

/// Published views by master name: read by every connection task without waiting for the engine.
///
/// Never hold a guard of it across an `.await`.
pub type Views = Arc<DashMap<MasterName, Arc<MasterView>>>;

/// A command on its way to the engine.
#[derive(Debug)]
pub struct Asked {
    /// The command.
    pub command: Command,
    /// Where its answer goes; it comes only when the change is durable and in the views.
    pub answer: oneshot::Sender<Answer>,
}

/// The engine has ended: the process is shutting down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the engine has stopped")]
pub struct EngineGone;

/// Asks the engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    asked: mpsc::Sender<Asked>,
    views: Views,
}

impl EngineHandle {
    /// A handle over the engine's queue of commands.
    pub fn new(asked: mpsc::Sender<Asked>, views: Views) -> Self {
        Self { asked, views }
    }

    /// Gives the engine a command and waits for its answer.
    ///
    /// # Errors
    /// [`EngineGone`] when the process is shutting down.
    pub async fn ask(&self, command: Command) -> Result<Answer, EngineGone> {
        let (answer, answered) = oneshot::channel();
        self.asked.send(Asked { command, answer }).await.map_err(|_| EngineGone)?;
        answered.await.map_err(|_| EngineGone)
    }

    /// The published views.
    pub fn views(&self) -> &Views {
        &self.views
    }
}
