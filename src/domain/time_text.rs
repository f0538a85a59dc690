//! Points in time and spans as people and clients write them.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time; write RFC 3339 (2026-11-22T10:00:00Z), epoch milliseconds, `now`, or an offset from now (-24h, +30m)"
)]
pub struct InvalidTime(pub String);

/// Milliseconds since epoch of a text: RFC 3339, epoch milliseconds, `now`, or an offset from now
/// such as `-24h`. A time without a zone is UTC.
///
/// # Errors
/// [`InvalidTime`] naming the text.
pub fn parse_time(text: &str, now_ms: i64) -> Result<i64, InvalidTime> {
    let invalid = || InvalidTime(text.to_owned());
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now_ms);
    }
    if let Ok(ms) = trimmed.parse::<i64>()
        && !trimmed.starts_with('+')
    {
        return Ok(ms);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(trimmed) {
        return Ok(time.timestamp_millis());
    }
    if let Ok(time) = trimmed.parse::<NaiveDateTime>() {
        return Ok(time.and_utc().timestamp_millis());
    }
    let (sign, span) = match trimmed.split_at_checked(1) {
        Some(("-", span)) => (-1, span),
        Some(("+", span)) => (1, span),
        _ => return Err(invalid()),
    };
    let span_ms = parse_span(span).ok().and_then(|d| i64::try_from(d.as_millis()).ok()).ok_or_else(invalid)?;
    now_ms.checked_add(sign * span_ms).ok_or_else(invalid)
}

/// A text that is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration; write a number with a unit, for example 0s, 90s, 30m, 12h, 15d")]
pub struct InvalidSpan(pub String);

/// Length of a text such as `12h` or `15d`.
///
/// # Errors
/// [`InvalidSpan`] naming the text.
pub fn parse_span(text: &str) -> Result<Duration, InvalidSpan> {
    humantime::parse_duration(text.trim()).map_err(|_| InvalidSpan(text.to_owned()))
}

/// A span in the units people count in, as [`parse_span`] reads it: `100d`, `1d 12h`, `0s`.
#[must_use]
pub fn format_span(span: Duration) -> String {
    let mut rest = span.as_millis();
    let mut parts = Vec::new();
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let n = rest / unit_ms;
        rest %= unit_ms;
        if n > 0 {
            parts.push(format!("{n}{unit}"));
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// `2026-11-22T10:00:00.000Z`; a time outside the calendar is written as its number.
#[must_use]
pub fn format_time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |t| t.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_510_400_000;

    #[test]
    fn every_form_reads() {
        assert_eq!(parse_time("now", NOW), Ok(NOW));
        assert_eq!(parse_time("-24h", NOW), Ok(NOW - 86_400_000));
        assert_eq!(parse_time("+30m", NOW), Ok(NOW + 1_800_000));
        assert_eq!(parse_time("1596840000000", NOW), Ok(1_596_840_000_000));
        assert_eq!(parse_time("-5", NOW), Ok(-5));
        assert_eq!(parse_time("2020-08-07T22:40:00Z", NOW), Ok(1_596_840_000_000));
        assert_eq!(parse_time("2020-08-08T00:40:00+02:00", NOW), Ok(1_596_840_000_000));
        assert_eq!(parse_time("2020-08-07T22:40:00", NOW), Ok(1_596_840_000_000));
        assert_eq!(format_time(1_596_840_000_000), "2020-08-07T22:40:00.000Z");
    }

    #[test]
    fn spans_are_written_in_units_that_read_back() {
        for text in ["0s", "12h", "100d", "1d 12h", "1m 30s", "2s 5ms"] {
            assert_eq!(format_span(parse_span(text).unwrap()), text);
        }
        assert_eq!(format_span(Duration::from_hours(36)), "1d 12h");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "yesterday", "-", "24h", "-24x", "+5", "2020-13-01T00:00:00Z"] {
            assert_eq!(parse_time(text, NOW), Err(InvalidTime(text.to_owned())), "{text}");
        }
        assert!(parse_span("12").is_err());
    }
}
