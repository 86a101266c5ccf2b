//! Links with TLS.

use std::pin::Pin;

use tokio_openssl::SslStream;

use super::*;
use crate::runtime::tls::Tls;
use crate::runtime::tls::tests::Files;

/// A world whose links use TLS, and what a node needs to speak it.
async fn world(files: &Files) -> (World, Tls) {
    let tls = Arc::new(files.tls("tls-replication yes"));
    let (sender, events) = mpsc::channel(16);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { tls: Some(tls), ..Options::default() };
    (World { links: TcpLinks::new(options, sender), events, listener }, files.tls(""))
}

async fn accept(world: &World, tls: &Tls) -> SslStream<TcpStream> {
    let (stream, _) = timeout(LONG, world.listener.accept()).await.unwrap().unwrap();
    let mut stream = SslStream::new(tls.server().unwrap(), stream).unwrap();
    timeout(LONG, Pin::new(&mut stream).accept()).await.expect("no handshake").unwrap();
    stream
}

async fn connected(files: &Files) -> (World, SslStream<TcpStream>) {
    let (mut world, tls) = world(files).await;
    world.links.connect(LINK, &world.addr(), HERE);
    let node = accept(&world, &tls).await;
    assert_eq!(world.next().await, "reached");
    assert_eq!(world.next().await, "up 127.0.0.1");
    (world, node)
}

