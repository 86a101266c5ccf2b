//! redis-sentinel and Vigía in one quorum: whoever leads, everybody ends at the same master.

mod faults;
mod rolling;
mod rounds;

use std::time::Instant;

use faults::{Fault, heal, last_election};

use crate::rng::Rng;
use crate::support::group::{Group, Shape};
use crate::support::sentinel::Program::{self, Stock, Vigia};

/// Outages in which the wanted kind of leader may come about.
const TRIES: usize = 6;

#[test]
fn a_stock_sentinel_is_elected_by_votes_of_ours() {
    elect(crate::MIXED, Stock, Fault::StockFirst);
}

#[test]
fn ours_is_elected_by_votes_of_stock_sentinels() {
    elect(&[Vigia, Stock, Stock], Vigia, Fault::MasterKilled);
}

#[test]
fn a_manual_failover_of_either_kind_is_obeyed_by_the_other() {
    let mut group = Group::start(&Shape::of(crate::MIXED));
    for asked in [0, 1, 0, 2] {
        let before = group.converge();
        group.wait("the group is complete", Group::is_complete);
        assert_eq!(group.ask(asked, "FAILOVER").map(|reply| reply.text()).as_deref(), Some("OK"));
        group.wait(&format!("the failover by sentinel {asked} is known to all"), |group| {
            group
                .agreed()
                .is_some_and(|belief| belief.epoch > before.epoch && belief.address != before.address)
        });
    }
}

/// Lets `fault` strike until a sentinel of `kind` has led, elected by at least one of the other kind.
fn elect(mix: &[Program], kind: Program, fault: Fault) {
    let mut group = Group::start(&Shape { failover_timeout: 3_000, ..Shape::of(mix) });
    for round in 0..TRIES {
        let before = group.converge();
        group.wait("the group is complete", Group::is_complete);
        let start = Instant::now();
        fault.strike(&mut group, &before, &mut Rng::new(0));
        heal(&mut group);
        assert_ne!(group.converge().address, before.address);
        let won = last_election(&group, start).expect("an election");
        let program = |i: usize| group.sentinels[i].program;
        eprintln!("round {round}: led by {:?}, votes of {:?}", program(won.leader), won.voters);
        if program(won.leader) == kind && won.voters.iter().any(|voter| program(*voter) != kind) {
            return;
        }
    }
    panic!("no {kind:?} was elected by others in {TRIES} rounds");
}
