//! How bytes travel: pipelines, pieces, order, ends.

use super::*;

#[tokio::test]
async fn a_pipeline_is_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let (mut request, mut expected) = (String::new(), String::new());
    for number in 0..2_000 {
        request.push_str(&array(&["PING", &number.to_string()]));
        expected.push_str(&format!("${}\r\n{number}\r\n", number.to_string().len()));
        request.push_str("SENTINEL MASTER x\r\n");
        expected.push_str("-ERR No such master with that name\r\n");
    }
    client.send(request).await;
    client.expect(&expected).await;
    assert!(server.figure("total_writes_processed").await < 4_000, "replies are coalesced");
}

#[tokio::test]
async fn requests_may_come_byte_by_byte() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.0.set_nodelay(true).unwrap();
    for byte in format!("{}PING \"a b\"\n", array(&["ping", "x\r\ny"])).bytes() {
        client.send([byte]).await;
        tokio::task::yield_now().await;
    }
    client.expect("$4\r\nx\r\ny\r\n$3\r\na b\r\n").await;
}

#[tokio::test]
async fn what_haproxy_sends() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send("PING\r\nSENTINEL get-master-addr-by-name mymaster\r\nQUIT\r\n").await;
    assert_eq!(client.rest().await, "+PONG\r\n*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n+OK\r\n");
}

#[tokio::test]
async fn a_client_that_only_stops_sending_gets_its_replies() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send("PING\r\nSENTINEL MASTER x\r\nPING").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "+PONG\r\n-ERR No such master with that name\r\n");
}

#[tokio::test]
async fn a_browser_is_closed_without_a_word() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send("POST / HTTP/1.1\r\n").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn messages_come_after_the_confirmation_and_between_replies() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.ask("PSUBSCRIBE *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n").await;
    server.hub.publish("+sdown", "master m 1 2");
    client.expect("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$6\r\n+sdown\r\n$12\r\nmaster m 1 2\r\n").await;
    client.ask("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n").await;
    client.ask("RESET", "+RESET\r\n").await;
    server.hub.publish("+sdown", "x");
    client.ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn every_subscriber_gets_every_message_in_order() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = server.client().await;
        client.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n").await;
        clients.push(client);
    }
    let mut expected = String::new();
    for number in 0..200 {
        server.hub.publish("c", &number.to_string());
        expected.push_str(&array(&["message", "c", &number.to_string()]));
    }
    for client in &mut clients {
        client.expect(&expected).await;
    }
}

#[tokio::test]
async fn shutdown_is_passed_on_and_not_answered() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send("SHUTDOWN NOSAVE\r\nPING\r\n").await;
    assert_eq!(client.rest().await, "");
    assert_eq!(server.shutdowns.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_end_of_serving_ends_every_connection() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.ask("PING", "+PONG\r\n").await;
    server.stop.send(true).unwrap();
    tokio::time::timeout(PATIENCE, server.serving).await.unwrap().unwrap();
    assert_eq!(client.rest().await, "");
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn kill_ends_others_at_once_and_oneself_after_the_reply() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.ask("CLIENT ID", ":1\r\n").await;
    two.ask("CLIENT ID", ":2\r\n").await;
    one.ask("CLIENT KILL ID 2", ":1\r\n").await;
    assert_eq!(two.rest().await, "");
    let me = one.0.local_addr().unwrap();
    one.send(format!("CLIENT KILL {me}\r\nPING\r\n")).await;
    assert_eq!(one.rest().await, "+OK\r\n");
}

#[tokio::test]
async fn a_pause_holds_commands_until_it_ends() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    two.ask("PING", "+PONG\r\n").await;
    one.ask("CLIENT PAUSE 60000 WRITE", "+OK\r\n").await;
    two.send("PING\r\nPUBLISH __sentinel__:hello x\r\nPING\r\n").await;
    two.expect("+PONG\r\n").await;
    one.ask("CLIENT UNPAUSE", "+OK\r\n").await;
    two.expect(":1\r\n+PONG\r\n").await;
    one.ask("CLIENT PAUSE 50", "+OK\r\n").await;
    two.ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn idle_clients_are_closed_and_subscribers_are_not() {
    let server = Server::with(|settings| settings.timeout_secs = 1).await;
    let (mut idle, mut subscriber) = (server.client().await, server.client().await);
    subscriber.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n").await;
    assert_eq!(idle.rest().await, "");
    server.hub.publish("c", "x");
    subscriber.expect(&array(&["message", "c", "x"])).await;
}