#[tokio::test]
async fn requests_and_replies_of_any_length_pass() {
    let files = Files::new();
    let (mut world, mut node) = connected(&files).await;
    world.send(&[Request::Ping, Request::Info]);
    let mut seen = Vec::new();
    while !seen.ends_with(b"INFO\r\n") {
        assert_ne!(timeout(LONG, node.read_buf(&mut seen)).await.unwrap().unwrap(), 0);
    }
    let text = format!("+PONG\r\n$100000\r\n{}\r\n", "x".repeat(100_000));
    node.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(world.next().await, r#"Status("PONG")"#);
    assert_eq!(world.next().await, "bulk of 100000");
}

#[tokio::test]
async fn the_end_is_seen_at_once_with_and_without_a_farewell() {
    let files = Files::new();
    for farewell in [true, false] {
        let (mut world, mut node) = connected(&files).await;
        if farewell {
            node.shutdown().await.unwrap();
        }
        drop(node);
        assert_eq!(world.next().await, "down Remote");
    }
}

#[tokio::test]
async fn a_link_that_is_given_up_leaves_nothing_behind() {
    let files = Files::new();
    let (mut world, mut node) = connected(&files).await;
    world.links.close(LINK);
    let end = timeout(LONG, node.read(&mut [0; 16])).await.unwrap().unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_node_that_takes_nothing_is_given_up_with_a_bounded_buffer() {
    let files = Files::new();
    let (mut world, _node) = connected(&files).await;
    world.is_given_up_when_nothing_is_taken().await;
}

#[tokio::test]
async fn what_is_no_tls_or_not_trusted_is_the_other_sides_doing() {
    let files = Files::new();
    let (mut world, _tls) = world(&files).await;
    world.links.connect(LINK, &world.addr(), HERE);
    let (mut node, _) = world.listener.accept().await.unwrap();
    node.write_all(b"-ERR unknown command\r\n").await.unwrap();
    assert_eq!(world.next().await, "reached");
    assert_eq!(world.next().await, "down Remote");

    let stranger = Files::new().tls("");
    world.links.connect(LINK, &world.addr(), HERE);
    let (stream, _) = world.listener.accept().await.unwrap();
    let mut stream = SslStream::new(stranger.server().unwrap(), stream).unwrap();
    assert!(Pin::new(&mut stream).accept().await.is_err());
    assert_eq!(world.next().await, "reached");
    assert_eq!(world.next().await, "down Remote");
}

/// With TLSv1.3 the node judges our certificate after the handshake is done for us.
#[tokio::test]
async fn a_node_that_refuses_our_certificate_ends_the_link() {
    let (files, strangers) = (Files::new(), Files::new());
    let (mut world, _tls) = world(&files).await;
    // Ours is believed by nobody there, but their certificate is of our CA.
    let node = strangers.tls(&format!(
        "tls-cert-file {}\ntls-key-file {}",
        files.path("node.crt"),
        files.path("node.key")
    ));
    world.links.connect(LINK, &world.addr(), HERE);
    let (stream, _) = world.listener.accept().await.unwrap();
    let mut stream = SslStream::new(node.server().unwrap(), stream).unwrap();
    assert!(Pin::new(&mut stream).accept().await.is_err());
    drop(stream);
    assert_eq!(world.next().await, "reached");
    assert_eq!(world.next().await, "up 127.0.0.1");
    assert_eq!(world.next().await, "down Remote");
}

#[tokio::test]
async fn a_certificate_must_name_the_host_as_it_is_known_here() {
    let files = Files::new();
    let tls = Arc::new(files.tls("tls-replication yes\nvigia.tls-check-hostnames yes"));
    let node = files.tls("");
    let (sender, events) = mpsc::channel(16);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { tls: Some(tls), ..Options::default() };
    let mut world = World { links: TcpLinks::new(options, sender), events, listener };
    // The certificate is for the name `node`, without addresses.
    for (host, expected) in [("node", "up 127.0.0.1"), ("127.0.0.1", "down Remote")] {
        let named = Addr { host: host.into(), ..world.addr() };
        world.links.connect(LINK, &named, HERE);
        let (stream, _) = world.listener.accept().await.unwrap();
        let mut stream = SslStream::new(node.server().unwrap(), stream).unwrap();
        let _ = Pin::new(&mut stream).accept().await;
        assert_eq!(world.next().await, "reached");
        assert_eq!(world.next().await, expected, "{host}");
        world.links.close(LINK);
    }
}

#[tokio::test]
async fn a_handshake_waits_for_its_turn_and_slow_ones_give_theirs_away() {
    let files = Files::new();
    let tls = Arc::new(files.tls("tls-replication yes"));
    let node = files.tls("");
    let (sender, events) = mpsc::channel(16);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { tls: Some(Arc::clone(&tls)), ..Options::default() };
    let mut world = World { links: TcpLinks::new(options, sender), events, listener };
    let others = tls.turns().available_permits() - 1;
    let mut others = tls.turns().acquire_many(others.try_into().unwrap()).await.unwrap();
    // The only turn that is left goes to a node that says nothing.
    world.links.connect(LinkId(2), &world.addr(), HERE);
    let _silent = world.listener.accept().await.unwrap();
    let begun = timeout(LONG, world.events.recv()).await.unwrap();
    assert!(matches!(begun, Some(LinkEvent::Reached { link: LinkId(2), begun: true })), "{begun:?}");

    world.links.connect(LINK, &world.addr(), HERE);
    let _node = accept(&world, &node).await;
    assert_eq!(world.next().await, "queued");
    assert_eq!(world.next().await, "reached");
    assert_eq!(world.next().await, "up 127.0.0.1");
    drop(others.split(1));
}

/// A certificate is for the name that a node is known by, not for the IP that the name has now.
#[tokio::test]
async fn a_certificate_is_compared_with_the_name_that_a_node_is_known_by() {
    let files = Files::new();
    let (mut world, tls) = world(&files).await;
    let checks = Arc::new(files.tls("tls-replication yes\nvigia.tls-check-hostnames yes"));
    let (sender, events) = mpsc::channel(16);
    world.links = TcpLinks::new(Options { tls: Some(checks), ..Options::default() }, sender);
    world.events = events;
    let named = Addr { host: "node".into(), ..world.addr() };
    world.links.connect(LINK, &named, HERE);
    let _node = accept(&world, &tls).await;
    assert_eq!(world.next().await, "reached");
    assert_eq!(world.next().await, "up 127.0.0.1");
}
