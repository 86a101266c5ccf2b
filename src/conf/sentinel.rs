//! `sentinel` lines.
//!
//! Source: spec 01, sections 5.2 and 5.3 (texts, order, lenient numbers).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Sources;
use super::load::Line;
use super::numbers::{lenient, lenient_epoch};
use crate::engine::numeric::numeric;
use crate::engine::settings::{Globals, MasterSettings};
use crate::engine::{Addr, Epoch, MasterName, MasterState, Millis, RunId, State};

const UNRECOGNIZED: &str = "Unrecognized sentinel configuration statement.";
const NO_SUCH_MASTER: &str = "No such master with specified name.";
const BAD_PORT: &str = "Invalid port number.";
const BAD_HOST: &str = "Can't resolve instance hostname.";
/// Length of a sentinel's identity.
const ID_LENGTH: usize = 40;
/// Lines that are applied before all `monitor` lines.
const PRE_MONITOR: [&str; 9] = [
    "announce-ip",
    "announce-port",
    "deny-scripts-reconfig",
    "sentinel-user",
    "sentinel-pass",
    "current-epoch",
    "myid",
    "resolve-hostnames",
    "announce-hostnames",
];

/// Options of one master that take one value.
const PER_MASTER: [&str; 11] = [
    "down-after-milliseconds",
    "failover-timeout",
    "parallel-syncs",
    "notification-script",
    "client-reconfig-script",
    "auth-pass",
    "auth-user",
    "config-epoch",
    "leader-epoch",
    "master-reboot-down-after-period",
    "primary-reboot-down-after-period",
];

/// The state that `sentinel` lines build.
pub(super) struct Sentinel {
    globals: Globals,
    my_id: Option<RunId>,
    current_epoch: Epoch,
    masters: BTreeMap<String, MasterState>,
    /// Masters monitored both by the file itself and by an included one.
    twice: BTreeSet<String>,
    /// Masters that an included file has lines for.
    included: BTreeSet<String>,
    /// What was accepted but ignored.
    warnings: Vec<String>,
    /// Masters whose included `monitor` line was ignored.
    ignored: usize,
}

