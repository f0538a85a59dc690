//! What a plan may hold, and the bounds that are put into it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, plan_datafusion_err};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, LogicalPlan, Operator, ScalarUDF, TryCast, WindowFunctionDefinition,
};

use super::functions;
use super::limited::{Limited, TEXT_CONCAT, is_limited, text_concat};
use crate::query::limits::LimitsMet;

/// Longest pattern, and longest delimiter of `string_agg`, in bytes.
const MAX_PATTERN_BYTES: usize = 1_000;

/// Most repetitions that a pattern asks for, nested ones multiplied: matching takes as many steps for each character.
const MAX_REPETITIONS: u64 = 1_000;

/// Puts bounds around the functions of a plan.
///
/// # Errors
/// A planning error that names the first part which a statement may not hold.
pub(super) fn guarded(plan: LogicalPlan, met: &Arc<LimitsMet>) -> Result<LogicalPlan, DataFusionError> {
    plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let guarded = expression.transform_up(|part| guard(part, met))?;
            Ok(guarded.update_data(|expression| name.restore(expression)))
        })
    })
    .data()
}

fn refused(what: impl std::fmt::Display) -> DataFusionError {
    plan_datafusion_err!("{what}")
}

fn guard(part: Expr, met: &Arc<LimitsMet>) -> Result<Transformed<Expr>, DataFusionError> {
    match part {
        Expr::ScalarFunction(call) => guard_call(call, met),
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
            let call = ScalarFunction::new_udf(text_concat(met), args);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        Expr::BinaryExpr(BinaryExpr { op, ref right, .. }) if is_pattern_operator(op) => {
            check_pattern(right)?;
            Ok(Transformed::no(part))
        }
        Expr::SimilarTo(ref like) => {
            check_pattern(&like.pattern)?;
            Ok(Transformed::no(part))
        }
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

fn guard_call(call: ScalarFunction, met: &Arc<LimitsMet>) -> Result<Transformed<Expr>, DataFusionError> {
    let name = call.func.name();
    if !functions::is_scalar_allowed(name) {
        return Err(refused(format!("the function '{name}' is not available")));
    }
    if name.starts_with("regexp_") {
        call.args.get(1).map_or(Ok(()), check_pattern)?;
    }
    // Syntax such as `[a, b]` calls functions without asking the session for them.
    match functions::made(name) {
        Some(made) if !is_limited(&call.func) => {
            let func = Arc::new(ScalarUDF::new_from_impl(Limited::new(call.func, made, met)));
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
    let makes = |part: &Expr| matches!(part, Expr::ScalarFunction(call) if functions::made(call.func.name()).is_some() || is_limited(&call.func));
    for argument in &call.params.args {
        if argument.exists(|part| Ok(makes(part)))? {
            return Err(refused(format!(
                "an argument of '{name}' over a window makes texts or lists; compute it in a subquery"
            )));
        }
    }
    Ok(())
}

fn is_short_text(expression: &Expr) -> bool {
    text_of(expression).is_some_and(|text| text.len() <= MAX_PATTERN_BYTES)
}

/// The text of a literal; a null has none and matches nothing.
fn text_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(scalar, _) if scalar.is_null() => Some(""),
        Expr::Literal(scalar, _) => scalar.try_as_str().flatten(),
        Expr::Cast(cast) => text_of(&cast.expr),
        Expr::Alias(alias) => text_of(&alias.expr),
        _ => None,
    }
}

const fn is_pattern_operator(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch
    )
}

fn check_pattern(pattern: &Expr) -> Result<(), DataFusionError> {
    let Some(text) = text_of(pattern) else {
        return Err(refused("a pattern must be a literal or a parameter"));
    };
    if text.len() > MAX_PATTERN_BYTES {
        return Err(refused(format!("a pattern has more than {MAX_PATTERN_BYTES} bytes")));
    }
    if repetitions(text) > MAX_REPETITIONS {
        return Err(refused(format!("a pattern asks for more than {MAX_REPETITIONS} repetitions")));
    }
    Ok(())
}

/// Product of all counted repetitions of a pattern, nested or not.
fn repetitions(pattern: &str) -> u64 {
    let counted = pattern.split('{').skip(1).map(|rest| {
        let numbers = rest.split('}').next().unwrap_or_default().split(',');
        numbers.filter_map(|number| number.trim().parse::<u64>().ok()).max().unwrap_or(1).max(1)
    });
    counted.fold(1, u64::saturating_mul)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_multiply() {
        assert_eq!(repetitions("a{3}b{2,5}(c{10,}){1}"), 150);
        assert_eq!(repetitions("a{,}b{x}{"), 1);
        assert_eq!(repetitions("(((a{1000}){1000}){1000}){99999999999}"), u64::MAX);
    }
}
