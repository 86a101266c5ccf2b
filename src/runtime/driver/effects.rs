//! Performs what the engine wants done.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::Process;
use crate::engine::event::{Level, Note};
use crate::engine::{Answer, Event, Output, Seq, Span, Ticket};
use crate::runtime::handle::Views;
use crate::runtime::link::Links;
use crate::runtime::log;

/// The hands: links, views, the process, waiting clients.
#[derive(Debug)]
pub(super) struct Effects<L, P> {
    pub(super) links: L,
    views: Views,
    process: P,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    next_ticket: u64,
}

impl<L: Links, P: Process> Effects<L, P> {
    pub(super) fn new(links: L, views: Views, process: P) -> Self {
        Self { links, views, process, waiting: HashMap::new(), next_ticket: 0 }
    }

    /// Commands whose answers have not come.
    pub(super) fn tickets(&self) -> usize {
        self.waiting.len()
    }

    /// Names a command whose answer goes to `answer`.
    pub(super) fn issue_ticket(&mut self, answer: oneshot::Sender<Answer>) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, answer);
        ticket
    }

    /// Performs one output at once. A number that is to be saved is the caller's business.
    pub(super) fn perform(&mut self, output: Output) -> Option<Seq> {
        match output {
            Output::Connect { link, addr, ip } => self.links.connect(link, &addr, ip),
            Output::Resolve(host) => self.process.look_up(host),
            Output::Close { link } => self.links.close(link),
            Output::Send { link, request, renames } => self.links.send(link, &request, renames.as_ref()),
            Output::Save(seq) => return Some(seq),
            Output::View(view) => {
                self.views.insert(view.name.clone(), view);
            }
            Output::ViewGone(name) => {
                self.views.remove(&name);
            }
            Output::Event(event) => self.announce(&event),
            Output::Note(note) => tell(&note),
            Output::RunScript { script, argv } => self.process.run_script(script, argv),
            Output::KillScript(script) => self.process.kill_script(script),
            Output::Figures(figures) => self.process.show(figures),
            Output::Exit(code) => self.process.exit(code),
            Output::LogLevel(level) => self.process.set_log_level(level),
            Output::Answer { ticket, answer } => self.answer(ticket, answer),
        }
        None
    }

    /// Source: spec 03, section 1: events of level debug are logged only.
    fn announce(&self, event: &Event) {
        let level = event.kind.level();
        log::line(level, event);
        if level > Level::Debug {
            self.process.publish(event.kind.name(), &event.payload());
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        let waiting = self.waiting.remove(&ticket);
        debug_assert!(waiting.is_some(), "every command is answered once: {ticket:?}");
        if let Some(waiting) = waiting {
            // A client that has gone meanwhile needs no answer.
            let _ = waiting.send(answer);
        }
    }
}

/// The engine knows no time of day.
fn tell(note: &Note) {
    match note {
        Note::NextFailover(delay) => log::line(note.level(), &not_before(chrono::Local::now(), *delay)),
        Note::Voted { .. }
        | Note::UserFailover(_)
        | Note::PassedOver { .. }
        | Note::SavingFails
        | Note::SavingWorks
        | Note::Text { .. } => log::line(note.level(), note),
    }
}

/// Source: spec 03, section 3.
fn not_before(now: chrono::DateTime<chrono::Local>, delay: Span) -> String {
    let at =
        now.checked_add_signed(chrono::Duration::milliseconds(i64::try_from(delay.as_ms()).unwrap_or(0)));
    let at = at.unwrap_or(now).format("%a %b %e %H:%M:%S %Y");
    format!("Next failover delay: I will not start a failover before {at}")
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn the_end_of_a_delay_is_told_as_stock_tells_it() {
        let now = chrono::Local.with_ymd_and_hms(2026, 11, 2, 17, 41, 41).unwrap();
        let line = not_before(now, Span::secs(10));
        assert_eq!(line, "Next failover delay: I will not start a failover before Mon Nov  2 17:41:51 2026");
    }
}
