//! Values of a statement's parameters, from JSON.
//!
//! An array gives `$1`, `$2`, …; an object gives `$name`. A value is null, a boolean, a number, a text or a list of
//! such; where the type matters, `{"type": "timestamp", "value": "2026-01-01T00:00:00Z"}`.

use arrow::datatypes::DataType;
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use serde_json::Value;

use super::catalog::time_type;

/// Why parameters are refused.
#[derive(Debug, thiserror::Error)]
pub enum ParamError {
    /// They are neither an array nor an object.
    #[error("`params` must be an array for $1, $2, … or an object for $name")]
    Shape,
    /// A name is none.
    #[error("`{0}` is no name of a parameter; letters, digits and _ are allowed")]
    Name(String),
    /// A value does not fit.
    #[error("the parameter {name} {problem}")]
    Value {
        /// The parameter, as the statement names it.
        name: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// Names of types in the typed form.
const TYPES: &str = "bigint, double, boolean, varchar, timestamp, date";

/// Reads parameters.
///
/// # Errors
/// [`ParamError`], naming the parameter.
pub fn from_json(params: &Value) -> Result<ParamValues, ParamError> {
    match params {
        Value::Array(values) => {
            let scalars = values.iter().enumerate().map(|(place, value)| {
                scalar(value).map_err(|problem| ParamError::Value { name: format!("${}", place + 1), problem })
            });
            Ok(ParamValues::from(scalars.collect::<Result<Vec<_>, _>>()?))
        }
        Value::Object(values) => {
            let scalars = values.iter().map(|(name, value)| {
                let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
                if !is_name || name.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(ParamError::Name(name.clone()));
                }
                let value = scalar(value);
                let value = value.map_err(|problem| ParamError::Value { name: format!("${name}"), problem })?;
                Ok((name.clone(), value))
            });
            Ok(ParamValues::from(scalars.collect::<Result<Vec<_>, _>>()?))
        }
        _ => Err(ParamError::Shape),
    }
}

fn scalar(value: &Value) -> Result<ScalarValue, String> {
    match value {
        Value::Null => Ok(ScalarValue::Null),
        Value::Bool(value) => Ok(ScalarValue::Boolean(Some(*value))),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Ok(ScalarValue::Int64(Some(number))),
            (None, Some(number)) => Ok(ScalarValue::Float64(Some(number))),
            (None, None) => Err("is no number of 64 bits".to_owned()),
        },
        Value::String(text) => Ok(ScalarValue::Utf8(Some(text.clone()))),
        Value::Array(values) => list(values),
        Value::Object(typed) => match (typed.get("type"), typed.get("value"), typed.len()) {
            (Some(Value::String(name)), Some(value), 2) => of_type(name, value),
            _ => Err(r#"must be a value or {"type": "timestamp", "value": "…"}"#.to_owned()),
        },
    }
}

fn list(values: &[Value]) -> Result<ScalarValue, String> {
    let scalars = values.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
    let first = scalars.iter().map(ScalarValue::data_type).find(|data_type| !data_type.is_null());
    let element = first.unwrap_or(DataType::Utf8);
    if matches!(element, DataType::List(_)) {
        return Err("is a list of lists; give a flat one".to_owned());
    }
    let same = scalars.into_iter().map(|scalar| {
        let data_type = scalar.data_type();
        if data_type.is_null() {
            return ScalarValue::try_from(&element).map_err(|error| error.to_string());
        }
        if data_type == element { Ok(scalar) } else { Err("is a list of several types; give one".to_owned()) }
    });
    let same = same.collect::<Result<Vec<_>, _>>()?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&same, &element)))
}

fn of_type(name: &str, value: &Value) -> Result<ScalarValue, String> {
    let data_type = match name.to_ascii_lowercase().as_str() {
        "bigint" | "int64" => DataType::Int64,
        "double" | "float64" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "varchar" | "text" => DataType::Utf8,
        "timestamp" => time_type(),
        "date" => DataType::Date32,
        _ => return Err(format!("has the unknown type `{name}`; there are {TYPES}")),
    };
    let untyped = match value {
        Value::Array(_) | Value::Object(_) => return Err(format!("must be one value of type {name}")),
        // Numbers are ms since epoch, as everywhere.
        Value::Number(_) if matches!(data_type, DataType::Timestamp(..)) => match scalar(value)? {
            ScalarValue::Int64(ms) => ScalarValue::TimestampMillisecond(ms, Some("UTC".into())),
            _ => return Err("must be whole ms since epoch or a text".to_owned()),
        },
        other => scalar(other)?,
    };
    let misfit = || format!("is no {name}: {value}");
    if untyped.is_null() {
        return ScalarValue::try_from(&data_type).map_err(|_| misfit());
    }
    let cast = untyped.cast_to(&data_type).map_err(|_| misfit())?;
    if cast.is_null() { Err(misfit()) } else { Ok(cast) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn positional(value: &Value) -> Vec<ScalarValue> {
        match from_json(value).unwrap() {
            ParamValues::List(values) => values.into_iter().map(|value| value.value).collect(),
            ParamValues::Map(_) => panic!("named"),
        }
    }

    #[test]
    fn values_take_the_types_of_json_or_the_ones_they_name() {
        let found = positional(&json!([
            null, true, 7, 1.5, "x", [1, null, 2], [],
            {"type": "timestamp", "value": "2026-01-01T00:00:00Z"},
            {"type": "timestamp", "value": 1_767_225_600_000_i64},
            {"type": "date", "value": "2026-01-01"},
            {"type": "double", "value": 1},
            {"type": "varchar", "value": null},
        ]));
        let midnight = ScalarValue::TimestampMillisecond(Some(1_767_225_600_000), Some("UTC".into()));
        assert_eq!(found[0], ScalarValue::Null);
        assert_eq!(found[1..5], [true.into(), 7_i64.into(), 1.5.into(), "x".into()]);
        assert!(matches!(&found[5], ScalarValue::List(list) if arrow::array::Array::len(&list.value(0)) == 3));
        assert!(matches!(&found[6], ScalarValue::List(_)));
        assert_eq!(found[7..9], [midnight.clone(), midnight]);
        assert_eq!(found[9], ScalarValue::Date32(Some(20_454)));
        assert_eq!(found[10], ScalarValue::Float64(Some(1.0)));
        assert_eq!(found[11], ScalarValue::Utf8(None));
        assert!(matches!(from_json(&json!({"user": "x", "a_1": 2})).unwrap(), ParamValues::Map(map) if map.len() == 2));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (params, wanted) in [
            (json!("x"), "array"),
            (json!({"a b": 1}), "a b"),
            (json!({"1": 1}), "name"),
            (json!([1, [1, "x"]]), "$2"),
            (json!([[[1]]]), "flat"),
            (json!([{"type": "timestamp"}]), "value"),
            (json!([{"type": "uuid", "value": 1}]), "bigint"),
            (json!([{"type": "timestamp", "value": "yesterday"}]), "timestamp"),
            (json!([{"type": "bigint", "value": "x"}]), "bigint"),
            (json!({"u": {"type": "bigint", "value": [1]}}), "$u"),
        ] {
            let error = from_json(&params).unwrap_err().to_string();
            assert!(error.contains(wanted), "{params}: {error}");
        }
    }
}
