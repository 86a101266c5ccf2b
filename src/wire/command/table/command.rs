//! Sub-commands of `COMMAND`.

use super::kinds::INTROSPECT;
use crate::wire::command::spec::{Spec, oneof, pattern, row, string};

const GROUP: &str = "server";

/// Ordered by name.
pub(super) static SUBS: &[Spec] = &[
    row("command|count", 2, &INTROSPECT, "2.8.13", GROUP).doc("Get total number of Redis commands", "O(1)"),
    row("command|docs", -2, &INTROSPECT, "7.0.0", GROUP)
        .doc(
            "Get array of specific Redis command documentation",
            "O(N) where N is the number of commands to look up",
        )
        .tips(&["nondeterministic_output_order"])
        .args(&[string("command-name").optional().multiple()]),
    row("command|getkeys", -3, &INTROSPECT, "2.8.13", GROUP).doc(
        "Extract keys given a full Redis command",
        "O(N) where N is the number of arguments to the command",
    ),
    row("command|getkeysandflags", -3, &INTROSPECT, "7.0.0", GROUP).doc(
        "Extract keys and access flags given a full Redis command",
        "O(N) where N is the number of arguments to the command",
    ),
    row("command|help", 2, &INTROSPECT, "5.0.0", GROUP)
        .doc("Show helpful text about the different subcommands", "O(1)"),
    row("command|info", -2, &INTROSPECT, "2.8.13", GROUP)
        .doc(
            "Get array of specific Redis command details, or all when no argument is given.",
            "O(N) where N is the number of commands to look up",
        )
        .tips(&["nondeterministic_output_order"])
        .history(&[("7.0.0", "Allowed to be called with no argument to get info on all commands.")])
        .args(&[string("command-name").optional().multiple()]),
    row("command|list", -2, &INTROSPECT, "7.0.0", GROUP)
        .doc("Get an array of Redis command names", "O(N) where N is the total number of Redis commands")
        .tips(&["nondeterministic_output_order"])
        .args(&[oneof(
            "filterby",
            &[
                string("module-name").after("MODULE"),
                string("category").after("ACLCAT"),
                pattern("pattern").after("PATTERN"),
            ],
        )
        .after("FILTERBY")
        .optional()]),
];
