//! What a stock sentinel in the group takes away from S2, S8 and S9, and what it does not (DESIGN, section 4).
//!
//! A stock candidate counts votes of its *current* epoch while it acts under the one in which it began to stand,
//! its manual failover asks nobody, and as a leader it has no term but failover-timeout. Each story comes twice:
//! with the stock sentinel in sight of the Vigía that leads, where the guarantee holds, and out of its sight, where
//! it does not, and only convergence is left. S1, S3 and S7 are watched by the oracles in all of them.

use std::collections::{BTreeMap, BTreeSet};

use vigia::engine::{Command, Span};

use crate::name;
use crate::world::{MASTER, Options, Pid, World, episode};

/// L1 in mixed groups, from the end of the faults.
const BOUND: Span = Span::secs(25);
const SEEDS: std::ops::Range<u64> = 0..40;

/// Two Vigías and a stock sentinel; messages take so many ms at least, and twice as many more at most.
fn two_and_one(seed: u64, latency_ms: u64, failover_timeout_ms: u64) -> World {
    let latency_us = (1_000 * latency_ms, 3_000 * latency_ms);
    let times = Options { latency_us, failover_timeout_ms, down_after_ms: 3_000, ..Options::seed(seed) };
    let mut world = World::settled(Options { sentinels: 2, stock: 1, ..times });
    world.run_for(Span::secs(5));
    world
}

/// Every configuration that anybody ever held: config epoch to addresses.
#[derive(Default)]
struct Held(BTreeMap<u64, BTreeSet<String>>);

impl Held {
    fn watch(&mut self, world: &mut World, span: Span) {
        let until = world.now + span;
        while world.now < until {
            world.run_for(Span::ms(1));
            for pid in world.live_sentinels() {
                if let Some(view) = world.view(pid, MASTER) {
                    self.0.entry(view.config_epoch.0).or_default().insert(view.addr.to_string());
                }
            }
            let stock = world.stock(world.stocks()[0]);
            self.0.entry(stock.config_epoch).or_default().insert(stock.master.to_string());
        }
    }

    /// Epochs that stood for two addresses: S8 broken.
    fn doubled(&self) -> usize {
        self.0.iter().filter(|(epoch, addrs)| **epoch > 0 && addrs.len() > 1).count()
    }
}

/// Kills the master; ours hang until the stock sentinel sees it down as well, since they are quicker.
fn all_see_it_down(world: &mut World) {
    let (ours, stock) = (world.sentinels(), world.stocks()[0]);
    for pid in &ours {
        world.stop(*pid);
    }
    world.kill(world.pid("m"));
    world.run_until("the stock sentinel sees it down", Span::secs(9), |world| world.stock_sees_down(stock));
    for pid in &ours {
        world.cont(*pid);
    }
}

/// A Vigía stands, and in the same epoch the stock sentinel, which soon hears of a later one (its candidacy goes
/// on, and may win votes of the later epoch); cut off from the
/// one that stands, if it is to be out of its sight.
fn stand_together(world: &mut World, in_sight: bool) {
    all_see_it_down(world);
    let (from, stock) = (world.now, world.stocks()[0]);
    let standing = |world: &World| {
        let stood = |pid: &Pid| world.event_at(*pid, from, "+try-failover").is_some();
        world.sentinels().into_iter().find(stood)
    };
    world.run_until("a Vigía stands", Span::secs(20), |world| standing(world).is_some());
    if !in_sight {
        let standing = standing(world).expect("just awaited");
        world.cut(&[stock], &[standing]);
    }
    world.stock_stands(stock);
    let epoch = world.stock(stock).current_epoch;
    world.run_for(Span::ms(500));
    world.stock_hears_of_epoch(stock, epoch + 1);
}

fn settles(world: &mut World) {
    let until = world.now + BOUND;
    let together = |world: &World| {
        let stock = world.stock(world.stocks()[0]);
        let agrees = |pid: &Pid| {
            world
                .view(*pid, MASTER)
                .is_some_and(|v| v.addr == stock.master && v.config_epoch.0 == stock.config_epoch)
        };
        episode::converged(world).is_ok() && world.live_sentinels().iter().all(agrees)
    };
    while !together(world) {
        if world.now >= until {
            world.fail(&format!("not converged within 25 s: {:?}", episode::converged(world)));
        }
        world.run_for(Span::ms(10));
    }
}

/// Epochs in which a Vigía sent a promotion.
fn epochs_of_ours(world: &World) -> BTreeSet<u64> {
    let mut acted = BTreeSet::new();
    for pid in world.sentinels() {
        let own = format!("+vote-for-leader {} ", world.sentinel(pid).id);
        let mut epoch = 0;
        for (_, line) in world.events(pid) {
            if let Some(number) = line.strip_prefix(&own) {
                epoch = number.parse().expect("an epoch");
            } else if line.starts_with("+failover-state-wait-promotion") {
                acted.insert(epoch);
            }
        }
    }
    acted
}

/// Epochs in which a Vigía and the stock sentinel both acted as leaders.
fn shared_epochs(world: &World) -> usize {
    let ours = epochs_of_ours(world);
    world.stock(world.stocks()[0]).led.iter().filter(|epoch| ours.contains(epoch)).count()
}

