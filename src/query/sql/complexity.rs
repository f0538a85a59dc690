//! How large a plan becomes when the optimizer writes it out.
//!
//! A subquery that is named twice is planned twice, and a filter is pushed through projections by putting in their
//! expressions: thirty short CTEs, each using the one before twice, make a plan of a billion nodes. So the size that a
//! plan can grow to is computed from the plan as parsed, where shared parts are still shared.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Most operators of a plan.
pub(super) const MAX_NODES: u64 = 1_000;

/// Most parts of all expressions of a plan, with what they are made of put in; literals are cheap and do not count.
pub(super) const MAX_PARTS: u64 = 10_000;

/// Most columns of an operator's result; the planner looks each of them up among all.
pub(super) const MAX_COLUMNS: usize = 2_000;

/// What a plan grows to.
#[derive(Debug, Clone)]
struct Size {
    nodes: u64,
    parts: u64,
    /// Parts of each output column, with what it is made of put in.
    columns: Arc<[u64]>,
    /// Columns of the widest result.
    widest: usize,
}

/// Whether a plan keeps to the bounds, and if not, which it breaks.
///
/// # Errors
/// When a subquery cannot be walked.
pub(super) fn check(plan: &LogicalPlan) -> Result<Option<String>, DataFusionError> {
    let size = Sizes::default().of(plan)?;
    Ok(if size.nodes > MAX_NODES {
        Some(format!("the statement grows to more than {MAX_NODES} operators; use each subquery less often"))
    } else if size.parts > MAX_PARTS {
        Some(format!("the statement's expressions grow to more than {MAX_PARTS} parts; use each column less often"))
    } else if size.widest > MAX_COLUMNS {
        Some(format!("a result has more than {MAX_COLUMNS} columns; ask in several statements"))
    } else {
        None
    })
}

/// Sizes of plans that were looked at, by address: the plan that is checked keeps them alive.
#[derive(Default)]
struct Sizes {
    known: HashMap<*const LogicalPlan, Size>,
}

impl Sizes {
    fn of_shared(&mut self, plan: &Arc<LogicalPlan>) -> Result<Size, DataFusionError> {
        let address = Arc::as_ptr(plan);
        if let Some(size) = self.known.get(&address) {
            return Ok(size.clone());
        }
        let size = self.of(plan)?;
        self.known.insert(address, size.clone());
        Ok(size)
    }

    fn of(&mut self, plan: &LogicalPlan) -> Result<Size, DataFusionError> {
        let inputs = self.inputs(plan)?;
        let schemas: Vec<&DFSchema> = plan.inputs().into_iter().map(|input| input.schema().as_ref()).collect();
        let mut nodes = inputs.iter().fold(1_u64, |sum, input| sum.saturating_add(input.nodes));
        let mut parts = inputs.iter().fold(0_u64, |sum, input| sum.saturating_add(input.parts));
        let mut made = Vec::new();
        let mut widest_subquery = 0;
        for expression in plan.expressions() {
            let (own, subqueries) = self.of_expression(&expression, &schemas, &inputs)?;
            parts = parts.saturating_add(own).saturating_add(subqueries.parts);
            nodes = nodes.saturating_add(subqueries.nodes);
            widest_subquery = widest_subquery.max(subqueries.widest);
            made.push(own);
        }
        let width = plan.schema().fields().len();
        let passed = || inputs.iter().flat_map(|input| input.columns.iter().copied());
        let columns: Vec<u64> = match plan {
            LogicalPlan::Projection(_) => made,
            // The groups can be put into a filter from above, the aggregates not.
            LogicalPlan::Aggregate(aggregate) => {
                let groups = made.into_iter().take(aggregate.group_expr.len());
                groups.chain(std::iter::repeat(1)).take(width).collect()
            }
            LogicalPlan::Union(_) => {
                let widest = |column: usize| inputs.iter().filter_map(|input| input.columns.get(column)).max();
                (0..width).map(|column| widest(column).copied().unwrap_or(1)).collect()
            }
            _ => passed().chain(std::iter::repeat(1)).take(width).collect(),
        };
        let widest = inputs.iter().map(|input| input.widest).fold(width.max(widest_subquery), usize::max);
        Ok(Size { nodes, parts, columns: columns.into(), widest })
    }

    fn inputs(&mut self, plan: &LogicalPlan) -> Result<Vec<Size>, DataFusionError> {
        let shared: Vec<&Arc<LogicalPlan>> = match plan {
            LogicalPlan::Projection(node) => vec![&node.input],
            LogicalPlan::Filter(node) => vec![&node.input],
            LogicalPlan::Sort(node) => vec![&node.input],
            LogicalPlan::Limit(node) => vec![&node.input],
            LogicalPlan::Window(node) => vec![&node.input],
            LogicalPlan::Aggregate(node) => vec![&node.input],
            LogicalPlan::SubqueryAlias(node) => vec![&node.input],
            LogicalPlan::Repartition(node) => vec![&node.input],
            LogicalPlan::Unnest(node) => vec![&node.input],
            LogicalPlan::Join(node) => vec![&node.left, &node.right],
            LogicalPlan::Union(node) => node.inputs.iter().collect(),
            LogicalPlan::RecursiveQuery(node) => vec![&node.static_term, &node.recursive_term],
            LogicalPlan::Explain(node) => vec![&node.plan],
            LogicalPlan::Analyze(node) => vec![&node.input],
            LogicalPlan::Subquery(node) => vec![&node.subquery],
            _ => return plan.inputs().into_iter().map(|input| self.of(input)).collect(),
        };
        // DISTINCT has two forms; both are small and fall to the last arm.
        shared.into_iter().map(|input| self.of_shared(input)).collect()
    }

    /// Parts of an expression with its columns put in, and the size of the subqueries in it.
    fn of_expression(
        &mut self,
        expression: &Expr,
        schemas: &[&DFSchema],
        inputs: &[Size],
    ) -> Result<(u64, Size), DataFusionError> {
        let mut parts = 0_u64;
        let mut inner = Size { nodes: 0, parts: 0, columns: Arc::from([]), widest: 0 };
        expression.apply(|part| {
            let weight = match part {
                Expr::Literal(..) => 0,
                Expr::Column(column) => schemas
                    .iter()
                    .zip(inputs)
                    .find_map(|(schema, input)| {
                        let index = schema.maybe_index_of_column(column)?;
                        input.columns.get(index).copied()
                    })
                    .unwrap_or(1),
                _ => 1,
            };
            parts = parts.saturating_add(weight);
            let subquery = match part {
                Expr::ScalarSubquery(subquery) => Some(subquery),
                Expr::Exists(exists) => Some(&exists.subquery),
                Expr::InSubquery(contained) => Some(&contained.subquery),
                Expr::SetComparison(comparison) => Some(&comparison.subquery),
                _ => None,
            };
            if let Some(subquery) = subquery {
                let size = self.of_shared(&subquery.subquery)?;
                inner.nodes = inner.nodes.saturating_add(size.nodes);
                inner.parts = inner.parts.saturating_add(size.parts);
                inner.widest = inner.widest.max(size.widest);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok((parts, inner))
    }
}
