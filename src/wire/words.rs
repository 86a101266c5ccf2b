//! Small readings of a client's words, shared by the commands.

use std::sync::Arc;

use bytes::Bytes;

use super::command::CommandError;

/// The word at `index`; arity checks make sure that it is there.
pub(super) fn at(args: &[Bytes], index: usize) -> Result<Bytes, CommandError> {
    args.get(index).cloned().ok_or_else(syntax)
}

/// The word at `index` as text; bytes that are not UTF-8 are replaced.
pub(super) fn text(args: &[Bytes], index: usize) -> Result<Arc<str>, CommandError> {
    Ok(shared(&at(args, index)?))
}

/// A word as text; bytes that are not UTF-8 are replaced (such a name matches nothing).
pub(super) fn shared(word: &[u8]) -> Arc<str> {
    Arc::from(String::from_utf8_lossy(word))
}

/// A word as lower-case text.
pub(super) fn lower(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

/// `ERR syntax error`.
pub(super) fn syntax() -> CommandError {
    CommandError::new("ERR syntax error")
}

/// A strict decimal 64-bit integer.
///
/// # Errors
/// `ERR value is not an integer or out of range`.
pub(super) fn integer(word: &[u8]) -> Result<i64, CommandError> {
    strict(word).ok_or_else(|| CommandError::new("ERR value is not an integer or out of range"))
}

/// A strict decimal 64-bit integer: no blanks, no `+`, no leading zeros, no `-0`.
///
/// Source: spec 07, section 1.
pub(super) fn strict(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical = match digits {
        [b'0'] => word.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { std::str::from_utf8(word).ok()?.parse().ok() } else { None }
}

/// At most `limit` bytes, and nothing after a NUL: how stock repeats a client's words in errors.
pub(super) fn cut(word: &[u8], limit: usize) -> &[u8] {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    &word[..end.min(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strict() {
        for (word, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("+1", None),
            ("-0", None),
            ("00", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("-", None),
            ("1.0", None),
            ("a", None),
        ] {
            assert_eq!(strict(word.as_bytes()), expected, "{word:?}");
        }
    }
}
