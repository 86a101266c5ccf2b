//! Requests to data nodes and to other sentinels, written as arrays of bulk strings.

use bytes::BytesMut;

use super::value::{put_bulk, put_length};
use crate::engine::Request;
use crate::engine::settings::Renames;

/// The channel of hellos.
pub const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// Appends `request` to `out`. Its command is looked up in `renames`, ignoring case.
///
/// Source: spec 04, sections 3, 4 and 7; spec 05, section 7.
pub fn encode(request: &Request, renames: Option<&Renames>, out: &mut BytesMut) {
    match request {
        Request::Auth { user: Some(user), pass } => write(&["AUTH", user, pass], renames, out),
        Request::Auth { user: None, pass } => write(&["AUTH", pass], renames, out),
        Request::SetName(name) => write(&["CLIENT", "SETNAME", name], renames, out),
        Request::Ping => write(&["PING"], renames, out),
        Request::Info => write(&["INFO"], renames, out),
        Request::Subscribe => write(&["SUBSCRIBE", HELLO_CHANNEL], renames, out),
        Request::Publish(payload) => write(&["PUBLISH", HELLO_CHANNEL, payload], renames, out),
        Request::AskDown { addr, epoch, candidate } => {
            let (port, epoch) = (addr.port.to_string(), epoch.to_string());
            let candidate = candidate.as_deref().unwrap_or("*");
            let words = ["SENTINEL", "is-master-down-by-addr", &*addr.host, &port, &epoch, candidate];
            write(&words, renames, out);
        }
        Request::AskMaster(name) => write(&["SENTINEL", "MASTER", name], renames, out),
        Request::Vigia(hints) => {
            let words: Vec<&str> =
                ["SENTINEL", "VIGIA"].into_iter().chain(hints.iter().map(|hint| &**hint)).collect();
            write(&words, renames, out);
        }
        Request::Multi => write(&["MULTI"], renames, out),
        Request::SlaveOf(addr) => write(&["SLAVEOF", &addr.host, &addr.port.to_string()], renames, out),
        Request::SlaveOfNoOne => write(&["SLAVEOF", "NO", "ONE"], renames, out),
        Request::ConfigRewrite => write(&["CONFIG", "REWRITE"], renames, out),
        Request::KillNormal => write(&["CLIENT", "KILL", "TYPE", "normal"], renames, out),
        Request::KillPubsub => write(&["CLIENT", "KILL", "TYPE", "pubsub"], renames, out),
        Request::Exec => write(&["EXEC"], renames, out),
        Request::ScriptKill => write(&["SCRIPT", "KILL"], renames, out),
    }
}

/// How many replies `request` gets: always one (a subscription to one channel has one too).
pub fn replies(request: &Request) -> usize {
    let _ = request;
    1
}

fn write(words: &[&str], renames: Option<&Renames>, out: &mut BytesMut) {
    put_length(out, b'*', words.len());
    for (index, word) in words.iter().enumerate() {
        match renamed(word, renames).filter(|_| index == 0) {
            Some(name) => put_bulk(out, name.as_bytes()),
            None => put_bulk(out, word.as_bytes()),
        }
    }
}

fn renamed<'r>(word: &str, renames: Option<&'r Renames>) -> Option<&'r str> {
    let renames = renames.filter(|renames| !renames.is_empty())?;
    renames.get(word.to_ascii_lowercase().as_str()).map(|name| &**name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Addr, Epoch, MasterName, RunId};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn words(request: &Request, renames: Option<&Renames>) -> String {
        let mut out = BytesMut::new();
        encode(request, renames, &mut out);
        let mut parser = crate::wire::RequestParser::new(crate::wire::Limits::default());
        let argv = parser.next(&mut out, true).unwrap().unwrap();
        assert!(out.is_empty(), "one request is one command");
        let words: Vec<_> = argv.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn requests_have_stocks_words() {
        let addr = Addr::new("10.0.0.1", 6379);
        for (request, expected) in [
            (Request::Auth { user: None, pass: "p".into() }, "AUTH p"),
            (Request::Auth { user: Some("u".into()), pass: "p".into() }, "AUTH u p"),
            (Request::SetName("sentinel-01234567-cmd".into()), "CLIENT SETNAME sentinel-01234567-cmd"),
            (Request::Ping, "PING"),
            (Request::Info, "INFO"),
            (Request::Subscribe, "SUBSCRIBE __sentinel__:hello"),
            (Request::Publish("a,b".into()), "PUBLISH __sentinel__:hello a,b"),
            (
                Request::AskDown { addr: addr.clone(), epoch: Epoch(7), candidate: None },
                "SENTINEL is-master-down-by-addr 10.0.0.1 6379 7 *",
            ),
            (
                Request::AskDown { addr: addr.clone(), epoch: Epoch(7), candidate: Some(RunId::from("abc")) },
                "SENTINEL is-master-down-by-addr 10.0.0.1 6379 7 abc",
            ),
            (Request::AskMaster(MasterName::from("m")), "SENTINEL MASTER m"),
            (Request::Vigia(vec!["1".into(), "x".into()]), "SENTINEL VIGIA 1 x"),
            (Request::Multi, "MULTI"),
            (Request::SlaveOf(addr), "SLAVEOF 10.0.0.1 6379"),
            (Request::SlaveOfNoOne, "SLAVEOF NO ONE"),
            (Request::ConfigRewrite, "CONFIG REWRITE"),
            (Request::KillNormal, "CLIENT KILL TYPE normal"),
            (Request::KillPubsub, "CLIENT KILL TYPE pubsub"),
            (Request::Exec, "EXEC"),
            (Request::ScriptKill, "SCRIPT KILL"),
        ] {
            assert_eq!(words(&request, None), expected);
            assert_eq!(replies(&request), 1);
        }
    }

    #[test]
    fn only_the_command_is_renamed() {
        let table: BTreeMap<Box<str>, Arc<str>> =
            [("ping".into(), "PONG-PLEASE".into()), ("kill".into(), "x".into())].into();
        let renames: Renames = Arc::new(table);
        assert_eq!(words(&Request::Ping, Some(&renames)), "PONG-PLEASE");
        assert_eq!(words(&Request::ScriptKill, Some(&renames)), "SCRIPT KILL");
    }
}
