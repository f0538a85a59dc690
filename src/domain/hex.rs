//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

/// Lower-case hex digits of bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_two_digits() {
        assert_eq!((hex(&[]), hex(&[0, 0x0A, 0xFF])), (String::new(), "000aff".to_owned()));
    }
}
