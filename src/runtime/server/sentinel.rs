//! `SENTINEL`.
//!
//! Source: spec 02, sections 4 to 10.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustix::fs::{Access, access};

use super::conn::Conn;
use crate::engine::{Command, MasterName};
use crate::wire::command::SentinelCommand;
use crate::wire::{Value, answer, help};

impl Conn {
    pub(super) fn sentinel(&mut self, sub: SentinelCommand) {
        match sub {
            SentinelCommand::Engine(command) => self.engine(command),
            SentinelCommand::GetMasterAddr(name) => {
                let value = self.master_addr(&name);
                self.reply(&value);
            }
            SentinelCommand::MyId => {
                let value = Value::text(&self.shared.settings.my_id);
                self.reply(&value);
            }
            SentinelCommand::Help => self.reply(&help::sentinel(self.shared.settings.product)),
        }
    }

    /// From the view, without the engine: hot, and visible before the event that announces it.
    fn master_addr(&self, name: &MasterName) -> Value {
        match self.shared.handle.views().get(name) {
            Some(view) => {
                Value::Array(vec![Value::text(&view.addr.host), Value::bulk(view.addr.port.to_string())])
            }
            None => Value::NullArray,
        }
    }

    fn engine(&mut self, command: Command) {
        let Command::Set { name, args, .. } = command else {
            return self.ask_engine(command, answer::to_value);
        };
        let handle = self.shared.handle.clone();
        self.ask(async move {
            let not_executable = not_executable(args.clone()).await;
            let command = Command::Set { name, args, not_executable };
            handle.ask(command).await.ok().map(|answer| answer::to_value(&answer))
        });
    }
}

/// The values of script options that this process may not execute.
///
/// A file system may hang: the check runs where it delays nobody else.
async fn not_executable(args: Vec<Arc<str>>) -> BTreeSet<Arc<str>> {
    let is_script = |option: &str| {
        ["notification-script", "client-reconfig-script"].iter().any(|name| option.eq_ignore_ascii_case(name))
    };
    let scripts: Vec<_> = args
        .windows(2)
        .filter_map(|pair| match pair {
            [option, value] if is_script(option) && !value.is_empty() => Some(Arc::clone(value)),
            _ => None,
        })
        .collect();
    if scripts.is_empty() {
        return BTreeSet::new();
    }
    let all: BTreeSet<_> = scripts.iter().cloned().collect();
    let check = move || {
        scripts.into_iter().filter(|path| access(&**path, Access::EXEC_OK).is_err()).collect::<BTreeSet<_>>()
    };
    // Fails only while the process ends; then nothing is known to be executable.
    tokio::task::spawn_blocking(check).await.unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_values_of_script_options_are_checked() {
        let args = |words: &[&str]| words.iter().map(|word| Arc::from(*word)).collect::<Vec<Arc<str>>>();
        for (words, expected) in [
            (&["quorum", "/no/such"][..], &[][..]),
            (&["Notification-Script", "/no/such"], &["/no/such"]),
            (&["notification-script", ""], &[]),
            (&["notification-script", "/bin/sh", "client-reconfig-script", "/etc/passwd"], &["/etc/passwd"]),
            (&["notification-script"], &[]),
        ] {
            let found = not_executable(args(words)).await;
            assert_eq!(found.iter().map(|path| &**path).collect::<Vec<_>>(), expected, "{words:?}");
        }
    }
}
