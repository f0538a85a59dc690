//! What a plan may hold, and the bounds that are put into it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, plan_datafusion_err};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, Like, LogicalPlan, Operator, ScalarUDF, TryCast, WindowFunctionDefinition, lit,
};

use super::functions;
use super::limited::{Limited, TEXT_CONCAT, is_limited, text_concat};
use super::pattern::{self, MAX_PATTERN_BYTES, is_short_text};
use crate::query::limits::values::Values;
use crate::query::predicate::is_pattern_operator;

/// Puts bounds around the functions of a plan.
///
/// # Errors
/// A planning error that names the first part which a statement may not hold.
pub(super) fn guarded(plan: LogicalPlan, values: &Arc<Values>) -> Result<LogicalPlan, DataFusionError> {
    plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let guarded = expression.transform_up(|part| guard(part, values))?;
            Ok(guarded.update_data(|expression| name.restore(expression)))
        })
    })
    .data()
}

fn refused(what: impl std::fmt::Display) -> DataFusionError {
    plan_datafusion_err!("{what}")
}

fn guard(part: Expr, values: &Arc<Values>) -> Result<Transformed<Expr>, DataFusionError> {
    match part {
        Expr::ScalarFunction(call) => guard_call(call, values),
        Expr::AggregateFunction(ref call) => {
            let name = call.func.name();
            if !functions::is_aggregate_allowed(name) {
                return Err(refused(format!("the aggregate '{name}' is not available")));
            }
            if name == "string_agg" && call.params.args.get(1).is_some_and(|delimiter| !is_short_text(delimiter)) {
                let message =
                    format!("the delimiter of 'string_agg' must be a text of at most {MAX_PATTERN_BYTES} bytes");
                return Err(refused(message));
            }
            Ok(Transformed::no(part))
        }
        Expr::WindowFunction(ref call) => guard_window(call).map(|()| Transformed::no(part)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            // A chain of them becomes one call: the planner takes minutes for calls nested that deep.
            let mut args = Vec::with_capacity(2);
            for side in [*left, *right] {
                match side {
                    Expr::ScalarFunction(call) if call.func.name() == TEXT_CONCAT => args.extend(call.args),
                    other => args.push(other),
                }
            }
            let call = ScalarFunction::new_udf(text_concat(values), args);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_pattern_operator(op) => {
            let negated = matches!(op, Operator::RegexNotMatch | Operator::RegexNotIMatch);
            let ignores_case = matches!(op, Operator::RegexIMatch | Operator::RegexNotIMatch);
            matches(*left, *right, negated, ignores_case, values).map(Transformed::yes)
        }
        Expr::SimilarTo(Like { escape_char: Some(_), .. }) => Err(refused("SIMILAR TO has no ESCAPE here")),
        Expr::SimilarTo(Like { negated, expr, pattern, case_insensitive, .. }) => {
            matches(*expr, *pattern, negated, case_insensitive, values).map(Transformed::yes)
        }
        Expr::Like(like) => pattern::bounded_like(like, values).map(Transformed::yes),
        Expr::Cast(Cast { ref field, .. }) | Expr::TryCast(TryCast { ref field, .. })
            if !is_castable(field.data_type()) =>
        {
            Err(refused(format!("a cast to '{}' is not available", field.data_type())))
        }
        Expr::ScalarVariable(..) => Err(refused("variables are not available; give parameters")),
        Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
            Err(refused("functions of functions are not available; use unnest"))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The operators of regular expressions as calls of the bounded function.
fn matches(
    text: Expr,
    pattern: Expr,
    negated: bool,
    ignores_case: bool,
    values: &Arc<Values>,
) -> Result<Expr, DataFusionError> {
    let flags = ignores_case.then(|| lit("i"));
    let args = [text, pattern].into_iter().chain(flags).collect();
    let call = guard_call(ScalarFunction::new_udf(datafusion::functions::regex::regexp_like(), args), values)?.data;
    Ok(if negated { Expr::Not(Box::new(call)) } else { call })
}

fn guard_call(call: ScalarFunction, values: &Arc<Values>) -> Result<Transformed<Expr>, DataFusionError> {
    let name = call.func.name();
    if !functions::is_scalar_allowed(name) {
        return Err(refused(format!("the function '{name}' is not available")));
    }
    if name.starts_with("regexp_") {
        call.args.get(1).map_or(Ok(()), pattern::check_regex)?;
    }
    // Syntax such as `[a, b]` calls functions without asking the session for them.
    match functions::bound(name) {
        Some(bound) if !is_limited(&call.func) => {
            let func = Arc::new(ScalarUDF::new_from_impl(Limited::new(call.func, bound, values)));
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: call.args })))
        }
        _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
    }
}

fn guard_window(call: &WindowFunction) -> Result<(), DataFusionError> {
    let name = match &call.fun {
        WindowFunctionDefinition::AggregateUDF(function) => function.name(),
        WindowFunctionDefinition::WindowUDF(function) => function.name(),
    };
    if !functions::is_window_allowed(name) {
        return Err(refused(format!("'{name}' is not available over a window")));
    }
    if call.params.distinct {
        return Err(refused(format!("'{name}' over a window cannot be DISTINCT")));
    }
    // The meter of windows knows the sizes of columns, not those of what is made of them.
    let makes = |part: &Expr| matches!(part, Expr::ScalarFunction(call) if functions::makes(call.func.name()));
    for argument in &call.params.args {
        if argument.exists(|part| Ok(makes(part)))? {
            return Err(refused(format!(
                "an argument of '{name}' over a window makes texts or lists; compute it in a subquery"
            )));
        }
    }
    Ok(())
}

/// Types whose values are about as large as what they are made of.
fn is_castable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) => is_castable(field.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_castable(field.data_type())),
        DataType::FixedSizeBinary(_)
        | DataType::FixedSizeList(..)
        | DataType::Union(..)
        | DataType::Dictionary(..)
        | DataType::RunEndEncoded(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Map(..) => false,
        _ => true,
    }
}
