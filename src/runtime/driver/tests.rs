//! The driver on a paused clock, with scripts for the engine, the links, the disk and the hub.

use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::event::{Kind, MasterRef, Subject};
use crate::engine::settings::{Globals, Renames};
use crate::engine::{
    Addr, Answer, Command, DownCause, Epoch, Event, LinkId, MasterName, MasterView, Request, RunId, Seq,
    State, Status, Ticket,
};
use crate::runtime::handle::EngineHandle;

/// What everybody did, in order.
type Trace = Arc<Mutex<Vec<String>>>;
type Rule = Box<dyn FnMut(Time, &Input<'_>) -> Step + Send>;

/// What the scripted engine does with one input.
#[derive(Default)]
struct Step {
    outputs: Vec<Output>,
    wakeup: Option<u64>,
    seq: u64,
}

struct Script {
    rule: Rule,
    trace: Trace,
    out: Vec<Output>,
    wakeup: Option<Time>,
    seq: Seq,
}

impl Brain for Script {
    type Why = &'static str;

    fn handle(&mut self, now: Time, input: Input<'_>) -> std::vec::Drain<'_, Output> {
        let text = format!("{now} {input:?}");
        self.trace.lock().unwrap().push(text);
        let step = (self.rule)(now, &input);
        self.out.extend(step.outputs);
        self.wakeup = step.wakeup.map(|ms| Time(ms * 1_000));
        self.seq = self.seq.max(Seq(step.seq));
        self.out.drain(..)
    }
    fn next_wakeup(&self) -> Option<(Time, &'static str)> {
        self.wakeup.map(|at| (at, "script"))
    }
    fn snapshot(&self) -> Snapshot {
        let globals = Globals::new(RunId::from("a"));
        Snapshot { seq: self.seq, state: State { globals, current_epoch: Epoch(0), masters: Vec::new() } }
    }
}

/// Links, disk and hub: they only write down what they were told.
#[derive(Clone, Debug)]
struct Scribe(Trace, Views);

impl Scribe {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Links for Scribe {
    fn connect(&mut self, link: LinkId, addr: &Addr, _: std::net::IpAddr) {
        self.note(format!("connect {} {addr}", link.0));
    }
    fn close(&mut self, link: LinkId) {
        self.note(format!("close {}", link.0));
    }
    fn send(&mut self, link: LinkId, request: &Request, _: Option<&Renames>) {
        self.note(format!("send {} {request:?}", link.0));
    }
    fn flush(&mut self) {}
    fn accepts(&mut self, event: &LinkEvent) -> bool {
        event.link() != LinkId(666)
    }
}

impl SaveWorker for Scribe {
    fn start(&mut self, snapshot: Snapshot) -> bool {
        self.note(format!("save {}", snapshot.seq.0));
        true
    }
}

impl EventSink for Scribe {
    fn publish(&self, channel: &str, payload: &str) {
        let view = self.1.get(&MasterName::from("m")).map(|view| view.addr.to_string());
        self.note(format!("publish {channel} {payload}; view {view:?}"));
    }
}

impl Process for Scribe {
    fn set_log_level(&mut self, level: LogLevel) {
        self.note(format!("log {}", level.as_str()));
    }
    fn show(&mut self, figures: Figures) {
        self.note(format!("show {figures:?}"));
    }
    fn run_script(&mut self, script: ScriptId, argv: Vec<Arc<str>>) {
        self.note(format!("run {} {argv:?}", script.0));
    }
    fn look_up(&mut self, host: Arc<str>) {
        self.note(format!("look up {host}"));
    }
    fn kill_script(&mut self, script: ScriptId) {
        self.note(format!("kill {}", script.0));
    }
    fn exit(&mut self, code: u8) {
        self.note(format!("exit {code}"));
    }
}

struct World {
    trace: Trace,
    links: mpsc::Sender<LinkEvent>,
    saved: mpsc::Sender<Saved>,
    names: mpsc::Sender<Resolved>,
    handle: EngineHandle,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<Scribe>,
}

impl World {
    fn start(rule: impl FnMut(Time, &Input<'_>) -> Step + Send + 'static) -> Self {
        Self::start_with(Clock::start(), rule)
    }

    fn start_with(clock: Clock, rule: impl FnMut(Time, &Input<'_>) -> Step + Send + 'static) -> Self {
        let (links, link_events) = mpsc::channel(LINK_EVENTS);
        let (asked_sender, asked) = mpsc::channel(COMMANDS);
        let (saved_sender, saved) = mpsc::channel(SAVE_RESULTS);
        let (names_sender, names) = mpsc::channel(NAME_ANSWERS);
        let (stop, stopped) = oneshot::channel();
        let (trace, views) = (Trace::default(), Views::default());
        let handle = EngineHandle::new(asked_sender, views.clone());
        let scribe = Scribe(trace.clone(), views.clone());
        let script =
            Script { rule: Box::new(rule), trace: trace.clone(), out: Vec::new(), wakeup: None, seq: Seq(0) };
        let inboxes =
            Inboxes { links: link_events, asked, scripts: mpsc::channel(SCRIPT_EVENTS).1, names, saved };
        let driver = Driver::new(script, clock, inboxes, scribe.clone(), scribe.clone(), views, scribe);
        let running = tokio::spawn(driver.run(stopped));
        Self { trace, links, saved: saved_sender, names: names_sender, handle, stop, running }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.trace.lock().unwrap())
    }
}

async fn pass_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn down(link: u64) -> LinkEvent {
    LinkEvent::Down { link: LinkId(link), cause: DownCause::Remote }
}

fn event(kind: Kind) -> Output {
    let master = MasterRef { name: MasterName::from("m"), addr: Addr::new("10.0.0.1", 1) };
    Output::Event(Event { kind, subject: Subject::Master(master), detail: String::new() })
}

fn view(host: &str) -> Output {
    let addr = Addr::new(host, 1);
    Output::View(Arc::new(MasterView {
        name: MasterName::from("m"),
        configured: addr.clone(),
        addr,
        status: Status::Ok,
        replicas: 0,
        sentinels: 1,
        config_epoch: Epoch(0),
    }))
}

#[tokio::test(start_paused = true)]
async fn the_engine_is_ticked_at_the_start_and_at_its_wakeups() {
    let world = World::start(|now, _| Step {
        wakeup: (now < Time(200_000)).then_some(now.0 / 1_000 + 100),
        ..Step::default()
    });
    pass_ms(1_000).await;
    assert_eq!(world.take(), ["0.000000 Tick", "0.100000 Tick", "0.200000 Tick"]);
}

#[tokio::test(start_paused = true)]
async fn outputs_are_performed_in_order_and_a_view_before_its_event() {
    let world = World::start(|_, _| Step {
        outputs: vec![
            Output::Connect {
                link: LinkId(1),
                addr: Addr::new("10.0.0.1", 6379),
                ip: std::net::Ipv4Addr::new(10, 0, 0, 1).into(),
            },
            Output::Send { link: LinkId(1), request: Request::Ping, renames: None },
            view("10.0.0.2"),
            event(Kind::SwitchMaster),
            event(Kind::Sdown),
            Output::ViewGone(MasterName::from("m")),
            event(Kind::Unmonitor),
            Output::Close { link: LinkId(1) },
        ],
        ..Step::default()
    });
    pass_ms(1).await;
    let expected = [
        "0.000000 Tick",
        "connect 1 10.0.0.1:6379",
        "send 1 Ping",
        r#"publish +switch-master ; view Some("10.0.0.2:1")"#,
        r#"publish +sdown master m 10.0.0.1 1; view Some("10.0.0.2:1")"#,
        "publish -monitor master m 10.0.0.1 1; view None",
        "close 1",
    ];
    assert_eq!(world.take(), expected);
}

/// The other task stands for a link whose socket becomes readable at the moment of the deadline.
#[tokio::test(start_paused = true)]
async fn what_is_readable_at_a_deadline_is_delivered_before_the_tick() {
    let world =
        World::start(|now, _| Step { wakeup: (now < Time(100_000)).then_some(100), ..Step::default() });
    let links = world.links.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        links.send(down(1)).await.unwrap();
        links.send(down(2)).await.unwrap();
    });
    pass_ms(1_000).await;
    let expected = [
        "0.000000 Tick",
        "0.099999 LinkDown { link: LinkId(1), cause: Remote }",
        "0.099999 LinkDown { link: LinkId(2), cause: Remote }",
        "0.100000 Tick",
    ];
    assert_eq!(world.take(), expected);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_stall_input_gets_the_true_time() {
    let world =
        World::start(|now, _| Step { wakeup: (now < Time(100_000)).then_some(100), ..Step::default() });
    pass_ms(1).await;
    world.links.send(down(1)).await.unwrap();
    // Nothing runs between here and there: the whole process was stopped.
    tokio::time::advance(Duration::from_secs(5)).await;
    pass_ms(1).await;
    let trace = world.take();
    assert_eq!(trace[0], "0.000000 Tick");
    assert!(trace[1].starts_with("5.00") && trace[1].contains("Late"), "{trace:?}");
    assert!(trace[2].starts_with("5.00") && trace[2].contains("LinkDown"), "{trace:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_hold_up_a_deadline() {
    let mut ticks = 0;
    let world = World::start(move |_, input| {
        ticks += usize::from(matches!(input, Input::Tick));
        Step { wakeup: (ticks < 2).then_some(100), ..Step::default() }
    });
    let links = world.links.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(99)).await;
        while links.send(down(1)).await.is_ok() {}
    });
    pass_ms(99).await;
    let ticked = |line: &String| line.starts_with("0.1") && line.ends_with("Tick");
    for _ in 0..10 {
        // The flood never lets the paused clock move by itself.
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let trace = world.take();
    assert!(trace.len() > 100, "there is a flood");
    assert!(trace.iter().any(ticked), "ticked at most 10 ms late");
}

#[tokio::test(start_paused = true)]
async fn events_of_closed_links_are_dropped() {
    let world = World::start(|_, _| Step::default());
    world.links.send(down(666)).await.unwrap();
    world.links.send(down(1)).await.unwrap();
    pass_ms(1).await;
    assert_eq!(world.take(), ["0.000000 Tick", "0.000000 LinkDown { link: LinkId(1), cause: Remote }"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_finds_its_asker_even_out_of_order() {
    let mut tickets: Vec<Ticket> = Vec::new();
    let world = World::start(move |_, input| {
        let Input::Command { ticket, .. } = input else { return Step::default() };
        tickets.push(*ticket);
        let outputs = match tickets[..] {
            [first, second] => [(second, 2), (first, 1)]
                .map(|(ticket, n)| Output::Answer { ticket, answer: Answer::Integer(n) })
                .to_vec(),
            _ => Vec::new(),
        };
        Step { outputs, ..Step::default() }
    });
    let (one, two) = tokio::join!(world.handle.ask(Command::Masters), world.handle.ask(Command::FlushConfig));
    assert_eq!((one.unwrap(), two.unwrap()), (Answer::Integer(1), Answer::Integer(2)));
}

#[tokio::test(start_paused = true)]
async fn askers_are_told_when_the_driver_stops() {
    let world = World::start(|_, _| Step::default());
    let handle = world.handle.clone();
    let asking = tokio::spawn(async move { handle.ask(Command::Masters).await });
    pass_ms(1).await;
    world.stop.send(()).unwrap();
    assert!(asking.await.unwrap().is_err());
    world.running.await.unwrap();
}

/// Each `LinkDown { link: n }` is a change number n.
fn changes() -> impl FnMut(Time, &Input<'_>) -> Step {
    |_, input| {
        let Input::LinkDown { link, .. } = input else { return Step::default() };
        Step { outputs: vec![Output::Save(Seq(link.0))], seq: link.0, wakeup: None }
    }
}

#[tokio::test(start_paused = true)]
async fn one_write_is_in_flight_and_later_changes_share_the_next() {
    let world = World::start(changes());
    world.links.send(down(1)).await.unwrap();
    pass_ms(10).await;
    for change in 2..5 {
        world.links.send(down(change)).await.unwrap();
    }
    pass_ms(10).await;
    let saves = |trace: Vec<String>| -> Vec<String> {
        trace.into_iter().filter(|line| line.contains("ersist") || line.starts_with("save")).collect()
    };
    assert_eq!(saves(world.take()), ["save 1"]);

    world.saved.send(Saved { seq: Seq(1), ok: true }).await.unwrap();
    pass_ms(10).await;
    assert_eq!(saves(world.take()), ["0.020000 Persisted(Seq(1))", "save 4"]);

    world.saved.send(Saved { seq: Seq(4), ok: false }).await.unwrap();
    pass_ms(10).await;
    assert_eq!(
        saves(world.take()),
        ["0.030000 PersistFailed(Seq(4))"],
        "trying again is the engine's business"
    );
}

#[tokio::test(start_paused = true)]
async fn a_save_that_takes_longer_than_a_second_has_failed_until_it_succeeds() {
    let world = World::start(changes());
    pass_ms(10).await;
    world.links.send(down(7)).await.unwrap();
    pass_ms(2_000).await;
    world.saved.send(Saved { seq: Seq(7), ok: true }).await.unwrap();
    pass_ms(10).await;
    let expected = ["save 7", "1.010000 PersistFailed(Seq(7))", "2.010000 Persisted(Seq(7))"];
    assert_eq!(world.take()[2..], expected);
}

#[tokio::test(start_paused = true)]
async fn names_are_looked_up_and_their_answers_are_input() {
    let world = World::start(|now, _| Step {
        outputs: if now == Time(0) { vec![Output::Resolve("n".into())] } else { Vec::new() },
        ..Step::default()
    });
    pass_ms(5).await;
    let ips = vec!["10.0.0.1".parse().unwrap()];
    world.names.send(Resolved { host: "n".into(), ips }).await.unwrap();
    pass_ms(1).await;
    let expected = ["0.000000 Tick", "look up n", "0.005000 Resolved { host: \"n\", ips: [10.0.0.1] }"];
    assert_eq!(world.take(), expected);
}

/// An engine that has something to do all the time, as with too many masters for the machine.
#[tokio::test(start_paused = true)]
async fn an_engine_that_is_always_late_still_answers_and_stops() {
    let world = World::start(|_, input| {
        let output = match input {
            Input::Command { ticket, .. } => Output::Answer { ticket: *ticket, answer: Answer::Ok },
            Input::Tick
            | Input::LinkUp { .. }
            | Input::LinkReached { .. }
            | Input::LinkDown { .. }
            | Input::Reply { .. }
            | Input::Message { .. }
            | Input::Resolved { .. }
            | Input::Persisted(_)
            | Input::PersistFailed(_)
            | Input::ScriptStarted { .. }
            | Input::ScriptEnded { .. }
            | Input::ConnectFailed { .. }
            | Input::Late(_) => event(Kind::Slave),
        };
        Step { outputs: vec![output], wakeup: Some(0), seq: 0 }
    });
    assert_eq!(world.handle.ask(Command::Masters).await.unwrap(), Answer::Ok);
    world.stop.send(()).unwrap();
    world.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
#[cfg_attr(debug_assertions, should_panic(expected = "a deadline that stays due would spin this loop"))]
async fn a_deadline_that_stays_due_is_noticed() {
    let mut world = World::start(|_, _| Step { wakeup: Some(0), ..Step::default() });
    tokio::select! {
        ended = &mut world.running => std::panic::resume_unwind(ended.unwrap_err().into_panic()),
        () = pass_ms(100) => {}
    }
    assert!(world.take().len() < 200, "in release the driver pauses");
}

/// The runtime itself stands still: the deadline of the engine passes, and nothing else is told first.
#[tokio::test(start_paused = true)]
async fn a_late_driver_says_what_it_knows_before_anything_else() {
    let world = World::start(|now, _| Step { wakeup: Some(now.0 / 1_000 + 100), ..Step::default() });
    pass_ms(1).await;
    world.take();
    tokio::time::advance(Duration::from_millis(3_000)).await;
    world.links.send(down(1)).await.unwrap();
    pass_ms(1).await;
    let told = world.take();
    assert!(told[0].starts_with("3.001000 Late(Evidence { asleep: Span(0), busy: Span("), "{told:?}");
    assert!(told[1].starts_with("3.001000 LinkDown"), "{told:?}");
    // Ordinary lateness is not worth a word.
    tokio::time::advance(Duration::from_millis(150)).await;
    pass_ms(1).await;
    assert!(!world.take().iter().any(|line| line.contains("Late")));
}

static ASLEEP_MS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(5_000);

/// The machine sleeps for an hour: the engine's time has gone on, and its deadlines are late by that hour.
#[tokio::test(start_paused = true)]
async fn the_clock_counts_while_the_machine_sleeps() {
    use std::sync::atomic::Ordering;
    let clock = Clock::with(|| Some(Duration::from_millis(ASLEEP_MS.load(Ordering::Relaxed))));
    let world = World::start_with(clock, |now, input| {
        let late = matches!(input, Input::Late(_));
        Step { wakeup: Some(if late { 200 } else { now.0 / 1_000 + 100 }), ..Step::default() }
    });
    pass_ms(150).await;
    assert_eq!(world.take(), ["0.000000 Tick", "0.100000 Tick"]);
    ASLEEP_MS.fetch_add(3_600_000, Ordering::Relaxed);
    pass_ms(60).await;
    let told = world.take();
    assert!(told[0].starts_with("3600.200000 Late(Evidence { asleep: Span(3600000000), busy: "), "{told:?}");
    assert_eq!(told[1..], ["3600.200000 Tick"]);
    pass_ms(100).await;
    assert_eq!(world.take(), ["3600.300000 Tick"]);
}
