//! `SENTINEL DEBUG`, `SIMULATE-FAILURE` and `INFO-CACHE`: for tests of clients and of groups.
//!
//! Source: spec 02, section 9; texts checked against redis-sentinel 7.0.15.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::event::{Level, Note};
use super::ids::{MasterName, Ticket};
use super::instance::{NodeId, PeerId};
use super::output::{Answer, CachedInfo, Output};
use super::time::{Span, Time};
use super::view::Figures;

/// Exit code of a simulated crash.
const CRASH_CODE: u8 = 99;
/// Longest time that a parameter may be: a year, in milliseconds.
const LONGEST_MS: u64 = 365 * 86_400_000;

const AFTER_ELECTION: &str = "crash-after-election";
const AFTER_PROMOTION: &str = "crash-after-promotion";

/// Where this process is to crash.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Simulated {
    /// Right after `+elected-leader`.
    pub(super) after_election: bool,
    /// Right after `+promoted-slave`.
    pub(super) after_promotion: bool,
}

impl Simulated {
    /// The bits in `INFO`.
    fn flags(self) -> u8 {
        u8::from(self.after_election) | u8::from(self.after_promotion) << 1
    }
}

impl Engine {
    /// Shows all parameters, or sets some: left to right, an error keeps those before it.
    ///
    /// Differs: values above a year are refused.
    pub(super) fn debug(&mut self, now: Time, ticket: Ticket, words: &[Arc<str>]) {
        if words.is_empty() {
            let all = self.tuning.all().into_iter();
            let fields = all.map(|(name, value)| (name, Arc::from(value.as_ms().to_string()))).collect();
            return self.answer(ticket, Answer::Entry(fields));
        }
        let answer = match words.chunks(2).try_for_each(|pair| self.tune(pair)) {
            Ok(()) => Answer::Ok,
            Err(text) => Answer::Error(format!("ERR {}", text.replace(char::is_control, " "))),
        };
        self.retime(now);
        self.answer(ticket, answer);
    }

    fn tune(&mut self, pair: &[Arc<str>]) -> Result<(), String> {
        let (name, value) = (&pair[0], pair.get(1));
        let (Some(place), Some(value)) = (self.tuning.find(name), value) else {
            return Err(format!("Unknown option or number of arguments for SENTINEL DEBUG '{name}'"));
        };
        let ms: Option<u64> = value.parse().ok().filter(|ms: &u64| ms.to_string() == **value);
        let Some(ms) = ms.filter(|ms| (1..=LONGEST_MS).contains(ms)) else {
            return Err(format!("Invalid argument '{value}' for SENTINEL DEBUG '{name}'"));
        };
        *place = Span::ms(ms);
        Ok(())
    }

