//! DataFusion for one statement: Trino's functions, our objects, and the tables that the statement names.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{
    CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::config::ConfigOptions;
use datafusion::datasource::ViewTable;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{AggregateUDF, LogicalPlan, TableType};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Spanned, Statement as SqlStatement, visit_relations};
use futures::FutureExt as _;

use super::Run;
use super::view::as_declared;
use crate::catalog::{Table, ViewText, state};
use crate::delta::DeltaTable;
use crate::delta::scan::DeltaScan;
use crate::error::{Error, Result};
use crate::scan::{HIDDEN, HiveTable};
use crate::sql::{self, Select};
use crate::types::{parse_hive_field, trino_type};

pub(super) const CATALOG: &str = "awsdatacatalog";
const DEEPEST_VIEW: usize = 30;

/// So much of the stack has to be free for one view more, else it goes on on a new piece.
const RED_ZONE: usize = 512 << 10;
const SEGMENT: usize = 4 << 20;

/// A future that has stack enough for views within views: each is planned within the planning of the one that reads it.
struct Grown<F>(Pin<Box<F>>);

impl<F: Future> Future for Grown<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let inner = self.0.as_mut();
        stacker::maybe_grow(RED_ZONE, SEGMENT, || inner.poll(cx))
    }
}

/// A relation with its database and name.
type Given = (String, String, Arc<dyn TableProvider>);

/// A context and the catalogs of its queries. Queries that name other hidden columns (a view and who reads it) see other tables under
/// one name, for `*` would show them: each set of hidden columns has a catalog of its own.
pub(super) struct Session {
    context: SessionContext,
    catalogs: Mutex<BTreeMap<String, Arc<MemoryCatalogProvider>>>,
    /// What the statement itself made known.
    given: Mutex<Vec<Given>>,
    threads: usize,
}

impl Session {
    /// Half as many parts again as threads for what reads files: no thread stands still while the others end their parts, of which no two take
    /// equally long. TPC-H at scale 1 on two cores takes 3.47 s with three parts, 3.53 s with four, 3.75 s with two.
    fn reads_files(&self) {
        let parts = self.threads + self.threads / 2;
        self.context.state_ref().write().config_mut().options_mut().execution.target_partitions = parts;
    }

    pub(super) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Makes a relation known under a name.
    pub(super) fn put(&self, database: &str, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        for catalog in self.catalogs().values() {
            schema_of(catalog, database)?.register_table(name.to_owned(), Arc::clone(&provider))?;
        }
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.push((database.to_owned(), name.to_owned(), provider));
        Ok(())
    }

    fn catalogs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<MemoryCatalogProvider>>> {
        self.catalogs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The catalog of queries that name these hidden columns, and its name.
    fn catalog(&self, hidden: &[&str]) -> Result<(String, Arc<MemoryCatalogProvider>)> {
        let name = if hidden.is_empty() { CATALOG.to_owned() } else { format!("{CATALOG} {}", hidden.join(" ")) };
        let mut catalogs = self.catalogs();
        if let Some(known) = catalogs.get(&name) {
            return Ok((name, Arc::clone(known)));
        }
        let catalog = Arc::new(MemoryCatalogProvider::new());
        for (database, table, provider) in self.given.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            schema_of(&catalog, database)?.register_table(table.clone(), Arc::clone(provider))?;
        }
        self.context.register_catalog(&name, Arc::clone(&catalog) as _);
        catalogs.insert(name.clone(), Arc::clone(&catalog));
        Ok((name, catalog))
    }
}

fn schema_of(catalog: &MemoryCatalogProvider, database: &str) -> Result<Arc<dyn SchemaProvider>> {
    if let Some(schema) = catalog.schema(database) {
        return Ok(schema);
    }
    let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
    catalog.register_schema(database, Arc::clone(&schema))?;
    Ok(schema)
}

/// Joins on one machine: what a hash table is built of is the same memory for all threads, so that neither side need be
/// spread over them by the key, which costs more than the join itself. Only what is large is spread, to build it in
/// parallel. Integer keys are places in an array wherever that takes about as much memory as a hash table.
fn joins(options: &mut ConfigOptions) {
    options.optimizer.hash_join_single_partition_threshold = 128 << 20;
    options.optimizer.hash_join_single_partition_threshold_rows = 4 << 20;
    options.execution.perfect_hash_join_small_build_threshold = 1 << 20;
    options.execution.perfect_hash_join_min_key_density = 0.08;
}

