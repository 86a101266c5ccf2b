//! Known-bad engines: small changes of `src/engine`, each of which the oracle that it is for must catch.
//!
//! ```text
//! # what a careless engine would do
//! oracle: S1
//! file: src/engine/vote.rs
//! ---- old
//! text that stands there exactly once
//! ---- new
//! what stands there instead
//! ```
//!
//! Every mutant must still apply, always. `./compat/run mutants` builds each one in a copy of the tree and
//! explores until something is found, at most 10,000 worlds; then again without the oracle, to see whether
//! it alone notices.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most worlds until a mutant must be found.
const MOST: u64 = 10_000;

/// Worlds that are looked at without the oracle.
const WITHOUT: u64 = 2_000;

struct Mutant {
    name: String,
    oracle: String,
    file: String,
    old: String,
    new: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn mutants() -> Vec<Mutant> {
    let folder = root().join("tests/sim/mutants");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Mutant {
    let text = fs::read_to_string(path).expect("UTF-8");
    let (head, change) = text.split_once("---- old\n").expect("---- old");
    let (old, new) = change.split_once("---- new\n").expect("---- new");
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{}: no line {name}", path.display())).trim().to_owned()
    };
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    Mutant { name, oracle: field("oracle:"), file: field("file:"), old: old.into(), new: new.into() }
}

impl Mutant {
    /// The file with the change.
    fn applied(&self, tree: &Path) -> Result<String, String> {
        let text = fs::read_to_string(tree.join(&self.file)).map_err(|error| error.to_string())?;
        match text.matches(&self.old).count() {
            1 => Ok(text.replacen(&self.old, &self.new, 1)),
            n => Err(format!("{}: its old text stands {n} times in {}", self.name, self.file)),
        }
    }
}

#[test]
fn every_mutant_still_applies_and_every_rule_has_one() {
    let all = mutants();
    for mutant in &all {
        assert!(mutant.applied(&root()).is_ok(), "{:?}", mutant.applied(&root()).err());
    }
    let rules = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "L1", "L2", "L3", "progress"];
    for rule in rules {
        assert!(all.iter().any(|mutant| mutant.oracle == rule), "no mutant for {rule}");
    }
}

/// What a run of a mutant found first, and after how many worlds.
fn explore(tree: &Path, without: Option<&str>, most: u64) -> Option<(String, u64)> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(tree).args(["test", "--quiet", "--profile", "sim", "--test", "sim"]);
    command.args(["simulated_groups_hold", "--", "--nocapture"]);
    // A place of their own: a mutant must never be taken for the engine.
    command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants-built"));
    command.env("VIGIA_SIM_UNTIL_FOUND", "1");
    command.env("VIGIA_SIM_EPISODES", most.to_string());
    if let Some(rule) = without {
        command.env("VIGIA_SIM_WITHOUT", rule);
    }
    let output = command.output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("simulated worlds"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("seed "))?;
    let (seed, why) = line.split_once(" failed: ").expect("seed N failed: RULE: ...");
    let rule = why.split(':').next().unwrap_or("").to_owned();
    Some((rule, seed.parse().expect("a seed")))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).expect("copied");
        }
    }
}

#[test]
#[ignore = "builds the engine once for each mutant: ./compat/run mutants"]
fn every_mutant_is_caught_by_the_oracle_that_it_is_for() {
    // The same folder each time: most of what was built there is still good.
    let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    for part in ["src", "tests"] {
        copy(&root().join(part), &tree.join(part));
    }
    for file in ["Cargo.toml", "Cargo.lock", "README.md"] {
        fs::copy(root().join(file), tree.join(file)).expect("copied");
    }
    let only = std::env::var("VIGIA_MUTANT").ok();
    let mut missed = Vec::new();
    for mutant in mutants().into_iter().filter(|mutant| only.as_ref().is_none_or(|name| *name == mutant.name))
    {
        let place = tree.join(&mutant.file);
        let sound = fs::read_to_string(&place).expect("the file");
        fs::write(&place, mutant.applied(&tree).expect("it applies")).expect("written");
        let found = explore(&tree, None, MOST);
        let also = explore(&tree, Some(&mutant.oracle), WITHOUT);
        fs::write(&place, sound).expect("written");
        let (name, oracle) = (&mutant.name, &mutant.oracle);
        let alone = also.map_or("nobody else".to_owned(), |(rule, seed)| format!("{rule} (world {seed})"));
        match found {
            Some((rule, seed)) if rule == *oracle => {
                println!("{name:<20} caught by {rule:<8} in world {seed:>5}; without it by {alone}");
            }
            Some((rule, seed)) => {
                println!("{name:<20} is for {oracle}, but {rule} caught it in world {seed}");
                missed.push(mutant.name);
            }
            None => {
                println!("{name:<20} is for {oracle}, but nobody caught it in {MOST} worlds");
                missed.push(mutant.name);
            }
        }
    }
    assert!(missed.is_empty(), "not caught as they should be: {missed:?}");
}
