//! Constants that a plan repeats for each row.
//!
//! Most expressions write a constant out for all rows of a batch: a text of 4 MiB, given as a parameter or made by a
//! function while planning, would take 8 GiB.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, InListExpr, LikeExpr, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::scalar::ScalarValue;

/// Most bytes that the constants of an operator may take, written out for a batch.
const MAX_WRITTEN_BYTES: u64 = 128 << 20;

/// Whether the constants of an operator may be written out for so many rows.
///
/// # Errors
/// When its expressions cannot be walked.
pub(super) fn fit(node: &dyn ExecutionPlan, batch_rows: u64) -> Result<bool, DataFusionError> {
    // Without a table there is one row.
    if node.children().iter().any(|input| input.is::<PlaceholderRowExec>()) {
        return Ok(true);
    }
    let mut bytes = 0_u64;
    node.apply_expressions(&mut |expression| {
        bytes = bytes.saturating_add(written(expression));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bytes.saturating_mul(batch_rows) <= MAX_WRITTEN_BYTES)
}

fn written(expression: &Arc<dyn PhysicalExpr>) -> u64 {
    if let Some(literal) = expression.downcast_ref::<Literal>() {
        return weight(literal.value());
    }
    // Comparisons take a constant as it is.
    let compares = expression.is::<BinaryExpr>() || expression.is::<LikeExpr>() || expression.is::<InListExpr>();
    let children = expression.children().into_iter().filter(|child| !(compares && child.is::<Literal>()));
    children.map(written).fold(0, u64::saturating_add)
}

fn weight(value: &ScalarValue) -> u64 {
    (value.size() - size_of::<ScalarValue>().min(value.size())) as u64
}
