//! When the activities of an anomaly may be queried through the wire contract.
//!
//! Source of the rule: wire contract of the anomaly activities, section 1.

/// The tenant's limits, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Time from an anomaly's creation until its activities are available.
    pub availability_delay_ms: i64,
    /// Time from an anomaly's creation during which its activities are available.
    pub recency_ms: i64,
}

/// Whether the activities of an anomaly are served, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// They are served.
    Available,
    /// Not yet: from this time on, ms since epoch.
    NotYet {
        /// When they will be, ms since epoch.
        at_ms: i64,
    },
    /// No more: the anomaly is older than the tenant's recency.
    TooOld,
    /// The anomaly was created before the feature was switched on for the tenant.
    BeforeFeature,
    /// The feature is off for the tenant.
    FeatureOff,
}

impl Availability {
    /// Decides for an anomaly created at `created_at_ms`. Edges belong to the available side.
    #[must_use]
    pub fn of(created_at_ms: i64, feature_since_ms: Option<i64>, window: Window, now_ms: i64) -> Self {
        let Some(since_ms) = feature_since_ms else { return Self::FeatureOff };
        let at_ms = created_at_ms.saturating_add(window.availability_delay_ms);
        if created_at_ms < since_ms {
            Self::BeforeFeature
        } else if now_ms.saturating_sub(created_at_ms) > window.recency_ms {
            Self::TooOld
        } else if now_ms < at_ms {
            Self::NotYet { at_ms }
        } else {
            Self::Available
        }
    }

    /// One phrase for people.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Available => "available".to_owned(),
            Self::NotYet { at_ms } => format!("not yet available, from {}", super::time_text::format_time(at_ms)),
            Self::TooOld => "no more available: the anomaly is older than the tenant's recency".to_owned(),
            Self::BeforeFeature => {
                "not available: the anomaly was created before the feature was switched on".to_owned()
            }
            Self::FeatureOff => "not available: the feature is off for this tenant".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { availability_delay_ms: 12, recency_ms: 15 };

    fn at(now_ms: i64) -> Availability {
        Availability::of(100, Some(100), WINDOW, now_ms)
    }

    #[test]
    fn edges_belong_to_the_available_side() {
        assert_eq!(at(111), Availability::NotYet { at_ms: 112 });
        assert_eq!(at(112), Availability::Available);
        assert_eq!(at(115), Availability::Available);
        assert_eq!(at(116), Availability::TooOld);
    }

    #[test]
    fn the_feature_counts_from_when_it_was_switched_on() {
        assert_eq!(Availability::of(100, None, WINDOW, 112), Availability::FeatureOff);
        assert_eq!(Availability::of(100, Some(101), WINDOW, 112), Availability::BeforeFeature);
        assert_eq!(Availability::of(100, Some(99), WINDOW, 112), Availability::Available);
    }
}
