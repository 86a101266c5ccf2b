//! `INFO`.
//!
//! Source: spec 02, section 11; client research, section 3.17.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Shared;
use super::listen::Kind;
use super::settings::Settings;
use crate::engine::MasterView;
use crate::product::{REDIS_VERSION, VALKEY_VERSION, VIGIA_VERSION};

/// Appends a section.
type Write = fn(&Shared, &mut String);

/// Sections in the order of output.
const SECTIONS: [(&str, Write); 5] =
    [("server", server), ("clients", clients), ("stats", stats), ("cpu", cpu), ("sentinel", sentinel)];

/// The text for these sections (lower-case names; none for the default).
pub(super) fn text(shared: &Shared, asked: &[String]) -> String {
    let all = asked.is_empty()
        || asked.iter().any(|name| matches!(name.as_str(), "all" | "default" | "everything"));
    let mut out = String::new();
    for (name, write) in SECTIONS {
        if all || asked.iter().any(|wanted| wanted == name) {
            if !out.is_empty() {
                out.push_str("\r\n");
            }
            write(shared, &mut out);
        }
    }
    out
}

/// Appends `name:value` lines. Writing to a string can't fail.
macro_rules! lines {
    ($out:expr, $($name:literal = $value:expr;)*) => {{ $(let _ = write!($out, concat!($name, ":{}\r\n"), $value);)* }};
}

fn server(shared: &Shared, out: &mut String) {
    let settings = &shared.settings;
    let uptime = shared.stats.started.elapsed().as_secs();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    out.push_str("# Server\r\n");
    lines! { out, "redis_version" = REDIS_VERSION; }
    if settings.product.is_valkey() {
        lines! { out, "server_name" = "valkey"; "valkey_version" = VALKEY_VERSION; }
    }
    lines! { out,
        "vigia_version" = VIGIA_VERSION;
        "redis_git_sha1" = "00000000";
        "redis_git_dirty" = 0;
        "redis_build_id" = "0";
    }
    if settings.introduced_as().is_valkey() {
        lines! { out, "server_mode" = "sentinel"; }
    } else {
        lines! { out, "redis_mode" = "sentinel"; }
    }
    lines! { out,
        "os" = os();
        "arch_bits" = usize::BITS;
        "monotonic_clock" = "POSIX clock_gettime";
        "multiplexing_api" = "epoll";
        "process_id" = std::process::id();
        "process_supervised" = settings.supervisor.as_str();
        "run_id" = shared.run_id;
        "tcp_port" = settings.shown_port();
        "server_time_usec" = wall.as_micros();
        "uptime_in_seconds" = uptime;
        "uptime_in_days" = uptime / 86_400;
        "hz" = settings.hz;
        "configured_hz" = settings.hz;
        "lru_clock" = wall.as_secs() & 0x00ff_ffff;
        "executable" = settings.executable.display();
        "config_file" = settings.config_file.display();
        "io_threads_active" = 0;
    }
    if settings.product.is_valkey() {
        lines! { out, "availability_zone" = ""; }
    }
    listeners(settings, out);
}

/// One line each, numbered without gaps. Source: spec 08, section 1.
fn listeners(settings: &Settings, out: &mut String) {
    let binds: String = settings.bind.iter().map(|host| format!(",bind={host}")).collect();
    let network =
        |kind: Kind, port: u16| (port != 0).then(|| format!("{}{binds},port={port}", kind.as_str()));
    let unix = settings.unixsocket.as_ref().map(|path| format!("unix,bind={path}"));
    let all = [network(Kind::Tcp, settings.port), unix, network(Kind::Tls, settings.tls_port)];
    for (number, listener) in all.into_iter().flatten().enumerate() {
        let _ = write!(out, "listener{number}:name={listener}\r\n");
    }
}

/// `Linux <release> <machine>`; the release is blank where there is no `/proc`.
fn os() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = if cfg!(target_os = "linux") { "Linux" } else { std::env::consts::OS };
    format!("{name} {} {}", release.trim(), std::env::consts::ARCH)
}

