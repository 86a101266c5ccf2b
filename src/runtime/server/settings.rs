//! What the server must be told.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::renames::Renames;
use crate::engine::settings::defaults;
use crate::engine::{self, RunId, Time};
use crate::product::Product;
use crate::runtime::acl::Acl;
use crate::runtime::tls::Tls;
use crate::wire::Limits as RequestLimits;

/// Settings of the listening side of the process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `port`, default 26379; 0 listens nowhere.
    pub port: u16,
    /// `tls-port`, default 0: listens nowhere; otherwise `tls` must be there.
    pub tls_port: u16,
    /// How TLS is spoken.
    pub tls: Option<Arc<Tls>>,
    /// `bind`, default `*` and `-::*`; a `-` in front means "ignore if not available".
    pub bind: Vec<String>,
    /// `protected-mode`, default no.
    pub protected_mode: bool,
    /// `maxclients`, default 10 000; lowered by the caller when the descriptor limit is.
    pub maxclients: usize,
    /// `timeout`: seconds after which an idle client is closed, default 0 (never); subscribers are
    /// exempt.
    pub timeout_secs: u64,
    /// `tcp-keepalive` in seconds, default 300; 0 is off.
    pub tcp_keepalive_secs: u64,
    /// `tcp-backlog`, default 511.
    pub tcp_backlog: u32,
    /// `unixsocket`, if set.
    pub unixsocket: Option<String>,
    /// `unixsocketperm`: mode bits of its file; 0, the default, leaves them to the umask.
    pub unixsocketperm: u32,
    /// `unixsocketgroup`: group of its file, if set.
    pub unixsocketgroup: Option<String>,
    /// `rename-command` of our own commands.
    pub renames: Renames,
    /// Bounds per client.
    pub limits: Limits,
    /// Who may log in and do what; default is stock's `default` user alone.
    pub acl: Arc<Acl>,
    /// `myid`: what `SENTINEL MYID` answers.
    pub my_id: RunId,
    /// Absolute path of the configuration file.
    pub config_file: PathBuf,
    /// Absolute path of this program.
    pub executable: PathBuf,
    /// As what the server introduces itself.
    pub product: Product,
    /// Who supervises the process; only shown.
    pub supervisor: Supervisor,
    /// `extended-redis-compatibility`, default no: as `valkey-sentinel`, `HELLO` says that it is Redis.
    pub extended_redis_compatibility: bool,
    /// `hz` as configured, default 10; only shown.
    pub hz: u32,
    /// Figures of `INFO` that others keep.
    pub figures: Arc<Figures>,
}

impl Settings {
    /// The port that is shown where there is room for one: `port`, or `tls-port` where that is 0.
    pub fn shown_port(&self) -> u16 {
        if self.port == 0 { self.tls_port } else { self.port }
    }

    /// The defaults for a sentinel with this identity.
    pub fn new(my_id: RunId) -> Self {
        Self {
            port: defaults::PORT,
            tls_port: 0,
            tls: None,
            bind: vec!["*".to_owned(), "-::*".to_owned()],
            protected_mode: false,
            maxclients: 10_000,
            timeout_secs: 0,
            tcp_keepalive_secs: 300,
            tcp_backlog: 511,
            unixsocket: None,
            unixsocketperm: 0,
            unixsocketgroup: None,
            renames: Renames::default(),
            limits: Limits::default(),
            acl: Arc::default(),
            my_id,
            config_file: PathBuf::new(),
            executable: PathBuf::new(),
            product: Product::default(),
            supervisor: Supervisor::No,
            extended_redis_compatibility: false,
            hz: 10,
            figures: Arc::default(),
        }
    }
}

/// Who supervises the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Supervisor {
    /// Nobody.
    No,
    /// systemd.
    Systemd,
    /// upstart.
    Upstart,
}

impl Supervisor {
    /// The word in `INFO`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Systemd => "systemd",
            Self::Upstart => "upstart",
        }
    }
}

impl Settings {
    /// As what `HELLO` and `INFO` introduce the server. Source: spec 08, section 4.
    pub fn introduced_as(&self) -> Product {
        match self.product {
            Product::Valkey if self.extended_redis_compatibility => Product::Redis,
            product @ (Product::Vigia | Product::Redis | Product::Valkey) => product,
        }
    }
}

/// Bounds per client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `client-output-buffer-limit pubsub`, hard: bytes queued for a subscriber that end its
    /// connection at once, default 32 MiB; 0 is off.
    pub pubsub_hard: usize,
    /// The same, soft: bytes that end it when they last for `pubsub_soft_for`, default 8 MiB; 0 is
    /// off.
    pub pubsub_soft: usize,
    /// How long the soft limit may be exceeded, default 60 s.
    pub pubsub_soft_for: Duration,
    /// `client-output-buffer-limit normal`: the same for a client without subscriptions, default off. Such a
    /// client is not read from while 1 MiB waits for it, so that only a larger reply can reach a larger limit.
    pub normal_hard: usize,
    /// The same, soft.
    pub normal_soft: usize,
    /// How long that one may be exceeded.
    pub normal_soft_for: Duration,
    /// What one request may weigh.
    pub request: RequestLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pubsub_hard: 32 << 20,
            pubsub_soft: 8 << 20,
            pubsub_soft_for: Duration::from_secs(60),
            normal_hard: 0,
            normal_soft: 0,
            normal_soft_for: Duration::ZERO,
            request: RequestLimits::default(),
        }
    }
}

/// Figures of `INFO` whose owners are elsewhere in the process; each is one relaxed atomic, but for the
/// present TILT.
#[derive(Debug, Default)]
pub struct Figures {
    /// Its name, and when it was heard of.
    tilt: Mutex<Option<(Time, Instant)>>,
    tilts: AtomicU64,
    running_scripts: AtomicU64,
    queued_scripts: AtomicU64,
    simulate_failure: AtomicU8,
}

impl Figures {
    /// Takes over what the engine tells.
    pub fn show(&self, figures: engine::Figures) {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.simulate_failure.store(figures.simulate_failure, Ordering::Relaxed);
        self.running_scripts.store(number(figures.running_scripts), Ordering::Relaxed);
        self.queued_scripts.store(number(figures.queued_scripts), Ordering::Relaxed);
        self.tilts.store(figures.tilts, Ordering::Relaxed);
        let mut tilt = self.tilt.lock().unwrap_or_else(PoisonError::into_inner);
        if tilt.map(|(since, _)| since) != figures.tilt {
            *tilt = figures.tilt.map(|since| (since, Instant::now()));
        }
    }

    /// `sentinel_simulate_failure_flags`.
    pub fn simulate_failure(&self) -> u8 {
        self.simulate_failure.load(Ordering::Relaxed)
    }

    /// Running scripts, queued scripts.
    pub fn scripts(&self) -> (u64, u64) {
        (self.running_scripts.load(Ordering::Relaxed), self.queued_scripts.load(Ordering::Relaxed))
    }

    /// Whole seconds since TILT began; `None` when there is none.
    pub fn tilt_secs(&self) -> Option<u64> {
        let tilt = self.tilt.lock().unwrap_or_else(PoisonError::into_inner);
        tilt.map(|(_, heard)| heard.elapsed().as_secs())
    }

    /// `sentinel_total_tilt`.
    pub fn tilts(&self) -> u64 {
        self.tilts.load(Ordering::Relaxed)
    }
}
