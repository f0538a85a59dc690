//! Functions whose results can blow up, or that can take long, with a bound in front.
//!
//! The size of a result is known from the arguments before it is made: a failed allocation would abort the process.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, plan_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

use super::work::{self, Work};
use crate::query::limits::Limit;
use crate::query::limits::values::Values;
use crate::query::limits::weight::row_weights;

/// Largest value that a function may make, in bytes.
const MAX_VALUE_BYTES: u64 = 4 << 20;

/// Largest result of one call for a batch of rows, in bytes.
const MAX_RESULT_BYTES: u64 = 64 << 20;

/// Most values in a structure, those of structures in it counted.
const MAX_LEAVES: usize = 1_000;

/// Name of the function that stands for `||`.
pub(super) const TEXT_CONCAT: &str = "text_concat";

/// What a plan's node weighs that is no text; see [`row_weights`].
pub(super) const CELL_BYTES: u64 = 16;

/// How a result comes about, and so how large it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// Of all arguments together.
    Sum,
    /// Of the first argument as often as the second says.
    Repeated,
    /// Of as many characters as the second argument says.
    Padded,
    /// Of the first argument with each occurrence of the second replaced by the third.
    Replaced,
    /// Of the first argument with each match of a pattern replaced by the third.
    ReplacedMatches,
    /// Of the texts behind the first argument, with that between them.
    JoinedTexts,
    /// Of the list's elements, with the second or third argument between or in place of them.
    JoinedList,
    /// Of the characters of the first argument, each an element.
    Split,
    /// Of a format's letters, each written out.
    Formatted,
}

/// What is bounded of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    /// How large its result is.
    pub(super) made: Option<Made>,
    /// How long it takes.
    pub(super) work: Option<Work>,
}

impl From<Made> for Bound {
    fn from(made: Made) -> Self {
        Self { made: Some(made), work: None }
    }
}

/// A function with its bound.
#[derive(Debug)]
pub(super) struct Limited {
    inner: Arc<ScalarUDF>,
    bound: Bound,
    values: Arc<Values>,
}

impl Limited {
    pub(super) fn new(inner: Arc<ScalarUDF>, bound: Bound, values: &Arc<Values>) -> Self {
        Self { inner, bound, values: Arc::clone(values) }
    }

    fn check_sizes(&self, made: Made, args: &ScalarFunctionArgs, columns: &Columns) -> Result<u64, DataFusionError> {
        let sizes = sizes(made, args, columns)?;
        let total = sizes.iter().copied().fold(0, u64::saturating_add);
        if total > MAX_RESULT_BYTES || sizes.iter().any(|size| *size > MAX_VALUE_BYTES) {
            let what = format_args!("{} would make a value that is too large", self.name());
            return Err(self.values.refuse(Limit::Value, what));
        }
        Ok(total)
    }

    fn work(&self, work: Work, args: ScalarFunctionArgs, columns: &Columns) -> Result<ColumnarValue, DataFusionError> {
        let steps = work::steps_of(work, &args, columns);
        if steps.iter().any(|steps| *steps > work::MAX_STEPS) {
            let what = format_args!("{} would take too long", self.name());
            return Err(self.values.refuse(Limit::Work, what));
        }
        let portions = work::portions(&steps);
        if portions.len() == 1 {
            return self.inner.invoke_with_args(args);
        }
        let mut results = Vec::with_capacity(portions.len());
        for rows in portions {
            self.values.go_on()?;
            let result = self.inner.invoke_with_args(work::rows_of(&args, &rows))?;
            results.push(result.into_array(rows.len())?);
        }
        let results: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(arrow::compute::concat(&results)?))
    }
}

impl PartialEq for Limited {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner && self.bound == other.bound
    }
}

impl Eq for Limited {}

