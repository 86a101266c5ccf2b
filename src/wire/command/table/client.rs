//! Sub-commands of `CLIENT`.

use super::kinds::{CLIENT_ADMIN, CLIENT_OWN, INTROSPECT};
use crate::wire::command::spec::{Spec, block, integer, oneof, row, string, token};

const GROUP: &str = "connection";

/// Ordered by name.
pub(super) static SUBS: &[Spec] = &[
    row("client|caching", 3, &CLIENT_OWN, "6.0.0", GROUP)
        .doc("Instruct the server about tracking or not keys in the next request", "O(1)")
        .args(&[oneof("mode", &[token("yes", "YES"), token("no", "NO")])]),
    row("client|getname", 2, &CLIENT_OWN, "2.6.9", GROUP).doc("Get the current connection name", "O(1)"),
    row("client|getredir", 2, &CLIENT_OWN, "6.0.0", GROUP)
        .doc("Get tracking notifications redirection client ID if any", "O(1)"),
    row("client|help", 2, &INTROSPECT, "5.0.0", GROUP)
        .doc("Show helpful text about the different subcommands", "O(1)"),
    row("client|id", 2, &CLIENT_OWN, "5.0.0", GROUP)
        .doc("Returns the client ID for the current connection", "O(1)"),
    row("client|info", 2, &CLIENT_OWN, "6.2.0", GROUP)
        .doc("Returns information about the current client connection.", "O(1)")
        .tips(&["nondeterministic_output"]),
    row("client|kill", -3, &CLIENT_ADMIN, "2.4.0", GROUP)
        .doc("Kill the connection of a client", "O(N) where N is the number of client connections")
        .history(&[
            ("2.8.12", "Added new filter format."),
            ("2.8.12", "`ID` option."),
            ("3.2.0", "Added `master` type in for `TYPE` option."),
            (
                "5.0.0",
                "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.",
            ),
            ("6.2.0", "`LADDR` option."),
        ])
        .args(&[oneof(
            "filter",
            &[
                string("ip:port").until("2.8.12"),
                oneof(
                    "new-format",
                    &[
                        integer("client-id").after("ID").since("2.8.12").optional(),
                        oneof(
                            "normal_master_slave_pubsub",
                            &[
                                token("normal", "NORMAL"),
                                token("master", "MASTER").since("3.2.0"),
                                token("slave", "SLAVE"),
                                token("replica", "REPLICA").since("5.0.0"),
                                token("pubsub", "PUBSUB"),
                            ],
                        )
                        .after("TYPE")
                        .since("2.8.12")
                        .optional(),
                        string("username").after("USER").optional(),
                        string("ip:port").after("ADDR").optional(),
                        string("ip:port").after("LADDR").since("6.2.0").optional(),
                        string("yes/no").after("SKIPME").optional(),
                    ],
                )
                .multiple(),
            ],
        )]),
    row("client|list", -2, &CLIENT_ADMIN, "2.4.0", GROUP)
        .doc("Get the list of client connections", "O(N) where N is the number of client connections")
        .tips(&["nondeterministic_output"])
        .history(&[
            ("2.8.12", "Added unique client `id` field."),
            ("5.0.0", "Added optional `TYPE` filter."),
            ("6.0.0", "Added `user` field."),
            (
                "6.2.0",
                "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter.",
            ),
            ("7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."),
            ("7.0.3", "Added `ssub` field."),
        ])
        .args(&[
            oneof(
                "normal_master_replica_pubsub",
                &[
                    token("normal", "NORMAL"),
                    token("master", "MASTER"),
                    token("replica", "REPLICA"),
                    token("pubsub", "PUBSUB"),
                ],
            )
            .after("TYPE")
            .since("5.0.0")
            .optional(),
            block("id", &[integer("client-id").multiple()]).after("ID").since("6.2.0").optional(),
        ]),
    row("client|no-evict", 3, &CLIENT_ADMIN, "7.0.0", GROUP)
        .doc("Set client eviction mode for the current connection", "O(1)")
        .args(&[oneof("enabled", &[token("on", "ON"), token("off", "OFF")])]),
    row("client|pause", -3, &CLIENT_ADMIN, "2.9.50", GROUP)
        .doc("Stop processing commands from clients for some time", "O(1)")
        .history(&[("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option.")])
        .args(&[
            integer("timeout"),
            oneof("mode", &[token("write", "WRITE"), token("all", "ALL")]).since("6.2.0").optional(),
        ]),
    row("client|reply", 3, &CLIENT_OWN, "3.2.0", GROUP)
        .doc("Instruct the server whether to reply to commands", "O(1)")
        .args(&[oneof("on_off_skip", &[token("on", "ON"), token("off", "OFF"), token("skip", "SKIP")])]),
    row("client|setinfo", 4, &CLIENT_OWN, "7.2.0", GROUP)
        .doc("Set information specific to the client or its library", "O(1)")
        .args(&[oneof("attr", &[string("libname").after("LIB-NAME"), string("libver").after("LIB-VER")])]),
    row("client|setname", 3, &CLIENT_OWN, "2.6.9", GROUP)
        .doc("Set the current connection name", "O(1)")
        .args(&[string("connection-name")]),
    row("client|tracking", -3, &CLIENT_OWN, "6.0.0", GROUP)
        .doc(
            "Enable or disable server assisted client side caching support",
            "O(1). Some options may introduce additional complexity.",
        )
        .args(&[
            oneof("status", &[token("on", "ON"), token("off", "OFF")]),
            integer("client-id").after("REDIRECT").optional(),
            string("prefix").after("PREFIX").optional().multiple().multiple_token(),
            token("bcast", "BCAST").optional(),
            token("optin", "OPTIN").optional(),
            token("optout", "OPTOUT").optional(),
            token("noloop", "NOLOOP").optional(),
        ]),
    row("client|trackinginfo", 2, &CLIENT_OWN, "6.2.0", GROUP).doc(
        "Return information about server assisted client side caching for the current connection",
        "O(1)",
    ),
    row("client|unblock", -3, &CLIENT_ADMIN, "5.0.0", GROUP)
        .doc(
            "Unblock a client blocked in a blocking command from a different connection",
            "O(log N) where N is the number of client connections",
        )
        .args(&[
            integer("client-id"),
            oneof("timeout_error", &[token("timeout", "TIMEOUT"), token("error", "ERROR")]).optional(),
        ]),
    row("client|unpause", 2, &CLIENT_ADMIN, "6.2.0", GROUP)
        .doc("Resume processing of clients that were paused", "O(N) Where N is the number of paused clients"),
];
