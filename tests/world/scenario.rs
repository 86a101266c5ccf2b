//! Scenario files: what happens to a group, and the events that an operator would read.
//!
//! ```text
//! # comment
//! group sentinels=5 replicas=2 quorum=2 down-after=5s failover-timeout=10s seed=7
//! kill|start|hang|continue|host-down|reset-clients <process>
//! cut s1,s2 | others          no packet passes between the sides; `>` instead of `|`: one way
//! heal
//! disk s1 works|fails|hangs
//! priority r1 0
//! failover s1                 SENTINEL FAILOVER; the answer is shown
//! reset s1                    SENTINEL RESET *
//! run 60s [show=s1|leader|observer|s1,s2]
//! state                       what each sentinel and node is then
//! ----
//! expected lines: run ids and addresses replaced by the names of processes
//! ```

use std::fmt::Write as _;

use vigia::engine::{Command, MasterName, Span, Time};

use super::disk::DiskMode;
use super::node::Role;
use super::reply::Owned;
use super::{MASTER, Options, Pid, World};

/// A scenario under way.
#[derive(Debug)]
pub struct Scenario {
    world: Option<World>,
    shown: String,
}

/// Runs the script of a scenario; what it shows.
///
/// # Errors
/// The line that nobody understands.
pub fn run(script: &str) -> Result<String, String> {
    let mut scenario = Scenario { world: None, shown: String::new() };
    for (at, line) in script.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            scenario.line(line).map_err(|why| format!("line {}: {why}: {line}", at + 1))?;
        }
    }
    Ok(scenario.shown)
}

impl Scenario {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        if word == "group" {
            self.world = Some(World::settled(group_options(rest)?));
            return Ok(());
        }
        let world = self.world.as_mut().ok_or("a scenario begins with `group`")?;
        match word {
            "kill" => world.kill(world.pid(rest)),
            "start" => world.start(world.pid(rest)),
            "hang" => world.stop(world.pid(rest)),
            "continue" => world.cont(world.pid(rest)),
            "host-down" => world.host_down(world.pid(rest)),
            "reset-clients" => world.reset_clients(world.pid(rest)),
            "heal" => world.heal(),
            "cut" => cut(world, rest)?,
            "disk" => {
                let (name, mode) = rest.split_once(' ').ok_or("disk <sentinel> <mode>")?;
                world.set_disk(world.pid(name), disk_mode(mode)?);
            }
            "priority" => {
                let (name, priority) = rest.split_once(' ').ok_or("priority <node> <n>")?;
                let pid = world.pid(name);
                world.node_mut(pid).priority = priority.parse().map_err(|_| "a priority is a number")?;
                world.run_for(Span::secs(12));
            }
            "failover" => self.command(rest, Command::Failover(MasterName::from(MASTER))),
            "reset" => self.command(rest, Command::Reset("*".into())),
            "run" => self.run(rest)?,
            "state" => self.state(),
            _ => return Err("unknown word".to_owned()),
        }
        Ok(())
    }

    fn world(&mut self) -> &mut World {
        self.world.as_mut().expect("checked before")
    }

    fn show(&mut self, line: &str) {
        let named = named(self.world(), line);
        let _ = writeln!(self.shown, "{named}");
    }

    fn command(&mut self, name: &str, command: Command) {
        let world = self.world();
        let pid = world.pid(name);
        let ticket = world.command(pid, command);
        world.run_until("an answer", Span::secs(3), |world| world.answer(ticket).is_some());
        let answer = world.answer(ticket).map(Owned::from).expect("awaited");
        self.show(&format!("{name} answers {answer}"));
    }

    fn run(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let span = span(words.next().ok_or("run <time>")?)?;
        let from = self.world().now;
        self.world().run_for(span);
        for word in words {
            let names = word.strip_prefix("show=").ok_or("run <time> show=<sentinel>")?;
            let pids: Vec<Pid> = names.split(',').map(|name| self.who(name, from)).collect();
            for pid in &pids {
                let prefix =
                    if pids.len() > 1 { format!("{}: ", self.world().name(*pid)) } else { String::new() };
                for (_, event) in self.world().events(*pid).into_iter().filter(|(at, _)| *at >= from) {
                    self.show(&format!("{prefix}{event}"));
                }
            }
        }
        Ok(())
    }

    /// A sentinel by name or by the part that it played since `from`.
    fn who(&mut self, name: &str, from: Time) -> Pid {
        let world = self.world();
        let led = |world: &World, pid: &Pid| world.event_at(*pid, from, "+elected-leader").is_some();
        let found = match name {
            "leader" => world.sentinels().into_iter().find(|pid| led(world, pid)),
            "observer" => world.live_sentinels().into_iter().find(|pid| !led(world, pid)),
            _ => Some(world.pid(name)),
        };
        found.unwrap_or_else(|| world.fail(&format!("no {name}")))
    }

    fn state(&mut self) {
        let world = self.world();
        let mut lines = Vec::new();
        for pid in world.live_sentinels() {
            if let Some(view) = world.view(pid, MASTER) {
                let (name, epoch) = (world.name(pid), view.config_epoch);
                lines.push(format!(
                    "{name}: master {} epoch {epoch} {} replicas {} sentinels {}",
                    view.addr.host,
                    view.status.as_str(),
                    view.replicas,
                    view.sentinels
                ));
            }
        }
        for pid in world.nodes() {
            let name = world.name(pid);
            lines.push(match (&world.node(pid).role, world.procs[pid.0].alive) {
                (_, false) => format!("{name}: dead"),
                (Role::Master, true) => format!("{name}: master"),
                (Role::Replica(of), true) => format!("{name}: replica of {}", of.host),
            });
        }
        for line in lines {
            self.show(&line);
        }
    }
}

