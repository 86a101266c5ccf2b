//! Puts the durable state on disk: the file of our own beside the config, then the config itself.
//!
//! Both are replaced, never edited in place: temporary file, write, fsync, rename, fsync of the folder.
//! A crash at any moment leaves for each file either the old or the new content. The two need not match
//! each other afterwards; nothing of an unfinished save was visible to anybody, and each file is read
//! with that in mind (a vote whose receiver is missing simply grants nobody that epoch again).
//!
//! Source: spec 01, section 6.5.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::State;
use crate::runtime::files::{Files, folder_of, resolve, strerror, with_suffix};

mod writer;

pub use writer::{Saved, Writer, save_and_log, spawn};

/// Suffix of the file that holds what stock's directives cannot say.
pub const SIDECAR_SUFFIX: &str = ".vigia";

/// Turns the state into the text of the two files. The runtime does not know the formats.
pub trait Render: Send + 'static {
    /// The config file, made from its present content.
    fn config(&mut self, old: Option<&[u8]>, state: &State) -> Vec<u8>;
    /// The file beside it.
    fn sidecar(&mut self, state: &State) -> Vec<u8>;
}

/// Why a save failed. `Display` is the line for the log.
#[derive(Debug, thiserror::Error)]
#[error("{step} ({})", strerror(cause))]
pub struct SaveError {
    /// What was tried.
    step: &'static str,
    /// What the operating system said.
    cause: io::Error,
}

impl SaveError {
    /// What the operating system said, in its words.
    pub fn reason(&self) -> String {
        strerror(&self.cause)
    }
}

/// Tags an I/O error with the step that failed.
fn at(step: &'static str) -> impl FnOnce(io::Error) -> SaveError {
    move |cause| SaveError { step, cause }
}

const CREATE: &str = "Could not create tmp config file";
const WRITE: &str = "Could not write tmp config file";
const SYNC: &str = "Could not sync tmp config file to disk";
const RENAME: &str = "Could not rename tmp config file";
const FOLDER: &str = "Could not sync config file dir";
const READ: &str = "Could not read config file";

/// Writes states; lives on the writer thread.
#[derive(Debug)]
pub struct Saver<F, R> {
    files: F,
    render: R,
    config: PathBuf,
    /// What the file beside the config holds for certain; `None` before the first save and after a failure.
    sidecar: Option<Vec<u8>>,
}

/// A new content that is complete and durable under its temporary name.
struct Ready {
    temp: PathBuf,
    target: PathBuf,
}

impl<F: Files, R: Render> Saver<F, R> {
    /// A saver for this config file. The path is absolute: the process may change its folder.
    pub fn new(files: F, render: R, config: PathBuf) -> Self {
        Self { files, render, config, sidecar: None }
    }

    /// Writes a state; on return it is durable.
    ///
    /// # Errors
    /// The step that failed. Temporary files are gone then, and each target has its old or its new content.
    pub fn save(&mut self, state: &State) -> Result<(), SaveError> {
        let config = resolve(&mut self.files, &self.config);
        let beside = with_suffix(&config, SIDECAR_SUFFIX);
        let old = self.files.read(&config).map_err(at(READ))?;
        let new = self.render.config(old.as_deref(), state);
        let sidecar = self.render.sidecar(state);

        let mut ready = Vec::with_capacity(2);
        let outcome = self.prepare_and_commit(&mut ready, &config, &new, &beside, &sidecar);
        match outcome {
            Ok(()) => self.sidecar = Some(sidecar),
            Err(_) => {
                self.sidecar = None;
                self.discard(&ready);
            }
        }
        outcome
    }

    /// All that can fail with the disk full happens before the first rename.
    fn prepare_and_commit(
        &mut self,
        ready: &mut Vec<Ready>,
        config: &Path,
        new: &[u8],
        beside: &Path,
        sidecar: &[u8],
    ) -> Result<(), SaveError> {
        if self.sidecar.as_deref() != Some(sidecar) || !matches!(self.files.owner(beside), Ok(Some(_))) {
            self.prepare(ready, beside, sidecar)?;
        }
        self.prepare(ready, config, new)?;
        while let Some(next) = ready.first() {
            self.files.rename(&next.temp, &next.target).map_err(at(RENAME))?;
            ready.remove(0);
        }
        // Both files lie in one folder, so one fsync makes both renames durable.
        self.files.sync_folder(folder_of(config)).map_err(at(FOLDER))
    }

    fn prepare(&mut self, ready: &mut Vec<Ready>, target: &Path, bytes: &[u8]) -> Result<(), SaveError> {
        let like = self.files.owner(target).map_err(at(CREATE))?;
        let (mut file, temp) = self.files.create_temp(target, like).map_err(at(CREATE))?;
        ready.push(Ready { temp, target: target.to_path_buf() });
        self.files.write(&mut file, bytes).map_err(at(WRITE))?;
        self.files.sync(&mut file).map_err(at(SYNC))
    }

    fn discard(&mut self, ready: &[Ready]) {
        for Ready { temp, .. } in ready {
            if let Err(error) = self.files.remove(temp) {
                tracing::debug!("Could not remove {} ({})", temp.display(), strerror(&error));
            }
        }
    }
}

#[cfg(test)]
mod tests;
