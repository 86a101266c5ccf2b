//! Text to settings and state.
//!
//! Generic lines act as they are read; `sentinel` lines are collected and applied afterwards in
//! three passes, so that an option may stand before the `monitor` line of its master.
//!
//! Source: spec 01, sections 2, 5.1, 5.2.

use super::directives::{self, Kind};
use super::sentinel::Sentinel;
use super::users::UserLine;
use super::words::{self, is_storable, split};
use super::{ConfigError, Generic, LoadInput, Loaded, Sources, options, values};

/// Deepest nesting of `include`: a file that includes itself ends here.
const MAX_DEPTH: u32 = 16;
/// Most files read by `include`: room for a file per master.
const MAX_FILES: u32 = 20_000;
/// Most bytes of one text.
const MAX_BYTES: usize = 64 << 20;
/// Most errors that are reported at once.
const MAX_ERRORS: usize = 100;
/// An `include` that only this program reads; see [`Generic::copied_includes`].
pub(super) const OUR_INCLUDE: &str = "vigia.include";
/// First part of the directives that only this program has.
const OURS: &str = "vigia.";
/// Commands of this server that a generic `rename-command` may name.
const COMMANDS: [&str; 15] = [
    "acl",
    "auth",
    "client",
    "command",
    "hello",
    "info",
    "ping",
    "psubscribe",
    "publish",
    "punsubscribe",
    "role",
    "sentinel",
    "shutdown",
    "subscribe",
    "unsubscribe",
];

/// Reads a configuration.
///
/// # Errors
/// All errors, at most 100, at least one; first the one that stock would report, in its order of reading.
///
/// Differs: stock stops at its first error; control characters in values are refused.
pub fn load(input: &LoadInput<'_>, sources: &mut dyn Sources) -> Result<Loaded, Vec<ConfigError>> {
    let mut reader = Reader {
        sources,
        generic: Generic::default(),
        users: Vec::new(),
        passes: Default::default(),
        warnings: Vec::new(),
        errors: Vec::new(),
        files: 0,
    };
    reader.text(&whole_text(input), 0);
    let (loaded, errors) = reader.finish();
    if errors.is_empty() { Ok(loaded) } else { Err(errors) }
}

/// File, standard input and options as one text: their line numbers count on.
fn whole_text(input: &LoadInput<'_>) -> Vec<u8> {
    let mut text = input.text.to_vec();
    if let Some(stdin) = input.stdin {
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(stdin);
    }
    let options = options::to_text(input.options);
    if !options.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(options.as_bytes());
    }
    text
}

/// One line of words.
#[derive(Clone, Debug)]
pub(super) struct Line {
    number: u32,
    text: String,
    /// At least one.
    pub(super) words: Vec<String>,
    /// It stands in a file that was included.
    pub(super) included: bool,
}

impl Line {
    /// The error at this line.
    pub(super) fn error(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::Line { line: self.number, text: self.text.clone(), reason: reason.into() }
    }
}

struct Reader<'a> {
    sources: &'a mut dyn Sources,
    generic: Generic,
    /// `user` lines in file order, and whether each stands in an included file.
    users: Vec<(UserLine, bool)>,
    /// `sentinel` lines: before `monitor`, `monitor`, the rest.
    passes: [Vec<Line>; 3],
    warnings: Vec<String>,
    errors: Vec<ConfigError>,
    files: u32,
}

