//! Sub-commands of `SENTINEL`.

use super::kinds::{HELP, SENTINEL};
use crate::wire::command::spec::{Spec, block, integer, oneof, pattern, row, string, word};

const GROUP: &str = "sentinel";

/// Ordered by name.
pub(super) static SUBS: &[Spec] = &[
    row("sentinel|ckquorum", 3, &SENTINEL, "2.8.4", GROUP)
        .doc("Check for a Sentinel quorum", "")
        .args(&[string("master-name")]),
    row("sentinel|config", -4, &SENTINEL, "6.2.0", GROUP).doc("Configure Sentinel", "O(1)").args(&[oneof(
        "set_or_get",
        &[
            block("set_param_value", &[string("parameter"), string("value")]).after("SET").multiple(),
            string("parameter").after("GET").multiple(),
        ],
    )]),
    row("sentinel|debug", -2, &SENTINEL, "7.0.0", GROUP)
        .doc(
            "List or update the current configurable parameters",
            "O(N) where N is the number of configurable parameters",
        )
        .args(&[block("parameter_value", &[string("parameter"), string("value")]).multiple()]),
    row("sentinel|failover", 3, &SENTINEL, "2.8.4", GROUP)
        .doc("Force a failover", "")
        .args(&[string("master-name")]),
    row("sentinel|flushconfig", 2, &SENTINEL, "2.8.4", GROUP).doc("Rewrite configuration file", "O(1)"),
    row("sentinel|forget", 4, &SENTINEL, "8.0.0", GROUP)
        .doc("Forget a Sentinel that is gone for good", "O(1)")
        .hidden(),
    row("sentinel|get-master-addr-by-name", 3, &SENTINEL, "2.8.4", GROUP)
        .valkey_name("`SENTINEL GET-PRIMARY-ADDR-BY-NAME`")
        .doc("Get port and address of a master", "O(1)")
        .args(&[string("master-name")]),
    row("sentinel|get-primary-addr-by-name", 3, &SENTINEL, "8.0.0", GROUP)
        .valkey()
        .doc("Get port and address of a primary", "O(1)")
        .args(&[string("primary-name")]),
    row("sentinel|help", 2, &HELP, "6.2.0", GROUP)
        .doc("Show helpful text about the different subcommands", "O(1)"),
    row("sentinel|info-cache", -3, &SENTINEL, "3.2.0", GROUP)
        .doc(
            "Get cached INFO from the instances in the deployment",
            "O(N) where N is the number of instances",
        )
        .args(&[string("nodename").multiple()]),
    row("sentinel|is-master-down-by-addr", 6, &SENTINEL, "2.8.4", GROUP)
        .valkey_name("`SENTINEL IS-PRIMARY-DOWN-BY-ADDR`")
        .doc("Check if a master is down", "O(1)")
        .args(&[string("ip"), integer("port"), integer("current-epoch"), string("runid")]),
    row("sentinel|is-primary-down-by-addr", 6, &SENTINEL, "8.0.0", GROUP)
        .valkey()
        .doc("Check if a primary is down", "O(1)")
        .args(&[string("ip"), integer("port"), integer("current-epoch"), string("runid")]),
    row("sentinel|master", 3, &SENTINEL, "2.8.4", GROUP)
        .valkey_name("`SENTINEL PRIMARY`")
        .doc("Shows the state of a master", "O(1)")
        .args(&[string("master-name")]),
    row("sentinel|masters", 2, &SENTINEL, "2.8.4", GROUP)
        .valkey_name("`SENTINEL PRIMARIES`")
        .doc("List the monitored masters", "O(N) where N is the number of masters"),
    row("sentinel|monitor", 6, &SENTINEL, "2.8.4", GROUP).doc("Start monitoring", "O(1)").args(&[
        string("name"),
        string("ip"),
        integer("port"),
        integer("quorum"),
    ]),
    row("sentinel|myid", 2, &SENTINEL, "6.2.0", GROUP).doc("Get the Sentinel instance ID", "O(1)"),
    row("sentinel|pending-scripts", 2, &SENTINEL, "2.8.4", GROUP)
        .doc("Get information about pending scripts", ""),
    row("sentinel|primaries", 2, &SENTINEL, "8.0.0", GROUP)
        .valkey()
        .doc("List the monitored primaries", "O(N) where N is the number of primaries"),
    row("sentinel|primary", 3, &SENTINEL, "8.0.0", GROUP)
        .valkey()
        .doc("Shows the state of a primary", "O(1)")
        .args(&[string("primary-name")]),
    row("sentinel|remove", 3, &SENTINEL, "2.8.4", GROUP)
        .doc("Stop monitoring", "O(1)")
        .args(&[string("master-name")]),
    row("sentinel|replicas", 3, &SENTINEL, "5.0.0", GROUP)
        .doc("List the monitored replicas", "O(N) where N is the number of replicas")
        .args(&[string("master-name")]),
    row("sentinel|reset", 3, &SENTINEL, "2.8.4", GROUP)
        .also(4)
        .doc("Reset masters by name pattern", "O(N) where N is the number of monitored masters")
        .args(&[pattern("pattern")]),
    row("sentinel|sentinels", 3, &SENTINEL, "2.8.4", GROUP)
        .doc("List the Sentinel instances", "O(N) where N is the number of Sentinels")
        .args(&[string("master-name")]),
    row("sentinel|set", -5, &SENTINEL, "2.8.4", GROUP)
        .doc("Change the configuration of a monitored master", "O(1)")
        .args(&[
            string("master-name"),
            block("option_value", &[string("option"), string("value")]).multiple(),
        ]),
    row("sentinel|simulate-failure", -3, &SENTINEL, "3.2.0", GROUP)
        .doc("Simulate failover scenarios", "")
        .args(&[oneof("mode", &[word("crash-after-election"), word("crash-after-promotion"), word("help")])
            .optional()
            .multiple()]),
    row("sentinel|slaves", 3, &SENTINEL, "2.8.0", GROUP)
        .doc("List the monitored slaves", "O(N) where N is the number of slaves")
        .deprecated("5.0.0", "`SENTINEL REPLICAS`")
        .args(&[string("master-name")]),
    row("sentinel|vigia", -3, &SENTINEL, "8.0.0", GROUP)
        .doc("Hints between Vigía processes", "O(1)")
        .hidden(),
];
