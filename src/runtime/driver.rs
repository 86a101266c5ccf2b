//! The one task that owns the engine: collects what happened, hands it over, performs what comes back.
//!
//! Every input is one call of [`Brain::handle`], and its outputs are performed in order before the next input
//! is looked at. Nothing here waits for anything but input: links, the hub and the log take what they are
//! given, and the disk has its own thread.
//!
//! # Silence is judged fairly
//!
//! A deadline must not be judged while evidence to the contrary lies unread in a socket. So before a `Tick` the
//! driver yields until the I/O driver and the tasks of the links had their turn, and delivers what they
//! brought; at most `MAX_ROUNDS` times, since a flood must not hold up deadlines. Because every call of the
//! engine also runs what is due, such input is stamped just before the deadline if that passed no more than
//! `GRACE` ago. After a longer delay it gets the true time: an engine that was stalled must know it, and shifts
//! its deadlines by the delay itself.
//!
//! Source: DESIGN, sections 1 and 2.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::engine::settings::LogLevel;
use crate::engine::{Engine, Figures, Input, Output, ScriptId, Snapshot, Time, Wake};
use crate::runtime::handle::{Asked, Views};
use crate::runtime::link::{LinkEvent, Links};
use crate::runtime::resolver::Resolved;
use crate::runtime::save::{Saved, Writer};
use crate::runtime::scripts::ScriptEvent;

mod clock;
mod effects;
mod late;
mod saves;

pub use clock::Clock;
use effects::Effects;
use late::{Usage, WORTH_ASKING};
use saves::Saves;

/// Link events that may wait for the driver: a few per link when thousands of nodes answer at once. When it
/// is full, the links stop reading.
pub const LINK_EVENTS: usize = 8_192;
/// Commands that may wait for the driver; when it is full, the clients wait.
pub const COMMANDS: usize = 1_024;
/// Commands that the engine has taken and not answered. Only those that wait for the disk stay here, for at
/// most a second; beyond this number no further commands are taken.
pub const MAX_TICKETS: usize = 16_384;
/// Reports of scripts that may wait: two for each that runs.
pub const SCRIPT_EVENTS: usize = 32;
/// Answers about host names that may wait; when it is full, lookups wait.
pub const NAME_ANSWERS: usize = 1_024;
/// Save results that may wait: one write is in flight at a time.
pub const SAVE_RESULTS: usize = 4;

/// Commands taken after a `Tick`.
const COMMAND_BATCH: usize = 64;
/// Link events delivered before the queues are looked at again.
const BATCH: usize = 256;
/// Looks at the sockets before a `Tick`.
const MAX_ROUNDS: usize = 4;
/// Looks that brought nothing before the sockets count as empty: on two workers the first may come too early.
const EMPTY_ROUNDS: usize = 2;
/// A deadline that passed no longer ago than this counts as not yet passed for input that was already there.
const GRACE: Duration = Duration::from_millis(10);
/// Pause after a `Tick` that changed nothing although its deadline had come.
const SPIN_PAUSE: Duration = Duration::from_millis(1);

/// What the driver needs of an engine: [`Engine`], or a script in a test.
pub trait Brain {
    /// Why it wants to be woken.
    type Why: fmt::Debug;
    /// See [`Engine::handle`].
    fn handle(&mut self, now: Time, input: Input<'_>) -> std::vec::Drain<'_, Output>;
    /// See [`Engine::next_wakeup`].
    fn next_wakeup(&self) -> Option<(Time, Self::Why)>;
    /// See [`Engine::snapshot`].
    fn snapshot(&self) -> Snapshot;
}

impl Brain for Engine {
    type Why = Wake;
    fn handle(&mut self, now: Time, input: Input<'_>) -> std::vec::Drain<'_, Output> {
        Self::handle(self, now, input)
    }
    fn next_wakeup(&self) -> Option<(Time, Wake)> {
        Self::next_wakeup(self)
    }
    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }
}

/// Where events are published: the hub of the server.
pub trait EventSink: Send + 'static {
    /// Gives a payload to the subscribers of a channel. Does not wait for them.
    fn publish(&self, channel: &str, payload: &str);
}

