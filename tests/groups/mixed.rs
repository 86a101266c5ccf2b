//! One redis-sentinel among two of ours: whoever leads, everybody ends at the same master.

use crate::support::group::{Group, Shape};
use crate::support::sentinel::Program;

/// Rounds in which an outage may bring the wanted kind of leader about.
const ROUNDS: usize = 6;

#[test]
fn a_stock_leader_is_obeyed_by_ours() {
    lead_an_outage(Program::Stock);
}

#[test]
fn our_leader_is_obeyed_by_the_stock_sentinel() {
    lead_an_outage(Program::Vigia);
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

/// Kills masters until a sentinel of `kind` has led a failover.
///
/// Ours are quicker. For a stock leader they are frozen until the original stands for election
/// (with quorum 1 it needs nobody for that); then they wake up, and their votes elect it.
fn lead_an_outage(kind: Program) {
    let quorum = if kind == Program::Stock { 1 } else { 2 };
    let mut group = Group::start(&Shape { quorum, failover_timeout: 3_000, ..Shape::of(crate::MIXED) });
    for round in 0..ROUNDS {
        let before = group.converge();
        group.wait("the group is complete", Group::is_complete);
        if kind == Program::Stock {
            let tries = group.count(0, "+try-failover");
            freeze_ours(&mut group);
            group.node_at(&before.address).kill();
            group.wait("the original stands", |group| group.count(0, "+try-failover") > tries);
            thaw_ours(&mut group);
        } else {
            group.node_at(&before.address).kill();
        }
        group.wait("a new master is known to all", |group| {
            group.agreed().is_some_and(|belief| belief.address != before.address)
        });
        group.node_at(&before.address).restart();
        assert_ne!(group.converge().address, before.address);
        let leaders = group.leaders();
        eprintln!("round {round}: leaders so far {leaders:?}");
        if leaders.last().is_some_and(|leader| group.sentinels[*leader].program == kind) {
            return;
        }
    }
    panic!("no {kind:?} leader in {ROUNDS} rounds");
}

fn freeze_ours(group: &mut Group) {
    for sentinel in group.sentinels.iter_mut().filter(|sentinel| sentinel.program == Program::Vigia) {
        sentinel.stop();
    }
}

fn thaw_ours(group: &mut Group) {
    for sentinel in group.sentinels.iter_mut().filter(|sentinel| sentinel.program == Program::Vigia) {
        sentinel.resume();
    }
}
