//! From the command line to a running sentinel, and to its end.
//!
//! The order is stock's: configuration, log, checks, banner, descriptor limit, pid file, listeners, identity
//! (made and saved before anything else happens), engine, clients. The `+monitor` events are the engine's,
//! at its first input.
//!
//! Source: spec 01, sections 2 to 4.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::conf::{Generic, Loaded};
use crate::engine::{RunId, State};
use crate::product::{Product, VIGIA_VERSION};
use crate::runtime::acl::Acl;
use crate::runtime::files::{Disk, strerror};
use crate::runtime::limits;
use crate::runtime::log::{self, Destination, Header, Log, Style, Threshold};
use crate::runtime::save::{Render, Saver, save_and_log};
use crate::runtime::server::{MOST_HANDSHAKES, Supervisor};

mod crash;
pub(in crate::runtime) mod daemon;
mod load;
mod oom;
mod outside;
mod pid_file;
mod serving;
mod supervisor;

use outside::Logging;
use serving::Surroundings;
use supervisor::Supervision;

/// How long the end of the process waits for a log that is not read.
const LOG_PATIENCE: Duration = Duration::from_secs(1);
/// Links for what will be found beside what is configured: replicas and sentinels of each master.
const UNKNOWN_LINKS: u64 = 16;

/// How the process was started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Launch {
    /// The configuration file, absolute.
    pub config: Option<PathBuf>,
    /// `--name value ...` as typed.
    pub options: Vec<String>,
    /// More configuration comes on standard input.
    pub stdin: bool,
    /// The whole command line, the program's name first.
    pub words: Vec<OsString>,
    /// The program as it was called, for `INFO`; empty: find out.
    pub program: PathBuf,
    /// As what the process presents itself.
    pub product: Product,
}

/// Why the process does not start. The exit code is 1.
#[derive(Debug)]
enum Fatal {
    /// A line of the log, at warning.
    Log(String),
    /// On standard error, below the banner of configuration errors.
    Banner(String),
}

/// Runs a sentinel until it is told to end.
pub fn run(launch: &Launch) -> ExitCode {
    let mut log = None;
    let outcome = start(launch, &mut log);
    let code = match outcome {
        Ok(code) => code,
        Err(fatal) => {
            report(&fatal, launch.product, &mut log);
            1
        }
    };
    if let Some(log) = log {
        log.flush(LOG_PATIENCE);
    }
    ExitCode::from(code)
}

fn start(launch: &Launch, log: &mut Option<Log>) -> Result<u8, Fatal> {
    // A `dir` line moves the process.
    let here = std::env::current_dir().ok();
    let detached = daemon::is_child();
    if detached {
        daemon::begin(launch)?;
    }
    let (mut loaded, stdin) = load::load(launch)?;
    let threshold = open_log(&loaded.generic, log)?;
    let config = check_config_file(launch)?;
    let supervision = Supervision::find(loaded.generic.supervised);
    if loaded.generic.daemonize && supervision.who() == Supervisor::No && !detached {
        return daemon::detach(launch, here, stdin.as_deref());
    }
    if detached && loaded.generic.pidfile.is_none() {
        loaded.generic.pidfile = Some(pid_file::DEFAULT.into());
    }
    supervision.begin(launch.product.title());
    load::merge_sidecar(&config, &mut loaded);
    say_hello(launch, &loaded);

    let verdict = limits::raise(u64::from(loaded.generic.maxclients), connections_of(&loaded));
    verdict.log();
    let maxclients = verdict.maxclients(u64::from(loaded.generic.maxclients));
    if maxclients == 0 {
        return Ok(1);
    }
    let (port, tls_port) = (loaded.generic.port, loaded.generic.tls().port);
    tracing::info!("Running mode=sentinel, port={}.", if port == 0 { tls_port } else { port });

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fatal::Log(format!("No threads: {}", strerror(&error))))?;
    let logging = Logging { threshold, log: log.clone() };
    let surroundings = Surroundings { logging, supervision, detached };
    let code = runtime.block_on(serving::serve(launch, config, loaded, maxclients, surroundings));
    // A lookup of a name may hang in a thread; it must not keep the process alive.
    runtime.shutdown_background();
    code
}