/// Run ids and addresses by names.
fn named(world: &World, line: &str) -> String {
    let mut line = line.to_owned();
    for pid in world.sentinels() {
        line = line.replace(&*world.sentinel(pid).id.0, world.name(pid));
    }
    for proc in world.procs.iter().rev() {
        line = line.replace(&*proc.addr.host, &proc.name);
    }
    line
}

fn cut(world: &mut World, rest: &str) -> Result<(), String> {
    let mark = if rest.contains('>') { '>' } else { '|' };
    let (left, right) = rest.split_once(mark).ok_or("cut <some> | <others>")?;
    let left: Vec<Pid> = left.split(',').map(|name| world.pid(name.trim())).collect();
    let right: Vec<Pid> = match right.trim() {
        "others" => world.others(&left),
        names => names.split(',').map(|name| world.pid(name.trim())).collect(),
    };
    if mark == '>' {
        world.cut_one_way(&left, &right);
    } else {
        world.cut(&left, &right);
    }
    Ok(())
}

fn disk_mode(word: &str) -> Result<DiskMode, String> {
    match word.trim() {
        "works" => Ok(DiskMode::Works),
        "fails" => Ok(DiskMode::Fails),
        "hangs" => Ok(DiskMode::Hangs),
        other => Err(format!("a disk works, fails or hangs, not {other}")),
    }
}

fn span(word: &str) -> Result<Span, String> {
    let bad = |_| format!("{word} is no time: 500ms, 60s");
    if let Some(ms) = word.strip_suffix("ms") {
        return ms.parse().map(Span::ms).map_err(bad);
    }
    word.strip_suffix('s').unwrap_or(word).parse().map(Span::secs).map_err(bad)
}

fn group_options(rest: &str) -> Result<Options, String> {
    let mut options = Options::seed(1);
    for word in rest.split_whitespace() {
        let (key, value) = word.split_once('=').ok_or("group key=value ...")?;
        let number = || value.parse::<usize>().map_err(|_| format!("{value} is no number"));
        match key {
            "seed" => options.seed = number()? as u64,
            "sentinels" => options.sentinels = number()?,
            "stock" => options.stock = number()?,
            "replicas" => options.replicas = number()?,
            "quorum" => options.quorum = number()? as u32,
            "parallel-syncs" => options.parallel_syncs = number()? as u32,
            "down-after" => options.down_after_ms = span(value)?.as_ms(),
            "failover-timeout" => options.failover_timeout_ms = span(value)?.as_ms(),
            _ => return Err(format!("no such option: {key}")),
        }
    }
    Ok(options)
}
