//! Text to settings and state.

use super::{ConfigError, Generic, LoadInput, Loaded, Sources};
use crate::engine::settings::Globals;
use crate::engine::{Epoch, RunId, State};

/// Reads a configuration.
///
/// # Errors
/// The error that stock would report: the first wrong line in its order of reading.
pub fn load(input: &LoadInput<'_>, sources: &mut dyn Sources) -> Result<Loaded, ConfigError> {
    let _ = (input, sources);
    let state =
        State { globals: Globals::new(RunId::from("")), current_epoch: Epoch(0), masters: Vec::new() };
    Ok(Loaded { my_id: None, state, generic: Generic::default(), warnings: Vec::new() })
}

/// Every error in a configuration, the one that [`load`] reports first; empty if it is good.
pub fn check(input: &LoadInput<'_>, sources: &mut dyn Sources) -> Vec<ConfigError> {
    load(input, sources).err().into_iter().collect()
}
