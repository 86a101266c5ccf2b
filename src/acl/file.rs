//! The format of ACL files: one `user <name> <rules>` a line.

use std::collections::BTreeMap;

use super::rule::{RuleError, merge_selectors};
use super::user::{NewUsers, User, is_name};

/// Users by name, in the order in which they are listed and written.
pub type UsersByName = BTreeMap<String, User>;

/// What is said behind the errors of a file.
const UNCHANGED: &str =
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";

/// Reads an ACL file; `name` is how errors call it.
///
/// # Errors
/// All errors of all lines in one text.
///
/// Source: watched in redis-sentinel 7.0.15 and 8.2.3: there are no comments, words are separated by single
/// blanks, nothing is quoted. Differs: an unmatched parenthesis is an error (stock's process dies of it).
pub fn parse(text: &[u8], name: &str, new: NewUsers) -> Result<UsersByName, String> {
    let mut users = UsersByName::new();
    let mut errors = String::new();
    for (number, line) in (1_usize..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [b"user", user, rules @ ..] = &words[..] else {
            errors.push_str(&format!(
                "{name}:{number} should start with user keyword followed by the username. "
            ));
            continue;
        };
        match parse_line(user, rules, new, &users) {
            Ok((user, rights)) => {
                users.insert(user, rights);
            }
            Err(wrong) => wrong.into_iter().for_each(|wrong| errors.push_str(&wrong.text(name, number))),
        }
    }
    if errors.is_empty() { Ok(users) } else { Err(errors + UNCHANGED) }
}

/// The file that [`parse`] reads back as the same users.
pub fn render<'u>(users: impl IntoIterator<Item = (&'u str, &'u User)>) -> String {
    users.into_iter().map(|(name, user)| format!("user {name} {}\n", user.text())).collect()
}

/// What is wrong with one line.
enum Wrong {
    Duplicate(String),
    Name(String),
    /// A rule about a command that does not exist.
    Unknown(String),
    /// Any other error of a rule; only the first of a line is told.
    Rule(String),
}

impl Wrong {
    fn text(&self, file: &str, number: usize) -> String {
        match self {
            Self::Duplicate(user) => format!("WARNING: Duplicate user '{user}' found on line {number}. "),
            // The first quote is stock's.
            Self::Name(user) => {
                format!("'{file}:{number}: username '{user}' contains invalid characters. ")
            }
            Self::Unknown(rule) => {
                format!("{file}:{number}: Error in applying operation '{rule}': {}. ", RuleError::Unknown)
            }
            Self::Rule(reason) => format!("{file}:{number}: {reason}. "),
        }
    }
}

fn parse_line(
    name: &[u8],
    rules: &[&[u8]],
    new: NewUsers,
    known: &UsersByName,
) -> Result<(String, User), Vec<Wrong>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Ok(name) = str::from_utf8(name).map(str::to_owned) else {
        return Err(vec![Wrong::Name(text(name))]);
    };
    if known.contains_key(&name) {
        return Err(vec![Wrong::Duplicate(name)]);
    }
    if !is_name(&name) {
        return Err(vec![Wrong::Name(name)]);
    }
    let rules = merge_selectors(rules)
        .map_err(|unmatched| vec![Wrong::Rule(unmatched.to_string().trim_end_matches('.').to_owned())])?;
    let mut user = User::new(new);
    let mut wrong = Vec::new();
    for rule in rules {
        match user.apply(&rule, new) {
            Ok(()) => {}
            Err(RuleError::Unknown) => wrong.push(Wrong::Unknown(text(&rule))),
            Err(_) if wrong.iter().any(|wrong| matches!(wrong, Wrong::Rule(_))) => {}
            Err(error) => wrong.push(Wrong::Rule(error.to_string())),
        }
    }
    if wrong.is_empty() { Ok((name, user)) } else { Err(wrong) }
}
