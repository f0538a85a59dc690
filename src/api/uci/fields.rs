//! JSON objects as callers of `/api/v2` send them: read whatever the content type says, keys that nobody asks for
//! ignored, and every refusal naming its field.
//!
//! Read by hand and not by derived code: that takes lists for objects, cannot tell a number that is not whole from
//! one that is, and names no field.
//!
//! Source of the rules: wire contract of the user confidence index, sections 1 and 3.

use std::ops::{Range, RangeInclusive};

use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::api::body;
use crate::api::error::ApiError;

/// Longest text of one field, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;

/// What a time of 2001 to 2286 in seconds is when taken for ms: an hour of early 1970. Nobody means that, and
/// taking it would silently lose the impact or find nothing.
const SECONDS_FOR_MS: Range<i64> = 1_000_000_000..10_000_000_000;

/// From here on a float no longer tells one whole number from the next.
const WHOLE_IN_FLOATS: f64 = 9_007_199_254_740_992.0;

/// Seconds since epoch from here on (the year 5138) are ms that were not divided.
const MS_FOR_SECONDS: i64 = 100_000_000_000;

/// A user's name in a list, for the document.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 4096, pattern = r"\S", example = "name@netskope.com")]
pub struct UserName(pub String);

/// A refused field.
#[must_use]
pub fn refuse(field: &str, problem: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request("bad_value", field, format!("`{field}` {problem}"))
}

/// An object's fields; `null` counts as absent.
#[derive(Debug, Clone, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a request's body, which must be an object.
    ///
    /// # Errors
    /// As [`body::json`], and `400` for what is no object.
    pub async fn read(request: Request) -> Result<Self, ApiError> {
        Self::of(body::json(request).await?)
    }

    /// The same where a body is optional: an empty one is an empty object.
    ///
    /// # Errors
    /// As [`Fields::read`].
    pub async fn read_optional(request: Request) -> Result<Self, ApiError> {
        let value: Value = body::json_or_default(request).await?;
        if value.is_null() { Ok(Self::default()) } else { Self::of(value) }
    }

    /// The fields of a value.
    ///
    /// # Errors
    /// `400` for what is no object.
    pub fn of(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_json", "the body is wrong: an object is needed")),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An object within.
    ///
    /// # Errors
    /// `400` when it is something else.
    pub fn object(&self, name: &str) -> Result<Option<Self>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self(fields.clone()))),
            Some(_) => Err(refuse(name, "must be an object")),
        }
    }

    /// A text; it may be empty.
    ///
    /// # Errors
    /// `400` when it is something else or too long.
    pub fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.get(name).map(|value| text(name, value)).transpose()
    }

    /// A text that is there and not blank.
    ///
    /// # Errors
    /// `400` when it is missing, blank, too long, or no text.
    pub fn needed_text(&self, name: &str) -> Result<String, ApiError> {
        let text = self.text(name)?.ok_or_else(|| missing(name))?;
        if text.trim().is_empty() { Err(refuse(name, "must not be empty")) } else { Ok(text) }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// `400` when it is something else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::Array(items) = value else { return Err(refuse(name, "must be a list of texts")) };
        items.iter().map(|item| text(name, item)).collect::<Result<_, _>>().map(Some)
    }

    /// A list of users: there, not empty, of at most `most`, counted as they are given, none of them blank.
    ///
    /// # Errors
    /// `400` when it is not.
    pub fn users(&self, name: &str, most: usize) -> Result<Vec<String>, ApiError> {
        let users = self.texts(name)?.ok_or_else(|| missing(name))?;
        if users.is_empty() {
            return Err(refuse(name, "must name at least one user"));
        }
        if users.len() > most {
            return Err(refuse(name, format_args!("may name at most {most} users, not {}", users.len())));
        }
        if users.iter().any(|user| user.trim().is_empty()) {
            return Err(refuse(name, "holds an empty name"));
        }
        Ok(users)
    }

    /// A whole number within a range; 50.0 is one, since JSON does not tell them apart.
    ///
    /// # Errors
    /// `400` when it is something else.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = |number: &f64| number.fract() == 0.0 && number.abs() < WHOLE_IN_FLOATS;
        let number = value.as_i64().or_else(|| value.as_f64().filter(whole).map(truncated));
        let number = number.filter(|number| range.contains(number)).ok_or_else(|| {
            refuse(name, format_args!("must be a whole number from {} to {}", range.start(), range.end()))
        })?;
        Ok(Some(number))
    }

    /// [`Fields::integer`] that is there.
    ///
    /// # Errors
    /// `400` when it is not.
    pub fn needed_integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, ApiError> {
        self.integer(name, range)?.ok_or_else(|| missing(name))
    }

    /// A time in ms since epoch, not before it; what a float has behind its point is cut off.
    ///
    /// # Errors
    /// `400` when it is something else, or is in seconds.
    pub fn time_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().or_else(|| value.as_f64().map(truncated)).filter(|ms| *ms >= 0);
        let ms = number.ok_or_else(|| refuse(name, "must be a time in milliseconds since 1970-01-01 UTC"))?;
        if SECONDS_FOR_MS.contains(&ms) {
            let problem = format!("is in milliseconds, but {ms} looks like seconds; did you mean {}?", ms * 1000);
            return Err(refuse(name, problem));
        }
        Ok(Some(ms))
    }

    /// [`Fields::time_ms`] that is there.
    ///
    /// # Errors
    /// `400` when it is not.
    pub fn needed_time_ms(&self, name: &str) -> Result<i64, ApiError> {
        self.time_ms(name)?.ok_or_else(|| missing(name))
    }

    /// True or false.
    ///
    /// # Errors
    /// `400` when it is something else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name).map(|value| value.as_bool().ok_or_else(|| refuse(name, "must be true or false"))).transpose()
    }
}

