//! What a query names several times (a common table expression, a view) and aggregates is run once: its rows are kept, in memory
//! as far as that goes, and read by all who name them.
//!
//! Found among the analysed plan's aliases, before filters and columns are pushed down and make the copies differ. Each becomes
//! the scan of a table of its own, so that the optimiser says which columns and conditions each use has; what is kept has the
//! columns of all, and only rows that some use may want. Random values are another for each use, as in Trino: such are not shared.
//! Where that fails, each use runs for itself: a value that cannot be computed may be in rows or columns that none reads together.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result, Statistics, internal_err};
use datafusion::datasource::{TableType, provider_as_source, source_as_provider};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::spill_file::SpillFile;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::utils::{conjunction, disjunction, split_conjunction};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, SubqueryAlias, TableProviderFilterPushDown, TableScan,
};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::{SpillManager, get_record_batch_memory_size};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PhysicalExpr, PlanProperties,
    SendableRecordBatchStream,
};
use futures::future::{BoxFuture, FutureExt, Shared as SharedFuture};
use futures::{StreamExt, TryStreamExt};
use indexmap::IndexMap;

use super::order_joins;
use crate::row_pattern::MatchTable;

/// The part of a query's memory that rows which are kept may take, of all shared tables together; the others are written to disk.
const PART_OF_MEMORY: usize = 4;

/// A query's physical plan, and those of what it reads several times, by name.
pub(crate) struct Planned {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) shared: Vec<(String, Arc<dyn ExecutionPlan>)>,
}

/// What is worth to be run once: all that joins, if what it gives is expected to be few rows; all that aggregates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Joins,
    Aggregates,
}

/// The most rows that joins alone may be expected to give.
const FEW_ROWS: usize = 2_000_000;

/// Plans a query.
///
/// # Errors
/// DataFusion's.
pub(crate) async fn physical(plan: &LogicalPlan, state: &SessionState) -> Result<Planned> {
    let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    // What cannot be shared after all is planned as it was written, and errors are those of that.
    for weight in [Weight::Joins, Weight::Aggregates] {
        let (main, tables) = share(&analyzed, weight)?;
        if tables.is_empty() {
            break;
        }
        if let Ok(planned) = with_shared(main, &tables, state).await {
            return Ok(planned);
        }
    }
    Ok(Planned { plan: planned(optimised(analyzed, state)?, state).await?, shared: Vec::new() })
}

fn optimised(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    state.optimizer().optimize(plan, state, |_, _| {})
}

async fn planned(plan: LogicalPlan, state: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
    let ordered = order_joins(&plan, state).await?;
    state.query_planner().create_physical_plan(ordered.as_ref().unwrap_or(&plan), state).await
}

async fn with_shared(main: LogicalPlan, tables: &[Arc<SharedTable>], state: &SessionState) -> Result<Planned> {
    let main = optimised(main, state)?;
    let mut uses: Vec<Vec<Use>> = vec![Vec::new(); tables.len()];
    collect(&main, &mut uses)?;
    // A table stands before those that only it reads, and each is narrowed to what all who read it want.
    let mut order = Vec::new();
    while let Some(next) = (0..tables.len()).find(|at| {
        let open = |other: &usize| !order.iter().any(|(done, _)| done == other);
        open(at) && (0..tables.len()).all(|other| other == *at || !open(&other) || !tables[other].reads.contains(at))
    }) {
        let narrowed = tables[next].narrowed(&uses[next])?;
        let narrowed = narrowed.map(|plan| optimised(plan, state)).transpose()?;
        if let Some(plan) = &narrowed {
            collect(plan, &mut uses)?;
        }
        order.push((next, narrowed));
    }
    let count = order.iter().filter(|(_, narrowed)| narrowed.is_some()).count();
    let mut shared = Vec::new();
    for (at, narrowed) in order.into_iter().rev() {
        let Some(narrowed) = narrowed else { continue };
        let plan = planned(narrowed, state).await?;
        shared.push((tables[at].name.clone(), Arc::clone(&plan)));
        tables[at].is_planned(plan, &uses[at], count, state)?;
    }
    shared.reverse();
    Ok(Planned { plan: planned(main, state).await?, shared })
}

