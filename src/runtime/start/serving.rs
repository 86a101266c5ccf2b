//! Puts the parts together, and takes them apart at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::outside::{Logging, Outside};
use super::pid_file::PidFile;
use super::supervisor::Supervision;
use super::{Fatal, Formats, Launch, daemon, executable, oom, random, settle_identity};
use crate::conf::{Generic, Loaded};
use crate::engine::{Engine, RunId, Time};
use crate::runtime::acl::{self, Acl};
use crate::runtime::driver::{
    COMMANDS, Clock, Driver, Inboxes, LINK_EVENTS, NAME_ANSWERS, SAVE_RESULTS, SCRIPT_EVENTS,
};
use crate::runtime::files::{Disk, strerror};
use crate::runtime::handle::{EngineHandle, Views};
use crate::runtime::link::{Options, TcpLinks};
use crate::runtime::log::Log;
use crate::runtime::resolver::{Resolved, Resolver};
use crate::runtime::save::{self, Saver, Writer};
use crate::runtime::scripts::{ScriptEvent, Scripts};
use crate::runtime::server::{self, Hub, Renames, Settings, UnixSocket};
use crate::runtime::signals::{Signals, Wish};
use crate::runtime::tls::{self, Tls};

/// How long the end waits for a save in flight, and for clients to go.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// What `hz` may be in the end. Seen on redis-sentinel 7.0.15.
const MIN_HZ: u32 = 1;
const MAX_HZ: u32 = 500;
/// Wishes to end that may wait; one is enough.
const STOP_QUEUE: usize = 1;

/// What was made ready before.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) logging: Logging,
    pub(super) supervision: Supervision,
    /// A parent waits for this process to serve.
    pub(super) detached: bool,
}

/// Serves until a signal, `SHUTDOWN`, or the end of the engine. Returns the exit code.
pub(super) async fn serve(
    launch: &Launch,
    config: PathBuf,
    mut loaded: Loaded,
    maxclients: u64,
    surroundings: Surroundings,
) -> Result<u8, Fatal> {
    let Surroundings { logging, supervision, detached } = surroundings;
    let mut signals =
        Signals::take().map_err(|error| Fatal::Log(format!("No signals: {}", strerror(&error))))?;
    let acl = Arc::new(acl::from_config(&loaded.generic).map_err(Fatal::Log)?);
    let tls = load_tls(&loaded.generic)?;
    let settings = server_settings(&loaded.generic, maxclients, Arc::clone(&acl));
    let mut settings = Settings { tls: tls.clone(), ..settings };
    let listeners = server::bind(&settings).map_err(|error| Fatal::Log(error.to_string()))?;
    let unix = server::bind_unix(&settings)
        .map_err(|reason| Fatal::Log(format!("Failed opening Unix socket: {reason}")))?;
    if listeners.is_empty() && unix.is_none() {
        return Err(Fatal::Log("Configured to not listen anywhere, exiting.".into()));
    }
    let socket_file = unix.as_ref().map(UnixSocket::file);
    let pid_file = PidFile::write(loaded.generic.pidfile.as_deref());
    let mut saver = Saver::new(Disk, Formats { generic: loaded.generic.clone(), acl }, config.clone());
    let my_id = settle_identity(&mut loaded, &mut saver)?;
    let supervisor = supervision.who();
    let executable = executable(&launch.program);
    settings = Settings { my_id, config_file: config, executable, supervisor, ..settings };

    let hub = Hub::new();
    let log = logging.log.clone();
    let (script_sender, scripts) = mpsc::channel(SCRIPT_EVENTS);
    let (name_sender, names) = mpsc::channel(NAME_ANSWERS);
    let figures = Arc::clone(&settings.figures);
    let (scripts_out, resolver) = (Scripts::new(script_sender), Resolver::new(name_sender));
    let outside = Outside { hub: hub.clone(), figures, scripts: scripts_out, resolver, logging };
    let mut engine = start_engine(&loaded, tls, saver, outside, scripts, names)?;
    let (stop_server, server_stopped) = watch::channel(false);
    let (asked_to_stop, mut stop_asked) = mpsc::channel(STOP_QUEUE);
    let on_shutdown = move || {
        // Full means that somebody asked before.
        let _ = asked_to_stop.try_send(());
    };
    let handle = engine.handle.clone();
    let serving = server::serve(listeners, unix, settings, handle, hub, server_stopped, on_shutdown);
    let serving = tokio::spawn(serving);
    oom::adjust(&loaded.generic);
    supervision.ready();
    if detached {
        daemon::let_go().map_err(|error| Fatal::Log(format!("No /dev/null: {}", strerror(&error))))?;
    }

    tokio::select! {
        wish = signals.next() => {
            if let Some(log) = &log {
                wish.log(log);
            }
        }
        _ = stop_asked.recv() => {}
        ended = &mut engine.task => {
            return Err(Fatal::Log(format!("Internal error: the engine has ended ({ended:?}). Exiting...")));
        }
    }
    supervision.stopping();
    tokio::select! {
        code = end(engine, stop_server, serving, &pid_file, socket_file.as_ref()) => Ok(code),
        code = insist(&mut signals, log.as_ref()) => Ok(code),
    }
}

/// An engine at work.
struct Running {
    handle: EngineHandle,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Writer>,
}

