//! The one table of commands: everything that exists in Sentinel mode, and nothing else.
//!
//! Names, arity, flags and categories: spec 02, section 2. Descriptions are what 7.0.15 answers to
//! `COMMAND DOCS`; 8.0.0 marks what Valkey and Vigía added.

mod acl;
mod client;
mod command;
mod kinds;
mod sentinel;

use super::spec::{Spec, block, integer, oneof, pattern, row, string, token};
use kinds::{CONTAINER, GREETING, INFO, INTROSPECT, PING, PUBLISH, ROLE, SENTINEL, SHUTDOWN, SUBSCRIBE};

/// Every top-level command, ordered by name; those of Vigía alone, which lists leave out, last.
pub static TABLE: &[Spec] = &[
    row("acl", -2, &CONTAINER, "6.0.0", "server").doc("A container for Access List Control commands ", "Depends on subcommand.").subs(acl::SUBS),
    row("auth", -2, &GREETING, "1.0.0", "connection").doc("Authenticate to the server", "O(N) where N is the number of passwords defined for the user").history(&[("6.0.0", "Added ACL style (username and password).")]).args(&[string("username").since("6.0.0").optional(), string("password")]),
    row("client", -2, &CONTAINER, "2.4.0", "connection").doc("A container for client connection commands", "Depends on subcommand.").subs(client::SUBS),
    row("command", -1, &INTROSPECT, "2.8.13", "server").doc("Get array of Redis command details", "O(N) where N is the total number of Redis commands").tips(&["nondeterministic_output_order"]).subs(command::SUBS),
    row("hello", -1, &GREETING, "6.0.0", "connection").doc("Handshake with Redis", "O(1)").history(&[("6.2.0", "`protover` made optional; when called without arguments the command reports the current connection's context.")]).args(&[block("arguments", &[integer("protover"), block("username_password", &[string("username"), string("password")]).after("AUTH").optional(), string("clientname").after("SETNAME").optional()]).optional()]),
    row("info", -1, &INFO, "1.0.0", "server").doc("Get information and statistics about the server", "O(1)").tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]).history(&[("7.0.0", "Added support for taking multiple section arguments.")]).args(&[string("section").optional().multiple()]),
    row("ping", -1, &PING, "1.0.0", "connection").doc("Ping the server", "O(1)").tips(&["request_policy:all_shards", "response_policy:all_succeeded"]).args(&[string("message").optional()]),
    row("psubscribe", -2, &SUBSCRIBE, "2.0.0", "pubsub").doc("Listen for messages published to channels matching the given patterns", "O(N) where N is the number of patterns the client is already subscribed to.").args(&[block("pattern", &[pattern("pattern")]).multiple()]),
    row("publish", 3, &PUBLISH, "2.0.0", "pubsub").doc("Post a message to a channel", "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).").args(&[string("channel"), string("message")]),
    row("punsubscribe", -1, &SUBSCRIBE, "2.0.0", "pubsub").doc("Stop listening for messages posted to channels matching the given patterns", "O(N+M) where N is the number of patterns the client is already subscribed and M is the number of total patterns subscribed in the system (by any client).").args(&[pattern("pattern").optional().multiple()]),
    row("role", 1, &ROLE, "2.8.12", "server").doc("Return the role of the instance in the context of replication", "O(1)"),
    row("sentinel", -2, &SENTINEL, "2.8.4", "sentinel").doc("A container for Sentinel commands", "Depends on subcommand.").subs(sentinel::SUBS),
    row("shutdown", -1, &SHUTDOWN, "1.0.0", "server").doc("Synchronously save the dataset to disk and then shut down the server", "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)").history(&[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")]).args(&[oneof("nosave_save", &[token("nosave", "NOSAVE"), token("save", "SAVE")]).optional(), token("now", "NOW").since("7.0.0").optional(), token("force", "FORCE").since("7.0.0").optional(), token("abort", "ABORT").since("7.0.0").optional()]),
    row("subscribe", -2, &SUBSCRIBE, "2.0.0", "pubsub").doc("Listen for messages published to the given channels", "O(N) where N is the number of channels to subscribe to.").args(&[string("channel").multiple()]),
    row("unsubscribe", -1, &SUBSCRIBE, "2.0.0", "pubsub").doc("Stop listening for messages posted to the given channels", "O(N) where N is the number of clients already subscribed to a channel.").args(&[string("channel").optional().multiple()]),
    row("quit", -1, &GREETING, "1.0.0", "connection").doc("Close the connection", "O(1)").hidden(),
    row("reset", 1, &GREETING, "6.2.0", "connection").doc("Reset the connection", "O(1)").hidden(),
];

/// The command called `name`, ignoring case.
pub(super) fn find_top(name: &[u8]) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The command or sub-command (`client|kill`) of that full name, ignoring case.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let top = find_top(parts.next()?)?;
    match parts.next() {
        None => Some(top),
        Some(sub) => top.sub(sub),
    }
}

/// Commands and sub-commands that lists show, each container before its sub-commands.
pub fn listed() -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().flat_map(|top| std::iter::once(top).chain(top.subs)).filter(|spec| !spec.hidden)
}
