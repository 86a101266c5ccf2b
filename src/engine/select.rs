//! Which replica to promote: a pure function that gives a reason for each replica passed over.
//!
//! Source: spec 05, section 5; DESIGN S5 and "Selection".

use std::cmp::Reverse;
use std::fmt;

use super::time::Span;

/// How long an acceptable PING reply and, while the master is down, an INFO stay fresh: 5 × 1 s.
const FRESH_WHILE_DOWN: Span = Span::secs(5);
/// How long an INFO stays fresh while the master is up: 3 × 10 s.
const FRESH_WHILE_UP: Span = Span::secs(30);

/// What is known of one replica at the moment of the choice.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// It is SDOWN.
    pub down: bool,
    /// Its command link is not up.
    pub disconnected: bool,
    /// Age of the last acceptable PING reply.
    pub pong_age: Span,
    /// Age of the last INFO; `None` if there was none.
    pub info_age: Option<Span>,
    /// `slave_priority`; 0 is "never promote".
    pub priority: i64,
    /// `slave_repl_offset`.
    pub offset: u64,
    /// How long its link to the master is down, by its own INFO.
    pub link_down: Span,
    /// Its run id, if known.
    pub run_id: Option<&'a str>,
    /// It carries the run id of the failed master: the same process under another address.
    pub is_the_master: bool,
    /// Its data comes from another group.
    pub foreign: bool,
    /// It refused an earlier promotion of this failover, with the node's words.
    pub refused: Option<&'a str>,
    /// It already reports role master on the lineage of this group.
    pub already_master: bool,
}

/// What is known of the master.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Since when it is SDOWN; `None` if it is not.
    pub down_for: Option<Span>,
    /// Its `down-after-milliseconds`.
    pub down_after: Span,
}

/// Why a replica may not be promoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PassedOver<'a> {
    /// SDOWN.
    Down,
    /// No link.
    Disconnected,
    /// No acceptable PING reply for too long.
    Silent(Span),
    /// `replica-priority 0`.
    PriorityZero,
    /// No INFO yet.
    NeverRefreshed,
    /// INFO too old.
    StaleInfo(Span),
    /// Its link to the master was down for too long before the failure.
    LinkDown {
        /// For how long.
        down: Span,
        /// The limit: 10 × D plus the time the master is down.
        limit: Span,
    },
    /// The failed master's own process.
    SameProcess,
    /// Data of another group.
    Foreign,
    /// It refused the promotion.
    Refused(&'a str),
}

impl fmt::Display for PassedOver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("it is subjectively down"),
            Self::Disconnected => f.write_str("there is no connection to it"),
            Self::Silent(age) => write!(f, "no acceptable PING reply for {} ms", age.as_ms()),
            Self::PriorityZero => f.write_str("its replica-priority is 0"),
            Self::NeverRefreshed => f.write_str("it has not answered INFO yet"),
            Self::StaleInfo(age) => write!(f, "its last INFO is {} ms old", age.as_ms()),
            Self::LinkDown { down, limit } => write!(
                f,
                "its link to the master was down for {} ms, the limit is {} ms",
                down.as_ms(),
                limit.as_ms()
            ),
            Self::SameProcess => f.write_str("it has the run id of the failed master"),
            Self::Foreign => f.write_str("its replication id was never one of this group"),
            Self::Refused(why) => write!(f, "it refused the promotion: {why}"),
        }
    }
}

/// The outcome: whom to promote, and why the others may not be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice<'a, K> {
    /// The best replica, if any.
    pub best: Option<K>,
    /// Those that were excluded.
    pub passed_over: Vec<(K, PassedOver<'a>)>,
}

/// Chooses: a node that is a master of this lineage already, then the lowest priority, the largest
/// offset, the smallest run id (ignoring case, unknown last).
pub fn choose<'a, K: Copy>(situation: Situation, replicas: &[(K, Candidate<'a>)]) -> Choice<'a, K> {
    let mut passed_over = Vec::new();
    let mut eligible = Vec::new();
    for (key, candidate) in replicas {
        match exclude(situation, candidate) {
            Some(why) => passed_over.push((*key, why)),
            None => eligible.push((*key, candidate)),
        }
    }
    let best = eligible.into_iter().min_by_key(|(_, candidate)| rank(candidate)).map(|(key, _)| key);
    Choice { best, passed_over }
}

