//! A session for one statement: what it can name, what it may take, and the way from a text to a plan.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::DateTime;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ParamValues};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use futures::StreamExt;
use prometheus_client::metrics::counter::Counter;

use super::error::{Refusal, RefusalKind};
use super::failure::Failure;
use super::statement::{Parsed, first_line, parse};
use super::store::{OpenedFiles, ReadOnly};
use super::structures::Structures;
use super::text::bounded_tokens;
use super::{complexity, functions, guard, names, place, scrub};
use crate::domain::activity::RAW;
use crate::domain::tenant::TenantKey;
use crate::lake::table::ActivityTable;
use crate::query::catalog::{CATALOG, Catalogs, Moment, SCHEMA, TenantTables};
use crate::query::engine::{BATCH_ROWS, QueryEngine};
use crate::query::limits::LimitsMet;
use crate::query::limits::memory::StatementPool;
use crate::query::limits::rule::GuardOperators;
use crate::query::limits::stop::Stop;
use crate::query::limits::temp::TempFiles;
use crate::query::limits::values::Values;
use crate::registry::Registry;

/// Memory below which a plan has one partition, in bytes: under less, grouping in several partitions can wait for ever
/// in the engine (apache/datafusion#24883).
pub const ONE_PARTITION_BELOW: usize = 100 << 20;

/// What a statement takes its rows and its resources from.
#[derive(Debug)]
pub struct StatementParts {
    /// The tenant.
    pub tenant: TenantKey,
    /// Its activities.
    pub activities: Arc<ActivityTable>,
    /// Everything transactional.
    pub registry: Arc<Registry>,
    /// The moment that it sees.
    pub moment: Moment,
    /// Bytes that its operators may reserve, for the choice of partitions.
    pub memory_bytes: usize,
    /// The pool with that memory.
    pub pool: StatementPool,
    /// Where its temporary files come from.
    pub temp: TempFiles,
    /// Notes of limits that were met.
    pub met: Arc<LimitsMet>,
    /// Whether it is still wanted.
    pub stop: Arc<Stop>,
    /// Counts opened data files.
    pub files_opened: Counter,
}

/// Why a statement did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It failed before its first row.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A session for one statement of one tenant.
#[derive(Debug)]
pub struct Session {
    state: SessionState,
    met: Arc<LimitsMet>,
    values: Arc<Values>,
    opened: Arc<OpenedFiles>,
}

/// A statement that runs.
pub struct Started {
    /// Columns of the batches.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: SendableRecordBatchStream,
    /// Notes of limits that were met.
    pub met: Arc<LimitsMet>,
    /// Data files opened so far.
    pub opened: Arc<OpenedFiles>,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started").field("schema", &self.schema).finish_non_exhaustive()
    }
}

fn config(partitions: usize) -> SessionConfig {
    let mut config = QueryEngine::config(partitions).with_default_catalog_and_schema(CATALOG, SCHEMA);
    let options = config.options_mut();
    options.catalog.create_default_catalog_and_schema = false;
    options.sql_parser.collect_spans = true;
    // What sorts and groups write aside is read once, and disks are slower than this compression.
    options.execution.spill_compression = datafusion::config::SpillCompression::Lz4Frame;
    config
}

impl Session {
    /// A session over the engine's caches.
    ///
    /// # Errors
    /// When the session's parts cannot be built.
    pub fn new(engine: &QueryEngine, parts: StatementParts) -> Result<Self, DataFusionError> {
        let StatementParts { tenant, activities, registry, moment, memory_bytes, pool, temp, met, stop, files_opened } =
            parts;
        let opened = Arc::<OpenedFiles>::default();
        let store = ReadOnly { inner: activities.read_store(), opened: Arc::clone(&opened), counter: files_opened };
        let disk = DiskManagerBuilder::default()
            .with_temp_file_factory(Arc::new(temp))
            // The quota of the tenant counts.
            .with_max_temp_directory_size(u64::MAX);
        let runtime: Arc<RuntimeEnv> = engine.runtime(tenant, Arc::new(store), Arc::new(pool), disk)?;
        let partitions = if memory_bytes < ONE_PARTITION_BELOW { 1 } else { engine.partitions() };
        let reading = SessionStateBuilder::new().with_config(config(partitions)).with_runtime_env(Arc::clone(&runtime));
        let tables = TenantTables { tenant, activities, registry, moment, session: Arc::new(reading.build()) };
        let mut planners = SessionStateDefaults::default_expr_planners();
        let values = Values::new(memory_bytes, Arc::clone(&met), Arc::clone(&stop));
        planners.insert(0, Arc::new(Structures { values: Arc::clone(&values) }));
        let mut state = SessionStateBuilder::new()
            .with_config(config(partitions))
            .with_runtime_env(runtime)
            .with_catalog_list(Arc::new(Catalogs::of(tables)))
            .with_expr_planners(planners)
            .with_scalar_functions(functions::scalar(&values))
            .with_aggregate_functions(functions::aggregate())
            .with_window_functions(functions::window())
            .with_physical_optimizer_rule(Arc::new(GuardOperators { met: Arc::clone(&met), stop }))
            .build();
        state.mark_start_execution();
        state.execution_props_mut().query_execution_start_time = DateTime::from_timestamp_millis(moment.now_ms);
        Ok(Self { state, met, values, opened })
    }

