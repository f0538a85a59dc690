//! Groups of incidents: from the category of an anomaly to a dotted name.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5 for the families, section 6 for
//! the categories. The contract does not say which category belongs where, so this table does.

/// A kind of incident.
#[derive(Debug, PartialEq, Eq)]
pub struct IncidentGroup {
    /// Number on the wire. It is never given to another group; the hundreds tell the family.
    pub id: u16,
    /// Dotted name, `Alert.<family>.<kind>`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Categories that belong here, as [`category_key`] writes them.
    categories: &'static [&'static str],
    /// Whether the category names a threat, of which an anomaly is one part.
    pub threat: bool,
}

const fn anomaly(
    id: u16,
    name: &'static str,
    title: &'static str,
    categories: &'static [&'static str],
) -> IncidentGroup {
    IncidentGroup { id, name, title, categories, threat: false }
}

const fn threat(
    id: u16,
    name: &'static str,
    title: &'static str,
    categories: &'static [&'static str],
) -> IncidentGroup {
    IncidentGroup { id, name, title, categories, threat: true }
}

/// Group of an anomaly without a category, or with one that this table does not know: whatever it was,
/// somebody had access to a service.
pub static OTHER: IncidentGroup = anomaly(100, "Alert.Access.Other", "Other", &[]);

/// Every group but [`OTHER`], by id.
static KNOWN: [IncidentGroup; 20] = [
    anomaly(101, "Alert.Access.AnomalousAccessLocation", "Anomalous Access Location", &["anomalous access location"]),
    anomaly(
        102,
        "Alert.Access.Superhuman",
        "Superhuman",
        &["superhuman", "superhuman (impossible travel)", "impossible travel"],
    ),
    anomaly(103, "Alert.Access.LoginFailure", "Login Failure", &["login failure"]),
    anomaly(104, "Alert.Access.LoginSuccess", "Login Success", &["login success"]),
    anomaly(105, "Alert.Access.BruteForceLogin", "Brute Force Login", &["brute force login"]),
    anomaly(106, "Alert.Access.ServiceUsage", "Service Usage", &["service usage"]),
    threat(107, "Alert.Access.CompromisedAccounts", "Compromised Accounts", &["compromised accounts"]),
    anomaly(201, "Alert.Admin.Administration", "Administration", &["administration"]),
    anomaly(202, "Alert.Admin.UserAccountCreation", "User Account Creation", &["user account creation"]),
    anomaly(203, "Alert.Admin.UserAccountDeletion", "User Account Deletion", &["user account deletion"]),
    threat(204, "Alert.Admin.PrivilegedAccessMisuse", "Privileged Access Misuse", &["privileged access misuse"]),
    anomaly(301, "Alert.Data.DataAccess", "Data Access", &["data access"]),
    anomaly(302, "Alert.Data.DataDelete", "Data Delete", &["data delete"]),
    anomaly(303, "Alert.Data.DataDownload", "Data Download", &["data download"]),
    anomaly(304, "Alert.Data.DataSharing", "Data Sharing", &["data sharing"]),
    anomaly(305, "Alert.Data.DataUpdates", "Data Updates", &["data updates"]),
    anomaly(306, "Alert.Data.DataUpload", "Data Upload", &["data upload"]),
    anomaly(307, "Alert.Data.ExternalDataSharing", "External Data Sharing", &["external data sharing"]),
    anomaly(308, "Alert.Data.ReportExecution", "Report Execution", &["report execution"]),
    threat(309, "Alert.Data.InsiderThreats", "Insider Threats", &["insider threats"]),
];

/// The one form of a category that comparisons use: trimmed and lower case.
#[must_use]
pub fn category_key(category: &str) -> String {
    category.trim().to_lowercase()
}

impl IncidentGroup {
    /// Every group, by id.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        std::iter::once(&OTHER).chain(&KNOWN)
    }

    /// Group of a category, in the form of [`category_key`]; [`OTHER`] without a known one.
    #[must_use]
    pub fn of_category_key(key: Option<&str>) -> &'static Self {
        key.and_then(|key| KNOWN.iter().find(|group| group.categories.contains(&key))).unwrap_or(&OTHER)
    }

    /// First and second part of the name: what the contract calls incident type and category.
    #[must_use]
    pub fn type_and_category(&self) -> (&'static str, &'static str) {
        let (incident_type, rest) = self.name.split_once('.').unwrap_or((self.name, ""));
        (incident_type, rest.split_once('.').map_or(rest, |(category, _)| category))
    }
}

/// A dotted prefix of group names, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPrefix(String);

impl GroupPrefix {
    /// `Alert.Access` as one text, or split into its type `Alert` and its category `Access`.
    #[must_use]
    pub fn new(incident_type: &str, category: Option<&str>) -> Self {
        Self(match category.filter(|category| !category.is_empty()) {
            Some(category) => format!("{incident_type}.{category}"),
            None => incident_type.to_owned(),
        })
    }

