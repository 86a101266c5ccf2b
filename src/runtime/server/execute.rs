//! Executing one command: checks in stock's order, then the command itself.
//!
//! Source: spec 02, sections 2, 11 and 12.

use bytes::Bytes;

use super::auth::{HELLO_NOAUTH, NOAUTH};
use super::conn::Conn;
use super::info;
use super::pubsub::Kind;
use crate::engine::Command;
use crate::wire::command::{
    self, AclCommand, ClientCommand, Flag, Hello, HelloOption, ReplyMode, Shutdown, Spec,
};
use crate::wire::{Proto, Value, catalog, help};

/// The only channel that `PUBLISH` accepts.
const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";

impl Conn {
    /// Executes one request. Its reply is added now, or comes with the engine's answer.
    pub(super) fn execute(&mut self, argv: Vec<Bytes>) {
        // Set by `CLIENT REPLY SKIP` for this command.
        self.silent = self.reply_mode == ReplyMode::Skip;
        if self.silent {
            self.reply_mode = ReplyMode::On;
        }
        let parsed = command::parse(&argv);
        let (spec, named) = match &parsed {
            Ok(parsed) => (Some(parsed.spec), Some(parsed.spec)),
            Err(error) => (error.spec, error.named),
        };
        self.client.update(|texts| texts.command = named.map(|spec| spec.name));
        if let Some(refusal) = spec.and_then(|spec| self.refusal(spec)) {
            return self.reply(&refusal);
        }
        self.shared.stats.commands.add(u64::from(spec.is_some()));
        self.client.commands.add(u64::from(spec.is_some()));
        match parsed {
            Err(error) => self.reply(&error.to_value()),
            Ok(parsed) => {
                if !matches!(parsed.command, ClientCommand::Client(_)) {
                    self.tracking.used();
                }
                self.run_command(parsed.command);
            }
        }
    }

