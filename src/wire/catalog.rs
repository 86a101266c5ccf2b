//! What `COMMAND` answers: the table of commands, written out.
//!
//! Source: spec 02, section 12; shapes compared with 7.0.15.

use bytes::Bytes;

use super::command::{Arg, Category, CommandSub, ListFilter, Spec, TABLE, VALKEY_SINCE, find, listed};
use super::help;
use super::value::Value;
use crate::engine::glob;
use crate::product::Product;

/// The reply to `COMMAND ...` of a server that presents itself as `product`.
pub fn reply(command: &CommandSub, product: Product) -> Value {
    let top = || TABLE.iter().filter(move |spec| spec.is_listed(product));
    let find = |name: &Bytes| find(name).filter(|spec| spec.is_listed(product));
    let info = |spec| info(spec, product);
    let docs = |spec| named_docs(spec, product);
    match command {
        CommandSub::Count => Value::Integer(i64::try_from(top().count()).unwrap_or(i64::MAX)),
        CommandSub::Docs(names) if names.is_empty() => Value::Map(top().map(docs).collect()),
        CommandSub::Docs(names) => Value::Map(names.iter().filter_map(find).map(docs).collect()),
        CommandSub::GetKeys(argv) => keys(argv),
        CommandSub::Help => help::command(),
        CommandSub::Info(names) if !names.is_empty() => {
            Value::Array(names.iter().map(|name| find(name).map_or(Value::NullBulk, info)).collect())
        }
        CommandSub::All | CommandSub::Info(_) => Value::Array(top().map(info).collect()),
        CommandSub::List(filter) => list(filter, product),
    }
}

/// Names of the commands and sub-commands of an ACL category; `None` for a category that no
/// command here has.
pub fn in_category(category: &[u8]) -> Option<Vec<&'static str>> {
    let category = category_named(category)?;
    Some(listed().filter(|spec| spec.is_in(category)).map(|spec| spec.name).collect())
}

/// Ten elements; there are no keys.
fn info(spec: &'static Spec, product: Product) -> Value {
    let flags = spec.traits.flags.iter().map(|flag| Value::status(flag.name()));
    let categories =
        spec.traits.categories.iter().map(|category| Value::status(format!("@{}", category.name())));
    let visible = spec.subs.iter().filter(|sub| sub.is_listed(product));
    Value::Array(vec![
        Value::bulk(spec.name),
        Value::Integer(i64::from(spec.arity)),
        Value::Set(flags.collect()),
        Value::Integer(0),
        Value::Integer(0),
        Value::Integer(0),
        Value::Set(categories.collect()),
        Value::Set(spec.tips.iter().map(|tip| Value::bulk(*tip)).collect()),
        Value::Set(Vec::new()),
        subcommands(visible.map(|sub| info(sub, product)).collect()),
    ])
}

/// In RESP3 an empty set, but an array when there are any.
fn subcommands(entries: Vec<Value>) -> Value {
    if entries.is_empty() { Value::Set(entries) } else { Value::Array(entries) }
}

fn named_docs(spec: &'static Spec, product: Product) -> (Value, Value) {
    (Value::bulk(spec.name), docs(spec, product))
}

fn docs(spec: &'static Spec, product: Product) -> Value {
    let mut fields = vec![
        ("summary", Value::bulk(spec.summary)),
        ("since", Value::bulk(spec.since)),
        ("group", Value::bulk(spec.group)),
    ];
    if !spec.complexity.is_empty() {
        fields.push(("complexity", Value::bulk(spec.complexity)));
    }
    let renamed = spec.valkey_name.filter(|_| product.is_valkey()).map(|name| (VALKEY_SINCE, name));
    if let Some((since, replaced_by)) = spec.deprecated.or(renamed) {
        fields.push(("doc_flags", Value::Set(vec![Value::status("deprecated")])));
        fields.push(("deprecated_since", Value::bulk(since)));
        fields.push(("replaced_by", Value::bulk(replaced_by)));
    }
    if !spec.history.is_empty() {
        let changes = spec.history.iter().map(|(version, what)| Value::words([*version, *what]));
        fields.push(("history", Value::Set(changes.collect())));
    }
    if !spec.args.is_empty() {
        fields.push(("arguments", arguments(spec.args)));
    }
    if !spec.subs.is_empty() {
        let visible = spec.subs.iter().filter(|sub| sub.is_listed(product));
        fields.push(("subcommands", Value::Map(visible.map(|sub| named_docs(sub, product)).collect())));
    }
    Value::map(fields)
}

