//! The one table of generic directives.
//!
//! Names, ranges and words are those that redis-server 7.0.15 itself reports; newer names follow
//! spec 01, section 7.

use Kind::{
    Bind, Bool, BufferLimit, Dir, Enum, FileName, Flags, Hostname, Int, KeyspaceEvents, Memory,
    MemoryOrPercent, Octal, OomValues, Percentiles, ReplicaOf, Save, Text, TitleTemplate,
};

/// What a directive takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A number in a range.
    Int(i64, i64),
    /// Mode bits in octal, up to 777.
    Octal,
    /// Bytes, at least this many.
    Memory(u64),
    /// Bytes, or a percentage up to 100.
    MemoryOrPercent,
    /// One of these words, in any case.
    Enum(&'static [&'static str]),
    /// Some of these words.
    Flags(&'static [&'static str]),
    /// One word, any.
    Text,
    /// A file name without a path; the word is how the error calls it.
    FileName(&'static str),
    /// A host name.
    Hostname,
    /// Addresses to listen on.
    Bind,
    /// `<class> <hard> <soft> <seconds>`, repeated.
    BufferLimit,
    /// The working directory.
    Dir,
    /// Numbers from 0 to 100.
    Percentiles,
    /// Letters that name events.
    KeyspaceEvents,
    /// Three numbers from -2000 to 2000.
    OomValues,
    /// `<seconds> <changes>` pairs; checked, then dropped.
    Save,
    /// `<host> <port>` or `no one`.
    ReplicaOf,
    /// Text with `{variables}` of the process title.
    TitleTemplate,
}

/// One directive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directive {
    /// Its main name, lower-case.
    pub(super) name: &'static str,
    /// Older names.
    pub(super) aliases: &'static [&'static str],
    /// What it takes.
    pub(super) kind: Kind,
    /// Words in force without a line, as they would be written; `None` is "not set".
    pub(super) default: Option<&'static str>,
}

/// The directive of a lower-case name or alias.
pub(super) fn find(name: &str) -> Option<&'static Directive> {
    let is_named = |directive: &&Directive| directive.name == name || directive.aliases.contains(&name);
    match TABLE.binary_search_by(|directive| directive.name.cmp(name)) {
        Ok(at) => TABLE.get(at),
        Err(_) => TABLE.iter().find(is_named),
    }
}

/// Directives of the past that are accepted with one value and do nothing.
pub(super) const IGNORED: &[&str] =
    &["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];

const INT: i64 = 2_147_483_647;
const LONG: i64 = i64::MAX;
const LOGLEVELS: &[&str] = &["debug", "verbose", "notice", "warning", "nothing"];
const GUARDS: &[&str] = &["no", "yes", "local"];
const SHUTDOWN: &[&str] = &["default", "save", "nosave", "now", "force"];

const fn row(
    name: &'static str,
    aliases: &'static [&'static str],
    kind: Kind,
    default: Option<&'static str>,
) -> Directive {
    Directive { name, aliases, kind, default }
}

