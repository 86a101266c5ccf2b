//! One function for each parser that reads what others wrote: it must not panic, and what it says must be consistent.
//!
//! `tests/corpus.rs` runs them over the kept inputs, `tests/fuzz` over whatever the fuzzer finds.
#![allow(dead_code, unreachable_pub, reason = "each user takes a part")]
#![allow(clippy::unwrap_used, reason = "a violated property ends the test")]

use bytes::{Bytes, BytesMut};
use vigia::acl::{self, NewUsers, User};
use vigia::conf::{self, LoadInput, Sources};
use vigia::engine::{glob, hello, info};
use vigia::wire::command::parse;
use vigia::wire::{Limits, ReplyDecoder, RequestParser};

/// What is done with one input.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const ALL: [(&str, Target); 9] = [
    ("request", request),
    ("reply", reply),
    ("hello", hello_payload),
    ("info", info_text),
    ("conf", conf_file),
    ("state", state_file),
    ("glob", glob_pattern),
    ("acl", acl_rules),
    ("aclfile", acl_file),
];

/// Requests of clients: the same words however the bytes arrive, before and after AUTH; and every request is a
/// command or an error.
///
/// The first byte says how the input is cut.
pub fn request(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    for authenticated in [true, false] {
        let whole = requests(std::iter::once(data), authenticated);
        let step = usize::from(*cut).max(1);
        assert_eq!(whole, requests(data.chunks(step), authenticated), "cut every {step} bytes");
        for argv in whole.0 {
            let _ = parse(&argv);
        }
    }
}

fn requests<'a>(
    chunks: impl Iterator<Item = &'a [u8]>,
    authenticated: bool,
) -> (Vec<Vec<Bytes>>, Option<String>) {
    let mut parser = RequestParser::new(Limits::default());
    let (mut input, mut found) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            match parser.next(&mut input, authenticated) {
                Ok(Some(argv)) => found.push(argv),
                Ok(None) => break,
                Err(error) => return (found, Some(format!("{error:?}"))),
            }
        }
    }
    (found, None)
}

/// Replies of nodes and sentinels: the same however the bytes arrive.
pub fn reply(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let step = usize::from(*cut).max(1);
    assert_eq!(replies(std::iter::once(data)), replies(data.chunks(step)), "cut every {step} bytes");
}

fn replies<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
    let mut decoder = ReplyDecoder::new();
    let (mut input, mut found) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            match decoder.next(&mut input) {
                Ok(Some(reply)) => {
                    let _ = (reply.is_push(), reply.as_message(), reply.subscription());
                    found.push(format!("{:?}", reply.as_reply()));
                }
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

/// Hellos: what is accepted survives being written again.
pub fn hello_payload(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(parsed) = hello::parse(text) {
        let written = hello::format(&parsed);
        // `127.1` is written in full, which may be too long.
        if written.len() > text.len() {
            return;
        }
        assert_eq!(hello::parse(&written), Ok(parsed), "written as {written}");
    }
}

/// INFO texts.
pub fn info_text(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = info::parse(text);
    }
}

/// Configuration files: what is accepted is written so that it is accepted again and means the same.
pub fn conf_file(data: &[u8]) {
    let input = LoadInput { text: data, stdin: None, options: &[] };
    let loaded = match conf::load(&input, &mut NoFiles) {
        Ok(loaded) => loaded,
        Err(errors) => return assert!(!errors.is_empty(), "refused, but nothing is wrong"),
    };
    let written = conf::rewrite(Some(data), &loaded.state, &loaded.generic);
    let again = LoadInput { text: &written, stdin: None, options: &[] };
    let shown = || String::from_utf8_lossy(&written);
    match conf::load(&again, &mut NoFiles) {
        Ok(again) => assert_eq!(again.state, loaded.state, "written as:\n{}", shown()),
        Err(errors) => panic!("{}\nwritten as:\n{}", conf::report(&errors), shown()),
    }
}

/// A configuration that names no other files.
struct NoFiles;

impl Sources for NoFiles {
    fn read(&mut self, pattern: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        Err(format!("can't open {pattern}"))
    }

    fn is_executable(&self, _: &str) -> bool {
        true
    }
}

/// The file beside the configuration: what is accepted is written so that it means the same.
pub fn state_file(data: &[u8]) {
    let mut state = two_masters();
    let before = state.clone();
    if conf::state_file::merge(data, &mut state).is_err() {
        assert_eq!(state, before, "an error changes nothing");
        return;
    }
    let mut again = before;
    conf::state_file::merge(&conf::state_file::render(&state), &mut again).unwrap();
    assert_eq!(again, state);
}

fn two_masters() -> vigia::engine::State {
    let text =
        "sentinel monitor a 10.0.0.1 1 2\nsentinel leader-epoch a 3\nsentinel monitor b 10.0.0.2 2 2\n";
    let input = LoadInput { text: text.as_bytes(), stdin: None, options: &[] };
    conf::load(&input, &mut NoFiles).unwrap().state
}

/// Glob patterns against a plain recursive definition. The pattern ends at the first zero byte.
pub fn glob_pattern(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(pattern), Some(text)) = (parts.next(), parts.next()) else { return };
    let found = glob::matches(pattern, text, false);
    // Without classes and escapes a definition fits in a few lines.
    if pattern.len() <= 12 && text.len() <= 24 && !pattern.iter().any(|byte| matches!(byte, b'[' | b'\\')) {
        assert_eq!(found, by_definition(pattern, text), "{pattern:?} {text:?}");
    }
    let _ = glob::matches(pattern, text, true);
}

fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skip| by_definition(rest, &text[skip..])),
        (Some(_), None) => false,
        (Some((b'?', rest)), Some((_, tail))) => by_definition(rest, tail),
        (Some((byte, rest)), Some((first, tail))) => byte == first && by_definition(rest, tail),
    }
}

/// Rules of one user, a line each: what is accepted is written as rules that make the same user.
pub fn acl_rules(data: &[u8]) {
    let words: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let Some(user) = user_of(&words) else { return };
    let text = user.text();
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    let Some(again) = user_of(&words) else { panic!("refused what it wrote: {text}") };
    assert_eq!(again.text(), text);
}

fn user_of(words: &[&[u8]]) -> Option<User> {
    let mut user = User::new(NewUsers::HearNothing);
    for rule in acl::merge_selectors(words).ok()? {
        user.apply(&rule, NewUsers::HearNothing).ok()?;
    }
    Some(user)
}

/// ACL files: what is accepted is written so that it means the same.
pub fn acl_file(data: &[u8]) {
    let Ok(users) = acl::file::parse(data, "file", NewUsers::HearNothing) else { return };
    let text = acl::file::render(users.iter().map(|(name, user)| (&**name, user)));
    match acl::file::parse(text.as_bytes(), "file", NewUsers::HearNothing) {
        Ok(again) => {
            let again = acl::file::render(again.iter().map(|(name, user)| (&**name, user)));
            assert_eq!(again, text);
        }
        Err(errors) => panic!("{errors:?}\nwritten as:\n{text}"),
    }
}
