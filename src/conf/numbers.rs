//! Numbers as the configuration writes them.

/// A decimal number without blanks, `+` or leading zeros: what generic directives take.
pub(super) fn strict(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = text == "0"
        || (digits.starts_with(|c: char| ('1'..='9').contains(&c))
            && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { text.parse().ok() } else { None }
}

/// The number that a text begins with, 0 if none: what `sentinel` directives take.
///
/// Differs: stock wraps around at 32 bits, which turns a large time into a small or negative one;
/// here the value saturates at 64 bits.
pub(super) fn lenient(text: &str) -> i64 {
    let (negative, digits) = sign_and_digits(text);
    let value = digits
        .bytes()
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

/// The epoch that a text begins with, 0 if none.
///
/// Differs: a negative number is 0; in stock it becomes a huge epoch, above which nothing can go.
pub(super) fn lenient_epoch(text: &str) -> u64 {
    let (negative, digits) = sign_and_digits(text);
    let value = digits
        .bytes()
        .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    if negative { 0 } else { value }
}

/// Bytes: digits and one of `b k kb m mb g gb` in any case (`k` is 1000, `kb` 1024); empty is 0.
/// At most `i64::MAX`.
pub(super) fn memory(text: &str) -> Option<u64> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() && !unit.is_empty() {
        return None;
    }
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    Some(lenient_epoch(digits).saturating_mul(factor).min(i64::MAX.unsigned_abs()))
}

/// Bytes in the largest unit that divides them, as stock writes them.
pub(super) fn render_memory(bytes: u64) -> String {
    let units = [(1_u64 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
    match units.iter().find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

fn sign_and_digits(text: &str) -> (bool, &str) {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(unsigned.len());
    (text.starts_with('-'), &unsigned[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_numbers_have_one_spelling() {
        for (text, expected) in [("0", Some(0)), ("-5", Some(-5)), ("26379", Some(26379))] {
            assert_eq!(strict(text), expected, "{text}");
        }
        for text in ["", " 1", "01", "+1", "-0", "-", "1mb", "0.5", "99999999999999999999999999"] {
            assert_eq!(strict(text), None, "{text}");
        }
    }

    #[test]
    fn lenient_numbers_stop_where_digits_stop() {
        let table =
            [("12abc", 12), (" -3", -3), ("abc", 0), ("", 0), ("+7", 7), ("9999999999999999999", i64::MAX)];
        for (text, expected) in table {
            assert_eq!(lenient(text), expected, "{text}");
        }
        assert_eq!(lenient_epoch("18446744073709551615"), u64::MAX);
        assert_eq!(lenient_epoch("-1"), 0);
    }

    #[test]
    fn memory_knows_both_kinds_of_units() {
        let table = [
            ("", Some(0)),
            ("1", Some(1)),
            ("1k", Some(1000)),
            ("1KB", Some(1024)),
            ("2mb", Some(2 << 20)),
            ("9223372036854775807gb", Some(i64::MAX.unsigned_abs())),
            ("1kk", None),
            ("1.5gb", None),
            ("-5", None),
            ("xyz", None),
        ];
        for (text, expected) in table {
            assert_eq!(memory(text), expected, "{text}");
        }
        for (bytes, text) in [(0, "0"), (100 << 20, "100mb"), (3000, "3000"), (3 << 30, "3gb")] {
            assert_eq!(render_memory(bytes), text);
        }
    }
}