/// Why this replica may not be promoted, if so.
pub fn exclude<'a>(situation: Situation, candidate: &Candidate<'a>) -> Option<PassedOver<'a>> {
    let limit = Span(situation.down_after.0.saturating_mul(10)) + situation.down_for.unwrap_or(Span::ZERO);
    let fresh = if situation.down_for.is_some() { FRESH_WHILE_DOWN } else { FRESH_WHILE_UP };
    if candidate.down {
        return Some(PassedOver::Down);
    }
    if candidate.disconnected {
        return Some(PassedOver::Disconnected);
    }
    if candidate.pong_age > FRESH_WHILE_DOWN {
        return Some(PassedOver::Silent(candidate.pong_age));
    }
    if candidate.priority == 0 {
        return Some(PassedOver::PriorityZero);
    }
    match candidate.info_age {
        None => return Some(PassedOver::NeverRefreshed),
        Some(age) if age > fresh => return Some(PassedOver::StaleInfo(age)),
        Some(_) => {}
    }
    if candidate.link_down > limit {
        return Some(PassedOver::LinkDown { down: candidate.link_down, limit });
    }
    if candidate.is_the_master {
        return Some(PassedOver::SameProcess);
    }
    if candidate.foreign {
        return Some(PassedOver::Foreign);
    }
    candidate.refused.map(PassedOver::Refused)
}

/// Smaller is better.
fn rank(candidate: &Candidate<'_>) -> (bool, i64, Reverse<u64>, bool, String) {
    (
        !candidate.already_master,
        candidate.priority,
        Reverse(candidate.offset),
        candidate.run_id.is_none(),
        candidate.run_id.unwrap_or_default().to_ascii_lowercase(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Situation = Situation { down_for: Some(Span::secs(1)), down_after: Span::secs(5) };
    const UP: Situation = Situation { down_for: None, down_after: Span::secs(5) };

    fn good() -> Candidate<'static> {
        Candidate {
            down: false,
            disconnected: false,
            pong_age: Span::ms(100),
            info_age: Some(Span::ms(100)),
            priority: 100,
            offset: 1_000,
            link_down: Span::ZERO,
            run_id: Some("b"),
            is_the_master: false,
            foreign: false,
            refused: None,
            already_master: false,
        }
    }

    #[test]
    fn each_reason_excludes() {
        let table = [
            (Candidate { down: true, ..good() }, DOWN, Some(PassedOver::Down)),
            (Candidate { disconnected: true, ..good() }, DOWN, Some(PassedOver::Disconnected)),
            (
                Candidate { pong_age: Span::ms(5_001), ..good() },
                DOWN,
                Some(PassedOver::Silent(Span::ms(5_001))),
            ),
            (Candidate { pong_age: Span::ms(5_000), ..good() }, DOWN, None),
            (Candidate { priority: 0, ..good() }, DOWN, Some(PassedOver::PriorityZero)),
            (Candidate { info_age: None, ..good() }, UP, Some(PassedOver::NeverRefreshed)),
            (
                Candidate { info_age: Some(Span::secs(6)), ..good() },
                DOWN,
                Some(PassedOver::StaleInfo(Span::secs(6))),
            ),
            (Candidate { info_age: Some(Span::secs(6)), ..good() }, UP, None),
            (
                Candidate { info_age: Some(Span::secs(31)), ..good() },
                UP,
                Some(PassedOver::StaleInfo(Span::secs(31))),
            ),
            (
                Candidate { link_down: Span::secs(52), ..good() },
                DOWN,
                Some(PassedOver::LinkDown { down: Span::secs(52), limit: Span::secs(51) }),
            ),
            (Candidate { link_down: Span::secs(51), ..good() }, DOWN, None),
            (Candidate { is_the_master: true, ..good() }, DOWN, Some(PassedOver::SameProcess)),
            (Candidate { foreign: true, ..good() }, DOWN, Some(PassedOver::Foreign)),
            (Candidate { refused: Some("NOPERM"), ..good() }, DOWN, Some(PassedOver::Refused("NOPERM"))),
            (good(), DOWN, None),
        ];
        for (candidate, situation, expected) in table {
            assert_eq!(exclude(situation, &candidate), expected, "{candidate:?}");
        }
    }

    #[test]
    fn priority_then_offset_then_run_id() {
        let choose_of = |list: Vec<Candidate<'static>>| {
            choose(DOWN, &list.into_iter().enumerate().collect::<Vec<_>>()).best
        };
        assert_eq!(choose_of(vec![]), None);
        assert_eq!(choose_of(vec![good(), Candidate { priority: 10, offset: 1, ..good() }]), Some(1));
        assert_eq!(choose_of(vec![good(), Candidate { offset: 1_001, ..good() }]), Some(1));
        assert_eq!(choose_of(vec![good(), Candidate { run_id: Some("A"), ..good() }]), Some(1));
        assert_eq!(choose_of(vec![Candidate { run_id: None, ..good() }, good()]), Some(1));
        assert_eq!(
            choose_of(vec![good(), Candidate { already_master: true, priority: 200, ..good() }]),
            Some(1)
        );
        assert_eq!(choose_of(vec![Candidate { down: true, priority: 1, ..good() }, good()]), Some(1));
    }
}
