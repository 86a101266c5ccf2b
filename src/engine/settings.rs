//! What an operator can set, with one table of defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ids::RunId;
use super::time::Millis;

/// Defaults of the per-master options. Source: spec 01, section 5.3.
pub mod defaults {
    use super::Millis;

    /// `down-after-milliseconds`.
    pub const DOWN_AFTER: Millis = Millis(30_000);
    /// `failover-timeout`.
    pub const FAILOVER_TIMEOUT: Millis = Millis(180_000);
    /// `parallel-syncs`.
    pub const PARALLEL_SYNCS: u32 = 1;
    /// `master-reboot-down-after-period`; 0 is off.
    pub const REBOOT_DOWN_AFTER: Millis = Millis(0);
    /// Port a sentinel listens on.
    pub const PORT: u16 = 26_379;
}

/// Options of one monitored master.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MasterSettings {
    /// Sentinels that must agree on SDOWN before the master is ODOWN; at least 1.
    pub quorum: u32,
    /// `down-after-milliseconds` (D); at least 1, default 30 000.
    pub down_after: Millis,
    /// `failover-timeout`; at least 1, default 180 000.
    pub failover_timeout: Millis,
    /// `parallel-syncs`: replicas reconfigured at a time, default 1; 0 (or a negative number in the
    /// file) reconfigures none until the failover times out.
    pub parallel_syncs: u32,
    /// `notification-script`, if set.
    pub notification_script: Option<Arc<str>>,
    /// `client-reconfig-script`, if set.
    pub client_reconfig_script: Option<Arc<str>>,
    /// `auth-user` towards the master and its replicas; only used together with `auth_pass`.
    pub auth_user: Option<Arc<str>>,
    /// `auth-pass` towards the master and its replicas.
    pub auth_pass: Option<Arc<str>>,
    /// `master-reboot-down-after-period`; 0 (the default) is off.
    pub reboot_down_after: Millis,
    /// `rename-command`: lower-case original name to the new name.
    pub renames: Renames,
}

/// Renamed commands of the data nodes of one master: lower-case original to new name.
pub type Renames = Arc<BTreeMap<Box<str>, Arc<str>>>;

impl MasterSettings {
    /// The defaults with the one option that has none.
    pub fn new(quorum: u32) -> Self {
        Self {
            quorum,
            down_after: defaults::DOWN_AFTER,
            failover_timeout: defaults::FAILOVER_TIMEOUT,
            parallel_syncs: defaults::PARALLEL_SYNCS,
            notification_script: None,
            client_reconfig_script: None,
            auth_user: None,
            auth_pass: None,
            reboot_down_after: defaults::REBOOT_DOWN_AFTER,
            renames: Renames::default(),
        }
    }
}

/// Options of the whole process that the engine must know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Globals {
    /// `myid`: this sentinel's identity.
    pub my_id: RunId,
    /// Port that hellos announce when `announce_port` is unset.
    pub port: u16,
    /// `announce-ip`, if set.
    pub announce_ip: Option<Arc<str>>,
    /// `announce-port`, if set (0 in the file means unset).
    pub announce_port: Option<u16>,
    /// `sentinel-user` towards other sentinels.
    pub sentinel_user: Option<Arc<str>>,
    /// `sentinel-pass` towards other sentinels.
    pub sentinel_pass: Option<Arc<str>>,
    /// Generic `requirepass`: password towards other sentinels when `sentinel_pass` is unset.
    pub requirepass: Option<Arc<str>>,
    /// `resolve-hostnames`, default no.
    pub resolve_hostnames: bool,
    /// `announce-hostnames`, default no.
    pub announce_hostnames: bool,
    /// `deny-scripts-reconfig`, default yes.
    pub deny_scripts_reconfig: bool,
    /// `loglevel`, default notice. The engine does not log: it keeps the value that
    /// `SENTINEL CONFIG` shows, changes and saves.
    pub log_level: LogLevel,
}

impl Globals {
    /// The defaults for a sentinel with this identity.
    pub fn new(my_id: RunId) -> Self {
        Self {
            my_id,
            port: defaults::PORT,
            announce_ip: None,
            announce_port: None,
            sentinel_user: None,
            sentinel_pass: None,
            requirepass: None,
            resolve_hostnames: false,
            announce_hostnames: false,
            deny_scripts_reconfig: true,
            log_level: LogLevel::Notice,
        }
    }
}

/// `loglevel`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// `debug`.
    Debug,
    /// `verbose`.
    Verbose,
    /// `notice`, the default.
    Notice,
    /// `warning`.
    Warning,
    /// `nothing` (7.2 and later).
    Nothing,
}

impl LogLevel {
    /// The word in the file and in `SENTINEL CONFIG GET`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Verbose => "verbose",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Nothing => "nothing",
        }
    }

    /// The level of a word, ignoring case.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Debug, Self::Verbose, Self::Notice, Self::Warning, Self::Nothing];
        all.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(word))
    }
}