impl Sentinel {
    /// In which pass a line with this second word is applied: 0, 1 or 2.
    pub(super) fn pass_of(word: &str) -> usize {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "monitor" => 1,
            word if PRE_MONITOR.contains(&word) => 0,
            _ => 2,
        }
    }

    /// Nothing yet; `passes` are all lines that will be applied.
    pub(super) fn new(passes: &[Vec<Line>; 3]) -> Self {
        let names = |lines: &[Line], included: bool| -> BTreeSet<String> {
            let lines = lines.iter().filter(|line| line.included == included);
            lines.filter_map(|line| line.words.get(2).cloned()).collect()
        };
        let [_, monitors, others] = passes;
        let of_includes = names(monitors, true);
        Self {
            globals: Globals::new(RunId::from("")),
            my_id: None,
            current_epoch: Epoch(0),
            masters: BTreeMap::new(),
            twice: of_includes.intersection(&names(monitors, false)).cloned().collect(),
            included: &of_includes | &names(others, true),
            warnings: Vec::new(),
            ignored: 0,
        }
    }

    /// What was accepted but ignored.
    pub(super) fn warnings(&mut self) -> Vec<String> {
        if self.ignored > 0 {
            self.warnings.push(format!(
                "{} masters of included files stand in this file too, where their present state is: what the included \
                 files say of them is ignored",
                self.ignored
            ));
        }
        std::mem::take(&mut self.warnings)
    }

    /// What was built: the identity, and the state with its masters by name.
    pub(super) fn finish(mut self) -> (Option<RunId>, State) {
        if let Some(my_id) = &self.my_id {
            self.globals.my_id = my_id.clone();
        }
        let mut masters: Vec<MasterState> = self.masters.into_values().collect();
        for master in &mut masters {
            master.voters = master.sentinels.iter().map(|(run_id, _)| run_id.clone()).collect();
        }
        (self.my_id, State { globals: self.globals, current_epoch: self.current_epoch, masters })
    }

    /// Applies one line.
    ///
    /// # Errors
    /// Stock's reason.
    ///
    /// Differs: a rewrite copies the masters of an included file into the file itself, so that stock
    /// refuses its own file at the next start. Here the copy wins over the included lines.
    pub(super) fn apply(&mut self, line: &Line, sources: &dyn Sources) -> Result<(), String> {
        let words: Vec<&str> = line.words[1..].iter().map(String::as_str).collect();
        let option = words[0].to_ascii_lowercase();
        if PRE_MONITOR.contains(&option.as_str()) {
            let [_, value] = words[..] else { return Err(UNRECOGNIZED.into()) };
            return self.apply_global(&option, value);
        }
        if line.included && words.get(1).is_some_and(|name| self.twice.contains(*name)) {
            if option == "monitor" {
                self.ignored += 1;
            }
            return Ok(());
        }
        match (option.as_str(), &words[1..]) {
            ("monitor", [name, host, port, quorum]) => self.monitor(name, host, port, quorum),
            ("known-sentinel", [_, _, _]) => Ok(()),
            ("known-sentinel", [name, host, port, run_id]) => self.known_sentinel(name, host, port, run_id),
            ("known-replica" | "known-slave", [name, host, port]) => self.known_replica(name, host, port),
            ("rename-command", [name, old, new]) => self.rename(name, old, new),
            (option, [name, value]) => self.apply_to_master(option, name, value, sources),
            _ => Err(UNRECOGNIZED.into()),
        }
    }

    fn apply_global(&mut self, option: &str, value: &str) -> Result<(), String> {
        let globals = &mut self.globals;
        match option {
            "announce-ip" => globals.announce_ip = text(value).or(globals.announce_ip.take()),
            "announce-port" => {
                let port = lenient(value);
                globals.announce_port = u16::try_from(port).ok().filter(|port| *port != 0);
                if globals.announce_port.is_none() && port != 0 {
                    self.warnings.push(format!("announce-port {value}: not a port, ignored"));
                }
            }
            "deny-scripts-reconfig" => {
                globals.deny_scripts_reconfig =
                    yes_no(value).ok_or("Please specify yes or no for the deny-scripts-reconfig options.")?;
            }
            "resolve-hostnames" => {
                globals.resolve_hostnames =
                    yes_no(value).ok_or("Please specify yes or no for the resolve-hostnames option.")?;
            }
            "announce-hostnames" => {
                globals.announce_hostnames =
                    yes_no(value).ok_or("Please specify yes or no for the announce-hostnames option.")?;
            }
            "sentinel-user" => globals.sentinel_user = text(value).or(globals.sentinel_user.take()),
            "sentinel-pass" => globals.sentinel_pass = text(value).or(globals.sentinel_pass.take()),
            "current-epoch" => self.current_epoch = self.current_epoch.max(Epoch(lenient_epoch(value))),
            "myid" => {
                if value.len() != ID_LENGTH {
                    return Err("Malformed Sentinel id in myid option.".into());
                }
                let is_zero = value.bytes().all(|byte| byte == b'0');
                self.my_id = (!is_zero).then(|| RunId::from(value));
            }
            _ => return Err(UNRECOGNIZED.into()),
        }
        Ok(())
    }

    /// The entry of a master; one whose line is wrong too, for the sake of the lines that name it: they are
    /// told what is wrong with themselves.
    fn monitor(&mut self, name: &str, host: &str, port: &str, quorum: &str) -> Result<(), String> {
        let checked = self.check_monitor(name, host, port, quorum);
        let (addr, quorum, outcome) = match checked {
            Ok((addr, quorum)) => (addr, quorum, Ok(())),
            Err(reason) => (Addr::new("", 0), 1, Err(reason)),
        };
        self.masters.entry(name.to_owned()).or_insert_with(|| MasterState {
            name: MasterName::from(name),
            addr,
            settings: MasterSettings::new(quorum),
            config_epoch: Epoch(0),
            leader_epoch: Epoch(0),
            leader: None,
            replicas: Vec::new(),
            sentinels: Vec::new(),
            voters: Vec::new(),
        });
        outcome
    }

    fn check_monitor(&self, name: &str, host: &str, port: &str, quorum: &str) -> Result<(Addr, u32), String> {
        let quorum = lenient(quorum);
        if quorum < 1 {
            return Err("Quorum must be 1 or greater.".into());
        }
        let addr = self.addr(host, port)?;
        if self.masters.contains_key(name) {
            return Err("Duplicate master name.".into());
        }
        Ok((addr, u32::try_from(quorum).unwrap_or(u32::MAX)))
    }

    fn known_replica(&mut self, name: &str, host: &str, port: &str) -> Result<(), String> {
        self.master(name)?;
        let addr = self.addr(host, port)?;
        let repeats_include = self.included.contains(name);
        let replicas = &mut self.master(name)?.replicas;
        if !replicas.iter().any(|known| known.same_as(&addr)) {
            replicas.push(addr);
        } else if !repeats_include {
            return Err("Duplicate hostname and port for replica.".into());
        }
        Ok(())
    }

    fn known_sentinel(&mut self, name: &str, host: &str, port: &str, run_id: &str) -> Result<(), String> {
        self.master(name)?;
        if run_id.is_empty() {
            return Ok(());
        }
        let addr = self.addr(host, port)?;
        let repeats_include = self.included.contains(name);
        let sentinels = &mut self.master(name)?.sentinels;
        match sentinels.iter_mut().find(|(known, _)| **known == *run_id) {
            None => sentinels.push((RunId::from(run_id), addr)),
            Some((_, known)) if repeats_include => *known = addr,
            Some(_) => return Err("Duplicate runid for sentinel.".into()),
        }
        Ok(())
    }

    fn rename(&mut self, name: &str, old: &str, new: &str) -> Result<(), String> {
        let repeats_include = self.included.contains(name);
        let renames = Arc::make_mut(&mut self.master(name)?.settings.renames);
        let was = renames.insert(old.to_ascii_lowercase().into(), Arc::from(new));
        if was.is_some_and(|was| !(repeats_include && *was == *new)) {
            return Err("Same command renamed multiple times with rename-command.".into());
        }
        Ok(())
    }

    fn apply_to_master(
        &mut self,
        option: &str,
        name: &str,
        value: &str,
        sources: &dyn Sources,
    ) -> Result<(), String> {
        if !PER_MASTER.contains(&option) {
            return Err(UNRECOGNIZED.into());
        }
        let master = self.masters.get_mut(name).ok_or(NO_SUCH_MASTER)?;
        let settings = &mut master.settings;
        match option {
            "down-after-milliseconds" => settings.down_after = positive(value)?,
            "failover-timeout" => settings.failover_timeout = positive(value)?,
            "parallel-syncs" => {
                let count = lenient(value).clamp(0, i64::from(u32::MAX));
                settings.parallel_syncs = u32::try_from(count).unwrap_or(u32::MAX);
            }
            "notification-script" => {
                settings.notification_script = Some(executable(value, sources, "Notification script")?);
            }
            "client-reconfig-script" => {
                let script = executable(value, sources, "Client reconfiguration script")?;
                settings.client_reconfig_script = Some(script);
            }
            "auth-pass" => settings.auth_pass = Some(Arc::from(value)),
            "auth-user" => settings.auth_user = Some(Arc::from(value)),
            "config-epoch" => {
                master.config_epoch = Epoch(lenient_epoch(value));
                self.current_epoch = self.current_epoch.max(master.config_epoch);
            }
            "leader-epoch" => master.leader_epoch = Epoch(lenient_epoch(value)),
            // The two names of the reboot period.
            _ => {
                let ms = u64::try_from(lenient(value)).map_err(|_| "negative time parameter.")?;
                settings.reboot_down_after = Millis(ms);
            }
        }
        Ok(())
    }

    fn master(&mut self, name: &str) -> Result<&mut MasterState, String> {
        self.masters.get_mut(name).ok_or_else(|| NO_SUCH_MASTER.into())
    }

    /// Numeric only, unless `resolve-hostnames` is on.
    fn addr(&self, host: &str, port: &str) -> Result<Addr, String> {
        let port = u16::try_from(lenient(port)).map_err(|_| BAD_PORT)?;
        match numeric(host) {
            Some(ip) => Ok(Addr::new(&ip.to_string(), port)),
            None if self.globals.resolve_hostnames => Ok(Addr::new(host, port)),
            None => Err(BAD_HOST.into()),
        }
    }
}

fn text(value: &str) -> Option<Arc<str>> {
    (!value.is_empty()).then(|| Arc::from(value))
}

fn yes_no(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn positive(value: &str) -> Result<Millis, String> {
    let ms = u64::try_from(lenient(value)).ok().filter(|ms| *ms > 0);
    ms.map(Millis).ok_or_else(|| "negative or zero time parameter.".into())
}

fn executable(path: &str, sources: &dyn Sources, what: &str) -> Result<Arc<str>, String> {
    if sources.is_executable(path) {
        Ok(Arc::from(path))
    } else {
        Err(format!("{what} seems non existing or non executable."))
    }
}