/// Every directive, by name.
pub(super) const TABLE: &[Directive] = &[
    row("acl-pubsub-default", &[], Enum(&["allchannels", "resetchannels"]), Some("resetchannels")),
    row("aclfile", &[], Text, Some("")),
    row("acllog-max-len", &[], Int(0, LONG), Some("128")),
    row("active-defrag-cycle-max", &[], Int(1, 99), Some("25")),
    row("active-defrag-cycle-min", &[], Int(1, 99), Some("1")),
    row("active-defrag-ignore-bytes", &[], Memory(1), Some("100mb")),
    row("active-defrag-max-scan-fields", &[], Int(1, LONG), Some("1000")),
    row("active-defrag-threshold-lower", &[], Int(0, 1_000), Some("10")),
    row("active-defrag-threshold-upper", &[], Int(0, 1_000), Some("100")),
    row("active-expire-effort", &[], Int(1, 10), Some("1")),
    row("activedefrag", &[], Bool, Some("no")),
    row("activerehashing", &[], Bool, Some("yes")),
    row("always-show-logo", &[], Bool, Some("no")),
    row("aof-disable-auto-gc", &[], Bool, Some("no")),
    row("aof-load-truncated", &[], Bool, Some("yes")),
    row("aof-rewrite-cpulist", &["aof_rewrite_cpulist"], Text, None),
    row("aof-rewrite-incremental-fsync", &[], Bool, Some("yes")),
    row("aof-timestamp-enabled", &[], Bool, Some("no")),
    row("aof-use-rdb-preamble", &[], Bool, Some("yes")),
    row("appenddirname", &[], FileName("dirname"), Some("appendonlydir")),
    row("appendfilename", &[], FileName("filename"), Some("appendonly.aof")),
    row("appendfsync", &[], Enum(&["everysec", "always", "no"]), Some("everysec")),
    row("appendonly", &[], Bool, Some("no")),
    row("auto-aof-rewrite-min-size", &[], Memory(0), Some("64mb")),
    row("auto-aof-rewrite-percentage", &[], Int(0, INT), Some("100")),
    row("availability-zone", &[], Text, Some("")),
    row("bgsave-cpulist", &["bgsave_cpulist"], Text, None),
    row("bind", &[], Bind, Some("* -::*")),
    row("bind-source-addr", &[], Text, None),
    row("bio-cpulist", &["bio_cpulist"], Text, None),
    row("busy-reply-threshold", &["lua-time-limit"], Int(0, LONG), Some("5000")),
    row("client-default-resp", &[], Int(2, 3), Some("2")),
    row("client-output-buffer-limit", &[], BufferLimit, None),
    row("client-query-buffer-limit", &[], Memory(1_048_576), Some("1gb")),
    row("cluster-allow-pubsubshard-when-down", &[], Bool, Some("yes")),
    row("cluster-allow-reads-when-down", &[], Bool, Some("no")),
    row("cluster-allow-replica-migration", &[], Bool, Some("yes")),
    row("cluster-announce-bus-port", &[], Int(0, 65_535), Some("0")),
    row("cluster-announce-client-ipv4", &[], Text, None),
    row("cluster-announce-client-ipv6", &[], Text, None),
    row("cluster-announce-hostname", &[], Hostname, None),
    row("cluster-announce-human-nodename", &[], Text, None),
    row("cluster-announce-ip", &[], Text, None),
    row("cluster-announce-port", &[], Int(0, 65_535), Some("0")),
    row("cluster-announce-tls-port", &[], Int(0, 65_535), Some("0")),
    row("cluster-blacklist-ttl", &[], Int(0, LONG), Some("60")),
    row("cluster-config-file", &[], Text, Some("nodes.conf")),
    row("cluster-enabled", &[], Bool, Some("no")),
    row("cluster-link-sendbuf-limit", &[], Memory(0), Some("0")),
    row("cluster-migration-barrier", &[], Int(0, INT), Some("1")),
    row("cluster-node-timeout", &[], Int(0, LONG), Some("15000")),
    row("cluster-ping-interval", &[], Int(1, INT), Some("1000")),
    row("cluster-port", &[], Int(0, 65_535), Some("0")),
    row("cluster-preferred-endpoint-type", &[], Enum(&["ip", "hostname", "unknown-endpoint"]), Some("ip")),
    row("cluster-replica-no-failover", &["cluster-slave-no-failover"], Bool, Some("no")),
    row("cluster-replica-validity-factor", &["cluster-slave-validity-factor"], Int(0, INT), Some("10")),
    row("cluster-require-full-coverage", &[], Bool, Some("yes")),
    row("cluster-slot-stats-enabled", &[], Bool, Some("no")),
    row("crash-log-enabled", &[], Bool, Some("yes")),
    row("crash-memcheck-enabled", &[], Bool, Some("yes")),
    row("daemonize", &[], Bool, Some("no")),
    row("databases", &[], Int(1, INT), Some("16")),
    row("dbfilename", &[], FileName("filename"), Some("dump.rdb")),
    row("debug-context", &[], Text, Some("")),
    row("dir", &[], Dir, None),
    row("disable-thp", &[], Bool, Some("yes")),
    row("dual-channel-replication-enabled", &[], Bool, Some("no")),
    row("dynamic-hz", &[], Bool, Some("yes")),
    row("enable-debug-assert", &[], Bool, Some("no")),
    row("enable-debug-command", &[], Enum(GUARDS), Some("no")),
    row("enable-module-command", &[], Enum(GUARDS), Some("no")),
    row("enable-protected-configs", &[], Enum(GUARDS), Some("no")),
    row("events-per-io-thread", &[], Int(0, INT), Some("2")),
    row("extended-redis-compatibility", &[], Bool, Some("no")),
    row("hash-max-listpack-entries", &["hash-max-ziplist-entries"], Int(0, LONG), Some("512")),
    row("hash-max-listpack-value", &["hash-max-ziplist-value"], Memory(0), Some("64")),
    row("hide-user-data-from-log", &[], Bool, Some("yes")),
    row("hll-sparse-max-bytes", &[], Memory(0), Some("3000")),
    row("hz", &[], Int(0, INT), Some("10")),
    row("ignore-warnings", &[], Text, Some("")),
    row("io-threads", &[], Int(1, 128), Some("1")),
    row("io-threads-do-reads", &[], Bool, Some("no")),
    row("jemalloc-bg-thread", &[], Bool, Some("yes")),
    row("key-load-delay", &[], Int(-2147483648, INT), Some("0")),
    row("latency-monitor-threshold", &[], Int(0, LONG), Some("0")),
    row("latency-tracking", &[], Bool, Some("yes")),
    row("latency-tracking-info-percentiles", &[], Percentiles, Some("50 99 99.9")),
    row("lazyfree-lazy-eviction", &[], Bool, Some("no")),
    row("lazyfree-lazy-expire", &[], Bool, Some("no")),
    row("lazyfree-lazy-server-del", &[], Bool, Some("no")),
    row("lazyfree-lazy-user-del", &[], Bool, Some("no")),
    row("lazyfree-lazy-user-flush", &[], Bool, Some("no")),
    row("lfu-decay-time", &[], Int(0, INT), Some("1")),
    row("lfu-log-factor", &[], Int(0, INT), Some("10")),
    row("list-compress-depth", &[], Int(0, INT), Some("0")),
    row("list-max-listpack-size", &["list-max-ziplist-size"], Int(-INT - 1, INT), Some("-2")),
    row("loading-process-events-interval-bytes", &[], Memory(1024), Some("2mb")),
    row("locale-collate", &[], Text, Some("")),
    row("log-format", &[], Enum(&["legacy", "logfmt"]), Some("legacy")),
    row("log-timestamp-format", &[], Enum(&["legacy", "iso8601", "milliseconds"]), Some("legacy")),
    row("logfile", &[], Text, Some("")),
    row("loglevel", &[], Enum(LOGLEVELS), Some("notice")),
    row("masterauth", &["primaryauth"], Text, None),
    row("masteruser", &["primaryuser"], Text, None),
    row("max-new-connections-per-cycle", &[], Int(1, 1000), Some("10")),
    row("max-new-tls-connections-per-cycle", &[], Int(1, 1000), Some("1")),
    row("maxclients", &[], Int(1, 4_294_967_295), Some("10000")),
    row("maxmemory", &[], Memory(0), Some("0")),
    row("maxmemory-clients", &[], MemoryOrPercent, Some("0")),
    row("maxmemory-eviction-tenacity", &[], Int(0, 100), Some("10")),
    row(
        "maxmemory-policy",
        &[],
        Enum(&[
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "noeviction",
        ]),
        Some("noeviction"),
    ),
    row("maxmemory-samples", &[], Int(1, INT), Some("5")),
    row("min-replicas-max-lag", &["min-slaves-max-lag"], Int(0, INT), Some("10")),
    row("min-replicas-to-write", &["min-slaves-to-write"], Int(0, INT), Some("0")),
    row("no-appendfsync-on-rewrite", &[], Bool, Some("no")),
    row("notify-keyspace-events", &[], KeyspaceEvents, Some("")),
    row("oom-score-adj", &[], Enum(&["no", "yes", "relative", "absolute"]), Some("no")),
    row("oom-score-adj-values", &[], OomValues, Some("0 200 800")),
    row("pidfile", &[], Text, None),
    row("port", &[], Int(0, 65_535), Some("26379")),
    row("prefetch-batch-max-size", &[], Int(0, 128), Some("16")),
    row("proc-title-template", &[], TitleTemplate, Some("{title} {listen-addr} {server-mode}")),
    row("propagation-error-behavior", &[], Enum(&["ignore", "panic", "panic-on-replicas"]), Some("ignore")),
    row("protected-mode", &[], Bool, Some("no")),
    row("proto-max-bulk-len", &[], Memory(1_048_576), Some("512mb")),
    row("rdb-del-sync-files", &[], Bool, Some("no")),
    row("rdb-key-save-delay", &[], Int(-2147483648, INT), Some("0")),
    row("rdb-save-incremental-fsync", &[], Bool, Some("yes")),
    row("rdbchecksum", &[], Bool, Some("yes")),
    row("rdbcompression", &[], Bool, Some("yes")),
    row("repl-backlog-size", &[], Memory(1), Some("1mb")),
    row("repl-backlog-ttl", &[], Int(0, LONG), Some("3600")),
    row("repl-disable-tcp-nodelay", &[], Bool, Some("no")),
    row("repl-diskless-load", &[], Enum(&["disabled", "on-empty-db", "swapdb"]), Some("disabled")),
    row("repl-diskless-sync", &[], Bool, Some("yes")),
    row("repl-diskless-sync-delay", &[], Int(0, INT), Some("5")),
    row("repl-diskless-sync-max-replicas", &[], Int(0, INT), Some("0")),
    row("repl-ping-replica-period", &["repl-ping-slave-period"], Int(1, INT), Some("10")),
    row("repl-timeout", &[], Int(1, INT), Some("60")),
    row("replica-announce-ip", &["slave-announce-ip"], Text, None),
    row("replica-announce-port", &["slave-announce-port"], Int(0, 65_535), Some("0")),
    row("replica-announced", &[], Bool, Some("yes")),
    row("replica-ignore-disk-write-errors", &[], Bool, Some("no")),
    row("replica-ignore-maxmemory", &["slave-ignore-maxmemory"], Bool, Some("yes")),
    row("replica-lazy-flush", &["slave-lazy-flush"], Bool, Some("no")),
    row("replica-priority", &["slave-priority"], Int(0, INT), Some("100")),
    row("replica-read-only", &["slave-read-only"], Bool, Some("yes")),
    row("replica-serve-stale-data", &["slave-serve-stale-data"], Bool, Some("yes")),
    row("replicaof", &["slaveof"], ReplicaOf, None),
    row("req-res-logfile", &[], Text, None),
    row("requirepass", &[], Text, None),
    row("sanitize-dump-payload", &[], Enum(&["no", "yes", "clients"]), Some("no")),
    row("save", &[], Save, None),
    row("server-cpulist", &["server_cpulist"], Text, None),
    row("set-max-intset-entries", &[], Int(0, LONG), Some("512")),
    row("set-max-listpack-entries", &[], Int(0, LONG), Some("128")),
    row("set-max-listpack-value", &[], Memory(0), Some("64")),
    row("set-proc-title", &[], Bool, Some("yes")),
    row("shutdown-on-sigint", &[], Flags(SHUTDOWN), Some("default")),
    row("shutdown-on-sigterm", &[], Flags(SHUTDOWN), Some("default")),
    row("shutdown-timeout", &[], Int(0, INT), Some("10")),
    row("slowlog-log-slower-than", &[], Int(-1, LONG), Some("10000")),
    row("slowlog-max-len", &[], Int(0, LONG), Some("128")),
    row("socket-mark-id", &[], Int(0, 4_294_967_295), Some("0")),
    row("stop-writes-on-bgsave-error", &[], Bool, Some("yes")),
    row("stream-node-max-bytes", &[], Memory(0), Some("4kb")),
    row("stream-node-max-entries", &[], Int(0, LONG), Some("100")),
    row("supervised", &[], Enum(&["upstart", "systemd", "auto", "no"]), Some("no")),
    row("syslog-enabled", &[], Bool, Some("no")),
    row(
        "syslog-facility",
        &[],
        Enum(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]),
        Some("local0"),
    ),
    row("syslog-ident", &[], Text, Some("redis")),
    row("tcp-backlog", &[], Int(0, INT), Some("511")),
    row("tcp-keepalive", &[], Int(0, INT), Some("300")),
    row("timeout", &[], Int(0, INT), Some("0")),
    row("tls-auth-clients", &[], Enum(&["no", "yes", "optional"]), Some("yes")),
    row("tls-ca-cert-dir", &[], Text, None),
    row("tls-ca-cert-file", &[], Text, None),
    row("tls-cert-file", &[], Text, None),
    row("tls-ciphers", &[], Text, None),
    row("tls-ciphersuites", &[], Text, None),
    row("tls-client-cert-file", &[], Text, None),
    row("tls-client-key-file", &[], Text, None),
    row("tls-client-key-file-pass", &[], Text, None),
    row("tls-cluster", &[], Bool, Some("no")),
    row("tls-dh-params-file", &[], Text, None),
    row("tls-key-file", &[], Text, None),
    row("tls-key-file-pass", &[], Text, None),
    row("tls-port", &[], Int(0, 65_535), Some("0")),
    row("tls-prefer-server-ciphers", &[], Bool, Some("no")),
    row("tls-protocols", &[], Text, None),
    row("tls-replication", &[], Bool, Some("no")),
    row("tls-session-cache-size", &[], Int(0, INT), Some("20480")),
    row("tls-session-cache-timeout", &[], Int(0, INT), Some("300")),
    row("tls-session-caching", &[], Bool, Some("yes")),
    row("tracking-table-max-keys", &[], Int(0, LONG), Some("1000000")),
    row("unixsocket", &[], Text, None),
    row("unixsocketgroup", &[], Text, None),
    row("unixsocketperm", &[], Octal, Some("0")),
    row("use-exit-on-panic", &[], Bool, Some("no")),
    row(super::tls::CHECK_HOSTNAMES, &[], Bool, Some("no")),
    row("watchdog-period", &[], Int(0, INT), Some("0")),
    row("zset-max-listpack-entries", &["zset-max-ziplist-entries"], Int(0, LONG), Some("128")),
    row("zset-max-listpack-value", &["zset-max-ziplist-value"], Memory(0), Some("64")),
];

#[cfg(test)]
mod tests {
    use super::super::values::normalise;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_name_is_found() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        for directive in TABLE {
            for name in directive.aliases.iter().chain([&directive.name]) {
                assert_eq!(find(name).map(|found| found.name), Some(directive.name));
            }
        }
        assert!(find("nonsense").is_none());
    }

    #[test]
    fn every_default_is_valid_and_in_its_normal_form() {
        for directive in TABLE {
            let Some(default) = directive.default else { continue };
            let is_text = matches!(directive.kind, Kind::Text | Kind::TitleTemplate);
            let is_one_word = is_text || default.is_empty();
            let words: Vec<String> = if is_one_word {
                vec![default.to_owned()]
            } else {
                default.split(' ').map(str::to_owned).collect()
            };
            assert_eq!(normalise(directive, &words), Ok(words.clone()), "{}", directive.name);
        }
    }
}
