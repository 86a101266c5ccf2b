//! Detailed entries as `SENTINEL MASTER`, `REPLICAS` and `SENTINELS` show them.
//!
//! The order of the fields is API: some clients read them by position. Source: spec 02, section 3.

use std::sync::Arc;

use super::Engine;
use super::ids::{Addr, RunId};
use super::info::Role;
use super::instance::{Master, MasterId, Node, NodeId, Peer, Reconf, Sentinel, Vitals};
use super::time::Time;
use super::view::Entry;

/// Collects the fields of one entry.
struct Fields(Entry);

impl Fields {
    fn add(&mut self, name: &'static str, value: impl ToString) -> &mut Self {
        self.0.push((name, Arc::from(value.to_string())));
        self
    }

    fn head(&mut self, name: &str, addr: &Addr, run_id: Option<&RunId>, flags: &[&str]) {
        self.add("name", name).add("ip", &addr.host).add("port", addr.port);
        self.add("runid", run_id.map_or("", |run_id| run_id)).add("flags", flags.join(","));
    }

    /// The silence counts without a connection and after replies that are not acceptable too, as watched
    /// in redis-sentinel 7.0.15.
    fn vitals(&mut self, now: Time, vitals: &Vitals) {
        let silence = vitals.silent_since.map_or(0, |at| now.since(at).as_ms());
        self.add("last-ping-sent", silence);
        self.add("last-ok-ping-reply", now.since(vitals.last_available).as_ms());
        self.add("last-ping-reply", now.since(vitals.last_pong).as_ms());
    }

    fn age(&mut self, name: &'static str, now: Time, since: Option<Time>) {
        if let Some(since) = since {
            self.add(name, now.since(since).as_ms());
        }
    }
}

impl Engine {
    /// The entries of all masters, by name.
    pub(super) fn master_entries(&self, now: Time) -> Vec<Entry> {
        self.by_name.values().filter_map(|id| self.master_entry(now, *id)).collect()
    }

    /// The entry of a master.
    pub(super) fn master_entry(&self, now: Time, id: MasterId) -> Option<Entry> {
        let master = self.masters.get(&id)?;
        let node = self.nodes.get(&master.node)?;
        let mut fields = Fields(Vec::with_capacity(24));
        fields.head(&master.name, &self.shown(&node.addr), node.run_id.as_ref(), &master_flags(master, node));
        self.node_link(&mut fields, node);
        if master.failover.in_progress() {
            fields.add("failover-state", master.failover.name());
        }
        fields.vitals(now, &node.vitals);
        fields.age("s-down-time", now, node.sdown);
        fields.age("o-down-time", now, master.odown);
        node_body(&mut fields, now, master, node);
        let settings = &master.settings;
        fields.add("config-epoch", master.config_epoch).add("num-slaves", master.replicas.len());
        fields.add("num-other-sentinels", master.sentinels.len()).add("quorum", settings.quorum);
        fields
            .add("failover-timeout", settings.failover_timeout)
            .add("parallel-syncs", settings.parallel_syncs);
        for (name, script) in [
            ("notification-script", &settings.notification_script),
            ("client-reconfig-script", &settings.client_reconfig_script),
        ] {
            if let Some(script) = script {
                fields.add(name, script);
            }
        }
        Some(fields.0)
    }

    /// The entries of the replicas that want to be announced.
    pub(super) fn replica_entries(&self, now: Time, id: MasterId) -> Vec<Entry> {
        let Some(master) = self.masters.get(&id) else { return Vec::new() };
        let nodes = master.replicas.values().filter_map(|node| Some((*node, self.nodes.get(node)?)));
        let shown = nodes.filter(|(_, node)| node.replica.announced);
        shown.map(|(id, node)| self.replica_entry(now, master, id, node)).collect()
    }

