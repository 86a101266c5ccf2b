//! `SENTINEL CONFIG`: options of the process at run time.
//!
//! Source: spec 02, section 8; values checked against redis-sentinel 7.0.15.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::glob;
use super::ids::Ticket;
use super::instance::PeerId;
use super::output::{Answer, Output};
use super::persist::Held;
use super::settings::{Globals, LogLevel};
use super::time::Time;
use super::view::Entry;

/// One parameter.
struct Param {
    name: &'static str,
    show: fn(&Globals) -> Arc<str>,
    /// Sets a value; `None` when it is not acceptable.
    set: fn(&mut Globals, &Arc<str>) -> Option<()>,
}

/// Every parameter, in the order of `CONFIG GET`.
const PARAMS: [Param; 7] = [
    Param {
        name: "resolve-hostnames",
        show: |globals| yes_no(globals.resolve_hostnames),
        set: |globals, word| parse_yes_no(word).map(|on| globals.resolve_hostnames = on),
    },
    Param {
        name: "announce-hostnames",
        show: |globals| yes_no(globals.announce_hostnames),
        set: |globals, word| parse_yes_no(word).map(|on| globals.announce_hostnames = on),
    },
    Param {
        name: "announce-ip",
        show: |globals| text(&globals.announce_ip),
        set: |globals, word| parse_text(word).map(|ip| globals.announce_ip = ip),
    },
    Param {
        name: "announce-port",
        show: |globals| globals.announce_port.unwrap_or(0).to_string().into(),
        set: |globals, word| parse_port(word).map(|port| globals.announce_port = port),
    },
    Param {
        name: "sentinel-user",
        show: |globals| text(&globals.sentinel_user),
        set: |globals, word| parse_text(word).map(|user| globals.sentinel_user = user),
    },
    Param {
        name: "sentinel-pass",
        show: |globals| text(&globals.sentinel_pass),
        set: |globals, word| parse_text(word).map(|pass| globals.sentinel_pass = pass),
    },
    Param {
        name: "loglevel",
        show: |globals| globals.log_level.as_str().into(),
        set: |globals, word| LogLevel::parse(word).map(|level| globals.log_level = level),
    },
];

impl Engine {
    /// The parameters that match: in their order for each pattern, each once.
    pub(super) fn globals_matching(&self, patterns: &[Arc<str>]) -> Entry {
        let mut shown = BTreeSet::new();
        let matching = patterns.iter().flat_map(|pattern| {
            PARAMS.iter().filter(move |param| glob::matches(pattern.as_bytes(), param.name.as_bytes(), true))
        });
        let fresh = matching.filter(|param| shown.insert(param.name));
        fresh.map(|param| (param.name, (param.show)(&self.globals))).collect()
    }

    /// Sets all parameters or none. New credentials are used on fresh links, after the answer.
    pub(super) fn set_globals(&mut self, ticket: Ticket, words: &[Arc<str>]) {
        let wanted = match changed_globals(&self.globals, words) {
            Ok(wanted) => wanted,
            Err(text) => return self.answer(ticket, Answer::Error(format!("ERR {text}"))),
        };
        let old = std::mem::replace(&mut self.globals, wanted);
        if old.log_level != self.globals.log_level {
            self.out.push(Output::LogLevel(self.globals.log_level));
        }
        let names = |globals: &Globals| (globals.resolve_hostnames, globals.announce_hostnames);
        if names(&old) != names(&self.globals) {
            self.name_options_changed();
        }
        let seq = self.changed(None);
        self.answer_when_saved(ticket, seq);
        let credentials = words.chunks(2).any(|pair| {
            ["sentinel-user", "sentinel-pass"].iter().any(|name| pair[0].eq_ignore_ascii_case(name))
        });
        if credentials {
            self.hold(seq, vec![Held::NewCredentials], Vec::new());
        }
    }

    /// Makes the links to other sentinels anew.
    pub(super) fn reconnect_peers(&mut self, now: Time) {
        for peer in self.peers.keys().copied().collect::<Vec<PeerId>>() {
            self.close_peer_link(peer);
            self.connect_peer(now, peer);
        }
    }
}