fn open_log(generic: &Generic, log: &mut Option<Log>) -> Result<Threshold, Fatal> {
    let to = match generic.logfile.as_str() {
        "" => Destination::Stdout,
        path => Destination::File(path.into()),
    };
    let syslog = generic.syslog_enabled.then(|| Header::new(&generic.syslog_ident, &generic.syslog_facility));
    let opened = Log::open(to, syslog)
        .map_err(|error| Fatal::Banner(format!("Can't open the log file: {}", strerror(&error))))?;
    let threshold = Threshold::new(generic.loglevel);
    let word = |name: &str| {
        let words = generic.raw.get(name).and_then(|lines| lines.last()?.first());
        words.map_or("", String::as_str)
    };
    let style = Style::of(word("log-format"), word("log-timestamp-format"));
    install(threshold.clone(), style, &opened);
    crash::log_panics();
    *log = Some(opened);
    Ok(threshold)
}

/// Only the first log of a process can be installed; there is only one, except when tests start several.
fn install(threshold: Threshold, style: Style, log: &Log) {
    if log::install(threshold, style, log.clone()).is_err() {
        tracing::trace!("a log is installed already");
    }
}

/// Where the state will be saved.
fn check_config_file(launch: &Launch) -> Result<PathBuf, Fatal> {
    let Some(path) = &launch.config else {
        return Err(Fatal::Log("Sentinel needs config file on disk to save state. Exiting...".into()));
    };
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).map_err(|errno| {
        let reason = strerror(&errno.into());
        Fatal::Log(format!("Sentinel config file {} is not writable: {reason}. Exiting...", path.display()))
    })?;
    Ok(path.clone())
}

fn say_hello(launch: &Launch, loaded: &Loaded) {
    let (product, pid) = (launch.product, std::process::id());
    let (title, version) = (product.title(), product.version());
    tracing::info!("oO0OoO0OoO0Oo {title} is starting oO0OoO0OoO0Oo");
    tracing::info!(
        "{title} version={version}, bits=64, commit=00000000, modified=0, pid={pid}, just started"
    );
    if product != Product::Vigia {
        tracing::info!(
            "This is Vigia {VIGIA_VERSION}, which answers as the program under whose name it was started"
        );
    }
    tracing::info!("Configuration loaded");
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

/// How many connections there may be beside those of clients.
fn connections_of(loaded: &Loaded) -> u64 {
    let handshakes = if loaded.generic.tls().port == 0 { 0 } else { MOST_HANDSHAKES };
    links_of(&loaded.state).saturating_add(u64::try_from(handshakes).unwrap_or(u64::MAX))
}

/// How many outgoing connections this state may need: two per data node, one per other sentinel.
fn links_of(state: &State) -> u64 {
    let nodes: usize = state.masters.iter().map(|master| 1 + master.replicas.len()).sum();
    let mut sentinels: Vec<&RunId> =
        state.masters.iter().flat_map(|master| master.sentinels.iter().map(|(id, _)| id)).collect();
    sentinels.sort_unstable();
    sentinels.dedup();
    let links = 2 * nodes + sentinels.len() + 2 * state.masters.len();
    u64::try_from(links).unwrap_or(u64::MAX).saturating_add(UNKNOWN_LINKS)
}

/// 40 lowercase hex digits from the operating system's randomness.
fn new_id() -> Result<RunId, Fatal> {
    let mut bytes = [0_u8; 20];
    random(&mut bytes)?;
    Ok(RunId(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()))
}

fn random(bytes: &mut [u8]) -> Result<(), Fatal> {
    match rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(length) if length == bytes.len() => Ok(()),
        Ok(_) => Err(Fatal::Log("The system gave too little randomness. Exiting...".into())),
        Err(errno) => Err(Fatal::Log(format!("No randomness: {}. Exiting...", strerror(&errno.into())))),
    }
}

/// The formats of the two files, with the settings that the engine does not know.
#[derive(Debug)]
struct Formats {
    generic: Generic,
    /// Whose `user` lines are as of the moment of writing.
    acl: Arc<Acl>,
}

