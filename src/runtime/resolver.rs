//! Host names to addresses, by the system's resolver.
//!
//! It blocks a thread of tokio's pool for as long as the name servers like. The engine asks for one name at a time
//! only once, and a lookup that turns out to be slow moves to the places for names that were slow before, if
//! there is one. So names that hang cost a thread each and delay no others, and what else waits for that pool of
//! 512 threads (certificates, ACL files) has threads left.
//!
//! | What may grow | Bound |
//! |---|---|
//! | quick lookups at a time | 64 |
//! | lookups of slow names | 384 |
//! | names known to be slow | 16,384; then they are forgotten |
//!
//! Source: spec 07, section 3; DESIGN, section 5.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

const QUICK_PLACES: usize = 64;
const SLOW_PLACES: usize = 384;
/// A lookup that takes longer is slow.
const SLOW: Duration = Duration::from_millis(500);
const MOST_SLOW: usize = 16_384;

type Lookup = dyn Fn(Arc<str>) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send>> + Send + Sync;

/// A lookup that has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// The name.
    pub host: Arc<str>,
    /// Its addresses in the resolver's order; none if it failed.
    pub ips: Vec<IpAddr>,
}

/// Looks names up in the background.
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    lookup: Box<Lookup>,
    answers: mpsc::Sender<Resolved>,
    quick: Semaphore,
    slow: Semaphore,
    known_slow: Mutex<HashSet<Arc<str>>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// The system's resolver; answers go to `answers`.
    pub fn new(answers: mpsc::Sender<Resolved>) -> Self {
        Self::with(answers, |host| Box::pin(system_lookup(host)))
    }

    fn with(
        answers: mpsc::Sender<Resolved>,
        lookup: impl Fn(Arc<str>) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send>> + Send + Sync + 'static,
    ) -> Self {
        let (quick, slow) = (Semaphore::new(QUICK_PLACES), Semaphore::new(SLOW_PLACES));
        let (lookup, known_slow) = (Box::new(lookup), Mutex::default());
        Self { inner: Arc::new(Inner { lookup, answers, quick, slow, known_slow }) }
    }

    /// Starts a lookup. Its answer comes, however long it takes; nobody waits here.
    pub fn look_up(&self, host: Arc<str>) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let ips = inner.run(&host).await;
            // Nobody listens while the process ends.
            let _ = inner.answers.send(Resolved { host, ips }).await;
        });
    }
}

impl Inner {
    async fn run(&self, host: &Arc<str>) -> Vec<IpAddr> {
        let was_slow = self.slow_names(|names| names.contains(host));
        let places = if was_slow { &self.slow } else { &self.quick };
        // The semaphores are never closed.
        let mut place = places.acquire().await.ok();
        let mut answer = pin!((self.lookup)(Arc::clone(host)));
        if let Ok(ips) = tokio::time::timeout(SLOW, &mut answer).await {
            self.slow_names(|names| names.remove(host));
            return ips;
        }
        self.slow_names(|names| {
            if names.len() >= MOST_SLOW {
                names.clear();
            }
            names.insert(Arc::clone(host))
        });
        if !was_slow && let Ok(slow) = self.slow.try_acquire() {
            place = Some(slow);
        }
        let ips = answer.await;
        drop(place);
        ips
    }

    fn slow_names<T>(&self, act: impl FnOnce(&mut HashSet<Arc<str>>) -> T) -> T {
        act(&mut self.known_slow.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn system_lookup(host: Arc<str>) -> Vec<IpAddr> {
    match tokio::net::lookup_host((&*host, 0)).await {
        Ok(found) => found.map(|addr| addr.ip()).collect(),
        Err(error) => {
            tracing::debug!("the resolver says of '{}': {error}", host.escape_debug());
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn names_that_hang_delay_no_others_for_long_and_then_not_at_all() {
        let (sender, mut answers) = mpsc::channel(1_024);
        let resolver = Resolver::with(sender, |host| {
            Box::pin(async move {
                if host.starts_with("hangs") {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    return Vec::new();
                }
                vec![HERE]
            })
        });
        for round in 0..2 {
            for n in 0..QUICK_PLACES {
                resolver.look_up(format!("hangs{n}").into());
            }
            let asked = tokio::time::Instant::now();
            resolver.look_up("good".into());
            let good = Resolved { host: "good".into(), ips: vec![HERE] };
            assert_eq!(answers.recv().await, Some(good), "round {round}");
            let waited = asked.elapsed();
            assert!(waited <= if round == 0 { SLOW } else { Duration::ZERO }, "round {round}: {waited:?}");
            for _ in 0..QUICK_PLACES {
                assert_eq!(answers.recv().await.unwrap().ips, Vec::<IpAddr>::new());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_hang_leave_threads_for_others() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (sender, mut answers) = mpsc::channel(4_096);
        let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
        let resolver = Resolver::with(sender, move |_| {
            let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
            Box::pin(async move {
                peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(60)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                Vec::new()
            })
        });
        for _ in 0..2 {
            for n in 0..2_000 {
                resolver.look_up(format!("hangs{n}").into());
            }
            for _ in 0..2_000 {
                answers.recv().await.unwrap();
            }
        }
        assert_eq!(most.load(Ordering::Relaxed), QUICK_PLACES + SLOW_PLACES);
    }

    #[tokio::test]
    async fn the_system_knows_localhost_and_not_everything() {
        let (sender, mut answers) = mpsc::channel(2);
        let resolver = Resolver::new(sender);
        resolver.look_up("localhost".into());
        assert!(answers.recv().await.unwrap().ips.iter().any(|ip| ip.is_loopback()));
        resolver.look_up("no..such..name".into());
        assert_eq!(answers.recv().await.unwrap().ips, Vec::<IpAddr>::new());
    }
}
