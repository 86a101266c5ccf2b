//! What the demo prints.

use std::time::{Duration, Instant};

use super::events::Event;
use super::group::{DOWN_AFTER_MS, Group, NAME};
use super::outage::Outage;
use super::writer::Tally;

/// The group, its ports, and what to try.
pub(super) fn print_group(group: &Group, interactive: bool) {
    let port = |index: usize| group.nodes[index].port;
    println!("A group on this machine, complete and healthy:\n");
    println!("      sentinel-1   sentinel-2   sentinel-3     quorum 2, down after {DOWN_AFTER_MS} ms");
    println!("                       |");
    println!("                 {NAME} (node-1)");
    println!("                  /          \\");
    println!("             node-2          node-3\n");
    println!("  {:<12} {:<9} {:>6} {:>9}", "process", "role", "port", "pid");
    for (index, node) in group.nodes.iter().enumerate() {
        let role = if index == 0 { "master" } else { "replica" };
        println!("  {:<12} {role:<9} {:>6} {:>9}", node.process.name, node.port, node.process.pid());
    }
    for sentinel in &group.sentinels {
        println!(
            "  {:<12} {:<9} {:>6} {:>9}",
            sentinel.process.name,
            "sentinel",
            sentinel.port,
            sentinel.process.pid()
        );
    }
    println!("\nConfig files and logs: {}", group.folder.path.display());
    println!("\nTry, in another terminal:");
    println!("  redis-cli -p {} SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}", group.sentinels[0].port);
    println!("  redis-cli -p {} SENTINEL MASTERS", group.sentinels[1].port);
    println!("  redis-cli -p {} SENTINEL FAILOVER {NAME}", group.sentinels[2].port);
    println!("  redis-cli -p {} INFO replication", port(0));
    if interactive {
        println!(
            "\nk + Enter kills the master, r + Enter starts dead nodes again, q + Enter (or Ctrl-C) ends."
        );
    }
    println!("\nA client writes through the sentinels. Events of all three follow.");
}

/// One event, with its time since the kill (or without, when nothing was killed yet).
pub(super) fn print_event(event: &Event, start: Option<Instant>) {
    let Event { at, sentinel, channel, payload } = event;
    println!("{} sentinel-{sentinel}  {channel} {payload}", stamp(*at, start));
}

/// The kill itself.
pub(super) fn print_kill(name: &str, port: u16, pid: u32) {
    println!("\nKilled the master: {name}, port {port}, pid {pid} (SIGKILL). Seconds since then:");
}

/// What the failover took, and what it cost the client.
pub(super) fn print_summary(outage: &Outage, tally: &Tally) {
    println!("{}", summary(outage, tally));
}

fn stamp(at: Instant, start: Option<Instant>) -> String {
    match start {
        Some(start) => format!("{:>+8.3}", at.saturating_duration_since(start).as_secs_f64()),
        None => " ".repeat(8),
    }
}

fn summary(outage: &Outage, tally: &Tally) -> String {
    let seconds =
        |time: Option<Duration>| time.map_or("?".to_owned(), |time| format!("{:.3} s", time.as_secs_f64()));
    let line = |what: &str, value: String| format!("  {what:<36}{value}\n");
    let mut text = "\nThe failover, from the kill:\n".to_owned();
    text += &line("first sentinel sure (+sdown)", seconds(outage.sdown));
    text += &line("new master takes writes", seconds(outage.writable));
    text += &line("first sentinel told its clients", seconds(outage.told.values().min().copied()));
    text += &line("all sentinels told their clients", seconds(outage.told.values().max().copied()));
    text += &line("new master", outage.new_address.clone().unwrap_or_else(|| "?".to_owned()));
    text += "The client:\n";
    text += &line("longest pause between two writes", seconds(Some(tally.outage)));
    text += &line("writes acknowledged so far", tally.acknowledged.to_string());
    text += &line("acknowledged writes lost", tally.lost.to_string());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_to_the_kill() {
        let start = Instant::now();
        assert_eq!(stamp(start + Duration::from_millis(1_234), Some(start)), "  +1.234");
        assert_eq!(stamp(start, None).len(), 8);
    }

    #[tokio::test]
    async fn the_summary_says_what_is_not_known() {
        let outage = Outage::start(Vec::new());
        let tally = Tally::with_losses(2);
        let text = summary(&outage, &tally);

        assert!(text.contains("first sentinel sure (+sdown)        ?"), "{text}");
        assert!(text.contains("acknowledged writes lost            2"), "{text}");
    }
}
