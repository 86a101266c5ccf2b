//! Nodes that do not do as they are told, and promotions that nobody could verify.

use vigia::engine::{Span, Time};

use crate::world::node::Role;
use crate::world::{MASTER, Options, World, episode};
use crate::{switched, three};

const NOPERM: &str = "NOPERM User default has no permissions to run this command";

#[test]
fn a_replica_that_refused_to_follow_is_told_again() {
    for seed in 0..10 {
        let mut world = three(seed);
        let (old, r1) = (world.pid("m"), world.pid("r1"));
        world.node_mut(r1).refused.insert("slaveof", NOPERM);
        world.kill(old);
        switched(&mut world, old, Span::secs(20));
        world.run_for(Span::ms(500));
        let new = world.procs[world.pid("r2").0].addr.clone();
        assert_ne!(world.node(r1).role, Role::Replica(new.clone()), "seed {seed}: it refuses");
        world.node_mut(r1).refused.clear();
        // The job waits for it as stock does, then it is corrected every second.
        world.run_until("it follows the new master", Span::ms(12_200), |world| {
            world.node(r1).role == Role::Replica(new.clone())
        });
    }
}

/// Where MULTI is refused, SLAVEOF NO ONE is carried out as it comes, and EXEC fails.
#[test]
fn a_promotion_without_a_transaction_counts() {
    for seed in 0..10 {
        let mut world = three(seed);
        let old = world.pid("m");
        for name in ["r1", "r2"] {
            world.node_called(name).refused.insert("multi", NOPERM);
        }
        world.kill(old);
        switched(&mut world, old, Span::secs(5));
        world.run_for(Span::secs(5));
        assert_eq!(world.promotions.len(), 1, "seed {seed}: one failure, one promotion");
    }
}

/// The node was promoted, but its answers were lost until the leader's term was over, and the old master is
/// back: the leader itself knows that nobody will name the node.
#[test]
fn a_promotion_in_vain_is_turned_back_by_its_leader() {
    for seed in 0..10 {
        let options = Options { replicas: 1, failover_timeout_ms: 3_000, ..Options::seed(seed) };
        let mut world = World::settled(options);
        let (m, r1, sentinels) = (world.pid("m"), world.pid("r1"), world.sentinels());
        world.kill(m);
        world.run_until("a leader", Span::secs(5), |world| {
            world.count_events(Time(0), "+failover-state-wait-promotion") > 0
        });
        world.cut_one_way(&[r1], &sentinels);
        world.run_until("the promotion", Span::secs(5), |world| !world.promotions.is_empty());
        world.start(m);
        world.run_until("the end of the term", Span::secs(5), |world| {
            world.count_events(Time(0), "-failover-abort-slave-timeout") > 0
        });
        let addr = world.procs[m.0].addr.clone();
        assert!(world.sentinels().iter().all(|pid| world.view(*pid, MASTER).is_some_and(|v| v.addr == addr)));
        world.heal();
        let healed = world.now;
        let done = episode::until_converged(&mut world, Span::secs(7));
        assert!(done.since(healed.max(world.last_stall_end)) < Span::secs(7), "seed {seed}");
    }
}