fn start_engine(
    loaded: &Loaded,
    tls: Option<Arc<Tls>>,
    saver: Saver<Disk, Formats>,
    outside: Outside,
    scripts: mpsc::Receiver<ScriptEvent>,
    names: mpsc::Receiver<Resolved>,
) -> Result<Running, Fatal> {
    let (link_sender, links) = mpsc::channel(LINK_EVENTS);
    let (asked_sender, asked) = mpsc::channel(COMMANDS);
    let (saved_sender, saved) = mpsc::channel(SAVE_RESULTS);
    let (stop, stopped) = oneshot::channel();
    let writer = save::spawn(saver, saved_sender)
        .map_err(|error| Fatal::Log(format!("No thread for saving: {}", strerror(&error))))?;
    let options =
        Options { source: source_addr(&loaded.generic), tls: tls.filter(|tls| tls.config().replication) };
    let mut seed = [0_u8; 8];
    random(&mut seed)?;

    let views = Views::default();
    let clock = Clock::start();
    let engine = Engine::new(loaded.state.clone(), u64::from_le_bytes(seed), Time(0));
    let links_out = TcpLinks::new(options, link_sender);
    let inboxes = Inboxes { links, asked, scripts, names, saved };
    let driver = Driver::new(engine, clock, inboxes, links_out, writer, views.clone(), outside);
    let task = tokio::spawn(driver.run(stopped));
    Ok(Running { handle: EngineHandle::new(asked_sender, views), stop, task })
}

/// Source: spec 01, section 4.
async fn end(
    engine: Running,
    stop_server: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
    pid_file: &PidFile,
    socket_file: Option<&server::SocketFile>,
) -> u8 {
    tracing::info!("User requested shutdown...");
    // The order of the end matters to nobody outside: what was promised is on disk already.
    let _ = engine.stop.send(());
    if let Ok(Ok(writer)) = tokio::time::timeout(END_PATIENCE, engine.task).await {
        let _ = tokio::task::spawn_blocking(move || writer.finish(END_PATIENCE)).await;
    }
    let _ = stop_server.send(true);
    let _ = tokio::time::timeout(END_PATIENCE, serving).await;
    pid_file.remove();
    if let Some(file) = socket_file {
        file.remove();
    }
    tracing::warn!("Sentinel is now ready to exit, bye bye...");
    0
}

/// Waits for the second SIGINT.
async fn insist(signals: &mut Signals, log: Option<&Log>) -> u8 {
    loop {
        let wish = signals.next().await;
        if let Some(log) = log {
            wish.log(log);
        }
        if wish == Wish::Insist {
            return 1;
        }
    }
}

/// The certificates, which are watched from now on; `None` where nothing uses TLS.
fn load_tls(generic: &Generic) -> Result<Option<Arc<Tls>>, Fatal> {
    let config = generic.tls();
    if !config.is_on() {
        return Ok(None);
    }
    let tls = Tls::new(config).map_err(|error| {
        Fatal::Log(format!("{error}\nFailed to configure TLS. Check logs for more info."))
    })?;
    if tls.config().replication && !tls.config().check_hostnames {
        tracing::info!(
            "TLS: nodes and sentinels must show certificates of a CA that is configured here, for whatever host (as \
             in redis-sentinel). With 'vigia.tls-check-hostnames yes' they must name the host as well."
        );
    }
    let tls = Arc::new(tls);
    tokio::spawn(tls::watch(Arc::clone(&tls)));
    Ok(Some(tls))
}

fn source_addr(generic: &Generic) -> Option<std::net::IpAddr> {
    let text = generic.bind_source_addr.as_deref().filter(|text| !text.is_empty())?;
    let parsed = text.parse();
    if parsed.is_err() {
        tracing::warn!("bind-source-addr '{text}' is not an IP address and is not used");
    }
    parsed.ok()
}

fn server_settings(generic: &Generic, maxclients: u64, acl: Arc<Acl>) -> Settings {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut settings = Settings::new(RunId::from(""));
    settings.port = generic.port;
    settings.tls_port = generic.tls().port;
    settings.bind.clone_from(&generic.bind);
    settings.protected_mode = generic.protected_mode;
    settings.maxclients = size(maxclients);
    settings.timeout_secs = generic.timeout.into();
    settings.tcp_keepalive_secs = generic.tcp_keepalive.into();
    settings.tcp_backlog = generic.tcp_backlog;
    settings.acl = acl;
    settings.product = generic.product;
    let raw = |name: &str| generic.raw.get(name).and_then(|lines| lines.last()?.first());
    settings.extended_redis_compatibility =
        raw("extended-redis-compatibility").is_some_and(|word| word.eq_ignore_ascii_case("yes"));
    let hz = raw("hz").and_then(|word| word.parse().ok());
    settings.hz = hz.unwrap_or(settings.hz).clamp(MIN_HZ, MAX_HZ);
    settings.unixsocket.clone_from(&generic.unixsocket);
    settings.unixsocketperm = generic.unixsocketperm;
    settings.unixsocketgroup = raw("unixsocketgroup").cloned();
    settings.renames = Renames::new(&generic.renamed_commands);
    settings.limits.normal_hard = size(generic.normal_limit.hard);
    settings.limits.normal_soft = size(generic.normal_limit.soft);
    settings.limits.normal_soft_for = Duration::from_secs(generic.normal_limit.soft_seconds);
    settings.limits.pubsub_hard = size(generic.pubsub_limit.hard);
    settings.limits.pubsub_soft = size(generic.pubsub_limit.soft);
    settings.limits.pubsub_soft_for = Duration::from_secs(generic.pubsub_limit.soft_seconds);
    settings.limits.request.max_bulk_len = size(generic.proto_max_bulk_len);
    settings.limits.request.max_query_buffer = size(generic.client_query_buffer_limit);
    settings
}
