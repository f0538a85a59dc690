//! `value_of(list, 'name', 'size', 'value')`: out of lists of named values, such as
//! `[{"name": "size", "value": 5}]`, the value of that name.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef, Fields};
use datafusion::common::{DataFusionError, ScalarValue, exec_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(super) const NAME: &str = "value_of";

pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(ValueOf { signature: Signature::any(4, Volatility::Immutable) })
}

/// The function as the engine calls it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueOf {
    signature: Signature,
}

impl ScalarUDFImpl for ValueOf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        exec_err!("the type depends on the field that is asked for")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef, DataFusionError> {
        let constant = |place: usize| {
            let text = arguments.scalar_arguments.get(place).copied().flatten().and_then(ScalarValue::try_as_str);
            text.flatten().ok_or_else(|| plan_datafusion_err!("{NAME} takes a list and three constant texts"))
        };
        let Some(fields) = arguments.arg_fields.first().and_then(|list| fields_of(list.data_type())) else {
            return plan_err!("the first argument of {NAME} is no list of objects");
        };
        let field = |name: &str| {
            let found = fields.find(name).map(|(_, field)| field);
            found.ok_or_else(|| plan_datafusion_err!("the objects of the list have no field `{name}`"))
        };
        constant(2)?;
        if !field(constant(1)?)?.data_type().is_string() {
            return plan_err!("the names that {NAME} looks for are texts");
        }
        Ok(FieldRef::clone(field(constant(3)?)?))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let mut given = arguments.args.into_iter();
        let Some(list) = given.next() else { return exec_err!("{NAME} needs a list") };
        let list = list.into_array(arguments.number_rows)?;
        let constant = |text: ColumnarValue| match text {
            ColumnarValue::Scalar(text) => text.try_as_str().flatten().map(str::to_owned),
            ColumnarValue::Array(_) => None,
        };
        let constants = given.map(constant).collect::<Option<Vec<_>>>().unwrap_or_default();
        let (Some(list), [key, name, value]) = (list.as_list_opt::<i32>(), constants.as_slice()) else {
            return exec_err!("{NAME} takes a list and three constant texts");
        };
        let Some(elements) = list.values().as_struct_opt() else { return exec_err!("{NAME} needs objects") };
        Ok(ColumnarValue::Array(values(list, elements, key, name, value)?))
    }
}

fn fields_of(list: &DataType) -> Option<&Fields> {
    match list {
        DataType::List(element) => match element.data_type() {
            DataType::Struct(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// By row, the value of the first element that bears the name.
fn values(
    list: &ListArray,
    elements: &StructArray,
    key: &str,
    name: &str,
    value: &str,
) -> Result<ArrayRef, DataFusionError> {
    let (Some(names), Some(values)) = (elements.column_by_name(key), elements.column_by_name(value)) else {
        return exec_err!("the objects of the list lack a field");
    };
    let names = names.as_string::<i32>();
    let mut places = UInt32Array::builder(list.len());
    for (row, ends) in list.value_offsets().windows(2).enumerate() {
        let bears = |place: &i32| {
            let place = usize::try_from(*place).unwrap_or_default();
            names.is_valid(place) && names.value(place) == name
        };
        let found = if list.is_valid(row) { (ends[0]..ends[1]).find(bears) } else { None };
        places.append_option(found.and_then(|place| u32::try_from(place).ok()));
    }
    Ok(take(values, &places.finish(), None)?)
}
