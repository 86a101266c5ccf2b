//! `COMMAND`: what it is asked. What it answers is made in [`crate::wire::catalog`].

use bytes::Bytes;

use super::Result;
use super::acl::words_or_sub;
use crate::wire::words;

/// `COMMAND [sub-command]`.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandSub {
    /// `COMMAND`: details of all.
    All,
    /// `COUNT`.
    Count,
    /// `DOCS [name ...]`; empty for all.
    Docs(Vec<Bytes>),
    /// `GETKEYS command [arg ...]` and `GETKEYSANDFLAGS`: the command with its words. No command
    /// here has keys.
    GetKeys(Vec<Bytes>),
    /// `HELP`.
    Help,
    /// `INFO [name ...]`; empty for all.
    Info(Vec<Bytes>),
    /// `LIST [FILTERBY ...]`.
    List(ListFilter),
}

/// The filter of `COMMAND LIST`.
#[derive(Clone, Debug, PartialEq)]
pub enum ListFilter {
    /// None.
    All,
    /// `MODULE name`: there are no modules, so this gives nothing.
    Module,
    /// `ACLCAT category`.
    Category(Bytes),
    /// `PATTERN glob`, case-insensitive.
    Pattern(Bytes),
}

pub(super) fn parse(sub: Option<&str>, args: &[Bytes]) -> Result<CommandSub> {
    Ok(match sub {
        None => CommandSub::All,
        Some("count") => CommandSub::Count,
        Some("docs") => CommandSub::Docs(args.to_vec()),
        Some("getkeys" | "getkeysandflags") => CommandSub::GetKeys(args.to_vec()),
        Some("help") => CommandSub::Help,
        Some("info") => CommandSub::Info(args.to_vec()),
        Some("list") => CommandSub::List(filter(args)?),
        Some(other) => return Err(words_or_sub(other, "COMMAND")),
    })
}

fn filter(args: &[Bytes]) -> Result<ListFilter> {
    let [by, kind, value] = args else {
        return if args.is_empty() { Ok(ListFilter::All) } else { Err(words::syntax()) };
    };
    if !by.eq_ignore_ascii_case(b"filterby") {
        return Err(words::syntax());
    }
    match words::lower(kind).as_str() {
        "module" => Ok(ListFilter::Module),
        "aclcat" => Ok(ListFilter::Category(value.clone())),
        "pattern" => Ok(ListFilter::Pattern(value.clone())),
        _ => Err(words::syntax()),
    }
}
