//! Syntax that makes structures, with bounds from the start: the planner asks for the type of each expression, and that
//! of a structure of structures doubles with each level.

use std::sync::Arc;

use datafusion::common::{DFSchema, DataFusionError, plan_datafusion_err};
use datafusion::functions::core::{named_struct, r#struct};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawDictionaryExpr};
use datafusion::logical_expr::{Expr, ScalarUDF};

use super::limited::{Limited, Made};
use crate::query::limits::values::Values;

/// Plans `{a: x}`, `STRUCT(x)` and `MAP {…}`. It belongs before the engine's own planners.
#[derive(Debug)]
pub(super) struct Structures {
    pub(super) values: Arc<Values>,
}

impl Structures {
    fn call(&self, function: Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
        let bounded = Arc::new(ScalarUDF::new_from_impl(Limited::new(function, Made::Sum.into(), &self.values)));
        Expr::ScalarFunction(ScalarFunction::new_udf(bounded, args))
    }
}

impl ExprPlanner for Structures {
    fn plan_dictionary_literal(
        &self,
        literal: RawDictionaryExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>, DataFusionError> {
        let args = literal.keys.into_iter().zip(literal.values).flat_map(|(key, value)| [key, value]);
        Ok(PlannerResult::Planned(self.call(named_struct(), args.collect())))
    }

    fn plan_struct_literal(
        &self,
        args: Vec<Expr>,
        is_named: bool,
    ) -> Result<PlannerResult<Vec<Expr>>, DataFusionError> {
        let function = if is_named { named_struct() } else { r#struct() };
        Ok(PlannerResult::Planned(self.call(function, args)))
    }

    fn plan_make_map(&self, _: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>, DataFusionError> {
        Err(plan_datafusion_err!("maps are not available; use a structure"))
    }
}
