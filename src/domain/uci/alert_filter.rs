//! Which alerts somebody asks for: a conjunction of conditions on their fields.

/// The kind of every alert here, in its fields `alert_type`.
pub const ALERT_TYPE: &str = "uba";

/// A field that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertField {
    /// `alert_type`, which is [`ALERT_TYPE`] for all.
    AlertType,
    /// `alert_name`.
    AlertName,
    /// `alert_id` and `_id`.
    AlertId,
    /// `user`, `userkey` and `ur_normalized`; compared as user keys.
    User,
    /// `activity`.
    Activity,
    /// `severity`.
    Severity,
    /// `source`.
    Source,
}

impl AlertField {
    /// The field that a name means; none for names that cannot be asked for.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "alert_type" => Self::AlertType,
            "alert_name" => Self::AlertName,
            "alert_id" | "_id" => Self::AlertId,
            "user" | "userkey" | "ur_normalized" => Self::User,
            "activity" => Self::Activity,
            "severity" => Self::Severity,
            "source" => Self::Source,
            _ => return None,
        })
    }

    /// Names that can be asked for, for messages.
    pub const NAMES: [&'static str; 10] = [
        "alert_type",
        "alert_name",
        "alert_id",
        "_id",
        "user",
        "userkey",
        "ur_normalized",
        "activity",
        "severity",
        "source",
    ];
}

/// One condition: the field has one of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertCondition {
    /// The field.
    pub field: AlertField,
    /// `eq` has one value, `in` any number; none is true of nothing.
    pub values: Vec<String>,
}

/// Which alerts; every condition holds at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// First ms at which an alert may have been made, since epoch.
    pub start_ms: Option<i64>,
    /// First ms at which it may have been made no more, since epoch.
    pub end_ms: Option<i64>,
    /// Conditions on fields.
    pub conditions: Vec<AlertCondition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_means_a_field() {
        assert!(AlertField::NAMES.iter().all(|name| AlertField::of_name(name).is_some()));
        assert_eq!(AlertField::of_name("score"), None);
    }
}
