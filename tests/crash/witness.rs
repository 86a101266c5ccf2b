//! A client that remembers everything it was shown about one master, and holds the sentinel to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::support::ports::random;
use crate::support::resp::{Client, Value};

/// Masters that a witness adds and removes besides its own.
const EXTRAS: usize = 4;

/// Sentinels that ask for votes and say hello; none of them exists.
const IDS: [char; 3] = ['a', 'b', 'c'];

/// What was shown of the master `m<n>`, which nobody else changes.
#[derive(Debug)]
pub struct Witness {
    n: usize,
    /// Its address as shown last.
    ip: String,
    config_epoch: u64,
    quorum: u64,
    /// The highest epoch that was asked with, answered or not.
    asked: u64,
    votes: BTreeMap<u64, String>,
    /// Masters whose MONITOR was answered, and REMOVE not even sent.
    present: BTreeSet<String>,
    /// Masters whose REMOVE was answered.
    absent: BTreeSet<String>,
    extras: usize,
    /// Answers to changes.
    pub answers: usize,
}

impl Witness {
    /// Nothing was shown yet.
    pub fn new(n: usize) -> Self {
        Self {
            n,
            ip: format!("127.0.{n}.1"),
            config_epoch: 0,
            quorum: 0,
            asked: 0,
            votes: BTreeMap::new(),
            present: BTreeSet::new(),
            absent: BTreeSet::new(),
            extras: 0,
            answers: 0,
        }
    }

    /// The `sentinel monitor` line of its master: nobody listens there, and no quorum is ever reached.
    pub fn config(n: usize) -> String {
        format!("sentinel monitor m{n} 127.0.{n}.1 1 9\n")
    }

    /// The name of its master.
    pub fn name(&self) -> String {
        format!("m{}", self.n)
    }

    /// Any change, and what is shown of it. An error means that the sentinel has gone.
    pub fn act(&mut self, client: &mut Client) -> io::Result<()> {
        match random() % 8 {
            0..4 => {
                let epoch = self.asked + 1 + random() % 3;
                self.vote(client, epoch, IDS[random() as usize % IDS.len()]).map(|_| ())?;
            }
            4 => self.hello(client)?,
            5 => {
                self.set_quorum(client)?;
            }
            _ => self.monitor_or_remove(client)?,
        }
        self.answers += 1;
        Ok(())
    }

    /// Asks for a vote; the epoch of the vote that was shown.
    pub fn vote(&mut self, client: &mut Client, epoch: u64, candidate: char) -> io::Result<u64> {
        self.asked = self.asked.max(epoch);
        let candidate = candidate.to_string().repeat(40);
        let epoch = epoch.to_string();
        let reply =
            client.command(&["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", &self.ip, "1", &epoch, &candidate])?;
        let [_, leader, Value::Int(shown)] = reply.items() else {
            panic!("{}: not the answer to a vote request: {reply:?}", self.name())
        };
        let (leader, shown) = (leader.text(), u64::try_from(*shown).unwrap());
        self.see_vote(shown, &leader);
        Ok(shown)
    }

    fn see_vote(&mut self, epoch: u64, leader: &str) {
        if leader != "*" {
            let name = self.name();
            let first = self.votes.entry(epoch).or_insert_with(|| leader.to_owned());
            assert_eq!(first, leader, "{name}: two votes in epoch {epoch}");
        }
    }

    /// Another sentinel says that the master is elsewhere since a later epoch.
    fn hello(&mut self, client: &mut Client) -> io::Result<()> {
        self.asked += 1;
        let (epoch, ip) = (self.asked, format!("127.0.{}.{}", self.n, 1 + random() % 200));
        let peer = IDS[0].to_string().repeat(40);
        let payload = format!("127.0.0.1,1,{peer},{epoch},{},{ip},1,{epoch}", self.name());
        client.command(&["PUBLISH", "__sentinel__:hello", &payload])?;
        self.look(client)
    }

    /// Looks at the master's entry: it is never behind what was shown before.
    pub fn look(&mut self, client: &mut Client) -> io::Result<()> {
        let name = self.name();
        let entry = client.command(&["SENTINEL", "MASTER", &name])?;
        let field =
            |field: &str| entry.field(field).unwrap_or_else(|| panic!("{name}: no {field}: {entry:?}"));
        let number = |text: &str| field(text).parse::<u64>().expect("a number");
        let (epoch, quorum, ip) = (number("config-epoch"), number("quorum"), field("ip"));
        assert!(epoch >= self.config_epoch, "{name}: config epoch {epoch} after {}", self.config_epoch);
        if epoch == self.config_epoch {
            assert_eq!(ip, self.ip, "{name}: two addresses under config epoch {epoch}");
        }
        assert!(quorum >= self.quorum, "{name}: quorum {quorum} after {}", self.quorum);
        (self.config_epoch, self.ip) = (epoch, ip);
        Ok(())
    }

    /// Raises the quorum; what the sentinel said.
    pub fn set_quorum(&mut self, client: &mut Client) -> io::Result<Value> {
        let wanted = self.quorum.max(9) + 1;
        let reply = client.command(&["SENTINEL", "SET", &self.name(), "quorum", &wanted.to_string()])?;
        if reply == Value::Simple("OK".to_owned()) {
            self.quorum = wanted;
        }
        Ok(reply)
    }

    fn monitor_or_remove(&mut self, client: &mut Client) -> io::Result<()> {
        if self.present.len() < EXTRAS {
            self.extras += 1;
            let (name, ip) = (format!("x{}-{}", self.n, self.extras), format!("127.1.{}.1", self.n));
            let port = (1 + self.extras).to_string();
            if client.command(&["SENTINEL", "MONITOR", &name, &ip, &port, "9"])?.text() == "OK" {
                self.present.insert(name);
            }
        } else if let Some(name) = self.present.pop_first()
            && client.command(&["SENTINEL", "REMOVE", &name])?.text() == "OK"
        {
            self.absent.insert(name);
        }
        Ok(())
    }

    /// After a restart: everything that was shown is still so.
    pub fn check(&mut self, client: &mut Client) {
        self.look(client).expect("a sentinel that was started again");
        let last = self.votes.last_key_value().map(|(epoch, leader)| (*epoch, leader.clone()));
        if let Some((epoch, leader)) = last {
            let shown = self.vote(client, epoch, 'f').expect("an answer");
            assert!(shown >= epoch, "{}: the vote of epoch {epoch} for {leader} is forgotten", self.name());
            if shown == epoch {
                assert!(self.votes[&epoch] == leader);
            }
        }
        let known = client.command(&["SENTINEL", "MASTERS"]).expect("an answer");
        let known: BTreeSet<String> = known.items().iter().filter_map(|entry| entry.field("name")).collect();
        for name in &self.present {
            assert!(known.contains(name), "{name} was monitored");
        }
        for name in &self.absent {
            assert!(!known.contains(name), "{name} was removed");
        }
    }

    /// The highest epoch of a vote that was shown.
    pub fn last_vote(&self) -> u64 {
        self.votes.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }
}
