//! The INFO text of a modelled data node, as a real one prints it.

use std::fmt::Write as _;

use super::node::{ReplLink, Role};
use super::{Pid, World};

/// Lines with Redis' line ends.
struct Lines<'a>(&'a mut String);

impl Lines<'_> {
    fn push(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = write!(self.0, "{line}\r\n");
    }
}

impl World {
    /// Sections server, persistence and replication.
    pub(crate) fn info_text(&self, pid: Pid) -> String {
        let node = self.node(pid);
        let mut text = String::with_capacity(1_024);
        let mut lines = Lines(&mut text);
        lines.push(format_args!("# Server"));
        lines.push(format_args!("redis_version:7.2.4"));
        lines.push(format_args!("redis_mode:standalone"));
        lines.push(format_args!("run_id:{}", node.run_id));
        lines.push(format_args!("tcp_port:{}", self.procs[pid.0].addr.port));
        lines.push(format_args!("uptime_in_seconds:{}", self.now.since(node.started).as_ms() / 1_000));
        lines.push(format_args!(""));
        lines.push(format_args!("# Persistence"));
        lines.push(format_args!("loading:{}", u8::from(node.loading)));
        lines.push(format_args!(""));
        lines.push(format_args!("# Replication"));
        match &node.role {
            Role::Master => lines.push(format_args!("role:master")),
            Role::Replica(_) => self.replica_lines(pid, &mut lines),
        }
        self.common_lines(pid, &mut lines);
        text
    }

    fn replica_lines(&self, pid: Pid, lines: &mut Lines) {
        let node = self.node(pid);
        let Role::Replica(master) = &node.role else { return };
        let up = matches!(node.link, ReplLink::Up { .. });
        let syncing = matches!(node.link, ReplLink::Syncing { .. });
        lines.push(format_args!("role:slave"));
        lines.push(format_args!("master_host:{}", master.host));
        lines.push(format_args!("master_port:{}", master.port));
        lines.push(format_args!("master_link_status:{}", if up { "up" } else { "down" }));
        lines.push(format_args!("master_last_io_seconds_ago:{}", self.last_io(pid)));
        lines.push(format_args!("master_sync_in_progress:{}", u8::from(syncing)));
        lines.push(format_args!("slave_read_repl_offset:{}", self.offset(pid)));
        lines.push(format_args!("slave_repl_offset:{}", self.offset(pid)));
        if let ReplLink::Down { since } | ReplLink::Syncing { since } = node.link {
            lines.push(format_args!("master_link_down_since_seconds:{}", self.link_down_seconds(since)));
        }
        lines.push(format_args!("slave_priority:{}", node.priority));
        lines.push(format_args!("slave_read_only:1"));
        lines.push(format_args!("replica_announced:{}", u8::from(node.announced)));
    }

    fn last_io(&self, pid: Pid) -> i64 {
        match self.node(pid).link {
            ReplLink::Up { silent, .. } => silent.map_or(0, |at| (self.now.since(at).as_ms() / 1_000) as i64),
            ReplLink::None | ReplLink::Down { .. } | ReplLink::Syncing { .. } => -1,
        }
    }

    fn common_lines(&self, pid: Pid, lines: &mut Lines) {
        let node = self.node(pid);
        let replicas = self.listed_replicas(pid);
        lines.push(format_args!("connected_slaves:{}", replicas.len()));
        for (n, replica) in replicas.iter().enumerate() {
            let at = &self.procs[replica.0].addr;
            let host = self.node(*replica).announce_host.as_ref().unwrap_or(&at.host);
            let (offset, lag) = (self.offset(*replica), self.last_io(*replica));
            lines.push(format_args!(
                "slave{n}:ip={},port={},state=online,offset={offset},lag={lag}",
                host, at.port
            ));
        }
        lines.push(format_args!("master_failover_state:no-failover"));
        lines.push(format_args!("master_replid:{}", node.replid));
        match &node.replid2 {
            Some((id, _)) => lines.push(format_args!("master_replid2:{id}")),
            None => lines.push(format_args!("master_replid2:{}", "0".repeat(40))),
        }
        lines.push(format_args!("master_repl_offset:{}", self.offset(pid)));
        lines.push(format_args!(
            "second_repl_offset:{}",
            node.replid2.as_ref().map_or(-1, |(_, at)| *at as i64)
        ));
        lines.push(format_args!("repl_backlog_active:1"));
    }
}