fn clients(shared: &Shared, out: &mut String) {
    let (stats, special) = (&shared.stats, shared.clients.special());
    out.push_str("# Clients\r\n");
    lines! { out,
        "connected_clients" = shared.clients.len();
        "cluster_connections" = 0;
        "maxclients" = shared.settings.maxclients;
        "client_recent_max_input_buffer" = stats.input.get();
        "client_recent_max_output_buffer" = stats.output.get();
        "blocked_clients" = special.blocked;
        "tracking_clients" = special.tracking;
        "pubsub_clients" = special.subscribers;
        "watching_clients" = 0;
        "clients_in_timeout_table" = 0;
        "total_watched_keys" = 0;
        "total_blocking_keys" = 0;
        "total_blocking_keys_on_nokey" = 0;
    }
}

/// Differs: counters of what a sentinel does not have (keys, replication, defragmentation...) are
/// left out.
fn stats(shared: &Shared, out: &mut String) {
    let stats = &shared.stats;
    let (channels, patterns) = shared.hub.counts();
    out.push_str("# Stats\r\n");
    lines! { out,
        "total_connections_received" = stats.connections.get();
        "total_commands_processed" = stats.commands.get();
        "instantaneous_ops_per_sec" = format_args!("{:.0}", stats.commands.per_second());
        "total_net_input_bytes" = stats.bytes_in.get();
        "total_net_output_bytes" = stats.bytes_out.get();
        "instantaneous_input_kbps" = format_args!("{:.2}", stats.bytes_in.per_second() / 1_024.0);
        "instantaneous_output_kbps" = format_args!("{:.2}", stats.bytes_out.per_second() / 1_024.0);
        "rejected_connections" = stats.rejected.get();
        "pubsub_channels" = channels;
        "pubsub_patterns" = patterns;
        "pubsubshard_channels" = 0;
        "unexpected_error_replies" = 0;
        "total_error_replies" = stats.errors.get();
        "total_reads_processed" = stats.reads.get();
        "total_writes_processed" = stats.writes.get();
        "client_query_buffer_limit_disconnections" = stats.too_much.get();
        "client_output_buffer_limit_disconnections" = stats.too_slow.get();
        "accept_failures" = stats.accept_failures.get();
        "acl_access_denied_auth" = shared.denied.auth.get();
        "acl_access_denied_cmd" = shared.denied.commands.get();
        "acl_access_denied_key" = 0;
        "acl_access_denied_channel" = shared.denied.channels.get();
    }
}

fn cpu(_shared: &Shared, out: &mut String) {
    use super::usage::{Usage, of};
    let time = |(seconds, micros): (i64, i64)| format!("{seconds}.{micros:06}");
    let (own, children, thread) = (of(Usage::Process), of(Usage::Children), of(Usage::Thread));
    out.push_str("# CPU\r\n");
    lines! { out,
        "used_cpu_sys" = time(own.system);
        "used_cpu_user" = time(own.user);
        "used_cpu_sys_children" = time(children.system);
        "used_cpu_user_children" = time(children.user);
        "used_cpu_sys_main_thread" = time(thread.system);
        "used_cpu_user_main_thread" = time(thread.user);
    }
}

fn sentinel(shared: &Shared, out: &mut String) {
    let masters = masters(shared);
    let figures = &shared.settings.figures;
    let (running, queued) = figures.scripts();
    let tilt = figures.tilt_secs();
    out.push_str("# Sentinel\r\n");
    lines! { out,
        "sentinel_masters" = masters.len();
        "sentinel_tilt" = i32::from(tilt.is_some());
        "sentinel_tilt_since_seconds" = tilt.map_or(-1, |secs| i64::try_from(secs).unwrap_or(i64::MAX));
        "sentinel_total_tilt" = figures.tilts();
        "sentinel_running_scripts" = running;
        "sentinel_scripts_queue_length" = queued;
        "sentinel_simulate_failure_flags" = figures.simulate_failure();
    }
    for (number, view) in masters.iter().enumerate() {
        let _ = write!(
            out,
            "master{number}:name={},status={},address={}:{},slaves={},sentinels={}\r\n",
            view.name,
            view.status.as_str(),
            view.configured.host,
            view.configured.port,
            view.replicas,
            view.sentinels,
        );
    }
}

/// The views, by name: a steady order, where stock's is that of a hash table.
pub(super) fn masters(shared: &Shared) -> Vec<Arc<MasterView>> {
    let mut all: Vec<_> = shared.handle.views().iter().map(|entry| Arc::clone(entry.value())).collect();
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    all
}
