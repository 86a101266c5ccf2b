//! The users at the start of the process.
//!
//! Source: spec 01, section 2 (fatal start-up errors) and 3 (order).

use std::path::PathBuf;

use super::{Acl, LOG_LENGTH, file, warn_of_first_args};
use crate::acl::file::UsersByName;
use crate::acl::{DEFAULT, NewUsers, RuleError, User, is_name, merge_selectors};
use crate::conf::{Generic, UserLine};
use crate::product::Product;

const BOTH: &str = "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This setup is very likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your redis.conf, but not both.";
const CRITICAL: &str = "Critical error while loading ACLs. Exiting.";

/// Makes the users that the configuration asks for.
///
/// # Errors
/// Lines for the log: the process must not start.
pub fn from_config(generic: &Generic) -> Result<Acl, String> {
    let word = |name: &str| generic.raw.get(name).and_then(|lines| lines.last()?.first().cloned());
    let new = match word("acl-pubsub-default").as_deref() {
        Some("allchannels") => NewUsers::HearAll,
        Some(_) | None => NewUsers::HearNothing,
    };
    let most = word("acllog-max-len").and_then(|most| most.parse().ok()).unwrap_or(LOG_LENGTH);
    let aclfile = word("aclfile").filter(|path| !path.is_empty()).map(PathBuf::from);
    let name = if generic.product == Product::Valkey { "Valkey" } else { "Redis" };
    let users = match &aclfile {
        Some(_) if !generic.users.is_empty() => return Err(BOTH.to_owned()),
        Some(path) => {
            let users = file::read(path, new)
                .map_err(|errors| format!("Aborting {name} startup because of ACL errors: {errors}"))?;
            if generic.requirepass.is_some() {
                tracing::warn!(
                    "requirepass is not used for clients, as there is an aclfile: give the user 'default' a password there"
                );
            }
            users
        }
        None => from_lines(generic, new)?,
    };
    Ok(Acl::new(users, new, aclfile, most))
}

/// Differs: the errors of all users are told, not of the first alone.
fn from_lines(generic: &Generic, new: NewUsers) -> Result<UsersByName, String> {
    let default = generic.requirepass.as_deref().map_or_else(User::open, User::with_password);
    let mut users = UsersByName::from([(DEFAULT.to_owned(), default)]);
    let mut errors = String::new();
    for line in &generic.users {
        let user = match from_line(line, new) {
            Ok(user) => user,
            Err(error) => {
                errors.push_str(&error);
                errors.push('\n');
                continue;
            }
        };
        if !user.is_enabled() {
            tracing::info!(
                "The user '{}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a \
                 configuration error.",
                line.name
            );
        }
        warn_of_first_args(&user);
        users.insert(line.name.clone(), user);
    }
    if errors.is_empty() { Ok(users) } else { Err(errors + CRITICAL) }
}

fn from_line(line: &UserLine, new: NewUsers) -> Result<User, String> {
    if !is_name(&line.name) {
        return Err("Spaces not allowed in ACL usernames".to_owned());
    }
    let error = |rule: &[u8], reason: &dyn std::fmt::Display| {
        let rule = String::from_utf8_lossy(rule);
        format!("Error loading ACL rule '{rule}' for the user named '{}': {reason}", line.name)
    };
    let rules = merge_selectors(&line.rules).map_err(|unmatched| error(&unmatched.0, &unmatched))?;
    // Stock's `default` starts from nothing as well, once it has a line.
    let mut user = User::new(new);
    for rule in rules {
        user.apply(&rule, new).map_err(|reason| error(&rule, &reason))?;
    }
    Ok(user)
}

