//! Control characters in whatever might be stored: refused, and the file stays good.

use crate::support::sentinel::{Program, Sentinel};

const ID: &str = "4444444444444444444444444444444444444444";

/// Commands with `?` where the character goes; the name of the master that is there is `m`.
const COMMANDS: &[&[&str]] = &[
    &["MONITOR", "n?n", "127.0.0.1", "1", "1"],
    &["MONITOR", "n", "127.0.0.1?", "1", "1"],
    &["SET", "m", "auth-pass", "a?b"],
    &["SET", "m", "auth-user", "?"],
    &["SET", "m", "rename-command", "CON?FIG", "x"],
    &["SET", "m", "rename-command", "CONFIG", "x?"],
    &["SET", "m", "notification-script", "/bin/true?"],
    &["SET", "m", "client-reconfig-script", "?/bin/true"],
    &["CONFIG", "SET", "announce-ip", "10.0.0.1?"],
    &["CONFIG", "SET", "sentinel-user", "?u"],
    &["CONFIG", "SET", "sentinel-pass", "p?p"],
];

#[test]
fn commands_with_control_characters_are_refused_and_the_file_stays_good() {
    let config = "sentinel monitor m 127.0.0.1 1 1\nsentinel deny-scripts-reconfig no\n";
    let mut sentinel = Sentinel::start(Program::Vigia, config);
    let before = sentinel.config();
    for character in (0..0x20_u8).chain([0x7f]).map(char::from) {
        for words in COMMANDS {
            let words: Vec<String> =
                words.iter().map(|word| word.replace('?', &character.to_string())).collect();
            let words: Vec<&str> =
                std::iter::once("SENTINEL").chain(words.iter().map(String::as_str)).collect();
            let reply = sentinel.ask(&words).unwrap().text();
            assert!(reply.starts_with("ERR "), "{words:?}: {reply}");
            assert!(!reply.contains(character), "{words:?}: {reply:?}");
        }
        // From peers: a vote, and hellos with a strange id, address and master.
        let id = format!("{}{character}", &ID[1..]);
        sentinel.ask(&["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", "1", "0", &id]).unwrap();
        for hello in [
            format!("127.0.0.1,2,{id},0,m,127.0.0.1,1,0"),
            format!("127.0.0.1{character},2,{ID},0,m,127.0.0.1,1,0"),
            format!("127.0.0.1,2,{ID},0,m,127.0.0.1{character},1,9"),
        ] {
            sentinel.ask(&["PUBLISH", "__sentinel__:hello", &hello]).unwrap();
        }
    }
    sentinel.ask(&["SENTINEL", "FLUSHCONFIG"]).unwrap();
    assert_eq!(sentinel.config().trim_end(), before.trim_end());
    sentinel.restart();
    let masters = sentinel.ask(&["SENTINEL", "MASTERS"]).unwrap();
    assert_eq!(masters.items().len(), 1);
}

/// Nothing but control characters is refused: what has to be quoted is, and both programs read it.
#[test]
fn everything_else_is_kept_over_a_restart() {
    let mut sentinel = Sentinel::start(Program::Vigia, "sentinel monitor m 127.0.0.1 1 1\n");
    for odd in ["a b", "it's", "say \"x\"", "back\\slash", "#hash", "é€", "'", "\""] {
        for words in [&["SET", "m", "auth-pass", odd][..], &["CONFIG", "SET", "sentinel-pass", odd]] {
            let words = [&["SENTINEL"], words].concat();
            assert_eq!(sentinel.ask(&words).unwrap().text(), "OK", "{words:?}");
        }
        sentinel.restart();
        let value = sentinel.ask(&["SENTINEL", "CONFIG", "GET", "sentinel-pass"]).unwrap();
        assert_eq!(value.items()[1].text(), odd);
    }
}