/// What the process around the engine does on its behalf.
pub trait Process: EventSink {
    /// Logs from now on what is at least as loud as this.
    fn set_log_level(&mut self, level: LogLevel);
    /// What `INFO` shows from now on.
    fn show(&mut self, figures: Figures);
    /// Executes a script; what becomes of it comes on [`Inboxes::scripts`].
    fn run_script(&mut self, script: ScriptId, argv: Vec<Arc<str>>);
    /// Looks a host name up; the answer comes on [`Inboxes::names`].
    fn look_up(&mut self, host: Arc<str>);
    /// Kills a script that runs.
    fn kill_script(&mut self, script: ScriptId);
    /// Ends the process with this code, as soon as the log is written.
    fn exit(&mut self, code: u8);
}

/// What writes snapshots to disk: the [`Writer`], or a script in a test.
pub trait SaveWorker: Send + 'static {
    /// Starts a save whose result comes on [`Inboxes::saved`]. False if that is impossible.
    fn start(&mut self, snapshot: Snapshot) -> bool;
}

impl SaveWorker for Writer {
    fn start(&mut self, snapshot: Snapshot) -> bool {
        Self::start(self, snapshot)
    }
}

/// Where input comes from.
#[derive(Debug)]
pub struct Inboxes {
    /// From the links; of capacity [`LINK_EVENTS`].
    pub links: mpsc::Receiver<LinkEvent>,
    /// From the server; of capacity [`COMMANDS`].
    pub asked: mpsc::Receiver<Asked>,
    /// From the resolver; of capacity [`NAME_ANSWERS`].
    pub names: mpsc::Receiver<Resolved>,
    /// From the scripts; of capacity [`SCRIPT_EVENTS`].
    pub scripts: mpsc::Receiver<ScriptEvent>,
    /// From the writer thread; of capacity [`SAVE_RESULTS`].
    pub saved: mpsc::Receiver<Saved>,
}

/// The engine with its senses and hands.
#[derive(Debug)]
pub struct Driver<B, L, W, P> {
    brain: B,
    clock: Clock,
    usage: Usage,
    /// Time of the last input: the engine's time never goes back.
    last: Time,
    inboxes: Inboxes,
    batch: Vec<LinkEvent>,
    effects: Effects<L, P>,
    writer: W,
    saves: Saves,
    /// A wake-up brought nothing: do not spin.
    stuck: bool,
    /// That was logged; once is enough.
    told_stuck: bool,
}

/// What the wait ended with.
enum Woken {
    /// Link events are in the batch.
    Links,
    Asked(Asked),
    Saved(Saved),
    Script(ScriptEvent),
    Name(Resolved),
    /// A deadline may have come.
    Due,
    Stop,
}

impl<B: Brain, L: Links, W: SaveWorker, P: Process> Driver<B, L, W, P> {
    /// A driver for an engine that was made with time zero of `clock`.
    pub fn new(
        brain: B,
        clock: Clock,
        inboxes: Inboxes,
        links: L,
        writer: W,
        views: Views,
        process: P,
    ) -> Self {
        Self {
            brain,
            clock,
            usage: Usage::new(),
            last: Time(0),
            inboxes,
            batch: Vec::with_capacity(BATCH),
            effects: Effects::new(links, views, process),
            writer,
            saves: Saves::default(),
            stuck: false,
            told_stuck: false,
        }
    }

