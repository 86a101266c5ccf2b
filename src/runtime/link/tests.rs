//! Links over loopback, with a fake data node at the other end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::engine::Reply;

mod tls;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const LINK: LinkId = LinkId(1);
/// Only to end a test that would hang.
const LONG: Duration = Duration::from_secs(30);

struct World {
    links: TcpLinks,
    events: mpsc::Receiver<LinkEvent>,
    listener: TcpListener,
}

impl World {
    async fn new() -> Self {
        let (sender, events) = mpsc::channel(16);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { links: TcpLinks::new(Options::default(), sender), events, listener }
    }

    fn addr(&self) -> Addr {
        Addr::new("127.0.0.1", self.listener.local_addr().unwrap().port())
    }

    /// A link that is up, and the other end of it.
    async fn connected() -> (Self, TcpStream) {
        let mut world = Self::new().await;
        world.links.connect(LINK, &world.addr(), HERE);
        let (node, _) = world.listener.accept().await.unwrap();
        assert_eq!(world.next().await, "up 127.0.0.1");
        (world, node)
    }

    fn send(&mut self, requests: &[Request]) {
        for request in requests {
            self.links.send(LINK, request, None);
        }
        self.links.flush();
    }

    /// Sends without end to a node that reads nothing.
    async fn is_given_up_when_nothing_is_taken(&mut self) {
        let hello = Request::Publish("x".repeat(1_000).into());
        // The socket buffers take some MiB; the outbox then fills up, because the task cannot empty it.
        let flood = async {
            loop {
                for _ in 0..64 {
                    self.links.send(LINK, &hello, None);
                }
                self.links.flush();
                tokio::task::yield_now().await;
                if let Ok(event) = self.events.try_recv() {
                    break event;
                }
            }
        };
        let event = timeout(LONG, flood).await.unwrap();
        assert!(matches!(event, LinkEvent::Down { cause: DownCause::Remote, .. }), "{event:?}");
    }

    async fn next(&mut self) -> String {
        let event = timeout(LONG, self.events.recv()).await.unwrap().unwrap();
        assert_eq!(event.link(), LINK);
        assert!(self.links.accepts(&event));
        match event {
            LinkEvent::Up { local, .. } => format!("up {local}"),
            LinkEvent::Reached { begun, .. } => if begun { "reached" } else { "queued" }.to_owned(),
            LinkEvent::Failed { why, .. } => format!("failed {why}"),
            LinkEvent::Down { cause, .. } => format!("down {cause:?}"),
            LinkEvent::Reply { reply, .. } => {
                let reply = reply.as_reply();
                if let Reply::Bulk(bytes) = &reply {
                    format!("bulk of {}", bytes.len())
                } else {
                    format!("{reply:?}")
                }
            }
            LinkEvent::Message { message, .. } => {
                let (_, payload) = message.as_message().unwrap();
                format!("hello {}", String::from_utf8_lossy(payload))
            }
        }
    }
}

