//! `CLIENT`.
//!
//! Source: spec 02, section 12; texts and rules watched in redis-sentinel 7.0.15.

use bytes::Bytes;

use super::conn::Conn;
use crate::wire::command::{
    ClientFilter, ClientKind, ClientSub, CommandError, Kill, ReplyMode, SkipMe, Tracking,
};
use crate::wire::{Value, help};

impl Conn {
    pub(super) fn client_command(&mut self, sub: ClientSub) {
        let value = match sub {
            ClientSub::Caching(word) => self.tracking.set_caching(&word),
            ClientSub::GetName => {
                let name = self.client.texts().name;
                Value::optional(Some(name).filter(|name| !name.is_empty()))
            }
            ClientSub::GetRedir => Value::Integer(self.tracking.redirect().unwrap_or(-1)),
            ClientSub::Help => help::client(),
            ClientSub::Id => Value::Integer(i64::try_from(self.client.id).unwrap_or(i64::MAX)),
            ClientSub::Info => self.client_info(),
            ClientSub::Kill(kill) => return self.kill(kill),
            ClientSub::List { kind, ids } => self.list(kind, ids.as_deref()),
            ClientSub::NoEvict(on) => {
                self.client.set_no_evict(on);
                Value::ok()
            }
            ClientSub::Pause { timeout_ms, writes_only } => {
                self.shared.pause.start(timeout_ms, writes_only);
                Value::ok()
            }
            ClientSub::Reply(mode) => return self.set_reply_mode(mode),
            ClientSub::SetInfo { version, value } => self.set_info(version, &value),
            ClientSub::SetName(name) => {
                let name = Bytes::copy_from_slice(&name);
                self.client.update(|texts| texts.name = name);
                Value::ok()
            }
            ClientSub::Tracking(asked) => self.track(asked),
            ClientSub::TrackingInfo => self.tracking.info(),
            // Nothing ever blocks a client of a sentinel.
            ClientSub::Unblock(_) => Value::Integer(0),
            ClientSub::Unpause => {
                self.shared.pause.end();
                self.shared.clients.nudge_all();
                Value::ok()
            }
        };
        self.reply(&value);
    }

    fn client_info(&self) -> Value {
        let mut line = String::new();
        self.client.describe(self.shared.settings.product, &mut line);
        line.push('\n');
        Value::verbatim(line)
    }

    fn list(&self, kind: Option<ClientKind>, ids: Option<&[i64]>) -> Value {
        Value::verbatim(self.shared.clients.list(self.shared.settings.product, kind, ids))
    }

    fn kill(&mut self, kill: Kill) {
        let me = self.client.id;
        let (value, myself) = match kill {
            Kill::Addr(addr) => {
                let filter =
                    ClientFilter { addr: Some(addr), skip_me: SkipMe::No, ..ClientFilter::default() };
                let (count, myself) = self.shared.clients.kill(&filter, me);
                (if count > 0 { Value::ok() } else { Value::error("ERR No such client") }, myself)
            }
            Kill::Filter(filter) => match self.wrong_filter(&filter) {
                Some(error) => (error.to_value(), false),
                None => {
                    let (count, myself) = self.shared.clients.kill(&filter, me);
                    (Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)), myself)
                }
            },
        };
        self.reply(&value);
        if myself {
            self.close();
        }
    }

    fn wrong_filter(&self, filter: &ClientFilter) -> Option<CommandError> {
        let unknown = filter.users.iter().find(|user| self.shared.settings.acl.get(user).is_none());
        let error = unknown.map(|user| CommandError::quoting("ERR No such user '", user, "'"));
        error.or_else(|| filter.error.clone())
    }

    /// `SKIP` silences itself and the next command, `OFF` itself and all to come.
    fn set_reply_mode(&mut self, mode: ReplyMode) {
        match mode {
            ReplyMode::On => {
                self.reply_mode = ReplyMode::On;
                self.silent = false;
                self.reply(&Value::ok());
            }
            ReplyMode::Off => self.reply_mode = ReplyMode::Off,
            ReplyMode::Skip if self.reply_mode == ReplyMode::Off => {}
            ReplyMode::Skip => self.reply_mode = ReplyMode::Skip,
        }
    }

    fn set_info(&mut self, version: bool, value: &[u8]) -> Value {
        let value = Bytes::copy_from_slice(value);
        self.client.update(|texts| if version { texts.lib_ver = value } else { texts.lib_name = value });
        Value::ok()
    }

    fn track(&mut self, asked: Tracking) -> Value {
        let clients = &self.shared.clients;
        let value = self.tracking.set(asked, |id| clients.contains(id));
        let (redirect, broadcast) = (self.tracking.redirect(), self.tracking.is_broadcast());
        self.client.update(|texts| (texts.tracking, texts.broadcast) = (redirect, broadcast));
        value
    }
}
