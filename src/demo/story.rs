//! The course of the demo: start, watch, kill, show, end.

use std::io::BufRead;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::events::{self, Event};
use super::group::Group;
use super::outage::Outage;
use super::report;
use super::writer::Writer;
use super::{DemoError, Options};

/// How long a failover may take before the demo calls it failed.
const FAILOVER_LIMIT: Duration = Duration::from_secs(30);
/// How often the state of an outage is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long stragglers may add to the picture after the failover.
const EPILOGUE: Duration = Duration::from_millis(300);

/// Runs the demo; whatever ends it, its processes and its folder go with it.
///
/// # Errors
/// When the group does not come together, or a failover does not happen in time.
pub(super) async fn tell(options: &Options) -> Result<(), DemoError> {
    let mut terminate = Ending::listen()?;
    println!("Starting three data nodes and three sentinels...\n");
    let group = tokio::select! {
        group = Group::start(options) => group?,
        () = terminate.wait() => return Ok(()),
    };
    report::print_group(&group, options.kill_after.is_none());
    let ports: Vec<u16> = group.sentinels.iter().map(|sentinel| sentinel.port).collect();
    let events = events::subscribe(&ports).await.map_err(client_failed)?;
    let writer = Writer::start(&ports).map_err(client_failed)?;
    let mut story = Story { group, events, writer, outage: None, summarized: false };
    let told = match options.kill_after {
        Some(delay) => story.kill_and_end(delay, &mut terminate).await,
        None => story.follow_the_keys(&mut terminate).await,
    };
    if options.keep {
        println!("Kept {}", story.group.folder.path.display());
    }
    told
}

fn client_failed(error: redis::RedisError) -> DemoError {
    DemoError::Io { what: "a client of the demo".to_owned(), source: std::io::Error::other(error) }
}

struct Story {
    group: Group,
    events: UnboundedReceiver<Event>,
    writer: Writer,
    outage: Option<Outage>,
    summarized: bool,
}

impl Story {
    /// Without hands: waits, kills, shows, ends.
    async fn kill_and_end(&mut self, delay: Duration, terminate: &mut Ending) -> Result<(), DemoError> {
        let kill_at = tokio::time::Instant::now() + delay;
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = terminate.wait() => return Ok(()),
                Some(event) = self.events.recv() => self.show(&event),
                () = tokio::time::sleep_until(kill_at), if self.outage.is_none() => self.kill_master().await?,
                _ = look.tick(), if self.outage.is_some() => {
                    if self.look_at_outage().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// With a person at the keyboard; failovers may be repeated.
    async fn follow_the_keys(&mut self, terminate: &mut Ending) -> Result<(), DemoError> {
        let mut keys = read_keys();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = terminate.wait() => return Ok(()),
                Some(event) = self.events.recv() => self.show(&event),
                Some(key) = keys.recv() => match key.as_str() {
                    "k" => self.kill_master().await?,
                    "r" => println!("Started {} node(s) again.", self.group.restart_dead_nodes()?),
                    "q" => return Ok(()),
                    _ => println!("k kills the master, r starts dead nodes again, q ends."),
                },
                _ = look.tick(), if self.outage.is_some() && !self.summarized => {
                    self.look_at_outage().await?;
                }
            }
        }
    }

    fn show(&mut self, event: &Event) {
        if let Some(outage) = &mut self.outage {
            outage.note(event);
        }
        report::print_event(event, self.outage.as_ref().map(|outage| outage.start));
    }

    async fn kill_master(&mut self) -> Result<(), DemoError> {
        let port = self.group.master_port().await;
        let Some(index) = port.and_then(|port| self.group.node_at(port)) else {
            println!("The sentinels name no master of this group just now.");
            return Ok(());
        };
        let survivors = self.group.nodes.iter().enumerate().filter(|(other, _)| *other != index);
        let survivors: Vec<u16> = survivors.map(|(_, node)| node.port).collect();
        let node = &mut self.group.nodes[index];
        if !node.process.is_running() {
            println!("{} is dead already.", node.process.name);
            return Ok(());
        }
        report::print_kill(&node.process.name, node.port, node.process.pid());
        self.writer.mark();
        self.outage = Some(Outage::start(survivors));
        self.summarized = false;
        node.process.kill();
        Ok(())
    }

    /// Prints the summary once the failover is complete and the client writes again.
    async fn look_at_outage(&mut self) -> Result<bool, DemoError> {
        let sentinels = self.group.sentinels.len();
        let Some(outage) = &mut self.outage else { return Ok(false) };
        if outage.is_over(sentinels).await && self.writer.tally().recovered {
            self.drain_events(EPILOGUE).await;
            if let Some(outage) = &self.outage {
                report::print_summary(outage, &self.writer.tally());
            }
            self.summarized = true;
            return Ok(true);
        }
        if outage.start.elapsed() > FAILOVER_LIMIT {
            let what = "every sentinel announced the new master and the client wrote to it";
            return Err(DemoError::TimedOut { what, seconds: FAILOVER_LIMIT.as_secs() });
        }
        Ok(false)
    }

    async fn drain_events(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while let Ok(Some(event)) = tokio::time::timeout_at(end.into(), self.events.recv()).await {
            self.show(&event);
        }
    }
}

/// Ctrl-C, SIGTERM or SIGHUP.
struct Ending {
    signals: [Signal; 3],
}

impl Ending {
    fn listen() -> Result<Self, DemoError> {
        let listen =
            |kind| signal(kind).map_err(|source| DemoError::Io { what: "signals".to_owned(), source });
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, term, hangup] = signals.map(listen);
        Ok(Self { signals: [interrupt?, term?, hangup?] })
    }

    async fn wait(&mut self) {
        let [interrupt, term, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = term.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Lines of stdin. A thread of its own, since a pending read of stdin cannot be taken back and
/// must not hold up the end of the runtime.
fn read_keys() -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line.trim().to_lowercase()).is_err() {
                return;
            }
        }
    });
    receiver
}