impl Render for Formats {
    fn config(&mut self, old: Option<&[u8]>, state: &State) -> Vec<u8> {
        // `SENTINEL CONFIG SET` changes it, so the engine's value is the newest.
        self.generic.loglevel = state.globals.log_level;
        self.generic.users = self.acl.lines();
        crate::conf::rewrite(old, state, &self.generic)
    }
    fn sidecar(&mut self, state: &State) -> Vec<u8> {
        crate::conf::state_file::render(state)
    }
}

/// Makes sure that this sentinel has an identity that survives a restart. A disk that fails is no reason not to
/// start (stock's rule): the engine will not vote with it.
fn settle_identity(loaded: &mut Loaded, saver: &mut Saver<Disk, Formats>) -> Result<RunId, Fatal> {
    let known = loaded.my_id.clone();
    let is_new = known.is_none();
    let id = match known {
        Some(id) => id,
        None => new_id()?,
    };
    loaded.state.globals.my_id = id.clone();
    if is_new {
        // Logged where it failed.
        let _ = save_and_log(saver, &loaded.state);
    }
    tracing::info!("Sentinel ID is {id}");
    Ok(id)
}

/// Source: spec 01, section 2.
fn report(fatal: &Fatal, product: Product, log: &mut Option<Log>) {
    match fatal {
        Fatal::Banner(text) => {
            eprintln!("\n*** FATAL CONFIG FILE ERROR ({}) ***\n{text}", product.in_banner());
        }
        Fatal::Log(text) => {
            if log.is_none()
                && let Ok(opened) = Log::open(Destination::Stdout, None)
            {
                install(Threshold::new(crate::conf::LogLevel::Notice), Style::default(), &opened);
                *log = Some(opened);
            }
            for line in text.lines().filter(|line| !line.is_empty()) {
                tracing::warn!("{line}");
                if daemon::is_child() {
                    eprintln!("{line}");
                }
            }
        }
    }
}

/// The absolute path of this program, as `INFO` shows it.
/// A path is shown as it was called, links included; a name that the shell looked up is not.
fn executable(program: &Path) -> PathBuf {
    let called = program.components().nth(1).and_then(|_| std::path::absolute(program).ok());
    called.or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| Path::new("vigia").to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::{Globals, MasterSettings};
    use crate::engine::{Addr, Epoch, MasterName, MasterState};

    #[test]
    fn an_id_is_40_lowercase_hex_digits_and_never_the_same() {
        let id = new_id().unwrap();
        assert!(id.len() == 40 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        assert_ne!(id, new_id().unwrap());
    }

    #[test]
    fn links_are_two_per_node_and_one_per_sentinel() {
        let master = |name: &str| MasterState {
            name: MasterName::from(name),
            addr: Addr::new("10.0.0.1", 1),
            settings: MasterSettings::new(1),
            config_epoch: Epoch(0),
            leader_epoch: Epoch(0),
            leader: None,
            replicas: vec![Addr::new("10.0.0.2", 1)],
            sentinels: vec![(RunId::from("s"), Addr::new("10.0.0.3", 1))],
            voters: Vec::new(),
        };
        let globals = Globals::new(RunId::from("me"));
        let masters = vec![master("a"), master("b")];
        let state = State { globals, current_epoch: Epoch(0), masters };
        assert_eq!(links_of(&state), 2 * 4 + 1 + 4 + UNKNOWN_LINKS);
    }

    #[test]
    fn the_config_file_is_needed_and_must_be_writable() {
        let text = |config: Option<&str>| {
            let launch = Launch { config: config.map(PathBuf::from), ..Launch::default() };
            match check_config_file(&launch).unwrap_err() {
                Fatal::Log(text) | Fatal::Banner(text) => text,
            }
        };
        assert_eq!(text(None), "Sentinel needs config file on disk to save state. Exiting...");
        assert_eq!(
            text(Some("/nonexistent/s.conf")),
            "Sentinel config file /nonexistent/s.conf is not writable: No such file or directory. Exiting..."
        );
    }
}
