//! Every setting that is not a `sentinel` line.

use std::collections::BTreeMap;

use super::users::UserLine;
use crate::engine::settings::{LogLevel, defaults};
use crate::product::Product;

/// The generic settings of the process, typed where this program uses them.
///
/// Source: spec 01, section 7 (names and defaults).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Generic {
    /// `port`; 0 disables plain TCP. Default 26379.
    pub port: u16,
    /// `bind`: addresses to listen on; a leading `-` means "skip if not available". Default `*`, `-::*`.
    pub bind: Vec<String>,
    /// `bind-source-addr`: source address of outgoing links, if set.
    pub bind_source_addr: Option<String>,
    /// `protected-mode`. Default no.
    pub protected_mode: bool,
    /// `maxclients`. Default 10000.
    pub maxclients: u32,
    /// `timeout`: idle close in seconds, 0 (the default) never.
    pub timeout: u32,
    /// `tcp-keepalive` of accepted connections in seconds, 0 is off. Default 300.
    pub tcp_keepalive: u32,
    /// `tcp-backlog`. Default 511.
    pub tcp_backlog: u32,
    /// `loglevel`. Default notice.
    pub loglevel: LogLevel,
    /// `logfile`; empty (the default) is standard output.
    pub logfile: String,
    /// `syslog-enabled`. Default no.
    pub syslog_enabled: bool,
    /// `syslog-ident`. Default `redis`.
    pub syslog_ident: String,
    /// `syslog-facility`: `user` or `local0` (the default) to `local7`.
    pub syslog_facility: String,
    /// `pidfile`, if set.
    pub pidfile: Option<String>,
    /// `daemonize`. Default no.
    pub daemonize: bool,
    /// `supervised`. Default no.
    pub supervised: Supervised,
    /// `dir`: what [`Sources::change_dir`](super::Sources::change_dir) returned for the last line.
    /// Set it to the absolute working directory before [`rewrite()`](super::rewrite()).
    pub dir: Option<String>,
    /// Whose names are written where the two originals differ. Set it before
    /// [`rewrite()`](super::rewrite()) as well.
    pub product: Product,
    /// `requirepass`, if set: password of the default user unless a `user` line or an ACL file makes it;
    /// also used towards other sentinels.
    pub requirepass: Option<String>,
    /// The `user` lines, in file order; for [`rewrite()`](super::rewrite()) those to be written.
    pub users: Vec<UserLine>,
    /// `unixsocket`, if set.
    pub unixsocket: Option<String>,
    /// `unixsocketperm`: mode bits, 0 (the default) leaves them alone.
    pub unixsocketperm: u32,
    /// `client-output-buffer-limit pubsub`. Default 32 MiB, 8 MiB for 60 s.
    pub pubsub_limit: BufferLimit,
    /// `client-output-buffer-limit normal`. Default none.
    pub normal_limit: BufferLimit,
    /// `proto-max-bulk-len` in bytes. Default 512 MiB.
    pub proto_max_bulk_len: u64,
    /// `client-query-buffer-limit` in bytes. Default 1 GiB.
    pub client_query_buffer_limit: u64,
    /// `always-show-logo`. Default no.
    pub always_show_logo: bool,
    /// `rename-command OLD NEW` of this server's own commands, in file order; an empty new name
    /// removes the command.
    pub renamed_commands: Vec<(String, String)>,
    /// Patterns of `include` lines of the configuration itself whose files monitor masters. A rewrite copies
    /// those masters into the file; stock, which does so too, refuses its own file at the next start
    /// (`Duplicate master name.`). So the line is rewritten as `vigia.include`: we go on reading the files, and
    /// stock, which lets such names pass, reads the copy.
    pub copied_includes: Vec<String>,
    /// All other known directives under their main names (`tls-*` too): the words after the name,
    /// one entry per line in force, normalised. A directive at its default has no entry.
    pub raw: BTreeMap<String, Vec<Vec<String>>>,
}

/// A `client-output-buffer-limit`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BufferLimit {
    /// Bytes at which a client is closed at once; 0 is off.
    pub hard: u64,
    /// Bytes at which a client is closed after `soft_seconds`; 0 is off.
    pub soft: u64,
    /// Seconds above `soft` that are tolerated.
    pub soft_seconds: u64,
}

/// `supervised`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Supervised {
    /// `no`, the default.
    No,
    /// `upstart`.
    Upstart,
    /// `systemd`.
    Systemd,
    /// `auto`: what the environment says.
    Auto,
}

impl Supervised {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Upstart => "upstart",
            Self::Systemd => "systemd",
            Self::Auto => "auto",
        }
    }

    /// The mode of a word, ignoring case.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::No, Self::Upstart, Self::Systemd, Self::Auto];
        all.into_iter().find(|mode| mode.as_str().eq_ignore_ascii_case(word))
    }
}

impl Default for Generic {
    fn default() -> Self {
        Self {
            port: defaults::PORT,
            bind: vec!["*".into(), "-::*".into()],
            bind_source_addr: None,
            protected_mode: false,
            maxclients: 10_000,
            timeout: 0,
            tcp_keepalive: 300,
            tcp_backlog: 511,
            loglevel: LogLevel::Notice,
            logfile: String::new(),
            syslog_enabled: false,
            syslog_ident: "redis".into(),
            syslog_facility: "local0".into(),
            pidfile: None,
            daemonize: false,
            supervised: Supervised::No,
            dir: None,
            product: Product::default(),
            requirepass: None,
            users: Vec::new(),
            unixsocket: None,
            unixsocketperm: 0,
            pubsub_limit: BufferLimit { hard: 32 << 20, soft: 8 << 20, soft_seconds: 60 },
            normal_limit: BufferLimit::default(),
            proto_max_bulk_len: 512 << 20,
            client_query_buffer_limit: 1 << 30,
            always_show_logo: false,
            renamed_commands: Vec::new(),
            copied_includes: Vec::new(),
            raw: BTreeMap::new(),
        }
    }
}
