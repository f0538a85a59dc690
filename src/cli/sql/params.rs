//! Parameters of a statement, as people write them.

use serde_json::{Map, Value};

use crate::cli::CommandError;

/// One `--param`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Param {
    name: String,
    value: Value,
}

/// `NAME=VALUE`; the value as JSON where it is a scalar of JSON, else as text.
///
/// # Errors
/// A text for clap.
pub(in crate::cli) fn param(text: &str) -> Result<Param, String> {
    let (name, value) = text.split_once('=').ok_or("write 1=VALUE for $1, or NAME=VALUE for $NAME")?;
    let name = name.trim().trim_start_matches('$');
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("a parameter's name has letters, digits and underscores".to_owned());
    }
    let scalar = serde_json::from_str(value).ok().filter(|json: &Value| !json.is_array() && !json.is_object());
    Ok(Param { name: name.to_owned(), value: scalar.unwrap_or_else(|| Value::String(value.to_owned())) })
}

/// The parameters of one statement, as the request takes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::cli) struct Params(pub(in crate::cli) Option<Value>);

impl Params {
    /// Parameters by position or by name.
    ///
    /// # Errors
    /// When both kinds are given, or a position is left out.
    pub(in crate::cli) fn of(given: &[Param]) -> Result<Self, CommandError> {
        let position = |param: &Param| param.name.parse::<usize>().ok();
        if given.is_empty() {
            return Ok(Self(None));
        }
        if given.iter().all(|param| position(param).is_none()) {
            let named: Map<_, _> = given.iter().map(|param| (param.name.clone(), param.value.clone())).collect();
            return Ok(Self(Some(Value::Object(named))));
        }
        let mut by_place: Vec<_> = given.iter().map(|param| (position(param), &param.value)).collect();
        by_place.sort_by_key(|(place, _)| *place);
        if by_place.iter().enumerate().any(|(index, (place, _))| *place != Some(index + 1)) {
            return Err(CommandError::usage(
                "parameters by position are 1=…, 2=… without a gap, and not mixed with names",
            ));
        }
        Ok(Self(Some(by_place.into_iter().map(|(_, value)| value.clone()).collect())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::option_option)] // Refused, absent, and given are three things here.
    fn params(texts: &[&str]) -> Option<Option<Value>> {
        let given: Vec<_> = texts.iter().map(|text| param(text).unwrap()).collect();
        Params::of(&given).ok().map(|params| params.0)
    }

    #[test]
    fn values_are_scalars_of_json_or_text() {
        assert_eq!(params(&[]), Some(None));
        assert_eq!(
            params(&["a=5", "b=ann", "c=\"5\"", "d=null", "$e=1.5", "f=", "g=[1]", "h=x=y"]),
            Some(Some(json!({
                "a": 5, "b": "ann", "c": "5", "d": null, "e": 1.5, "f": "", "g": "[1]", "h": "x=y"
            })))
        );
        assert!(param("ann").is_err() && param("=5").is_err() && param("a-b=5").is_err());
    }

    #[test]
    fn positions_have_no_gap() {
        assert_eq!(params(&["2=b", "1=a"]), Some(Some(json!(["a", "b"]))));
        for wrong in [&["1=a", "3=b"][..], &["1=a", "x=b"], &["1=a", "1=b"], &["0=a"]] {
            assert_eq!(params(wrong), None, "{wrong:?}");
        }
    }
}
