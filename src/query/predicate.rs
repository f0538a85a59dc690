//! An anomaly's `where`: one boolean expression over the tenant's activity columns.
//!
//! The expression joins the plan as a filter node beside user and window; it is never pasted into
//! a statement, so nothing in it can widen what the other conditions allow.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, Operator, TryCast};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::bounds::{BoundsError, WHERE_BOUNDS, check_text};
use super::functions::{is_where_function, where_functions};
use crate::domain::activity::lake_schema;

/// Most nodes of the expression's tree.
pub const MAX_NODES: usize = 200;

/// Why a `where` is refused.
#[derive(Debug, thiserror::Error)]
pub enum WhereError {
    /// The text is empty.
    #[error("`where` is empty; leave it out for no filter")]
    Empty,
    /// The text exceeds a bound.
    #[error("`where` is refused: {0}")]
    Bounds(#[from] BoundsError),
    /// The text does not parse, names an unknown column or function, or mixes types.
    #[error("`where` is not a valid expression: {}", first_line(.0))]
    Invalid(#[source] DataFusionError),
    /// The expression is not a condition.
    #[error("`where` must be true or false, but it is of type {0}")]
    NotBoolean(DataType),
    /// The expression holds something a condition on one row may not.
    #[error("`where` may not hold {0}; it is a condition on the columns of one activity")]
    Forbidden(String),
    /// The expression is too large.
    #[error("`where` has more than {MAX_NODES} parts; write long alternatives as IN (…)")]
    TooLarge,
}

// Planner messages go on with suggestions and, in debug builds, with a backtrace.
fn first_line(error: &DataFusionError) -> String {
    error.strip_backtrace().lines().next().unwrap_or_default().to_owned()
}

/// Parses and checks a `where`. Runs the planner: call it on the CPU runtime, whose stacks are large.
///
/// # Errors
/// [`WhereError`], each saying what to change.
pub fn parse_where(text: &str) -> Result<Expr, WhereError> {
    if text.trim().is_empty() {
        return Err(WhereError::Empty);
    }
    check_text(text, WHERE_BOUNDS)?;
    let context = context();
    let schema = DFSchema::try_from(lake_schema()).map_err(WhereError::Invalid)?;
    let expression = context.parse_sql_expr(text, &schema).map_err(WhereError::Invalid)?;
    check_tree(&expression)?;
    let data_type = expression.get_type(&schema).map_err(WhereError::Invalid)?;
    if data_type != DataType::Boolean {
        return Err(WhereError::NotBoolean(data_type));
    }
    // Coerces and simplifies, so that an expression which cannot run is refused now and not when
    // the evidence is made.
    context.create_physical_expr(expression.clone(), &schema).map_err(WhereError::Invalid)?;
    Ok(expression)
}

/// Schema that a `where` is written against.
#[must_use]
pub fn where_schema() -> SchemaRef {
    lake_schema()
}

fn context() -> SessionContext {
    static CONTEXT: LazyLock<SessionContext> = LazyLock::new(|| {
        let mut config = SessionConfig::new();
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_expr_planners(expression_planners())
            .with_scalar_functions(where_functions())
            .build();
        SessionContext::new_with_state(state)
    });
    CONTEXT.clone()
}

/// Planners of the built-in syntax (`position(x in y)`, `extract(…)`, …) over the allowed functions.
fn expression_planners() -> Vec<Arc<dyn datafusion::logical_expr::planner::ExprPlanner>> {
    datafusion::execution::SessionStateDefaults::default_expr_planners()
}

/// Types that a cast may give: each value is about as large as its text. A fixed-size type would allocate
/// its size for every row of a batch.
fn is_plain(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
                | DataType::Decimal128(..)
                | DataType::Interval(_)
        )
}

fn check_tree(expression: &Expr) -> Result<(), WhereError> {
    match find_unfit(expression, is_where_function).map_err(WhereError::Invalid)? {
        None => match find_open_pattern(expression).map_err(WhereError::Invalid)? {
            None => Ok(()),
            Some(part) => Err(WhereError::Forbidden(part)),
        },
        Some(Unfit::Forbidden(part)) => Err(WhereError::Forbidden(part)),
        Some(Unfit::TooLarge) => Err(WhereError::TooLarge),
    }
}

/// Functions that may hold each character of their first text against each of the second.
const PATTERN_SECOND: &[&str] = &["btrim", "ltrim", "regexp_like", "rtrim", "strpos"];

/// Looks for a pattern that is not written out: two stored texts could take minutes, in a step that nothing interrupts.
fn find_open_pattern(expression: &Expr) -> Result<Option<String>, DataFusionError> {
    let mut found = None;
    expression.apply(|node| {
        let (what, pattern) = match node {
            Expr::ScalarFunction(call) if PATTERN_SECOND.contains(&call.name()) => (call.name(), call.args.get(1)),
            Expr::Like(like) => ("LIKE", Some(like.pattern.as_ref())),
            Expr::SimilarTo(like) => ("SIMILAR TO", Some(like.pattern.as_ref())),
            Expr::BinaryExpr(binary) if is_pattern_operator(binary.op) => ("a match", Some(binary.right.as_ref())),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        if pattern.is_some_and(|pattern| !is_written_out(pattern)) {
            found = Some(format!("{what} with a text that is not written out (`contains` takes any)"));
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether an operator takes a regular expression on its right.
pub(crate) const fn is_pattern_operator(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch
    )
}

fn is_written_out(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_written_out(&cast.expr),
        _ => false,
    }
}

/// Why an expression may not run over rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It holds this.
    Forbidden(String),
    /// It has more than [`MAX_NODES`] parts.
    TooLarge,
}

/// Looks at every part of an expression, which may call the functions of these names.
pub(crate) fn find_unfit(expression: &Expr, is_callable: fn(&str) -> bool) -> Result<Option<Unfit>, DataFusionError> {
    let mut nodes = 0_usize;
    let mut forbidden = None;
    expression.apply(|node| {
        nodes += 1;
        forbidden = match node {
            Expr::ScalarFunction(call) if !is_callable(call.name()) => Some(format!("the function {}", call.name())),
            other => forbidden_part(other),
        };
        Ok(if forbidden.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    let too_large = nodes > MAX_NODES && !is_flat_list(expression, nodes);
    Ok(forbidden.map(Unfit::Forbidden).or(too_large.then_some(Unfit::TooLarge)))
}

/// A long `IN (…)` of literals is cheap to plan and to run, so its items do not count.
fn is_flat_list(expression: &Expr, nodes: usize) -> bool {
    let mut items = 0_usize;
    let walked = expression.apply(|node| {
        if let Expr::InList(list) = node {
            items += list.list.iter().filter(|item| matches!(item, Expr::Literal(..))).count();
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && nodes - items <= MAX_NODES
}

/// What makes a node unfit, whatever function it calls; anything not known to be fit is.
fn forbidden_part(node: &Expr) -> Option<String> {
    match node {
        // Joining texts multiplies what a row weighs, outside of every memory limit.
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => Some("the operator ||".to_owned()),
        Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) if !is_plain(field.data_type()) => {
            Some(format!("a cast to {}", field.data_type()))
        }
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::ScalarFunction(_)
        | Expr::InList(_) => None,
        Expr::AggregateFunction(_) => Some("an aggregate".to_owned()),
        Expr::WindowFunction(_) => Some("a window function".to_owned()),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
            Some("a subquery".to_owned())
        }
        Expr::Placeholder(_) => Some("a parameter".to_owned()),
        Expr::Alias(alias) => forbidden_part(&alias.expr),
        other => Some(format!("a part of kind {}", other.variant_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_columns_are_accepted() {
        for text in [
            "actionName = 'Download'",
            "\"actionName\" = 'Download' AND downloadBytes > 1000000",
            "serviceName IN ('Box', 'Dropbox') OR lower(fileName) LIKE '%secret%'",
            "deviceManaged IS NOT TRUE AND NOT isSourceTrusted",
            "count BETWEEN 1 AND 10",
            "CASE WHEN fileSize IS NULL THEN false ELSE fileSize > 10 END",
            "position('x' in fileName) > 0",
            "regexp_like(sourceIP, '^10\\.')",
            "CAST(asn AS varchar) = '1'",
            "activityId > 'a' AND day >= '2026-01-01'",
            "user = 'x' -- a remark",
            "length(fileName) > 3 AND char_length(fileName) < 100",
            "EXTRACT(hour FROM to_timestamp_millis(timeStamp)) < 6",
            "substring(fileName from 1 for 2) = 'ab' AND trim(user) <> ''",
            "contains(url, fileName) AND ltrim(url, 'htps:/') ~ '^www'",
        ] {
            assert!(parse_where(text).is_ok(), "{text}: {:?}", parse_where(text));
        }
        assert!(parse_where(&format!("asn IN ({})", vec!["1"; 1_000].join(","))).is_ok());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "  ",
            "1",
            "'true'",
            "actionName",
            "noSuchColumn = 1",
            "actionname = 'x'",
            "asn IN (SELECT 1)",
            "EXISTS (SELECT 1)",
            "asn = (SELECT 1)",
            "count(*) > 0",
            "row_number() OVER () = 1",
            "random() > 0.5",
            "now() > 0",
            "uuid() = 'x'",
            "repeat('x', 1000000000) = 'x'",
            "read_parquet('/etc/passwd')",
            "version() = 'x'",
            "input_file_name() = 'x'",
            "1=1) OR (1=1",
            "1=1; DROP TABLE activities",
            "1=1 UNION SELECT 1",
            "$1 = 'x'",
            "arrow_cast(fileName, 'FixedSizeBinary(2147483647)') IS NULL",
            "levenshtein(fileName, url) > 3",
            "length(url||url||url) > 0",
            "CAST(fileName AS BYTEA) IS NULL",
            "asn = 1 ORDER BY 1",
            "true LIMIT 1",
            "activities.asn = other.asn",
            "user = 'x' /* open",
            "strpos(url, fileName) > 0",
            "position(fileName in url) > 0",
            "trim(both fileName from url) = ''",
            "url LIKE fileName",
            "url ~ fileName",
            "regexp_like(url, fileName)",
            "regexp_count(url, '.*[^A-Z]|[A-Z]') > 1",
        ] {
            assert!(parse_where(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bombs_are_refused_without_harm() {
        let nested = format!("{}true{}", "(".repeat(10_000), ")".repeat(10_000));
        let within_length = format!("{}true{}", "(".repeat(2_000), ")".repeat(2_000));
        let plus = format!("{} > 0", vec!["1"; 2_000].join("+"));
        let or = vec!["true"; 800].join(" OR ");
        let not = format!("{}true", "NOT ".repeat(1_000));
        for bomb in [nested, within_length, plus, or, not] {
            assert!(parse_where(&bomb).is_err(), "{}", &bomb[..40]);
        }
        let wide = format!("coalesce({}) IS NULL", vec!["asn"; 300].join(","));
        assert!(matches!(parse_where(&wide), Err(WhereError::TooLarge)));
    }
}
