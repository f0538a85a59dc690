//! Pages of lists: how many results, from which on.

use serde::Deserialize;
use serde_json::Value;

use super::fields::{Fields, refuse};
use crate::api::error::ApiError;

/// Results of a page where the caller names no number.
pub const DEFAULT_LIMIT: i64 = 1_000;

/// Most results of a page.
pub const MAX_LIMIT: i64 = 10_000;

/// A page that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Results before the page.
    pub offset: i64,
    /// Most results of the page, from 1 on.
    pub limit: i64,
}

/// Paging as a query has it; read as text, so that errors name the parameter and say what it may be.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PagingParams {
    /// Results before the page; 0, the default, is the first.
    #[param(value_type = Option<i64>, minimum = 0, example = 0)]
    pub offset: Option<String>,
    /// Most results of the page; 1,000 by default.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 10000, example = 1000)]
    pub limit: Option<String>,
}

impl PagingParams {
    /// The page, with at most `most` results.
    ///
    /// # Errors
    /// `400` for a limit of 0 or more than `most`, and for what is no number.
    pub fn resolve(&self, most: i64) -> Result<Paging, ApiError> {
        self.or_in(&Fields::default(), most)
    }

    /// The page, of which either half may stand in the body instead; the query's word counts.
    ///
    /// # Errors
    /// As [`PagingParams::resolve`].
    pub fn or_in(&self, body: &Fields, most: i64) -> Result<Paging, ApiError> {
        let offset = match number("offset", self.offset.as_deref(), 0..=i64::MAX)? {
            Some(offset) => Some(offset),
            None => body.integer("offset", 0..=i64::MAX)?,
        };
        let limit = match number("limit", self.limit.as_deref(), 1..=most)? {
            Some(limit) => Some(limit),
            None => body.integer("limit", 1..=most)?,
        };
        Ok(Paging { offset: offset.unwrap_or(0), limit: limit.unwrap_or(DEFAULT_LIMIT.min(most)) })
    }
}

/// A number of a query, under the rules of a body's. Nothing behind the name counts as absent, and so does the
/// name's own shell variable: the documented example quotes it in a way that a shell does not fill in.
fn number(name: &str, text: Option<&str>, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty() && text.strip_prefix('$') != Some(name));
    let Some(text) = text else { return Ok(None) };
    let number: i64 = text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        refuse(name, format_args!("must be a whole number from {} to {}", range.start(), range.end()))
    })?;
    Ok(Some(number))
}

/// Which properties of a result are wanted: those of a comma list, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection(Option<Vec<&'static str>>);

impl Projection {
    /// Reads a comma list of these properties.
    ///
    /// # Errors
    /// `400` that names the first unknown one.
    pub fn parse(text: Option<&str>, known: &[&'static str]) -> Result<Self, ApiError> {
        let names: Vec<_> =
            text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Ok(Self(None));
        }
        let find = |name: &&str| {
            known.iter().copied().find(|known| known == name).ok_or_else(|| {
                let message = format!("unknown field `{name}`; `fields` may name {}", known.join(", "));
                ApiError::bad_request("unknown_field", "fields", message)
            })
        };
        names.iter().map(find).collect::<Result<_, _>>().map(|names| Self(Some(names)))
    }

    /// Leaves of a result what is wanted.
    pub fn apply(&self, result: &mut Value) {
        if let (Some(names), Some(object)) = (&self.0, result.as_object_mut()) {
            object.retain(|name, _| names.contains(&name.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(offset: Option<&str>, limit: Option<&str>) -> PagingParams {
        PagingParams { offset: offset.map(str::to_owned), limit: limit.map(str::to_owned) }
    }

    #[test]
    fn limits_have_ends() {
        let page = |offset, limit| params(offset, limit).resolve(MAX_LIMIT).map_err(|e| e.target.unwrap_or_default());
        assert_eq!(page(None, None), Ok(Paging { offset: 0, limit: 1000 }));
        assert_eq!(page(Some("$offset"), Some("$limit")), Ok(Paging { offset: 0, limit: 1000 }));
        assert_eq!(page(Some(""), Some(" ")), Ok(Paging { offset: 0, limit: 1000 }));
        assert_eq!(page(Some("7"), Some("1")), Ok(Paging { offset: 7, limit: 1 }));
        assert_eq!(page(Some("9223372036854775807"), Some("10000")).unwrap().limit, 10_000);
        for wrong in ["0", "10001", "-1", "1.5", "ten", "$offset", "99999999999999999999"] {
            assert_eq!(page(None, Some(wrong)), Err("limit".to_owned()), "{wrong}");
        }
        for wrong in ["-1", "x", "9223372036854775808"] {
            assert_eq!(page(Some(wrong), None), Err("offset".to_owned()), "{wrong}");
        }
        assert_eq!(params(None, None).resolve(50).unwrap(), Paging { offset: 0, limit: 50 });
    }

    #[test]
    fn the_body_may_say_it_and_the_query_counts() {
        let body = Fields::of(json!({ "limit": 5, "offset": 6 })).unwrap();
        assert_eq!(params(None, None).or_in(&body, 10).unwrap(), Paging { offset: 6, limit: 5 });
        assert_eq!(params(Some("1"), None).or_in(&body, 10).unwrap(), Paging { offset: 1, limit: 5 });
        assert_eq!(params(None, Some("2")).or_in(&body, 10).unwrap(), Paging { offset: 6, limit: 2 });
        let wrong = Fields::of(json!({ "limit": 10_001 })).unwrap();
        assert!(params(None, None).or_in(&wrong, MAX_LIMIT).is_err());
    }

    #[test]
    fn unknown_fields_are_named() {
        let known = ["a", "b"];
        let mut value = json!({ "a": 1, "b": 2 });
        Projection::parse(Some(" b,,b"), &known).unwrap().apply(&mut value);
        assert_eq!(value, json!({ "b": 2 }));
        assert_eq!(Projection::parse(Some(" ,"), &known).unwrap(), Projection(None));
        let refused = Projection::parse(Some("a,B"), &known).unwrap_err();
        assert_eq!((refused.target.as_deref(), refused.message.contains("`B`")), (Some("fields"), true));
    }
}
