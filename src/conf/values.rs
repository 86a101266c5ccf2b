//! Checks the words of a generic directive and brings them to their normal form.
//!
//! Source: spec 01, section 5.1; texts as redis-server 7.0.15 prints them.

use super::directives::{Directive, Kind};
use super::numbers;
use super::words;

/// Most addresses that one `bind` takes.
const MAX_BIND: usize = 16;

/// The words after the name as they will be stored and written.
///
/// # Errors
/// Stock's reason.
pub(super) fn normalise(directive: &Directive, words: &[String]) -> Result<Vec<String>, String> {
    let resplit = split_single(directive.kind, words);
    let words = resplit.as_deref().unwrap_or(words);
    match directive.kind {
        Kind::Bool => Ok(vec![yes_no(one(words)?)?]),
        Kind::Int(min, max) => Ok(vec![int(one(words)?, min, max)?]),
        Kind::Octal => Ok(vec![octal(one(words)?)?]),
        Kind::Memory(min) => Ok(vec![memory(one(words)?, min)?]),
        Kind::MemoryOrPercent => Ok(vec![memory_or_percent(one(words)?)?]),
        Kind::Enum(all) => Ok(vec![main_word(directive.name, one_of(one(words)?, all)?)]),
        Kind::Flags(all) => flags(words, all),
        Kind::Text | Kind::Dir => Ok(vec![one(words)?.to_owned()]),
        Kind::FileName(what) => Ok(vec![file_name(directive.name, what, one(words)?)?]),
        Kind::Hostname => Ok(vec![hostname(one(words)?)?]),
        Kind::Bind => bind(words),
        Kind::BufferLimit => buffer_limits(words),
        Kind::Percentiles => percentiles(words),
        Kind::KeyspaceEvents => Ok(vec![keyspace_events(one(words)?)?]),
        Kind::OomValues => oom_values(words),
        Kind::Save => save(words),
        Kind::ReplicaOf => replica_of(words),
        Kind::TitleTemplate => Ok(vec![title_template(one(words)?)?]),
    }
}

/// A directive of several words may have them all in one argument, as in `--bind "a b"`.
fn split_single(kind: Kind, words: &[String]) -> Option<Vec<String>> {
    let takes_several = matches!(
        kind,
        Kind::Flags(_)
            | Kind::Bind
            | Kind::BufferLimit
            | Kind::Percentiles
            | Kind::OomValues
            | Kind::Save
            | Kind::ReplicaOf
    );
    let [only] = words else { return None };
    if !takes_several || !only.contains(' ') {
        return None;
    }
    let split = words::split(only.as_bytes()).ok()?;
    split.into_iter().map(|word| String::from_utf8(word).ok()).collect()
}

fn one(words: &[String]) -> Result<&str, String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".into()),
    }
}

fn yes_no(word: &str) -> Result<String, String> {
    let word = word.to_ascii_lowercase();
    if word == "yes" || word == "no" { Ok(word) } else { Err("argument must be 'yes' or 'no'".into()) }
}

fn int(word: &str, min: i64, max: i64) -> Result<String, String> {
    let value = numbers::strict(word).ok_or("argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&value) { Ok(value.to_string()) } else { Err(out_of_range(min, max)) }
}

fn out_of_range(min: i64, max: i64) -> String {
    format!("argument must be between {min} and {max} inclusive")
}

fn octal(word: &str) -> Result<String, String> {
    let parsed = if word.is_empty() { Ok(0) } else { u32::from_str_radix(word, 8) };
    match parsed {
        Ok(mode) if mode <= 0o777 => Ok(format!("{mode:o}")),
        Ok(_) => Err("argument must be between 0 and 777 inclusive".into()),
        Err(_) => Err("argument couldn't be parsed as an octal number".into()),
    }
}

fn memory(word: &str, min: u64) -> Result<String, String> {
    let bytes = numbers::memory(word).ok_or("argument must be a memory value")?;
    if bytes < min {
        return Err(out_of_range(i64::try_from(min).unwrap_or(i64::MAX), i64::MAX));
    }
    Ok(numbers::render_memory(bytes))
}

fn memory_or_percent(word: &str) -> Result<String, String> {
    let percent = word.strip_suffix('%').and_then(numbers::strict).filter(|percent| *percent >= 0);
    match (percent, numbers::memory(word)) {
        (Some(percent), _) if percent > 100 => Err("percentage argument must be less or equal to 100".into()),
        (Some(percent), _) => Ok(format!("{percent}%")),
        (None, Some(bytes)) => Ok(numbers::render_memory(bytes)),
        (None, None) => Err("argument must be a memory or percent value".into()),
    }
}

fn one_of(word: &str, all: &[&str]) -> Result<String, String> {
    let found = all.iter().find(|known| known.eq_ignore_ascii_case(word));
    found.map(|known| (*known).to_owned()).ok_or_else(|| not_one_of(all))
}

/// Under which of two words for the same a value is written.
fn main_word(directive: &str, word: String) -> String {
    if directive == "oom-score-adj" && word == "relative" { "yes".into() } else { word }
}

fn not_one_of(all: &[&str]) -> String {
    format!("argument(s) must be one of the following: {}", all.join(", "))
}

fn flags(words: &[String], all: &[&str]) -> Result<Vec<String>, String> {
    if words.is_empty() {
        return Err(not_one_of(all));
    }
    let flags = words.iter().map(|word| one_of(word, all)).collect::<Result<Vec<_>, _>>()?;
    let has = |flag: &str| flags.iter().any(|known| known == flag);
    if has("save") && has("nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    Ok(flags)
}

/// `{{` stands for a brace; a closing brace alone is text.
fn title_template(word: &str) -> Result<String, String> {
    const VARIABLES: [&str; 7] =
        ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];
    let bad = || "template format is invalid or contains unknown variables".to_owned();
    if word.trim().is_empty() {
        return Err(bad());
    }
    let mut rest = word;
    while let Some((_, after)) = rest.split_once('{') {
        rest = match after.strip_prefix('{') {
            Some(after) => after,
            None => {
                let (name, after) = after.split_once('}').ok_or_else(bad)?;
                VARIABLES.contains(&name).then_some(after).ok_or_else(bad)?
            }
        };
    }
    Ok(word.to_owned())
}

fn file_name(directive: &str, what: &str, word: &str) -> Result<String, String> {
    if word.is_empty() && directive != "dbfilename" {
        return Err(format!("{directive} can't be empty"));
    }
    if word.contains('/') {
        return Err(format!("{directive} can't be a path, just a {what}"));
    }
    Ok(word.to_owned())
}

fn hostname(word: &str) -> Result<String, String> {
    if word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
        Ok(word.to_owned())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into())
    }
}

