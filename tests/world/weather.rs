//! What the network does to packets that are not cut off: loss, repetition, slow and clogged ways.

use std::collections::BTreeMap;

use vigia::engine::{Span, Time};

use super::rng::Rng;
use super::{Pid, World};

/// TCP sends a lost segment again after this time; what follows it waits.
const RETRANSMISSION: Span = Span::ms(200);

/// The state of the network beyond its cuts.
#[derive(Debug, Default)]
pub struct Weather {
    /// Segments lost, of a thousand.
    pub lost: u64,
    /// Published messages that are delivered once more, of a thousand.
    pub repeated: u64,
    slow: BTreeMap<(Pid, Pid), Span>,
    clogged: BTreeMap<(Pid, Pid), Time>,
}

impl Weather {
    pub(crate) fn is_calm(&self) -> bool {
        self.lost == 0 && self.slow.is_empty() && self.clogged.is_empty()
    }

    /// When something that leaves `from` at `now` is ready to travel on to `to`, beyond the usual latency.
    pub(crate) fn ready(&self, now: Time, rng: &mut Rng, from: Pid, to: Pid) -> Time {
        if self.is_calm() {
            return now;
        }
        let slow = self.slow.get(&(from, to)).copied().unwrap_or(Span::ZERO);
        let lost = self.lost > 0 && rng.below(1_000) < self.lost;
        let at = now + slow + if lost { RETRANSMISSION } else { Span::ZERO };
        self.clogged.get(&(from, to)).map_or(at, |until| at.max(*until))
    }

    /// Whether a published message is delivered a second time.
    pub(crate) fn repeats(&self, rng: &mut Rng) -> bool {
        self.repeated > 0 && rng.below(1_000) < self.repeated
    }
}

impl World {
    /// Segments and published messages are lost or repeated from now on, so many of a thousand.
    pub fn foul_weather(&mut self, lost: u64, repeated: u64) {
        self.fault(&format!("weather: {lost} lost, {repeated} repeated of a thousand"));
        (self.weather.lost, self.weather.repeated) = (lost, repeated);
    }

    /// Everything from one process to another takes longer.
    pub fn slow_way(&mut self, from: Pid, to: Pid, by: Span) {
        self.fault(&format!("{} > {} slower by {} us", self.name(from), self.name(to), by.0));
        self.weather.slow.insert((from, to), by);
    }

    /// Nothing from one process reaches the other for a while; then it comes all at once.
    pub fn clog(&mut self, from: Pid, to: Pid, span: Span) {
        self.fault(&format!("{} > {} clogged for {} us", self.name(from), self.name(to), span.0));
        let until = self.now + span;
        self.weather.clogged.insert((from, to), until);
        self.last_stall_end = self.last_stall_end.max(until);
    }

    /// From now on packets travel as they should; those under way keep their time.
    pub fn calm(&mut self) {
        if !self.weather.is_calm() || self.weather.repeated > 0 {
            self.fault("calm");
            self.weather = Weather::default();
        }
    }
}
