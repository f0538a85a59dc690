//! Names of accounts.

use super::DOMAIN;

const FIRST_NAMES: [&str; 20] = [
    "ada", "ben", "chen", "dana", "emil", "fatima", "goran", "hana", "ivan", "julia", "kofi", "lena", "mateo", "nadia",
    "omar", "priya", "quinn", "rosa", "sven", "tara",
];

const LAST_NAMES: [&str; 16] = [
    "adler", "brooks", "costa", "dietz", "evans", "fischer", "garcia", "huang", "ito", "jansen", "kumar", "lopez",
    "moreau", "novak", "okafor", "silva",
];

/// Pairs of names before they repeat: the least common multiple of both numbers, since 7 shares no divisor with either.
const PAIRS: usize = 80;

/// E-mail address of a person.
pub(in crate::generate) fn account_name(index: usize) -> String {
    let (first, last) = (FIRST_NAMES[index % FIRST_NAMES.len()], LAST_NAMES[index * 7 % LAST_NAMES.len()]);
    match index / PAIRS {
        0 => format!("{first}.{last}@{DOMAIN}"),
        again => format!("{first}.{last}{again}@{DOMAIN}"),
    }
}

/// Name of a service account; the first three as written.
pub(in crate::generate) fn service_account_name(index: usize) -> String {
    match ["sync", "backup", "reporting"].get(index) {
        Some(name) => format!("svc-{name}@{DOMAIN}"),
        None => format!("svc-{index:03}@{DOMAIN}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_accounts_share_a_name() {
        let mut names: Vec<_> = (0..20_000).map(account_name).chain((0..200).map(service_account_name)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 20_200);
    }
}