impl Run<'_> {
    /// A context whose unqualified names are of this database.
    pub(super) fn session(&self, database: &str) -> Result<Session> {
        let threads = match self.job.threads {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            threads => threads,
        };
        let mut config = SessionConfig::new()
            .with_target_partitions(threads)
            .with_default_catalog_and_schema(CATALOG, database)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false)
            .with_collect_statistics(false);
        let options = config.options_mut();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.collect_spans = true;
        // As much of a file comes in order as Trino's first split holds.
        options.optimizer.repartition_file_min_size = 32 << 20;
        options.sql_parser.parse_float_as_decimal = true;
        // Nulls come last whichever way is sorted.
        "nulls_last".clone_into(&mut options.sql_parser.default_null_ordering);
        options.execution.parquet.schema_force_view_types = false;
        // Spark's older timestamps: as nanoseconds, all but 1677 to 2262 would come out as other dates.
        options.execution.parquet.coerce_int96 = Some("us".to_owned());
        options.execution.time_zone = Some("UTC".to_owned());
        joins(options);
        let mut runtime = RuntimeEnvBuilder::new().with_object_store_registry(Arc::clone(&self.storage) as _);
        if self.job.memory_bytes > 0 {
            runtime = runtime.with_memory_limit(self.job.memory_bytes, 1.0);
        }
        // GROUPING reads a column that only an aggregation itself has: before anything is put above one.
        let mut analyzers: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
            Arc::new(ResolveGroupingFunction::new()),
            Arc::new(crate::analyze::TrinoAnalyzer),
            Arc::new(crate::decorrelate::Decorrelate),
            Arc::new(crate::chance::Chance),
        ];
        analyzers.extend(datafusion::optimizer::Analyzer::new().rules);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::new(runtime.build()?))
            .with_default_features()
            .with_physical_optimizer_rules(crate::plan::physical_rules())
            .with_physical_optimizer_rule(Arc::new(crate::scan::FileOrder))
            .with_analyzer_rules(analyzers)
            .build();
        let context = SessionContext::new_with_state(state);
        {
            let state = context.state_ref();
            let mut state = state.write();
            for function in crate::functions::scalars() {
                state.register_udf(function)?;
            }
            for function in crate::functions::lambdas() {
                state.register_higher_order_function(function)?;
            }
            for function in crate::functions::aggregates() {
                state.register_udaf(function)?;
            }
            state.register_expr_planner(Arc::new(crate::functions::RowFields))?;
        }
        crate::plan::register(&context)?;
        Ok(Session { context, catalogs: Mutex::default(), given: Mutex::default(), threads })
    }

    /// The logical plan of a query, its tables looked up first.
    pub(super) async fn plan(&self, select: &Select) -> Result<(Session, LogicalPlan)> {
        self.tick();
        let database = self.job.database.to_lowercase();
        let session = self.session(&database)?;
        let plan = Box::pin(self.plan_in(&session, select, &database, 0)).await?;
        Ok((session, plan))
    }

    /// A statement's moment: all of its queries have the same.
    #[expect(clippy::unused_self, reason = "it is the statement's")]
    pub(super) fn tick(&self) {
        trino_functions::clock::set(chrono::Utc::now().timestamp_micros());
    }

    /// The plan of a query in a session that may know relations already.
    pub(super) async fn plan_with(&self, session: &Session, select: &Select) -> Result<LogicalPlan> {
        Box::pin(self.plan_in(session, select, &self.job.database.to_lowercase(), 0)).await
    }

    async fn plan_in(&self, session: &Session, select: &Select, database: &str, depth: usize) -> Result<LogicalPlan> {
        if depth > DEEPEST_VIEW {
            return Err(Error::user(1006, "INVALID_VIEW", "Views are nested too deeply or refer to themselves"));
        }
        let mut query = select.query.clone();
        sql::without_catalogs(&mut query, |name| self.is_own(name))
            .map_err(|(name, at)| super::no_catalog(&name, at))?;
        sql::in_session(&mut query, CATALOG, database);
        let (catalog_name, catalog) = session.catalog(&select.hidden)?;
        let state = session.context.state();
        let named = DfStatement::Statement(Box::new(SqlStatement::Query(Box::new(query))));
        let references = state.resolve_table_references(&named)?;
        for reference in references {
            let name = reference.table().to_owned();
            if name == crate::row_pattern::INPUT {
                continue;
            }
            let schema_name = reference.schema().unwrap_or(database).to_owned();
            let schema = schema_of(&catalog, &schema_name)?;
            if schema.table_exist(&name) {
                continue;
            }
            let at = || place_of(&select.query, &name);
            let provider: Arc<dyn TableProvider> = if schema_name == "information_schema" {
                self.information_schema(&name)
                    .await?
                    .ok_or_else(|| Error::table_not_found(at(), format_args!("{CATALOG}.{schema_name}.{name}")))?
            } else if schema_name == state::DATABASE && self.catalog.database(state::DATABASE).await?.is_none() {
                self.catalog
                    .state(&name)
                    .ok_or_else(|| Error::table_not_found(at(), format_args!("{CATALOG}.{schema_name}.{name}")))?
            } else {
                match self.provider(session, select, &schema_name, &name, depth).await? {
                    Some(provider) => {
                        session.reads_files();
                        provider
                    }
                    None => return Err(self.missing(&schema_name, &name, at()).await?),
                }
            };
            schema.register_table(name, provider)?;
        }
        for name in &select.aggregates {
            let function = AggregateUDF::from(crate::functions::TrinoAggregate::new(name));
            session.context.register_udaf(function);
        }
        let mut query = match named {
            DfStatement::Statement(statement) => match *statement {
                SqlStatement::Query(query) => query,
                _ => return Err(Error::internal("a query has become another statement")),
            },
            _ => return Err(Error::internal("a query has become another statement")),
        };
        if !select.hidden.is_empty() {
            let hides = |name: &ObjectName| hidden_of(&catalog, database, name);
            sql::hide(&mut query, &hides).map_err(Error::not_supported)?;
        }
        // Unqualified names inside a view are of the view's database.
        let mut state = session.context.state();
        let options = &mut state.config_mut().options_mut().catalog;
        database.clone_into(&mut options.default_schema);
        options.default_catalog = catalog_name;
        let plan = state.statement_to_plan(DfStatement::Statement(Box::new(SqlStatement::Query(query)))).await?;
        Ok(crate::analyze::set_operations(plan)?)
    }

    async fn provider(
        &self,
        session: &Session,
        select: &Select,
        database: &str,
        name: &str,
        depth: usize,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let (base, suffix) = match name.split_once('$') {
            Some((base, suffix)) if !base.is_empty() => (base, Some(suffix)),
            _ => (name, None),
        };
        let Some(table) = self.catalog.table(database, base).await? else { return Ok(None) };
        if table.is_iceberg() {
            return Box::pin(self.iceberg_provider(session, table, suffix, select)).await;
        }
        if table.is_delta() && suffix.is_none() {
            let delta = DeltaTable::load(&self.storage, database, &table).await?;
            return Ok(Some(Arc::new(DeltaScan::new(delta, &select.hidden)?)));
        }
        if let Some(suffix) = suffix {
            return self.special(table, database, suffix).await;
        }
        if !table.is_view() {
            let provider =
                HiveTable::new(Arc::clone(&self.storage), Arc::clone(&self.catalog), database, table, &select.hidden)?;
            return Ok(Some(Arc::new(provider)));
        }
        let view = ViewText::decode(&table)?;
        let inner = sql::parse_query(&view.original_sql)?;
        let own_database = view.schema.as_deref().unwrap_or(database).to_lowercase();
        let plan =
            Grown(Box::pin(self.plan_in(session, &inner, &own_database, depth + 1))).await.map_err(|error| Error {
                message: format!(
                    "INVALID_VIEW: line 1:15: Failed analyzing stored view '{CATALOG}.{database}.{name}': {}",
                    error.message
                ),
                ..error
            })?;
        let plan = as_declared(named(plan, &inner)?, &view, &format!("{CATALOG}.{database}.{name}"))?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.original_sql)))))
    }

    /// `"t$partitions"`; `t$as of …` is what [`sql`] makes of time travel.
    async fn special(&self, table: Table, database: &str, suffix: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if table.is_delta() {
            return Err(Error::not_supported(format_args!("\"${suffix}\" of a Delta Lake table, or its past")));
        }
        if suffix == "partitions" && !table.partition_keys.is_empty() {
            return self.partitions_table(&table, database).await.map(Some);
        }
        if suffix.starts_with(sql::AS_OF) {
            return Err(Error::not_supported("Time travel is only supported for Iceberg tables"));
        }
        Ok(None)
    }

    /// The partitions of a Hive table as rows.
    async fn partitions_table(&self, table: &Table, database: &str) -> Result<Arc<dyn TableProvider>> {
        let partitions = self.catalog.partitions(database, &table.name).await?;
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for (at, key) in table.partition_keys.iter().enumerate() {
            let field = parse_hive_field(&key.name.to_lowercase(), &key.ty)?;
            let values = partitions
                .iter()
                .map(|partition| {
                    crate::scan::decode_partition_value(&field, partition.values.get(at).map_or("", String::as_str))
                })
                .collect::<Result<Vec<_>>>()?;
            arrays.push(if values.is_empty() {
                datafusion::arrow::array::new_empty_array(field.data_type())
            } else {
                datafusion::common::ScalarValue::iter_to_array(values)?
            });
            fields.push(field);
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(Error::internal)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }

    /// Says which of schema and table does not exist.
    async fn missing(&self, database: &str, table: &str, at: (u64, u64)) -> Result<Error> {
        Ok(match self.catalog.database(database).await? {
            Some(_) => Error::table_not_found(at, format_args!("{CATALOG}.{database}.{table}")),
            None => Error::user(
                1107,
                "SCHEMA_NOT_FOUND",
                format_args!("line {}:{}: Schema '{database}' does not exist", at.0, at.1),
            ),
        })
    }

    /// `information_schema`, with the columns that Trino and Athena give it.
    #[expect(clippy::too_many_lines, reason = "one line for each column")]
    async fn information_schema(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let names: &[&str] = match name {
            "schemata" => &["catalog_name", "schema_name"],
            "tables" => &["table_catalog", "table_schema", "table_name", "table_type"],
            "views" => &["table_catalog", "table_schema", "table_name", "view_definition"],
            "columns" => &[
                "table_catalog",
                "table_schema",
                "table_name",
                "column_name",
                "ordinal_position",
                "column_default",
                "is_nullable",
                "data_type",
                "comment",
                "extra_info",
            ],
            // Athena's rights are Lake Formation's and IAM's; these are empty there too.
            "applicable_roles" => &["grantee", "grantee_type", "role_name", "is_grantable"],
            "enabled_roles" | "roles" => &["role_name"],
            "table_privileges" => &[
                "grantor",
                "grantor_type",
                "grantee",
                "grantee_type",
                "table_catalog",
                "table_schema",
                "table_name",
                "privilege_type",
                "is_grantable",
                "with_hierarchy",
            ],
            _ => return Ok(None),
        };
        let mut rows: Vec<Vec<Option<String>>> = Vec::new();
        let some = |text: &str| Some(text.to_owned());
        if matches!(name, "schemata" | "tables" | "views" | "columns") {
            self.catalog.database("default").await.ok();
            for database in self.catalog.databases().await? {
                if name == "schemata" {
                    rows.push(vec![some(CATALOG), some(&database.name)]);
                    continue;
                }
                for table in self.catalog.tables(&database.name).await? {
                    let place = || vec![some(CATALOG), some(&database.name), some(&table.name)];
                    match name {
                        "tables" => {
                            let mut row = place();
                            row.push(some(if table.is_view() { "VIEW" } else { "BASE TABLE" }));
                            rows.push(row);
                        }
                        "views" if table.is_view() => {
                            let mut row = place();
                            row.push(ViewText::decode(&table).ok().map(|view| view.original_sql));
                            rows.push(row);
                        }
                        "columns" => rows.extend(columns_of(&table, &place)),
                        _ => {}
                    }
                }
            }
            if name == "schemata" {
                rows.push(vec![some(CATALOG), some("information_schema")]);
            }
        }
        let mut fields = Vec::new();
        let mut arrays: Vec<datafusion::arrow::array::ArrayRef> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let texts = rows.iter().map(|row| row.get(at).cloned().flatten());
            if *name == "ordinal_position" {
                fields.push(Field::new(*name, DataType::Int64, true));
                let numbers = texts.map(|text| text.and_then(|text| text.parse().ok()));
                arrays.push(Arc::new(numbers.collect::<datafusion::arrow::array::Int64Array>()));
            } else {
                fields.push(Field::new(*name, DataType::Utf8, true));
                arrays.push(Arc::new(texts.collect::<StringArray>()));
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(Error::internal)?;
        Ok(Some(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)))
    }
}