fn bind(words: &[String]) -> Result<Vec<String>, String> {
    if words.len() > MAX_BIND {
        return Err("Too many bind addresses specified.".into());
    }
    let listens_nowhere = words.is_empty() || words == [""];
    Ok(if listens_nowhere { vec![String::new()] } else { words.to_vec() })
}

/// One or more `<class> <hard> <soft> <seconds>`; the classes come back under their main names.
fn buffer_limits(words: &[String]) -> Result<Vec<String>, String> {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut out = Vec::with_capacity(words.len());
    for quad in words.chunks_exact(4) {
        let [class, hard, soft, seconds] = quad else { continue };
        let class = match class.to_ascii_lowercase().as_str() {
            "normal" => "normal",
            "slave" | "replica" => "replica",
            "pubsub" => "pubsub",
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let values = (numbers::memory(hard), numbers::memory(soft), numbers::strict(seconds));
        let (Some(hard), Some(soft), Some(seconds @ 0..)) = values else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
        };
        out.extend([class.to_owned(), numbers::render_memory(hard), numbers::render_memory(soft)]);
        out.push(seconds.to_string());
    }
    Ok(out)
}

fn percentiles(words: &[String]) -> Result<Vec<String>, String> {
    if words == [""] {
        return Ok(words.to_vec());
    }
    for word in words {
        let value: f64 = word.parse().map_err(|_| "Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&value) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
        }
    }
    Ok(if words.is_empty() { vec![String::new()] } else { words.to_vec() })
}

/// In the order in which stock writes the classes; all of them together are `A`.
fn keyspace_events(word: &str) -> Result<String, String> {
    const ALL: &str = "g$lshzxetd";
    if !word.chars().all(|class| "Ag$lshzxeKEtmdn".contains(class)) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let named = |class: char| word.contains(class);
    let (classes, others) =
        if named('A') || ALL.chars().all(named) { ("A", "KEm") } else { ("", "g$lshzxetdnKEm") };
    Ok(classes.chars().chain(others.chars().filter(|class| named(*class))).collect())
}

fn oom_values(words: &[String]) -> Result<Vec<String>, String> {
    if words.len() != 3 {
        return Err("wrong number of arguments".into());
    }
    let is_valid = |word: &String| numbers::strict(word).is_some_and(|v| (-2000..=2000).contains(&v));
    if words.iter().all(is_valid) {
        Ok(words.to_vec())
    } else {
        Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into())
    }
}

fn save(words: &[String]) -> Result<Vec<String>, String> {
    if words.is_empty() || words == [""] {
        return Ok(Vec::new());
    }
    let is_pair = |pair: &[String]| match pair {
        [seconds, changes] => {
            numbers::strict(seconds).is_some_and(|seconds| seconds >= 1)
                && numbers::strict(changes).is_some_and(|changes| changes >= 0)
        }
        _ => false,
    };
    if words.chunks(2).all(is_pair) { Ok(words.to_vec()) } else { Err("Invalid save parameters".into()) }
}

