//! Words of an inline request.

use bytes::Bytes;

/// Splits a line into words; `None` when a quote does not end, or ends inside a word.
///
/// Words are separated by blanks. Inside `"..."`: `\n \r \t \b \a \xHH`, and any other `\c` is `c`.
/// Inside `'...'`: only `\'`. A closing quote must be followed by a blank or the end; an opening
/// one may stand inside a word (`a"b"` is `ab`).
///
/// Source: spec 01, section 5.1.
pub fn split(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut argv = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(argv);
        }
        let (word, after) = word(rest)?;
        argv.push(Bytes::from(word));
        rest = after;
    }
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        rest = match rest {
            [] => return Some((word, rest)),
            [byte, after @ ..] if is_blank(*byte) => return Some((word, after)),
            [b'"', after @ ..] => closed(double(after, &mut word)?)?,
            [b'\'', after @ ..] => closed(single(after, &mut word)?)?,
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        };
    }
}

/// What follows a closing quote: a blank or the end.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    match rest.first() {
        Some(byte) if !is_blank(*byte) => None,
        Some(_) | None => Some(rest),
    }
}

fn double<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        let (byte, after) = match rest {
            [] => return None,
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (nibble(*high) << 4 | nibble(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn single<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        let (byte, after) = match rest {
            [] => return None,
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit.to_ascii_lowercase() - b'a') + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_split_as_in_stock() {
        for (line, expected) in [
            ("", Some(vec![])),
            (" \t ", Some(vec![])),
            ("a  b\tc ", Some(vec!["a", "b", "c"])),
            ("\"\" ''", Some(vec!["", ""])),
            ("a\"b c\" d", Some(vec!["ab c", "d"])),
            (r#""\x41\x4g\n\r\t\b\a\"\\\q""#, Some(vec!["Ax4g\n\r\t\u{8}\u{7}\"\\q"])),
            (r"'a\'b\n'", Some(vec![r"a'b\n"])),
            (r"a\nb", Some(vec![r"a\nb"])),
            ("\"a", None),
            ("\"a\"b", None),
            ("'a", None),
            ("'a'b", None),
            ("\"a\\", None),
            ("'a\\'", None),
            ("\"a\"\"b\"", None),
        ] {
            let words = split(line.as_bytes());
            let expected: Option<Vec<Bytes>> =
                expected.map(|words| words.into_iter().map(Bytes::from).collect());
            assert_eq!(words, expected, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line: Vec<u8>) {
            let _ = split(&line);
        }
    }
}
