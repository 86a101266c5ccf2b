//! Scenario files (`tests/scenarios/*.txt`): what happens to a group, and the events that an operator reads.
//!
//! `UPDATE_SCENARIOS=1 cargo test --test scenarios` writes what is seen into the files; read the
//! difference before committing it. The language is described in `tests/world/scenario.rs`.

mod world;

use std::path::{Path, PathBuf};

const MARK: &str = "----\n";

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    files.sort();
    files
}

/// What differs, if anything.
fn check(path: &Path, update: bool) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let (script, expected) = text.split_once(MARK).ok_or("no line of four dashes")?;
    let seen = world::scenario::run(script)?;
    if update {
        return std::fs::write(path, format!("{script}{MARK}{seen}")).map_err(|error| error.to_string());
    }
    if seen == expected {
        return Ok(());
    }
    Err(format!("expected:\n{expected}\nseen:\n{seen}"))
}

#[test]
fn every_scenario_ends_as_its_file_says() {
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let files = files();
    assert!(files.len() >= 8, "scenarios are missing");
    let mut failures = Vec::new();
    for path in files {
        let result = std::panic::catch_unwind(|| check(&path, update));
        let why = match result {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(_) => "panicked, see above".to_owned(),
        };
        failures.push(format!("{}: {why}", path.display()));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_line_that_nobody_understands_is_named() {
    let error = world::scenario::run("group sentinels=1 colour=red").expect_err("no such option");
    assert_eq!(error, "line 1: no such option: colour: group sentinels=1 colour=red");
}
