//! `rename-command` of this server's own commands.
//!
//! Source: spec 01, section 7. Seen on redis-sentinel 7.0.15: a renamed command keeps its old name in
//! `COMMAND LIST` and in its errors.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::wire::command::{CommandError, unknown_command};

/// What names stand for, in lower case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Renames(BTreeMap<String, Option<Bytes>>);

impl Renames {
    /// The outcome of renaming one after the other; an empty new name hides a command.
    pub fn new(pairs: &[(String, String)]) -> Self {
        let mut names: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
        for (old, new) in pairs {
            let old = old.to_ascii_lowercase();
            let command = match names.get(&old) {
                Some(command) => command.clone(),
                None => Some(Bytes::from(old.clone())),
            };
            names.insert(old, None);
            if !new.is_empty() {
                names.insert(new.to_ascii_lowercase(), command);
            }
        }
        Self(names)
    }

    /// Puts the command's real name in the place of the one that was typed.
    ///
    /// # Errors
    /// The command was renamed or hidden: under this name nobody knows it.
    pub(super) fn apply(&self, argv: &mut [Bytes]) -> Result<(), CommandError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(name) = argv.first_mut() else { return Ok(()) };
        match self.0.get(&String::from_utf8_lossy(name).to_ascii_lowercase()) {
            None => {}
            Some(Some(command)) => *name = command.clone(),
            Some(None) => return Err(unknown_command(argv)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_what_the_last_line_says() {
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        let renames =
            Renames::new(&[pair("ROLE", "a"), pair("A", "b"), pair("ping", ""), pair("info", "ping")]);
        let real = |name: &str| {
            let mut argv = [Bytes::from(name.to_owned()), Bytes::from("x")];
            renames.apply(&mut argv).map(|()| String::from_utf8_lossy(&argv[0]).into_owned())
        };
        assert_eq!(real("B").unwrap(), "role");
        assert_eq!(real("Ping").unwrap(), "info");
        assert_eq!(real("HELLO").unwrap(), "HELLO");
        for gone in ["Role", "a", "info"] {
            let text = format!("ERR unknown command '{gone}', with args beginning with: 'x' ");
            assert_eq!(real(gone).unwrap_err().to_string(), text);
        }
        assert!(Renames::default().apply(&mut []).is_ok() && renames.apply(&mut []).is_ok());
    }
}