/// A table's rows of `information_schema.columns`.
fn columns_of(table: &Table, place: &dyn Fn() -> Vec<Option<String>>) -> Vec<Vec<Option<String>>> {
    let current = table
        .columns()
        .iter()
        .filter(|column| column.parameters.get("iceberg.field.current").is_none_or(|current| current != "false"));
    let keys = table.partition_keys.iter().map(|key| (key, Some("partition key".to_owned())));
    let all = current.map(|column| (column, None)).chain(keys);
    all.enumerate()
        .map(|(position, (column, extra))| {
            let ty = parse_hive_field(&column.name, &column.ty)
                .map_or_else(|_| column.ty.clone(), |field| trino_type(&field));
            // Iceberg's tables have microseconds.
            let ty = if table.is_iceberg() { ty.replace("timestamp(3)", "timestamp(6)") } else { ty };
            let mut row = place();
            row.extend([
                Some(column.name.to_lowercase()),
                Some((position + 1).to_string()),
                None,
                Some("YES".to_owned()),
                Some(ty),
                column.comment.clone(),
                extra,
            ]);
            row
        })
        .collect()
}

/// The plan with its columns under the names that the query's text gives them.
pub(super) fn named(plan: LogicalPlan, select: &Select) -> Result<LogicalPlan> {
    use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
    let fields: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let labels = select.labels.apply(&fields);
    let lower = |label: &Option<String>| label.as_ref().map(|label| label.to_lowercase());
    if let Some(twice) = labels.iter().enumerate().find_map(|(i, label)| {
        lower(label).filter(|name| labels.iter().take(i).any(|earlier| lower(earlier).as_ref() == Some(name)))
    }) {
        return Err(Error::user(
            1006,
            "DUPLICATE_COLUMN_NAME",
            format_args!("line 1:1: Column name '{twice}' specified more than once"),
        ));
    }
    let expressions: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .zip(labels)
        .enumerate()
        .map(|(position, (column, label))| {
            Expr::Column(column).alias(label.map_or_else(|| format!("_col{position}"), |label| label.to_lowercase()))
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}

/// Line and column of a table's name in the query.
fn place_of(query: &Query, table: &str) -> (u64, u64) {
    let mut place = (1, 15);
    let _ = visit_relations(query, |relation: &ObjectName| {
        let last = relation.0.last().and_then(|part| part.as_ident());
        if last.is_some_and(|ident| ident.value.eq_ignore_ascii_case(table)) {
            let start = relation.span().start;
            if start.line > 0 {
                place = (start.line, start.column);
            }
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    });
    place
}

/// The hidden columns that a table of a catalog has; those of a view are columns as all others.
fn hidden_of(catalog: &MemoryCatalogProvider, database: &str, name: &ObjectName) -> Vec<&'static str> {
    let parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.to_lowercase()).collect();
    let (schema, table) = match &parts[..] {
        [table] => (database, table),
        [schema, table] => (schema.as_str(), table),
        _ => return Vec::new(),
    };
    let found = catalog.schema(schema).and_then(|schema| schema.table(table).now_or_never()?.ok().flatten());
    let Some(provider) = found.filter(|provider| provider.table_type() == TableType::Base) else { return Vec::new() };
    let schema = provider.schema();
    HIDDEN.into_iter().filter(|name| schema.field_with_name(name).is_ok()).collect()
}
