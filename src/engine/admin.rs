//! Commands of clients that change something, or need the engine's detailed picture.
//!
//! Source: spec 02, sections 4 to 8. `+OK` to a change is sent only when the change is durable and in
//! the published view; when saving fails the change stays in memory and the client is told so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Engine;
use super::election::majority;
use super::event::{Event, Kind, Note};
use super::failover::Candidacy;
use super::glob;
use super::ids::{Addr, MasterName, Seq, Ticket};
use super::info::Role;
use super::input::Command;
use super::instance::{MasterId, Node, NodeId, PeerId};
use super::names::{Parked, is_name};
use super::output::{Answer, Output};
use super::persist::Held;
use super::registry::fresh_master;
use super::resolve::OPERATOR_PATIENCE;
use super::schedule::Wake;
use super::settings::MasterSettings;
use super::time::{Millis, Time};

const NO_SUCH_MASTER: &str = "ERR No such master with that name";
const BAD_HOST: &str = "Invalid IP address or hostname specified";
const SAVE_FAILED: &str = "ERR Failed to save config file. Check server logs.";
const SCRIPTS_DENIED: &str = "ERR Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive in your Sentinel configuration";

impl Engine {
    /// Carries out a command.
    pub(super) fn on_command(&mut self, now: Time, ticket: Ticket, command: Command) {
        match command {
            Command::Masters => {
                let seq = self.masters.values().map(|master| master.config_seq).max().unwrap_or_default();
                let entries = self.master_entries(now);
                self.answer_after(ticket, seq, Answer::Entries(entries));
            }
            Command::Master(name) => self.answer_of(ticket, &name, |engine, id| {
                engine.master_entry(now, id).map_or_else(no_such_master, Answer::Entry)
            }),
            Command::Replicas(name) => {
                self.answer_of(ticket, &name, |engine, id| Answer::Entries(engine.replica_entries(now, id)));
            }
            Command::Sentinels(name) => {
                self.answer_of(ticket, &name, |engine, id| Answer::Entries(engine.sentinel_entries(now, id)));
            }
            Command::IsMasterDown { host, port, epoch, candidate } => {
                self.on_is_master_down(now, ticket, &host, port, epoch, candidate);
            }
            Command::CkQuorum(name) => self.answer_of(ticket, &name, Self::check_quorum),
            Command::Monitor { name, host, port, quorum } => {
                self.monitor(now, ticket, name, &host, port, quorum);
            }
            Command::Remove(name) => self.remove(ticket, &name),
            Command::Set { name, args, not_executable } => {
                self.set(now, ticket, &name, &args, &not_executable)
            }
            Command::Reset(pattern) => self.reset_matching(now, ticket, &pattern),
            Command::ResetForce(pattern) => self.reset_force(now, ticket, &pattern),
            Command::Forget { name, run_id } => self.forget(now, ticket, &name, &run_id),
            Command::Failover(name) => self.failover_command(now, ticket, &name),
            Command::FlushConfig => {
                let seq = self.changed(None);
                self.answer_when_saved(ticket, seq);
            }
            Command::ConfigGet(patterns) => {
                let shown = self.globals_matching(&patterns);
                self.answer(ticket, Answer::Entry(shown));
            }
            Command::ConfigSet(words) => self.set_globals(ticket, &words),
            Command::Debug(words) => self.debug(now, ticket, &words),
            Command::InfoCache(names) => self.info_cache(now, ticket, &names),
            Command::PendingScripts => {
                let pending = self.pending_scripts(now);
                self.answer(ticket, Answer::Scripts(pending));
            }
            Command::SimulateFailure(words) => self.simulate_failure(ticket, &words),
            Command::Hello(payload) => {
                self.on_hello(now, &payload);
                self.answer(ticket, Answer::Integer(1));
            }
            Command::Vigia(words) => self.on_vigia(now, ticket, &words),
        }
    }

    fn answer_of(&mut self, ticket: Ticket, name: &MasterName, make: impl Fn(&Self, MasterId) -> Answer) {
        let id = self.named(name);
        let seq = id.and_then(|id| self.masters.get(&id)).map_or(Seq(0), |master| master.config_seq);
        let answer = id.map_or_else(no_such_master, |id| make(self, id));
        self.answer_after(ticket, seq, answer);
    }

