//! The quoting rule of the wire dialect.
//!
//! Source of the rule: wire contract of the anomaly activities, section 2. It is what the original's
//! CSV library does, not what RFC 4180 asks for: a cell is quoted for its mere length, and for harmless
//! characters such as a space or an apostrophe, because that library decides without a second look.

/// Longest text that may stand bare, in UTF-16 code units.
pub const MAX_BARE_UNITS: usize = 24;

/// Longest UTF-8 form of [`MAX_BARE_UNITS`] units: a unit takes at most three bytes.
const MAX_BARE_BYTES: usize = 3 * MAX_BARE_UNITS;

/// Whether a byte of UTF-8 forces quotes: a character below `-`, or a backslash.
///
/// Bytes of characters beyond ASCII never do.
#[must_use]
pub const fn is_special(byte: u8) -> bool {
    byte < b'-' || byte == b'\\'
}

/// Whether a cell must be quoted: longer than [`MAX_BARE_UNITS`], or holding a special character.
#[must_use]
pub fn needs_quotes(text: &str) -> bool {
    is_long(text.as_bytes()) || text.bytes().any(is_special)
}

/// Whether UTF-8 bytes hold more than [`MAX_BARE_UNITS`] UTF-16 code units.
///
/// The bytes must be valid UTF-8; of others the answer means nothing.
#[must_use]
pub fn is_long(utf8: &[u8]) -> bool {
    utf8.len() > MAX_BARE_UNITS
        && (utf8.len() > MAX_BARE_BYTES || utf8.is_ascii() || utf16_units(utf8) > MAX_BARE_UNITS)
}

/// Every character starts with one byte that is no continuation; those of four bytes take two units.
fn utf16_units(utf8: &[u8]) -> usize {
    utf8.iter().map(|&b| usize::from(b & 0xC0 != 0x80) + usize::from(b >= 0xF0)).sum()
}

/// Whether a spreadsheet may take a cell that starts with this byte for a formula.
#[must_use]
pub const fn starts_formula(first: u8) -> bool {
    matches!(first, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r')
}

/// Appends a cell, quoted if it must be. The empty text is written as nothing, as null is.
pub fn write_cell(text: &str, out: &mut Vec<u8>) {
    if needs_quotes(text) {
        write_quoted("", text.as_bytes(), out);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends `prefix` and the text within quotes; quotes in the text are doubled, the prefix must hold none.
pub fn write_quoted(prefix: &str, utf8: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(prefix.as_bytes());
    for piece in utf8.split_inclusive(|&b| b == b'"') {
        out.extend_from_slice(piece);
        if piece.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(text: &str) -> String {
        let mut out = Vec::new();
        write_cell(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_of_the_contract() {
        assert_eq!(cell(""), "");
        assert_eq!(cell("-x"), "-x");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("amazon.com inc."), "\"amazon.com inc.\"");
        assert_eq!(cell("portland::US::or"), "portland::US::or");
        assert_eq!(cell("a\\b"), "\"a\\b\"");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("\""), "\"\"\"\"");
        assert_eq!(cell("a\u{2028}b\u{85}"), "a\u{2028}b\u{85}");
        assert_eq!(cell("line\rend"), "\"line\rend\"");
    }

    #[test]
    fn length_counts_utf16_units() {
        for character in ["a", "é", "語"] {
            assert!(!needs_quotes(&character.repeat(24)), "{character}");
            assert!(needs_quotes(&character.repeat(25)), "{character}");
        }
        assert!(!needs_quotes(&"😀".repeat(12)));
        assert!(needs_quotes(&format!("{}a", "😀".repeat(12))));
    }

    proptest! {
        #[test]
        fn agrees_with_the_words_of_the_rule(text in "\\PC{0,40}|[ -~\\\\\"\n\t]{0,40}|[a-zé語😀]{20,28}") {
            let quoted = text.encode_utf16().count() > 24 || text.chars().any(|c| c < '-' || c == '\\');
            prop_assert_eq!(needs_quotes(&text), quoted);
            let expected = if quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.clone() };
            prop_assert_eq!(cell(&text), expected);
        }
    }
}
