//! State and settings back into the operator's text.

use super::Generic;
use crate::engine::State;

/// The new text of the configuration file; `old` is its present text, `None` if it is gone.
pub fn rewrite(old: Option<&[u8]>, state: &State, generic: &Generic) -> Vec<u8> {
    let _ = (state, generic);
    old.unwrap_or_default().to_vec()
}
