//! The Sentinel brain: pure state. No sockets, files, clock or ambient randomness.

pub mod durable;
pub mod event;
pub mod glob;
pub mod ids;
pub mod input;
pub mod output;
pub mod reply;
pub mod settings;
pub mod time;
pub mod view;

pub use durable::{MasterState, Snapshot, State};
pub use event::{Event, Note};
pub use ids::{Addr, Epoch, LinkId, MasterName, RunId, Seq, Ticket};
pub use input::{Command, DownCause, Input};
pub use output::{Answer, Output, Request};
pub use reply::Reply;
pub use time::{Millis, Span, Time};
pub use view::{Entry, MasterView, Status};

/// What the engine waits for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wake {
    /// Placeholder until the schedule lands.
    Never,
}

/// One sentinel.
#[derive(Debug)]
pub struct Engine {
    out: Vec<Output>,
    state: State,
}

impl Engine {
    /// A sentinel that starts with `state` (from the config file) at `now`; `seed` feeds its jitter.
    pub fn new(state: State, seed: u64, now: Time) -> Self {
        let _ = (seed, now);
        Self { out: Vec::new(), state }
    }

    /// Applies one stimulus at `now`; the caller executes what comes back, front to back.
    #[must_use = "effects happen only if the caller executes them"]
    pub fn handle(&mut self, now: Time, input: Input<'_>) -> std::vec::Drain<'_, Output> {
        let _ = (now, input);
        self.out.drain(..)
    }

    /// When to call [`Engine::handle`] next if nothing else happens, and why.
    pub fn next_wakeup(&self) -> Option<(Time, Wake)> {
        None
    }

    /// The state to write, with the number of the last change in it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { seq: Seq(0), state: self.state.clone() }
    }
}
