//! Aggregates over the sketches of `userCount`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, exec_datafusion_err, plan_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility};
use datafusion::scalar::ScalarValue;

use crate::domain::user_sketch::UserSketch;

/// What becomes of the union.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    /// The sketch, in the form of `userCount`; null without users.
    Sketch,
    /// About how many users it holds, a whole number.
    Count,
}

/// Makes `merge_user_count(userCount)`.
pub(super) fn merge_user_count() -> Arc<AggregateUDF> {
    make("merge_user_count", Outcome::Sketch)
}

/// Makes `count_users(userCount)`.
pub(super) fn count_users() -> Arc<AggregateUDF> {
    make("count_users", Outcome::Count)
}

fn make(name: &'static str, outcome: Outcome) -> Arc<AggregateUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(OfUsers { name, outcome, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfUsers {
    name: &'static str,
    outcome: Outcome,
    signature: Signature,
}

impl AggregateUDFImpl for OfUsers {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(match self.outcome {
            Outcome::Sketch => DataType::Utf8,
            Outcome::Count => DataType::Int64,
        })
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        match types {
            [text] if text.is_string() || text.is_null() => Ok(vec![DataType::Utf8View]),
            _ => Err(plan_datafusion_err!("'{}' takes one text, the column userCount", self.name)),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>, DataFusionError> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "sketch"), DataType::Binary, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>, DataFusionError> {
        if args.is_distinct {
            return Err(plan_datafusion_err!("'{}' counts each user once without DISTINCT", self.name));
        }
        Ok(Box::new(Union { outcome: self.outcome, sketch: UserSketch::default() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Union {
    outcome: Outcome,
    sketch: UserSketch,
}

impl Accumulator for Union {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        for text in values.iter().flat_map(AsArray::as_string_view).flatten() {
            self.sketch.add_base64(text).map_err(|error| exec_datafusion_err!("{error}"))?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        Ok(match self.outcome {
            Outcome::Sketch => ScalarValue::Utf8((!self.sketch.is_empty()).then(|| self.sketch.to_base64())),
            #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
            Outcome::Count => ScalarValue::Int64(Some(self.sketch.estimate().round() as i64)),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sketch.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        Ok(vec![ScalarValue::Binary(Some(self.sketch.to_bytes()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<(), DataFusionError> {
        for state in states.iter().flat_map(AsArray::as_binary::<i32>).flatten() {
            self.sketch.add_bytes(state).map_err(|error| exec_datafusion_err!("{error}"))?;
        }
        Ok(())
    }
}
