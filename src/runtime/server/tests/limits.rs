//! Bounds, seen from outside.

use super::*;

fn with_password(settings: &mut Settings) {
    settings.acl.set_user(b"default", &[">secret"]).unwrap();
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let server = Server::with(|settings| settings.maxclients = 2).await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.ask("PING", "+PONG\r\n").await;
    two.ask("PING", "+PONG\r\n").await;
    assert_eq!(server.client().await.rest().await, "-ERR max number of clients reached\r\n");
    drop(two);
    // The place is free once the server has seen the end.
    loop {
        let mut three = server.client().await;
        if three.0.write_all(b"PING\r\n").await.is_ok() && three.some().await == "+PONG\r\n" {
            break;
        }
    }
    one.ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn requests_before_auth_are_small() {
    let server = Server::with(with_password).await;
    let nested = "*1\r\n".repeat(20_000);
    for (request, expected) in [
        ("*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"),
        ("*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"),
        (&*nested, "-ERR Protocol error: expected '$', got '*'\r\n"),
    ] {
        let mut client = server.client().await;
        let _ = client.0.write_all(request.as_bytes()).await;
        let mut got = vec![0; expected.len()];
        tokio::time::timeout(PATIENCE, client.0.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }
    let mut client = server.client().await;
    client.ask("AUTH secret", "+OK\r\n").await;
    client
        .ask(array(&["PING"; 12]).trim_end(), "-ERR wrong number of arguments for 'ping' command\r\n")
        .await;
}

#[tokio::test]
async fn oversized_requests_end_the_connection() {
    let server = Server::with(|settings| settings.limits.request.max_bulk_len = 1_000).await;
    for (request, expected) in [
        ("*1\r\n$1001\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("PING \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
    ] {
        let mut client = server.client().await;
        client.send(request).await;
        assert_eq!(client.rest().await, expected);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_from() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let payload = "x".repeat(1_000);
    let request = array(&["PING", &payload]).repeat(100);
    let reply = format!("$1000\r\n{payload}\r\n").len() * 100;
    // Sends until nothing more is taken: socket buffers, plus what the server holds.
    let mut sent = 0;
    let mut offset = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(500), client.0.write(&request.as_bytes()[offset..])).await
    {
        offset = (offset + written.unwrap()) % request.len();
        sent += usize::from(offset == 0);
        assert!(sent < 2_000, "200 MB were taken without being read");
    }
    let mut other = server.client().await;
    other.send("CLIENT LIST ID 1\r\n").await;
    let list = other.some().await;
    let field = list.split_whitespace().find_map(|field| field.strip_prefix("omem=")).unwrap();
    let held: usize = field.parse().unwrap();
    assert!((super::super::output::REPLY_BACKLOG..2 << 20).contains(&held), "{held}");
    // Once it reads, it gets every reply.
    let (mut reading, mut writing) = client.0.into_split();
    let tail = request.as_bytes()[offset..].to_vec();
    let whole = sent + usize::from(offset != 0);
    tokio::spawn(async move {
        if offset != 0 {
            writing.write_all(&tail).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let mut buffer = vec![0; 1 << 20];
    let mut got = 0;
    while got < whole * reply {
        got += tokio::time::timeout(PATIENCE, reading.read(&mut buffer)).await.unwrap().unwrap();
    }
    assert_eq!(got, whole * reply);
}

#[tokio::test]
async fn subscribers_that_never_read_are_bounded_and_ended_and_the_others_served() {
    let server = Server::with(|settings| settings.limits.pubsub_hard = 256 << 10).await;
    let mut deaf = Vec::new();
    for _ in 0..100 {
        let mut client = server.client().await;
        client.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n").await;
        deaf.push(client);
    }
    let payload = "x".repeat(64 << 10);
    let mut rounds = 0;
    while server.figure("client_output_buffer_limit_disconnections").await < 100 {
        rounds += 1;
        assert!(rounds < 2_000, "they are never ended");
        server.hub.publish("c", &payload);
        let mut other = server.client().await;
        other.ask("PING", "+PONG\r\n").await;
        other.send("CLIENT LIST TYPE pubsub\r\n").await;
        let mut list = String::new();
        while !list.ends_with("\n\r\n") && !list.starts_with("$0") {
            list.push_str(&other.some().await);
        }
        for line in list.split('\n') {
            let held = line.split_whitespace().find_map(|field| field.strip_prefix("omem="));
            assert!(held.is_none_or(|held| held.parse::<usize>().unwrap() <= 256 << 10), "{line}");
        }
    }
}

/// As many as the descriptor limit of this process allows, at most 5,000: each takes two here.
#[tokio::test]
async fn thousands_of_idle_connections_cost_little_and_hinder_nobody() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(20_000);
    let count = usize::try_from(limit / 4).unwrap_or(0).min(5_000);
    let server = Server::start().await;
    let mut idle = Vec::with_capacity(count);
    for _ in 0..count {
        idle.push(server.client().await);
    }
    let mut first = idle.swap_remove(0);
    first.ask("PING", "+PONG\r\n").await;
    let last = idle.last_mut().unwrap();
    last.ask("PING", "+PONG\r\n").await;
    assert_eq!(server.figure("connected_clients").await, u64::try_from(count).unwrap() + 1);
    drop(idle);
    while server.figure("connected_clients").await > 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn garbage_harms_nobody_else() {
    let server = Server::with(|settings| settings.maxclients = 500).await;
    let mut seed = 1_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let pieces: [&[u8]; 12] = [
        b"*",
        b"$",
        b"-1",
        b"3\r\n",
        b"\r\n",
        b"\n",
        b"PING ",
        b"\"",
        b"\0\xff",
        b"HELLO 3 ",
        b"SUBSCRIBE ",
        b"a ",
    ];
    for _ in 0..300 {
        let mut client = server.client().await;
        let count = random() % 40;
        let bytes: Vec<u8> =
            (0..count).flat_map(|_| pieces[usize::try_from(random() % 12).unwrap()]).copied().collect();
        let _ = client.0.write_all(&bytes).await;
        server.hub.publish("a", "b");
    }
    server.client().await.ask("PING", "+PONG\r\n").await;
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<super::super::conn::Conn>() < 1_024, "{}", size_of::<super::super::conn::Conn>());
}
