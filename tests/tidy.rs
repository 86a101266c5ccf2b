//! House rules that the compiler does not know: which layer may use what, and how long a file
//! may be. A violation reads ``file:line: `X`: reason``.

use std::fs;
use std::path::{Path, PathBuf};

/// (folder or file, what must not appear in its code, why).
const BANNED: &[(&str, &str, &str)] = &[
    ("src/engine", "Instant::now", "time is an argument: fn handle(now, ..)"),
    ("src/engine", "SystemTime", "time is an argument: fn handle(now, ..)"),
    ("src/engine", "HashMap", "iteration order is random; use BTreeMap"),
    ("src/engine", "HashSet", "iteration order is random; use BTreeSet"),
    ("src/engine", "tokio", "the engine does no I/O and runs no tasks"),
    ("src/engine", "std::fs", "the engine touches no files"),
    ("src/engine", "openssl", "TLS is the runtime's"),
    ("src/wire", "openssl", "TLS is the runtime's"),
    ("src/conf", "openssl", "TLS is the runtime's: directives are only words here"),
    ("src/engine", "std::thread", "the engine has no threads"),
    ("src/engine", "std::process", "the engine starts nothing"),
    ("src/engine", "std::env", "settings are arguments"),
    ("src/engine", "TcpStream", "the engine has no sockets"),
    ("src/engine", "TcpListener", "the engine has no sockets"),
    ("src/engine", "UdpSocket", "the engine has no sockets"),
    ("src/engine", "ToSocketAddrs", "the engine resolves no names"),
    ("src/engine", "rand::", "the seed is an argument; use the engine's own generator"),
    ("src/engine", "RandomState", "the seed is an argument; use the engine's own generator"),
    ("src/engine", "crate::runtime", "imports point inwards only"),
    ("src/engine", "crate::wire", "imports point inwards only"),
    ("src/engine", "crate::conf", "imports point inwards only"),
    ("src/wire", "tokio", "wire is pure"),
    ("src/wire", "std::fs", "wire is pure"),
    ("src/wire", "std::net::Tcp", "wire is pure"),
    ("src/wire", "Instant::now", "wire is pure"),
    ("src/wire", "crate::runtime", "imports point inwards only"),
    ("src/wire", "crate::conf", "wire and conf do not know each other"),
    ("src/conf", "tokio", "conf is pure"),
    ("src/conf", "std::fs", "conf is pure: texts are arguments"),
    ("src/conf", "std::net::Tcp", "conf is pure"),
    ("src/conf", "Instant::now", "conf is pure"),
    ("src/conf", "crate::runtime", "imports point inwards only"),
    ("src/conf", "crate::wire", "wire and conf do not know each other"),
    ("src/engine", "crate::acl", "imports point inwards only"),
    ("src/wire", "crate::acl", "imports point inwards only"),
    ("src/conf", "crate::acl", "conf keeps the words of users and does not know what they mean"),
    ("src/acl", "tokio", "acl is pure"),
    ("src/acl", "std::fs", "acl is pure: texts are arguments"),
    ("src/acl", "std::net::Tcp", "acl is pure"),
    ("src/acl", "Instant::now", "time is an argument"),
    ("src/acl", "SystemTime", "time is an argument"),
    ("src/acl", "crate::runtime", "imports point inwards only"),
    ("src/acl", "crate::conf", "conf keeps the words of users and does not know what they mean"),
    ("src/runtime/driver", "SystemTime", "the wall clock decides nothing: it jumps"),
    ("src/runtime", "crate::demo", "imports point inwards only"),
    ("src/runtime", "crate::cli", "imports point inwards only"),
    ("src/product", "use crate::", "a leaf that all may use"),
    ("src", "todo!(", "finish it or return an error"),
    ("src", "unimplemented!(", "finish it or return an error"),
    ("src", "dbg!(", "left over from debugging"),
    ("src", "/home/", "a path of one machine"),
    ("src", "/root/", "a path of one machine"),
    ("tests", "/home/", "a path of one machine"),
    ("tests", "/root/", "a path of one machine"),
    ("src/demo", "/tmp/", "use the temporary folder of the system"),
    ("tests", "/tmp/", "use the temporary folder of the system"),
];

/// A file that needs more holds more than one concern.
const MAX_LINES: usize = 800;

