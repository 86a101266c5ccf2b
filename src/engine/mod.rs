//! The Sentinel brain: pure state. No sockets, files, clock or ambient randomness.
//!
//! Contract
//! - One call in, all effects out, in the order they must be executed.
//! - Same seed and same `(now, input)` sequence give the same outputs, byte for byte.
//! - What reveals a change of state waits inside until [`Input::Persisted`] covers it.
//! - Every call but [`Input::Late`] also runs what `now` has made due, so a flood of input cannot starve a
//!   deadline.
//! - Imports point inwards: `std` data types and siblings only (`tests/tidy.rs` checks).

mod admin;
mod beat;
mod config;
mod connect;
mod debug;
mod down;
pub mod durable;
mod election;
pub mod event;
mod failover;
mod forget;
pub mod glob;
mod gossip;
pub mod hello;
pub mod ids;
pub mod info;
pub mod input;
mod instance;
mod names;
pub mod numeric;
mod observe;
pub mod output;
mod persist;
mod picture;
mod places;
mod reconf;
mod registry;
mod replies;
pub mod reply;
mod resolve;
pub mod rng;
mod schedule;
mod scripts;
pub mod select;
pub mod settings;
mod stall;
mod tilt;
pub mod time;
mod tuning;
pub mod view;
mod vigia;
mod vote;

use std::collections::{BTreeMap, BTreeSet};

pub use durable::{MasterState, Snapshot, State};
pub use event::{Event, Note};
pub use ids::{Addr, Epoch, LinkId, MasterName, RunId, ScriptId, Seq, Ticket};
pub use input::{Command, DownCause, Input, ScriptEnd};
pub use instance::{MasterId, NodeId, PeerId};
pub use output::{Answer, CachedInfo, Output, PendingScript, Request};
pub use reply::Reply;
pub use schedule::Wake;
pub use tilt::Evidence;
pub use time::{Millis, Span, Time};
pub use view::{Entry, Figures, MasterView, Status};

use debug::Simulated;
use instance::{Master, Node, Peer};
use names::Names;
use persist::Persistence;
use rng::Rng;
use schedule::Schedule;
use scripts::Scripts;
use settings::Globals;
use stall::Stalls;
use tilt::Tilt;
use tuning::Tuning;

/// Whose connection a link is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LinkOwner {
    NodeCommand(NodeId),
    NodeEvents(NodeId),
    Peer(PeerId),
}

/// One sentinel.
#[derive(Debug)]
pub struct Engine {
    globals: Globals,
    current_epoch: Epoch,
    /// The last current epoch that is on disk.
    durable_epoch: Epoch,
    masters: BTreeMap<MasterId, Master>,
    by_name: BTreeMap<MasterName, MasterId>,
    /// Every data node, by its host (in lower case) and by each IP that this stands for.
    by_place: BTreeSet<(Addr, NodeId)>,
    names: Names,
    nodes: BTreeMap<NodeId, Node>,
    peers: BTreeMap<PeerId, Peer>,
    by_run_id: BTreeMap<RunId, PeerId>,
    links: BTreeMap<LinkId, LinkOwner>,
    /// Masters with renamed commands.
    renaming: BTreeSet<MasterId>,
    /// Masters whose hello waits for a save.
    wanted_hellos: BTreeSet<MasterId>,
    ids: u32,
    link_ids: u64,
    schedule: Schedule,
    stalls: Stalls,
    tilt: Tilt,
    saving: Persistence,
    /// Saving failed since elections were last considered.
    was_failing: bool,
    rng: Rng,
    scripts: Scripts,
    tuning: Tuning,
    simulated: Simulated,
    /// The figures that were shown last.
    shown: Figures,
    started: Time,
    now: Time,
    greeted: bool,
    out: Vec<Output>,
}

