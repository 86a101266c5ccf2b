//! Processor time of this process.
//!
//! Read from `/proc`, so in steps of one clock tick (10 ms); zero where there is no `/proc`.

/// Ticks per second in `/proc`: fixed by the kernel's interface on every common architecture.
const TICKS_PER_SECOND: i64 = 100;

/// Whose time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Usage {
    /// All threads.
    Process,
    /// Children that have ended.
    Children,
    /// The first thread.
    Thread,
}

/// Seconds and microseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Times {
    pub(super) user: (i64, i64),
    pub(super) system: (i64, i64),
}

pub(super) fn of(whose: Usage) -> Times {
    let id = std::process::id();
    let path = match whose {
        Usage::Process | Usage::Children => "/proc/self/stat".to_owned(),
        Usage::Thread => format!("/proc/self/task/{id}/stat"),
    };
    std::fs::read_to_string(path).ok().and_then(|text| parse(&text, whose)).unwrap_or_default()
}

/// The name of the program, in parentheses, may contain blanks and parentheses; after it, `utime`
/// is the twelfth word, then `stime`, `cutime`, `cstime`.
fn parse(stat: &str, whose: Usage) -> Option<Times> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace().skip(if whose == Usage::Children { 13 } else { 11 });
    let mut next = || words.next()?.parse::<i64>().ok();
    let (user, system) = (next()?, next()?);
    let time =
        |ticks: i64| (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND * (1_000_000 / TICKS_PER_SECOND));
    Some(Times { user: time(user), system: time(system) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_seconds() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 123 45 6 7 20 0 1 0";
        let times = |user, system| Some(Times { user, system });
        assert_eq!(parse(stat, Usage::Process), times((1, 230_000), (0, 450_000)));
        assert_eq!(parse(stat, Usage::Children), times((0, 60_000), (0, 70_000)));
        assert_eq!(parse("7 (a", Usage::Process), None);
        assert_eq!(parse("7 (a) S 1", Usage::Process), None);
    }
}
