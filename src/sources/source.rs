//! A source file, read and checked.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::functions::core::expr_fn::{coalesce, nullif};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, cast, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::ExprWithAlias;

use super::error::{Position, SourceError};
use super::functions::{IP_ADDRESS, is_source_function, joins_texts, source_functions};
use super::header::{Header, parse_header};
use super::mapping::MappedColumn;
use super::select::{Item, Selection, parse_select};
use super::shape::Shape;
use crate::domain::activity::ColumnType;
use crate::formats::input::json_records::Unwrap;
use crate::formats::input::{slot_name, slot_type};
use crate::query::bounds::{BoundsError, TextBounds, check_text};
use crate::query::predicate::{MAX_NODES, Unfit, find_unfit};

/// Bounds of a source file's text.
pub const SOURCE_BOUNDS: TextBounds = TextBounds { bytes: 64 * 1024, operators: 1_000 };

/// A source: which fields of a record are read, and how they become the columns of an activity.
#[derive(Debug)]
pub struct Source {
    name: String,
    about: String,
    unwrap: Unwrap,
    shape: Shape,
    columns: Vec<MappedColumn>,
}

impl Source {
    /// Reads and checks a source file. Runs the planner: call it on the CPU runtime, whose stacks are large.
    ///
    /// # Errors
    /// [`SourceError`], naming line and column.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        check_text(text, SOURCE_BOUNDS).map_err(of_bounds)?;
        let Header { name, about, unwrap, mut defaults, shape } = parse_header(text)?;
        let Selection { table, items } = parse_select(text)?;
        let planner = Planner::new(&table, shape.seen())?;
        let mut columns = Vec::with_capacity(items.len() + defaults.len());
        for item in items {
            let default = defaults.iter().position(|(slot, _)| *slot == item.slot).map(|at| defaults.swap_remove(at).1);
            columns.push(planner.column(item, default.map(lit))?);
        }
        for (slot, value) in defaults {
            columns.push(planner.constant(slot, lit(value))?);
        }
        Ok(Self { name, about, unwrap, shape, columns })
    }

    /// What `?source=` says and the column `source` holds.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line for people.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The activity columns it fills, in the file's order.
    pub fn column_names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| slot_name(column.slot))
    }

    pub(super) fn unwrap(&self) -> &Unwrap {
        &self.unwrap
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn columns(&self) -> &[MappedColumn] {
        &self.columns
    }
}

fn of_bounds(error: BoundsError) -> SourceError {
    let (at, reason) = match error {
        BoundsError::NotSql(error) => (error.location.into(), error.message),
        BoundsError::TooLong { .. } | BoundsError::TooManyOperators { .. } => (START, error.to_string()),
    };
    SourceError::new(at, reason)
}

const START: Position = Position { line: 1, column: 1 };

/// Makes expressions over records.
struct Planner {
    state: SessionState,
    schema: DFSchema,
}

impl Planner {
    fn new(table: &str, schema: &SchemaRef) -> Result<Self, SourceError> {
        let mut config = SessionConfig::new();
        config.options_mut().sql_parser.enable_ident_normalization = false;
        config.options_mut().sql_parser.collect_spans = true;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_scalar_functions(source_functions())
            .build();
        let schema =
            DFSchema::try_from_qualified_schema(table, schema).map_err(|error| SourceError::of_engine(START, error))?;
        Ok(Self { state, schema })
    }

    fn column(&self, item: Item, default: Option<Expr>) -> Result<MappedColumn, SourceError> {
        let Item { slot, expression, at } = item;
        let of_engine = |error| SourceError::of_engine(at, error);
        let written = expression.to_string();
        let expression = ExprWithAlias { expr: expression, alias: None };
        let value = self.state.create_logical_expr_from_sql_expr(expression, &self.schema).map_err(of_engine)?;
        match find_unfit(&value, is_source_function).map_err(of_engine)? {
            None => {}
            Some(Unfit::Forbidden(part)) => {
                return Err(SourceError::new(at, format!("a source may not hold {part}")));
            }
            Some(Unfit::TooLarge) => {
                return Err(SourceError::new(at, format!("the expression has more than {MAX_NODES} parts")));
            }
        }
        if joins(&value).map_err(of_engine)? > 1 {
            return Err(SourceError::new(at, "a column may join texts once"));
        }
        let found = value.get_type(&self.schema).map_err(of_engine)?;
        if !fits(slot, &found) {
            let (name, wanted) = (slot_name(slot), type_name(slot));
            return Err(SourceError::new(at, format!("`{name}` is {wanted}, but the expression is {found}; cast it")));
        }
        let value = match default {
            Some(default) => coalesce(vec![value, default]),
            None => value,
        };
        let unchecked = without_address_check(&value).map_err(of_engine)?;
        let physical = |value| self.physical(slot, value).map_err(of_engine);
        Ok(MappedColumn { slot, unchecked: unchecked.map(physical).transpose()?, value: physical(value)?, written })
    }

    fn constant(&self, slot: usize, value: Expr) -> Result<MappedColumn, SourceError> {
        let written = value.to_string();
        let value = self.physical(slot, value).map_err(|error| SourceError::of_engine(START, error))?;
        Ok(MappedColumn { slot, value, unchecked: None, written })
    }

    /// The expression in the lake's type, ready to run. Some functions run only in a simpler form, so
    /// simplifying is no mere gain.
    fn physical(&self, slot: usize, value: Expr) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        let data_type = match slot_type(slot) {
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Float64 => DataType::Float64,
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Utf8 => DataType::Utf8,
        };
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(self.schema.clone()))
            .with_config_options(Arc::clone(self.state.config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let value = simplifier.coerce(cast(value, data_type), &self.schema)?;
        self.state.create_physical_expr(simplifier.simplify(value)?, &self.schema)
    }
}

/// How often an expression joins texts.
fn joins(value: &Expr) -> Result<usize, DataFusionError> {
    let mut joins = 0;
    value.apply(|node| {
        joins += usize::from(matches!(node, Expr::ScalarFunction(call) if joins_texts(call.name())));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(joins)
}

fn type_name(slot: usize) -> &'static str {
    match slot_type(slot) {
        ColumnType::Int64 => "an integer",
        ColumnType::Float64 => "a number",
        ColumnType::Boolean => "true or false",
        ColumnType::Utf8 => "text",
    }
}

fn fits(slot: usize, found: &DataType) -> bool {
    match slot_type(slot) {
        _ if found.is_null() => true,
        ColumnType::Int64 => found.is_integer(),
        ColumnType::Float64 => found.is_integer() || found.is_floating(),
        ColumnType::Boolean => found == &DataType::Boolean,
        ColumnType::Utf8 => found.is_string(),
    }
}

/// The expression as it would be if every text but the empty one were an address; none where it does
/// not ask for addresses.
fn without_address_check(value: &Expr) -> Result<Option<Expr>, DataFusionError> {
    let changed = value.clone().transform_up(|node| match node {
        Expr::ScalarFunction(call) if call.name() == IP_ADDRESS => {
            let text = call.args.into_iter().next().unwrap_or_else(|| lit(""));
            Ok(Transformed::yes(nullif(text, lit(""))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(changed.transformed.then_some(changed.data))
}
