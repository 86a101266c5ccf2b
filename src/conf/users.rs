//! `user` lines: who may log in.

use sha2::{Digest, Sha256};

/// Somebody who may log in; this release knows full access only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its name; `default` is who a client is before `AUTH`.
    pub name: String,
    /// `on`.
    pub enabled: bool,
    /// `nopass`: any password is right.
    pub nopass: bool,
    /// SHA-256 of each password.
    pub password_hashes: Vec<[u8; 32]>,
}

impl User {
    /// `default` as it is without any configuration: on, without a password.
    pub fn open_default() -> Self {
        Self { name: "default".into(), enabled: true, nopass: true, password_hashes: Vec::new() }
    }

    /// `default` under `requirepass`: on, with this one password.
    pub fn default_with_password(password: &str) -> Self {
        Self { nopass: false, password_hashes: vec![sha256(password)], ..Self::open_default() }
    }

    /// Whether the password opens this user; never for a user that is off.
    pub fn accepts(&self, password: &str) -> bool {
        self.enabled && (self.nopass || self.password_hashes.contains(&sha256(password)))
    }

    /// The words of a `user` line after the name, as Redis 7.2 writes them.
    pub(super) fn rules(&self) -> String {
        let mut rules = String::from(if self.enabled { "on" } else { "off" });
        rules.push_str(if self.nopass { " nopass sanitize-payload" } else { " sanitize-payload" });
        for hash in &self.password_hashes {
            rules.push_str(" #");
            hash.iter().for_each(|byte| rules.push_str(&format!("{byte:02x}")));
        }
        rules.push_str(" ~* &* +@all");
        rules
    }
}

/// The user of a line `user <name> <rules>`.
///
/// # Errors
/// The reason. Differs: a user with less than full access is refused, for it would get more than
/// its author meant; and the text names the rule that is wrong (stock names another one).
pub(super) fn parse(name: &str, rules: &[String]) -> Result<User, String> {
    let user = User { name: name.to_owned(), enabled: false, nopass: false, password_hashes: Vec::new() };
    let mut draft = Draft { user, keys: false, channels: false, commands: false };
    for rule in rules {
        draft.apply(rule).map_err(|why| match why {
            Wrong::Rule(reason) => format!("Error in user declaration '{rule}': {reason}"),
            Wrong::Unsupported => {
                format!("user '{name}': the rule '{rule}' is not supported by this release")
            }
        })?;
    }
    if draft.keys && draft.channels && draft.commands {
        Ok(draft.user)
    } else {
        Err(format!("user '{name}': only users with full access (~* &* +@all) are supported by this release"))
    }
}

/// A user whose rules are being read.
struct Draft {
    user: User,
    keys: bool,
    channels: bool,
    commands: bool,
}

/// What is wrong with a rule.
enum Wrong {
    /// Stock's reason.
    Rule(&'static str),
    /// Good for stock, not for us.
    Unsupported,
}

impl Draft {
    fn apply(&mut self, rule: &str) -> Result<(), Wrong> {
        match rule.to_ascii_lowercase().as_str() {
            "on" => self.user.enabled = true,
            "off" => self.user.enabled = false,
            "nopass" => {
                self.user.nopass = true;
                self.user.password_hashes.clear();
            }
            "resetpass" => {
                self.user.nopass = false;
                self.user.password_hashes.clear();
            }
            "reset" => {
                let name = std::mem::take(&mut self.user.name);
                self.user = User { name, enabled: false, nopass: false, password_hashes: Vec::new() };
                (self.keys, self.channels, self.commands) = (false, false, false);
            }
            "~*" | "allkeys" => self.keys = true,
            "resetkeys" => self.keys = false,
            "&*" | "allchannels" => self.channels = true,
            "resetchannels" => self.channels = false,
            "+@all" | "allcommands" => self.commands = true,
            "-@all" | "nocommands" => self.commands = false,
            "sanitize-payload" | "skip-sanitize-payload" | "clearselectors" => {}
            _ => return self.apply_password(rule),
        }
        Ok(())
    }

    fn apply_password(&mut self, rule: &str) -> Result<(), Wrong> {
        if let Some(password) = rule.strip_prefix('>') {
            self.add(sha256(password));
        } else if let Some(hash) = rule.strip_prefix('#') {
            self.add(parse_hash(hash)?);
        } else if let Some(password) = rule.strip_prefix('<') {
            self.remove(sha256(password))?;
        } else if let Some(hash) = rule.strip_prefix('!') {
            self.remove(parse_hash(hash)?)?;
        } else if rule.starts_with(['~', '&', '+', '-', '%', '(']) {
            return Err(Wrong::Unsupported);
        } else {
            return Err(Wrong::Rule("Syntax error"));
        }
        Ok(())
    }

    fn add(&mut self, hash: [u8; 32]) {
        self.user.nopass = false;
        if !self.user.password_hashes.contains(&hash) {
            self.user.password_hashes.push(hash);
        }
    }

    fn remove(&mut self, hash: [u8; 32]) -> Result<(), Wrong> {
        let hashes = &mut self.user.password_hashes;
        let missing = "The password you are trying to remove from the user does not exist";
        let at = hashes.iter().position(|known| *known == hash).ok_or(Wrong::Rule(missing))?;
        hashes.remove(at);
        Ok(())
    }
}

fn sha256(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}

fn parse_hash(text: &str) -> Result<[u8; 32], Wrong> {
    let bad =
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(is_hex) {
        return Err(Wrong::Rule(bad));
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| Wrong::Rule(bad))?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| Wrong::Rule(bad))?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(line: &str) -> Result<User, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words[0], &words[1..])
    }

    #[test]
    fn full_access_is_accepted_in_all_its_spellings() {
        let alice = user("alice on >apw ~* &* +@all").unwrap();
        assert!(alice.accepts("apw") && !alice.accepts("other") && !alice.nopass);
        assert_eq!(
            alice.rules(),
            "on sanitize-payload #e528e908837a6f2c169a132a07f95107a5cc523f61d09d028c2fa799aeef4257 ~* &* +@all"
        );
        assert_eq!(user(&format!("alice {}", alice.rules())), Ok(alice));
        let open = user("default ON nopass skip-sanitize-payload allkeys allchannels allcommands").unwrap();
        assert_eq!(open, User::open_default());
        assert_eq!(open.rules(), "on nopass sanitize-payload ~* &* +@all");
        assert!(!user("bob off nopass ~* &* +@all").unwrap().accepts("x"));
        assert_eq!(user("b on >x >y <x nopass >z ~* &* +@all").unwrap().password_hashes, [sha256("z")]);
    }

    #[test]
    fn anything_less_is_refused_by_name() {
        for line in ["bob off", "bob on nopass", "bob on ~* &* +@all -@all", "bob ~* &* +@all reset"] {
            let expected =
                "user 'bob': only users with full access (~* &* +@all) are supported by this release";
            assert_eq!(user(line), Err(expected.into()), "{line}");
        }
        for rule in ["+get", "-@dangerous", "~x*", "&ch", "%R~*", "(+ping)"] {
            let expected = format!("user 'bob': the rule '{rule}' is not supported by this release");
            assert_eq!(user(&format!("bob on {rule}")), Err(expected));
        }
        assert_eq!(user("a badrule"), Err("Error in user declaration 'badrule': Syntax error".into()));
        assert!(user("a #abc").unwrap_err().contains("must be exactly 64 characters"));
        assert!(user("a <x").unwrap_err().ends_with("from the user does not exist"));
    }
}