impl Reader<'_> {
    fn text(&mut self, text: &[u8], depth: u32) {
        if text.len() > MAX_BYTES {
            self.errors.push(ConfigError::Other(format!("Configuration larger than {MAX_BYTES} bytes")));
            return;
        }
        for (number, raw) in (1_u32..).zip(text.split(|byte| *byte == b'\n')) {
            if self.is_done() {
                return;
            }
            let raw = trim(raw);
            if raw.is_empty() || raw.starts_with(b"#") {
                continue;
            }
            let done = line_of(number, raw, depth > 0).and_then(|line| self.line(line, depth));
            self.errors.extend(done.err());
        }
    }

    fn is_done(&self) -> bool {
        self.errors.len() >= MAX_ERRORS
    }

    fn line(&mut self, line: Line, depth: u32) -> Result<(), ConfigError> {
        let name = line.words[0].to_ascii_lowercase();
        let arguments = &line.words[1..];
        match (name.as_str(), arguments) {
            ("sentinel", []) => Ok(()),
            ("sentinel", _) => {
                let pass = Sentinel::pass_of(&arguments[0]);
                self.passes[pass].push(line);
                Ok(())
            }
            ("include" | OUR_INCLUDE, [pattern]) => self.include(&line, &pattern.clone(), depth),
            ("user", [name, rules @ ..]) => {
                self.user(name, rules, line.included).map_err(|why| line.error(why))
            }
            ("rename-command", [old, new]) => self.rename(old, new).map_err(|why| line.error(why)),
            ("loadmodule", [module, ..]) => {
                self.warnings.push(format!("loadmodule {module}: ignored, a sentinel loads no modules"));
                Ok(())
            }
            _ => self.generic(&name, arguments).map_err(|why| line.error(why)),
        }
    }

    fn include(&mut self, line: &Line, pattern: &str, depth: u32) -> Result<(), ConfigError> {
        if depth >= MAX_DEPTH {
            return Err(line.error(format!("include nested more than {MAX_DEPTH} levels deep")));
        }
        let (monitored, renamed) = (self.passes[1].len(), self.generic.renamed_commands.len());
        for (_, text) in self.sources.read(pattern).map_err(ConfigError::Other)? {
            self.files += 1;
            if self.files > MAX_FILES {
                return Err(line.error(format!("more than {MAX_FILES} included files")));
            }
            self.text(&text, depth + 1);
        }
        // A rewrite copies everything but renamed commands.
        let is_copied = self.passes[1].len() > monitored && self.generic.renamed_commands.len() == renamed;
        if depth == 0 && is_copied {
            self.generic.copied_includes.push(pattern.to_owned());
        }
        Ok(())
    }

    /// Differs: stock names a rule further left when one is wrong. And a rewrite copies the users of an included
    /// file into the file itself, so that stock refuses its own file at the next start; here the copy wins.
    fn user(&mut self, name: &str, rules: &[String], included: bool) -> Result<(), String> {
        let known = self.users.iter().position(|(user, _)| user.name == name);
        if let Some(at) = known {
            if self.users[at].1 == included {
                let reason = "Duplicate user found. A user can only be defined once in config files";
                return Err(format!("Error in user declaration '{name}': {reason}"));
            }
            self.warnings.push(format!("user {name}: the included line is ignored"));
            if included {
                return Ok(());
            }
            self.users.remove(at);
        }
        self.sources
            .check_user(rules)
            .map_err(|(rule, reason)| format!("Error in user declaration '{rule}': {reason}"))?;
        self.users.push((UserLine { name: name.to_owned(), rules: rules.to_vec() }, included));
        Ok(())
    }

    fn rename(&mut self, old: &str, new: &str) -> Result<(), String> {
        let renamed = &mut self.generic.renamed_commands;
        let is_command = |name: &str| {
            let builtin = COMMANDS.iter().any(|command| command.eq_ignore_ascii_case(name));
            let by_rename = renamed.iter().any(|(_, new)| new.eq_ignore_ascii_case(name));
            let gone = renamed.iter().any(|(old, _)| old.eq_ignore_ascii_case(name));
            by_rename || (builtin && !gone)
        };
        if !is_command(old) {
            return Err("No such command in rename-command".into());
        }
        if !new.is_empty() && is_command(new) {
            return Err("Target command name already exists".into());
        }
        renamed.push((old.to_owned(), new.to_owned()));
        Ok(())
    }

    fn generic(&mut self, name: &str, arguments: &[String]) -> Result<(), String> {
        let Some(directive) = directives::find(name) else { return self.other(name, arguments) };
        let mut words = values::normalise(directive, arguments)?;
        match directive.name {
            "dir" => words = vec![self.sources.change_dir(&arguments[0])?],
            _ if directive.kind == Kind::ReplicaOf => {
                self.warnings.push(format!("{name}: ignored, a sentinel replicates nothing"));
            }
            _ => {}
        }
        self.generic.set(directive, words);
        Ok(())
    }

    /// A directive that the table does not know.
    fn other(&mut self, name: &str, arguments: &[String]) -> Result<(), String> {
        if directives::IGNORED.contains(&name) && arguments.len() == 1 {
            return Ok(());
        }
        // A misspelt directive of ours is not the setting of a module that nobody misses.
        if !name.contains('.') || name.starts_with(OURS) {
            return Err("Bad directive or wrong number of arguments".into());
        }
        if arguments.is_empty() {
            return Err("Module config specified without value".into());
        }
        self.generic.raw.entry(name.to_owned()).or_default().push(arguments.to_vec());
        Ok(())
    }

    fn finish(mut self) -> (Loaded, Vec<ConfigError>) {
        let mut sentinel = Sentinel::new(&self.passes);
        for line in self.passes.iter().flatten() {
            if self.is_done() {
                break;
            }
            let applied = sentinel.apply(line, &*self.sources);
            self.errors.extend(applied.err().map(|reason| line.error(reason)));
        }
        self.generic.users = self.users.into_iter().map(|(user, _)| user).collect();
        self.warnings.append(&mut sentinel.warnings());
        let (my_id, mut state) = sentinel.finish();
        state.globals.port = self.generic.hello_port();
        state.globals.log_level = self.generic.loglevel;
        state.globals.requirepass = self.generic.requirepass.as_deref().map(Into::into);
        (Loaded { my_id, state, generic: self.generic, warnings: self.warnings }, self.errors)
    }
}

/// Without the blanks around it, as stock trims lines.
pub(super) fn trim(line: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|byte| !is_blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
    &line[start..end]
}

fn line_of(number: u32, raw: &[u8], included: bool) -> Result<Line, ConfigError> {
    let text = words::printable(&String::from_utf8_lossy(raw));
    let mut line = Line { number, text, words: Vec::new(), included };
    let words =
        split(raw).map_err(|words::Unbalanced| line.error("Unbalanced quotes in configuration line"))?;
    for word in words {
        let word = String::from_utf8(word).map_err(|_| line.error("words of directives must be UTF-8"))?;
        if !is_storable(&word) {
            return Err(line.error("control characters are not allowed in values"));
        }
        line.words.push(word);
    }
    // Only a line of vertical tabs and form feeds, which trimming leaves alone.
    if line.words.is_empty() {
        return Err(line.error("Bad directive or wrong number of arguments"));
    }
    Ok(line)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
