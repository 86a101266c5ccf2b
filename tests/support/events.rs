//! A subscriber per sentinel that writes down every event with its time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::resp::Client;

/// One event as a subscriber received it.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it was read.
    pub at: Instant,
    /// Index of the sentinel in its group.
    pub sentinel: usize,
    /// Event type, e.g. `+switch-master`.
    pub channel: String,
    /// Message, e.g. `mymaster 127.0.0.1 7000 127.0.0.1 7001`.
    pub payload: String,
}

/// `PSUBSCRIBE *` on one sentinel; comes back by itself after a restart of the sentinel.
pub struct Recorder {
    log: Arc<Mutex<Vec<Event>>>,
    ready: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts to record the events of the sentinel at `address`.
    pub fn start(sentinel: usize, address: &str) -> Recorder {
        let log = Arc::new(Mutex::new(Vec::new()));
        let ready = Arc::new(AtomicBool::new(false));
        let end = Arc::new(AtomicBool::new(false));
        let (their_log, their_ready, their_end) = (log.clone(), ready.clone(), end.clone());
        let address = address.to_owned();
        let thread = std::thread::spawn(move || {
            while !their_end.load(Ordering::Relaxed) {
                record(sentinel, &address, &their_log, &their_ready, &their_end);
                their_ready.store(false, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Recorder { log, ready, end, thread: Some(thread) }
    }

    /// Whether the subscription stands right now.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Everything received so far.
    pub fn events(&self) -> Vec<Event> {
        self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _result = thread.join();
        }
    }
}

fn record(sentinel: usize, address: &str, log: &Mutex<Vec<Event>>, ready: &AtomicBool, end: &AtomicBool) {
    let Ok(mut client) = Client::connect(address) else { return };
    let Ok(_confirmation) = client.command(&["PSUBSCRIBE", "*"]) else { return };
    ready.store(true, Ordering::Relaxed);
    while !end.load(Ordering::Relaxed) {
        match wait_readable(&mut client) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        let Ok(message) = client.read() else { return };
        let items = message.items();
        if items.len() == 4 && items[0].text() == "pmessage" {
            let (channel, payload) = (items[2].text(), items[3].text());
            let event = Event { at: Instant::now(), sentinel, channel, payload };
            log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(event);
        }
    }
}

/// Waits a moment for the first byte of a message, so that the end of the test is noticed
/// without tearing a message apart.
fn wait_readable(client: &mut Client) -> std::io::Result<bool> {
    client.set_read_timeout(Duration::from_millis(100))?;
    let readable = client.peek();
    client.set_read_timeout(Duration::from_secs(10))?;
    match readable {
        Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(true),
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
