//! `unixsocket`: RESP on a socket of the file system.
//!
//! Protected mode does not apply; who may connect is the file's business (`unixsocketperm`,
//! `unixsocketgroup`).
//!
//! Source: spec 01, section 7; texts as redis-sentinel 7.0.15 prints them.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::Shared;
use super::accept::{Place, TOO_MANY, after_failure};
use super::address::Address;
use super::clients::Client;
use super::conn::Conn;
use super::output::Outbox;
use super::settings::Settings;
use crate::runtime::files::strerror;

/// Room for a path in the system's address, with the zero that ends it.
const MAX_PATH: usize = 108;

/// A listening Unix socket and its file.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    /// As configured; shown to clients.
    name: Arc<str>,
    file: File,
}

/// The file of a socket, wherever the process may move.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    /// Device and number: somebody else may have put another one in its place.
    id: Option<(u64, u64)>,
}

/// Opens the Unix socket, if one is configured. A socket that an earlier run left behind is replaced.
///
/// # Errors
/// Stock's line for the log, without `Failed opening Unix socket: `.
pub fn bind_unix(settings: &Settings) -> Result<Option<UnixSocket>, String> {
    let Some(name) = settings.unixsocket.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    if name.len() >= MAX_PATH {
        return Err(format!("unix socket path too long ({}), must be under {MAX_PATH}", name.len()));
    }
    let path = std::path::absolute(name).unwrap_or_else(|_| PathBuf::from(name));
    remove_stale(&path);
    let at = |step: &'static str| move |error: io::Error| format!("{step}: {}", strerror(&error));
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(at("socket"))?;
    socket.set_nonblocking(true).map_err(at("fcntl"))?;
    socket.bind(&SockAddr::unix(name).map_err(at("bind"))?).map_err(at("bind"))?;
    let backlog = i32::try_from(settings.tcp_backlog).unwrap_or(i32::MAX);
    socket.listen(backlog).map_err(at("listen"))?;
    if settings.unixsocketperm != 0 {
        let mode = fs::Permissions::from_mode(settings.unixsocketperm);
        fs::set_permissions(&path, mode).map_err(at("chmod"))?;
    }
    if let Some(group) = settings.unixsocketgroup.as_deref().filter(|group| !group.is_empty()) {
        let gid = group_id(group).ok_or_else(|| format!("unixsocketgroup: no group '{group}'"))?;
        std::os::unix::fs::chown(&path, None, Some(gid)).map_err(at("chown"))?;
    }
    let listener = UnixListener::from_std(socket.into()).map_err(at("register"))?;
    let id = fs::symlink_metadata(&path).ok().map(|meta| (meta.dev(), meta.ino()));
    Ok(Some(UnixSocket { listener, name: name.into(), file: File { path, id } }))
}

/// Removes a socket that nobody listens to. Differs: stock removes whatever lies there, a file of somebody's
/// or the socket of a running process too; here those make the start fail.
fn remove_stale(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket && !answers(path) {
        // If it can't be removed, binding says why.
        let _ = fs::remove_file(path);
    }
}

/// Whether somebody listens, busy or not. Without waiting: one that hangs takes no connections for ever.
fn answers(path: &Path) -> bool {
    let connect = || -> io::Result<()> {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        probe.set_nonblocking(true)?;
        probe.connect(&SockAddr::unix(path)?)
    };
    connect().err().is_none_or(|error| error.kind() != io::ErrorKind::ConnectionRefused)
}

/// The number of a group: itself, or that of the name in the system's list.
fn group_id(group: &str) -> Option<u32> {
    if let Ok(gid) = group.parse() {
        return Some(gid);
    }
    let list = fs::read_to_string("/etc/group").ok()?;
    let entry = list.lines().find(|line| line.split(':').next() == Some(group))?;
    entry.split(':').nth(2)?.parse().ok()
}

impl UnixSocket {
    /// Its file, to be removed at the end.
    pub fn file(&self) -> File {
        self.file.clone()
    }
}

impl File {
    /// Removes the file and says so; one that another process has put there stays.
    pub fn remove(&self) {
        tracing::info!("Removing the unix socket file.");
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(meta) if self.id != Some((meta.dev(), meta.ino())) => return,
            Ok(_) => fs::remove_file(&self.path),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!("Error removing the unix socket file: {}", strerror(&error));
        }
    }
}

/// Accepts clients for ever.
pub(super) async fn run(socket: UnixSocket, shared: Arc<Shared>, alive: mpsc::Sender<()>) {
    loop {
        match socket.listener.accept().await {
            Ok((stream, _)) => admit(stream, &socket.name, &shared, &alive),
            Err(error) => after_failure(&shared, &error).await,
        }
    }
}

fn admit(stream: UnixStream, name: &Arc<str>, shared: &Arc<Shared>, alive: &mpsc::Sender<()>) {
    if !shared.clients.reserve(shared.settings.maxclients) {
        shared.stats.rejected.add(1);
        if let Ok(mut stream) = stream.into_std() {
            // A client that can't take the text at once gets none.
            let _ = stream.write(TOO_MANY);
        }
        return;
    }
    let place = Place(Arc::clone(shared));
    shared.stats.connections.add(1);
    let outbox = Arc::new(Outbox::new(shared.settings.limits));
    let address = Address::Unix(Arc::clone(name));
    let client = Client::new(shared.clients.next_id(), address.clone(), address, stream.as_raw_fd(), outbox);
    let conn = Conn::new(Arc::clone(shared), client);
    let alive = alive.clone();
    tokio::spawn(async move {
        conn.run(stream).await;
        drop(place);
        drop(alive);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RunId;

    fn settings(name: &str) -> Settings {
        let mut settings = Settings::new(RunId::from("me"));
        settings.unixsocket = Some(name.to_owned());
        settings
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut settings = settings(path.to_str().unwrap());
        settings.unixsocketperm = 0o640;
        drop(bind_unix(&settings).unwrap());
        assert!(path.exists());
        let again = bind_unix(&settings).unwrap().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);

        assert_eq!(bind_unix(&settings).unwrap_err(), "bind: Address already in use", "somebody listens");
        again.file().remove();
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert_eq!(bind_unix(&settings).unwrap_err(), "bind: Address already in use");
        again.file().remove();
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_socket_whose_owner_hangs_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut settings = settings(path.to_str().unwrap());
        settings.tcp_backlog = 1;
        let _hangs = bind_unix(&settings).unwrap().unwrap();
        let to = SockAddr::unix(&path).unwrap();
        // Until one more connection would wait.
        let mut waiting = Vec::new();
        loop {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            match socket.connect(&to) {
                Ok(()) => waiting.push(socket),
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            assert!(waiting.len() < 100);
        }
        let (sender, bound) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            let _guard = runtime.enter();
            sender.send(bind_unix(&settings).map(|_| ())).unwrap();
        });
        let bound = bound.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(bound.expect("it does not wait").unwrap_err(), "bind: Address already in use");
    }

    #[tokio::test]
    async fn what_can_not_be_is_told_in_stocks_words() {
        assert_eq!(bind_unix(&settings("/nosuch/s")).unwrap_err(), "bind: No such file or directory");
        let long = format!("/{}", "s".repeat(148));
        assert_eq!(
            bind_unix(&settings(&long)).unwrap_err(),
            "unix socket path too long (149), must be under 108"
        );
        assert!(bind_unix(&settings("")).unwrap().is_none());
    }

    #[test]
    fn groups_have_names_and_numbers() {
        assert_eq!(group_id("12345"), Some(12_345));
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no-such-group"), None);
    }
}
