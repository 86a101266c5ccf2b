//! SIGKILL in the middle of many writes.

use std::sync::mpsc;

use crate::support::ports::random;
use crate::support::resp::Client;
use crate::support::sentinel::{Program, Sentinel};
use crate::witness::Witness;

const WITNESSES: usize = 3;
/// Answers until the kill, at most.
const LONGEST_RUN: u64 = 60;

#[test]
fn killed_at_any_moment_it_forgets_nothing_that_it_showed() {
    let rounds = std::env::var("VIGIA_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let config: String = (0..WITNESSES).map(Witness::config).collect();
    let mut sentinel = Sentinel::start(Program::Vigia, &config);
    let mut witnesses: Vec<Witness> = (0..WITNESSES).map(Witness::new).collect();
    for _ in 0..rounds {
        witnesses = work_until_killed(&mut sentinel, witnesses, 1 + random() % LONGEST_RUN);
        sentinel.restart();
        let mut client = Client::connect(&sentinel.address()).expect("a connection");
        for witness in &mut witnesses {
            witness.check(&mut client);
        }
    }
    let answers: usize = witnesses.iter().map(|witness| witness.answers).sum();
    println!("{rounds} kills amid {answers} answered changes");
    assert!(answers >= rounds, "the sentinel answered between the kills");
}

/// Every witness works on a thread of its own until the sentinel dies, which it does after so many answers.
fn work_until_killed(sentinel: &mut Sentinel, witnesses: Vec<Witness>, answers: u64) -> Vec<Witness> {
    let address = sentinel.address();
    let (answered, count) = mpsc::channel();
    let work = |mut witness: Witness| {
        let (address, answered) = (address.clone(), answered.clone());
        std::thread::spawn(move || {
            let mut client = Client::connect(&address).expect("a connection");
            while witness.act(&mut client).is_ok() {
                let _ = answered.send(());
            }
            witness
        })
    };
    let threads: Vec<_> = witnesses.into_iter().map(work).collect();
    for _ in 0..answers {
        count.recv().expect("the sentinel answers");
    }
    sentinel.kill();
    threads.into_iter().map(|thread| thread.join().expect("nothing was shown in two ways")).collect()
}