impl Engine {
    /// A sentinel that starts with `state` (from the config file) at `now`; `seed` feeds its jitter.
    ///
    /// Nothing is sent before the first call of [`Engine::handle`].
    pub fn new(state: State, seed: u64, now: Time) -> Self {
        let mut engine = Self {
            globals: state.globals,
            current_epoch: state.current_epoch,
            durable_epoch: state.current_epoch,
            masters: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_place: BTreeSet::new(),
            names: Names::default(),
            nodes: BTreeMap::new(),
            peers: BTreeMap::new(),
            by_run_id: BTreeMap::new(),
            links: BTreeMap::new(),
            renaming: BTreeSet::new(),
            wanted_hellos: BTreeSet::new(),
            ids: 0,
            link_ids: 0,
            schedule: Schedule::default(),
            stalls: Stalls::default(),
            tilt: Tilt::default(),
            saving: Persistence::default(),
            was_failing: false,
            rng: Rng::new(seed),
            scripts: Scripts::default(),
            tuning: Tuning::default(),
            simulated: Simulated::default(),
            shown: Figures::default(),
            started: now,
            now,
            greeted: false,
            out: Vec::new(),
        };
        for master in state.masters {
            engine.current_epoch = engine.current_epoch.max(master.config_epoch).max(master.leader_epoch);
            let led_by = master.leader.clone().filter(|_| master.leader_epoch == master.config_epoch);
            let id = engine.add_master(now, master);
            if let Some(master) = engine.masters.get_mut(&id) {
                master.led_by = led_by;
            }
        }
        engine.durable_epoch = engine.current_epoch;
        engine.pulse(now);
        engine
    }

    /// Applies one stimulus at `now`; the caller executes what comes back, front to back.
    ///
    /// `now` must not be smaller than in the previous call. Dropping the iterator early discards the
    /// rest of the batch; its buffer is reused by the next call.
    #[must_use = "effects happen only if the caller executes them"]
    pub fn handle(&mut self, now: Time, input: Input<'_>) -> std::vec::Drain<'_, Output> {
        debug_assert!(now >= self.now, "time never runs backwards");
        self.now = now;
        if let Input::Late(evidence) = input {
            self.note_stall(now, Some(evidence));
        } else {
            self.note_stall(now, None);
            if !std::mem::replace(&mut self.greeted, true) {
                self.announce_masters(now);
            }
            self.apply(now, input);
            self.run_due(now);
        }
        self.ask_save(now);
        self.run_scripts(now);
        self.show_figures();
        self.out.drain(..)
    }

    /// When to call [`Engine::handle`] next if nothing else happens, and why.
    pub fn next_wakeup(&self) -> Option<(Time, Wake)> {
        self.schedule.next()
    }

    fn apply(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Tick | Input::Late(_) => {}
            Input::LinkUp { link, local } => self.on_link_up(now, link, local),
            Input::LinkReached { link, begun } => self.on_link_reached(now, link, begun),
            Input::ConnectFailed { link, why } => self.on_connect_failed(link, why),
            Input::LinkDown { link, cause } => self.on_link_down(now, link, cause),
            Input::Reply { link, reply } => self.on_reply(now, link, &reply),
            Input::Message { link, payload } => self.on_message(now, link, payload),
            Input::Resolved { host, ips } => self.on_resolved(now, host, ips),
            Input::Persisted(seq) => self.on_persisted(now, seq),
            Input::PersistFailed(seq) => self.on_persist_failed(now, seq),
            Input::ScriptStarted { script, pid } => self.on_script_started(script, pid),
            Input::ScriptEnded { script, end } => self.on_script_ended(now, script, end),
            Input::Command { ticket, command } => self.on_command(now, ticket, command),
        }
    }

    /// Runs every deadline that `now` has reached. A deadline may set another one for `now`, but only
    /// after doing what it stands for, so this ends.
    fn run_due(&mut self, now: Time) {
        while let Some(wake) = self.schedule.take_due(now) {
            match wake {
                Wake::Beat(node) => self.beat_node(now, node),
                Wake::PeerBeat(peer) => self.beat_peer(now, peer),
                Wake::Connect(node) => self.connect_node(now, node),
                Wake::PeerConnect(peer) => self.connect_peer(now, peer),
                Wake::Down(node) => self.review_down(now, node),
                Wake::PeerDown(peer) => self.review_peer_down(now, peer),
                Wake::Ask(master) => self.ask_peers(now, master),
                Wake::Candidacy(master) => self.plan_candidacy(now, master),
                Wake::Failover(master) => self.step_failover(now, master),
                Wake::Reconf(master) => self.look_at_job(now, master),
                Wake::Names => self.review_names(now),
                Wake::Save => self.retry_save(now),
                Wake::Scripts => self.stir_scripts(),
                Wake::Tilt => self.leave_tilt(),
                Wake::Pulse => self.pulse(now),
            }
        }
    }
}
