//! Points in time as the incidents API writes them.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5.

use chrono::{DateTime, NaiveDateTime};

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time; write 2026-11-22T10:00:00.000Z, with an offset such as +02:00, or without a zone for UTC")]
pub struct InvalidIncidentTime(pub String);

/// First whole ms since epoch that is not before the text's time. Without a zone it is UTC; a
/// fraction of a second may have up to nine digits.
///
/// Rounding up keeps both bounds of a range exact, because incidents carry whole ms: one at `.000` is before
/// `.000500`, so it is neither at or after such a start nor at or after such an end.
///
/// # Errors
/// [`InvalidIncidentTime`] naming the text.
pub fn parse_incident_time(text: &str) -> Result<i64, InvalidIncidentTime> {
    let trimmed = text.trim();
    let time = DateTime::parse_from_rfc3339(trimmed)
        .or_else(|_| DateTime::parse_from_str(trimmed, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|time| time.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(trimmed, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc()))
        .map_err(|_| InvalidIncidentTime(text.to_owned()))?;
    let part_of_ms = !time.timestamp_subsec_nanos().is_multiple_of(1_000_000);
    Ok(time.timestamp_millis() + i64::from(part_of_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time_text::format_time;

    const AT: i64 = 1_596_840_000_000;

    #[test]
    fn every_form_of_the_contract_reads() {
        for (text, ms) in [
            ("2020-08-07T22:40:00", AT),
            ("2020-08-07T22:40:00Z", AT),
            ("2020-08-07T22:40:00.123", AT + 123),
            ("2020-08-07T22:40:00.123Z", AT + 123),
            ("2020-08-07T22:40:00.1230", AT + 123),
            ("2020-08-07T22:40:00.123456Z", AT + 124),
            ("2020-08-08T00:40:00.123000+02:00", AT + 123),
            ("2020-08-08T00:40:00.123+0200", AT + 123),
            ("2020-08-07T18:10:00-04:30", AT),
            ("1969-12-31T23:59:59.9995", 0),
        ] {
            assert_eq!(parse_incident_time(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_named() {
        for text in ["", "now", "1596840000000", "2020-08-07", "2020-13-07T22:40:00", "2020-08-07T22:40:00 UTC"] {
            assert_eq!(parse_incident_time(text), Err(InvalidIncidentTime(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back(ms in 0..4_102_444_800_000_i64, more in 0..1000_u32) {
            let text = format_time(ms);
            prop_assert_eq!(parse_incident_time(&text), Ok(ms));
            let finer = format!("{}{more:03}", text.trim_end_matches('Z'));
            prop_assert_eq!(parse_incident_time(&finer), Ok(ms + i64::from(more > 0)));
        }
    }
}
