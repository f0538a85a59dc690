//! From tokens to a statement of a kind that is allowed.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Statement as SqlStatement, Visit, Visitor, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::error::{Refusal, RefusalKind};
use super::place;

/// Most tables that a statement names, a table named twice counting twice.
const MAX_TABLES: usize = 64;

/// Most tables and subqueries once each name of a CTE is replaced by what it stands for. The planner does so, and some
/// of its steps walk the result.
const MAX_WRITTEN_OUT: u64 = 1_000;

/// Most grouping sets, all of a statement multiplied.
const MAX_GROUPING_SETS: usize = 64;

/// Nesting that the parser follows.
const RECURSION: usize = 50;

/// A statement of an allowed kind.
#[derive(Debug)]
pub(super) struct Parsed {
    /// What is asked; in `EXPLAIN` what is explained.
    pub(super) inner: Statement,
    /// The whole, where it is an `EXPLAIN`.
    pub(super) explain: Option<Statement>,
}

/// Parses a text that keeps to the bounds.
///
/// # Errors
/// [`Refusal`] with its place.
pub(super) fn parse(text: &str, tokens: &[TokenWithSpan]) -> Result<Parsed, Refusal> {
    let dialect = GenericDialect {};
    let parser = DFParserBuilder::new(text).with_dialect(&dialect).with_recursion_limit(RECURSION).build();
    let statements = parser.and_then(|mut parser| parser.parse_statements());
    let mut statements = statements.map_err(|error| {
        let message = first_line(&error);
        let at_end = message.contains("found: EOF") && !message.contains("Line: ");
        let place = if at_end { place::end(tokens) } else { place::of_error(&error, &message, tokens) };
        Refusal::new(RefusalKind::Syntax, place, shown_syntax(&message))
    })?;
    let refuse = |message: &str| Err(Refusal::new(RefusalKind::NotAllowed, place::start(tokens), message));
    let Some(first) = statements.pop_front() else {
        return Err(Refusal::new(RefusalKind::Syntax, place::start(tokens), "the statement is empty"));
    };
    if !statements.is_empty() {
        return refuse("there are several statements; send one at a time");
    }
    let (inner, explain) = match first {
        Statement::Explain(explain) => ((*explain.statement).clone(), Some(Statement::Explain(explain))),
        other => (other, None),
    };
    let Statement::Statement(statement) = &inner else {
        return refuse("only queries, EXPLAIN, DESCRIBE and SHOW TABLES are allowed");
    };
    match statement.as_ref() {
        SqlStatement::Query(_) => {}
        SqlStatement::ExplainTable { .. } | SqlStatement::ShowTables { .. } | SqlStatement::ShowColumns { .. }
            if explain.is_none() => {}
        _ => return refuse("only queries, EXPLAIN, DESCRIBE and SHOW TABLES are allowed"),
    }
    check_size(statement).map_err(|message| Refusal::new(RefusalKind::TooLarge, place::start(tokens), message))?;
    Ok(Parsed { inner, explain })
}

fn check_size(statement: &SqlStatement) -> Result<(), String> {
    let mut written = WrittenOut::default();
    let _ = statement.visit(&mut written);
    let mut sets = 1_usize;
    let _ = visit_expressions(statement, |expression| {
        let of_list = |list: &Vec<Vec<Expr>>| u32::try_from(list.len()).unwrap_or(u32::MAX);
        let factor = match expression {
            Expr::Cube(list) => 2_usize.saturating_pow(of_list(list)),
            Expr::Rollup(list) => list.len() + 1,
            Expr::GroupingSets(list) => list.len().max(1),
            _ => 1,
        };
        sets = sets.saturating_mul(factor);
        ControlFlow::<()>::Continue(())
    });
    if written.tables > MAX_TABLES {
        return Err(format!("the statement names more than {MAX_TABLES} tables; join in parts"));
    }
    if written.total > MAX_WRITTEN_OUT {
        let message = "the statement grows to more than";
        return Err(format!("{message} {MAX_WRITTEN_OUT} tables and subqueries; use each subquery less often"));
    }
    if sets > MAX_GROUPING_SETS {
        return Err(format!(
            "the statement has more than {MAX_GROUPING_SETS} grouping sets; ask in several statements"
        ));
    }
    Ok(())
}

