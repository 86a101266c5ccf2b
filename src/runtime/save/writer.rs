//! The writer thread: one save at a time, away from the engine's task.

use std::io;
use std::sync::mpsc::{self as std_mpsc, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Render, SaveError, Saver};
use crate::engine::{Seq, Snapshot, State};
use crate::runtime::files::Files;

/// Snapshots that wait for the thread: the driver keeps one write in flight, so one is enough.
const QUEUE: usize = 1;

/// The outcome of one save.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Saved {
    /// Number of the snapshot.
    pub seq: Seq,
    /// Whether it is on disk.
    pub ok: bool,
}

/// The driver's end of the writer thread.
#[derive(Debug)]
pub struct Writer {
    jobs: SyncSender<Snapshot>,
    ended: Receiver<()>,
}

impl Writer {
    /// Hands over a snapshot. Its [`Saved`] comes on the channel given to [`spawn`].
    ///
    /// Returns false if the thread cannot take it: it is gone, or was given one too many.
    pub fn start(&mut self, snapshot: Snapshot) -> bool {
        self.jobs.try_send(snapshot).is_ok()
    }

    /// Lets a write in flight finish, for at most `patience`; called when the process ends, so that no
    /// temporary file is left behind.
    pub fn finish(self, patience: Duration) {
        let Self { jobs, ended } = self;
        drop(jobs);
        // Either the thread ends, which drops its end of the channel, or the time is up.
        let _ = ended.recv_timeout(patience);
    }
}

/// Starts the thread.
///
/// # Errors
/// If the operating system gives no thread.
pub fn spawn<F: Files, R: Render>(saver: Saver<F, R>, done: mpsc::Sender<Saved>) -> io::Result<Writer> {
    let (jobs, queue) = std_mpsc::sync_channel(QUEUE);
    let (alive, ended) = std_mpsc::sync_channel(1);
    thread::Builder::new().name("vigia-save".into()).spawn(move || {
        let _alive: SyncSender<()> = alive;
        work(saver, &queue, &done);
    })?;
    Ok(Writer { jobs, ended })
}

fn work<F: Files, R: Render>(mut saver: Saver<F, R>, queue: &Receiver<Snapshot>, done: &mpsc::Sender<Saved>) {
    while let Ok(Snapshot { seq, state }) = queue.recv() {
        let ok = save_and_log(&mut saver, &state).is_ok();
        if done.blocking_send(Saved { seq, ok }).is_err() {
            return;
        }
    }
}

/// Saves and says so in stock's words.
///
/// # Errors
/// As [`Saver::save`].
///
/// Source: spec 01, sections 6.1 and 6.5.
pub fn save_and_log<F: Files, R: Render>(saver: &mut Saver<F, R>, state: &State) -> Result<(), SaveError> {
    let begun = Instant::now();
    let outcome = saver.save(state);
    let took = begun.elapsed();
    match &outcome {
        Ok(()) => {
            tracing::info!("Sentinel new configuration saved on disk");
            tracing::trace!(?took, "saved");
        }
        Err(error) => {
            tracing::warn!("{error}");
            tracing::warn!(
                "WARNING: Sentinel was not able to save the new configuration on disk!!!: {}",
                error.reason()
            );
        }
    }
    outcome
}