#[test]
fn s2_the_epoch_of_a_stock_candidate_in_sight_is_left_to_it() {
    let mut acted = 0;
    for seed in SEEDS {
        let (mut world, mut held) = (two_and_one(seed, 120, 10_000), Held::default());
        stand_together(&mut world, true);
        held.watch(&mut world, Span::secs(20));
        world.expect(shared_epochs(&world) == 0, "one leader per epoch");
        world.expect(held.doubled() == 0, "one address per config epoch");
        settles(&mut world);
        acted += epochs_of_ours(&world).len();
    }
    assert!(acted > 10, "a Vigía led in {acted} of 40 runs only");
}

#[test]
fn s2_a_stock_candidate_out_of_sight_may_lead_in_the_epoch_of_ours() {
    let mut shared = 0;
    for seed in SEEDS {
        let (mut world, mut held) = (two_and_one(seed, 120, 10_000), Held::default());
        stand_together(&mut world, false);
        held.watch(&mut world, Span::secs(5));
        world.heal();
        settles(&mut world);
        shared += shared_epochs(&world);
        // Both read the replicas before they choose: the second leader adopts what the first one promoted.
        world.expect(held.doubled() == 0, "two leaders, but one address");
    }
    assert!(shared > 0, "no two leaders in one epoch: the exemption of S2 is not needed any more");
}

/// `SENTINEL FAILOVER` at the stock sentinel and at a Vigía in one moment.
fn two_orders(world: &mut World) {
    let (s1, stock) = (world.pid("s1"), world.stocks()[0]);
    let stock_first = world.rng.one_in(2);
    let gap = Span(world.rng.below(1_200_000));
    if stock_first {
        world.stock_ordered(stock);
        world.run_for(gap);
    }
    world.command(s1, Command::Failover(name()));
    if !stock_first {
        world.run_for(gap);
        world.stock_ordered(stock);
    }
}

#[test]
fn s8_manual_failovers_here_and_at_a_stock_sentinel_in_sight_share_no_epoch() {
    for seed in SEEDS {
        let mut world = two_and_one(seed, 80, 10_000);
        let mut held = Held::default();
        two_orders(&mut world);
        held.watch(&mut world, Span::secs(20));
        world.expect(held.doubled() == 0, "one address per config epoch");
        settles(&mut world);
    }
}

#[test]
fn s8_out_of_sight_they_may_share_one_and_a_fresh_epoch_ends_it() {
    let mut doubled = 0;
    for seed in SEEDS {
        let mut world = two_and_one(seed, 80, 10_000);
        let mut held = Held::default();
        // Nor does s1 see the node that the stock sentinel promotes.
        let (s1, r1, stock) = (world.pid("s1"), world.pid("r1"), world.stocks()[0]);
        world.cut(&[s1], &[r1]);
        world.run_for(Span::secs(6));
        world.cut(&[s1], &[stock]);
        two_orders(&mut world);
        held.watch(&mut world, Span::secs(5));
        world.heal();
        settles(&mut world);
        doubled += held.doubled();
    }
    assert!(doubled > 0, "no two addresses under one epoch: the exemption of S8 is not needed any more");
}

/// A stock leader that reaches no replica for 30 s, elected by the votes of ours; out of their sight, if it
/// loses them as well, and still for a while when it reaches replicas again. How many nodes were promoted
/// until then, and in the end.
fn stalled_leader(seed: u64, in_sight: bool) -> (usize, usize) {
    let mut world = two_and_one(seed, 20, 60_000);
    let (ours, stock) = (world.sentinels(), world.stocks()[0]);
    all_see_it_down(&mut world);
    world.stock_stands(stock);
    let replicas = [world.pid("r1"), world.pid("r2")];
    world.cut(&[stock], &replicas);
    let elected = |world: &World| !world.stock(stock).led.is_empty();
    world.run_until("the stock sentinel is elected", Span::secs(20), elected);
    if !in_sight {
        world.cut(&[stock], &ours);
    }
    world.run_for(Span::secs(30));
    let during = world.promotions.len();
    if !in_sight {
        let promoted = world.nodes().into_iter().filter(|pid| world.promotions.iter().any(|(_, p)| p == pid));
        let unseen: Vec<Pid> = ours.into_iter().chain(promoted).collect();
        world.heal();
        world.cut(&[stock], &unseen);
        world.run_for(Span::secs(10));
    }
    world.heal();
    settles(&mut world);
    (during, world.promotions.len())
}

#[test]
fn s9_a_stock_leader_in_sight_is_left_at_work_beyond_its_term() {
    for seed in SEEDS {
        assert_eq!(stalled_leader(seed, true), (0, 1), "seed {seed}: its own promotion, after the healing");
    }
}

#[test]
fn s9_a_stock_leader_out_of_sight_may_promote_a_second_node() {
    let mut second = 0;
    for seed in SEEDS {
        let (during, after) = stalled_leader(seed, false);
        assert_eq!(during, 1, "seed {seed}: ours take over when its term is over");
        second += usize::from(after > 1);
    }
    assert!(second > 0, "never a second promotion: the exemption of S9 is not needed any more");
}