    /// Answers a question whose answer shows the change `seq`: when that is durable, or cannot be.
    fn answer_after(&mut self, ticket: Ticket, seq: Seq, answer: Answer) {
        let answer = Output::Answer { ticket, answer };
        if self.saving_fails() {
            self.out.push(answer);
        } else {
            self.hold(seq, vec![Held::Output(answer.clone())], vec![answer]);
        }
    }

    /// `+OK` once `seq` is durable, the save error when that fails.
    pub(super) fn answer_when_saved(&mut self, ticket: Ticket, seq: Seq) {
        self.answer_saved(ticket, seq, Answer::Ok);
    }

    /// The same with another answer.
    pub(super) fn answer_saved(&mut self, ticket: Ticket, seq: Seq, answer: Answer) {
        let ok = vec![Held::Output(Output::Answer { ticket, answer })];
        let failed = vec![Output::Answer { ticket, answer: Answer::Error(SAVE_FAILED.to_owned()) }];
        self.hold(seq, ok, failed);
    }

    /// Source: spec 02, section 6.
    fn check_quorum(&self, id: MasterId) -> Answer {
        let Some(master) = self.masters.get(&id) else { return no_such_master() };
        let usable = 1 + master.sentinels.values().filter(|sentinel| sentinel.sdown.is_none()).count();
        let mut wanting = Vec::new();
        if usable < master.settings.quorum as usize {
            wanting.push("Not enough available Sentinels to reach the specified quorum for this master");
        }
        if usable < majority(master.voters.len() + 1) {
            wanting.push("Not enough available Sentinels to reach the majority and authorize a failover");
        }
        if wanting.is_empty() {
            let text = "usable Sentinels. Quorum and failover authorization can be reached";
            Answer::Status(format!("OK {usable} {text}"))
        } else {
            Answer::Error(format!("NOQUORUM {usable} usable Sentinels. {}", wanting.join(". ")))
        }
    }

    /// Checks in stock's order. Source: spec 02, section 7.
    fn monitor(&mut self, now: Time, ticket: Ticket, name: MasterName, host: &str, port: i64, quorum: i64) {
        let refuse = |text: &str| Answer::Error(format!("ERR {text}"));
        let Some(quorum) = u32::try_from(quorum).ok().filter(|quorum| *quorum > 0) else {
            return self.answer(ticket, refuse("Quorum must be 1 or greater."));
        };
        if !self.acceptable_host(host) {
            return self.answer(ticket, refuse(BAD_HOST));
        }
        let quorum = i64::from(quorum);
        if is_name(host) && self.names.mention(now, host).is_some() {
            self.look_up(now, host);
            let host: Arc<str> = host.into();
            let wish = Parked::Monitor { ticket, name, host: Arc::clone(&host), port, quorum };
            self.park(now, &host, Some(OPERATOR_PATIENCE), wish);
        } else {
            self.monitor_resolved(now, ticket, name, host, port, quorum);
        }
    }

    /// The rest, once it is known whether the host can be resolved now.
    pub(super) fn monitor_resolved(
        &mut self,
        now: Time,
        ticket: Ticket,
        name: MasterName,
        host: &str,
        port: i64,
        quorum: i64,
    ) {
        let refuse = |text: &str| Answer::Error(format!("ERR {text}"));
        let Ok(quorum) = u32::try_from(quorum) else { return };
        if is_name(host) && self.names.get(host).is_none_or(|name| name.failed || name.texts().is_empty()) {
            return self.answer(ticket, refuse(BAD_HOST));
        }
        let Ok(port) = u16::try_from(port) else {
            return self.answer(ticket, refuse("Invalid port number."));
        };
        if self.by_name.contains_key(&name) {
            return self.answer(ticket, refuse("Duplicate master name."));
        }
        if name.chars().chain(host.chars()).any(char::is_control) {
            return self.answer(ticket, refuse("Control characters are not allowed in a name or address"));
        }
        let mut fresh = fresh_master(name, Addr::new(host, port), quorum);
        fresh.settings.down_after = Millis(self.tuning.default_down_after.as_ms());
        fresh.settings.failover_timeout = Millis(self.tuning.default_failover_timeout.as_ms());
        // An entry of this name that was removed may have voted in any epoch up to now (S1).
        fresh.leader_epoch = self.current_epoch;
        let id = self.add_master(now, fresh);
        let seq = self.changed(Some(id));
        self.publish_view(id);
        self.answer_when_saved(ticket, seq);
        self.emit(id, Kind::Monitor, format!(" quorum {quorum}"));
    }

