//! Sub-commands of `ACL`.

use super::kinds::{ACL_ADMIN, ACL_READ, HELP};
use crate::wire::command::spec::{Spec, integer, oneof, row, string, token};

const GROUP: &str = "server";

/// Ordered by name.
pub(super) static SUBS: &[Spec] = &[
    row("acl|cat", -2, &ACL_READ, "6.0.0", GROUP).doc("List the ACL categories or the commands inside a category", "O(1) since the categories and commands are a fixed set.").args(&[string("categoryname").optional()]),
    row("acl|deluser", -3, &ACL_ADMIN, "6.0.0", GROUP).doc("Remove the specified ACL users and the associated rules", "O(1) amortized time considering the typical user.").args(&[string("username").multiple()]),
    row("acl|dryrun", -4, &ACL_ADMIN, "7.0.0", GROUP).doc("Returns whether the user can execute the given command without executing the command.", "O(1).").args(&[string("username"), string("command"), string("arg").optional().multiple()]),
    row("acl|genpass", -2, &ACL_READ, "6.0.0", GROUP).doc("Generate a pseudorandom secure password to use for ACL users", "O(1)").args(&[integer("bits").optional()]),
    row("acl|getuser", 3, &ACL_ADMIN, "6.0.0", GROUP).doc("Get the rules for a specific ACL user", "O(N). Where N is the number of password, command and pattern rules that the user has.").history(&[("6.2.0", "Added Pub/Sub channel patterns."), ("7.0.0", "Added selectors and changed the format of key and channel patterns from a list to their rule representation.")]).args(&[string("username")]),
    row("acl|help", 2, &HELP, "6.0.0", GROUP).doc("Show helpful text about the different subcommands", "O(1)"),
    row("acl|list", 2, &ACL_ADMIN, "6.0.0", GROUP).doc("List the current ACL rules in ACL config file format", "O(N). Where N is the number of configured users."),
    row("acl|load", 2, &ACL_ADMIN, "6.0.0", GROUP).doc("Reload the ACLs from the configured ACL file", "O(N). Where N is the number of configured users."),
    row("acl|log", -2, &ACL_ADMIN, "6.0.0", GROUP).doc("List latest events denied because of ACLs in place", "O(N) with N being the number of entries shown.").args(&[oneof("operation", &[integer("count"), token("reset", "RESET")]).optional()]),
    row("acl|save", 2, &ACL_ADMIN, "6.0.0", GROUP).doc("Save the current ACL rules in the configured ACL file", "O(N). Where N is the number of configured users."),
    row("acl|setuser", -3, &ACL_ADMIN, "6.0.0", GROUP).doc("Modify or create the rules for a specific ACL user", "O(N). Where N is the number of rules provided.").history(&[("6.2.0", "Added Pub/Sub channel patterns."), ("7.0.0", "Added selectors and key based permissions.")]).args(&[string("username"), string("rule").optional().multiple()]),
    row("acl|users", 2, &ACL_ADMIN, "6.0.0", GROUP).doc("List the username of all the configured ACL rules", "O(N). Where N is the number of configured users."),
    row("acl|whoami", 2, &ACL_READ, "6.0.0", GROUP).doc("Return the name of the user associated to the current connection", "O(1)"),
];