/// Looks for the first rule of a `user` line that is wrong whatever commands there are.
///
/// # Errors
/// The rule, and what is wrong with it.
///
/// Source: stock tells these with the line of the file, and unknown commands later, by the user.
pub fn check_rules(rules: &[String]) -> Result<(), (String, String)> {
    let text = |rule: &[u8]| String::from_utf8_lossy(rule).into_owned();
    let merged = merge_selectors(rules).map_err(|unmatched| (text(&unmatched.0), unmatched.to_string()))?;
    let mut user = User::new(NewUsers::default());
    for rule in merged {
        match user.apply(&rule, NewUsers::default()) {
            Ok(()) | Err(RuleError::Unknown) => {}
            Err(reason) => return Err((text(&rule), reason.to_string())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &[&str], raw: &[(&str, &str)], requirepass: Option<&str>) -> Generic {
        let words = |line: &&str| {
            let mut words = line.split(' ').map(str::to_owned);
            UserLine { name: words.next().unwrap(), rules: words.collect() }
        };
        Generic {
            users: lines.iter().map(words).collect(),
            raw: raw
                .iter()
                .map(|(name, word)| ((*name).to_owned(), vec![vec![(*word).to_owned()]]))
                .collect(),
            requirepass: requirepass.map(str::to_owned),
            ..Generic::default()
        }
    }

    fn texts(generic: &Generic) -> Result<Vec<String>, String> {
        let acl = from_config(generic)?;
        Ok(acl.lines().into_iter().map(|line| format!("{} {}", line.name, line.rules.join(" "))).collect())
    }

    #[test]
    fn the_default_user_comes_from_its_line_or_from_requirepass() {
        let pw = "#30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4";
        for (lines, requirepass, expected) in [
            (&[][..], None, "default on nopass sanitize-payload ~* &* +@all".to_owned()),
            (&[], Some("pw"), format!("default on sanitize-payload {pw} ~* &* +@all")),
            (
                &["default on nopass +@all"],
                Some("pw"),
                "default on nopass sanitize-payload resetchannels +@all".into(),
            ),
            (&["default"], None, "default off sanitize-payload resetchannels -@all".into()),
        ] {
            assert_eq!(texts(&config(lines, &[], requirepass)).unwrap(), [expected]);
        }
        let hearing = config(&["a on (+ping)"], &[("acl-pubsub-default", "allchannels")], None);
        assert_eq!(texts(&hearing).unwrap()[0], "a on sanitize-payload &* -@all (&* -@all +ping)");
    }

    #[test]
    fn the_log_is_as_long_as_it_is_told() {
        for (raw, most) in [(&[][..], 128), (&[("acllog-max-len", "2")], 2), (&[("acllog-max-len", "0")], 0)]
        {
            let acl = from_config(&config(&[], raw, None)).unwrap();
            for number in 0..130_u32 {
                let username = number.to_string();
                let denial = crate::acl::log::Denial {
                    reason: crate::acl::log::Reason::Auth,
                    object: b"AUTH",
                    username: username.as_bytes(),
                    client_info: String::new(),
                };
                acl.log().note(0, denial);
            }
            assert_eq!(acl.log().newest(1_000).count(), most);
        }
    }

    #[test]
    fn what_must_not_start() {
        for (lines, raw, expected) in [
            (
                &["x on +nosuch"][..],
                &[][..],
                "Error loading ACL rule '+nosuch' for the user named 'x': Unknown command or category name in ACL\nCritical error while loading ACLs. Exiting.",
            ),
            (
                &["x on +nosuch", "y on", "z +get"],
                &[],
                "Error loading ACL rule '+nosuch' for the user named 'x': Unknown command or category name in ACL\nError loading ACL rule '+get' for the user named 'z': Unknown command or category name in ACL\nCritical error while loading ACLs. Exiting.",
            ),
            (&["x on"], &[("aclfile", "/a")], BOTH),
            (
                &[],
                &[("aclfile", "/nonexistent/a")],
                "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file '/nonexistent/a': No such file or directory",
            ),
        ] {
            assert_eq!(texts(&config(lines, raw, None)).unwrap_err(), expected);
        }
        let mut blank = config(&["x on"], &[], None);
        blank.users[0].name = "a b".to_owned();
        assert_eq!(texts(&blank).unwrap_err(), format!("Spaces not allowed in ACL usernames\n{CRITICAL}"));
    }

    #[test]
    fn only_rules_that_no_command_could_make_right_are_wrong_at_their_line() {
        let check =
            |rules: &[&str]| check_rules(&rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>());
        assert_eq!(check(&["on", "+nosuch", "(+get", "~a)"]), Ok(()));
        assert_eq!(check(&["on", "+nosuch", "x"]), Err(("x".into(), "Syntax error".into())));
        assert!(check(&["(+ping"]).unwrap_err().1.starts_with("Unmatched parenthesis"));
    }
}