/// The settings with these pairs applied. Checks are made pair by pair: name, duplicate, missing value,
/// value.
fn changed_globals(globals: &Globals, words: &[Arc<str>]) -> Result<Globals, String> {
    let mut wanted = globals.clone();
    let mut seen = BTreeSet::new();
    for pair in words.chunks(2) {
        let name = clean(&pair[0]);
        let Some(param) = PARAMS.iter().find(|param| param.name.eq_ignore_ascii_case(&pair[0])) else {
            return Err(format!("Invalid argument '{name}' to SENTINEL CONFIG SET"));
        };
        if !seen.insert(param.name) {
            return Err(format!("Duplicate argument '{name}' to SENTINEL CONFIG SET"));
        }
        let Some(value) = pair.get(1) else {
            return Err(format!("Missing argument '{name}' value"));
        };
        let invalid = || format!("Invalid value '{}' to SENTINEL CONFIG SET '{name}'", clean(value));
        if value.chars().any(char::is_control) {
            return Err(format!("{}: control characters are not allowed", invalid()));
        }
        (param.set)(&mut wanted, value).ok_or_else(invalid)?;
    }
    Ok(wanted)
}

/// A word inside an error must not end its line.
fn clean(word: &str) -> String {
    word.replace(char::is_control, " ")
}

fn yes_no(on: bool) -> Arc<str> {
    if on { "yes" } else { "no" }.into()
}

fn parse_yes_no(word: &str) -> Option<bool> {
    [("yes", true), ("no", false)]
        .into_iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, on)| on)
}

fn text(value: &Option<Arc<str>>) -> Arc<str> {
    value.clone().unwrap_or_default()
}

/// Empty unsets. Differs: control characters are refused, as in `SENTINEL SET`.
fn parse_text(word: &Arc<str>) -> Option<Option<Arc<str>>> {
    (!word.chars().any(char::is_control)).then(|| Some(word.clone()).filter(|word| !word.is_empty()))
}

