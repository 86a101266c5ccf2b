//! Events of the real process that no story on virtual time can show.

use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! { a_connection_that_cannot_be_tried_is_logged_at_debug }

/// To a group of the network that this machine has not joined there is no connection by TCP.
fn a_connection_that_cannot_be_tried_is_logged_at_debug(program: Program) {
    let text = "bind 127.0.0.1\nloglevel debug\nsentinel monitor m 224.0.0.9 7 1\n";
    let mut sentinel = Sentinel::start(program, text);
    for link in ["cmd", "pubsub"] {
        let line = format!(" . -{link}-link-reconnection master m 224.0.0.9 7 #Network is unreachable\n");
        wait_until(&line, PATIENCE, || sentinel.process().log_text().contains(&line));
    }
}