    /// Whether the prefix covers a name: whole parts only, so `Alert.Data` covers neither `Alert.DataX`
    /// nor `Alert`.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        name.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Which categories a filter by groups lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryFilter {
    /// These, as [`category_key`] writes them.
    pub keys: Vec<&'static str>,
    /// And those that the table does not know, the absent one included.
    pub unknown: bool,
}

impl CategoryFilter {
    /// The categories whose group any of the prefixes covers.
    #[must_use]
    pub fn of_prefixes(prefixes: &[GroupPrefix]) -> Self {
        let covered = |group: &IncidentGroup| prefixes.iter().any(|prefix| prefix.covers(group.name));
        let keys = KNOWN.iter().filter(|group| covered(group)).flat_map(|group| group.categories).copied().collect();
        Self { keys, unknown: covered(&OTHER) }
    }

    /// Every category that the table knows.
    #[must_use]
    pub fn known_keys() -> Vec<&'static str> {
        KNOWN.iter().flat_map(|group| group.categories).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Section 6 of the contract: activities, anomalies, threats.
    const WORDS: [&str; 20] = [
        "Administration",
        "Data Access",
        "Data Delete",
        "Data Download",
        "Data Sharing",
        "Data Updates",
        "Data Upload",
        "External Data Sharing",
        "Login Failure",
        "Login Success",
        "Report Execution",
        "Service Usage",
        "User Account Creation",
        "User Account Deletion",
        "Anomalous Access Location",
        "Superhuman",
        "Brute Force Login",
        "Compromised Accounts",
        "Insider Threats",
        "Privileged Access Misuse",
    ];

    fn group(category: &str) -> &'static IncidentGroup {
        IncidentGroup::of_category_key(Some(&category_key(category)))
    }

    #[test]
    fn every_word_of_the_field_has_a_group_of_its_own() {
        let names: HashSet<_> = WORDS.iter().map(|word| group(word).name).collect();
        assert_eq!(names.len(), WORDS.len());
        assert!(!names.contains(OTHER.name));
        for word in WORDS {
            assert_eq!(group(word).title, word);
        }
        let threats: Vec<_> = WORDS.into_iter().filter(|word| group(word).threat).collect();
        assert_eq!(threats, ["Compromised Accounts", "Insider Threats", "Privileged Access Misuse"]);
    }

    #[test]
    fn what_is_unknown_is_other() {
        assert_eq!(IncidentGroup::of_category_key(None), &OTHER);
        assert_eq!(group("Cryptomining"), &OTHER);
        assert_eq!(group(" data  access"), &OTHER);
        assert_eq!(group(" IMPOSSIBLE travel ").name, "Alert.Access.Superhuman");
    }

    #[test]
    fn names_and_ids_keep_to_their_families() {
        let mut ids = HashSet::new();
        for group in IncidentGroup::all() {
            let family = ["Alert.Access.", "Alert.Admin.", "Alert.Data."][usize::from(group.id / 100) - 1];
            assert!(group.name.starts_with(family) && ids.insert(group.id), "{group:?}");
            assert!(group.categories.iter().all(|c| category_key(c) == *c), "{group:?}");
        }
        assert_eq!(group("Data Access").type_and_category(), ("Alert", "Data"));
    }

    #[test]
    fn prefixes_cover_whole_parts_in_their_own_case() {
        let name = "Alert.Data.DataAccess";
        for prefix in [("Alert", None), ("Alert", Some("Data")), ("Alert.Data", None), ("Alert", Some(""))] {
            assert!(GroupPrefix::new(prefix.0, prefix.1).covers(name), "{prefix:?}");
        }
        assert!(GroupPrefix::new("Alert.Data", Some("DataAccess")).covers(name));
        for prefix in ["alert", "Alert.Dat", "Alert.Data.", "Data", "Alert.Data.DataAccess.More"] {
            assert!(!GroupPrefix::new(prefix, None).covers(name), "{prefix}");
        }
    }

    proptest! {
        /// The filter over categories decides as the filter over names does.
        #[test]
        fn category_filter_agrees_with_the_names(
            prefixes in prop::collection::vec(
                prop::sample::select(vec![
                    "Alert", "Alert.Access", "Alert.Access.Other", "Alert.Data", "Alert.Admin.Administration", "None",
                ]),
                0..3,
            ),
            category in prop::option::of(prop_oneof![prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned), "[a-z]{0,5}"]),
        ) {
            let prefixes: Vec<_> = prefixes.into_iter().map(|p| GroupPrefix::new(p, None)).collect();
            let filter = CategoryFilter::of_prefixes(&prefixes);
            let key = category.as_deref().map(category_key);
            let known = CategoryFilter::known_keys();
            let by_key = match key.as_deref() {
                Some(key) if known.contains(&key) => filter.keys.contains(&key),
                _ => filter.unknown,
            };
            let name = IncidentGroup::of_category_key(key.as_deref()).name;
            prop_assert_eq!(by_key, prefixes.iter().any(|p| p.covers(name)));
        }
    }
}
