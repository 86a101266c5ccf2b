//! The `sentinel` lines of the rewritten file.
//!
//! Source: spec 01, section 6.3 (order and exact text).

use super::rewrite::Page;
use super::words::{quote, quote_if_needed};
use crate::engine::settings::defaults;
use crate::engine::{Addr, MasterState, State};
use crate::product::Product;

/// Options whose lines belong to the rewrite, written or not.
const HANDLED: [&str; 23] = [
    "myid",
    "deny-scripts-reconfig",
    "resolve-hostnames",
    "announce-hostnames",
    "monitor",
    "down-after-milliseconds",
    "failover-timeout",
    "parallel-syncs",
    "notification-script",
    "client-reconfig-script",
    "auth-pass",
    "auth-user",
    "master-reboot-down-after-period",
    "config-epoch",
    "leader-epoch",
    "known-replica",
    "known-sentinel",
    "rename-command",
    "current-epoch",
    "announce-ip",
    "announce-port",
    "sentinel-user",
    "sentinel-pass",
];

/// Writes everything that `sentinel` lines hold.
pub(super) fn put_sentinel(page: &mut Page, state: &State, product: Product) {
    for option in HANDLED {
        page.handle(&format!("sentinel {option}"));
    }
    let globals = &state.globals;
    if !globals.my_id.is_empty() {
        put(page, "myid", &quote_if_needed(&globals.my_id));
    }
    put_flag(page, "deny-scripts-reconfig", globals.deny_scripts_reconfig, true);
    put_flag(page, "resolve-hostnames", globals.resolve_hostnames, false);
    put_flag(page, "announce-hostnames", globals.announce_hostnames, false);
    for master in &state.masters {
        put_master(page, master, product);
    }
    put(page, "current-epoch", &state.current_epoch.to_string());
    if let Some(ip) = &globals.announce_ip {
        put(page, "announce-ip", &quote(ip));
    }
    if let Some(port) = globals.announce_port.filter(|port| *port != 0) {
        put(page, "announce-port", &port.to_string());
    }
    if let Some(user) = globals.sentinel_user.as_ref().filter(|user| !user.is_empty()) {
        put(page, "sentinel-user", &quote_if_needed(user));
    }
    if let Some(password) = globals.sentinel_pass.as_ref().filter(|password| !password.is_empty()) {
        put(page, "sentinel-pass", &quote_if_needed(password));
    }
}

fn put_master(page: &mut Page, master: &MasterState, product: Product) {
    let name = quote_if_needed(&master.name);
    let settings = &master.settings;
    put(page, "monitor", &format!("{name} {} {}", host_port(&master.addr), settings.quorum));
    put_settings(page, &name, master, product);
    put(page, "config-epoch", &format!("{name} {}", master.config_epoch));
    put(page, "leader-epoch", &format!("{name} {}", master.leader_epoch));
    for replica in master.replicas.iter().filter(|replica| !replica.same_as(&master.addr)) {
        put(page, "known-replica", &format!("{name} {}", host_port(replica)));
    }
    for (run_id, addr) in master.sentinels.iter().filter(|(run_id, _)| !run_id.is_empty()) {
        let run_id = quote_if_needed(run_id);
        put(page, "known-sentinel", &format!("{name} {} {run_id}", host_port(addr)));
    }
    for (old, new) in settings.renames.iter() {
        let (old, new) = (quote_if_needed(old), quote_if_needed(new));
        put(page, "rename-command", &format!("{name} {old} {new}"));
    }
}

/// The options that stand in the file only when they are not at their default.
fn put_settings(page: &mut Page, name: &str, master: &MasterState, product: Product) {
    let settings = &master.settings;
    let times = [
        ("down-after-milliseconds", settings.down_after, defaults::DOWN_AFTER),
        ("failover-timeout", settings.failover_timeout, defaults::FAILOVER_TIMEOUT),
    ];
    for (option, value, default) in times {
        if value != default {
            put(page, option, &format!("{name} {value}"));
        }
    }
    if settings.parallel_syncs != defaults::PARALLEL_SYNCS {
        put(page, "parallel-syncs", &format!("{name} {}", settings.parallel_syncs));
    }
    let texts = [
        ("notification-script", &settings.notification_script),
        ("client-reconfig-script", &settings.client_reconfig_script),
        ("auth-pass", &settings.auth_pass),
        ("auth-user", &settings.auth_user),
    ];
    for (option, value) in texts {
        if let Some(value) = value {
            put(page, option, &format!("{name} {}", quote_if_needed(value)));
        }
    }
    if settings.reboot_down_after != defaults::REBOOT_DOWN_AFTER {
        let word = if product.is_valkey() { "primary" } else { "master" };
        let text = format!("sentinel {word}-reboot-down-after-period {name} {}", settings.reboot_down_after);
        page.put("sentinel master-reboot-down-after-period", &text, true);
    }
}

fn host_port(addr: &Addr) -> String {
    format!("{} {}", quote_if_needed(&addr.host), addr.port)
}

fn put(page: &mut Page, option: &str, value: &str) {
    page.put(&format!("sentinel {option}"), &format!("sentinel {option} {value}"), true);
}

fn put_flag(page: &mut Page, option: &str, on: bool, default: bool) {
    let text = format!("sentinel {option} {}", if on { "yes" } else { "no" });
    page.put(&format!("sentinel {option}"), &text, on != default);
}
