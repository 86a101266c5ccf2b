//! `ACL`.
//!
//! Source: spec 02, section 12; shapes and texts watched in redis-sentinel 7.0.15 and 8.2.3.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::Shared;
use super::auth::wall_ms;
use super::conn::Conn;
use super::pubsub::Kind;
use crate::acl::log::Entry;
use crate::acl::{CATEGORIES, Denied, Selector, User, categories};
use crate::product::Product;
use crate::runtime::acl::Changed;
use crate::runtime::files::Disk;
use crate::wire::command::{self, AclCommand};
use crate::wire::{Value, help};

/// Behind `This instance` or `This Redis instance`. Source: spec 08, section 4.
const NO_FILE: &str = "is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.";
const NOT_SAVED: &str =
    "ERR There was an error trying to save the ACLs. Please check the server logs for more information";

impl Conn {
    pub(super) fn acl(&mut self, acl: AclCommand) {
        let value = match acl {
            AclCommand::Cat(None) => Value::words(CATEGORIES),
            AclCommand::Cat(Some(category)) => cat(&category, self.shared.settings.product),
            AclCommand::DelUser(names) => self.del_user(&names),
            AclCommand::DryRun { user, argv } => self.dry_run(&user, &argv),
            AclCommand::GenPass(bits) => gen_pass(bits),
            AclCommand::GetUser(name) => {
                let account = self.shared.settings.acl.get(&name);
                account.map_or(Value::NullBulk, |account| describe(&account.rights()))
            }
            AclCommand::Help => help::acl(),
            AclCommand::List => {
                let users = self.shared.settings.acl.all().into_iter();
                Value::words(users.map(|(name, user)| format!("user {name} {}", user.text())))
            }
            AclCommand::Load => return self.load_users(),
            AclCommand::Log(count) => {
                let count = usize::try_from(count).unwrap_or(0);
                let now = wall_ms();
                Value::Array(
                    self.shared.settings.acl.log().newest(count).map(|each| entry(each, now)).collect(),
                )
            }
            AclCommand::LogReset => {
                self.shared.settings.acl.log().reset();
                Value::ok()
            }
            AclCommand::Save => return self.save_users(),
            AclCommand::SetUser { user, rules } => self.set_user(&user, &rules),
            AclCommand::Users => {
                let users = self.shared.settings.acl.all().into_iter();
                Value::words(users.map(|(name, _)| name.to_string()))
            }
            AclCommand::WhoAmI => Value::text(&self.who.name()),
        };
        self.reply(&value);
        self.close_if_condemned();
    }

    fn set_user(&self, name: &[u8], rules: &[Bytes]) -> Value {
        match self.shared.settings.acl.set_user(name, rules) {
            Ok(done) => {
                self.shared.enforce(&done, self.client.id);
                Value::ok()
            }
            Err(error) => Value::error([b"ERR ", &error.text()[..]].concat()),
        }
    }

    fn del_user(&self, names: &[Bytes]) -> Value {
        match self.shared.settings.acl.delete(names) {
            Ok(done) => {
                self.shared.enforce(&done, self.client.id);
                Value::Integer(i64::try_from(done.removed.len()).unwrap_or(i64::MAX))
            }
            Err(error) => Value::error(format!("ERR {error}")),
        }
    }

    /// What would be denied is no error of this command: a bulk string.
    fn dry_run(&self, name: &[u8], argv: &[Bytes]) -> Value {
        let Some(account) = self.shared.settings.acl.get(name) else {
            return Value::error(format!("ERR User '{}' not found", String::from_utf8_lossy(name)));
        };
        let Some(spec) = command::resolve(argv).ok().filter(|spec| !spec.hidden) else {
            let name = argv.first().map(|word| String::from_utf8_lossy(word)).unwrap_or_default();
            return Value::error(format!("ERR Command '{name}' not found"));
        };
        if let Err(error) = command::lookup(argv) {
            return error.to_value();
        }
        let user = &account.name;
        match account.rights().check(spec, argv) {
            Ok(()) => Value::ok(),
            Err(Denied::Command) => {
                Value::bulk(format!("User {user} has no permissions to run the '{}' command", spec.name))
            }
            Err(Denied::Channel(at)) => {
                let channel = argv.get(at).map(|word| String::from_utf8_lossy(word)).unwrap_or_default();
                Value::bulk(format!("User {user} has no permissions to access the '{channel}' channel"))
            }
        }
    }

    fn load_users(&mut self) {
        let Some(path) = self.shared.settings.acl.file().map(|path| path.to_path_buf()) else {
            return self.reply(&self.no_file());
        };
        let (shared, me) = (Arc::clone(&self.shared), self.client.id);
        self.ask_disk(move || match shared.settings.acl.load(&path) {
            Ok(done) => {
                shared.enforce(&done, me);
                Value::ok()
            }
            Err(errors) => Value::error(format!("ERR {errors}")),
        });
    }

