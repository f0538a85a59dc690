//! Puts the taps into a finished plan.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, resources_datafusion_err};
use datafusion::logical_expr::WindowFrameBound;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, PiecewiseMergeJoinExec,
    SortMergeJoinExec, SymmetricHashJoinExec,
};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion::scalar::ScalarValue;

use super::meter::{self, WindowShape};
use super::stop::{Stop, Watched};
use super::tap::TapExec;
use super::width::RowWidth;
use super::{Limit, LimitsMet, constants};

/// Guards the operators that take memory outside of the pool. It belongs last: no other rule knows its nodes.
#[derive(Debug)]
pub struct GuardOperators {
    /// Where refusals are noted.
    pub met: Arc<LimitsMet>,
    /// Whether the statement is still wanted.
    pub stop: Arc<Stop>,
}

impl PhysicalOptimizerRule for GuardOperators {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let batch_rows = config.execution.batch_size.get() as u64;
        plan.transform_up(|node| self.guard(node, batch_rows)).data()
    }

    fn name(&self) -> &'static str {
        "guard_operators"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl GuardOperators {
    fn guard(
        &self,
        node: Arc<dyn ExecutionPlan>,
        batch_rows: u64,
    ) -> Result<Transformed<Arc<dyn ExecutionPlan>>, DataFusionError> {
        let met = || Arc::clone(&self.met);
        if !constants::fit(node.as_ref(), batch_rows)? {
            self.met.note(Limit::Value);
            return Err(resources_datafusion_err!("a constant is too large to be repeated for each row"));
        }
        if let Some(unnest) = node.downcast_ref::<UnnestExec>() {
            let width = RowWidth::of_unnest(unnest, batch_rows, met());
            let tapped = below(node, |input| TapExec::over(input, Arc::new(width)))?;
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(tapped))));
        }
        if is_join(node.as_ref()) {
            let width = Arc::new(RowWidth { batch_rows, unnested: Vec::new(), met: met() });
            let tapped = below_each(node, |input| TapExec::over(input, Arc::<RowWidth>::clone(&width)))?;
            // It makes many batches out of one, and what reads them would not stop in between.
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(self.watched(tapped)?))));
        }
        let Some(shape) = window_shape(node.as_ref()) else { return Ok(Transformed::no(node)) };
        let (input, output) = meter::taps(shape);
        let window = below(node, |node| TapExec::over(node, Arc::new(input)))?;
        Ok(Transformed::yes(TapExec::over(window, Arc::new(output))))
    }
}

impl GuardOperators {
    /// A join whose condition, if it has one, notices that it is not wanted any more.
    fn watched(&self, join: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let watch = |filter: &JoinFilter| {
            let condition = Watched::over(Arc::clone(filter.expression()), &self.stop);
            JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
        };
        if let Some(hashed) = join.downcast_ref::<HashJoinExec>()
            && let Some(filter) = hashed.filter()
        {
            return hashed.builder().with_filter(Some(watch(filter))).build_exec();
        }
        if let Some(nested) = join.downcast_ref::<NestedLoopJoinExec>()
            && let Some(filter) = nested.filter()
        {
            let (left, right) = (Arc::clone(nested.left()), Arc::clone(nested.right()));
            let builder = NestedLoopJoinExecBuilder::new(left, right, *nested.join_type());
            let builder = builder.with_filter(Some(watch(filter))).with_projection_ref(nested.projection().clone());
            return Ok(Arc::new(builder.build()?));
        }
        Ok(join)
    }
}

fn is_join(node: &dyn ExecutionPlan) -> bool {
    node.is::<HashJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>()
        || node.is::<SymmetricHashJoinExec>()
}

fn below(
    node: Arc<dyn ExecutionPlan>,
    tap: impl FnOnce(Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let mut tap = Some(tap);
    below_each(node, |input| match tap.take() {
        Some(tap) => tap(input),
        None => input,
    })
}

fn below_each(
    node: Arc<dyn ExecutionPlan>,
    mut tap: impl FnMut(Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let children = node.children().into_iter().map(|child| tap(Arc::clone(child))).collect();
    // A tap has the properties of its input.
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep))
}

fn window_shape(node: &dyn ExecutionPlan) -> Option<WindowShape> {
    if let Some(window) = node.downcast_ref::<WindowAggExec>() {
        return Some(shape(window.window_expr(), true));
    }
    node.downcast_ref::<BoundedWindowAggExec>().map(|window| shape(window.window_expr(), false))
}

fn shape(expressions: &[Arc<dyn WindowExpr>], keeps_all: bool) -> WindowShape {
    let is_large = |expression: &&Arc<dyn WindowExpr>| {
        // In doubt a result is large.
        expression.field().map_or(true, |field| is_large_type(field.data_type()))
    };
    WindowShape {
        results: expressions.len() as u64,
        large_results: expressions.iter().filter(is_large).count() as u64,
        keeps_all,
        rows_back: expressions.iter().map(|expression| rows_back(expression.as_ref())).max().unwrap_or(0),
    }
}

fn is_large_type(data_type: &DataType) -> bool {
    !(data_type.is_primitive() || matches!(data_type, DataType::Boolean | DataType::Null))
}

/// Rows before the current one that the operator keeps: as many as a frame of rows says, all for a frame of values.
/// A frame from the beginning on keeps none, because its state only grows.
fn rows_back(expression: &dyn WindowExpr) -> u64 {
    use datafusion::logical_expr::WindowFrameUnits::Rows;
    let frame = expression.get_window_frame();
    match (&frame.start_bound, frame.units) {
        (WindowFrameBound::Preceding(rows), _) if rows.is_null() => 0,
        (WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))), Rows) => *rows,
        (WindowFrameBound::CurrentRow | WindowFrameBound::Following(_), _) => 0,
        (WindowFrameBound::Preceding(_), _) => u64::MAX,
    }
}
