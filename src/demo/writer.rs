//! A client as an application would be: it asks the sentinels for the master, writes, and asks
//! again when a write fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{AsyncConnectionConfig, RedisResult};
use tokio::task::JoinHandle;

use super::group::NAME;

/// Key that the writer increments.
const KEY: &str = "vigia:demo:counter";
/// Pause between two writes.
const PACE: Duration = Duration::from_millis(5);
/// Pause after a failure.
const RETRY: Duration = Duration::from_millis(10);
/// Longest wait for a connection or a reply.
const LIMIT: Duration = Duration::from_millis(500);

/// What the writer has seen.
///
/// The counter makes losses exact: replication keeps the order of writes, so a new master holds
/// the first n increments, and every acknowledged one above n is lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Writes that a master confirmed.
    pub(super) acknowledged: u64,
    /// Confirmed writes that a later master did not have.
    pub(super) lost: u64,
    /// When the last write was confirmed, and its value of the counter.
    pub(super) last: Option<(Instant, u64)>,
    /// The longest pause between two confirmed writes since [`Writer::mark`].
    pub(super) outage: Duration,
    /// Whether a write failed since the mark, and a later one succeeded.
    pub(super) recovered: bool,
    failing: bool,
}

impl Tally {
    #[cfg(test)]
    pub(super) fn with_losses(lost: u64) -> Self {
        Self { lost, ..Self::default() }
    }

    fn confirmed(&mut self, now: Instant, counter: u64) {
        self.acknowledged += 1;
        if let Some((before, value)) = self.last {
            self.outage = self.outage.max(now - before);
            self.lost += (value + 1).saturating_sub(counter);
        }
        self.recovered |= self.failing;
        self.failing = false;
        self.last = Some((now, counter));
    }
}

/// The running client; ends with its owner.
pub(super) struct Writer {
    tally: Arc<Mutex<Tally>>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Starts writing by way of the sentinels at `ports`.
    pub(super) fn start(ports: &[u16]) -> RedisResult<Self> {
        let urls: Vec<String> = ports.iter().map(|port| format!("redis://127.0.0.1:{port}")).collect();
        let client = SentinelClient::build(urls, NAME.to_owned(), None, SentinelServerType::Master)?;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let task = tokio::spawn(write_for_ever(client, Arc::clone(&tally)));
        Ok(Self { tally, task })
    }

    /// The count so far.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Starts to measure a new outage.
    pub(super) fn mark(&self) {
        let mut tally = lock(&self.tally);
        tally.outage = Duration::ZERO;
        tally.recovered = false;
        tally.failing = false;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn write_for_ever(mut client: SentinelClient, tally: Arc<Mutex<Tally>>) {
    let mut connection: Option<MultiplexedConnection> = None;
    loop {
        match write(&mut client, &mut connection).await {
            Ok(counter) => {
                lock(&tally).confirmed(Instant::now(), counter);
                tokio::time::sleep(PACE).await;
            }
            Err(_) => {
                connection = None;
                lock(&tally).failing = true;
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn write(
    client: &mut SentinelClient,
    connection: &mut Option<MultiplexedConnection>,
) -> RedisResult<u64> {
    let open = match connection.as_mut() {
        Some(open) => open,
        None => {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(LIMIT))
                .set_response_timeout(Some(LIMIT));
            connection.insert(client.get_async_connection_with_config(&config).await?)
        }
    };
    redis::cmd("INCR").arg(KEY).query_async(open).await
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmed_writes_that_the_new_master_lacks_are_lost() {
        let now = Instant::now();
        let mut tally = Tally::default();
        for counter in [1, 2, 3] {
            tally.confirmed(now, counter);
        }
        tally.failing = true;

        // The new master had only the first increment.
        tally.confirmed(now + Duration::from_secs(2), 2);

        assert_eq!((tally.acknowledged, tally.lost), (4, 2));
        assert_eq!(tally.outage, Duration::from_secs(2));
        assert!(tally.recovered);
    }

    #[test]
    fn an_unconfirmed_write_that_survived_is_no_loss() {
        let now = Instant::now();
        let mut tally = Tally::default();
        tally.confirmed(now, 1);
        tally.confirmed(now, 3);

        assert_eq!((tally.acknowledged, tally.lost), (2, 0));
    }
}
