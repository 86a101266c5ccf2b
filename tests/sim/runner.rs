//! Many seeds on all cores: each thread takes the next seed; nothing stops the run, failures are counted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::{draw, episode};

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The first seed.
    pub(crate) from: u64,
    /// How many.
    pub(crate) count: u64,
    /// On so many threads.
    pub(crate) threads: usize,
    /// A rule that is not watched.
    pub(crate) without: Option<String>,
    /// Stop when something was found.
    pub(crate) until_found: bool,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The sums over the episodes that ended well.
    pub(crate) tally: Tally,
    /// Seeds that failed, and why.
    pub(crate) failures: BTreeMap<u64, String>,
    /// How long it took.
    pub(crate) took: Duration,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

impl Run {
    /// `VIGIA_SIM_EPISODES`, `VIGIA_SIM_FROM`, `VIGIA_SIM_THREADS`, `VIGIA_SIM_WITHOUT`, `VIGIA_SIM_UNTIL_FOUND`.
    pub(crate) fn from_environment(default: u64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            from: number("VIGIA_SIM_FROM").unwrap_or(0),
            count: number("VIGIA_SIM_EPISODES").unwrap_or(default),
            threads: number("VIGIA_SIM_THREADS").map_or(cores, |threads| threads as usize).max(1),
            without: std::env::var("VIGIA_SIM_WITHOUT").ok(),
            until_found: std::env::var_os("VIGIA_SIM_UNTIL_FOUND").is_some(),
        }
    }
}

thread_local! {
    static EXPLORING: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of exploring threads are kept, those of others are printed as ever.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !EXPLORING.get() {
                return usual(info);
            }
            let payload = info.payload();
            let owned = payload.downcast_ref::<String>().map(String::as_str);
            let text = owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no words");
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
            let line = text.lines().next().unwrap_or("");
            LAST_PANIC.set(format!("{line} [{}]", place.unwrap_or_default()));
        }));
    });
}

/// Runs the episodes. A single one is run with its trace, and its failure printed in full.
pub(crate) fn explore(run: &Run) -> Report {
    let began = Instant::now();
    let mut report = Report::default();
    if run.count == 1 {
        println!("{:#?}", draw::episode(run.from));
        report.tally = episode::run(run.from, true, run.without.as_deref()).tally;
    } else {
        keep_panics();
        let (next, results) = (AtomicU64::new(0), Mutex::new(&mut report));
        std::thread::scope(|scope| {
            for _ in 0..run.threads {
                scope.spawn(|| work(run, &next, &results));
            }
        });
    }
    report.took = began.elapsed();
    report
}

fn work(run: &Run, next: &AtomicU64, results: &Mutex<&mut Report>) {
    EXPLORING.set(true);
    let mut tally = Tally::default();
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= run.count {
            break;
        }
        let seed = run.from + nth;
        let episode = AssertUnwindSafe(|| episode::run(seed, false, run.without.as_deref()));
        match panic::catch_unwind(episode) {
            Ok(outcome) => tally += outcome.tally,
            Err(_) => {
                let why = LAST_PANIC.take();
                println!("seed {seed} failed: {why}\n  options: {:?}", draw::episode(seed));
                println!("  again: ./compat/run sim 1 {seed}");
                results.lock().expect("no panic holds it").failures.insert(seed, why);
                if run.until_found {
                    next.store(run.count, Ordering::Relaxed);
                }
            }
        }
    }
    results.lock().expect("no panic holds it").tally += tally;
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tally)?;
        writeln!(f, "{:<44} {:>12}", "worlds that failed", self.failures.len())?;
        let mut rules: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (seed, why) in &self.failures {
            rules.entry(why.split(':').next().unwrap_or("")).or_default().push(*seed);
        }
        for (rule, seeds) in rules {
            writeln!(f, "  {rule}: {} (the first: {:?})", seeds.len(), &seeds[..seeds.len().min(12)])?;
        }
        write!(f, "{:<44} {:>12.1}", "seconds", self.took.as_secs_f64())
    }
}
