//! Executing one command: checks in stock's order, then the command itself.
//!
//! Source: spec 02, sections 2, 11 and 12.

use bytes::Bytes;

use super::auth::{HELLO_NOAUTH, Identity, NOAUTH};
use super::conn::Conn;
use super::info;
use super::pubsub::Kind;
use crate::engine::Command;
use crate::wire::command::{self, ClientCommand, Flag, Hello, HelloOption, ReplyMode, Shutdown, Spec};
use crate::wire::{Proto, Value, catalog};

/// The only channel that `PUBLISH` accepts.
const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";

impl Conn {
    /// Executes one request. Its reply is added now, or comes with the engine's answer.
    pub(super) fn execute(&mut self, mut argv: Vec<Bytes>) {
        // Set by `CLIENT REPLY SKIP` for this command.
        self.silent = self.reply_mode == ReplyMode::Skip;
        if self.silent {
            self.reply_mode = ReplyMode::On;
        }
        let renamed = self.shared.settings.renames.apply(&mut argv);
        let parsed = renamed.and_then(|()| command::parse(&argv));
        let (spec, named) = match &parsed {
            Ok(parsed) => (Some(parsed.spec), Some(parsed.spec)),
            Err(error) => (error.spec, error.named),
        };
        self.client.update(|texts| texts.command = named.map(|spec| spec.name));
        if let Some(refusal) = spec.and_then(|spec| self.refusal(spec, &argv)) {
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
                self.run_command(parsed.command, &argv);
            }
        }
    }

    /// Why this connection may not call the command now, whatever its options.
    fn refusal(&self, spec: &'static Spec, argv: &[Bytes]) -> Option<Value> {
        if !self.who.is_logged_in() && !spec.has(Flag::NoAuth) {
            return Some(Value::error(NOAUTH));
        }
        if let Err(denied) = self.who.rights().check(spec, argv) {
            return Some(self.deny(denied, spec, argv));
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

    fn run_command(&mut self, command: ClientCommand, argv: &[Bytes]) {
        match command {
            ClientCommand::Acl(acl) => self.acl(acl),
            ClientCommand::Auth { user, pass } => self.auth(argv, user.as_deref(), &pass),
            ClientCommand::Client(sub) => self.client_command(sub),
            ClientCommand::Command(sub) => self.reply(&catalog::reply(&sub, self.shared.settings.product)),
            ClientCommand::Hello(hello) => self.hello(argv, &hello),
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

    fn hello(&mut self, argv: &[Bytes], hello: &Hello) {
        for option in &hello.options {
            match option {
                HelloOption::Auth { user, pass } => {
                    if let Err(error) = self.log_in(argv, Some(user), pass) {
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
        if !self.who.is_logged_in() {
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
        self.who = Identity::new(&self.shared.settings.acl);
        let user = self.who.name();
        self.client.update(|texts| {
            texts.user = Some(user);
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
        self.recheck_subscriptions();
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
