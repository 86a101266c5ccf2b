//! The payload of `__sentinel__:hello`: eight comma-separated fields.
//!
//! Source: spec 06, sections 1 and 2.

use super::ids::{Addr, Epoch};

/// One hello, borrowed from the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello<'a> {
    /// Where the sender can be reached.
    pub addr: Addr,
    /// Its identity.
    pub run_id: &'a str,
    /// Its current epoch.
    pub current_epoch: Epoch,
    /// The master it speaks of.
    pub master: &'a str,
    /// The master's address as the sender knows it; the host is empty if it cannot resolve its name.
    pub master_addr: Addr,
    /// Version of that address.
    pub config_epoch: Epoch,
}

/// Why a hello is not obeyed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Not eight fields: stock ignores it without a word, and so do we.
    Fields,
    /// A number, port or address that no sentinel would send.
    Value(&'static str),
}

/// Largest epoch that is believed. Vote requests carry epochs as signed 64-bit numbers, so a larger
/// one could never be voted for: taking it over would end all elections.
const LARGEST_EPOCH: u64 = i64::MAX as u64;
/// Longest payload in bytes. Stock sends at most about 1 070.
const LONGEST: usize = 4_096;

/// Reads a hello.
///
/// # Errors
/// [`Malformed`] says what is wrong with it.
///
/// Differs: stock takes `-1` as 2^64-1 and a text as 0 and so lets one message poison the epochs.
pub fn parse(payload: &str) -> Result<Hello<'_>, Malformed> {
    if payload.len() > LONGEST {
        return Err(Malformed::Value("too long"));
    }
    let fields: Vec<&str> = payload.split(',').collect();
    let [host, port, run_id, current, master, master_host, master_port, config] = fields[..] else {
        return Err(Malformed::Fields);
    };
    if host.is_empty() || run_id.is_empty() {
        return Err(Malformed::Value("empty address or id"));
    }
    if [host, run_id, master_host].iter().any(|text| text.chars().any(char::is_control)) {
        return Err(Malformed::Value("control character"));
    }
    Ok(Hello {
        addr: Addr::new(host, parse_port(port)?),
        run_id,
        current_epoch: parse_epoch(current)?,
        master,
        master_addr: Addr::new(master_host, parse_port(master_port)?),
        config_epoch: parse_epoch(config)?,
    })
}

/// Writes a hello.
pub fn format(hello: &Hello<'_>) -> String {
    format!(
        "{},{},{},{},{},{},{},{}",
        hello.addr.host,
        hello.addr.port,
        hello.run_id,
        hello.current_epoch,
        hello.master,
        hello.master_addr.host,
        hello.master_addr.port,
        hello.config_epoch
    )
}

fn parse_port(text: &str) -> Result<u16, Malformed> {
    text.parse().map_err(|_| Malformed::Value("port out of range"))
}

fn parse_epoch(text: &str) -> Result<Epoch, Malformed> {
    match text.parse() {
        Ok(epoch) if epoch <= LARGEST_EPOCH => Ok(Epoch(epoch)),
        Ok(_) | Err(_) => Err(Malformed::Value("epoch out of range")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "127.0.0.1,26379,a06c,1,mymaster,127.0.0.1,6381,7";

    #[test]
    fn a_hello_survives_the_wire() {
        let hello = parse(GOOD).unwrap();
        assert_eq!(hello.addr, Addr::new("127.0.0.1", 26379));
        assert_eq!((hello.run_id, hello.master), ("a06c", "mymaster"));
        assert_eq!((hello.current_epoch, hello.config_epoch), (Epoch(1), Epoch(7)));
        assert_eq!(format(&hello), GOOD);
    }

    #[test]
    fn what_no_sentinel_sends_is_rejected() {
        let table = [
            ("a,b", Malformed::Fields),
            ("127.0.0.1,26379,a06c,1,my,master,127.0.0.1,6381,7", Malformed::Fields),
            (",26379,a,1,m,127.0.0.1,6381,7", Malformed::Value("empty address or id")),
            ("h,26379,,1,m,127.0.0.1,6381,7", Malformed::Value("empty address or id")),
            ("h,26379,a\n,1,m,127.0.0.1,6381,7", Malformed::Value("control character")),
            ("h,70000,a,1,m,127.0.0.1,6381,7", Malformed::Value("port out of range")),
            ("h,1,a,-1,m,127.0.0.1,6381,7", Malformed::Value("epoch out of range")),
            ("h,1,a,1,m,127.0.0.1,6381,18446744073709551615", Malformed::Value("epoch out of range")),
        ];
        let long = GOOD.replace("a06c", &"a".repeat(LONGEST));
        for (text, why) in table.into_iter().chain([(&*long, Malformed::Value("too long"))]) {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }
}