    /// Shorter periods count at once.
    fn retime(&mut self, now: Time) {
        let (info, publish) = (now + self.tuning.info_period, now + self.tuning.publish_period);
        for id in self.nodes.keys().copied().collect::<Vec<NodeId>>() {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.next_info = node.next_info.min(info);
                node.next_hello = node.next_hello.min(publish);
            }
            self.beat_node(now, id);
            self.review_down(now, id);
        }
        self.stir_scripts();
        self.retime_tilt(now);
        for id in self.peers.keys().copied().collect::<Vec<PeerId>>() {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.next_hello = peer.next_hello.min(publish);
            }
            self.beat_peer(now, id);
        }
    }

    /// Sets where to crash; what was set before is cleared first.
    pub(super) fn simulate_failure(&mut self, ticket: Ticket, words: &[Arc<str>]) {
        self.simulated = Simulated::default();
        let answer = words.iter().find_map(|word| self.simulate(word)).unwrap_or(Answer::Ok);
        self.show_figures();
        self.answer(ticket, answer);
    }

    /// Takes one word; the answer if no more words count.
    fn simulate(&mut self, word: &str) -> Option<Answer> {
        let what = match word.to_ascii_lowercase().as_str() {
            AFTER_ELECTION => {
                self.simulated.after_election = true;
                "being successfully elected as failover leader"
            }
            AFTER_PROMOTION => {
                self.simulated.after_promotion = true;
                "promoting the selected replica to master"
            }
            "help" => {
                return Some(Answer::Words([AFTER_ELECTION, AFTER_PROMOTION].map(str::to_owned).to_vec()));
            }
            _ => return Some(Answer::Error("ERR Unknown failure simulation specified".to_owned())),
        };
        let text = format!("Failure simulation: this Sentinel will crash after {what}");
        self.out.push(Output::Note(Note::Text { level: Level::Warning, text }));
        None
    }

    /// Crashes here if that was asked for.
    pub(super) fn crash_if(&mut self, asked: impl Fn(Simulated) -> bool) {
        if asked(self.simulated) {
            let text = "Sentinel CRASH because of SENTINEL simulate-failure".to_owned();
            self.out.push(Output::Note(Note::Text { level: Level::Warning, text }));
            self.out.push(Output::Exit(CRASH_CODE));
        }
    }

    /// The last INFO of each node of these masters; unknown names are left out, repeated ones too.
    pub(super) fn info_cache(&mut self, now: Time, ticket: Ticket, names: &[MasterName]) {
        let mut seen = BTreeSet::new();
        let mut masters = Vec::new();
        for name in names {
            let Some(master) = self.named(name).and_then(|id| self.masters.get(&id)) else { continue };
            if seen.insert(name) {
                let nodes = [&master.node].into_iter().chain(master.replicas.values());
                masters.push((name.clone(), nodes.map(|node| self.cached(now, *node)).collect()));
            }
        }
        self.answer(ticket, Answer::InfoCache(masters));
    }

    fn cached(&self, now: Time, id: NodeId) -> CachedInfo {
        let node = self.nodes.get(&id);
        let text = node.and_then(|node| node.info_text.clone());
        let at = node.and_then(|node| node.info_at).filter(|_| text.is_some());
        CachedInfo { age_ms: at.map_or(0, |at| now.since(at).as_ms()), text }
    }

    /// Publishes the figures of the process if they changed; called at the end of `handle`.
    pub(super) fn show_figures(&mut self) {
        let (running_scripts, queued_scripts) = self.count_scripts();
        let simulate_failure = self.simulated.flags();
        let (tilt, tilts) = self.tilt.figures();
        let figures = Figures { simulate_failure, tilt, tilts, running_scripts, queued_scripts };
        if figures != self.shown {
            self.shown = figures;
            self.out.push(Output::Figures(figures));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Globals;
    use crate::engine::{Command, Epoch, Input, Reply, Request, RunId, State};

    fn engine() -> Engine {
        let globals = Globals::new(RunId::from("me"));
        Engine::new(State { globals, current_epoch: Epoch(0), masters: Vec::new() }, 1, Time(0))
    }

    fn words(text: &str) -> Vec<Arc<str>> {
        text.split_whitespace().map(Arc::from).collect()
    }

    /// Gives a command; returns its answer and what came before it.
    fn say(engine: &mut Engine, command: Command) -> (Answer, Vec<Output>) {
        let mut before = Vec::new();
        for output in engine.handle(engine.now, Input::Command { ticket: Ticket(1), command }) {
            if let Output::Answer { answer, .. } = output {
                return (answer, before);
            }
            before.push(output);
        }
        panic!("no answer: {before:?}")
    }

    fn debug(engine: &mut Engine, text: &str) -> Answer {
        say(engine, Command::Debug(words(text))).0
    }

    #[test]
    fn the_table_is_stocks() {
        let Answer::Entry(fields) = debug(&mut engine(), "") else { panic!("not a map") };
        let shown: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(
            shown.join(", "),
            "INFO-PERIOD 10000, PING-PERIOD 1000, ASK-PERIOD 1000, PUBLISH-PERIOD 2000, DEFAULT-DOWN-AFTER 30000, \
             DEFAULT-FAILOVER-TIMEOUT 180000, TILT-TRIGGER 2000, TILT-PERIOD 30000, SLAVE-RECONF-TIMEOUT 10000, \
             MIN-LINK-RECONNECT-PERIOD 15000, ELECTION-TIMEOUT 10000, SCRIPT-MAX-RUNTIME 60000, \
             SCRIPT-RETRY-DELAY 30000"
        );
    }

    #[test]
    fn pairs_are_applied_from_the_left_until_one_is_wrong() {
        let unknown =
            |name: &str| format!("ERR Unknown option or number of arguments for SENTINEL DEBUG '{name}'");
        let invalid =
            |value: &str, name: &str| format!("ERR Invalid argument '{value}' for SENTINEL DEBUG '{name}'");
        for (text, expected, info_period) in [
            ("info-period 5 ping-period", unknown("ping-period"), 5),
            ("Info-Period 6 foo 1", unknown("foo"), 6),
            ("info-period 7 info-period 0", invalid("0", "info-period"), 7),
            ("info-period 08", invalid("08", "info-period"), 10_000),
            ("info-period -1", invalid("-1", "info-period"), 10_000),
            ("info-period 9223372036854775807", invalid("9223372036854775807", "info-period"), 10_000),
        ] {
            let mut engine = engine();
            assert_eq!(debug(&mut engine, text), Answer::Error(expected), "{text}");
            assert_eq!(engine.tuning.info_period, Span::ms(info_period), "{text}");
        }
        let mut engine = engine();
        assert_eq!(debug(&mut engine, "default-down-after 1234 tilt-period 1"), Answer::Ok);
        let monitor = Command::Monitor { name: "m".into(), host: "10.0.0.1".into(), port: 1, quorum: 1 };
        let _ = engine.handle(Time(0), Input::Command { ticket: Ticket(2), command: monitor });
        assert_eq!(engine.snapshot().state.masters[0].settings.down_after.0, 1_234);
    }

    #[test]
    fn flags_are_cleared_first_and_shown_before_the_answer() {
        let mut engine = engine();
        let unknown = Answer::Error("ERR Unknown failure simulation specified".to_owned());
        let help = Answer::Words(vec![AFTER_ELECTION.to_owned(), AFTER_PROMOTION.to_owned()]);
        for (text, expected, flags, lines) in [
            ("crash-after-election", Answer::Ok, 1, 1),
            ("CRASH-AFTER-PROMOTION", Answer::Ok, 2, 1),
            ("crash-after-promotion crash-after-election foo", unknown, 3, 2),
            ("help", help, 0, 0),
        ] {
            let (answer, before) = say(&mut engine, Command::SimulateFailure(words(text)));
            assert_eq!(answer, expected, "{text}");
            assert!(
                before.contains(&Output::Figures(Figures { simulate_failure: flags, ..Figures::default() })),
                "{before:?}"
            );
            assert_eq!(before.iter().filter(|output| matches!(output, Output::Note(_))).count(), lines);
        }
    }

    #[test]
    fn info_is_kept_with_its_age() {
        let mut engine = engine();
        let monitor = Command::Monitor { name: "m".into(), host: "10.0.0.1".into(), port: 1, quorum: 1 };
        let outputs = engine.handle(Time(0), Input::Command { ticket: Ticket(2), command: monitor });
        let mut connects = outputs
            .filter_map(|output| if let Output::Connect { link, .. } = output { Some(link) } else { None });
        let link = connects.next().unwrap();
        drop(connects);
        let ask = |engine: &mut Engine| {
            let names = ["x", "m", "m"].map(MasterName::from).to_vec();
            say(engine, Command::InfoCache(names)).0
        };
        let cached = |nodes| Answer::InfoCache(vec![(MasterName::from("m"), nodes)]);
        assert_eq!(ask(&mut engine), cached(vec![CachedInfo { age_ms: 0, text: None }]));

        let local = std::net::Ipv4Addr::LOCALHOST.into();
        let up: Vec<Output> = engine.handle(Time(1_000), Input::LinkUp { link, local }).collect();
        let text = "role:master\r\nslave0:ip=10.0.0.2,port=1,state=online,offset=0,lag=0\r\n";
        for output in up {
            let Output::Send { request, .. } = output else { continue };
            let is_info = request == Request::Info;
            let reply = if is_info { Reply::Bulk(text.as_bytes()) } else { Reply::Status("OK") };
            let _ = engine.handle(Time(1_000), Input::Reply { link, reply });
        }
        let _ = engine.handle(Time(8_000), Input::Tick);
        let master = CachedInfo { age_ms: 7, text: Some(text.into()) };
        assert_eq!(ask(&mut engine), cached(vec![master, CachedInfo { age_ms: 0, text: None }]));
    }
}