fn arguments(args: &'static [Arg]) -> Value {
    Value::Array(args.iter().map(argument).collect())
}

fn argument(arg: &'static Arg) -> Value {
    let mut fields = vec![("name", Value::bulk(arg.name)), ("type", Value::bulk(arg.kind))];
    for (key, value) in
        [("token", arg.token), ("since", arg.since), ("deprecated_since", arg.deprecated_since)]
    {
        fields.extend(value.map(|value| (key, Value::bulk(value))));
    }
    let flags: Vec<Value> =
        [("optional", arg.optional), ("multiple", arg.multiple), ("multiple_token", arg.multiple_token)]
            .into_iter()
            .filter(|(_, set)| *set)
            .map(|(flag, _)| Value::status(flag))
            .collect();
    if !flags.is_empty() {
        fields.push(("flags", Value::Set(flags)));
    }
    if !arg.args.is_empty() {
        fields.push(("arguments", arguments(arg.args)));
    }
    Value::map(fields)
}

fn keys(argv: &[Bytes]) -> Value {
    let known = argv.first().and_then(|name| find(name)).filter(|spec| spec.split().1.is_none());
    let sub_known = |top: &&'static Spec| match argv.get(1) {
        Some(sub) if !top.subs.is_empty() => top.sub(sub).is_some_and(|sub| !sub.hidden),
        Some(_) | None => !top.hidden,
    };
    match known.filter(sub_known) {
        Some(_) => Value::error("ERR The command has no key arguments"),
        None => Value::error("ERR Invalid command specified"),
    }
}

fn list(filter: &ListFilter, product: Product) -> Value {
    let fits = |spec: &&'static Spec| {
        spec.is_listed(product)
            && match filter {
                ListFilter::All => true,
                ListFilter::Module => false,
                ListFilter::Category(name) => category_named(name).is_some_and(|it| spec.is_in(it)),
                ListFilter::Pattern(pattern) => glob::matches(pattern, spec.name.as_bytes(), true),
            }
    };
    Value::words(listed().filter(fits).map(|spec| spec.name))
}

