//! `oom-score-adj`: whom the kernel ends first when memory runs out.
//!
//! Source: redis.conf's own description; seen on redis-sentinel 7.0.15.

use std::fs;

use crate::conf::Generic;
use crate::runtime::files::strerror;

/// Where the kernel keeps it.
const FILE: &str = "/proc/self/oom_score_adj";

/// Sets the first of `oom-score-adj-values`, that of a master. What the kernel refuses is logged.
pub(super) fn adjust(generic: &Generic) {
    let words = |name: &str| generic.raw.get(name).and_then(|lines| lines.last()).map(Vec::as_slice);
    let Some([mode]) = words("oom-score-adj") else { return };
    let value = match words("oom-score-adj-values") {
        Some([first, ..]) => first.parse().unwrap_or(0),
        Some([]) | None => 0,
    };
    let now = fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let Some(wanted) = wanted(mode, value, now) else { return };
    if let Err(error) = fs::write(FILE, wanted.to_string()) {
        tracing::warn!("Unable to write oom_score_adj: {}", strerror(&error));
    }
}

/// The score for a mode and a value, given the score at the start.
fn wanted(mode: &str, value: i32, now: i32) -> Option<i32> {
    match mode {
        "yes" | "relative" => Some((now + value).clamp(-1_000, 1_000)),
        "absolute" => Some(value.clamp(-1_000, 1_000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_relative_unless_it_is_absolute() {
        assert_eq!(wanted("no", 5, 7), None);
        assert_eq!(wanted("yes", 5, 7), Some(12));
        assert_eq!(wanted("relative", 2_000, 7), Some(1_000));
        assert_eq!(wanted("absolute", -5, 7), Some(-5));
    }
}