fn replica_of(words: &[String]) -> Result<Vec<String>, String> {
    let [host, port] = words else { return Err("wrong number of arguments".into()) };
    let is_none = host.eq_ignore_ascii_case("no") && port.eq_ignore_ascii_case("one");
    let port_is_valid = numbers::strict(port).is_some_and(|port| (0..=65_535).contains(&port));
    if is_none || port_is_valid { Ok(words.to_vec()) } else { Err("Invalid master port".into()) }
}

#[cfg(test)]
mod tests {
    use super::super::directives::find;
    use super::super::words::split;
    use super::*;

    fn check(line: &str) -> Result<String, String> {
        let words: Vec<String> =
            split(line.as_bytes()).unwrap().into_iter().map(|w| String::from_utf8(w).unwrap()).collect();
        normalise(find(&words[0]).unwrap(), &words[1..]).map(|words| words.join(" "))
    }

    /// Seen on redis-sentinel 7.0.15.
    #[test]
    fn reasons_are_stocks() {
        let integer = "argument couldn't be parsed into an integer";
        let table = [
            ("port 1 2", "wrong number of arguments"),
            ("port", "wrong number of arguments"),
            ("port 01", integer),
            ("port 65536", "argument must be between 0 and 65535 inclusive"),
            ("tcp-keepalive 0.5", integer),
            ("maxclients 0", "argument must be between 1 and 4294967295 inclusive"),
            ("slowlog-log-slower-than -2", "argument must be between -1 and 9223372036854775807 inclusive"),
            ("hash-max-ziplist-entries x", integer),
            ("maxmemory 1kk", "argument must be a memory value"),
            ("proto-max-bulk-len 1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
            ("maxmemory-clients 101%", "percentage argument must be less or equal to 100"),
            ("maxmemory-clients -5%", "argument must be a memory or percent value"),
            ("daemonize maybe", "argument must be 'yes' or 'no'"),
            ("enable-debug-command x", "argument(s) must be one of the following: no, yes, local"),
            (
                "shutdown-on-sigint save nosave",
                "shutdown options SAVE and NOSAVE can't be used simultaneously",
            ),
            ("unixsocketperm 1777", "argument must be between 0 and 777 inclusive"),
            ("unixsocketperm 08", "argument couldn't be parsed as an octal number"),
            (
                "client-output-buffer-limit master 1 2 3",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit normal 1 2 -1",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit normal 1 2",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                "oom-score-adj-values 1 2 x",
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
            ),
            ("save 0 1", "Invalid save parameters"),
            ("save 1 2 3", "Invalid save parameters"),
            ("replicaof \"a b\"", "Invalid master port"),
            (
                "client-output-buffer-limit \"normal 1 2\"",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            ("replicaof 1.2.3.4 70000", "Invalid master port"),
            ("appendfilename a/b", "appendfilename can't be a path, just a filename"),
            ("appenddirname \"\"", "appenddirname can't be empty"),
            (
                "cluster-announce-hostname a_b",
                "Hostnames may only contain alphanumeric characters, hyphens or dots",
            ),
            (
                "latency-tracking-info-percentiles 101",
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
            ),
            ("notify-keyspace-events q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
            ("proc-title-template {bad}", "template format is invalid or contains unknown variables"),
            ("proc-title-template {title", "template format is invalid or contains unknown variables"),
            ("proc-title-template \" \"", "template format is invalid or contains unknown variables"),
            ("bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "Too many bind addresses specified."),
        ];
        for (line, reason) in table {
            assert_eq!(check(line), Err(reason.to_owned()), "{line}");
        }
    }

    #[test]
    fn values_come_back_as_they_are_written() {
        let table = [
            ("appendonly YES", "yes"),
            ("loglevel NOTICE", "notice"),
            ("maxmemory 104857600", "100mb"),
            ("maxmemory-clients 5%", "5%"),
            ("client-output-buffer-limit NORMAL 1 2 3 slave 1mb 5 6", "normal 1 2 3 replica 1mb 5 6"),
            ("save \"\"", ""),
            ("save 60 1", "60 1"),
            ("save \"60 1\"", "60 1"),
            ("bind \"127.0.0.1 ::1\"", "127.0.0.1 ::1"),
            ("shutdown-on-sigint \"save now\"", "save now"),
            ("replicaof no one", "no one"),
            ("slave-priority 50", "50"),
            ("unixsocketperm 700", "700"),
            ("oom-score-adj RELATIVE", "yes"),
            ("notify-keyspace-events ngmtdxzhsl$KEe", "AKEm"),
            ("notify-keyspace-events mKg", "gKm"),
            ("notify-keyspace-events tmnd", "tdnm"),
            ("notify-keyspace-events An", "A"),
            ("proc-title-template \"{{x} } {port}{tls-port}\"", "{{x} } {port}{tls-port}"),
        ];
        for (line, value) in table {
            assert_eq!(check(line), Ok(value.to_owned()), "{line}");
        }
    }
}