/// Reads until `count` requests without arguments have come, so that replies are not "not asked for".
async fn read_requests(node: &mut TcpStream, count: usize) {
    let mut seen = Vec::new();
    while seen.iter().filter(|byte| **byte == b'*').count() < count || !seen.ends_with(b"\r\n") {
        assert_ne!(timeout(LONG, node.read_buf(&mut seen)).await.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn queued_requests_leave_in_one_write_and_replies_come_in_order() {
    let (mut world, mut node) = World::connected().await;
    world.send(&[Request::SetName("n".into()), Request::Ping, Request::Info]);
    let mut buffer = [0_u8; 1_024];
    let read = timeout(LONG, node.read(&mut buffer)).await.unwrap().unwrap();
    let expected =
        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$1\r\nn\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nINFO\r\n";
    assert_eq!(String::from_utf8_lossy(&buffer[..read]), expected);

    node.write_all(b"+OK\r\n-LOADING x\r\n$5\r\nrole:\r\n").await.unwrap();
    assert_eq!(world.next().await, r#"Status("OK")"#);
    assert_eq!(world.next().await, r#"Error("LOADING x")"#);
    assert_eq!(world.next().await, "bulk of 5");
}

#[tokio::test]
async fn requests_queued_before_the_connection_is_up_are_sent() {
    let mut world = World::new().await;
    world.links.connect(LINK, &world.addr(), HERE);
    world.send(&[Request::Ping]);
    let (mut node, _) = world.listener.accept().await.unwrap();
    read_requests(&mut node, 1).await;
}

#[tokio::test]
async fn a_reply_may_come_in_pieces() {
    let (mut world, mut node) = World::connected().await;
    world.send(&[Request::Info]);
    read_requests(&mut node, 1).await;
    node.set_nodelay(true).unwrap();
    let text = format!("$100000\r\n{}\r\n", "x".repeat(100_000));
    for piece in [&text[..1], &text[1..5], &text[5..50_000], &text[50_000..100_009], &text[100_009..]] {
        node.write_all(piece.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(world.next().await, "bulk of 100000");
}

#[tokio::test]
async fn only_hellos_are_passed_on_and_the_subscription_is_a_reply() {
    let (mut world, mut node) = World::connected().await;
    world.send(&[Request::Subscribe]);
    read_requests(&mut node, 1).await;
    node.write_all(b"*3\r\n$9\r\nsubscribe\r\n$18\r\n__sentinel__:hello\r\n:1\r\n").await.unwrap();
    node.write_all(b"*3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$1\r\na\r\n").await.unwrap();
    node.write_all(b"*3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$1\r\n\xff\r\n").await.unwrap();
    node.write_all(b"*3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$3\r\na,b\r\n").await.unwrap();
    // The same from a server that speaks RESP3 unasked.
    node.write_all(b">3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$3\r\nc,d\r\n").await.unwrap();

    assert!(world.next().await.starts_with("Array"));
    assert_eq!(world.next().await, "hello a,b");
    assert_eq!(world.next().await, "hello c,d");
}

#[tokio::test]
async fn the_end_of_the_stream_is_seen_at_once_and_after_the_last_reply() {
    let (mut world, mut node) = World::connected().await;
    world.send(&[Request::Ping]);
    read_requests(&mut node, 1).await;
    node.write_all(b"+PONG\r\n").await.unwrap();
    drop(node);
    assert_eq!(world.next().await, r#"Status("PONG")"#);
    assert_eq!(world.next().await, "down Remote");
}

#[tokio::test]
async fn a_reset_is_the_other_sides_doing() {
    let (mut world, node) = World::connected().await;
    socket2::SockRef::from(&node).set_linger(Some(Duration::ZERO)).unwrap();
    drop(node);
    assert_eq!(world.next().await, "down Remote");
}

#[tokio::test]
async fn nobody_listening_is_a_refusal() {
    let mut world = World::new().await;
    let addr = world.addr();
    // Bound but not listening: nobody else can take the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    world.links.connect(LINK, &Addr { port, ..addr }, HERE);
    assert_eq!(world.next().await, "down Refused");
}

#[tokio::test]
async fn garbage_and_replies_nobody_asked_for_end_the_link() {
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"+OK\r\n"] {
        let (mut world, mut node) = World::connected().await;
        node.write_all(garbage).await.unwrap();
        assert_eq!(world.next().await, "down Remote");
        let mut rest = Vec::new();
        // Closed or reset, depending on what was unread.
        let _ = timeout(LONG, node.read_to_end(&mut rest)).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_reported_after_close_and_the_socket_is_gone() {
    let (mut world, mut node) = World::connected().await;
    world.send(&[Request::Ping]);
    read_requests(&mut node, 1).await;
    node.write_all(b"+PONG\r\n").await.unwrap();
    let queued = timeout(LONG, world.events.recv()).await.unwrap().unwrap();
    world.links.close(LINK);
    assert!(!world.links.accepts(&queued), "in the queue already, but void");

    let end = timeout(LONG, node.read(&mut [0; 16])).await.unwrap();
    assert_eq!(
        end.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset,
        "nothing undelivered may stay behind"
    );
    world.links.send(LINK, &Request::Ping, None);
    world.links.flush();
    assert!(world.events.try_recv().is_err());
}

#[tokio::test]
async fn a_node_that_takes_nothing_is_given_up_with_a_bounded_buffer() {
    let (mut world, _node) = World::connected().await;
    world.is_given_up_when_nothing_is_taken().await;
}
