//! Values of arguments as people write them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::domain::clock::{Clock, SystemClock};
use crate::domain::principal::Role;
use crate::domain::size_text::{InvalidSize, parse_size};
use crate::domain::time_text::{self, InvalidSpan, InvalidTime};
use crate::registry::settings::Quota;
use crate::services::settings::ServerSettings;

use super::CommandError;

/// The settings of whoever does the work.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigArgs {
    /// Settings file of the server, or of this command where no server runs.
    #[arg(long, value_name = "FILE.toml", env = "ANOMALAKE_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The settings of the file; the defaults without one.
    ///
    /// # Errors
    /// When the file cannot be read or is wrong.
    pub fn settings(&self) -> Result<ServerSettings, CommandError> {
        match &self.config {
            Some(file) => ServerSettings::load(file).map_err(CommandError::failed),
            None => Ok(ServerSettings::default()),
        }
    }
}

/// A point in time, checked here and kept as it was written: relative ones count from the clock of
/// whoever carries the command out.
///
/// # Errors
/// [`InvalidTime`], which clap turns into exit code 2.
pub fn time(text: &str) -> Result<String, InvalidTime> {
    time_ms(text).map(|_| text.to_owned())
}

/// A point in time, in ms since epoch.
///
/// # Errors
/// As [`time`].
pub fn time_ms(text: &str) -> Result<i64, InvalidTime> {
    time_text::parse_time(text, SystemClock.now_ms())
}

/// A duration such as `12h`, in ms.
///
/// # Errors
/// [`InvalidSpan`], also for one beyond the range.
pub fn span_ms(text: &str) -> Result<i64, InvalidSpan> {
    let span: Duration = time_text::parse_span(text)?;
    i64::try_from(span.as_millis()).map_err(|_| InvalidSpan(text.to_owned()))
}

/// A duration such as `20s`.
///
/// # Errors
/// [`InvalidSpan`].
pub fn span(text: &str) -> Result<Duration, InvalidSpan> {
    time_text::parse_span(text)
}

/// A size such as `50GiB`, or `none` for no limit.
///
/// # Errors
/// [`InvalidSize`], also for one beyond the range.
pub fn quota(text: &str) -> Result<Quota, InvalidSize> {
    if text == "none" {
        return Ok(Quota::Unlimited);
    }
    let bytes = parse_size(text)?;
    i64::try_from(bytes).map(Quota::Bytes).map_err(|_| InvalidSize(text.to_owned()))
}

/// `on` or `off`.
pub fn on_off() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|text| text == "on")
}

/// A role by name.
pub fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new([Role::Reader, Role::Manager, Role::Admin].map(Role::as_str))
        .try_map(|text| text.parse::<Role>())
}

/// One segment of a request's path, escaped.
#[must_use]
pub fn path_segment(text: &str) -> String {
    // The form encoding differs from a path's in the space alone; `+` itself is escaped.
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_checked_and_kept_as_written() {
        for text in ["-24h", "now", "+30m", "1596840000000", "2020-08-07T22:40:00Z"] {
            assert_eq!(time(text).as_deref(), Ok(text));
        }
        assert!(time("yesterday").is_err());
        assert_eq!(time_ms("1596840000000"), Ok(1_596_840_000_000));
    }

    #[test]
    fn durations_are_in_ms_and_within_range() {
        assert_eq!(span_ms("12h"), Ok(43_200_000));
        assert_eq!(span_ms("0s"), Ok(0));
        assert!(span_ms("12").is_err());
        assert!(span_ms("400000000y").is_err());
    }

    #[test]
    fn path_segments_cannot_leave_their_place() {
        assert_eq!(path_segment("a+b c/../d?x@e.example"), "a%2Bb%20c%2F..%2Fd%3Fx%40e.example");
    }
}
