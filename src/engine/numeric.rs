//! Numeric addresses as `getaddrinfo` reads them.

use std::net::{IpAddr, Ipv4Addr};

/// A numeric address, also in the short and odd forms that `getaddrinfo` takes (`127.1`, `0x7f.1`).
///
/// Source: spec 07, section 3.
pub fn numeric(host: &str) -> Option<IpAddr> {
    if let Ok(ip) = host.parse() {
        return Some(ip);
    }
    let parts = host.split('.').map(part).collect::<Option<Vec<u32>>>()?;
    let (last, bytes) = parts.split_last().filter(|(_, bytes)| bytes.len() < 4)?;
    if bytes.iter().any(|byte| *byte > 255) {
        return None;
    }
    let free_bits = 32 - 8 * u32::try_from(bytes.len()).ok()?;
    if free_bits < 32 && *last >> free_bits != 0 {
        return None;
    }
    let high = bytes.iter().fold(0_u64, |high, byte| high << 8 | u64::from(*byte));
    let value = (high << free_bits) | u64::from(*last);
    Some(IpAddr::V4(Ipv4Addr::from(u32::try_from(value).ok()?)))
}

/// One part of a dotted address: decimal, octal (`0`) or hexadecimal (`0x`).
fn part(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_addresses_in_every_form() {
        let table = [
            ("127.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("010.0.0.1", "8.0.0.1"),
            ("1", "0.0.0.1"),
            ("1.2.772", "1.2.3.4"),
            ("::1", "::1"),
        ];
        for (text, expected) in table {
            assert_eq!(numeric(text).map(|ip| ip.to_string()).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "localhost", "1.2.3.4.5", "256.1", "1.2.3.256", "1..2", "+1", "0x", "4294967296"] {
            assert_eq!(numeric(text), None, "{text}");
        }
    }
}
