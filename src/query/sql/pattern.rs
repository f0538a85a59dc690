//! Bounds on patterns. Matching takes as many steps for each character as the pattern has places, and more to compile.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, plan_datafusion_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Like, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::query::limits::Limit;
use crate::query::limits::values::Values;

/// Longest pattern, and longest delimiter of `string_agg`, in bytes.
pub(super) const MAX_PATTERN_BYTES: usize = 1_000;

/// Most repetitions that a pattern asks for, nested ones multiplied.
const MAX_REPETITIONS: u64 = 1_000;

/// Most `_` of a `LIKE`: a text can be at any number of them at once.
const MAX_ANY_CHARACTERS: usize = 100;

/// Name of the function around the pattern of a `LIKE` that is made of others.
const LIKE_PATTERN: &str = "like_pattern";

/// Whether an expression is a short text.
pub(super) fn is_short_text(expression: &Expr) -> bool {
    text_of(expression).is_some_and(|text| text.len() <= MAX_PATTERN_BYTES)
}

/// The text of a literal; a null has none and matches nothing.
fn text_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(scalar, _) if scalar.is_null() => Some(""),
        Expr::Literal(scalar, _) => scalar.try_as_str().flatten(),
        Expr::Cast(cast) => text_of(&cast.expr),
        Expr::Alias(alias) => text_of(&alias.expr),
        _ => None,
    }
}

/// Bounds a regular expression, which must be a literal by now.
///
/// # Errors
/// When it is none, or too large.
pub(super) fn check_regex(pattern: &Expr) -> Result<(), DataFusionError> {
    let Some(text) = text_of(pattern) else {
        return Err(plan_datafusion_err!("a pattern must be a literal or a parameter"));
    };
    if text.len() > MAX_PATTERN_BYTES {
        return Err(plan_datafusion_err!("a pattern has more than {MAX_PATTERN_BYTES} bytes"));
    }
    if repetitions(text) > MAX_REPETITIONS {
        return Err(plan_datafusion_err!("a pattern asks for more than {MAX_REPETITIONS} repetitions"));
    }
    Ok(())
}

/// About how many steps a regular expression takes for each character.
pub(super) fn steps(pattern: &str) -> u64 {
    (pattern.len() as u64).saturating_add(repetitions(pattern)).max(1)
}

/// Product of all counted repetitions of a pattern, nested or not.
fn repetitions(pattern: &str) -> u64 {
    let counted = pattern.split('{').skip(1).map(|rest| {
        let numbers = rest.split('}').next().unwrap_or_default().split(',');
        numbers.filter_map(|number| number.trim().parse::<u64>().ok()).max().unwrap_or(1).max(1)
    });
    counted.fold(1, u64::saturating_mul)
}

/// Bounds the pattern of a `LIKE`: a literal now, one that is made of others when it is made.
///
/// # Errors
/// When it is a literal and too large.
pub(super) fn bounded_like(like: Like, values: &Arc<Values>) -> Result<Expr, DataFusionError> {
    if let Some(text) = text_of(&like.pattern) {
        if !is_bounded(text) {
            return Err(plan_datafusion_err!("a {}", too_large()));
        }
        return Ok(Expr::Like(like));
    }
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    let bounded = Arc::new(ScalarUDF::new_from_impl(LikePattern { signature, values: Arc::clone(values) }));
    let pattern = Expr::ScalarFunction(ScalarFunction::new_udf(bounded, vec![*like.pattern]));
    Ok(Expr::Like(Like { pattern: Box::new(pattern), ..like }))
}

fn is_bounded(text: &str) -> bool {
    text.len() <= MAX_PATTERN_BYTES && text.bytes().filter(|byte| *byte == b'_').count() <= MAX_ANY_CHARACTERS
}

fn too_large() -> String {
    format!("pattern of LIKE has more than {MAX_PATTERN_BYTES} bytes or {MAX_ANY_CHARACTERS} '_'")
}

/// Gives the pattern back, if it keeps to the bounds.
#[derive(Debug)]
struct LikePattern {
    signature: Signature,
    values: Arc<Values>,
}

impl PartialEq for LikePattern {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for LikePattern {}

impl std::hash::Hash for LikePattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl ScalarUDFImpl for LikePattern {
    fn name(&self) -> &'static str {
        LIKE_PATTERN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        let [pattern] = types else {
            return Err(DataFusionError::Internal(format!("{LIKE_PATTERN} takes one argument")));
        };
        Ok(pattern.clone())
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        match types {
            [text] if text.is_string() => Ok(vec![text.clone()]),
            [DataType::Null] => Ok(vec![DataType::Utf8]),
            _ => Err(plan_datafusion_err!("the pattern of LIKE must be a text")),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let (Some(pattern), true) = (args.args.pop(), args.args.is_empty()) else {
            return Err(DataFusionError::Internal(format!("{LIKE_PATTERN} takes one argument")));
        };
        let fits = match &pattern {
            ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten().is_none_or(is_bounded),
            ColumnarValue::Array(array) => {
                let texts = arrow::compute::cast(array, &DataType::Utf8View)?;
                texts.as_string_view().iter().flatten().all(is_bounded)
            }
        };
        if fits { Ok(pattern) } else { Err(self.values.refuse(Limit::Work, format_args!("a {}", too_large()))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_multiply() {
        assert_eq!(repetitions("a{3}b{2,5}(c{10,}){1}"), 150);
        assert_eq!(repetitions("a{,}b{x}{"), 1);
        assert_eq!(repetitions("(((a{1000}){1000}){1000}){99999999999}"), u64::MAX);
        assert_eq!(steps("a{30}"), 35);
    }

    #[test]
    fn the_patterns_of_like_are_bounded() {
        assert!(is_bounded(&"%a".repeat(500)) && !is_bounded(&"%a".repeat(501)));
        assert!(is_bounded(&"_".repeat(100)) && !is_bounded(&"_".repeat(101)));
    }
}
