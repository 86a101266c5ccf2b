//! `<config>.vigia`: the durable state that stock's directives cannot hold.

use crate::engine::State;

/// The text of the file.
pub fn render(state: &State) -> Vec<u8> {
    let _ = state;
    Vec::new()
}

/// Adds what the file holds to a state that was loaded from the configuration.
///
/// # Errors
/// What is wrong with the text; the state is unchanged then.
pub fn merge(text: &[u8], state: &mut State) -> Result<(), String> {
    let _ = (text, state);
    Ok(())
}
