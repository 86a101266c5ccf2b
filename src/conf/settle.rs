//! Between the table of directives and the typed settings: storing a line, and writing it again.

use super::directives::{self, Directive, Kind};
use super::generic::{BufferLimit, Generic, Supervised};
use super::numbers;
use super::words::{quote, quote_if_needed};
use crate::engine::settings::LogLevel;

/// Classes of `client-output-buffer-limit`, in the order of writing.
const CLASSES: [&str; 3] = ["normal", "replica", "pubsub"];
/// Limit of the class that a sentinel has no clients of.
const REPLICA_LIMIT: BufferLimit = BufferLimit { hard: 256 << 20, soft: 64 << 20, soft_seconds: 60 };
/// Always written, whatever the value. The percentiles are an oddity of stock. With the other two
/// stock compares with the defaults of a data server, and so writes the defaults of a sentinel.
///
/// Differs: `port 6379` and `protected-mode yes` are written too, or they would be lost when the
/// file is.
const ALWAYS_WRITTEN: [&str; 3] = ["latency-tracking-info-percentiles", "port", "protected-mode"];

/// A line for the rewritten file.
#[derive(Debug)]
pub(super) struct Written {
    /// Its text.
    pub(super) text: String,
    /// Append it even if the file has no such line.
    pub(super) force: bool,
}

impl Generic {
    /// Stores the words of a directive that `values::normalise` returned.
    pub(super) fn set(&mut self, directive: &Directive, words: Vec<String>) {
        let first = || words.first().cloned().unwrap_or_default();
        match directive.name {
            "port" => self.port = number(&words),
            "bind" => self.bind = words.into_iter().filter(|address| !address.is_empty()).collect(),
            "bind-source-addr" => self.bind_source_addr = set_or_none(first()),
            "protected-mode" => self.protected_mode = first() == "yes",
            "maxclients" => self.maxclients = number(&words),
            "timeout" => self.timeout = number(&words),
            "tcp-keepalive" => self.tcp_keepalive = number(&words),
            "tcp-backlog" => self.tcp_backlog = number(&words),
            "loglevel" => self.loglevel = LogLevel::parse(&first()).unwrap_or(LogLevel::Notice),
            "logfile" => self.logfile = first(),
            "syslog-enabled" => self.syslog_enabled = first() == "yes",
            "syslog-ident" => self.syslog_ident = first(),
            "syslog-facility" => self.syslog_facility = first(),
            "pidfile" => self.pidfile = set_or_none(first()),
            "daemonize" => self.daemonize = first() == "yes",
            "supervised" => self.supervised = Supervised::parse(&first()).unwrap_or(Supervised::No),
            "dir" => self.dir = set_or_none(first()),
            "requirepass" => self.requirepass = set_or_none(first()),
            "unixsocket" => self.unixsocket = set_or_none(first()),
            "unixsocketperm" => self.unixsocketperm = u32::from_str_radix(&first(), 8).unwrap_or_default(),
            "proto-max-bulk-len" => self.proto_max_bulk_len = bytes(&first()),
            "client-query-buffer-limit" => self.client_query_buffer_limit = bytes(&first()),
            "always-show-logo" => self.always_show_logo = first() == "yes",
            "client-output-buffer-limit" => self.set_limits(&words),
            _ => self.set_raw(directive, words),
        }
    }

    fn set_raw(&mut self, directive: &Directive, words: Vec<String>) {
        let replicates_nothing = directive.kind == Kind::ReplicaOf
            && words.first().is_some_and(|word| word.eq_ignore_ascii_case("no"));
        let is_default = words.join(" ") == directive.default.unwrap_or_default();
        let is_unset = is_default || replicates_nothing || directive.kind == Kind::Save;
        if is_unset {
            self.raw.remove(directive.name);
        } else {
            self.raw.insert(directive.name.to_owned(), vec![words]);
        }
    }

    fn set_limits(&mut self, words: &[String]) {
        for quad in words.chunks_exact(4) {
            let [class, hard, soft, seconds] = quad else { continue };
            let limit = BufferLimit {
                hard: bytes(hard),
                soft: bytes(soft),
                soft_seconds: seconds.parse().unwrap_or_default(),
            };
            match class.as_str() {
                "normal" => self.normal_limit = limit,
                "pubsub" => self.pubsub_limit = limit,
                _ if limit == REPLICA_LIMIT => drop(self.raw.remove("client-output-buffer-limit")),
                _ => drop(self.raw.insert("client-output-buffer-limit".into(), vec![quad.to_vec()])),
            }
        }
    }

    /// The lines that stand for a directive now; none means: remove what the file has.
    pub(super) fn written(&self, directive: &Directive) -> Vec<Written> {
        if directive.kind == Kind::BufferLimit {
            return self.written_limits();
        }
        let is_default = self.words(directive) == Self::default().words(directive);
        let force = !is_default || ALWAYS_WRITTEN.contains(&directive.name);
        let Some(words) = self.words(directive) else { return Vec::new() };
        if directive.kind == Kind::Bind && is_default {
            return Vec::new();
        }
        vec![Written { text: line(directive, self.name(directive), &words), force }]
    }