/// Strict decimal; 0 unsets.
fn parse_port(word: &str) -> Option<Option<u16>> {
    let port: u16 = word.parse().ok()?;
    (port.to_string() == word).then_some(Some(port).filter(|port| *port != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        Addr, Command, Epoch, Input, MasterName, MasterState, RunId, Seq, State, settings::MasterSettings,
    };

    fn words(text: &str) -> Vec<Arc<str>> {
        text.split(' ').map(|word| Arc::from(word.trim_matches('\''))).collect()
    }

    fn engine() -> Engine {
        let master = MasterState {
            name: MasterName::from("m"),
            addr: Addr::new("10.0.0.1", 6379),
            settings: MasterSettings::new(2),
            config_epoch: Epoch(0),
            leader_epoch: Epoch(0),
            leader: None,
            replicas: Vec::new(),
            sentinels: vec![(RunId::from("peer"), Addr::new("10.0.0.2", 26379))],
            voters: Vec::new(),
        };
        let globals = Globals::new(RunId::from("me"));
        Engine::new(State { globals, current_epoch: Epoch(0), masters: vec![master] }, 1, Time(0))
    }

    fn command(engine: &mut Engine, now: u64, command: Command) -> Vec<Output> {
        engine.handle(Time(now), Input::Command { ticket: Ticket(now), command }).collect()
    }

    fn get(engine: &mut Engine, now: u64, patterns: &str) -> String {
        let outputs = command(engine, now, Command::ConfigGet(words(patterns)));
        let Some(Output::Answer { answer: Answer::Entry(fields), .. }) =
            outputs.into_iter().find(|output| matches!(output, Output::Answer { .. }))
        else {
            panic!("no map")
        };
        fields.iter().map(|(name, value)| format!("{name}={value} ")).collect()
    }

    #[test]
    fn pairs_are_checked_from_the_left_and_applied_together() {
        let invalid =
            |value: &str, name: &str| format!("Invalid value '{value}' to SENTINEL CONFIG SET '{name}'");
        for (text, expected) in [
            ("foo 1", "Invalid argument 'foo' to SENTINEL CONFIG SET".to_owned()),
            ("loglevel debug LOGLEVEL debug", "Duplicate argument 'LOGLEVEL' to SENTINEL CONFIG SET".into()),
            ("loglevel debug announce-port", "Missing argument 'announce-port' value".into()),
            ("loglevel debug loglevel", "Duplicate argument 'loglevel' to SENTINEL CONFIG SET".into()),
            ("announce-port 65536 foo 1", invalid("65536", "announce-port")),
            ("Announce-Port 010", invalid("010", "Announce-Port")),
            ("announce-port -1", invalid("-1", "announce-port")),
            ("announce-port ''", invalid("", "announce-port")),
            ("resolve-hostnames 1", invalid("1", "resolve-hostnames")),
            ("announce-hostnames ''", invalid("", "announce-hostnames")),
            ("loglevel loud", invalid("loud", "loglevel")),
            (
                "announce-ip 1.2.3.4\n",
                invalid("1.2.3.4 ", "announce-ip") + ": control characters are not allowed",
            ),
        ] {
            let globals = Globals::new(RunId::from("me"));
            assert_eq!(changed_globals(&globals, &words(text)).unwrap_err(), expected, "{text}");
        }
        let mut engine = engine();
        let refused = command(&mut engine, 1, Command::ConfigSet(words("announce-ip 1.1.1.1 loglevel loud")));
        assert!(!refused.iter().any(|output| matches!(output, Output::Save(_) | Output::LogLevel(_))));
        assert_eq!(get(&mut engine, 2, "announce-ip loglevel"), "announce-ip= loglevel=notice ");
    }

    #[test]
    fn get_lists_each_match_once_in_the_order_of_the_patterns() {
        let mut engine = engine();
        let all = "resolve-hostnames=no announce-hostnames=no announce-ip= announce-port=0 sentinel-user= \
                   sentinel-pass= loglevel=notice ";
        for (patterns, expected) in [
            ("*", all),
            ("LOG* * loglevel", &format!("loglevel=notice {}", all.trim_end_matches("loglevel=notice "))),
            ("announce-i? ann*p", "announce-ip= "),
            ("nothing", ""),
        ] {
            let now = engine.now.0 + 1;
            assert_eq!(get(&mut engine, now, patterns), expected, "{patterns}");
        }
    }

    #[test]
    fn ok_comes_when_the_change_is_durable_and_links_close_after_it() {
        let mut engine = engine();
        let _ = engine.handle(Time(0), Input::Tick);
        let set = "sentinel-pass secret sentinel-user u LogLevel DEBUG announce-port 7000 announce-ip h announce-hostnames YES";
        let outputs = command(&mut engine, 1, Command::ConfigSet(words(set)));
        assert!(outputs.contains(&Output::LogLevel(LogLevel::Debug)));
        let Some(Output::Save(seq)) = outputs.last() else { panic!("not saved: {outputs:?}") };
        assert!(
            !outputs.iter().any(|o| matches!(o, Output::Answer { .. } | Output::Close { .. })),
            "{outputs:?}"
        );
        assert_eq!(engine.snapshot().state.globals.sentinel_pass.as_deref(), Some("secret"));

        let released: Vec<Output> = engine.handle(Time(2), Input::Persisted(*seq)).collect();
        assert_eq!(released[0], Output::Answer { ticket: Ticket(1), answer: Answer::Ok });
        assert!(matches!(released[1..], [Output::Close { .. }, Output::Connect { .. }]), "{released:?}");
        assert_eq!(
            get(&mut engine, 3, "*"),
            "resolve-hostnames=no announce-hostnames=yes announce-ip=h announce-port=7000 sentinel-user=u \
             sentinel-pass=secret loglevel=debug "
        );
        let outputs = command(&mut engine, 4, Command::ConfigSet(words("sentinel-pass '' announce-port 0")));
        let Some(Output::Save(seq)) = outputs.last() else { panic!("not saved: {outputs:?}") };
        let failed: Vec<Output> = engine.handle(Time(5), Input::PersistFailed(*seq)).collect();
        let text = "ERR Failed to save config file. Check server logs.".to_owned();
        assert!(
            failed.contains(&Output::Answer { ticket: Ticket(4), answer: Answer::Error(text) }),
            "{failed:?}"
        );
        assert!(matches!(failed[..], [.., Output::Close { .. }, Output::Connect { .. }]), "{failed:?}");
        assert!(
            *seq > Seq(0) && get(&mut engine, 6, "announce-port *pass") == "announce-port=0 sentinel-pass= "
        );
    }
}
