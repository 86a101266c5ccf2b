//! A user as text again: `ACL LIST`, `ACL GETUSER`, files.

use super::selector::{KeyPattern, Selector};
use super::user::User;

impl User {
    /// The rules that make this user, as Redis 7.2 and later write them. A selector is one or more words.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.flags().into_iter().map(str::to_owned).collect();
        words.extend(self.password_hashes().map(|hash| format!("#{hash}")));
        words.extend(self.root.words());
        for selector in &self.selectors {
            let inner: Vec<String> = selector.words().map(|word| quoted(&word)).collect();
            words.extend(format!("({})", inner.join(" ")).split(' ').map(str::to_owned));
        }
        words
    }

    /// The same as one text.
    pub fn text(&self) -> String {
        self.words().join(" ")
    }

    /// `flags` of `ACL GETUSER`.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.nopass {
            flags.push("nopass");
        }
        flags.push(if self.sanitize { "sanitize-payload" } else { "skip-sanitize-payload" });
        flags
    }

    /// Hashes of the passwords, in hexadecimal.
    pub fn password_hashes(&self) -> impl Iterator<Item = String> {
        self.passwords.iter().map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The selector that every user has.
    pub fn root(&self) -> &Selector {
        &self.root
    }

    /// The others.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }
}

impl Selector {
    fn words(&self) -> impl Iterator<Item = String> {
        let channels = (!self.all_channels).then(|| "resetchannels".to_owned());
        self.key_words().into_iter().chain(channels).chain(self.channel_words()).chain(self.command_words())
    }

    /// `keys` of `ACL GETUSER`.
    pub fn keys(&self) -> String {
        self.key_words().join(" ")
    }

    /// `channels` of `ACL GETUSER`.
    pub fn channels(&self) -> String {
        self.channel_words().join(" ")
    }

    /// `commands` of `ACL GETUSER`.
    pub fn commands(&self) -> String {
        self.command_words().join(" ")
    }

    /// Differs: reading and writing all keys by pattern is `%RW~*` beside other patterns; stock writes `~*`,
    /// and does not start with its own file then.
    fn key_words(&self) -> Vec<String> {
        if self.all_keys {
            return vec!["~*".to_owned()];
        }
        let word = |key: &KeyPattern| match (key.read, key.write) {
            (true, false) => format!("%R~{}", key.pattern),
            (false, true) => format!("%W~{}", key.pattern),
            (true, true) | (false, false) if key.pattern == "*" && self.keys.len() > 1 => "%RW~*".to_owned(),
            (true, true) | (false, false) => format!("~{}", key.pattern),
        };
        self.keys.iter().map(word).collect()
    }

    fn channel_words(&self) -> Vec<String> {
        if self.all_channels {
            return vec!["&*".to_owned()];
        }
        self.channels.iter().map(|pattern| format!("&{pattern}")).collect()
    }

    fn command_words(&self) -> Vec<String> {
        let sign = |allow| if allow { '+' } else { '-' };
        let mut words = vec![format!("{}@all", sign(self.starts_with_all))];
        words.extend(self.command_rules.iter().map(|rule| format!("{}{}", sign(rule.allow), rule.name)));
        words
    }
}

/// A word inside a selector: the words there are split as a shell would, and a `)` at the end of one would
/// end the selector.
///
/// Differs: stock writes what it cannot read again.
fn quoted(word: &str) -> String {
    if !word.contains(['"', '\'']) && !word.ends_with(')') {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