/// A time in seconds since epoch, as a parameter of a query has it.
///
/// # Errors
/// `400` when it is something else, or is in ms.
pub fn time_seconds(name: &str, text: &str) -> Result<i64, ApiError> {
    let seconds = text.trim().parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let seconds = seconds.ok_or_else(|| refuse(name, "must be a time in seconds since 1970-01-01 UTC"))?;
    if seconds >= MS_FOR_SECONDS {
        let problem = format!("is in seconds, but {seconds} looks like milliseconds; did you mean {}?", seconds / 1000);
        return Err(refuse(name, problem));
    }
    Ok(seconds)
}

/// A field that is needed and not there.
fn missing(name: &str) -> ApiError {
    ApiError::bad_request("missing_value", name, format!("`{name}` is missing"))
}

fn text(name: &str, value: &Value) -> Result<String, ApiError> {
    let Value::String(text) = value else { return Err(refuse(name, "must be text")) };
    if text.len() > MAX_TEXT_BYTES {
        return Err(refuse(name, format_args!("has more than {MAX_TEXT_BYTES} bytes")));
    }
    Ok(text.clone())
}

/// The whole part; beyond the range it is the nearest end of it.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and cutting off is the rule")]
fn truncated(number: f64) -> i64 {
    number.trunc() as i64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields(Map::from_iter([("x".to_owned(), value)]))
    }

    #[test]
    fn whole_numbers_are_told_from_others_by_value() {
        let read = |value| fields(value).integer("x", 1..=1000).map_err(|e| e.message);
        for (value, wanted) in [(json!(1), 1), (json!(1000), 1000), (json!(50.0), 50), (json!(1e3), 1000)] {
            assert_eq!(read(value), Ok(Some(wanted)));
        }
        for value in [
            json!(0),
            json!(1001),
            json!(-1),
            json!(0.5),
            json!(50.5),
            json!(1e300),
            json!("5"),
            json!(true),
            json!([5]),
            json!(u64::MAX),
        ] {
            let told = "`x` must be a whole number from 1 to 1000".to_owned();
            assert_eq!(read(value.clone()), Err(told), "{value}");
        }
        for (value, right) in [(json!(9_007_199_254_740_991.0), true), (json!(9_007_199_254_740_992.0), false)] {
            assert_eq!(fields(value).integer("x", 1..=i64::MAX).is_ok(), right);
        }
        assert_eq!(read(Value::Null), Ok(None));
        assert_eq!(fields(Value::Null).needed_integer("x", 1..=2).unwrap_err().message, "`x` is missing");
    }

    #[test]
    fn times_are_cut_off_and_seconds_are_told() {
        let read = |value| fields(value).time_ms("x").map_err(|e| e.message);
        for (value, wanted) in [
            (json!(0), 0),
            (json!(1), 1),
            (json!(1_654_823_213_000_i64), 1_654_823_213_000),
            (json!(1_654_823_213_000.9), 1_654_823_213_000),
            (json!(0.9), 0),
            (json!(-0.5), 0),
            (json!(999_999_999), 999_999_999),
            (json!(10_000_000_000_i64), 10_000_000_000),
            (json!(1e300), i64::MAX),
        ] {
            assert_eq!(read(value), Ok(Some(wanted)));
        }
        for value in [json!("1654823213000"), json!(-1), json!(-1e300), json!({})] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
        for value in [json!(1_654_823_213), json!(1_000_000_000), json!(9_999_999_999.5)] {
            assert!(read(value.clone()).unwrap_err().contains("looks like seconds"), "{value}");
        }
        assert_eq!(time_seconds("x", " 1654823213 ").unwrap(), 1_654_823_213);
        assert!(time_seconds("x", "1654823213000").unwrap_err().message.contains("did you mean 1654823213?"));
        for text in ["", "-1", "1.5", "now"] {
            assert!(time_seconds("x", text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_and_lists_are_what_they_say() {
        assert_eq!(fields(json!(" a ")).needed_text("x").unwrap(), " a ");
        for value in [json!(""), json!(" \t\u{a0}"), json!(null), json!(5), json!(["a"]), json!("é".repeat(2049))] {
            assert_eq!(fields(value).needed_text("x").unwrap_err().target.as_deref(), Some("x"));
        }
        assert_eq!(fields(json!(["a", ""])).texts("x").unwrap(), Some(vec!["a".to_owned(), String::new()]));
        for value in [json!("a"), json!([1]), json!([["a"]])] {
            assert!(fields(value).texts("x").is_err());
        }
        let users = |count| fields(json!(vec!["a"; count])).users("x", 3).map(|users| users.len());
        assert_eq!(users(3).unwrap(), 3);
        assert!(users(0).is_err() && users(4).is_err());
        assert!(fields(json!(["a", " "])).users("x", 3).is_err());
        for value in [json!([]), json!("x"), json!(1)] {
            assert!(Fields::of(value).is_err());
        }
    }
}
