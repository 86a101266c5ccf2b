//! The periods and time-outs that `SENTINEL DEBUG` shows and changes: one table.
//!
//! Source: spec 02, section 9. They are for tests and are not saved.

use super::time::Span;

macro_rules! tuning {
    ($($(#[$doc:meta])* $field:ident = $name:literal, $default:literal;)*) => {
        /// The values in force.
        #[derive(Clone, Debug)]
        pub(super) struct Tuning { $($(#[$doc])* pub(super) $field: Span,)* }

        impl Default for Tuning {
            fn default() -> Self {
                Self { $($field: Span::ms($default),)* }
            }
        }

        impl Tuning {
            /// Every name with its value, in the order of the reply.
            pub(super) fn all(&self) -> Vec<(&'static str, Span)> {
                vec![$(($name, self.$field),)*]
            }

            /// The value of a name, ignoring case.
            pub(super) fn find(&mut self, name: &str) -> Option<&mut Span> {
                $(if name.eq_ignore_ascii_case($name) { return Some(&mut self.$field); })*
                None
            }
        }
    };
}

// Defaults in milliseconds.
tuning! {
    /// Between two INFOs to a node; every second while something is going on with it.
    info_period = "INFO-PERIOD", 10_000;
    /// Longest time between two PINGs; usually it is shorter, by `down-after-milliseconds`.
    ping_period = "PING-PERIOD", 1_000;
    /// Longest time between two rounds of asking about a master that is down.
    ask_period = "ASK-PERIOD", 1_000;
    /// Between two hellos.
    publish_period = "PUBLISH-PERIOD", 2_000;
    /// `down-after-milliseconds` of masters that `SENTINEL MONITOR` makes.
    default_down_after = "DEFAULT-DOWN-AFTER", 30_000;
    /// `failover-timeout` of masters that `SENTINEL MONITOR` makes.
    default_failover_timeout = "DEFAULT-FAILOVER-TIMEOUT", 180_000;
    /// A wake-up that is later than this begins TILT.
    tilt_trigger = "TILT-TRIGGER", 2_000;
    /// How long TILT is shown; it ends judging for a much shorter time (`tilt`).
    tilt_period = "TILT-PERIOD", 30_000;
    /// After this a replica that did not react to its reconfiguration is not waited for.
    slave_reconf_timeout = "SLAVE-RECONF-TIMEOUT", 10_000;
    /// Youngest subscription link that is given up for being deaf, and the pause between fresh links to
    /// a node that is down and hangs.
    min_link_reconnect_period = "MIN-LINK-RECONNECT-PERIOD", 15_000;
    /// Time-out of an election and term of a leader; more than 10 s is as 10 s (S9).
    election_timeout = "ELECTION-TIMEOUT", 10_000;
    /// A script that runs longer is killed.
    script_max_runtime = "SCRIPT-MAX-RUNTIME", 60_000;
    /// Pause before the second run of a script that failed; it doubles.
    script_retry_delay = "SCRIPT-RETRY-DELAY", 30_000;
}
