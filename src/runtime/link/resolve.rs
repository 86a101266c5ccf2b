//! Host names to addresses, so that a slow name delays only its own links.
//!
//! The system's resolver blocks a thread of tokio's pool. One lookup per name runs at a time, however often
//! its links try again: a name whose server hangs costs one thread, not the whole pool. When a lookup
//! fails or is slow, the last good answer is used.
//!
//! Source: spec 07, section 3; DESIGN, section 5.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How long a lookup may take before the last good answer is used instead.
const PATIENCE: Duration = Duration::from_millis(500);
/// Names remembered. They come from the config and from other sentinels' hellos; beyond this, names without
/// a running lookup are forgotten.
const MAX_NAMES: usize = 16_384;

type Answer = Result<Arc<[IpAddr]>, String>;
type Running = watch::Receiver<Option<Answer>>;
type Lookup = dyn Fn(Arc<str>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync;

/// A cache of names over the system's resolver.
pub struct Resolver {
    lookup: Box<Lookup>,
    names: Arc<Mutex<HashMap<Arc<str>, Name>>>,
}

#[derive(Default)]
struct Name {
    good: Option<Arc<[IpAddr]>>,
    running: Option<Running>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|host| Box::pin(system_lookup(host)))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    fn new(
        lookup: impl Fn(Arc<str>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self { lookup: Box::new(lookup), names: Arc::default() }
    }

    /// The addresses of a name, in the resolver's order; never empty.
    ///
    /// # Errors
    /// When the name has no address and never had one. Waits as long as the system does if there is no
    /// earlier answer.
    pub async fn resolve(&self, host: &Arc<str>) -> io::Result<Vec<IpAddr>> {
        let (mut running, good) = self.join(host);
        let answer = wait(&mut running);
        let answer = match &good {
            None => answer.await,
            Some(good) => match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(fresh)) => Ok(fresh),
                Ok(Err(_)) | Err(_) => Ok(good.clone()),
            },
        };
        answer.map(|ips| ips.to_vec()).map_err(io::Error::other)
    }

    /// Joins the lookup that runs for this name, or starts one.
    fn join(&self, host: &Arc<str>) -> (Running, Option<Arc<[IpAddr]>>) {
        let mut names = lock(&self.names);
        if names.len() >= MAX_NAMES {
            names.retain(|_, name| name.running.is_some());
        }
        let name = names.entry(host.clone()).or_default();
        let good = name.good.clone();
        if let Some(running) = &name.running {
            return (running.clone(), good);
        }
        let (done, running) = watch::channel(None);
        name.running = Some(running.clone());
        drop(names);

        let (names, host, lookup) = (self.names.clone(), host.clone(), (self.lookup)(host.clone()));
        tokio::spawn(async move {
            let answer = lookup.await;
            if let Some(name) = lock(&names).get_mut(&host) {
                name.running = None;
                name.good = answer.as_ref().ok().cloned().or(name.good.take());
            }
            done.send_replace(Some(answer));
        });
        (running, good)
    }
}

async fn wait(running: &mut Running) -> Answer {
    match running.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(answer)) => answer.clone(),
        Ok(None) | Err(_) => Err("the lookup was given up".to_owned()),
    }
}

async fn system_lookup(host: Arc<str>) -> Answer {
    let found = tokio::net::lookup_host((&*host, 0)).await.map_err(|error| error.to_string())?;
    let mut ips: Vec<IpAddr> = Vec::new();
    for addr in found {
        if !ips.contains(&addr.ip()) {
            ips.push(addr.ip());
        }
    }
    if ips.is_empty() { Err("no address".to_owned()) } else { Ok(ips.into()) }
}

fn lock(names: &Mutex<HashMap<Arc<str>, Name>>) -> MutexGuard<'_, HashMap<Arc<str>, Name>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn ip(text: &str) -> Arc<[IpAddr]> {
        vec![text.parse().unwrap()].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_name_costs_one_lookup_and_delays_nobody_else() {
        let lookups = Arc::new(AtomicUsize::new(0));
        let count = lookups.clone();
        let resolver = Arc::new(Resolver::new(move |host| {
            count.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                if &*host == "hangs" {
                    std::future::pending::<()>().await;
                }
                Ok(ip("127.0.0.1"))
            })
        }));
        for _ in 0..100 {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve(&"hangs".into()).await });
        }
        assert_eq!(resolver.resolve(&"good".into()).await.unwrap(), ip("127.0.0.1").to_vec());
        tokio::task::yield_now().await;
        assert_eq!(lookups.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_answer_stands_in_for_a_failing_or_slow_name() {
        let calls = AtomicUsize::new(0);
        let resolver = Resolver::new(move |_| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                match call {
                    0 => Ok(ip("127.0.0.1")),
                    1 => Err("no such name".to_owned()),
                    2 => {
                        tokio::time::sleep(Duration::from_secs(3_600)).await;
                        Ok(ip("127.0.0.2"))
                    }
                    _ => Ok(ip("127.0.0.3")),
                }
            })
        });
        let host: Arc<str> = "n".into();
        for expected in ["127.0.0.1", "127.0.0.1", "127.0.0.1"] {
            assert_eq!(resolver.resolve(&host).await.unwrap(), ip(expected).to_vec());
        }
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(resolver.resolve(&host).await.unwrap(), ip("127.0.0.3").to_vec());
    }

    #[tokio::test]
    async fn a_name_without_address_is_an_error() {
        let resolver = Resolver::new(|_| Box::pin(async { Err("no such name".to_owned()) }));
        assert_eq!(resolver.resolve(&"n".into()).await.unwrap_err().to_string(), "no such name");
    }
}