    /// Why this connection may not call the command now, whatever its options.
    fn refusal(&self, spec: &Spec) -> Option<Value> {
        if self.user.is_none() && !spec.has(Flag::NoAuth) {
            return Some(Value::error(NOAUTH));
        }
        let (top, _) = spec.split();
        let subscribed = self.proto == Proto::Resp2 && self.subscriptions.total() > 0;
        let allowed = matches!(
            top,
            "ping" | "subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe" | "quit" | "reset"
        );
        (subscribed && !allowed).then(|| {
            Value::error(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                spec.name
            ))
        })
    }

    fn run_command(&mut self, command: ClientCommand) {
        match command {
            ClientCommand::Acl(acl) => self.acl(&acl),
            ClientCommand::Auth { user, pass } => self.auth(user.as_deref(), &pass),
            ClientCommand::Client(sub) => self.client_command(sub),
            ClientCommand::Command(sub) => self.reply(&catalog::reply(&sub, self.shared.settings.product)),
            ClientCommand::Hello(hello) => self.hello(&hello),
            ClientCommand::Info(sections) => {
                let text = info::text(&self.shared, &sections);
                self.reply(&Value::bulk(text));
            }
            ClientCommand::Ping(text) => self.ping(text),
            ClientCommand::PSubscribe(names) => self.subscribe(Kind::Pattern, &names),
            ClientCommand::Publish { channel, payload } => self.publish(&channel, &payload),
            ClientCommand::PUnsubscribe(names) => self.unsubscribe(Kind::Pattern, names),
            ClientCommand::Quit => {
                self.reply(&Value::ok());
                self.close();
            }
            ClientCommand::Reset => self.reset(),
            ClientCommand::Role => self.role(),
            ClientCommand::Sentinel(sub) => self.sentinel(sub),
            ClientCommand::Shutdown(Shutdown::Abort) => {
                self.reply(&Value::error("ERR No shutdown in progress."));
            }
            ClientCommand::Shutdown(Shutdown::Go) => {
                tracing::info!(addr = %self.client.addr, "SHUTDOWN received");
                (self.shared.on_shutdown)();
                self.close();
            }
            ClientCommand::Subscribe(names) => self.subscribe(Kind::Channel, &names),
            ClientCommand::Unsubscribe(names) => self.unsubscribe(Kind::Channel, names),
        }
    }

    /// Replies that something exists in stock and not here.
    pub(super) fn not_supported(&mut self, what: &str) {
        self.reply(&Value::error(format!("ERR {what} is not supported by this version of Vigia")));
    }

    fn acl(&mut self, acl: &AclCommand) {
        match acl {
            AclCommand::WhoAmI => {
                let user = self.user.as_deref().unwrap_or("default");
                self.reply(&Value::text(user));
            }
            AclCommand::Help => self.reply(&help::acl()),
            AclCommand::Cat(_)
            | AclCommand::DelUser(_)
            | AclCommand::DryRun { .. }
            | AclCommand::GenPass(_)
            | AclCommand::GetUser(_)
            | AclCommand::List
            | AclCommand::Load
            | AclCommand::Log(_)
            | AclCommand::LogReset
            | AclCommand::Save
            | AclCommand::SetUser { .. }
            | AclCommand::Users => self.not_supported("ACL, other than ACL WHOAMI,"),
        }
    }

    fn auth(&mut self, user: Option<&[u8]>, pass: &[u8]) {
        let value = match self.log_in(user, pass) {
            Ok(()) => Value::ok(),
            Err(error) => Value::error(error),
        };
        self.reply(&value);
    }

    /// A wrong password leaves the user as it was.
    fn log_in(&mut self, user: Option<&[u8]>, pass: &[u8]) -> Result<(), &'static str> {
        match self.shared.users.check(user, pass) {
            Ok(user) => {
                self.client.update(|texts| texts.user = Some(user.clone()));
                self.user = Some(user);
                Ok(())
            }
            Err(error) => {
                self.shared.denied.add(1);
                Err(error)
            }
        }
    }

    fn hello(&mut self, hello: &Hello) {
        for option in &hello.options {
            match option {
                HelloOption::Auth { user, pass } => {
                    if let Err(error) = self.log_in(Some(user), pass) {
                        return self.reply(&Value::error(error));
                    }
                }
                HelloOption::SetName(name) => {
                    let name = Bytes::copy_from_slice(name);
                    self.client.update(|texts| texts.name = name);
                }
            }
        }
        if let Some(error) = &hello.error {
            return self.reply(&error.to_value());
        }
        if self.user.is_none() {
            return self.reply(&Value::error(HELLO_NOAUTH));
        }
        if let Some(proto) = hello.proto {
            self.switch(proto);
        }
        let id = i64::try_from(self.client.id).unwrap_or(i64::MAX);
        let (server, version) = self.shared.settings.introduced_as().in_hello();
        self.reply(&Value::map([
            ("server", Value::bulk(server)),
            ("version", Value::bulk(version)),
            ("proto", Value::Integer(self.proto.number())),
            ("id", Value::Integer(id)),
            ("mode", Value::bulk("sentinel")),
            ("modules", Value::Array(Vec::new())),
        ]));
    }

    /// Changes the protocol, of messages too, behind the replies given so far.
    fn switch(&mut self, proto: Proto) {
        let replies = self.replies.split().freeze();
        self.client.outbox.switch(replies, proto);
        self.proto = proto;
    }

    fn ping(&mut self, text: Option<Bytes>) {
        let value = if self.proto == Proto::Resp2 && self.subscriptions.total() > 0 {
            Value::words([Bytes::from_static(b"pong"), text.unwrap_or_default()])
        } else {
            text.map_or(Value::status("PONG"), Value::Bulk)
        };
        self.reply(&value);
    }

    /// Always `:1`: what is wrong with a hello is no business of its sender.
    fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        if channel != HELLO_CHANNEL {
            let text = "ERR Only HELLO messages are accepted by Sentinel instances.";
            return self.reply(&Value::error(text));
        }
        let hello = Command::Hello(String::from_utf8_lossy(payload).into());
        self.ask_engine(hello, |_| Value::Integer(1));
    }

    fn role(&mut self) {
        let names = info::masters(&self.shared).into_iter().map(|view| Value::text(&view.name)).collect();
        self.reply(&Value::Array(vec![Value::bulk("sentinel"), Value::Array(names)]));
    }

    /// Back to what a new connection is. Differs: unknown to stock sentinels.
    fn reset(&mut self) {
        self.subscriptions.clear();
        self.client.set_subscriptions((0, 0));
        self.user = self.shared.users.initial();
        let user = self.user.clone();
        self.client.update(|texts| {
            texts.user = user;
            texts.name = Bytes::new();
            texts.tracking = None;
        });
        self.tracking = super::tracking::Mode::default();
        self.reply_mode = ReplyMode::On;
        self.switch(Proto::Resp2);
        self.reply(&Value::status("RESET"));
    }

    fn subscribe(&mut self, kind: Kind, names: &[Bytes]) {
        let verb = match kind {
            Kind::Channel => "subscribe",
            Kind::Pattern => "psubscribe",
        };
        for name in names {
            let (replies, proto, outbox) = (&mut self.replies, self.proto, &self.client.outbox);
            let added = self.subscriptions.add(kind, name, |total| {
                confirmation(verb, Value::Bulk(name.clone()), total).encode(proto, replies);
                outbox.reply(replies.split().freeze());
            });
            if added.is_err() {
                self.reply(&Value::error("ERR too many subscriptions"));
                break;
            }
        }
        self.client.set_subscriptions(self.subscriptions.counts());
    }

    fn unsubscribe(&mut self, kind: Kind, names: Vec<Bytes>) {
        let verb = match kind {
            Kind::Channel => "unsubscribe",
            Kind::Pattern => "punsubscribe",
        };
        let names = if names.is_empty() { self.subscriptions.names(kind) } else { names };
        if names.is_empty() {
            let total = self.subscriptions.total();
            confirmation(verb, Value::NullBulk, total).encode(self.proto, &mut self.replies);
        }
        for name in names {
            self.subscriptions.remove(kind, &name);
            let total = self.subscriptions.total();
            confirmation(verb, Value::Bulk(name), total).encode(self.proto, &mut self.replies);
        }
        self.client.set_subscriptions(self.subscriptions.counts());
    }
}

/// Confirmations are pushes: `CLIENT REPLY` does not suppress them.
fn confirmation(verb: &'static str, name: Value, total: usize) -> Value {
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    Value::Push(vec![Value::bulk(verb), name, Value::Integer(total)])
}