fn category_named(name: &[u8]) -> Option<Category> {
    use Category::{Admin, Connection, Dangerous, Fast, PubSub, Slow};
    let all = [PubSub, Admin, Fast, Slow, Dangerous, Connection];
    all.into_iter().find(|category| category.name().as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Proto;
    use crate::wire::command::{ClientCommand, parse};
    use bytes::BytesMut;

    fn ask(line: &str, proto: Proto) -> String {
        ask_as(Product::Vigia, line, proto)
    }

    fn ask_as(product: Product, line: &str, proto: Proto) -> String {
        let argv: Vec<Bytes> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        let ClientCommand::Command(command) = parse(&argv).unwrap().command else { panic!("{line}") };
        let value = reply(&command, product);
        let mut out = BytesMut::new();
        value.encode(proto, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn subcommands_are_an_array_and_none_is_an_empty_set() {
        assert!(ask("COMMAND INFO role", Proto::Resp3).ends_with("~0\r\n~0\r\n~0\r\n"));
        let acl = ask("COMMAND INFO acl", Proto::Resp3);
        assert!(acl.contains("~0\r\n~0\r\n*13\r\n*10\r\n"), "{acl}");
    }

    #[test]
    fn details_are_byte_for_byte_stocks() {
        for (line, proto, expected) in [
            (
                "COMMAND INFO foo ping",
                Proto::Resp2,
                "*2\r\n$-1\r\n*10\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n*2\r\n+@fast\r\n+@connection\r\n*2\r\n$25\r\nrequest_policy:all_shards\r\n$29\r\nresponse_policy:all_succeeded\r\n*0\r\n*0\r\n",
            ),
            (
                "COMMAND INFO CLIENT|list",
                Proto::Resp3,
                "*1\r\n*10\r\n$11\r\nclient|list\r\n:-2\r\n~4\r\n+admin\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n~4\r\n+@admin\r\n+@slow\r\n+@dangerous\r\n+@connection\r\n~1\r\n$23\r\nnondeterministic_output\r\n~0\r\n~0\r\n",
            ),
            (
                "COMMAND DOCS sentinel|masters",
                Proto::Resp2,
                "*2\r\n$16\r\nsentinel|masters\r\n*8\r\n$7\r\nsummary\r\n$26\r\nList the monitored masters\r\n$5\r\nsince\r\n$5\r\n2.8.4\r\n$5\r\ngroup\r\n$8\r\nsentinel\r\n$10\r\ncomplexity\r\n$37\r\nO(N) where N is the number of masters\r\n",
            ),
            (
                "COMMAND DOCS sentinel|slaves",
                Proto::Resp3,
                "%1\r\n$15\r\nsentinel|slaves\r\n%8\r\n$7\r\nsummary\r\n$25\r\nList the monitored slaves\r\n$5\r\nsince\r\n$5\r\n2.8.0\r\n$5\r\ngroup\r\n$8\r\nsentinel\r\n$10\r\ncomplexity\r\n$36\r\nO(N) where N is the number of slaves\r\n$9\r\ndoc_flags\r\n~1\r\n+deprecated\r\n$16\r\ndeprecated_since\r\n$5\r\n5.0.0\r\n$11\r\nreplaced_by\r\n$19\r\n`SENTINEL REPLICAS`\r\n$9\r\narguments\r\n*1\r\n%2\r\n$4\r\nname\r\n$11\r\nmaster-name\r\n$4\r\ntype\r\n$6\r\nstring\r\n",
            ),
            ("COMMAND COUNT", Proto::Resp2, ":15\r\n"),
            ("COMMAND DOCS save", Proto::Resp2, "*0\r\n"),
            ("COMMAND DOCS save", Proto::Resp3, "%0\r\n"),
            ("COMMAND GETKEYS sentinel master", Proto::Resp2, "-ERR The command has no key arguments\r\n"),
            ("COMMAND GETKEYS sentinel foo", Proto::Resp2, "-ERR Invalid command specified\r\n"),
            ("COMMAND GETKEYS foo x", Proto::Resp2, "-ERR Invalid command specified\r\n"),
            ("COMMAND LIST FILTERBY MODULE x", Proto::Resp2, "*0\r\n"),
            ("COMMAND LIST FILTERBY ACLCAT nosuch", Proto::Resp2, "*0\r\n"),
            ("COMMAND LIST FILTERBY PATTERN PI*", Proto::Resp2, "*1\r\n$4\r\nping\r\n"),
        ] {
            assert_eq!(ask(line, proto), expected, "{line}");
        }
    }

    #[test]
    fn lists_have_the_lengths_of_a_valkey_sentinel() {
        assert!(ask("COMMAND", Proto::Resp2).starts_with("*15\r\n"));
        assert!(ask("COMMAND INFO", Proto::Resp3).starts_with("*15\r\n"));
        assert!(ask("COMMAND DOCS", Proto::Resp3).starts_with("%15\r\n"));
        assert!(ask("COMMAND LIST", Proto::Resp2).starts_with("*77\r\n"));
        assert!(!ask("COMMAND", Proto::Resp2).contains("vigia"));
    }

    #[test]
    fn each_product_lists_what_it_has() {
        for (product, count, names) in
            [(Product::Redis, 73, false), (Product::Vigia, 77, true), (Product::Valkey, 77, true)]
        {
            let ask = |line: &str| ask_as(product, line, Proto::Resp3);
            assert!(ask("COMMAND LIST").starts_with(&format!("*{count}\r\n")), "{product:?}");
            for line in ["COMMAND", "COMMAND INFO sentinel", "COMMAND DOCS", "COMMAND DOCS sentinel|primary"]
            {
                assert_eq!(ask(line).contains("sentinel|primary\r\n"), names, "{product:?} {line}");
            }
            let deprecated = ask("COMMAND DOCS sentinel|master").contains("`SENTINEL PRIMARY`");
            assert_eq!(deprecated, product == Product::Valkey);
        }
    }

    #[test]
    fn what_is_ours_alone_is_shown_nowhere() {
        for (line, expected) in [
            ("COMMAND INFO quit reset sentinel|vigia", "*3\r\n$-1\r\n$-1\r\n$-1\r\n"),
            ("COMMAND DOCS quit sentinel|vigia", "*0\r\n"),
            ("COMMAND GETKEYS quit", "-ERR Invalid command specified\r\n"),
            ("COMMAND GETKEYS sentinel vigia", "-ERR Invalid command specified\r\n"),
            ("COMMAND LIST FILTERBY PATTERN q*", "*0\r\n"),
        ] {
            assert_eq!(ask(line, Proto::Resp2), expected, "{line}");
        }
    }

    #[test]
    fn categories_name_their_commands() {
        let pubsub = in_category(b"PubSub").unwrap();
        assert_eq!(pubsub, ["psubscribe", "publish", "punsubscribe", "subscribe", "unsubscribe"]);
        assert_eq!(in_category(b"keyspace"), None);
    }
}