impl Hash for Limited {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[datafusion::logical_expr::Expr]) -> Result<String, DataFusionError> {
        self.inner.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        check_types(types.iter())?;
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef, DataFusionError> {
        check_types(args.arg_fields.iter().map(|field| field.data_type()))?;
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    // Simplifying is not passed on: it may put the function itself back without its bound.

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        self.values.go_on()?;
        let columns = Columns::of(&args)?;
        let made = self.bound.made.map(|made| self.check_sizes(made, &args, &columns)).transpose()?;
        let charge = if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            self.values.keep(made.unwrap_or(0))?;
            None
        } else {
            made.map(|bytes| self.values.charge(bytes)).transpose()?
        };
        let result = match self.bound.work {
            Some(work) => self.work(work, args, &columns)?,
            None => self.inner.invoke_with_args(args)?,
        };
        Ok(match (charge, result) {
            (Some(charge), ColumnarValue::Array(array)) => ColumnarValue::Array(charge.hold(&array)?),
            (_, result) => result,
        })
    }
}

/// A structure of structures has a type that doubles with each level, and the planner writes types out.
fn check_types<'a>(types: impl Iterator<Item = &'a DataType>) -> Result<(), DataFusionError> {
    let leaves = types.fold(0, |sum, data_type| leaves(data_type, sum));
    if leaves > MAX_LEAVES {
        return Err(plan_datafusion_err!("a structure has more than {MAX_LEAVES} fields"));
    }
    Ok(())
}

/// Values in a value of this type, added to `sum`; no more are counted than matter.
fn leaves(data_type: &DataType, sum: usize) -> usize {
    if sum > MAX_LEAVES {
        return sum;
    }
    match data_type {
        DataType::List(field) | DataType::LargeList(field) => leaves(field.data_type(), sum),
        DataType::Struct(fields) => fields.iter().fold(sum + 1, |sum, field| leaves(field.data_type(), sum)),
        _ => sum + 1,
    }
}

/// Arguments as columns of equal length; one row where all are constants.
pub(super) struct Columns {
    columns: Vec<ArrayRef>,
}

impl Columns {
    fn of(args: &ScalarFunctionArgs) -> Result<Self, DataFusionError> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        // A constant stands for each row; it is weighed once.
        let columns = args.args.iter().map(|arg| match arg {
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
            ColumnarValue::Scalar(scalar) => scalar.to_array(),
        });
        let columns = columns.collect::<Result<Vec<_>, DataFusionError>>()?;
        let columns = if rows == 1 { columns } else { columns.into_iter().map(|c| spread(c, rows)).collect() };
        Ok(Self { columns })
    }

    /// Bytes of each row of an argument; none where there is no such argument.
    pub(super) fn sizes(&self, argument: usize) -> Vec<u64> {
        self.columns.get(argument).map(|column| row_weights(column, true)).unwrap_or_default()
    }

    fn numbers(&self, argument: usize) -> Result<Vec<u64>, DataFusionError> {
        let Some(column) = self.columns.get(argument) else { return Ok(Vec::new()) };
        let numbers = arrow::compute::cast(column, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        Ok(numbers.iter().map(|number| u64::try_from(number.unwrap_or(0)).unwrap_or(0)).collect())
    }
}

/// A constant's row for every row, without copying it: one run of a dictionary of one value.
fn spread(column: ArrayRef, rows: usize) -> ArrayRef {
    if column.len() != 1 {
        return column;
    }
    let keys = arrow::array::Int32Array::from(vec![if column.is_null(0) { None } else { Some(0) }; rows]);
    match arrow::array::DictionaryArray::try_new(keys, Arc::clone(&column)) {
        Ok(spread) => Arc::new(spread),
        Err(_) => column,
    }
}

/// Bytes of a text with this weight.
pub(super) fn text(weight: u64) -> u64 {
    weight.saturating_sub(CELL_BYTES)
}

