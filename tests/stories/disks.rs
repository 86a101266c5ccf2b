//! What a disk that fails, hangs or loses the race with a crash may and may not change.

use vigia::engine::Span;

use crate::world::disk::DiskMode;
use crate::{switched, three};

#[test]
fn a_failing_disk_stops_votes_but_not_monitoring() {
    for mode in [DiskMode::Fails, DiskMode::Hangs] {
        let mut world = three(13);
        let from = world.now;
        for pid in world.sentinels() {
            world.set_disk(pid, mode);
        }
        world.kill(world.pid("m"));
        world.run_for(Span::secs(8));
        assert_eq!(world.count_events(from, "+sdown master"), 3, "{mode:?}: monitoring goes on");
        assert!(world.count_events(from, "+odown") >= 1, "{mode:?}: the down flag is answered");
        assert_eq!(world.count_events(from, "+elected-leader"), 0, "{mode:?}");
        assert_eq!(world.promotions.len(), 0, "{mode:?}");
        for pid in world.sentinels() {
            world.set_disk(pid, DiskMode::Works);
        }
        let old = world.pid("m");
        switched(&mut world, old, Span::secs(25));
    }
}

#[test]
fn one_failing_disk_in_three_does_not_stop_the_group() {
    for mode in [DiskMode::Fails, DiskMode::Hangs] {
        for seed in 0..10 {
            let mut world = three(seed);
            let (old, bad) = (world.pid("m"), world.pid("s2"));
            world.set_disk(bad, mode);
            let from = world.now;
            world.kill(old);
            switched(&mut world, old, Span::secs(8));
            assert!(world.event_at(bad, from, "+elected-leader").is_none(), "seed {seed} {mode:?}");
        }
    }
}

#[test]
fn a_crash_does_not_change_a_vote() {
    for seed in 0..30 {
        let mut world = three(seed);
        let old = world.pid("m");
        world.kill(old);
        let when = world.rng.within((950, 1_060));
        world.run_for(Span::ms(when));
        let victim = *world.rng.pick(&[world.pid("s1"), world.pid("s2"), world.pid("s3")]);
        world.kill(victim);
        let pause = world.rng.below(20_000);
        world.run_for(Span(pause));
        world.start(victim);
        switched(&mut world, old, Span::secs(15));
    }
}
