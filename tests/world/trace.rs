//! What happened, line by line: the tail for a failure message, a running hash for bit-for-bit comparison.

use std::collections::VecDeque;
use std::fmt::Write as _;

use vigia::engine::Time;

/// Lines kept for a failure message; older ones live on in the hash only.
const KEPT: usize = 400_000;

/// The record of one run.
#[derive(Clone, Debug)]
pub struct Trace {
    lines: VecDeque<String>,
    hash: u64,
    total: u64,
    on: bool,
}

impl Trace {
    /// An empty record; one that is off stays empty.
    pub fn new(on: bool) -> Self {
        Self { lines: VecDeque::new(), hash: 0xcbf2_9ce4_8422_2325, total: 0, on }
    }

    /// Whether lines are kept.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Adds one line.
    pub fn push(&mut self, now: Time, line: &str) {
        if !self.on {
            return;
        }
        let line = format!("{now} {line}");
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.total += 1;
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Number of lines and hash over all of them, dropped ones included.
    pub fn fingerprint(&self) -> (u64, u64) {
        (self.total, self.hash)
    }

    /// The last `count` lines, without the chatter of probes unless nothing else is there.
    pub fn tail(&self, count: usize) -> String {
        let told: Vec<&String> = self.lines.iter().filter(|line| !is_chatter(line)).collect();
        let mut text = String::new();
        for line in &told[told.len().saturating_sub(count)..] {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Every kept line.
    pub fn all(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}

fn is_chatter(line: &str) -> bool {
    [
        " Ping",
        " Info",
        "+PONG",
        "$INFO",
        " Publish(",
        " hello ",
        " +OK",
        " connect ",
        "down Refused",
        " serves Hello",
        "Subscribe",
        " :1",
        " SetName",
        " :2",
        " :3",
    ]
    .iter()
    .any(|word| line.contains(word))
}
