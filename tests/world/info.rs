//! The INFO text of a modelled data node, as a real one prints it.

use std::fmt::Write as _;

use super::node::{ReplLink, Role};
use super::{Pid, World};

impl World {
    /// Sections server, persistence and replication.
    pub(crate) fn info_text(&self, pid: Pid) -> String {
        let node = self.node(pid);
        let mut lines = vec![
            "# Server".to_owned(),
            "redis_version:7.2.4".to_owned(),
            "redis_mode:standalone".to_owned(),
            format!("run_id:{}", node.run_id),
            format!("tcp_port:{}", self.procs[pid.0].addr.port),
            format!("uptime_in_seconds:{}", self.now.since(node.started).as_ms() / 1_000),
            String::new(),
            "# Persistence".to_owned(),
            format!("loading:{}", u8::from(node.loading)),
            String::new(),
            "# Replication".to_owned(),
        ];
        match &node.role {
            Role::Master => lines.push("role:master".to_owned()),
            Role::Replica(_) => self.replica_lines(pid, &mut lines),
        }
        self.common_lines(pid, &mut lines);
        lines.iter().fold(String::new(), |mut text, line| {
            let _ = write!(text, "{line}\r\n");
            text
        })
    }

    fn replica_lines(&self, pid: Pid, lines: &mut Vec<String>) {
        let node = self.node(pid);
        let Role::Replica(master) = &node.role else { return };
        let up = matches!(node.link, ReplLink::Up { .. });
        let syncing = matches!(node.link, ReplLink::Syncing { .. });
        lines.push("role:slave".to_owned());
        lines.push(format!("master_host:{}", master.host));
        lines.push(format!("master_port:{}", master.port));
        lines.push(format!("master_link_status:{}", if up { "up" } else { "down" }));
        lines.push(format!("master_last_io_seconds_ago:{}", self.last_io(pid)));
        lines.push(format!("master_sync_in_progress:{}", u8::from(syncing)));
        lines.push(format!("slave_read_repl_offset:{}", self.offset(pid)));
        lines.push(format!("slave_repl_offset:{}", self.offset(pid)));
        if let ReplLink::Down { since } | ReplLink::Syncing { since } = node.link {
            lines.push(format!("master_link_down_since_seconds:{}", self.link_down_seconds(since)));
        }
        lines.push(format!("slave_priority:{}", node.priority));
        lines.push("slave_read_only:1".to_owned());
        lines.push(format!("replica_announced:{}", u8::from(node.announced)));
    }

    fn last_io(&self, pid: Pid) -> i64 {
        match self.node(pid).link {
            ReplLink::Up { silent, .. } => silent.map_or(0, |at| (self.now.since(at).as_ms() / 1_000) as i64),
            ReplLink::None | ReplLink::Down { .. } | ReplLink::Syncing { .. } => -1,
        }
    }

    fn common_lines(&self, pid: Pid, lines: &mut Vec<String>) {
        let node = self.node(pid);
        let replicas = self.listed_replicas(pid);
        lines.push(format!("connected_slaves:{}", replicas.len()));
        for (n, replica) in replicas.iter().enumerate() {
            let at = &self.procs[replica.0].addr;
            let host = self.node(*replica).announce_host.as_ref().unwrap_or(&at.host);
            let (offset, lag) = (self.offset(*replica), self.last_io(*replica));
            lines.push(format!(
                "slave{n}:ip={},port={},state=online,offset={offset},lag={lag}",
                host, at.port
            ));
        }
        lines.push("master_failover_state:no-failover".to_owned());
        lines.push(format!("master_replid:{}", node.replid));
        match &node.replid2 {
            Some((id, _)) => lines.push(format!("master_replid2:{id}")),
            None => lines.push(format!("master_replid2:{}", "0".repeat(40))),
        }
        lines.push(format!("master_repl_offset:{}", self.offset(pid)));
        lines.push(format!("second_repl_offset:{}", node.replid2.as_ref().map_or(-1, |(_, at)| *at as i64)));
        lines.push("repl_backlog_active:1".to_owned());
    }
}