/// Counts tables and subqueries with those behind the names of CTEs.
#[derive(Default)]
struct WrittenOut {
    /// Names of tables in the text.
    tables: usize,
    /// Size of the whole.
    total: u64,
    /// Sizes of the queries that are being looked at, the innermost last.
    open: Vec<u64>,
    /// CTEs whose queries come, by address: the statement does not move.
    awaited: HashMap<*const Query, String>,
    /// Sizes of CTEs that were looked at; of two with one name the sum.
    known: HashMap<String, u64>,
}

impl Visitor for WrittenOut {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.awaited.insert(std::ptr::from_ref(cte.query.as_ref()), cte.alias.name.value.clone());
        }
        self.open.push(1);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let size = self.open.pop().unwrap_or_default();
        match (self.awaited.remove(&std::ptr::from_ref(query)), self.open.last_mut()) {
            (Some(name), _) => {
                let known = self.known.entry(name).or_default();
                *known = known.saturating_add(size);
            }
            (None, Some(outer)) => *outer = outer.saturating_add(size),
            (None, None) => self.total = self.total.saturating_add(size),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.tables += 1;
        let name = relation.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
        let size = name.and_then(|name| self.known.get(name)).copied().unwrap_or(1);
        match self.open.last_mut() {
            Some(query) => *query = query.saturating_add(size),
            None => self.total = self.total.saturating_add(size),
        }
        ControlFlow::Continue(())
    }
}

/// The first line of an error's text: the engine goes on with suggestions and, in debug builds, with a backtrace.
pub(super) fn first_line(error: &datafusion::common::DataFusionError) -> String {
    error.strip_backtrace().lines().next().unwrap_or_default().to_owned()
}

/// The parser's message without what every one begins and ends with.
fn shown_syntax(message: &str) -> String {
    let message = message.strip_prefix("SQL error: ").unwrap_or(message);
    let message = message.strip_prefix("ParserError(\"").and_then(|m| m.strip_suffix("\")")).unwrap_or(message);
    let message = message.split(" at Line: ").next().unwrap_or(message);
    format!("the statement is no SQL: {message}")
}

#[cfg(test)]
mod tests {
    use super::super::text::bounded_tokens;
    use super::*;

    fn parsed(text: &str) -> Result<Parsed, Refusal> {
        parse(text, &bounded_tokens(text).unwrap())
    }

    /// CTEs that each use the one before twice.
    fn doubling(levels: usize) -> String {
        let ctes = (1..levels).map(|n| format!(", c{n} as (select * from c{} a, c{} b)", n - 1, n - 1));
        format!("with c0 as (select 1){} select * from c{}", ctes.collect::<String>(), levels - 1)
    }

    #[test]
    fn what_names_stand_for_is_counted() {
        assert!(parsed(&doubling(8)).is_ok());
        assert!(parsed(&doubling(10)).is_err());
        let nested =
            "with a as (with b as (select 1 from t) select * from b, b x) select * from a, a x, (select * from a) y";
        assert!(parsed(nested).is_ok());
    }

    #[test]
    fn queries_and_looks_at_tables_are_allowed() {
        for text in [
            "select 1",
            "select 1;",
            "with a as (select 1) select * from a",
            "values (1, 2)",
            "describe activities",
            "show tables",
            "show columns from activities",
            "explain select 1",
            "explain analyze verbose select 1",
        ] {
            assert!(parsed(text).is_ok(), "{text}: {:?}", parsed(text));
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_place() {
        for (text, kind) in [
            ("", RefusalKind::Syntax),
            ("-- nothing", RefusalKind::Syntax),
            ("selec 1", RefusalKind::Syntax),
            ("select 1; select 2", RefusalKind::NotAllowed),
            ("drop table activities", RefusalKind::NotAllowed),
            ("explain drop table activities", RefusalKind::NotAllowed),
            ("explain describe activities", RefusalKind::NotAllowed),
            ("set a = 1", RefusalKind::NotAllowed),
            ("show all", RefusalKind::NotAllowed),
            ("copy activities to 'x'", RefusalKind::NotAllowed),
            ("prepare p as select 1", RefusalKind::NotAllowed),
            ("select a from t group by cube (a, b, c, d, e, f, g)", RefusalKind::TooLarge),
            (&format!("select 1 from {}", vec!["t"; 65].join(", ")), RefusalKind::TooLarge),
            (&doubling(12), RefusalKind::TooLarge),
        ] {
            assert_eq!(parsed(text).unwrap_err().kind, kind, "{text}");
        }
        let refusal = parsed("select 1\nfrom t\nwhere )").unwrap_err();
        assert_eq!((refusal.place.line, refusal.place.column), (3, 7), "{refusal}");
    }
}
