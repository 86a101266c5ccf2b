//! Host names of the configuration, looked up once at the start.
//!
//! Sentinels compare addresses: what a replica reports as its master, what a peer says in a hello, what it asks
//! about. With `resolve-hostnames yes` and `announce-hostnames no` stock therefore works with IPs and shows
//! them; so the names of the configuration are replaced by what they stand for.
//!
//! Source: spec 07, section 3.
//! Differs: stock looks a name up at every reconnect; here its IP holds until the next start, and the log says so.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::engine::numeric::numeric;
use crate::engine::{Addr, State};
use crate::runtime::link::Resolver;

/// How long the start waits for all names together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names to what they stand for.
type Found = BTreeMap<Arc<str>, IpAddr>;

/// Replaces the names in the state, as far as the settings want that.
pub(super) async fn settle(state: &mut State) {
    let names = names_of(state);
    if names.is_empty() {
        return;
    }
    if state.globals.announce_hostnames {
        tracing::warn!(
            "WARNING: 'announce-hostnames yes': host names are compared as text. Replicas must announce names \
             (replica-announce-ip) and follow the master by the very name that is configured here"
        );
        return;
    }
    let resolver = Arc::new(Resolver::default());
    let found = look_up(&names, |name| {
        let resolver = Arc::clone(&resolver);
        async move { resolver.resolve(&name).await }
    })
    .await;
    for name in &names {
        match found.get(name) {
            Some(ip) => tracing::warn!("'{name}' is {ip} until the next start"),
            None => tracing::warn!(
                "Failed to resolve hostname '{name}': it is compared as text, so that replicas and sentinels that \
                 know its IP will not fit; please restart when the name can be resolved"
            ),
        }
    }
    replace(state, &found);
}

/// The hosts that are no numeric addresses.
fn names_of(state: &State) -> BTreeSet<Arc<str>> {
    let of_master = |master: &crate::engine::MasterState| {
        let sentinels = master.sentinels.iter().map(|(_, addr)| addr);
        [&master.addr].into_iter().chain(&master.replicas).chain(sentinels).cloned().collect::<Vec<Addr>>()
    };
    let hosts = state.masters.iter().flat_map(of_master).map(|addr| addr.host);
    hosts.filter(|host| numeric(host).is_none()).collect()
}

/// The first address of each name that is found in time.
async fn look_up<F>(names: &BTreeSet<Arc<str>>, resolve: impl Fn(Arc<str>) -> F) -> Found
where
    F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for name in names {
        let (name, answer) = (Arc::clone(name), resolve(Arc::clone(name)));
        running.spawn(async move { (name, answer.await) });
    }
    let mut found = Found::new();
    let all = async {
        while let Some(done) = running.join_next().await {
            if let Ok((name, Ok(ips))) = done
                && let Some(ip) = ips.first()
            {
                found.insert(name, *ip);
            }
        }
    };
    // What is missing then counts as not found.
    let _ = tokio::time::timeout(PATIENCE, all).await;
    found
}

fn replace(state: &mut State, found: &Found) {
    let ip_of = |addr: &Addr| match found.get(&addr.host) {
        Some(ip) => Addr::new(&ip.to_string(), addr.port),
        None => addr.clone(),
    };
    for master in &mut state.masters {
        master.addr = ip_of(&master.addr);
        let mut known = BTreeSet::from([master.addr.clone()]);
        // Two names may stand for one replica.
        let replicas = master.replicas.iter().map(ip_of).filter(|addr| known.insert(addr.clone()));
        master.replicas = replicas.collect();
        for (_, addr) in &mut master.sentinels {
            *addr = ip_of(addr);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{LoadInput, Sources, load};

    struct Nothing;
    impl Sources for Nothing {
        fn read(&mut self, _: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
            Ok(Vec::new())
        }
        fn is_executable(&self, _: &str) -> bool {
            true
        }
        fn change_dir(&mut self, path: &str) -> Result<String, String> {
            Ok(path.to_owned())
        }
    }

    fn state(lines: &str) -> State {
        let text = format!("sentinel resolve-hostnames yes\n{lines}");
        let input = LoadInput { text: text.as_bytes(), stdin: None, options: &[] };
        load(&input, &mut Nothing).unwrap().state
    }

    #[tokio::test]
    async fn names_become_addresses_and_unknown_ones_stay() {
        let mut state = state(
            "sentinel monitor m one 1 2\nsentinel known-replica m two 2\nsentinel known-replica m 10.0.0.2 2\n\
             sentinel known-replica m lost 3\nsentinel known-sentinel m two 4 aaaa\n",
        );
        let names = names_of(&state);
        assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["lost", "one", "two"]);
        let found = look_up(&names, |name| async move {
            match &*name {
                "one" => Ok(vec!["10.0.0.1".parse().unwrap(), "10.9.9.9".parse().unwrap()]),
                "two" => Ok(vec!["10.0.0.2".parse().unwrap()]),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        })
        .await;
        replace(&mut state, &found);
        let master = &state.masters[0];
        assert_eq!(master.addr.to_string(), "10.0.0.1:1");
        assert_eq!(master.replicas.iter().map(Addr::to_string).collect::<Vec<_>>(), ["10.0.0.2:2", "lost:3"]);
        assert_eq!(master.sentinels[0].1.to_string(), "10.0.0.2:4");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_lookup_does_not_keep_the_rest() {
        let names = BTreeSet::from([Arc::from("good"), Arc::from("hangs")]);
        let found = look_up(&names, |name| async move {
            if &*name == "hangs" {
                std::future::pending::<()>().await;
            }
            Ok(vec!["10.0.0.1".parse().unwrap()])
        })
        .await;
        assert_eq!(found.keys().map(|name| &**name).collect::<Vec<_>>(), ["good"]);
    }
}
