//! What `HELP` answers: arrays of simple strings.
//!
//! Source: spec 02, section 10; the texts are what 7.0.15 answers, with the additions of 7.2 in our
//! own words.

use super::value::Value;
use crate::product::Product;

/// `SENTINEL HELP`: as stock's, then what Vigía adds.
pub fn sentinel(product: Product) -> Value {
    let all = SENTINEL.iter().chain(OURS);
    Value::Array(all.map(|line| Value::status(words_of(product, line))).collect())
}

/// Valkey says primary where Redis says master. Source: spec 08, section 4.
fn words_of(product: Product, line: &'static str) -> String {
    if !product.is_valkey() {
        return line.to_owned();
    }
    let words = [
        ("MASTERS", "PRIMARIES"),
        ("MASTER", "PRIMARY"),
        ("masters", "primaries"),
        ("master", "primary"),
        ("their state.", "their states."),
    ];
    words.iter().fold(line.to_owned(), |line, (redis, valkey)| line.replace(redis, valkey))
}

/// `CLIENT HELP`.
pub fn client() -> Value {
    lines(CLIENT)
}

/// `COMMAND HELP`.
pub fn command() -> Value {
    lines(COMMAND)
}

/// `ACL HELP`.
pub fn acl() -> Value {
    lines(ACL)
}

fn lines(lines: &[&'static str]) -> Value {
    Value::Array(lines.iter().map(|line| Value::status(*line)).collect())
}

static SENTINEL: &[&str] = &[
    "SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CKQUORUM <master-name>",
    "    Check if the current Sentinel configuration is able to reach the quorum",
    "    needed to failover a master and the majority needed to authorize the",
    "    failover.",
    "CONFIG SET <param> <value> [<param> <value> ...]",
    "    Set global Sentinel configuration parameters.",
    "CONFIG GET <param> [<param> ...]",
    "    Get global Sentinel configuration parameters.",
    "DEBUG [<param> <value> ...]",
    "    Show a list of configurable time parameters and their values (milliseconds).",
    "    Or update current configurable parameters values (one or more).",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Return the ip and port number of the master with that name.",
    "FAILOVER <master-name>",
    "    Manually failover a master node without asking for agreement from other",
    "    Sentinels",
    "FLUSHCONFIG",
    "    Force Sentinel to rewrite its configuration on disk, including the current",
    "    Sentinel state.",
    "INFO-CACHE <master-name>",
    "    Return last cached INFO output from masters and all its replicas.",
    "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
    "    Check if the master specified by ip:port is down from current Sentinel's",
    "    point of view.",
    "MASTER <master-name>",
    "    Show the state and info of the specified master.",
    "MASTERS",
    "    Show a list of monitored masters and their state.",
    "MONITOR <name> <ip> <port> <quorum>",
    "    Start monitoring a new master with the specified name, ip, port and quorum.",
    "MYID",
    "    Return the ID of the Sentinel instance.",
    "PENDING-SCRIPTS",
    "    Get pending scripts information.",
    "REMOVE <master-name>",
    "    Remove master from Sentinel's monitor list.",
    "REPLICAS <master-name>",
    "    Show a list of replicas for this master and their state.",
    "RESET <pattern>",
    "    Reset masters for specific master name matching this pattern.",
    "SENTINELS <master-name>",
    "    Show a list of Sentinel instances for this master and their state.",
    "SET <master-name> <option> <value> [<option> <value> ...]",
    "    Set configuration parameters for certain masters.",
    "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
    "    Simulate a Sentinel crash.",
    "HELP",
    "    Print this help.",
];

static OURS: &[&str] = &[
    "FORGET <master-name> <sentinel-id>",
    "    Forget a Sentinel that is gone for good: it no longer counts for the majority.",
    "    To be given to every Sentinel. (Vigia)",
    "RESET <pattern> FORCE",
    "    As RESET, and the Sentinels forgotten no longer count for the majority. (Vigia)",
];

static CLIENT: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "    * ID <client-id>",
    "      Kill connections by client id.",
    "    * MAXAGE <seconds>",
    "      Kill connections that are older.",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr. Options are:",
    "    * LIB-NAME: the client lib name.",
    "    * LIB-VER: the client lib version.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "HELP",
    "    Print this help.",
];

static COMMAND: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full Redis command.",
    "HELP",
    "    Print this help.",
];

static ACL: &[&str] = &[
    "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories",
    "    when no category is specified.",
    "DELUSER <username> [<username> ...]",
    "    Delete a list of users.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Returns whether the user can execute the given command without executing the command.",
    "GETUSER <username>",
    "    Get the user's details.",
    "GENPASS [<bits>]",
    "    Generate a secure 256-bit user password. The optional `bits` argument can",
    "    be used to specify a different size.",
    "LIST",
    "    Show users details in config file format.",
    "LOAD",
    "    Reload users from the ACL file.",
    "LOG [<count> | RESET]",
    "    Show the ACL log entries.",
    "SAVE",
    "    Save the current config to the ACL file.",
    "SETUSER <username> <attribute> [<attribute> ...]",
    "    Create or modify a user with the specified attributes.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
    "HELP",
    "    Print this help.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_stocks_shape() {
        assert_eq!(SENTINEL.len(), 49);
        for (help, name) in [(SENTINEL, "SENTINEL"), (CLIENT, "CLIENT"), (COMMAND, "COMMAND"), (ACL, "ACL")] {
            let first = format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
            assert_eq!(help.first(), Some(&first.as_str()));
            assert_eq!(help.last(), Some(&"    Print this help."));
        }
        assert!(
            matches!(sentinel(Product::Vigia), Value::Array(lines) if matches!(lines[0], Value::Status(_)))
        );
    }

    #[test]
    fn valkeys_help_says_primary() {
        let text = |product| format!("{:?}", sentinel(product));
        for word in [
            "GET-PRIMARY-ADDR-BY-NAME <primary-name>",
            "\"PRIMARIES\"",
            "\"PRIMARY <primary-name>\"",
            "their states.",
        ] {
            assert!(text(Product::Valkey).contains(word), "{word}");
            assert!(!text(Product::Redis).contains(word) && !text(Product::Vigia).contains(word), "{word}");
        }
        assert!(!text(Product::Valkey).to_ascii_lowercase().contains("master"));
    }
}
