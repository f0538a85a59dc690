//! Sizes as people write them.

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size; write a number with a unit, for example 64KiB, 256MiB, 16GiB")]
pub struct InvalidSize(pub String);

/// Bytes of a text such as `256MiB`. `64k` and `64KB` count thousands, `64KiB` counts 1,024; a bare
/// number is bytes.
///
/// # Errors
/// [`InvalidSize`] naming the text.
pub fn parse_size(text: &str) -> Result<u64, InvalidSize> {
    text.trim().parse::<bytesize::ByteSize>().map(|size| size.as_u64()).map_err(|_| InvalidSize(text.to_owned()))
}

/// The size in the largest fitting binary unit, for people.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_nonsense_is_refused() {
        assert_eq!(parse_size("256MiB"), Ok(256 << 20));
        assert_eq!(parse_size("64k"), Ok(64_000));
        assert_eq!(parse_size("5"), Ok(5));
        for text in ["", "MiB", "12 parsecs", "-1KiB"] {
            assert_eq!(parse_size(text), Err(InvalidSize(text.to_owned())));
        }
        assert_eq!(format_size(256 << 20), "256.0 MiB");
    }
}