/// Bytes of each row's result, at most.
fn sizes(made: Made, args: &ScalarFunctionArgs, columns: &Columns) -> Result<Vec<u64>, DataFusionError> {
    let first = columns.sizes(0);
    let each = |size: &dyn Fn(usize, u64) -> u64| first.iter().enumerate().map(|(row, own)| size(row, *own)).collect();
    let at = |sizes: &[u64], row: usize| sizes.get(row).copied().unwrap_or(0);
    Ok(match made {
        Made::Sum => (1..columns.columns.len()).fold(first, |sums, argument| {
            let more = columns.sizes(argument);
            sums.iter().enumerate().map(|(row, sum)| sum.saturating_add(at(&more, row))).collect()
        }),
        Made::Repeated => {
            let is_list = matches!(args.return_field.data_type(), DataType::List(_) | DataType::LargeList(_));
            let times = columns.numbers(1)?;
            each(&|row, own| at(&times, row).saturating_mul(if is_list { own } else { text(own) }))
        }
        // A character takes four bytes at most.
        Made::Padded => {
            let characters = columns.numbers(1)?;
            each(&|row, _| at(&characters, row).saturating_mul(4))
        }
        Made::Replaced => {
            let (patterns, replacements) = (columns.sizes(1), columns.sizes(2));
            each(&|row, own| {
                let matches = (text(own) + 1) / text(at(&patterns, row)).max(1);
                text(own).saturating_add(matches.saturating_mul(text(at(&replacements, row))))
            })
        }
        Made::ReplacedMatches => {
            let replacements = columns.sizes(2);
            // A match may be empty, and a replacement may hold it several times (`\0\0`).
            each(&|row, own| {
                let replacement = text(at(&replacements, row));
                let of_matches = text(own).saturating_mul(replacement / 2 + 1);
                of_matches.saturating_add((text(own) + 1).saturating_mul(replacement))
            })
        }
        Made::JoinedTexts => {
            let separators = first;
            let parts = columns.columns.len().saturating_sub(1);
            let sum = (1..=parts).fold(vec![0; separators.len()], |sums: Vec<u64>, argument| {
                let more = columns.sizes(argument);
                sums.iter().enumerate().map(|(row, sum)| sum.saturating_add(at(&more, row))).collect()
            });
            let gaps = parts as u64;
            sum.iter().zip(&separators).map(|(sum, gap)| sum.saturating_add(text(*gap).saturating_mul(gaps))).collect()
        }
        Made::JoinedList => {
            let (gaps, nulls) = (columns.sizes(1), columns.sizes(2));
            // Each element weighs a cell at least.
            each(&|row, own| {
                let per_element = text(at(&gaps, row)) + text(at(&nulls, row)) + 8;
                own.saturating_add((own / CELL_BYTES).saturating_mul(per_element))
            })
        }
        Made::Split => each(&|_, own| text(own).saturating_add(1).saturating_mul(CELL_BYTES + 1)),
        Made::Formatted => {
            let formats = columns.sizes(1);
            each(&|row, own| own.saturating_add(text(at(&formats, row)).saturating_mul(16)))
        }
    })
}

/// The operator `||` on texts, for as many as stand in a row: null when any is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TextConcat {
    signature: Signature,
}

/// The function that stands for `||`, bounded.
pub(super) fn text_concat(values: &Arc<Values>) -> Arc<ScalarUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    let inner = Arc::new(ScalarUDF::new_from_impl(TextConcat { signature }));
    Arc::new(ScalarUDF::new_from_impl(Limited::new(inner, Made::Sum.into(), values)))
}

/// Whether a function is one of the bounded ones, with its bound.
pub(super) fn is_limited(function: &ScalarUDF) -> bool {
    let inner: &dyn Any = function.inner().as_ref();
    inner.is::<Limited>()
}

impl ScalarUDFImpl for TextConcat {
    fn name(&self) -> &str {
        TEXT_CONCAT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        Ok(vec![DataType::Utf8; types.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts: Vec<&arrow::array::StringArray> = arrays.iter().map(AsArray::as_string::<i32>).collect();
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let joined = arrow::compute::kernels::concat_elements::concat_elements_utf8_many(&texts)?;
        if constant && joined.len() == 1 {
            let scalar = datafusion::scalar::ScalarValue::try_from_array(&joined, 0)?;
            return Ok(ColumnarValue::Scalar(scalar));
        }
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}
