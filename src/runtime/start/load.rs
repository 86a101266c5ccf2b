//! Reads the configuration from disk, standard input and the command line.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Fatal, Launch};
use crate::conf::{self, ConfigError, LoadInput, Loaded, Sources};
use crate::runtime::acl::check_rules;
use crate::runtime::files::{Disk, resolve, strerror, with_suffix};
use crate::runtime::log;
use crate::runtime::save::SIDECAR_SUFFIX;

/// Most files that a pattern of an `include` may stand for.
const MAX_MATCHES: usize = 20_000;
/// Most bytes read from standard input.
const MAX_STDIN: u64 = 64 << 20;

/// Reads and checks everything; the process' working directory follows each `dir` line. Also returns what came
/// on standard input.
///
/// # Errors
/// The text to die with, and where it belongs. Source: spec 01, section 2, "Fatal start-up errors".
pub(super) fn load(launch: &Launch) -> Result<(Loaded, Option<Vec<u8>>), Fatal> {
    let text = match &launch.config {
        Some(path) => fs::read(path).map_err(|error| Fatal::Log(cannot_open(path, &error)))?,
        None => Vec::new(),
    };
    let stdin = if launch.stdin {
        // Said before anything can go wrong with what comes; there is no log yet.
        log::before_the_log("Reading config from stdin");
        Some(read_stdin().map_err(Fatal::Log)?)
    } else {
        None
    };
    let input = LoadInput { text: &text, stdin: stdin.as_deref(), options: &launch.options };
    let mut loaded = conf::load(&input, &mut Outside).map_err(|errors| match errors.first() {
        Some(ConfigError::Line { .. }) => Fatal::Banner(conf::report(&errors)),
        Some(ConfigError::Other(_)) | None => Fatal::Log(conf::report(&errors)),
    })?;
    let here = std::env::current_dir().map_err(|error| Fatal::Log(strerror(&error)))?;
    loaded.generic.product = launch.product;
    loaded.generic.dir = Some(here.to_string_lossy().into_owned());
    Ok((loaded, stdin))
}

/// Adds what the file beside the config holds. A broken one is no reason not to start: it is written as a
/// whole, so somebody edited it, and without it this process votes for nobody in an epoch it voted in.
pub(super) fn merge_sidecar(config: &Path, loaded: &mut Loaded) {
    let path = with_suffix(&resolve(&mut Disk, config), SIDECAR_SUFFIX);
    let problem = match fs::read(&path) {
        Ok(text) => conf::state_file::merge(&text, &mut loaded.state).err(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(strerror(&error)),
    };
    if let Some(problem) = problem {
        tracing::warn!("The state file {} is ignored: {problem}", path.display());
    }
}

fn cannot_open(path: &Path, error: &io::Error) -> String {
    format!("Fatal error, can't open config file '{}': {}", path.display(), strerror(error))
}

fn read_stdin() -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    io::stdin().lock().take(MAX_STDIN).read_to_end(&mut text).map_err(|error| strerror(&error))?;
    Ok(text)
}

/// The world as the reader of the configuration sees it.
struct Outside;

impl Sources for Outside {
    fn read(&mut self, pattern: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        let names =
            if pattern.contains(['*', '?', '[']) { matches(pattern) } else { vec![PathBuf::from(pattern)] };
        let mut found = Vec::with_capacity(names.len());
        for path in names {
            let text = match fs::read(&path) {
                // Stock opens a folder and finds no lines in it.
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => Vec::new(),
                read => read.map_err(|error| cannot_open(&absolute(&path), &error))?,
            };
            found.push((path.to_string_lossy().into_owned(), text));
        }
        Ok(found)
    }

    fn is_executable(&self, path: &str) -> bool {
        rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    }

    fn check_user(&self, rules: &[String]) -> Result<(), (String, String)> {
        check_rules(rules)
    }

    fn change_dir(&mut self, path: &str) -> Result<String, String> {
        std::env::set_current_dir(path).map_err(|error| strerror(&error))?;
        let here = std::env::current_dir().map_err(|error| strerror(&error))?;
        Ok(here.to_string_lossy().into_owned())
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The files that a pattern stands for, sorted; wildcards may stand in every component.
fn matches(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() }];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for folder in found {
            if part.contains(['*', '?', '[']) {
                next.extend(entries(&folder, part));
            } else if folder.join(part).exists() {
                next.push(folder.join(part));
            }
        }
        next.truncate(MAX_MATCHES);
        found = next;
    }
    found.sort();
    found
}

/// As in a shell, a leading dot must be written out.
fn entries(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(listed) else { return Vec::new() };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
    let fits = |name: &std::ffi::OsString| {
        let text = name.to_string_lossy();
        (pattern.starts_with('.') || !text.starts_with('.'))
            && crate::engine::glob::matches(pattern.as_bytes(), text.as_bytes(), false)
    };
    names.filter(fits).map(|name| folder.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_files_in_order_and_nothing_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for name in ["b.conf", "a.conf", ".c.conf", "d.txt"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let texts = |pattern: &str| -> Vec<String> {
            let found = Outside.read(&format!("{root}/{pattern}")).unwrap();
            found.into_iter().map(|(_, text)| String::from_utf8(text).unwrap()).collect()
        };
        assert_eq!(texts("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(texts("[a]*"), ["a.conf"]);
        assert_eq!(texts("*.none"), [""; 0]);
        assert_eq!(texts("d.txt"), ["d.txt"]);
        let error = Outside.read(&format!("{root}/none.conf")).unwrap_err();
        assert_eq!(
            error,
            format!("Fatal error, can't open config file '{root}/none.conf': No such file or directory")
        );
    }
}