    /// Runs until `stop` is used or dropped; then gives back the writer, so that a write in flight can finish.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) -> W {
        self.feed(self.clock.now(), Input::Tick);
        loop {
            self.start_save();
            let woken = if self.is_due() { Woken::Due } else { self.wait(&mut stop).await };
            self.clock.look();
            match woken {
                Woken::Links => self.deliver_batch(),
                Woken::Asked(asked) => self.deliver_command(asked),
                Woken::Saved(saved) => self.deliver_saved(saved),
                Woken::Script(event) => self.deliver_script(event),
                Woken::Name(answer) => self.deliver_name(&answer),
                Woken::Due => {
                    self.on_due().await;
                    // With thousands of nodes the next deadline may have come already: the others that wait
                    // have their turn all the same.
                    self.deliver_commands();
                    if !matches!(stop.try_recv(), Err(TryRecvError::Empty)) {
                        return self.writer;
                    }
                }
                Woken::Stop => return self.writer,
            }
        }
    }

    async fn wait(&mut self, stop: &mut oneshot::Receiver<()>) -> Woken {
        let earliest = if self.stuck { Instant::now() + SPIN_PAUSE } else { self.clock.at(Time(0)) };
        let wakeup = self.brain.next_wakeup().map(|(at, _)| self.clock.at(at).max(earliest));
        let deadline = self.saves.deadline().map(|at| self.clock.at(at));
        let until = wakeup.into_iter().chain(deadline).min().unwrap_or_else(|| self.clock.at(Time(u64::MAX)));
        let room = self.effects.tickets() < MAX_TICKETS;
        let inboxes = &mut self.inboxes;
        let woken = tokio::select! {
            _ = inboxes.links.recv_many(&mut self.batch, BATCH), if !inboxes.links.is_closed() => Woken::Links,
            Some(saved) = inboxes.saved.recv() => Woken::Saved(saved),
            Some(event) = inboxes.scripts.recv() => Woken::Script(event),
            Some(answer) = inboxes.names.recv() => Woken::Name(answer),
            Some(asked) = inboxes.asked.recv(), if room => Woken::Asked(asked),
            () = tokio::time::sleep_until(until) => Woken::Due,
            _ = stop => Woken::Stop,
        };
        self.stuck &= !matches!(woken, Woken::Due);
        woken
    }

    /// Whether a deadline of the engine has come; input is always at hand in a busy process, and must not
    /// decide alone.
    fn is_due(&self) -> bool {
        let now = self.clock.now();
        !self.stuck && self.brain.next_wakeup().is_some_and(|(at, _)| at <= now)
    }

    /// A deadline has come: first what is readable, then the `Tick`.
    async fn on_due(&mut self) {
        if self.is_due() {
            self.drain_sockets().await;
        }
        self.expire_saves();
        let now = self.now();
        let before = self.brain.next_wakeup().map(|(at, _)| at).filter(|at| *at <= now);
        let Some(before) = before else { return };
        let outputs = self.feed(now, Input::Tick);
        if outputs == 0
            && let Some((at, why)) = self.brain.next_wakeup()
            && at == before
        {
            debug_assert!(false, "a deadline that stays due would spin this loop: {why:?} at {at}");
            if !std::mem::replace(&mut self.told_stuck, true) {
                tracing::error!("Internal error: the deadline {why:?} at {at} brings nothing");
            }
            self.stuck = true;
        }
    }

    async fn drain_sockets(&mut self) {
        let mut empty = 0;
        for _ in 0..MAX_ROUNDS {
            tokio::task::yield_now().await;
            while let Ok(saved) = self.inboxes.saved.try_recv() {
                self.deliver_saved(saved);
            }
            while let Ok(answer) = self.inboxes.names.try_recv() {
                self.deliver_name(&answer);
            }
            while self.batch.len() < BATCH
                && let Ok(event) = self.inboxes.links.try_recv()
            {
                self.batch.push(event);
            }
            empty = if self.batch.is_empty() { empty + 1 } else { 0 };
            if empty == EMPTY_ROUNDS {
                return;
            }
            self.deliver_batch();
        }
    }

    fn deliver_batch(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        for event in batch.drain(..) {
            self.deliver_event(&event);
        }
        self.batch = batch;
    }

    fn deliver_event(&mut self, event: &LinkEvent) {
        if !self.effects.links.accepts(event) {
            return;
        }
        let input = match event {
            LinkEvent::Up { link, local } => Input::LinkUp { link: *link, local: *local },
            LinkEvent::Reached { link, begun } => Input::LinkReached { link: *link, begun: *begun },
            LinkEvent::Failed { link, why } => Input::ConnectFailed { link: *link, why },
            LinkEvent::Down { link, cause } => Input::LinkDown { link: *link, cause: *cause },
            LinkEvent::Reply { link, reply } => Input::Reply { link: *link, reply: reply.as_reply() },
            LinkEvent::Message { link, message } => {
                let payload = message.as_message().and_then(|(_, payload)| std::str::from_utf8(payload).ok());
                let Some(payload) = payload else { return };
                Input::Message { link: *link, payload }
            }
        };
        let now = self.now_or_just_before_the_deadline();
        self.feed(now, input);
    }

    fn deliver_commands(&mut self) {
        for _ in 0..COMMAND_BATCH {
            if self.effects.tickets() >= MAX_TICKETS {
                return;
            }
            let Ok(asked) = self.inboxes.asked.try_recv() else { return };
            self.deliver_command(asked);
        }
    }

    fn deliver_command(&mut self, Asked { command, answer }: Asked) {
        let ticket = self.effects.issue_ticket(answer);
        self.feed(self.now(), Input::Command { ticket, command });
    }

    fn deliver_script(&mut self, event: ScriptEvent) {
        let input = match event {
            ScriptEvent::Started { script, pid } => Input::ScriptStarted { script, pid },
            ScriptEvent::Ended { script, end } => Input::ScriptEnded { script, end },
        };
        self.feed(self.now(), input);
    }

    fn deliver_name(&mut self, answer: &Resolved) {
        let now = self.now_or_just_before_the_deadline();
        self.feed(now, Input::Resolved { host: &answer.host, ips: &answer.ips });
    }

    fn deliver_saved(&mut self, saved: Saved) {
        let Some(input) = self.saves.finished(saved) else { return };
        let now = self.now_or_just_before_the_deadline();
        self.feed(now, input);
    }

    /// Hands the newest state to the writer if that is free and something is to be saved.
    fn start_save(&mut self) {
        self.expire_saves();
        if !self.saves.may_start() {
            return;
        }
        let snapshot = self.brain.snapshot();
        let seq = snapshot.seq;
        self.saves.started(seq);
        if !self.writer.start(snapshot) {
            tracing::error!("Internal error: the thread that saves the state has ended");
            self.deliver_saved(Saved { seq, ok: false });
        }
    }

    fn expire_saves(&mut self) {
        while let Some(input) = self.saves.expire(self.now()) {
            self.feed(self.now(), input);
        }
    }

    /// A deadline that passed a while ago: what the system knows of that comes before anything else.
    fn tell_if_late(&mut self, now: Time) {
        let asleep = self.clock.asleep();
        let due = self.brain.next_wakeup().map(|(at, _)| at.max(self.last));
        if due.is_some_and(|due| now.since(due) >= WORTH_ASKING) {
            let evidence = self.usage.evidence(now, asleep);
            self.handle(now, Input::Late(evidence));
        } else {
            self.usage.refresh(now, asleep);
        }
    }

    /// One input, all its effects.
    fn feed(&mut self, now: Time, input: Input<'_>) -> usize {
        self.tell_if_late(now);
        self.handle(now, input)
    }

    fn handle(&mut self, now: Time, input: Input<'_>) -> usize {
        debug_assert!(now >= self.last, "time goes forward");
        self.last = now;
        let mut outputs = 0;
        for output in self.brain.handle(now, input) {
            outputs += 1;
            if let Some(seq) = self.effects.perform(output) {
                self.saves.want(seq, now);
            }
        }
        self.effects.links.flush();
        if outputs > 0 {
            self.stuck = false;
        }
        outputs
    }

    fn now(&self) -> Time {
        self.clock.now().max(self.last)
    }

    /// The time for input that was there before the deadline was looked at (see the top of this file).
    fn now_or_just_before_the_deadline(&self) -> Time {
        let now = self.now();
        let grace = u64::try_from(GRACE.as_micros()).unwrap_or(0);
        match self.brain.next_wakeup() {
            Some((at, _)) if at <= now && now.since(at).0 <= grace => {
                Time(at.0.saturating_sub(1)).max(self.last)
            }
            Some(_) | None => now,
        }
    }
}

#[cfg(test)]
mod tests;
