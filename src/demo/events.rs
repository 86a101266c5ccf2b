//! The events of all sentinels, as any subscriber gets them.

use std::time::{Duration, Instant};

use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Instant,
    /// Which sentinel, counted from 1.
    pub(super) sentinel: usize,
    pub(super) channel: String,
    pub(super) payload: String,
}

/// Subscribes to everything on the sentinels at `ports`.
///
/// The channel is as long as the demo has events: some dozens for each failover.
pub(super) async fn subscribe(ports: &[u16]) -> RedisResult<UnboundedReceiver<Event>> {
    let (sender, receiver) = unbounded_channel();
    for (index, port) in ports.iter().enumerate() {
        follow(index + 1, *port, sender.clone()).await?;
    }
    Ok(receiver)
}

async fn follow(sentinel: usize, port: u16, events: UnboundedSender<Event>) -> RedisResult<()> {
    let (pushes, mut pushed) = unbounded_channel();
    let config = AsyncConnectionConfig::new()
        .set_push_sender(pushes)
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(5)));
    let client = Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3"))?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    connection.psubscribe("*").await?;
    tokio::spawn(async move {
        // Dropping the connection would end the subscription.
        let _connection = connection;
        while let Some(push) = pushed.recv().await {
            if let Some((channel, payload)) = read(push) {
                let event = Event { at: Instant::now(), sentinel, channel, payload };
                if events.send(event).is_err() {
                    return;
                }
            }
        }
    });
    Ok(())
}

/// Channel and payload of a message that matched the pattern.
fn read(push: PushInfo) -> Option<(String, String)> {
    if push.kind != PushKind::PMessage {
        return None;
    }
    let mut words =
        push.data.into_iter().filter_map(|value: Value| redis::from_redis_value::<String>(value).ok());
    let (_pattern, channel, payload) = (words.next()?, words.next()?, words.next()?);
    Some((channel, payload))
}
