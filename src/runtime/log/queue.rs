//! The queue of lines and the thread that writes them.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local};

use super::Style;
use super::syslog::{self, Header, Syslog};
use crate::conf::LogLevel;

/// Lines that wait to be written, at most 1 KiB each: enough for the mass failure of thousands of masters
/// while a disk hesitates, small enough (8 MiB) to hold.
const MAX_QUEUED: usize = 8_192;

/// Where lines go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file, opened (append) and closed around each write, so that it may be rotated at any time.
    File(PathBuf),
}

impl Destination {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File(path) => Self::append(path)?.write_all(bytes),
        }
    }

    fn append(path: &PathBuf) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(path)
    }
}

/// The log's queue; clones share it.
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>);

/// What is to be written.
#[derive(Debug)]
struct Entry {
    /// With its line feed.
    line: String,
    /// The same for the system's log, if it is wanted.
    syslog: Option<String>,
}

#[derive(Debug)]
struct Shared {
    syslog: Option<Header>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Entry>,
    /// Lines dropped since the last one that was taken.
    dropped: u64,
    /// The thread is writing lines that are no longer in the queue.
    writing: bool,
}

impl Log {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be opened for writing, or the system gives no thread.
    pub fn open(to: Destination, syslog: Option<Header>) -> io::Result<Self> {
        if let Destination::File(path) = &to {
            Destination::append(path)?;
        }
        let shared = Shared { syslog, queue: Mutex::default(), changed: Condvar::new() };
        let log = Self(Arc::new(shared));
        let shared = Arc::clone(&log.0);
        thread::Builder::new().name("vigia-log".into()).spawn(move || shared.work(&to))?;
        Ok(log)
    }

    /// Queues a message, for the system's log too if that is wanted.
    pub fn push_message(&self, style: Style, now: &DateTime<Local>, level: LogLevel, message: &str) {
        let syslog = self.0.syslog.as_ref().map(|header| header.message(now, level, message));
        self.push_entry(Entry { line: style.line(now, level, message), syslog });
    }

    /// Queues one line, its newline included. Never waits for the destination.
    pub fn push(&self, line: String) {
        self.push_entry(Entry { line, syslog: None });
    }

    fn push_entry(&self, entry: Entry) {
        let mut queue = self.0.lock();
        if queue.lines.len() >= MAX_QUEUED {
            queue.dropped += 1;
            return;
        }
        if queue.dropped > 0 {
            let pid = std::process::id();
            let lost = std::mem::take(&mut queue.dropped);
            let line = format!("{pid}:X ... {lost} log lines were lost: the log could not be written\n");
            queue.lines.push_back(Entry { line, syslog: None });
        }
        queue.lines.push_back(entry);
        drop(queue);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, for at most `patience`. Returns whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut queue = self.0.lock();
        while queue.writing || !queue.lines.is_empty() {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            queue = self.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    /// The queue is plain data: a panic elsewhere leaves nothing half done in it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: takes all that is queued, writes it at once. It lasts as long as the process.
    fn work(&self, to: &Destination) {
        let mut syslog = Syslog::new(syslog::SOCKET);
        loop {
            let mut queue = self.lock();
            queue.writing = false;
            self.changed.notify_all();
            while queue.lines.is_empty() {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.writing = true;
            let lines = std::mem::take(&mut queue.lines);
            drop(queue);
            let bytes: String = lines.iter().map(|entry| entry.line.as_str()).collect();
            // A log that cannot be written has nowhere to say so; stock drops the line too.
            let _ = to.write(bytes.as_bytes());
            let mut messages = lines.iter().filter_map(|entry| entry.syslog.as_deref());
            // One that does not read costs the log's own lines no more than one pause.
            let _ = messages.all(|message| syslog.send(message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_rotated_while_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        let log = Log::open(Destination::File(path.clone()), None).unwrap();
        log.push("one\n".into());
        assert!(log.flush(Duration::from_secs(10)));
        std::fs::rename(&path, &old).unwrap();
        log.push("two\n".into());
        assert!(log.flush(Duration::from_secs(10)));

        assert_eq!(std::fs::read_to_string(old).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Log::open(Destination::File(dir.path().to_path_buf()), None).is_err());
    }

    /// A pipe that nobody reads: pushing never waits, the gap is told afterwards.
    #[test]
    fn a_stuck_reader_costs_lines_not_time() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        // Opened for both, so that neither end waits for the other.
        let reader = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        let log = Log::open(Destination::File(fifo), None).unwrap();

        let line = "x".repeat(99) + "\n";
        for _ in 0..MAX_QUEUED * 2 {
            log.push(line.clone());
        }
        assert!(!log.flush(Duration::from_millis(20)));

        let reading = thread::spawn(move || {
            let mut lines = io::BufRead::lines(io::BufReader::new(reader));
            lines.find(|line| line.as_ref().unwrap().contains("log lines were lost")).unwrap().unwrap()
        });
        while !reading.is_finished() {
            log.push(line.clone());
            thread::yield_now();
        }
        assert!(reading.join().unwrap().starts_with(&format!("{}:X ... ", std::process::id())));
    }
}