    /// The name under which a directive is written. Source: spec 08, section 4.
    fn name(&self, directive: &Directive) -> &'static str {
        match directive.name {
            "masterauth" if self.product.is_valkey() => "primaryauth",
            "masteruser" if self.product.is_valkey() => "primaryuser",
            name => name,
        }
    }

    fn written_limits(&self) -> Vec<Written> {
        let replica = self.raw.get("client-output-buffer-limit").and_then(|lines| lines.first());
        let value = |limit: &BufferLimit| {
            let bytes = [limit.hard, limit.soft].map(numbers::render_memory);
            format!("{} {} {}", bytes[0], bytes[1], limit.soft_seconds)
        };
        let default = Self::default();
        let values = [
            (value(&self.normal_limit), value(&default.normal_limit)),
            (
                replica.map_or_else(|| value(&REPLICA_LIMIT), |words| words[1..].join(" ")),
                value(&REPLICA_LIMIT),
            ),
            (value(&self.pubsub_limit), value(&default.pubsub_limit)),
        ];
        let written = CLASSES.iter().zip(values).map(|(class, (value, default))| Written {
            force: value != default,
            text: format!("client-output-buffer-limit {class} {value}"),
        });
        written.collect()
    }

    /// The words in force; `None` if the directive is not set.
    fn words(&self, directive: &Directive) -> Option<Vec<String>> {
        let yes_no = |on: bool| Some(vec![String::from(if on { "yes" } else { "no" })]);
        let text = |text: &str| Some(vec![text.to_owned()]);
        let optional = |text: &Option<String>| text.clone().map(|text| vec![text]);
        match directive.name {
            "port" => text(&self.port.to_string()),
            "bind" if self.bind.is_empty() => text(""),
            "bind" => Some(self.bind.clone()),
            "bind-source-addr" => optional(&self.bind_source_addr),
            "protected-mode" => yes_no(self.protected_mode),
            "maxclients" => text(&self.maxclients.to_string()),
            "timeout" => text(&self.timeout.to_string()),
            "tcp-keepalive" => text(&self.tcp_keepalive.to_string()),
            "tcp-backlog" => text(&self.tcp_backlog.to_string()),
            "loglevel" => text(self.loglevel.as_str()),
            "logfile" => text(&self.logfile),
            "syslog-enabled" => yes_no(self.syslog_enabled),
            "syslog-ident" => text(&self.syslog_ident),
            "syslog-facility" => text(&self.syslog_facility),
            "pidfile" => optional(&self.pidfile),
            "daemonize" => yes_no(self.daemonize),
            "supervised" => text(self.supervised.as_str()),
            "dir" => optional(&self.dir),
            "requirepass" => optional(&self.requirepass),
            "unixsocket" => optional(&self.unixsocket),
            "unixsocketperm" => text(&format!("{:o}", self.unixsocketperm)),
            "proto-max-bulk-len" => text(&numbers::render_memory(self.proto_max_bulk_len)),
            "client-query-buffer-limit" => text(&numbers::render_memory(self.client_query_buffer_limit)),
            "always-show-logo" => yes_no(self.always_show_logo),
            name => {
                self.raw.get(name).and_then(|lines| lines.first().cloned()).or_else(|| default(directive))
            }
        }
    }

    /// Lines of module settings (a dot in the name), which no table knows.
    pub(super) fn written_of_modules(&self) -> impl Iterator<Item = (&str, String)> {
        let modules = self.raw.iter().filter(|(name, _)| directives::find(name).is_none());
        modules.flat_map(|(name, lines)| lines.iter().map(move |words| (name.as_str(), join(name, words))))
    }
}

fn default(directive: &Directive) -> Option<Vec<String>> {
    let words = directive.default?;
    if matches!(directive.kind, Kind::Percentiles | Kind::Flags(_) | Kind::OomValues) {
        return Some(words.split(' ').map(str::to_owned).collect());
    }
    Some(vec![words.to_owned()])
}

/// Free text is always quoted, as stock writes it; the rest when it must be.
fn line(directive: &Directive, name: &str, words: &[String]) -> String {
    let is_free_text = matches!(
        directive.kind,
        Kind::Text
            | Kind::TitleTemplate
            | Kind::Dir
            | Kind::FileName(_)
            | Kind::Hostname
            | Kind::KeyspaceEvents
    );
    if !is_free_text {
        return join(name, words);
    }
    words.iter().fold(name.to_owned(), |line, word| line + " " + &quote(word))
}

fn join(name: &str, words: &[String]) -> String {
    words.iter().fold(quote_if_needed(name), |line, word| line + " " + &quote_if_needed(word))
}

fn set_or_none(word: String) -> Option<String> {
    Some(word).filter(|word| !word.is_empty())
}

fn bytes(word: &str) -> u64 {
    numbers::memory(word).unwrap_or_default()
}

fn number<T: std::str::FromStr + Default>(words: &[String]) -> T {
    words.first().and_then(|word| word.parse().ok()).unwrap_or_default()
}
