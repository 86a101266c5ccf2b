//! What can be wrong with a rule, and how the words of a selector become one rule.

/// Why a rule is refused. `Display` is stock's reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// No such command, sub-command or category here.
    #[error("Unknown command or category name in ACL")]
    Unknown,
    /// Nothing that a rule looks like.
    #[error("Syntax error")]
    Syntax,
    /// `+command|sub|argument`.
    #[error("Allowing first-arg of a subcommand is not supported")]
    SubFirstArg,
    /// `~pattern` after `~*`.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
    )]
    KeysAfterAll,
    /// `&pattern` after `&*`.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
    )]
    ChannelsAfterAll,
    /// `<password` or `!hash` of a password that the user has not.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// `#hash` or `!hash` that is no SHA-256.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    BadHash,
}

/// A `(` without its `)`. `Display` is stock's text; the word is shown as it was given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("Unmatched parenthesis in acl selector starting at '{}'.", String::from_utf8_lossy(.0))]
pub struct SelectorsUnmatched(pub Vec<u8>);

/// Joins the words from one that begins with `(` up to one that ends with `)` to one rule.
///
/// # Errors
/// [`SelectorsUnmatched`]: a selector does not end.
pub fn merge_selectors<W: AsRef<[u8]>>(words: &[W]) -> Result<Vec<Vec<u8>>, SelectorsUnmatched> {
    let mut rules = Vec::with_capacity(words.len());
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words.iter().map(AsRef::as_ref) {
        let (start, rule) = match open.take() {
            None if !word.starts_with(b"(") => {
                rules.push(word.to_vec());
                continue;
            }
            None => (word, word.to_vec()),
            Some((start, mut begun)) => {
                begun.push(b' ');
                begun.extend_from_slice(word);
                (start, begun)
            }
        };
        if rule.ends_with(b")") {
            rules.push(rule);
        } else {
            open = Some((start, rule));
        }
    }
    match open {
        None => Ok(rules),
        Some((start, _)) => Err(SelectorsUnmatched(start.to_vec())),
    }
}
