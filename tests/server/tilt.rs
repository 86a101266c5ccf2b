//! TILT by a stop of the real process.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::redis_server::{NodeOptions, RedisServer};
use crate::support::resp::Client;
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! { a_stopped_process_tells_that_it_was_stopped }

fn field(sentinel: &Sentinel, name: &str) -> i64 {
    let info = sentinel.ask(&["INFO", "sentinel"]).unwrap().text();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {info}")).parse().unwrap()
}

fn a_stopped_process_tells_that_it_was_stopped(program: Program) {
    let master = RedisServer::start(NodeOptions::default());
    let addr = master.address().replace(':', " ");
    let text = format!("bind 127.0.0.1\nsentinel monitor m {addr} 1\n");
    let mut sentinel = Sentinel::start(program, &text);
    assert_eq!(sentinel.ask(&["SENTINEL", "DEBUG", "tilt-period", "2500"]).unwrap().text(), "OK");
    assert_eq!((field(&sentinel, "sentinel_tilt"), field(&sentinel, "sentinel_tilt_since_seconds")), (0, -1));
    let mut client = Client::connect(&sentinel.address()).unwrap();
    client.command(&["PSUBSCRIBE", "?tilt"]).unwrap();
    client.set_read_timeout(PATIENCE).unwrap();
    let next = |client: &mut Client| {
        let message = client.read().unwrap();
        format!("{} {}", message.items()[2].text(), message.items()[3].text())
    };

    sentinel.stop();
    // The stop must last for longer than tilt-trigger: this time is the subject of the test.
    std::thread::sleep(Duration::from_millis(2_700));
    sentinel.resume();
    let entered = next(&mut client);
    let tail = entered.strip_prefix("+tilt #tilt mode entered").unwrap_or_else(|| panic!("{entered}"));
    if program == Program::Vigia {
        let late: u64 = tail.split([',', ' ']).find_map(|word| word.parse().ok()).unwrap();
        assert!((2_100..60_000).contains(&late), "{entered}");
        assert!(tail.contains(" ms late: this process "), "{entered}");
        assert_eq!(field(&sentinel, "sentinel_total_tilt"), 1);
    }
    assert_eq!(field(&sentinel, "sentinel_tilt"), 1);
    wait_until("a second of TILT", PATIENCE, || field(&sentinel, "sentinel_tilt_since_seconds") >= 1);
    let (host, port) = addr.split_once(' ').unwrap();
    let vote =
        sentinel.ask(&["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", host, port, "7", &"c".repeat(40)]).unwrap();
    assert_eq!(vote.items()[1].text(), "c".repeat(40), "votes are given in TILT");
    assert_eq!(next(&mut client), "-tilt #tilt mode exited");
    assert_eq!((field(&sentinel, "sentinel_tilt"), field(&sentinel, "sentinel_tilt_since_seconds")), (0, -1));
}

/// A loop that needs the first processor all the time; ends with this value.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        let words = ["-c", "0", "sh", "-c", "while :; do :; done"];
        Self(Command::new("taskset").args(words).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All its threads run only when nobody else wants that processor.
#[test]
fn a_process_that_gets_no_processor_tells_that_it_waited_for_one() {
    let mut sentinel = Sentinel::start(Program::Vigia, "bind 127.0.0.1\nsentinel monitor m 127.0.0.1 1 1\n");
    assert_eq!(sentinel.ask(&["SENTINEL", "DEBUG", "tilt-trigger", "100"]).unwrap().text(), "OK");
    let pid = sentinel.pid().to_string();
    let done = |program: &str, words: &[&str]| {
        let status = Command::new(program).args(words).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{program} {words:?}");
    };
    done("taskset", &["-a", "-p", "-c", "0", &pid]);
    done("chrt", &["-a", "-i", "-p", "0", &pid]);
    let _busy = [Busy::start(), Busy::start()];
    let told = "ms for a processor; the machine is overloaded or the CPU limit too low";
    wait_until("TILT for want of a processor", PATIENCE, || {
        let log = sentinel.process().log_text();
        log.lines().any(|line| line.contains("# +tilt #tilt mode entered, ") && line.ends_with(told))
    });
}