/// The plan with the scans of tables in place of what is worth sharing.
fn share(plan: &LogicalPlan, weight: Weight) -> Result<(LogicalPlan, Vec<Arc<SharedTable>>)> {
    let mut counted: IndexMap<Key, usize> = IndexMap::new();
    let mut recursive = false;
    plan.apply_with_subqueries(|node| {
        recursive |= matches!(node, LogicalPlan::RecursiveQuery(_));
        let LogicalPlan::SubqueryAlias(alias) = node else { return Ok(TreeNodeRecursion::Continue) };
        if !is_heavy(&alias.input, weight)? {
            return Ok(TreeNodeRecursion::Continue);
        }
        let seen = counted.entry(Key::of(&alias.input)?).or_insert(0);
        *seen += 1;
        Ok(if *seen > 1 { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue })
    })?;
    counted.retain(|_, count| *count > 1);
    if recursive || counted.is_empty() {
        return Ok((plan.clone(), Vec::new()));
    }
    let keys: Vec<Key> = counted.into_keys().collect();
    let (main, _) = replaced(plan.clone(), &keys, None, weight)?;
    let tables = (0..keys.len()).map(|at| {
        let (plan, reads) = replaced(keys[at].plan.as_ref().clone(), &keys, Some(at), weight)?;
        Ok(Arc::new(SharedTable { plan, reads, ..SharedTable::of(at, &keys[at].plan) }))
    });
    let tables = tables.collect::<Result<Vec<_>>>()?;
    // The scans above hold tables that are not narrowed yet: they get those that are by their place.
    let main = bound(main, &tables)?;
    let inner = tables.iter().map(|table| {
        let plan = bound(table.plan.clone(), &tables)?;
        Ok((Arc::clone(table), plan))
    });
    for (table, plan) in inner.collect::<Result<Vec<_>>>()? {
        table.bound.set(plan).ok();
    }
    Ok((main, tables))
}

/// What two plans must have in common: they and the tables that they read, of which a plan holds the names only.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    plan: Arc<LogicalPlan>,
    tables: Vec<usize>,
}

impl Key {
    fn of(plan: &Arc<LogicalPlan>) -> Result<Self> {
        let mut tables = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let address =
                    source_as_provider(&scan.source).map_or(0, |table| Arc::as_ptr(&table).cast::<()>() as usize);
                tables.push(address);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Self { plan: Arc::clone(plan), tables })
    }
}

