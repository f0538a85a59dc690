//! Finding a user's name in a text of somebody's, such as a statement, and putting something else in its place.

use crate::domain::user_key::user_key;

/// The text with `mark` in every place where it holds the user's key, in whatever case, as a name of its own and not as a
/// part of a longer one; also as SQL quotes it. None where it holds it nowhere.
pub(super) fn mask(text: &str, key: &str, mark: &str) -> Option<String> {
    if key.is_empty() {
        return None;
    }
    if user_key(text) == key {
        return Some(mark.to_owned());
    }
    let quoted = key.replace('\'', "''");
    let masked = mask_word(text, key, mark);
    if quoted == key {
        return masked;
    }
    mask_word(masked.as_deref().unwrap_or(text), &quoted, mark).or(masked)
}

fn mask_word(text: &str, key: &str, mark: &str) -> Option<String> {
    let (lower, origin) = lower_case(text);
    let (mut masked, mut kept_to) = (String::new(), 0);
    for (from, found) in lower.match_indices(key) {
        let to = from + found.len();
        if !is_joined(lower[..from].chars().rev()) && !is_joined(lower[to..].chars()) {
            masked.push_str(&text[kept_to..origin[from]]);
            masked.push_str(mark);
            kept_to = origin[to];
        }
    }
    (kept_to > 0).then(|| masked + &text[kept_to..])
}

/// The text in lower case, and for each byte of that where its character begins in the text.
fn lower_case(text: &str) -> (String, Vec<usize>) {
    let (mut lower, mut origin) = (String::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    for (at, c) in text.char_indices() {
        lower.extend(c.to_lowercase());
        origin.resize(lower.len(), at);
    }
    origin.push(text.len());
    (lower, origin)
}

/// Whether the characters beside a place, the nearest first, go on with a name.
fn is_joined(mut beside: impl Iterator<Item = char>) -> bool {
    match beside.next() {
        // A full stop ends a sentence, or stands within a name.
        Some('.') => beside.next().is_some_and(char::is_alphanumeric),
        Some(c) => c.is_alphanumeric() || "_-@+".contains(c),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_masked_and_parts_of_longer_ones_are_not() {
        for (text, key, masked) in [
            (" Ann@X.example ", "ann@x.example", Some("*")),
            ("WHERE \"user\" = 'Ann@X.EXAMPLE' OR 1", "ann@x.example", Some("WHERE \"user\" = '*' OR 1")),
            ("joann@x.example, ann@x.example.org", "ann@x.example", None),
            ("like '%ann@x.example%'", "ann@x.example", Some("like '%*%'")),
            ("told ann. ann said", "ann", Some("told *. * said")),
            ("annual ann-marie ann.b ann@c _ann", "ann", None),
            ("user = 'o''brien'", "o'brien", Some("user = '*'")),
            ("ÄNN ss", "änn", Some("* ss")),
            ("İ ann İ", "ann", Some("İ * İ")),
            ("anything", "", None),
        ] {
            assert_eq!(mask(text, key, "*").as_deref(), masked, "{text} {key}");
        }
    }

    proptest! {
        #[test]
        fn a_name_between_blanks_is_always_found(before in ".{0,20}", after in ".{0,20}", name in "[a-z]{3,9}") {
            let text = format!("{before} {name} {after}");
            let masked = mask(&text, &name, "#").unwrap();
            prop_assert!(masked.contains('#'));
            prop_assert!(mask(&masked, &name, "#").is_none());
        }
    }
}
