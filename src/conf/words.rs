//! Lines to words and back, quoted like a shell.
//!
//! Source: spec 01, section 5.1.

/// A quote was not closed, or something other than a blank follows the closing quote.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unbalanced;

/// Splits a line into words: blanks separate; `"..."` knows `\n \r \t \b \a \xHH` and `\` before
/// anything else; `'...'` knows `\'` only. An empty line has no words.
///
/// # Errors
/// [`Unbalanced`].
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = trim_blanks(rest);
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after;
    }
}

/// The word in double quotes, as stock's logs and files show it: printable ASCII as it is, the rest
/// escaped byte by byte.
pub fn quote(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 2);
    out.push('"');
    for byte in word.bytes() {
        match byte {
            b'\\' | b'"' => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out.push('"');
    out
}

/// The word as it is if [`split`] reads it back so, else in quotes.
pub fn quote_if_needed(word: &str) -> String {
    let plain = !word.is_empty()
        && !word.chars().any(|c| c.is_control() || is_blank_char(c) || c == '"' || c == '\'');
    if plain { word.to_owned() } else { quote(word) }
}

/// Whether a value may be stored: it has no control characters, which no line of a log, an event or
/// a hello could carry.
pub fn is_storable(word: &str) -> bool {
    !word.chars().any(char::is_control)
}

/// The text with its control characters escaped, so that it cannot move a terminal's cursor or forge
/// a line of a log; tabs stay.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

fn word(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    let mut word = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let used = double_quoted(&text[at + 1..], &mut word)?;
                return end_of_quotes(word, &text[at + 1 + used..]);
            }
            b'\'' => {
                let used = single_quoted(&text[at + 1..], &mut word)?;
                return end_of_quotes(word, &text[at + 1 + used..]);
            }
            blank if is_blank(blank) => break,
            other => word.push(other),
        }
        at += 1;
    }
    Ok((word, &text[at..]))
}

/// A closing quote must be followed by a blank or the end.
fn end_of_quotes(word: Vec<u8>, rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    match rest.first() {
        Some(&byte) if !is_blank(byte) => Err(Unbalanced),
        Some(_) | None => Ok((word, rest)),
    }
}

/// Bytes used, the closing quote included.
fn double_quoted(text: &[u8], word: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    let mut at = 0;
    loop {
        match (text.get(at).copied().ok_or(Unbalanced)?, text.get(at + 1).copied()) {
            (b'"', _) => return Ok(at + 1),
            (b'\\', Some(b'x')) if hex(text.get(at + 2..at + 4)).is_some() => {
                word.extend(hex(text.get(at + 2..at + 4)));
                at += 4;
            }
            (b'\\', Some(escaped)) => {
                word.push(unescape(escaped));
                at += 2;
            }
            (plain, _) => {
                word.push(plain);
                at += 1;
            }
        }
    }
}

/// Bytes used, the closing quote included.
fn single_quoted(text: &[u8], word: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    let mut at = 0;
    loop {
        match (text.get(at).copied().ok_or(Unbalanced)?, text.get(at + 1)) {
            (b'\'', _) => return Ok(at + 1),
            (b'\\', Some(b'\'')) => {
                word.push(b'\'');
                at += 2;
            }
            (plain, _) => {
                word.push(plain);
                at += 1;
            }
        }
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else { return None };
    let value = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
    u8::try_from(value).ok()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn is_blank_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_blank)
}

/// Without leading blanks; C knows one more than `trim_ascii_start` does: the vertical tab.
fn trim_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Result<Vec<String>, Unbalanced> {
        Ok(split(line.as_bytes())?.into_iter().map(|w| String::from_utf8(w).unwrap()).collect())
    }

    #[test]
    fn words_are_split_like_a_shell_does() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \t ", &[]),
            ("a  b\tc", &["a", "b", "c"]),
            ("port \"8\\x30\"", &["port", "80"]),
            ("'port' 80", &["port", "80"]),
            (r#"a "b c" 'd\'e' "\"\\\q""#, &["a", "b c", "d'e", r#""\q"#]),
            (r#"a'b c' "" ''"#, &["ab c", "", ""]),
            (r#"'a\n' "\xg1 \x4""#, &["a\\n", "xg1 x4"]),
            ("a # b", &["a", "#", "b"]),
        ];
        for (line, expected) in table {
            assert_eq!(words(line).unwrap(), *expected, "{line}");
        }
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [r#"foo "abc"#, r#"foo "abc"d"#, "foo 'abc", "'a''b'", r#"loglevel x"y"#, "\"\\"] {
            assert_eq!(words(line), Err(Unbalanced), "{line}");
        }
    }

    #[test]
    fn control_characters_are_not_storable_and_shown_escaped() {
        for word in ["a\0", "\u{1b}[2J", "a\u{7f}", "a\nb", "\u{85}"] {
            assert!(!is_storable(word), "{word:?}");
        }
        assert!(is_storable("é \\\"' #"));
        assert_eq!(printable("a\tb\u{1b}[2J\0é"), "a\tb\\u{1b}[2J\\u{0}é");
    }

    #[test]
    fn quoting_is_stocks() {
        assert_eq!(quote("é a\n\"\\"), r#""\xc3\xa9 a\n\"\\""#);
        assert_eq!(quote_if_needed("plain\\é#"), "plain\\é#");
        assert_eq!(quote_if_needed(""), "\"\"");
        assert_eq!(quote_if_needed("it's"), "\"it's\"");
    }

    proptest! {
        #[test]
        fn any_word_survives_quoting(word in ".*", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(split(quote(&word).as_bytes()), Ok(vec![word.as_bytes().to_vec()]));
            prop_assert_eq!(split(quote_if_needed(&word).as_bytes()), Ok(vec![word.as_bytes().to_vec()]));
            let _ = split(&bytes);
        }
    }
}
