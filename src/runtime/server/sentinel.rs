//! `SENTINEL`.
//!
//! Source: spec 02, sections 4 to 10.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access};

use super::conn::Conn;
use super::settings::Names;
use crate::engine::numeric::numeric;
use crate::engine::{Answer, Command, MasterName};
use crate::runtime::handle::{EngineGone, EngineHandle};
use crate::wire::command::SentinelCommand;
use crate::wire::{Value, answer, help};

/// How long a client waits for the lookup of a name.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(5);

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

    fn monitor(&mut self, name: MasterName, host: Arc<str>, port: i64, quorum: i64) {
        let handle = self.shared.handle.clone();
        self.ask(async move {
            let host = match numeric(&host) {
                Some(_) => host,
                None => settle_host(host, names_in_force(&handle).await.ok()?).await,
            };
            let command = Command::Monitor { name, host, port, quorum };
            handle.ask(command).await.ok().map(|answer| answer::to_value(&answer))
        });
    }

    fn engine(&mut self, command: Command) {
        if let Command::Monitor { name, host, port, quorum } = command {
            return self.monitor(name, host, port, quorum);
        }
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

/// What becomes of a host name now: `SENTINEL CONFIG SET` may have changed it.
async fn names_in_force(handle: &EngineHandle) -> Result<Names, EngineGone> {
    let words = ["resolve-hostnames", "announce-hostnames"].map(Arc::from).to_vec();
    let answer = handle.ask(Command::ConfigGet(words)).await?;
    let fields = if let Answer::Entry(fields) = answer { fields } else { Vec::new() };
    let is_on = |wanted: &str| fields.iter().any(|(name, value)| *name == wanted && &**value == "yes");
    Ok(Names::of(is_on("resolve-hostnames"), is_on("announce-hostnames")))
}

/// The host for the engine; a name that stands for nothing becomes empty, which it refuses in its turn.
///
/// Source: spec 02, section 7: the name must resolve now.
async fn settle_host(host: Arc<str>, names: Names) -> Arc<str> {
    if names == Names::Refused || numeric(&host).is_some() {
        return host;
    }
    let lookup = tokio::net::lookup_host((&*host, 0));
    let found = match tokio::time::timeout(LOOKUP_PATIENCE, lookup).await {
        Ok(Ok(mut addrs)) => addrs.next(),
        Ok(Err(_)) | Err(_) => None,
    };
    match (found, names) {
        (None, _) => {
            tracing::warn!("Failed to resolve hostname '{}'", host.escape_debug());
            Arc::from("")
        }
        (Some(addr), Names::Resolved) => Arc::from(addr.ip().to_string()),
        (Some(_), Names::Refused | Names::Kept) => host,
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
    async fn names_are_settled_as_the_settings_want() {
        for (host, names, expected) in [
            ("127.1", Names::Resolved, "127.1"),
            ("localhost", Names::Refused, "localhost"),
            ("localhost", Names::Kept, "localhost"),
            ("", Names::Resolved, ""),
        ] {
            assert_eq!(&*settle_host(Arc::from(host), names).await, expected, "{host} {names:?}");
        }
        let ip = settle_host(Arc::from("localhost"), Names::Resolved).await;
        assert!(numeric(&ip).is_some(), "{ip}");
    }

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
