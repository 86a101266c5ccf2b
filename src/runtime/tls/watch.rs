//! Reading certificates again: on SIGHUP, when a file changes, and so that sessions end.
//!
//! Changes are found by looking every few seconds: that works for files that are written in place, renamed, or
//! reached by links that are switched (as Kubernetes mounts secrets), and on every file system. A change is taken
//! up when it is the same at two looks, since a certificate and its key are two files. What was tried and failed
//! is not tried again until something changes.
//!
//! Differs: stock ignores SIGHUP, and needs CONFIG SET (which a sentinel does not have) or a restart.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::{Tls, TlsError};
use crate::conf;

/// Between two looks at the files.
const EVERY: Duration = Duration::from_secs(2);

/// What is compared of each file: device, inode, size, time of change; `None` when it is not there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fingerprint(Vec<Option<[i64; 5]>>);

impl Fingerprint {
    /// How the files look now.
    pub(super) fn of(config: &conf::Tls) -> Self {
        let pairs = [&config.server, &config.client];
        let files = pairs.into_iter().flat_map(|pair| [&pair.cert, &pair.key]);
        let all = files.chain([&config.ca_file, &config.ca_dir, &config.dh_params]);
        Self(all.flatten().map(|path| look(path)).collect())
    }
}

fn look(path: &str) -> Option<[i64; 5]> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let data = fs::metadata(path).ok()?;
    Some([number(data.dev()), number(data.ino()), number(data.size()), data.mtime(), data.mtime_nsec()])
}

/// What the looks at the files have shown so far.
#[derive(Debug)]
pub(super) struct Changes {
    /// As they were when they were last read, whatever came of it.
    tried: Fingerprint,
    /// Different at the last look.
    different: Option<Fingerprint>,
}

impl Changes {
    /// `tried` was taken before the files were read.
    pub(super) fn new(tried: Fingerprint) -> Self {
        Self { tried, different: None }
    }

    /// Whether the files are to be read, given how they look now.
    pub(super) fn are_to_be_read(&mut self, now: Fingerprint) -> bool {
        if now == self.tried {
            self.different = None;
            return false;
        }
        if self.different.as_ref() != Some(&now) {
            self.different = Some(now);
            return false;
        }
        self.tried = now;
        self.different = None;
        true
    }
}

/// Why the files are read.
#[derive(Clone, Copy, Debug)]
enum Why {
    Hangup,
    Changed,
    /// Sessions that may be resumed are as old as they may become.
    Sessions,
}

/// Keeps the contexts as the files are, for ever. `tls` has just been made.
///
/// SIGHUP is listened to from this call on.
pub fn watch(tls: Arc<Tls>) -> impl Future<Output = ()> + Send {
    let hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::warn!("SIGHUP will not reload TLS certificates: {error}; changes of the files will");
            None
        }
    };
    look_after(tls, hangup)
}

async fn look_after(tls: Arc<Tls>, mut hangup: Option<Signal>) {
    let mut changes = Changes::new(tls.seen.clone());
    let mut renewed = Instant::now();
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(EVERY) => false,
            () = heard(&mut hangup) => true,
        };
        let Some(now) = blocking(&tls, |tls| Fingerprint::of(tls.config())).await else { return };
        let why = if asked {
            changes = Changes::new(now);
            Why::Hangup
        } else if changes.are_to_be_read(now) {
            Why::Changed
        } else if sessions_are_old(&tls, renewed) {
            Why::Sessions
        } else {
            continue;
        };
        renewed = Instant::now();
        let Some(outcome) = blocking(&tls, Tls::renew).await else { return };
        log(why, outcome);
    }
}

async fn heard(hangup: &mut Option<Signal>) {
    if let Some(hangup) = hangup
        && hangup.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// `tls-session-cache-timeout`: a session is resumed only by the context that it was made with.
fn sessions_are_old(tls: &Tls, renewed: Instant) -> bool {
    let config = tls.config();
    let longest = Duration::from_secs(config.session_cache_timeout.into());
    config.port != 0 && config.keeps_sessions() && renewed.elapsed() >= longest
}

/// Files may lie on a disk that hangs. `None`: the process is ending.
async fn blocking<T: Send + 'static>(tls: &Arc<Tls>, work: fn(&Tls) -> T) -> Option<T> {
    let tls = Arc::clone(tls);
    tokio::task::spawn_blocking(move || work(&tls)).await.ok()
}

fn log(why: Why, outcome: Result<(), TlsError>) {
    let cause = match why {
        Why::Hangup => "SIGHUP",
        Why::Changed => "a file changed",
        Why::Sessions => "sessions expire",
    };
    match (outcome, why) {
        (Ok(()), Why::Sessions) => tracing::debug!("TLS certificates read again: {cause}"),
        (Ok(()), Why::Hangup | Why::Changed) => tracing::info!(
            "TLS certificates reloaded ({cause}): new connections use them, those that exist go on"
        ),
        (Err(error), _) => {
            for line in error.to_string().lines() {
                tracing::warn!("{line}");
            }
            tracing::warn!(
                "TLS certificates NOT reloaded ({cause}): the old ones stay in use until they expire. Mend the \
                 file; it is tried again when it changes, or send SIGHUP."
            );
        }
    }
}
