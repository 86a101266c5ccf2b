//! The server over real loopback sockets, with a fake engine behind it.

mod commands;
mod flow;
mod limits;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::engine::{Addr, Answer, Command, Epoch, MasterName, MasterView, RunId, Status};
use crate::runtime::handle::Asked;

/// Longest wait for something that must come; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
struct Server {
    addr: SocketAddr,
    hub: Hub,
    asked: mpsc::UnboundedReceiver<Command>,
    shutdowns: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut settings = Settings::new(RunId::from("0123456789012345678901234567890123456789"));
        change(&mut settings);
        let kind = if settings.tls.is_some() { Kind::Tls } else { Kind::Tcp };
        let views = Arc::new(DashMap::new());
        let view = view("mymaster", "127.0.0.1", 6_379);
        views.insert(view.name.clone(), Arc::new(view));
        let (ask, questions) = mpsc::channel(64);
        let (tell, asked) = mpsc::unbounded_channel();
        tokio::spawn(fake_engine(questions, tell));
        let (hub, (stop, stopped)) = (Hub::new(), watch::channel(false));
        let shutdowns = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&shutdowns);
        let on_shutdown = move || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let handle = EngineHandle::new(ask, views);
        let serving = tokio::spawn(serve(
            vec![Listener { socket: listener, kind }],
            None,
            settings,
            handle,
            hub.clone(),
            stopped,
            on_shutdown,
        ));
        Self { addr, hub, asked, shutdowns, stop, serving }
    }

    async fn client(&self) -> Client {
        Client(TcpStream::connect(self.addr).await.unwrap())
    }

    /// One `INFO` figure, asked on a connection of its own.
    async fn figure(&self, name: &str) -> u64 {
        let mut client = self.client().await;
        client.send("INFO\r\n").await;
        let mut text = String::new();
        while !text.contains("master0:") {
            text.push_str(&client.some().await);
        }
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.parse().unwrap()
    }
}

/// One client.
struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// What comes next; empty at the end of the connection.
    async fn some(&mut self) -> String {
        let mut buffer = vec![0; 64 << 10];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut buffer)).await.expect("nothing came");
        let count = read.unwrap_or(0);
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    /// Reads exactly what is expected.
    async fn expect(&mut self, expected: &str) {
        let mut got = String::new();
        while got.len() < expected.len() {
            let more = self.some().await;
            if more.is_empty() {
                got.push_str("<end>");
                break;
            }
            got.push_str(&more);
        }
        assert_eq!(got, expected);
    }

    async fn ask(&mut self, request: &str, expected: &str) {
        self.send(format!("{request}\r\n")).await;
        let mut got = String::new();
        while got.len() < expected.len() {
            let more = self.some().await;
            if more.is_empty() {
                got.push_str("<end>");
                break;
            }
            got.push_str(&more);
        }
        assert_eq!(got, expected, "{request}");
    }

    /// Everything until the server closes.
    async fn rest(&mut self) -> String {
        let mut all = String::new();
        loop {
            let more = self.some().await;
            if more.is_empty() {
                return all;
            }
            all.push_str(&more);
        }
    }
}

/// `*n` of bulk strings.
fn array(words: &[&str]) -> String {
    let bulks = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), bulks.collect::<String>())
}

fn view(name: &str, host: &str, port: u16) -> MasterView {
    let addr = Addr::new(host, port);
    MasterView {
        name: MasterName::from(name),
        configured: addr.clone(),
        addr,
        status: Status::Ok,
        replicas: 2,
        sentinels: 3,
        config_epoch: Epoch(1),
    }
}

async fn fake_engine(mut questions: mpsc::Receiver<Asked>, tell: mpsc::UnboundedSender<Command>) {
    while let Some(Asked { command, answer }) = questions.recv().await {
        let entry = |name: &str| vec![("name", Arc::from(name)), ("port", Arc::from("6379"))];
        let reply = match &command {
            Command::Masters => Answer::Entries(vec![entry("mymaster")]),
            Command::Master(name) if &**name == "mymaster" => Answer::Entry(entry(name)),
            Command::Reset(_) => Answer::Integer(1),
            Command::Hello(_) | Command::Set { .. } => Answer::Ok,
            Command::Master(_)
            | Command::Replicas(_)
            | Command::Sentinels(_)
            | Command::IsMasterDown { .. }
            | Command::CkQuorum(_)
            | Command::Monitor { .. }
            | Command::Remove(_)
            | Command::Failover(_)
            | Command::FlushConfig
            | Command::ConfigGet(_)
            | Command::ConfigSet(_)
            | Command::Debug(_)
            | Command::InfoCache(_)
            | Command::PendingScripts
            | Command::SimulateFailure(_)
            | Command::ResetForce(_)
            | Command::Forget { .. }
            | Command::Vigia(_) => Answer::Error("ERR No such master with that name".to_owned()),
        };
        let _ = tell.send(command);
        let _ = answer.send(reply);
    }
}