    fn remove(&mut self, ticket: Ticket, name: &MasterName) {
        let Some(id) = self.named(name) else {
            return self.answer(ticket, no_such_master());
        };
        self.emit(id, Kind::Unmonitor, "");
        self.call_scripts();
        self.remove_master(id);
        let seq = self.changed(None);
        self.answer_when_saved(ticket, seq);
    }

    fn reset_matching(&mut self, now: Time, ticket: Ticket, pattern: &str) {
        let ids = self.matching(pattern);
        for id in &ids {
            self.reset_master(now, *id);
        }
        self.answer(ticket, Answer::Integer(i64::try_from(ids.len()).unwrap_or(i64::MAX)));
    }

    /// The masters whose names match the glob.
    pub(super) fn matching(&self, pattern: &str) -> Vec<MasterId> {
        let fits = |name: &MasterName| glob::matches(pattern.as_bytes(), name.as_bytes(), false);
        self.by_name.iter().filter(|(name, _)| fits(name)).map(|(_, id)| *id).collect()
    }

    /// Empties the lists and starts over with the master. Source: spec 02, section 7.
    ///
    /// Differs: the old voter set stays the base of the majority (S10), a verified promotion that is
    /// being saved is not undone, and INFO is read at once, so that the replicas are back at once.
    pub(super) fn reset_master(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        if master.failover.verified().is_none() {
            master.failover = Default::default();
            self.schedule.cancel(Wake::Failover(id));
        }
        let keep = master.failover.promoted();
        // The term of another leader does not end by a RESET here (S9).
        let (other, seen) = (master.candidacy.other.take(), master.candidacy.seen);
        master.candidacy = Candidacy { other, seen, ..Default::default() };
        master.odown = None;
        master.job = None;
        master.heard_since_reset = Some(BTreeSet::new());
        master.reset_at = now;
        let node = master.node;
        for wake in [Wake::Ask(id), Wake::Candidacy(id), Wake::Reconf(id)] {
            self.schedule.cancel(wake);
        }
        self.forget_sentinels(id);
        if keep.is_none() {
            self.forget_replicas(id);
        }
        self.close_node_links(node);
        if let Some(node) = self.nodes.get_mut(&node) {
            let (addr, name) = (node.addr.clone(), node.name.clone());
            *node = Node::new(id, Role::Master, addr, name, now);
        }
        self.changed(Some(id));
        self.connect_node(now, node);
        self.review_down(now, node);
        self.publish_view(id);
        self.emit(id, Kind::ResetMaster, "");
    }

    fn failover_command(&mut self, now: Time, ticket: Ticket, name: &MasterName) {
        let Some(id) = self.named(name) else {
            return self.answer(ticket, no_such_master());
        };
        let Some(master) = self.masters.get(&id) else { return };
        let busy = master.failover.in_progress() || master.candidacy.forced.is_some() || master.job.is_some();
        if busy {
            let text = "INPROG Failover already in progress";
            return self.answer(ticket, Answer::Error(text.to_owned()));
        }
        if self.select_replica(now, id).is_none() {
            let text = "NOGOODSLAVE No suitable replica to promote";
            return self.answer(ticket, Answer::Error(text.to_owned()));
        }
        if self.saving_fails() {
            return self.answer(ticket, Answer::Error(SAVE_FAILED.to_owned()));
        }
        self.out.push(Output::Note(Note::UserFailover(name.clone())));
        self.answer(ticket, Answer::Ok);
        self.force_failover(now, id);
    }

