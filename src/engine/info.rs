//! Reading the INFO text of a data node, without copying.
//!
//! Source: spec 04, section 5.

use super::ids::Addr;

/// What a node says it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// `role:master`.
    Master,
    /// `role:slave`.
    Replica,
}

impl Role {
    /// The word in replies and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Replica => "slave",
        }
    }
}

/// The lines of one INFO text that matter here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info<'a> {
    /// `run_id`, if it has 40 characters.
    pub run_id: Option<&'a str>,
    /// `role`. Without such a line the texts count it as a replica.
    pub role: Option<Role>,
    /// `slaveN` lines, only read for a master: addresses of its replicas.
    pub replicas: Vec<Addr>,
    /// `master_link_down_since_seconds` in milliseconds; 0 without the line, may be -1000.
    pub link_down_ms: i64,
    /// `master_host` and `master_port`, after `role:slave`.
    pub master: Option<(&'a str, u16)>,
    /// `master_link_status:up`.
    pub link_up: bool,
    /// `slave_priority`.
    pub priority: Option<i64>,
    /// `slave_repl_offset`.
    pub offset: Option<u64>,
    /// `replica_announced`.
    pub announced: Option<bool>,
    /// `master_replid`: whose history of writes the node has.
    pub replid: Option<&'a str>,
    /// `master_replid2`: the history before the last change of masters, if any.
    pub replid2: Option<&'a str>,
}

/// Longest list of `slaveN` lines that is read; more is garbage, no real master has so many.
const MOST_REPLICAS: usize = 10_000;

/// Reads an INFO text. Unknown and broken lines are skipped: a node's garbage is not our error.
pub fn parse(text: &str) -> Info<'_> {
    let mut info = Info::default();
    let mut host = None;
    let mut port = None;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key {
            "run_id" if value.len() == 40 => info.run_id = Some(value),
            "role" => info.role = parse_role(value).or(info.role),
            "master_link_down_since_seconds" => {
                info.link_down_ms = value.parse::<i64>().unwrap_or(0).saturating_mul(1_000);
            }
            "master_host" => host = Some(value).filter(|host| !host.chars().any(char::is_control)),
            "master_port" => port = value.parse().ok(),
            "master_link_status" => info.link_up = value == "up",
            "slave_priority" => info.priority = value.parse().ok(),
            "slave_repl_offset" => info.offset = value.parse().ok(),
            "replica_announced" => info.announced = value.parse::<i64>().ok().map(|n| n != 0),
            "master_replid" => info.replid = real_replid(value),
            "master_replid2" => info.replid2 = real_replid(value),
            _ if is_replica_key(key) && info.replicas.len() < MOST_REPLICAS => {
                info.replicas.extend(parse_replica(value));
            }
            _ => {}
        }
    }
    info.master = host.zip(port);
    info
}

fn parse_role(value: &str) -> Option<Role> {
    match value {
        "master" => Some(Role::Master),
        "slave" => Some(Role::Replica),
        _ => None,
    }
}

/// A replication id that stands for a history: 40 hex digits, not all zero.
fn real_replid(value: &str) -> Option<&str> {
    let is_id = value.len() == 40 && value.bytes().all(|b| b.is_ascii_hexdigit());
    (is_id && value.bytes().any(|b| b != b'0')).then_some(value)
}

fn is_replica_key(key: &str) -> bool {
    key.strip_prefix("slave").is_some_and(|n| n.bytes().next().is_some_and(|b| b.is_ascii_digit()))
}

/// `ip=<ip>,port=<port>,...` or the old form `<ip>,<port>,<state>`.
fn parse_replica(value: &str) -> Option<Addr> {
    let field = |name: &str| value.split(',').find_map(|part| part.strip_prefix(name));
    let (host, port) = match (field("ip="), field("port=")) {
        (Some(host), Some(port)) => (host, port),
        (None, None) | (None, Some(_)) | (Some(_), None) => {
            let mut parts = value.split(',');
            (parts.next()?, parts.next()?)
        }
    };
    let port = port.parse().ok()?;
    let is_host = !host.is_empty() && !host.contains('=') && !host.chars().any(char::is_control);
    is_host.then(|| Addr::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_lists_its_replicas_in_both_forms() {
        let id = "ab".repeat(20);
        let text = format!(
            "# Server\r\nrun_id:{id}\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=1\r\nslave1:10.0.0.1,6381,online\r\n\
             slave2:ip=,port=7,state=x\r\nslave3:junk\r\nslave_priority:100\r\nmaster_replid:{id}\r\n\
             master_replid2:0000000000000000000000000000000000000000\r\n"
        );
        let info = parse(&text);
        assert_eq!(info.run_id, Some(id.as_str()));
        assert_eq!(info.role, Some(Role::Master));
        assert_eq!(info.replicas, [Addr::new("127.0.0.1", 6380), Addr::new("10.0.0.1", 6381)]);
        assert_eq!((info.replid, info.replid2), (Some(id.as_str()), None));
    }

    #[test]
    fn a_replica_tells_of_its_master() {
        let info = parse(
            "role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n\
             master_link_down_since_seconds:12\r\nslave_repl_offset:77\r\nslave_priority:0\r\nreplica_announced:0\r\n",
        );
        assert_eq!(info.role, Some(Role::Replica));
        assert_eq!(info.master, Some(("127.0.0.1", 6379)));
        assert_eq!((info.link_up, info.link_down_ms), (false, 12_000));
        assert_eq!((info.offset, info.priority, info.announced), (Some(77), Some(0), Some(false)));
    }

    #[test]
    fn garbage_is_skipped() {
        assert_eq!(parse(""), Info::default());
        assert_eq!(parse("run_id:short\nrole:king\nslaves:1\n:::\nmaster_port:99999\n"), Info::default());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in ".*") {
            let _ = parse(&text);
        }
    }
}
