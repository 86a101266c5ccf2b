//! How many files and sockets the process may have open.
//!
//! Stock raises the limit to `maxclients` + 32. Here the outgoing links count too: two per data node, one
//! per sentinel, which at 10,000 masters is far more than the clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything that is neither client nor link: log, config, listeners, timers.
const RESERVED: u64 = 32;

/// What to do with the limit, or what came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The limit was high enough.
    Enough,
    /// It was raised from `from` to `to`.
    Raised {
        /// Limit before.
        from: u64,
        /// Limit now.
        to: u64,
    },
    /// It could not be raised far enough: this many clients fit.
    Lowered {
        /// `maxclients` as configured.
        asked: u64,
        /// What fits beside the links.
        fits: u64,
        /// The limit that was needed.
        needed: u64,
        /// The limit that there is.
        limit: u64,
    },
    /// Not even one client and one link fit: the process should exit.
    Hopeless {
        /// The limit that was needed.
        needed: u64,
        /// The limit that there is.
        limit: u64,
    },
}

impl Verdict {
    /// The `maxclients` in force.
    pub fn maxclients(&self, asked: u64) -> u64 {
        match self {
            Self::Enough | Self::Raised { .. } => asked,
            Self::Lowered { fits, .. } => *fits,
            Self::Hopeless { .. } => 0,
        }
    }

    /// Logs the outcome in stock's words.
    pub fn log(&self) {
        match self {
            Self::Enough => {}
            Self::Raised { from, to } => tracing::info!(
                "Increased maximum number of open files to {to} (it was originally set to {from})."
            ),
            Self::Lowered { asked, fits, needed, limit } => {
                tracing::warn!(
                    "You requested maxclients of {asked} requiring at least {needed} max file descriptors."
                );
                tracing::warn!(
                    "Server can't set maximum open files to {needed} because of OS error: Operation not permitted."
                );
                tracing::warn!(
                    "Current maximum open files is {limit}. maxclients has been reduced to {fits} to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
                );
            }
            Self::Hopeless { needed, limit } => tracing::warn!(
                "Your current 'ulimit -n' of {limit} is not enough for the server to start. Please increase your open file limit to at least {needed}. Exiting."
            ),
        }
    }
}

/// Raises the soft limit so that `maxclients` clients and `links` outgoing connections fit.
///
/// Differs: the hard limit is left alone even for root; raising it is the service manager's business.
pub fn raise(maxclients: u64, links: u64) -> Verdict {
    let limits = getrlimit(Resource::Nofile);
    let (soft, hard) = (limits.current.unwrap_or(u64::MAX), limits.maximum.unwrap_or(u64::MAX));
    let verdict = judge(maxclients, links, soft, hard);
    let wanted = match &verdict {
        Verdict::Enough | Verdict::Hopeless { .. } => return verdict,
        Verdict::Raised { to, .. } => *to,
        Verdict::Lowered { limit, .. } => *limit,
    };
    let raised = Rlimit { current: Some(wanted), maximum: limits.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => verdict,
        Err(_) => judge(maxclients, links, soft, soft),
    }
}

/// What is possible with these limits. Pure.
fn judge(maxclients: u64, links: u64, soft: u64, hard: u64) -> Verdict {
    let rest = links.saturating_add(RESERVED);
    let needed = maxclients.saturating_add(rest);
    if needed <= soft {
        return Verdict::Enough;
    }
    if needed <= hard {
        return Verdict::Raised { from: soft, to: needed };
    }
    let limit = hard.max(soft);
    // Too few for all links: whoever asks where the master is goes before the last links.
    let few = limit.saturating_sub(RESERVED) / 2;
    match limit.saturating_sub(rest).max(few) {
        0 => Verdict::Hopeless { needed, limit },
        fits => Verdict::Lowered { asked: maxclients, fits, needed, limit },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_yield_to_links_when_the_limit_is_low() {
        let cases = [
            ((10_000, 10, 20_000, 20_000), Verdict::Enough),
            ((10_000, 10, 1_024, 20_000), Verdict::Raised { from: 1_024, to: 10_042 }),
            (
                (10_000, 100, 1_024, 4_096),
                Verdict::Lowered { asked: 10_000, fits: 3_964, needed: 10_132, limit: 4_096 },
            ),
            ((10_000, 100, 64, 64), Verdict::Lowered { asked: 10_000, fits: 16, needed: 10_132, limit: 64 }),
            ((10_000, 100, 33, 33), Verdict::Hopeless { needed: 10_132, limit: 33 }),
        ];
        for ((maxclients, links, soft, hard), expected) in cases {
            assert_eq!(judge(maxclients, links, soft, hard), expected, "{maxclients} {links} {soft} {hard}");
        }
    }

    #[test]
    fn what_is_there_already_is_enough() {
        assert_eq!(raise(1, 1), Verdict::Enough);
    }
}