    /// `SENTINEL SET`: options one by one, left to right; an error stops there, the earlier ones stay.
    fn set(
        &mut self,
        now: Time,
        ticket: Ticket,
        name: &MasterName,
        args: &[Arc<str>],
        not_executable: &BTreeSet<Arc<str>>,
    ) {
        let Some(id) = self.named(name) else {
            return self.answer(ticket, no_such_master());
        };
        let mut at = 0;
        let mut changed = false;
        let mut error = None;
        while at < args.len() {
            match self.set_one(now, id, &args[at..], not_executable) {
                Ok(used) => {
                    changed = true;
                    at += used;
                }
                Err(text) => {
                    error = Some(Answer::Error(format!("ERR {}", text.trim_start_matches("ERR "))));
                    break;
                }
            }
        }
        if changed || error.is_none() {
            let seq = self.changed(Some(id));
            match error {
                None => self.answer_when_saved(ticket, seq),
                Some(error) => {
                    let error = Output::Answer { ticket, answer: error };
                    self.hold(seq, vec![Held::Output(error.clone())], vec![error]);
                }
            }
        } else if let Some(error) = error {
            self.answer(ticket, error);
        }
    }

    /// Applies one option; says how many words it used.
    fn set_one(
        &mut self,
        now: Time,
        id: MasterId,
        words: &[Arc<str>],
        not_executable: &BTreeSet<Arc<str>>,
    ) -> Result<usize, String> {
        let option = &words[0];
        let unknown = || format!("Unknown option or number of arguments for SENTINEL SET '{option}'");
        let value = words.get(1).ok_or_else(unknown)?;
        let invalid = |value: &str| format!("Invalid argument '{value}' for SENTINEL SET '{option}'");
        let lower = option.to_ascii_lowercase();
        if self.globals.deny_scripts_reconfig && is_script(&lower) {
            return Err(SCRIPTS_DENIED.to_owned());
        }
        let values = if lower == "rename-command" { 2 } else { 1 };
        let values = words.get(1..=values).filter(|_| is_option(&lower)).ok_or_else(unknown)?;
        if let Some(bad) = values.iter().find(|word| word.chars().any(char::is_control)) {
            let text = invalid(&bad.replace(char::is_control, " "));
            return Err(format!("{text}: control characters are not allowed"));
        }
        let Some(master) = self.masters.get_mut(&id) else { return Err(NO_SUCH_MASTER.to_owned()) };
        let settings = &mut master.settings;
        let mut used = 2;
        let mut shown: &str = value;
        match lower.as_str() {
            "down-after-milliseconds" => {
                let down_after = Millis(positive(value).ok_or_else(|| invalid(value))?);
                self.set_down_after(id, down_after);
            }
            "failover-timeout" => {
                settings.failover_timeout = Millis(positive(value).ok_or_else(|| invalid(value))?)
            }
            "parallel-syncs" => settings.parallel_syncs = small(value).ok_or_else(|| invalid(value))?,
            "quorum" => settings.quorum = small(value).ok_or_else(|| invalid(value))?,
            "master-reboot-down-after-period" | "primary-reboot-down-after-period" => {
                settings.reboot_down_after = Millis(not_negative(value).ok_or_else(|| invalid(value))?);
            }
            "notification-script" => {
                settings.notification_script = script(value, not_executable, "Notification script")?;
            }
            "client-reconfig-script" => {
                settings.client_reconfig_script =
                    script(value, not_executable, "Client reconfiguration script")?;
            }
            "auth-pass" => {
                settings.auth_pass = optional(value);
                shown = "******";
            }
            "auth-user" => settings.auth_user = optional(value),
            "rename-command" => {
                let new = words.get(2).ok_or_else(unknown)?;
                rename(settings, value, new)
                    .ok_or_else(|| invalid(if value.is_empty() { value } else { new }))?;
                used = 3;
            }
            _ => return Err(unknown()),
        }
        let detail = match words.get(2).filter(|_| used == 3) {
            Some(new) => format!(" {option} {value} {new}"),
            None => format!(" {option} {shown}"),
        };
        self.emit(id, Kind::Set, detail);
        self.call_scripts();
        self.option_changed(now, id, &lower);
        Ok(used)
    }