#[test]
fn the_house_rules_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for file in rust_files(root) {
        let name = file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        // The table of rules holds every banned word.
        if name != "tests/tidy.rs" {
            found.extend(violations(&name, &fs::read_to_string(&file).expect("UTF-8 source")));
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_violation_is_found_with_its_place_and_reason() {
    let text = "use std::collections::BTreeMap;\n\nuse std::collections::HashMap;\n";

    assert_eq!(
        violations("src/engine/mod.rs", text),
        ["src/engine/mod.rs:3: `HashMap`: iteration order is random; use BTreeMap"]
    );
    assert_eq!(violations("src/runtime/mod.rs", text), [""; 0]);
}

#[test]
fn comments_may_name_what_code_may_not_use() {
    assert_eq!(violations("src/engine/mod.rs", "//! No tokio here.\n    // nor HashMap\n"), [""; 0]);
    assert_eq!(violations("src/engine/mod.rs", "let x = 1; tokio::spawn(x);").len(), 1);
}

#[test]
fn a_rule_covers_its_folder_and_the_file_of_the_same_name() {
    assert_eq!(violations("src/wire.rs", "use tokio::net;\n").len(), 1);
    assert_eq!(violations("src/wire/deep/er.rs", "use tokio::net;\n").len(), 1);
    assert_eq!(violations("src/wireless.rs", "use tokio::net;\n").len(), 0);
}

#[test]
fn a_file_over_the_ceiling_is_found() {
    let text = "x\n".repeat(MAX_LINES + 1);

    assert_eq!(violations("src/a.rs", &text), ["src/a.rs:801: `801 lines`: split it, the ceiling is 800"]);
    assert_eq!(violations("src/a.rs", &"x\n".repeat(MAX_LINES)), [""; 0]);
}

/// The table in the README says how many differences from the original are tolerated, list by list; each
/// says what it rests on.
#[test]
fn the_readme_counts_the_tolerated_differences() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let mut wrong = Vec::new();
    for list in fs::read_dir(root.join("compat/peer")).expect("compat/peer") {
        let name = list.expect("a readable entry").file_name().to_string_lossy().into_owned();
        if name.starts_with("tolerated") {
            let text = fs::read_to_string(root.join("compat/peer").join(&name)).expect("UTF-8 list");
            let cited = |entry: &&str| {
                ["DESIGN", "spec 08", "# the same"].iter().any(|source| entry.contains(source))
            };
            let bare = entries(&text).filter(|entry| !cited(entry));
            wrong.extend(bare.map(|entry| format!("{name}: where does this come from? {entry}")));
            wrong.extend(miscounted(&readme, &format!("compat/peer/{name}"), entries(&text).count()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The lists of `compat/peer`: `CASE ~ LINE # REASON`; blank lines and comments are none.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// What is wrong with the row of `list`, which has `count` entries, in the table of the README.
fn miscounted(readme: &str, list: &str, count: usize) -> Option<String> {
    let row = readme.lines().find(|line| line.starts_with(&format!("| `{list}`")));
    let Some(row) = row else { return Some(format!("README.md has no row for {list}")) };
    let told = row.trim_end_matches('|').rsplit('|').next().and_then(|cell| cell.trim().parse().ok());
    (told != Some(count)).then(|| format!("README.md: the row of {list} must say {count}"))
}

#[test]
fn a_wrong_count_in_the_readme_is_found() {
    let list = "# A comment\n\na ~ b # c\nd ~ e # f\n";
    assert_eq!(entries(list).count(), 2);
    assert_eq!(miscounted("x\n| `a.txt`: replies | 2 |\n", "a.txt", 2), None);
    assert!(miscounted("| `a.txt`: replies | 3 |", "a.txt", 2).is_some());
    assert!(miscounted("| `b.txt`: replies | 2 |", "a.txt", 2).is_some());
}

/// All rules that `text`, the content of the file `name`, breaks.
fn violations(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (place, word, reason) in BANNED {
            if covers(place, name) && line.contains(word) {
                found.push(format!("{name}:{}: `{word}`: {reason}", number + 1));
            }
        }
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{name}:{lines}: `{lines} lines`: split it, the ceiling is {MAX_LINES}"));
    }
    found
}

fn covers(place: &str, name: &str) -> bool {
    name.strip_prefix(place).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of this package") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