    fn save_users(&mut self) {
        let Some(path) = self.shared.settings.acl.file().map(|path| path.to_path_buf()) else {
            return self.reply(&self.no_file());
        };
        let shared = Arc::clone(&self.shared);
        self.ask_disk(move || match shared.settings.acl.save(&mut Disk, &path) {
            Ok(()) => Value::ok(),
            Err(error) => {
                tracing::warn!("{error}");
                Value::error(NOT_SAVED)
            }
        });
    }

    fn no_file(&self) -> Value {
        let name = if self.shared.settings.product == Product::Valkey { "" } else { " Redis" };
        Value::error(format!("ERR This{name} instance {NO_FILE}"))
    }

    /// Answers with the outcome of work that waits for a disk, where it delays no other client.
    fn ask_disk(&mut self, work: impl FnOnce() -> Value + Send + 'static) {
        // It fails only while the process ends.
        self.ask(async move { tokio::task::spawn_blocking(work).await.ok() });
    }
}

impl Shared {
    /// Ends the connections of users that are gone, and of those that are subscribed to what their user may
    /// no longer hear. `me` is ended after its reply.
    ///
    /// Source: watched in redis-sentinel 8.2.3; 7.0.15 ends all connections at `ACL LOAD`.
    fn enforce(&self, done: &Changed, me: u64) {
        for name in &done.removed {
            self.clients.end(&self.clients.of_user(name), me);
        }
        for account in &done.changed {
            let clients = self.clients.of_user(&account.name);
            let ids: HashSet<u64> = clients.iter().map(|client| client.id).collect();
            let rights = account.rights();
            let deaf = self.hub.deaf(&ids, |kind, name| rights.may_hear(name, kind == Kind::Pattern));
            let deaf: Vec<_> = clients.into_iter().filter(|client| deaf.contains(&client.id)).collect();
            self.clients.end(&deaf, me);
        }
    }
}

/// Most bytes of a category that an error repeats.
const CATEGORY_SHOWN: usize = 128;

fn cat(category: &[u8], product: Product) -> Value {
    let name = String::from_utf8_lossy(category);
    match categories(&name, product) {
        Some(commands) => Value::words(commands),
        None => {
            let shown = &category[..category.len().min(CATEGORY_SHOWN)];
            Value::error([b"ERR Unknown category '", shown, b"'"].concat())
        }
    }
}

/// So many bits, rounded up to a hexadecimal digit, from the operating system's randomness.
fn gen_pass(bits: u32) -> Value {
    let digits = usize::try_from(bits.div_ceil(4)).unwrap_or_default();
    let mut bytes = vec![0; digits.div_ceil(2)];
    match rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()) {
        Ok(length) if length == bytes.len() => {
            let mut password: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            password.truncate(digits);
            Value::bulk(password)
        }
        Ok(_) | Err(_) => Value::error("ERR the system gave no randomness"),
    }
}

/// `GETUSER`.
fn describe(user: &User) -> Value {
    let selectors = user.selectors().iter().map(|selector| Value::map(permissions(selector)));
    let flags = user.flags().into_iter().map(Value::bulk);
    let first = [("flags", Value::Set(flags.collect())), ("passwords", Value::words(user.password_hashes()))];
    let last = [("selectors", Value::Array(selectors.collect()))];
    Value::map(first.into_iter().chain(permissions(user.root())).chain(last))
}

fn permissions(selector: &Selector) -> [(&'static str, Value); 3] {
    [
        ("commands", Value::bulk(selector.commands())),
        ("keys", Value::bulk(selector.keys())),
        ("channels", Value::bulk(selector.channels())),
    ]
}

/// One entry of `LOG`.
fn entry(entry: &Entry, now: u64) -> Value {
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let text = |bytes: &[u8]| Value::bulk(Bytes::copy_from_slice(bytes));
    let age_ms = u32::try_from(now.saturating_sub(entry.updated)).unwrap_or(u32::MAX);
    Value::map([
        ("count", Value::Integer(entry.count)),
        ("reason", Value::bulk(entry.reason.as_str())),
        ("context", Value::bulk("toplevel")),
        ("object", text(&entry.object)),
        ("username", text(&entry.username)),
        ("age-seconds", Value::Double(f64::from(age_ms) / 1_000.0)),
        ("client-info", Value::text(&entry.client_info)),
        ("entry-id", number(entry.id)),
        ("timestamp-created", number(entry.created)),
        ("timestamp-last-updated", number(entry.updated)),
    ])
}
