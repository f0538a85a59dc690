//! Functions that read one text.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::domain::country::country_code;
use crate::sources::user_agent::{Category, UserAgent, user_agent};
use crate::sources::values;

/// Name of the function that gives the canonical address of a text, or null. What it refuses is
/// counted for the column it stands in.
pub(in crate::sources) const IP_ADDRESS: &str = "ip_address";

/// What is read out of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    /// `ip_address(text)`.
    IpAddress,
    /// `epoch_ms(text)`.
    EpochMs,
    /// `last_segment(text, separators)`.
    LastSegment,
    /// `file_extension(path)`.
    FileExtension,
    /// `country_code(name)`.
    CountryCode,
    /// `user_agent_name(text)`.
    AgentName,
    /// `user_agent_os(text)`.
    AgentSystem,
    /// `user_agent_category(text)`.
    AgentCategory,
}

impl Reader {
    pub(super) const ALL: [Self; 8] = [
        Self::IpAddress,
        Self::EpochMs,
        Self::LastSegment,
        Self::FileExtension,
        Self::CountryCode,
        Self::AgentName,
        Self::AgentSystem,
        Self::AgentCategory,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::IpAddress => IP_ADDRESS,
            Self::EpochMs => "epoch_ms",
            Self::LastSegment => "last_segment",
            Self::FileExtension => "file_extension",
            Self::CountryCode => "country_code",
            Self::AgentName => "user_agent_name",
            Self::AgentSystem => "user_agent_os",
            Self::AgentCategory => "user_agent_category",
        }
    }

    pub(super) fn function(self) -> ScalarUDF {
        let arguments = if self == Self::LastSegment { 2 } else { 1 };
        let signature = Signature::new(TypeSignature::String(arguments), Volatility::Immutable);
        ScalarUDF::new_from_impl(ReaderFunction { reader: self, signature })
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
            Self::CountryCode => picked(texts, country_code),
            Self::AgentName => of_agents(texts, |agent| agent.name.as_deref()),
            Self::AgentSystem => of_agents(texts, |agent| agent.system.as_deref()),
            Self::AgentCategory => of_agents(texts, |agent| agent.category.map(Category::text)),
        })
    }
}

fn picked<'t, T: AsRef<str>>(texts: &'t StringArray, pick: impl Fn(&'t str) -> Option<T>) -> ArrayRef {
    Arc::new(texts.iter().map(|text| text.and_then(&pick)).collect::<StringArray>())
}

/// What the agents of texts tell. Within a batch each text is looked up once.
fn of_agents(texts: &StringArray, pick: impl Fn(&UserAgent) -> Option<&str>) -> ArrayRef {
    let mut known: HashMap<&str, Arc<UserAgent>> = HashMap::new();
    let mut out = StringBuilder::with_capacity(texts.len(), texts.len() * 8);
    for text in texts {
        let agent = text.map(|text| &**known.entry(text).or_insert_with(|| user_agent(text)));
        out.append_option(agent.and_then(&pick));
    }
    Arc::new(out.finish())
}

/// A reader as the engine calls it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ReaderFunction {
    reader: Reader,
    signature: Signature,
}

impl ScalarUDFImpl for ReaderFunction {
    fn name(&self) -> &str {
        self.reader.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(if self.reader == Reader::EpochMs { DataType::Int64 } else { DataType::Utf8 })
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
        let values = self.reader.apply(texts.as_string(), &separators)?;
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?));
        }
        Ok(ColumnarValue::Array(values))
    }
}
