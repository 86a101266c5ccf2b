//! `ACL LOG`: who was denied what.

use std::collections::VecDeque;

/// Repetitions within so many milliseconds of the last one share an entry.
const GROUPED_FOR: u64 = 60_000;

/// How many of the newest entries a repetition may belong to: bounds the search, as in stock.
const SEARCHED: usize = 10;

/// Most bytes of an object or a user name that an entry keeps. Differs: stock keeps all, so that a client without
/// rights fills the memory with the names of channels.
const KEPT: usize = 1_024;

/// The newest entries, up to `acllog-max-len`.
#[derive(Debug)]
pub struct AclLog {
    entries: VecDeque<Entry>,
    most: usize,
    next_id: u64,
}

/// What was denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A command.
    Command,
    /// A channel.
    Channel,
    /// A login.
    Auth,
}

impl Reason {
    /// Its word in the reply.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Channel => "channel",
            Self::Auth => "auth",
        }
    }
}

/// One denial, with its repetitions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Number of the entry since the process started, from 0.
    pub id: u64,
    /// How often it happened.
    pub count: i64,
    /// What was denied.
    pub reason: Reason,
    /// The command or channel; for a login the command that tried it, as typed.
    pub object: Vec<u8>,
    /// The user, or who the client claimed to be.
    pub username: Vec<u8>,
    /// The client's line in `CLIENT LIST`, as it was the last time.
    pub client_info: String,
    /// Milliseconds of the wall clock: the first time.
    pub created: u64,
    /// The last time.
    pub updated: u64,
}

/// A denial to be noted.
#[derive(Clone, Debug)]
pub struct Denial<'a> {
    /// What was denied.
    pub reason: Reason,
    /// See [`Entry::object`].
    pub object: &'a [u8],
    /// See [`Entry::username`].
    pub username: &'a [u8],
    /// See [`Entry::client_info`].
    pub client_info: String,
}

impl AclLog {
    /// An empty log that keeps at most `most` entries.
    pub fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most, next_id: 0 }
    }

    /// Notes a denial at `now` (milliseconds of the wall clock). A repetition moves its entry to the front.
    pub fn note(&mut self, now: u64, denial: Denial<'_>) {
        let denial = Denial { object: kept(denial.object), username: kept(denial.username), ..denial };
        let found = self.entries.iter().take(SEARCHED).position(|entry| entry.is_same(now, &denial));
        let entry = match found.and_then(|at| self.entries.remove(at)) {
            Some(old) => {
                let count = old.count.saturating_add(1);
                Entry { count, client_info: denial.client_info, updated: now, ..old }
            }
            None => {
                let id = self.next_id;
                self.next_id += 1;
                Entry {
                    id,
                    count: 1,
                    reason: denial.reason,
                    object: denial.object.to_vec(),
                    username: denial.username.to_vec(),
                    client_info: denial.client_info,
                    created: now,
                    updated: now,
                }
            }
        };
        self.entries.push_front(entry);
        self.entries.truncate(self.most);
    }

    /// The newest entries first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().take(count)
    }

    /// Forgets all entries.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

fn kept(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(KEPT)]
}

impl Entry {
    fn is_same(&self, now: u64, denial: &Denial<'_>) -> bool {
        self.reason == denial.reason
            && now.saturating_sub(self.updated) <= GROUPED_FOR
            && self.object == denial.object
            && self.username == denial.username
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(object: &'static str, info: &str) -> Denial<'static> {
        Denial {
            reason: Reason::Command,
            object: object.as_bytes(),
            username: b"u",
            client_info: info.to_owned(),
        }
    }

    fn shown(log: &AclLog) -> Vec<(u64, i64, &str)> {
        let text = |entry: &Entry| (entry.id, entry.count);
        log.newest(100).map(|entry| (text(entry).0, text(entry).1, &*entry.client_info)).collect()
    }

    #[test]
    fn repetitions_share_an_entry_that_comes_to_the_front() {
        let mut log = AclLog::new(128);
        log.note(1_000, denial("a", "first"));
        log.note(2_000, denial("b", "other"));
        log.note(61_000, denial("a", "again"));
        assert_eq!(shown(&log), [(0, 2, "again"), (1, 1, "other")]);
        let front = log.newest(1).next().unwrap();
        assert_eq!((front.created, front.updated), (1_000, 61_000));
        log.note(121_001, denial("a", "late"));
        assert_eq!(shown(&log), [(2, 1, "late"), (0, 2, "again"), (1, 1, "other")]);
    }

    #[test]
    fn only_the_newest_ten_are_searched_and_the_length_is_bounded() {
        let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
        let mut log = AclLog::new(128);
        names.iter().for_each(|name| log.note(0, denial(name, "")));
        log.note(0, denial("0", ""));
        assert_eq!(log.newest(100).count(), 13);
        log.note(0, denial("5", ""));
        assert_eq!(log.newest(100).count(), 13);
        for (most, kept) in [(3, 3), (0, 0)] {
            let mut log = AclLog::new(most);
            names.iter().for_each(|name| log.note(0, denial(name, "")));
            assert_eq!(log.newest(100).count(), kept);
            log.reset();
            assert_eq!(log.newest(100).count(), 0);
        }
    }

    #[test]
    fn another_user_object_or_reason_is_another_entry() {
        let mut log = AclLog::new(128);
        log.note(0, denial("a", ""));
        log.note(0, Denial { reason: Reason::Channel, ..denial("a", "") });
        log.note(0, Denial { username: b"v", ..denial("a", "") });
        log.note(0, denial("A", ""));
        assert_eq!(log.newest(100).map(|entry| entry.count).collect::<Vec<_>>(), [1, 1, 1, 1]);
    }

    #[test]
    fn an_entry_keeps_no_more_than_the_beginning_of_what_it_is_given() {
        let mut log = AclLog::new(128);
        let long = [b'x'; 5_000];
        for length in [5_000, 4_000] {
            log.note(0, Denial { object: &long[..length], username: &long, ..denial("", "") });
        }
        let entries: Vec<_> = log.newest(100).map(|e| (e.count, e.object.len(), e.username.len())).collect();
        assert_eq!(entries, [(2, KEPT, KEPT)]);
    }
}
