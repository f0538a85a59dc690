//! Functions that join texts.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::domain::location::location_id;

/// How texts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Joiner {
    /// `joined(separator, first, second)`: those that are neither null nor empty; null without any.
    Joined,
    /// `location_id(city, country, region)`: with `::` between, what is missing left empty; null without any.
    LocationId,
}

impl Joiner {
    pub(super) const ALL: [Self; 2] = [Self::Joined, Self::LocationId];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::LocationId => "location_id",
        }
    }

    pub(super) fn function(self) -> ScalarUDF {
        let signature = Signature::new(TypeSignature::String(3), Volatility::Immutable);
        ScalarUDF::new_from_impl(JoinerFunction { joiner: self, signature })
    }

    fn apply<'t>(self, [a, b, c]: [&'t StringArray; 3]) -> ArrayRef {
        let mut out = StringBuilder::new();
        let given = |text: Option<&'t str>| text.filter(|text| !text.is_empty());
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            let text = match (self, given(a), given(b), given(c)) {
                (Self::Joined, separator, Some(first), Some(second)) => {
                    Some([first, separator.unwrap_or_default(), second].concat())
                }
                (Self::Joined, _, first, second) => first.or(second).map(str::to_owned),
                (Self::LocationId, city, country, region) => location_id(city, country, region),
            };
            out.append_option(text);
        }
        Arc::new(out.finish())
    }
}

/// A joiner as the engine calls it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JoinerFunction {
    joiner: Joiner,
    signature: Signature,
}

impl ScalarUDFImpl for JoinerFunction {
    fn name(&self) -> &str {
        self.joiner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let is_scalar = arguments.args.iter().all(|given| matches!(given, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { arguments.number_rows };
        let texts = |given: ColumnarValue| Ok(cast(&given.into_array(rows)?, &DataType::Utf8)?);
        let texts = arguments.args.into_iter().map(texts).collect::<Result<Vec<_>, DataFusionError>>()?;
        let [a, b, c] = texts.as_slice() else { return exec_err!("{} needs three texts", self.name()) };
        let joined = self.joiner.apply([a.as_string(), b.as_string(), c.as_string()]);
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(joined))
    }
}
