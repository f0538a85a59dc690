//! The one form of a user's name that matching uses.

/// `user` trimmed and lower-cased by Unicode rules.
#[must_use]
pub fn user_key(user: &str) -> String {
    user.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::user_key;

    #[test]
    fn trims_and_lowers_beyond_ascii() {
        assert_eq!(user_key("  ÄNNE@Example.COM\t"), "änne@example.com");
        assert_eq!(user_key(""), "");
    }
}
