//! What a source's `SELECT` may call: the functions of a `where`, access to lists, and those here.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::values;
use crate::query::functions::{is_where_function, where_functions};

/// Name of the function that gives the canonical address of a text, or null. What it refuses is
/// counted for the column it stands in.
pub(super) const IP_ADDRESS: &str = "ip_address";

/// Functions of the engine beside those of a `where`. None gives more than its arguments hold.
const OF_THE_ENGINE: &[&str] = &["get_field", "array_element", "array_length"];

/// One of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Helper {
    /// `ip_address(text)`.
    IpAddress,
    /// `epoch_ms(text)`.
    EpochMs,
    /// `last_segment(text, separators)`.
    LastSegment,
    /// `file_extension(path)`.
    FileExtension,
}

const HELPERS: [Helper; 4] = [Helper::IpAddress, Helper::EpochMs, Helper::LastSegment, Helper::FileExtension];

impl Helper {
    const fn name(self) -> &'static str {
        match self {
            Self::IpAddress => IP_ADDRESS,
            Self::EpochMs => "epoch_ms",
            Self::LastSegment => "last_segment",
            Self::FileExtension => "file_extension",
        }
    }

    const fn arguments(self) -> usize {
        match self {
            Self::LastSegment => 2,
            Self::IpAddress | Self::EpochMs | Self::FileExtension => 1,
        }
    }

    fn apply(self, texts: &StringArray, separators: &str) -> Result<ArrayRef, DataFusionError> {
        Ok(match self {
            Self::IpAddress => {
                let mut out = StringBuilder::with_capacity(texts.len(), texts.len() * 16);
                for text in texts {
                    if let Some(address) = text.and_then(values::ip_address) {
                        write!(out, "{address}").map_err(|error| exec_datafusion_err!("{error}"))?;
                        out.append_value("");
                    } else {
                        out.append_null();
                    }
                }
                Arc::new(out.finish())
            }
            Self::EpochMs => {
                let mut out = Int64Builder::with_capacity(texts.len());
                for text in texts {
                    out.append_option(text.and_then(values::epoch_ms));
                }
                Arc::new(out.finish())
            }
            Self::LastSegment => picked(texts, |text| values::last_segment(text, separators)),
            Self::FileExtension => picked(texts, values::file_extension),
        })
    }
}

fn picked<'t>(texts: &'t StringArray, pick: impl Fn(&'t str) -> Option<&'t str>) -> ArrayRef {
    Arc::new(texts.iter().map(|text| text.and_then(&pick)).collect::<StringArray>())
}

/// A helper as the engine calls it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HelperFunction {
    helper: Helper,
    signature: Signature,
}

impl ScalarUDFImpl for HelperFunction {
    fn name(&self) -> &str {
        self.helper.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(if self.helper == Helper::EpochMs { DataType::Int64 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let mut given = arguments.args.into_iter();
        let Some(texts) = given.next() else { return exec_err!("{} needs a text", self.name()) };
        let separators = match given.next() {
            None => String::new(),
            Some(ColumnarValue::Scalar(scalar)) => scalar.try_as_str().flatten().unwrap_or_default().to_owned(),
            Some(ColumnarValue::Array(_)) => return exec_err!("{} needs constant separators", self.name()),
        };
        let is_scalar = matches!(texts, ColumnarValue::Scalar(_));
        let texts = cast(&texts.into_array(if is_scalar { 1 } else { arguments.number_rows })?, &DataType::Utf8)?;
        let values = self.helper.apply(texts.as_string(), &separators)?;
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?));
        }
        Ok(ColumnarValue::Array(values))
    }
}

/// Whether a source may call a function of this name.
pub(super) fn is_source_function(name: &str) -> bool {
    is_where_function(name) || OF_THE_ENGINE.contains(&name) || HELPERS.iter().any(|helper| helper.name() == name)
}

/// All functions of a source.
pub(super) fn source_functions() -> Vec<Arc<ScalarUDF>> {
    let nested = datafusion::functions_nested::all_default_nested_functions();
    let core = datafusion::functions::core::functions();
    let of_the_engine = nested.into_iter().chain(core).filter(|function| OF_THE_ENGINE.contains(&function.name()));
    let helpers = HELPERS.into_iter().map(|helper| {
        let types = TypeSignature::String(helper.arguments());
        let signature = Signature::new(types, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(HelperFunction { helper, signature }))
    });
    where_functions().into_iter().chain(of_the_engine).chain(helpers).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_function_is_found_and_immutable() {
        let functions = source_functions();
        let names: BTreeSet<&str> = functions.iter().map(|function| function.name()).collect();
        for name in OF_THE_ENGINE.iter().copied().chain(HELPERS.map(Helper::name)) {
            assert!(names.contains(name), "{name}");
        }
        for function in &functions {
            assert!(is_source_function(function.name()), "{}", function.name());
            assert_eq!(function.signature().volatility, Volatility::Immutable, "{}", function.name());
        }
    }
}