    fn replica_entry(&self, now: Time, master: &Master, id: NodeId, node: &Node) -> Entry {
        let mut fields = Fields(Vec::with_capacity(24));
        let promoted = master.failover.promoted() == Some(id);
        fields.head(
            &node.name,
            &self.shown(&node.addr),
            node.run_id.as_ref(),
            &replica_flags(node, promoted),
        );
        self.node_link(&mut fields, node);
        fields.vitals(now, &node.vitals);
        fields.age("s-down-time", now, node.sdown);
        node_body(&mut fields, now, master, node);
        let replica = &node.replica;
        fields.add("master-link-down-time", replica.link_down_ms);
        fields.add("master-link-status", if replica.link_up { "ok" } else { "err" });
        fields.add("master-host", replica.master.as_ref().map_or("?", |addr| &addr.host));
        fields.add("master-port", replica.master.as_ref().map_or(0, |addr| addr.port));
        fields.add("slave-priority", replica.priority).add("slave-repl-offset", replica.offset);
        fields.add("replica-announced", u8::from(replica.announced));
        fields.0
    }

    /// The entries of the other sentinels of a master.
    pub(super) fn sentinel_entries(&self, now: Time, id: MasterId) -> Vec<Entry> {
        let Some(master) = self.masters.get(&id) else { return Vec::new() };
        let sentinels = master.sentinels.values().filter_map(|s| Some((s, self.peers.get(&s.peer)?)));
        sentinels
            .map(|(sentinel, peer)| sentinel_entry(now, master, sentinel, (peer, self.shown(&peer.addr))))
            .collect()
    }

    fn node_link(&self, fields: &mut Fields, node: &Node) {
        let pending = node.cmd.pending.len() + node.sub.pending.len();
        fields.add("link-pending-commands", pending).add("link-refcount", 1);
    }
}

fn sentinel_entry(now: Time, master: &Master, sentinel: &Sentinel, (peer, addr): (&Peer, Addr)) -> Entry {
    let mut flags = Vec::new();
    if sentinel.sdown.is_some() {
        flags.push("s_down");
    }
    flags.push("sentinel");
    if peer.cmd.up().is_none() {
        flags.push("disconnected");
    }
    if sentinel.master_down {
        flags.push("master_down");
    }
    let mut fields = Fields(Vec::with_capacity(16));
    fields.head(&peer.run_id, &addr, Some(&peer.run_id), &flags);
    fields.add("link-pending-commands", peer.cmd.pending.len()).add("link-refcount", peer.masters.len());
    fields.vitals(now, &peer.vitals);
    fields.age("s-down-time", now, sentinel.sdown);
    fields.add("down-after-milliseconds", master.settings.down_after);
    fields.add("last-hello-message", now.since(sentinel.last_hello).as_ms());
    fields.add("voted-leader", sentinel.vote.as_ref().map_or("?", |(leader, _)| leader));
    fields.add("voted-leader-epoch", sentinel.vote.as_ref().map_or(0, |(_, epoch)| epoch.0));
    fields.0
}

fn node_body(fields: &mut Fields, now: Time, master: &Master, node: &Node) {
    fields.add("down-after-milliseconds", master.settings.down_after);
    fields.add("info-refresh", node.info_at.map_or(0, |at| now.since(at).as_ms()));
    fields.add("role-reported", node.reported.as_str());
    fields.add("role-reported-time", now.since(node.reported_since).as_ms());
}

fn master_flags(master: &Master, node: &Node) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if node.sdown.is_some() {
        flags.push("s_down");
    }
    if master.odown.is_some() {
        flags.push("o_down");
    }
    flags.push(Role::Master.as_str());
    if is_disconnected(node) {
        flags.push("disconnected");
    }
    if master.failover.in_progress() {
        flags.push("failover_in_progress");
    }
    if master.failover.forced() {
        flags.push("force_failover");
    }
    if node.script_kill_sent {
        flags.push("script_kill_sent");
    }
    if node.rebooted.is_some() {
        flags.push("master_reboot");
    }
    flags
}

fn replica_flags(node: &Node, promoted: bool) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if node.sdown.is_some() {
        flags.push("s_down");
    }
    flags.push(Role::Replica.as_str());
    if is_disconnected(node) {
        flags.push("disconnected");
    }
    if promoted {
        flags.push("promoted");
    }
    match node.reconf {
        Reconf::None => {}
        Reconf::Sent(_) => flags.push("reconf_sent"),
        Reconf::InProgress => flags.push("reconf_inprog"),
        Reconf::Done => flags.push("reconf_done"),
    }
    if node.script_kill_sent {
        flags.push("script_kill_sent");
    }
    flags
}

/// At least one needed connection is missing.
fn is_disconnected(node: &Node) -> bool {
    node.cmd.up().is_none() || node.sub.up().is_none()
}
