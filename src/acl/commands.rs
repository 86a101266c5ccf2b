//! Sets of commands, and the names that rules have for them.

use std::sync::LazyLock;

use crate::product::Product;
use crate::wire::command::{self, Spec, TABLE};

/// All categories in stock's order. A sentinel has commands in six of them; a rule about one of the
/// others changes nothing.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Words of 64 commands each.
const WORDS: usize = 4;

/// Every command and sub-command by name; the place in this list is the bit in a [`CommandSet`].
static ALL: LazyLock<Vec<&'static Spec>> = LazyLock::new(|| {
    let mut all: Vec<_> = TABLE.iter().flat_map(|top| std::iter::once(top).chain(top.subs)).collect();
    all.sort_unstable_by_key(|spec| spec.name);
    assert!(all.len() <= WORDS * 64, "more commands than bits");
    all
});

/// A set of commands and sub-commands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct CommandSet([u64; WORDS]);

impl CommandSet {
    /// Every command that there is or will be.
    pub(super) const ALL: Self = Self([u64::MAX; WORDS]);

    pub(super) fn set(&mut self, spec: &Spec, allowed: bool) {
        let Some(bit) = bit_of(spec) else { return };
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        if allowed {
            self.0[word] |= mask;
        } else {
            self.0[word] &= !mask;
        }
    }

    pub(super) fn contains(&self, spec: &Spec) -> bool {
        bit_of(spec).is_some_and(|bit| self.0[bit / 64] & (1 << (bit % 64)) != 0)
    }
}

fn bit_of(spec: &Spec) -> Option<usize> {
    ALL.binary_search_by_key(&spec.name, |known| known.name).ok()
}

/// The command or sub-command (`client|kill`) that a rule may name: not those of Vigía alone, which a
/// stock sentinel that reads the same file does not know.
pub(super) fn named(name: &str) -> Option<&'static Spec> {
    command::find(name.as_bytes()).filter(|spec| !spec.hidden)
}

/// The commands and sub-commands of a category (lower case); `None` if there is no such category.
pub(super) fn in_category(name: &str) -> Option<impl Iterator<Item = &'static Spec> + use<>> {
    let name = CATEGORIES.iter().find(|known| **known == name)?;
    Some(ALL.iter().copied().filter(move |spec| spec.traits.categories.iter().any(|own| own.name() == *name)))
}

/// `ACL CAT category`: names of its commands that `product` lists, ignoring case; `None` if there is no such
/// category.
pub fn categories(name: &str, product: Product) -> Option<Vec<&'static str>> {
    let found = in_category(&name.to_ascii_lowercase())?;
    Some(found.filter(|spec| spec.is_listed(product)).map(|spec| spec.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_bit_of_its_own() {
        for spec in ALL.iter() {
            let mut set = CommandSet::default();
            assert!(CommandSet::ALL.contains(spec));
            set.set(spec, true);
            let members = ALL.iter().filter(|other| set.contains(other)).count();
            assert!(set.contains(spec) && members == 1, "{}", spec.name);
            set.set(spec, false);
            assert_eq!(set, CommandSet::default());
        }
    }

    #[test]
    fn every_category_of_the_table_is_known_and_additions_are_hidden() {
        for spec in ALL.iter() {
            for category in spec.traits.categories {
                assert!(categories(category.name(), Product::Vigia).is_some(), "{}", category.name());
            }
        }
        assert_eq!(categories("geo", Product::Vigia), Some(vec![]));
        assert_eq!(categories("nosuch", Product::Vigia), None);
        assert_eq!(categories("PubSub", Product::Redis).unwrap().len(), 5);
        let dangerous = |product| categories("dangerous", product).unwrap();
        assert!(!dangerous(Product::Vigia).contains(&"sentinel|vigia"));
        assert!(dangerous(Product::Valkey).contains(&"sentinel|primary"));
        assert!(!dangerous(Product::Redis).contains(&"sentinel|primary"));
        assert!(
            named("quit").is_none() && named("sentinel|vigia").is_none() && named("Client|KILL").is_some()
        );
    }
}
