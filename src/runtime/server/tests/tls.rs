//! TLS in front of the server.

use std::pin::Pin;
use std::time::Instant;

use tokio_openssl::SslStream;

use super::*;
use crate::runtime::tls::tests::Files;

async fn server(files: &Files) -> Server {
    let tls = Arc::new(files.tls(""));
    Server::with(|settings| settings.tls = Some(tls)).await
}

async fn connect(server: &Server, files: &Files) -> SslStream<TcpStream> {
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let mut stream = SslStream::new(files.tls("tls-replication yes").client("h").unwrap(), tcp).unwrap();
    Pin::new(&mut stream).connect().await.unwrap();
    stream
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_ends_after_ten_seconds() {
    let files = Files::new();
    let server = server(&files).await;
    let before = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(server.addr).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(before.elapsed() >= Duration::from_secs(10) && before.elapsed() < Duration::from_secs(11));
}

#[tokio::test]
async fn the_end_of_the_server_waits_for_no_handshake() {
    let files = Files::new();
    let server = server(&files).await;
    let mut silent = TcpStream::connect(server.addr).await.unwrap();
    // Somebody behind it in the queue was served, so it was accepted.
    drop(connect(&server, &files).await);
    let before = Instant::now();
    server.stop.send(true).unwrap();
    server.serving.await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(9));
    // Closed or reset.
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
}