/// Whether a plan aggregates, always gives the same, and stands for itself.
fn is_heavy(plan: &LogicalPlan, weight: Weight) -> Result<bool> {
    let mut heavy = false;
    if matches!(plan, LogicalPlan::SubqueryAlias(_)) {
        return Ok(false);
    }
    let fields = plan.schema().fields();
    if fields.iter().map(|field| field.name()).collect::<BTreeSet<_>>().len() < fields.len() {
        return Ok(false);
    }
    plan.apply_with_subqueries(|node| {
        heavy |= aggregates(node) || (weight == Weight::Joins && matches!(node, LogicalPlan::Join(_)));
        Ok(if heavy { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(heavy && is_steady(plan)?)
}

/// Whether a plan always gives the same, and stands for itself.
fn is_steady(plan: &LogicalPlan) -> Result<bool> {
    let steady = |expr: &Expr| !expr.is_volatile() && !expr.contains_outer();
    let mut same = true;
    plan.apply_with_subqueries(|node| {
        same &= node.expressions().iter().all(steady);
        same &= !matches!(node, LogicalPlan::Extension(_) | LogicalPlan::RecursiveQuery(_));
        // A table that has a plan of its own.
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(table) = source_as_provider(&scan.source)
            && let Some(matches) = (table.as_ref() as &dyn Any).downcast_ref::<MatchTable>()
        {
            same &= matches.expressions().all(steady) && is_steady(matches.input())?;
        }
        Ok(if same { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(same)
}

fn aggregates(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) | LogicalPlan::Window(_))
}

fn table_name(at: usize) -> String {
    format!("shared_{}", at + 1)
}

/// The plan with scans of shared tables, and their places; what is replaced in a table's own plan is not the table.
fn replaced(
    plan: LogicalPlan,
    keys: &[Key],
    own: Option<usize>,
    weight: Weight,
) -> Result<(LogicalPlan, BTreeSet<usize>)> {
    let mut reads = BTreeSet::new();
    let plan = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::SubqueryAlias(alias) = &node else { return Ok(Transformed::no(node)) };
        if !is_heavy(&alias.input, weight)? {
            return Ok(Transformed::no(node));
        }
        let key = Key::of(&alias.input)?;
        let Some(at) = keys.iter().position(|known| *known == key).filter(|at| Some(*at) != own) else {
            return Ok(Transformed::no(node));
        };
        reads.insert(at);
        let table: Arc<dyn TableProvider> = Arc::new(SharedTable::of(at, &alias.input));
        let scan = LogicalPlanBuilder::scan(table_name(at), provider_as_source(table), None)?.build()?;
        let alias = SubqueryAlias::try_new(Arc::new(scan), alias.alias.clone())?;
        Ok(Transformed::new(LogicalPlan::SubqueryAlias(alias), true, TreeNodeRecursion::Jump))
    });
    Ok((plan.data()?, reads))
}

/// The scans of shared tables with the tables that are planned.
fn bound(plan: LogicalPlan, tables: &[Arc<SharedTable>]) -> Result<LogicalPlan> {
    let plan = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
        let Some(at) = shared_of(&scan).map(|table| table.at) else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        scan.source = provider_as_source(Arc::clone(&tables[at]) as _);
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    });
    plan.data()
}

fn shared_of(scan: &TableScan) -> Option<Arc<SharedTable>> {
    let table = source_as_provider(&scan.source).ok()?;
    let table: Arc<dyn Any + Send + Sync> = table;
    table.downcast::<SharedTable>().ok()
}

/// How a scan uses a shared table.
#[derive(Debug, Clone)]
struct Use {
    columns: BTreeSet<usize>,
    filters: Vec<Expr>,
}

fn collect(plan: &LogicalPlan, uses: &mut [Vec<Use>]) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = shared_of(scan)
        {
            let all = || (0..table.schema.fields().len()).collect();
            let columns = scan.projection.as_ref().map_or_else(all, |columns| columns.iter().copied().collect());
            // As a scan is told them.
            uses[table.at].push(Use { columns, filters: unnormalize_cols(scan.filters.iter().cloned()) });
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// A plan as a table.
struct SharedTable {
    at: usize,
    name: String,
    schema: SchemaRef,
    plan: LogicalPlan,
    /// The plan, its own scans of shared tables bound.
    bound: OnceLock<LogicalPlan>,
    /// The shared tables that the plan reads.
    reads: BTreeSet<usize>,
    rows: OnceLock<Arc<Rows>>,
}

impl fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl SharedTable {
    fn of(at: usize, plan: &LogicalPlan) -> Self {
        Self {
            at,
            name: table_name(at),
            schema: Arc::new(plan.schema().as_arrow().clone()),
            plan: plan.clone(),
            bound: OnceLock::new(),
            reads: BTreeSet::new(),
            rows: OnceLock::new(),
        }
    }

    /// The plan with the columns that some use wants, and without rows that none wants; `None` if it has no use.
    fn narrowed(&self, uses: &[Use]) -> Result<Option<LogicalPlan>> {
        let Some(plan) = self.bound.get().filter(|_| !uses.is_empty()) else { return Ok(None) };
        let columns = plan.schema().columns();
        let builder = LogicalPlanBuilder::from(plan.clone());
        let builder = match conjunction(self.wanted_by_some(uses, &columns)?) {
            Some(filter) => builder.filter(filter)?,
            None => builder,
        };
        let kept = kept_columns(uses).into_iter().map(|at| Expr::Column(columns[at].clone()));
        builder.project(kept)?.build().map(Some)
    }

    /// For each column that every use has conditions on alone: that one of them holds.
    fn wanted_by_some(&self, uses: &[Use], columns: &[Column]) -> Result<Vec<Expr>> {
        let mut all = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let name = self.schema.field(at).name();
            let own = uses.iter().map(|of| conjunction(of.on_column(name)));
            let Some(own) = own.collect::<Option<Vec<Expr>>>() else { continue };
            let distinct: BTreeSet<String> = own.iter().map(|expr| format!("{expr:?}")).collect();
            let mut own: Vec<Expr> = own;
            if distinct.len() == 1 {
                own.truncate(1);
            }
            let own = own.into_iter().map(|expr| {
                expr.transform(|expr| {
                    Ok(match expr {
                        Expr::Column(_) => Transformed::yes(Expr::Column(column.clone())),
                        other => Transformed::no(other),
                    })
                })
                .data()
            });
            all.extend(disjunction(own.collect::<Result<Vec<_>>>()?));
        }
        Ok(all)
    }

    /// `tables`: how many tables of the query are kept, this one among them.
    fn is_planned(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        uses: &[Use],
        tables: usize,
        state: &SessionState,
    ) -> Result<()> {
        let args = StatisticsArgs::new();
        let statistics = StatisticsContext::new().compute(plan.as_ref(), &args).ok();
        let expected = statistics.as_ref().and_then(|known| known.num_rows.get_value().copied());
        if !has_aggregate(&self.plan)? && expected.is_none_or(|rows| rows > FEW_ROWS) {
            return internal_err!("joins that may give too many rows to keep");
        }
        let Some(logical) = self.bound.get().cloned() else { return internal_err!("a shared table without a plan") };
        let rows = Rows {
            name: self.name.clone(),
            logical,
            state: state.clone(),
            plan,
            statistics,
            columns: kept_columns(uses),
            uses: uses.to_vec(),
            tables,
            kept: OnceLock::new(),
            metrics: ExecutionPlanMetricsSet::new(),
        };
        self.rows.set(Arc::new(rows)).or_else(|_| internal_err!("a shared table is planned twice"))
    }
}

fn has_aggregate(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= aggregates(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn kept_columns(uses: &[Use]) -> Vec<usize> {
    let all: BTreeSet<usize> = uses.iter().flat_map(|of| of.columns.iter().copied()).collect();
    // Where rows are only counted, some column stands for them.
    if all.is_empty() { vec![0] } else { all.into_iter().collect() }
}

impl Use {
    /// The conditions on this column alone.
    fn on_column(&self, name: &str) -> Vec<Expr> {
        let parts = self.filters.iter().flat_map(split_conjunction);
        let alone = parts.filter(|part| {
            let columns = part.column_refs();
            columns.len() == 1 && columns.iter().all(|column| column.name == name)
        });
        alone.cloned().collect()
    }
}

#[async_trait]
impl TableProvider for SharedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    /// Told to the scan, and looked at again above it.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(rows) = self.rows.get() else { return internal_err!("a shared table is read before it is planned") };
        // A use that is not among those that the rows were chosen by.
        let known = |of: &Use| of.filters.iter().all(|filter| filters.contains(filter));
        if !rows.uses.iter().any(known) {
            return internal_err!("a shared table has a use that was not known");
        }
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let places = wanted.iter().map(|column| rows.columns.iter().position(|kept| kept == column));
        let Some(places) = places.collect::<Option<Vec<_>>>() else {
            return internal_err!("a shared table lacks a column");
        };
        let schema = Arc::new(self.schema.project(&wanted)?);
        let alone = Alone { columns: wanted, filters: filters.to_vec() };
        Ok(Arc::new(SharedExec::new(Arc::clone(rows), places, alone, schema)))
    }
}

type Kept = SharedFuture<BoxFuture<'static, std::result::Result<Arc<Vec<Part>>, Arc<DataFusionError>>>>;

/// The rows of a shared table, once they are there.
struct Rows {
    name: String,
    logical: LogicalPlan,
    state: SessionState,
    plan: Arc<dyn ExecutionPlan>,
    statistics: Option<Arc<Statistics>>,
    /// The table's columns that are kept.
    columns: Vec<usize>,
    uses: Vec<Use>,
    /// The tables that share the memory for what is kept.
    tables: usize,
    kept: OnceLock<Kept>,
    metrics: ExecutionPlanMetricsSet,
}

impl Rows {
    /// The rows: whoever waits first lets the plan run, in tasks of its own that end when nobody waits any more.
    fn kept(&self, context: &Arc<TaskContext>) -> Kept {
        let begin = || {
            let (plan, context, metrics) = (Arc::clone(&self.plan), Arc::clone(context), self.metrics.clone());
            let tables = self.tables;
            async move { keep(&plan, tables, &context, &metrics).await.map(Arc::new).map_err(Arc::new) }
                .boxed()
                .shared()
        };
        self.kept.get_or_init(begin).clone()
    }
}

/// One use of a shared table without the others: its columns and conditions, by the names of the table's columns.
#[derive(Clone)]
struct Alone {
    columns: Vec<usize>,
    filters: Vec<Expr>,
}

impl Alone {
    /// The rows of this use, all in one stream.
    async fn run(&self, rows: &Rows, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let columns = rows.logical.schema().columns();
        let filters = self.filters.iter().map(|filter| {
            let named = filter.clone().transform(|expr| {
                let Expr::Column(named) = &expr else { return Ok(Transformed::no(expr)) };
                let Some(column) = columns.iter().find(|column| column.name == named.name) else {
                    return internal_err!("a condition on a column that is not there");
                };
                Ok(Transformed::yes(Expr::Column(column.clone())))
            });
            named.data()
        });
        let mut builder = LogicalPlanBuilder::from(rows.logical.clone());
        if let Some(filter) = conjunction(filters.collect::<Result<Vec<_>>>()?) {
            builder = builder.filter(filter)?;
        }
        let plan = builder.project(self.columns.iter().map(|at| Expr::Column(columns[*at].clone())))?.build()?;
        let plan = planned(optimised(plan, &rows.state)?, &rows.state).await?;
        CoalescePartitionsExec::new(plan).execute(0, context)
    }
}

/// What one partition gave, first what is in memory.
struct Part {
    batches: Vec<RecordBatch>,
    spilled: Option<(SpillManager, Arc<dyn SpillFile>)>,
    /// Held while the batches are.
    _memory: MemoryReservation,
}

async fn keep(
    plan: &Arc<dyn ExecutionPlan>,
    tables: usize,
    context: &Arc<TaskContext>,
    metrics: &ExecutionPlanMetricsSet,
) -> Result<Vec<Part>> {
    let count = plan.output_partitioning().partition_count();
    let most = match context.memory_pool().memory_limit() {
        MemoryLimit::Finite(bytes) => bytes / PART_OF_MEMORY / tables.max(1) / count.max(1),
        _ => usize::MAX,
    };
    let mut tasks = Vec::with_capacity(count);
    for partition in 0..count {
        let stream = plan.execute(partition, Arc::clone(context))?;
        let spill = SpillMetrics::new(metrics, partition);
        let files = SpillManager::new(context.runtime_env(), spill, plan.schema());
        let consumer = MemoryConsumer::new(format!("SharedExec[{partition}]"));
        let memory = consumer.register(context.memory_pool());
        tasks.push(SpawnedTask::spawn(keep_part(stream, memory, most, files)));
    }
    let mut parts = Vec::with_capacity(count);
    for task in tasks {
        parts.push(task.join_unwind().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    Ok(parts)
}

async fn keep_part(
    mut stream: SendableRecordBatchStream,
    memory: MemoryReservation,
    most: usize,
    files: SpillManager,
) -> Result<Part> {
    let (mut batches, mut file) = (Vec::new(), None);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let size = get_record_batch_memory_size(&batch);
        if file.is_none() && memory.size() + size <= most && memory.try_grow(size).is_ok() {
            batches.push(batch);
            continue;
        }
        if file.is_none() {
            file = Some(files.create_in_progress_file("rows that are read several times")?);
        }
        if let Some(file) = &mut file {
            file.append_batch(&batch)?;
        }
    }
    let spilled = match file {
        Some(mut file) => file.finish()?.map(|file| (files, file)),
        None => None,
    };
    Ok(Part { batches, spilled, _memory: memory })
}

/// Reads a shared table's rows.
struct SharedExec {
    rows: Arc<Rows>,
    projection: Vec<usize>,
    alone: Alone,
    properties: Arc<PlanProperties>,
}

impl SharedExec {
    fn new(rows: Arc<Rows>, projection: Vec<usize>, alone: Alone, schema: Arc<Schema>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(rows.plan.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { rows, projection, alone, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for SharedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: {}", self.rows.name)
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: {}", self.rows.name)
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &'static str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (rows, schema) = (Arc::clone(&self.rows), self.schema());
        let projection: Arc<[usize]> = self.projection.clone().into();
        let kept = rows.kept(&context);
        let alone = self.alone.clone();
        let stream = async move {
            let parts = match kept.await {
                Ok(parts) => parts,
                // No use has seen a row yet.
                Err(_) if partition > 0 => return Ok(futures::stream::empty().boxed()),
                Err(error) => {
                    let stream =
                        Box::pin(alone.run(&rows, context)).await.map_err(|_| DataFusionError::Shared(error))?;
                    return Ok(stream.map(move |batch| with_schema(&batch?, None, &schema)).boxed());
                }
            };
            let Some(part) = parts.get(partition) else { return internal_err!("a partition is missing") };
            let in_memory = futures::stream::iter(part.batches.clone()).map(Ok);
            let on_disk = match &part.spilled {
                Some((files, file)) => files.read_spill_as_stream(Arc::clone(file), None)?.boxed(),
                None => futures::stream::empty().boxed(),
            };
            // The rows live as long as somebody reads them.
            let held = (rows, parts);
            let narrow = move |batch: RecordBatch| {
                let _ = &held;
                with_schema(&batch, Some(&projection), &schema)
            };
            Ok(in_memory.chain(on_disk).map(move |batch| batch.and_then(&narrow)).boxed())
        };
        let stream = futures::stream::once(stream).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match (&self.rows.statistics, args.partition()) {
            (Some(all), None) => Ok(Arc::new(all.as_ref().clone().project(Some(&self.projection)))),
            _ => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }
}

/// Some of a batch's columns, all of them if none are named, under the names of a schema.
fn with_schema(batch: &RecordBatch, projection: Option<&[usize]>, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = match projection {
        Some(places) => places.iter().map(|at| Arc::clone(batch.column(*at))).collect(),
        None => batch.columns().to_vec(),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::{collect as collect_rows, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    fn context(memory: Option<usize>) -> SessionContext {
        let mut runtime = RuntimeEnvBuilder::new();
        if let Some(memory) = memory {
            runtime = runtime.with_memory_limit(memory, 1.0);
        }
        let config = SessionConfig::new().with_target_partitions(3).with_batch_size(500);
        let context = SessionContext::new_with_config_rt(config, Arc::new(runtime.build().unwrap()));
        let rows = 20_000;
        let batch = RecordBatch::try_from_iter([
            ("k", Arc::new((0..rows).map(|n| n % 4_000).collect::<Int64Array>()) as _),
            ("g", Arc::new((0..rows).map(|n| n % 5).collect::<Int64Array>()) as _),
            ("n", Arc::new((0..rows).collect::<Int64Array>()) as _),
        ]);
        context.register_batch("t", batch.unwrap()).unwrap();
        context
    }

    /// The rows, and how many tables were shared.
    async fn run(context: &SessionContext, sql: &str) -> (String, usize) {
        let plan = context.state().create_logical_plan(sql).await.unwrap();
        let planned = physical(&plan, &context.state()).await.unwrap();
        let count = planned.shared.len();
        let batches = collect_rows(planned.plan, context.task_ctx()).await.unwrap();
        (pretty_format_batches(&batches).unwrap().to_string(), count)
    }

    async fn as_written(context: &SessionContext, sql: &str) -> String {
        pretty_format_batches(&context.sql(sql).await.unwrap().collect().await.unwrap()).unwrap().to_string()
    }

    const WITH: &str = "WITH s AS (SELECT k, g, sum(n) AS total, count(*) AS many FROM t GROUP BY k, g)";

    #[tokio::test]
    async fn what_is_named_twice_runs_once() {
        let context = context(None);
        for (sql, shared) in [
            ("SELECT a.k, a.total, b.many FROM s a, s b WHERE a.k = b.k AND a.g = 1 AND b.g = 1 ORDER BY 1", 1),
            ("SELECT a.k, b.k, a.total FROM s a, s b WHERE a.k = b.k + 1 AND a.g = 1 AND b.g IN (0, 2) ORDER BY 1", 1),
            ("SELECT a.k, a.total FROM s a LEFT JOIN s b ON a.k = b.k + 7 AND b.many > 9 WHERE a.k < 50 ORDER BY 1", 1),
            (
                "SELECT (SELECT count(*) FROM s) AS a, (SELECT max(total) FROM s WHERE g = 3) AS b, (SELECT min(k) FROM s) AS c",
                1,
            ),
            ("SELECT k FROM s WHERE total > (SELECT avg(total) * 1.9 FROM s) ORDER BY k", 1),
            ("SELECT count(*) FROM (SELECT k FROM s WHERE g < 3 UNION ALL SELECT k FROM s WHERE g > 3) AS u", 1),
            (
                ", u AS (SELECT g, sum(total) AS t FROM s GROUP BY g) SELECT * FROM u, s, u v WHERE u.g = v.g AND s.g = u.g \
              AND s.k < 9 ORDER BY 1, 2, 3, 4",
                2,
            ),
            ("SELECT count(*) FROM s WHERE g = 1", 0),
            (
                ", j AS (SELECT t.k, u.n FROM t, t u WHERE t.n = u.k AND u.n < 900) SELECT a.k, b.n FROM j a, j b \
              WHERE a.k = b.n ORDER BY 1, 2",
                1,
            ),
            (", r AS (SELECT random() AS x, count(*) AS c FROM t) SELECT count(*) FROM r a, r b WHERE a.x = b.x", 0),
        ] {
            let sql = format!("{WITH} {sql}");
            let (rows, count) = run(&context, &sql).await;
            assert_eq!(rows, as_written(&context, &sql).await, "{sql}");
            assert_eq!(count, shared, "{sql}");
        }
    }

    #[tokio::test]
    async fn what_fails_for_rows_of_no_use_runs_for_each() {
        let context = context(None);
        let with = "WITH s AS (SELECT k, count(*) AS many, 12000 / min(n) AS r FROM t GROUP BY k)";
        for sql in [
            "SELECT (SELECT count(*) FROM s) AS a, (SELECT sum(r) FROM s WHERE k > 0) AS b",
            "SELECT a.k, a.r, b.many FROM s a, s b WHERE a.k = b.k + 1 AND a.k > 3990 AND b.many > 1 ORDER BY 1",
        ] {
            let sql = format!("{with} {sql}");
            let (rows, count) = run(&context, &sql).await;
            assert_eq!((rows, count), (as_written(&context, &sql).await, 1), "{sql}");
        }
        let plan = context.state().create_logical_plan(&format!("{with} SELECT * FROM s a, s b WHERE a.r = b.k")).await;
        let planned = physical(&plan.unwrap(), &context.state()).await.unwrap();
        let error = collect_rows(planned.plan, context.task_ctx()).await.unwrap_err();
        assert!(error.to_string().contains("Divide by zero"), "{error}");
    }

    #[tokio::test]
    async fn only_what_some_use_wants_is_kept() {
        let context = context(None);
        let sql =
            format!("{WITH} SELECT a.k FROM s a, s b WHERE a.k = b.k AND a.g = 1 AND b.g = 2 AND a.many > b.many");
        let plan = context.state().create_logical_plan(&sql).await.unwrap();
        let planned = physical(&plan, &context.state()).await.unwrap();
        let inner = displayable(planned.shared[0].1.as_ref()).indent(false).to_string();
        let below = inner.split("AggregateExec").last().unwrap();
        assert!(below.contains("g@1 = 1 OR g@1 = 2"), "{inner}");
        assert!(!inner.contains("sum("), "{inner}");
    }

    #[tokio::test]
    async fn what_memory_has_no_place_for_is_on_disk() {
        let context = context(Some(3 << 20));
        let sql = "WITH s AS (SELECT DISTINCT k, g, n FROM t) \
                   SELECT count(*), sum(a.n), max(b.k) FROM s a, (SELECT max(k) AS k, count(*) FROM s) b WHERE a.k < b.k";
        let plan = context.state().create_logical_plan(sql).await.unwrap();
        let planned = physical(&plan, &context.state()).await.unwrap();
        let [(_, inner)] = planned.shared.as_slice() else { panic!("one is shared") };
        let metrics = ExecutionPlanMetricsSet::new();
        // Four tables have together what one has.
        let parts = keep(inner, 4, &context.task_ctx(), &metrics).await.unwrap();
        let held: usize = parts.iter().flat_map(|part| &part.batches).map(get_record_batch_memory_size).sum();
        assert!(held <= (3 << 20) / 16, "{held}");
        drop(parts);
        let (rows, _) = run(&context, sql).await;
        assert_eq!(rows, as_written(&self::context(None), sql).await);
    }
}
