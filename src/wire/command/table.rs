//! The one table of commands.

use super::spec::Spec;

/// Every top-level command.
pub static TABLE: &[Spec] = &[];

pub(super) fn find_top(name: &[u8]) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The command or sub-command (`client|kill`) of that full name, ignoring case.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let top = find_top(parts.next()?)?;
    match parts.next() {
        None => Some(top),
        Some(sub) => top.sub(sub),
    }
}

/// Commands and sub-commands that lists show, each container before its sub-commands.
pub fn listed() -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().flat_map(|top| std::iter::once(top).chain(top.subs)).filter(|spec| !spec.hidden)
}
