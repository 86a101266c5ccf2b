//! What an episode is like: everything is drawn from its seed, and printed.

use crate::faults::Kind;
use crate::world::Options;
use crate::world::rng::Rng;

/// One episode.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    /// The world.
    pub(crate) world: Options,
    /// The kinds of faults that may strike; a kind that stands twice strikes twice as often.
    pub(crate) menu: Vec<Kind>,
    /// How many strike.
    pub(crate) faults: u64,
    /// The longest pause after a fault, in hundredths of D.
    pub(crate) pause: u64,
    /// How fast the clocks of the sentinels go wrong, in microseconds a second.
    pub(crate) drift: Vec<i64>,
}

/// The episode of a seed.
pub(crate) fn episode(seed: u64) -> Episode {
    let mut rng = Rng::new(seed ^ 0x51D0_EB15_0DE5);
    let world = world(seed, &mut rng);
    let menu = menu(&mut rng, world.masters);
    let drift = match rng.below(4) {
        0 => (0..world.sentinels).map(|_| *rng.pick(&[0, 200, -200, 5_000, -5_000])).collect(),
        _ => Vec::new(),
    };
    let faults = rng.within((1, 3)) + rng.below(world.masters as u64 + 1);
    Episode { world, menu, faults, pause: *rng.pick(&[150, 250, 350]), drift }
}

fn world(seed: u64, rng: &mut Rng) -> Options {
    let total = *rng.pick(&[3, 3, 3, 3, 4, 5, 5, 6, 7]);
    let stock = if rng.one_in(8) { rng.within((1, total as u64 - 1)) as usize } else { 0 };
    let masters = *rng.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 6, 8]);
    let replicas = if masters > 2 {
        *rng.pick(&[0, 1, 1, 1, 1, 2, 2, 5])
    } else {
        *rng.pick(&[0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5])
    };
    let majority = total as u32 / 2 + 1;
    let quorum = *rng.pick(&[majority, majority, majority, 1, 2, total as u32]);
    Options {
        sentinels: total - stock,
        stock,
        stock_candidates: stock > 0 && rng.one_in(2),
        masters,
        replicas,
        acquainted: !rng.one_in(16),
        quorum,
        down_after_ms: *rng.pick(&[300, 500, 1_000, 1_000, 2_000]),
        failover_timeout_ms: *rng.pick(&[3_000, 10_000, 60_000]),
        parallel_syncs: *rng.pick(&[1, 1, 2]),
        latency_us: *rng.pick(&[(50, 200), (100, 1_000), (500, 5_000)]),
        disk_us: *rng.pick(&[(100, 500), (200, 3_000), (2_000, 20_000)]),
        timer_late_us: *rng.pick(&[0, 1_000, 5_000]),
        trace: false,
        ..Options::seed(seed)
    }
}

/// Some kinds are left out of each episode, so that the others meet more often.
fn menu(rng: &mut Rng, masters: usize) -> Vec<Kind> {
    let mut menu: Vec<Kind> = Kind::ALL.iter().copied().filter(|_| !rng.one_in(3)).collect();
    menu.extend([Kind::KillMaster; 4]);
    if masters > 1 {
        menu.extend([Kind::KillAllMasters; 6]);
    }
    menu
}
