//! The `SELECT` of a source file as a list of columns.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArguments, ObjectNamePart, SelectItem, SetExpr, Spanned, Statement,
    TableFactor, Value, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::error::{Position, SourceError};
use crate::domain::activity::{TENANT_ID, TIME_STAMP, USER_COUNT};
use crate::formats::input::{TIME_SLOT, slot_of};

/// Deepest nesting of the text; the parser's own default.
const MAX_DEPTH: usize = 50;

/// One column of the `SELECT`.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) slot: usize,
    pub(super) expression: Expr,
    pub(super) at: Position,
}

/// What the statement says.
#[derive(Debug)]
pub(super) struct Selection {
    /// The table's alias, or its name.
    pub(super) table: String,
    pub(super) items: Vec<Item>,
}

const SHAPE: &str = "a source is one `SELECT expression AS column, … FROM record` and nothing else: no WHERE, since every \
                     record is a row, no joins, groups, orders or limits";

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line, column: location.column }
    }
}

/// Reads the statement. The text must be within its bounds.
pub(super) fn parse_select(text: &str) -> Result<Selection, SourceError> {
    let mut statements = parse(text)?;
    let start = Position { line: 1, column: 1 };
    let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
        return Err(SourceError::new(start, SHAPE));
    };
    let at = Position::from(statement.span().start);
    let (rest, table, projection) = take_apart(statement).ok_or_else(|| SourceError::new(at, SHAPE))?;
    // Whatever else a statement may hold, now or in a later grammar, makes it unlike this one.
    let plain = parse("SELECT 1 FROM record")?.pop().and_then(take_apart).map(|(plain, ..)| plain);
    if plain.as_ref() != Some(&rest) {
        return Err(SourceError::new(at, SHAPE));
    }
    let mut items: Vec<Item> = Vec::with_capacity(projection.len());
    for item in projection {
        let item = column(item)?;
        if items.iter().any(|before| before.slot == item.slot) {
            return Err(SourceError::new(item.at, "the column is given twice"));
        }
        items.push(item);
    }
    if !items.iter().any(|item| item.slot == TIME_SLOT) {
        return Err(SourceError::new(at, format!("the column `{TIME_STAMP}` is missing")));
    }
    Ok(Selection { table, items })
}

fn parse(text: &str) -> Result<Vec<Statement>, SourceError> {
    let parser = Parser::new(&GenericDialect {}).with_recursion_limit(MAX_DEPTH);
    parser.try_with_sql(text).and_then(|mut parser| parser.parse_statements()).map_err(|error| of_parser(&error))
}

/// The parser tells its place in words only.
fn of_parser(error: &ParserError) -> SourceError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "nested too deep",
    };
    let place = text.rsplit_once(" at Line: ").and_then(|(reason, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((reason, Position { line: line.parse().ok()?, column: column.parse().ok()? }))
    });
    let (reason, at) = place.unwrap_or((text, Position { line: 1, column: 1 }));
    SourceError::new(at, reason)
}

/// The statement without its columns and the table's alias; the table's name; the columns.
fn take_apart(mut statement: Statement) -> Option<(Statement, String, Vec<SelectItem>)> {
    let Statement::Query(query) = &mut statement else { return None };
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let [table] = select.from.as_mut_slice() else { return None };
    let TableFactor::Table { name, alias, .. } = &mut table.relation else { return None };
    let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else { return None };
    let name = match alias.take_if(|alias| alias.columns.is_empty()) {
        Some(alias) => alias.name.value,
        None => name.value.clone(),
    };
    let projection = std::mem::take(&mut select.projection);
    Some((statement, name, projection))
}

/// `list[1].key` as `list[1].'key'`, the one form of it that the planner knows; and a word such as `user`,
/// which the parser takes for a function without brackets, as the field that it is.
fn with_plain_fields(mut expression: Expr) -> Expr {
    let _: ControlFlow<()> = visit_expressions_mut(&mut expression, |part| {
        if let Expr::Function(Function { name, args: FunctionArguments::None, .. }) = part
            && let [ObjectNamePart::Identifier(word)] = name.0.as_slice()
        {
            *part = Expr::Identifier(word.clone());
        }
        if let Expr::CompoundFieldAccess { access_chain, .. } = part {
            let after_index = access_chain.iter_mut().skip_while(|access| matches!(access, AccessExpr::Dot(_)));
            for access in after_index {
                if let AccessExpr::Dot(Expr::Identifier(key)) = access {
                    let key = Value::SingleQuotedString(key.value.clone()).with_span(key.span);
                    *access = AccessExpr::Dot(Expr::Value(key));
                }
            }
        }
        ControlFlow::Continue(())
    });
    expression
}

fn column(item: SelectItem) -> Result<Item, SourceError> {
    let at = Position::from(item.span().start);
    let (expression, name) = match item {
        SelectItem::ExprWithAlias { expr, alias } => (expr, alias),
        SelectItem::UnnamedExpr(expression) => match expression {
            Expr::Identifier(name) => (Expr::Identifier(name.clone()), name),
            other => {
                return Err(SourceError::new(Position::from(other.span().start), "name the column: `… AS column`"));
            }
        },
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            return Err(SourceError::new(at, "give each column as `expression AS column`"));
        }
    };
    let named_at = Position::from(name.span.start);
    if [TENANT_ID, USER_COUNT].contains(&name.value.as_str()) {
        return Err(SourceError::new(named_at, format!("`{}` is never the source's: it is derived", name.value)));
    }
    let slot = slot_of(&name.value)
        .ok_or_else(|| SourceError::new(named_at, format!("there is no activity column `{}`", name.value)))?;
    Ok(Item { slot, expression: with_plain_fields(expression), at })
}