    fn set_down_after(&mut self, id: MasterId, new: Millis) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        let old = std::mem::replace(&mut master.settings.down_after, new);
        for sentinel in master.sentinels.values() {
            if let Some(peer) = self.peers.get_mut(&sentinel.peer) {
                peer.remove_limit(old.into());
                peer.add_limit(new.into());
            }
        }
    }

    /// What an option changes at once: deadlines, links with new credentials.
    fn option_changed(&mut self, now: Time, id: MasterId, option: &str) {
        let Some(master) = self.masters.get(&id) else { return };
        let nodes: Vec<NodeId> = [master.node].into_iter().chain(master.replicas.values().copied()).collect();
        let peers: Vec<PeerId> = master.sentinels.values().map(|sentinel| sentinel.peer).collect();
        match option {
            "auth-pass" | "auth-user" => {
                for node in nodes {
                    self.close_node_links(node);
                    self.connect_node(now, node);
                }
            }
            "quorum" => self.check_odown(now, id),
            "rename-command" => self.note_renames(id),
            _ => {
                for node in nodes {
                    self.review_down(now, node);
                    self.beat_node(now, node);
                }
                for peer in peers {
                    self.review_peer_down(now, peer);
                    self.beat_peer(now, peer);
                }
            }
        }
    }

    /// `+monitor` for every master, at start-up.
    ///
    /// Differs: stock waits for all names before it starts; here a master whose name is not resolved yet is told of,
    /// and can be asked for by clients, a moment later, and delays no other.
    pub(super) fn announce_masters(&mut self, now: Time) {
        for id in self.by_name.values().copied().collect::<Vec<_>>() {
            let addr =
                self.masters.get(&id).and_then(|master| self.nodes.get(&master.node)).map(|n| n.addr.clone());
            match addr {
                Some(addr) if !self.globals.announce_hostnames && self.mention(now, &addr.host) => {
                    self.park(now, &addr.host, None, Parked::Announce(id));
                }
                Some(_) | None => self.announce_master(id),
            }
        }
    }

    /// The view of a master, then `+monitor`.
    pub(super) fn announce_master(&mut self, id: MasterId) {
        self.publish_view(id);
        let quorum = self.masters.get(&id).map_or(0, |master| master.settings.quorum);
        let event: Option<Event> = self.master_event(id, Kind::Monitor, format!(" quorum {quorum}"));
        self.out.extend(event.map(Output::Event));
    }
}

pub(super) fn no_such_master() -> Answer {
    Answer::Error(NO_SUCH_MASTER.to_owned())
}

fn is_option(option: &str) -> bool {
    let others = [
        "down-after-milliseconds",
        "failover-timeout",
        "parallel-syncs",
        "quorum",
        "master-reboot-down-after-period",
        "primary-reboot-down-after-period",
        "auth-pass",
        "auth-user",
        "rename-command",
    ];
    others.contains(&option) || is_script(option)
}

fn is_script(option: &str) -> bool {
    matches!(option, "notification-script" | "client-reconfig-script")
}

/// Strict decimal, as commands demand (spec 07, section 1).
fn not_negative(text: &str) -> Option<u64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then(|| u64::try_from(number).ok())?
}

fn positive(text: &str) -> Option<u64> {
    not_negative(text).filter(|number| *number > 0)
}

fn small(text: &str) -> Option<u32> {
    positive(text).and_then(|number| u32::try_from(number).ok())
}

fn optional(text: &Arc<str>) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.clone())
}

fn script(
    path: &Arc<str>,
    not_executable: &BTreeSet<Arc<str>>,
    what: &str,
) -> Result<Option<Arc<str>>, String> {
    if not_executable.contains(path) {
        return Err(format!("{what} seems non existing or non executable"));
    }
    Ok(optional(path))
}

/// A name equal to the original (ignoring case) removes the rename.
fn rename(settings: &mut MasterSettings, old: &str, new: &Arc<str>) -> Option<()> {
    if old.is_empty() || new.is_empty() {
        return None;
    }
    let mut renames: BTreeMap<Box<str>, Arc<str>> = (*settings.renames).clone();
    let key = old.to_ascii_lowercase().into_boxed_str();
    if new.eq_ignore_ascii_case(old) {
        renames.remove(&key);
    } else {
        renames.insert(key, new.clone());
    }
    settings.renames = Arc::new(renames);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_commands_are_strict() {
        assert_eq!(positive("1"), Some(1));
        assert_eq!(not_negative("0"), Some(0));
        for bad in ["", "0", "-1", "+1", "01", " 1", "1 ", "x", "9223372036854775808"] {
            assert_eq!(positive(bad), None, "{bad:?}");
        }
    }
}