    /// Bounds, parses and plans a statement, and does not start it. Call it where [`Session::start`] is called.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn check(&self, text: &str, params: Option<ParamValues>) -> Result<(), StartError> {
        let tokens = bounded_tokens(text)?;
        let plan = self.plan(parse(text, &tokens)?, params, &tokens).await?;
        self.state.optimize(&plan).map_err(|error| self.planning(error, &tokens))?;
        Ok(())
    }

    /// Bounds, parses, plans and starts a statement. Planning is one step that nothing interrupts: call it on the CPU
    /// runtime, whose stacks are large.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(&self, text: &str, params: Option<ParamValues>) -> Result<Started, StartError> {
        let tokens = bounded_tokens(text)?;
        let parsed = parse(text, &tokens)?;
        let is_explain = parsed.explain.is_some();
        let plan = self.plan(parsed, params, &tokens).await?;
        let optimized = self.state.optimize(&plan).map_err(|error| self.planning(error, &tokens))?;
        let mut state = self.state.clone();
        *state.config_mut() = state.config().clone().with_batch_size(batch_rows(&optimized));
        let physical = state.query_planner().create_physical_plan(&optimized, &state).await;
        let physical = physical.map_err(|error| self.planning(error, &tokens))?;
        Ok(self.run(physical, &state, is_explain)?)
    }

    async fn plan(
        &self,
        parsed: Parsed,
        params: Option<ParamValues>,
        tokens: &[TokenWithSpan],
    ) -> Result<LogicalPlan, StartError> {
        let refused = |error: DataFusionError| refusal(&error, tokens);
        let start = place::start(tokens);
        let plan = self.state.statement_to_plan(parsed.inner).await.map_err(|error| self.planning(error, tokens))?;
        // Everything below walks the plan written out.
        if let Some(message) = complexity::check(&plan).map_err(refused)? {
            return Err(Refusal::new(RefusalKind::TooLarge, start, message).into());
        }
        let plan = match parsed.explain {
            Some(explain) => self.state.statement_to_plan(explain).await.map_err(refused)?,
            None => plan,
        };
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        if let Err(error) = options.verify_plan(&plan) {
            let message = scrub::message(&first_line(&error));
            return Err(Refusal::new(RefusalKind::NotAllowed, start, message).into());
        }
        let plan = match params {
            Some(params) => plan.with_param_values(params).map_err(|error| parameter(&error, tokens))?,
            None => plan,
        };
        let missing = plan.get_parameter_names().map_err(refused)?;
        if let Some(name) = missing.iter().min() {
            let message = format!("the parameter '{name}' has no value");
            let place = place::of_error(&DataFusionError::Plan(message.clone()), &message, tokens);
            return Err(Refusal::new(RefusalKind::Parameter, place, message).into());
        }
        Ok(guard::guarded(plan, &self.values).map_err(refused)?)
    }

    /// An error of the planner: constants are computed while planning, so that it may also be one of running.
    fn planning(&self, error: DataFusionError, tokens: &[TokenWithSpan]) -> StartError {
        match Failure::of(error, &self.met, &self.opened) {
            Failure::Statement(message) => {
                let error = DataFusionError::Plan(message.clone());
                Refusal::new(RefusalKind::Plan, place::of_error(&error, &message, tokens), message).into()
            }
            Failure::Engine(error) if !is_storage(&error) => refusal(&error, tokens).into(),
            other => other.into(),
        }
    }

    fn run(&self, plan: Arc<dyn ExecutionPlan>, state: &SessionState, is_explain: bool) -> Result<Started, Failure> {
        let rows = execute_stream(plan, state.task_ctx());
        let rows = rows.map_err(|error| Failure::of(error, &self.met, &self.opened))?;
        let rows: SendableRecordBatchStream = if is_explain {
            let schema = rows.schema();
            let shown = rows.map(|batch| batch.and_then(|batch| Ok(scrub::explained(&batch)?)));
            Box::pin(RecordBatchStreamAdapter::new(schema, shown))
        } else {
            names::once_each(rows)
        };
        Ok(Started { schema: rows.schema(), rows, met: Arc::clone(&self.met), opened: Arc::clone(&self.opened) })
    }
}

/// Columns of a scan up to which its batches have [`NARROW_BATCH_ROWS`] rows.
const NARROW_COLUMNS: usize = 16;

/// Rows of a batch of few columns. What is done once a batch, as compiling a pattern, is done less often; wide rows would
/// take too much memory, which no pool counts.
const NARROW_BATCH_ROWS: usize = 8192;

/// Bytes of constants up to which batches have [`NARROW_BATCH_ROWS`] rows: operators write constants out for each row.
const NARROW_CONSTANT_BYTES: usize = 8 << 10;

/// Rows of the batches that a statement works on.
fn batch_rows(plan: &LogicalPlan) -> usize {
    let (mut narrow, mut constants) = (true, 0);
    let looked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Literal(value, _) = part {
                    constants += value.size();
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if let LogicalPlan::TableScan(scan) = node {
            let schema = &scan.projected_schema;
            narrow &= schema.fields().len() <= NARROW_COLUMNS && !schema.has_column_with_unqualified_name(RAW);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if looked.is_ok() && narrow && constants <= NARROW_CONSTANT_BYTES { NARROW_BATCH_ROWS } else { BATCH_ROWS }
}

fn is_storage(error: &DataFusionError) -> bool {
    matches!(
        error.find_root(),
        DataFusionError::IoError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::ParquetError(_)
            | DataFusionError::External(_)
            | DataFusionError::ExecutionJoin(_)
    )
}

fn refusal(error: &DataFusionError, tokens: &[TokenWithSpan]) -> Refusal {
    let message = first_line(error);
    let place = place::of_error(error, &message, tokens);
    Refusal::new(RefusalKind::Plan, place, scrub::message(&message))
}

fn parameter(error: &DataFusionError, tokens: &[TokenWithSpan]) -> Refusal {
    Refusal { kind: RefusalKind::Parameter, ..refusal(error, tokens) }
}
