//! DELETE, UPDATE and MERGE write the files anew that hold a row they touch (copy on write): the new snapshot has the
//! same rows as Athena's, which keeps deleted positions beside the old files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{collect, execute_stream};
use futures::StreamExt;
use trino_functions::Type;

use super::{changed, column_list, exposed, fit, relation, source};
use crate::error::{Error, Result};
use crate::iceberg::Loaded;
use crate::iceberg::commit::Change;
use crate::iceberg::files::DataWriter;
use crate::iceberg::scan::IcebergScan;
use crate::run::fit::{fits, replaced};
use crate::run::session::{Session, named};
use crate::run::{Answer, Run, select};
use crate::sql::{self, Delete, Merge, MergeAction, MergeClause, Update};

/// The table's own name in the queries that are made here.
pub(super) const TARGET: &str = "lakerun_target";
const SOURCE: &str = "lakerun_source";
/// The column that says which action takes a row.
const ACTION: &str = "\"lakerun action\"";

impl Run<'_> {
    /// A session that knows the table under its own name here, all of it or some of its files.
    pub(super) async fn changing(
        &self,
        text: &str,
        loaded: &Loaded,
        files: Option<BTreeSet<String>>,
        source: Option<&Arc<dyn TableProvider>>,
    ) -> Result<(Session, LogicalPlan)> {
        let select = sql::parse_query(text)?;
        let scan = IcebergScan::new(Arc::clone(&self.storage), loaded.clone(), None, &["$path"])?;
        let scan = match files {
            Some(files) => scan.only(files),
            None => scan,
        };
        let database = self.job.database.to_lowercase();
        let session = self.session(&database)?;
        session.put(&database, TARGET, Arc::new(scan))?;
        if let Some(source) = source {
            session.put(&database, SOURCE, Arc::clone(source))?;
        }
        let plan = self.plan_with(&session, &select).await.map_err(unplaced)?;
        let plan = named(plan, &select)?;
        Ok((session, plan))
    }

    /// Which files hold rows of a query `SELECT "$path", count(*) …`, and how many rows those are.
    pub(super) async fn touched(&self, session: &Session, plan: LogicalPlan) -> Result<(BTreeSet<String>, u64)> {
        let physical = select::physical(session, plan).await?;
        let (mut files, mut rows) = (BTreeSet::new(), 0);
        for batch in collect(physical, session.context().task_ctx()).await? {
            let paths = cast(batch.column(0), &DataType::Utf8).map_err(Error::internal)?;
            let counts = batch.column(1).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                if !paths.is_null(row) {
                    files.insert(paths.as_string::<i32>().value(row).to_owned());
                }
                rows += u64::try_from(counts.value(row)).unwrap_or(0);
            }
        }
        Ok((files, rows))
    }

    pub(in crate::run) async fn delete(&self, delete: Delete) -> Result<Answer> {
        let (database, loaded) = self.iceberg(&delete.table, "Modifying table rows (DELETE)").await?;
        self.tick();
        let condition = delete.condition.unwrap_or_else(|| "TRUE".to_owned());
        let name = relation(&delete.table.name);
        let text = format!("SELECT \"$path\", count(*) AS n FROM {TARGET} AS {name} WHERE {condition} GROUP BY 1");
        let (session, plan) = self.changing(&text, &loaded, None, None).await?;
        steady(&plan, "DELETE")?;
        let (removed, rows) = self.touched(&session, plan).await?;
        if removed.is_empty() {
            return Ok(changed(rows));
        }
        let text = format!("SELECT count(*) AS n FROM {TARGET} AS {name}");
        let (session, plan) = self.changing(&text, &loaded, Some(removed.clone()), None).await?;
        let all = self.count(&session, plan).await?;
        let columns = column_list(&loaded, &name);
        let text = format!("SELECT {columns} FROM {TARGET} AS {name} WHERE ({condition}) IS DISTINCT FROM TRUE");
        let (session, plan) = self.changing(&text, &loaded, Some(removed.clone()), None).await?;
        let (added, left) = self.rewrite_rows(&session, plan, &loaded).await?;
        // Other tables that the condition asks may have changed between the two: what counts is which rows are there no more.
        let rows = u64::try_from(all).unwrap_or_default().saturating_sub(left);
        let operation = if added.is_empty() { "delete" } else { "overwrite" };
        self.committer(&database).snapshot(&loaded, Change { operation, added, removed }).await?;
        Ok(changed(rows))
    }

    pub(in crate::run) async fn update(&self, update: Update) -> Result<Answer> {
        let (database, loaded) = self.iceberg(&update.table, "Modifying table rows (UPDATE)").await?;
        self.tick();
        let condition = update.condition.unwrap_or_else(|| "TRUE".to_owned());
        let name = relation(&update.table.name);
        let text = format!("SELECT \"$path\", count(*) AS n FROM {TARGET} AS {name} WHERE {condition} GROUP BY 1");
        let (session, plan) = self.changing(&text, &loaded, None, None).await?;
        steady(&plan, "UPDATE")?;
        let assigned = assigned(&loaded, &update.assignments)?;
        let (removed, rows) = self.touched(&session, plan).await?;
        let fields = exposed(&loaded)?;
        let values: Vec<_> = assigned.into_iter().map(|(column, text)| Value { action: 0, column, text }).collect();
        let asked =
            format!("SELECT *, \"$path\", CASE WHEN ({condition}) THEN 0 END AS {ACTION} FROM {TARGET} AS {name}");
        let text = format!("SELECT {} FROM ({asked}) AS {name}", selected(&loaded, ACTION, &values, &name));
        let (session, plan) = self.changing(&text, &loaded, Some(removed.clone()), None).await?;
        let plan = put(plan, &fields, &values, |_| "UPDATE table column types don't match SET expressions".to_owned())?;
        if removed.is_empty() {
            return Ok(changed(rows));
        }
        let mut writer = DataWriter::new(&self.storage, &loaded, &self.job.id)?.rewriting();
        let rows = self.write_taken(&session, plan, &mut writer).await?;
        let added = writer.finish().await?;
        let change = Change { operation: "overwrite", added, removed };
        self.committer(&database).snapshot(&loaded, change).await?;
        Ok(changed(rows))
    }

    pub(in crate::run) async fn merge(&self, merge: Merge) -> Result<Answer> {
        let (database, loaded) = self.iceberg(&merge.table, "Modifying table rows (MERGE)").await?;
        // The source is asked once: each of the queries below sees the same rows.
        let select = sql::parse_query(&format!("SELECT * FROM {}", merge.source))?;
        let (session, plan) = self.plan(&select).await?;
        let plan = named(plan, &select)?;
        let physical = select::physical(&session, plan).await?;
        let source = source::kept(physical, &session.context().task_ctx()).await?;

        let name = merge.alias.clone().unwrap_or_else(|| relation(&merge.table.name));
        let join = format!(
            "(SELECT *, \"$path\" AS lakerun_path, row_number() OVER () AS lakerun_row FROM {TARGET}) AS {name} JOIN {SOURCE} AS {} ON {}",
            merge.source_name, merge.on
        );
        let matched = clauses(&merge.clauses, true);
        let mut removed = BTreeSet::new();
        let mut rows = 0;
        if !matched.is_empty() {
            let some = format!("({}) IS NOT NULL", which(&matched));
            let text = format!(
                "SELECT count(*) AS n FROM (SELECT {name}.lakerun_row FROM {join} WHERE {some} GROUP BY 1 HAVING count(*) > 1)"
            );
            let (session, plan) = self.changing(&text, &loaded, None, Some(&source)).await?;
            steady(&plan, "MERGE")?;
            if self.count(&session, plan).await? > 0 {
                return Err(Error::user(
                    1006,
                    "MERGE_TARGET_ROW_MULTIPLE_MATCHES",
                    "One MERGE target table row matched more than one source row",
                ));
            }
            let text = format!("SELECT {name}.lakerun_path, count(*) AS n FROM {join} WHERE {some} GROUP BY 1");
            let (session, plan) = self.changing(&text, &loaded, None, Some(&source)).await?;
            (removed, rows) = self.touched(&session, plan).await?;
        }
        let fields = exposed(&loaded)?;
        let mut writer = DataWriter::new(&self.storage, &loaded, &self.job.id)?.rewriting();
        let (text, values) = rewritten(&loaded, &merge, &matched, &name)?;
        // Planned also where nothing matches: wrong types are said whatever the rows are.
        let (session, plan) = self.changing(&text, &loaded, Some(removed.clone()), Some(&source)).await?;
        let plan = put(plan, &fields, &values, |action| {
            let clause =
                merge.clauses.iter().position(|clause| std::ptr::eq(clause, matched[action])).unwrap_or(action);
            format!("MERGE table column types don't match for MERGE case {clause}, SET expressions")
        })?;
        if !removed.is_empty() {
            self.write_taken(&session, plan, &mut writer).await?;
        }
        let before = writer.rows;
        let inserts = clauses(&merge.clauses, false);
        for condition in inserts.iter().filter_map(|clause| clause.condition.as_ref()) {
            let text = format!("SELECT count(*) AS n FROM {SOURCE} AS {} WHERE {condition}", merge.source_name);
            steady(&self.changing(&text, &loaded, None, Some(&source)).await?.1, "MERGE")?;
        }
        for (at, clause) in inserts.iter().enumerate() {
            let (text, columns) = inserted(&loaded, &merge, &inserts[..at], clause, &name)?;
            let (session, plan) = self.changing(&text, &loaded, None, Some(&source)).await?;
            let plan = fit(plan, &fields, &columns)?;
            self.write_into(&session, plan, &mut writer).await?;
        }
        let rows = rows + (writer.rows - before);
        let added = writer.finish().await?;
        if !added.is_empty() || !removed.is_empty() {
            // Rows are inserted because the table lacked them: others may have added them since.
            self.committer(&database)
                .snapshot_exactly(&loaded, Change { operation: "overwrite", added, removed })
                .await?;
        }
        Ok(changed(rows))
    }

    /// Writes the rows of [`replaced`], and answers how many of them an action has taken.
    async fn write_taken(&self, session: &Session, plan: LogicalPlan, writer: &mut DataWriter) -> Result<u64> {
        let physical = select::physical(session, plan).await?;
        let mut stream = execute_stream(physical, session.context().task_ctx())?;
        let mut taken = 0;
        while let Some(batch) = stream.next().await {
            let mut batch = batch?;
            let action = batch.remove_column(batch.num_columns() - 1);
            taken += (action.len() - action.logical_null_count()) as u64;
            writer.write(&batch).await?;
        }
        Ok(taken)
    }

    async fn count(&self, session: &Session, plan: LogicalPlan) -> Result<i64> {
        let physical = select::physical(session, plan).await?;
        let batches = collect(physical, session.context().task_ctx()).await?;
        let some = batches.iter().filter(|batch| batch.num_rows() > 0);
        Ok(some.map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0)).sum())
    }
}

/// Places in the queries that are made here are none of the statement's.
fn unplaced(error: Error) -> Error {
    let at = error.message.find("line ");
    let end = at.and_then(|at| Some(at + error.message[at..].find(": ")?));
    match at.zip(end) {
        Some((at, end)) if error.message[at + 5..end].bytes().all(|b| b.is_ascii_digit() || b == b':') => {
            Error { message: format!("{}line 1:1{}", &error.message[..at], &error.message[end..]), ..error }
        }
        _ => error,
    }
}

/// The assignments by column; each column must exist, and once.
fn assigned<'a>(loaded: &Loaded, assignments: &'a [(String, String)]) -> Result<BTreeMap<&'a str, &'a str>> {
    let mut all = BTreeMap::new();
    for (column, value) in assignments {
        if loaded.metadata.schema().position(column).is_none() {
            return Err(Error::user(
                1006,
                "COLUMN_NOT_FOUND",
                format_args!("line 1:1: The UPDATE SET target column {column} doesn't exist"),
            ));
        }
        if all.insert(column.as_str(), value.as_str()).is_some() {
            return Err(Error::user(
                1006,
                "SYNTAX_ERROR",
                format_args!("line 1:1: The UPDATE SET column target {column} is assigned more than once"),
            ));
        }
    }
    Ok(all)
}

/// The conditions of a query are asked more than once: for the files that hold such rows, and for the rows when those are written
/// anew. One that goes by chance would choose other rows each time, where Trino asks once.
fn steady(plan: &LogicalPlan, statement: &str) -> Result<()> {
    let mut volatile = false;
    plan.apply_with_subqueries(|node| {
        volatile |= node.expressions().iter().any(Expr::is_volatile);
        Ok(if volatile { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if volatile {
        let text = format_args!("{statement} with a condition that goes by chance, as rand() and uuid() do");
        return Err(Error::not_supported(text));
    }
    Ok(())
}

fn clauses(all: &[MergeClause], matched: bool) -> Vec<&MergeClause> {
    all.iter().filter(|clause| clause.matched == matched).collect()
}

/// The number of the first clause whose condition holds, or null.
fn which(clauses: &[&MergeClause]) -> String {
    let whens: Vec<_> = clauses
        .iter()
        .enumerate()
        .map(|(i, clause)| format!("WHEN {} THEN {i}", clause.condition.as_deref().unwrap_or("TRUE")))
        .collect();
    if whens.is_empty() { "CAST(NULL AS integer)".to_owned() } else { format!("CASE {} END", whens.join(" ")) }
}

/// A value that an action puts into a column.
struct Value<'a> {
    action: usize,
    column: &'a str,
    text: &'a str,
}

/// What [`put`] needs of each row: the action that takes it, the actions' values, which are computed for the rows that they take alone,
/// and the row as it is.
fn selected(loaded: &Loaded, action: &str, values: &[Value<'_>], name: &str) -> String {
    let mut items = vec![format!("{action} AS {ACTION}")];
    for (at, Value { action: number, text, .. }) in values.iter().enumerate() {
        items.push(format!("CASE WHEN ({action}) = {number} THEN {text} END AS \"lakerun value {at}\""));
    }
    items.push(column_list(loaded, name));
    items.join(", ")
}

/// The rows with the values that are put into them; `what` says of which action the types do not fit.
fn put(
    plan: LogicalPlan,
    fields: &SchemaRef,
    values: &[Value<'_>],
    what: impl Fn(usize) -> String,
) -> Result<LogicalPlan> {
    let of_column = |column: &str| fields.fields().iter().find(|field| field.name().eq_ignore_ascii_case(column));
    let types: Vec<(usize, Type, Type)> = values
        .iter()
        .enumerate()
        .filter_map(|(at, value)| {
            Some((value.action, Type::of(of_column(value.column)?), Type::of(plan.schema().field(at + 1))))
        })
        .collect();
    if let Some((wrong, ..)) = types.iter().find(|(_, to, from)| !fits(from, to)) {
        let all = || types.iter().filter(|(action, ..)| action == wrong);
        let list = |types: Vec<String>| types.join(", ");
        return Err(Error::user(
            1006,
            "TYPE_MISMATCH",
            format_args!(
                "line 1:1: {}: Table: [{}], Expressions: [{}]",
                what(*wrong),
                list(all().map(|(_, to, _)| to.to_string()).collect()),
                list(all().map(|(.., from)| from.to_string()).collect())
            ),
        ));
    }
    let places: Vec<_> =
        values.iter().filter_map(|value| Some((value.action, of_column(value.column)?.name().clone()))).collect();
    replaced(plan, fields, &places)
}

/// The rows of the touched files after MERGE: changed, deleted or as they were.
fn rewritten<'a>(
    loaded: &Loaded,
    merge: &'a Merge,
    matched: &[&'a MergeClause],
    name: &str,
) -> Result<(String, Vec<Value<'a>>)> {
    let found = format!("{}.lakerun_found", merge.source_name);
    let action = format!("CASE WHEN {found} THEN {} END", which(matched));
    let mut values = Vec::new();
    for (action, clause) in matched.iter().enumerate() {
        if let MergeAction::Update(assignments) = &clause.action {
            let of_clause = assigned(loaded, assignments)?.into_iter();
            values.extend(of_clause.map(|(column, text)| Value { action, column, text }));
        }
    }
    let deleting: Vec<String> = matched
        .iter()
        .enumerate()
        .filter(|(_, clause)| matches!(clause.action, MergeAction::Delete))
        .map(|(i, _)| format!("({action}) IS DISTINCT FROM {i}"))
        .collect();
    let keep = if deleting.is_empty() { "TRUE".to_owned() } else { deleting.join(" AND ") };
    // A target row that matches several source rows comes once: those that no clause takes are as one.
    let text = format!(
        "SELECT {} FROM {TARGET} AS {name} LEFT JOIN (SELECT *, TRUE AS lakerun_found FROM {SOURCE}) AS {} ON ({}) AND ({}) IS NOT NULL WHERE {keep}",
        selected(loaded, &action, &values, name),
        merge.source_name,
        merge.on,
        which(matched),
    );
    Ok((text, values))
}

/// The rows that one WHEN NOT MATCHED clause inserts, and the columns that they are for.
fn inserted(
    loaded: &Loaded,
    merge: &Merge,
    earlier: &[&MergeClause],
    clause: &MergeClause,
    name: &str,
) -> Result<(String, Vec<String>)> {
    let MergeAction::Insert { columns, values } = &clause.action else {
        return Err(Error::internal("a clause that does not insert"));
    };
    let all: Vec<String> = loaded.metadata.schema().fields.iter().map(|field| field.name.to_lowercase()).collect();
    let columns = if columns.is_empty() { all } else { columns.clone() };
    if columns.len() != values.len() {
        return Err(Error::user(
            1006,
            "TYPE_MISMATCH",
            format_args!("line 1:1: Insert query has mismatched column count: {} and {}", columns.len(), values.len()),
        ));
    }
    let mut conditions = vec![format!("NOT EXISTS (SELECT 1 FROM {TARGET} AS {name} WHERE {})", merge.on)];
    conditions.extend(clause.condition.as_ref().map(|condition| format!("({condition})")));
    for clause in earlier {
        let condition = clause.condition.as_deref().unwrap_or("TRUE");
        conditions.push(format!("({condition}) IS DISTINCT FROM TRUE"));
    }
    let list: Vec<String> =
        columns.iter().zip(values).map(|(column, value)| format!("{value} AS {}", relation(column))).collect();
    let text =
        format!("SELECT {} FROM {SOURCE} AS {} WHERE {}", list.join(", "), merge.source_name, conditions.join(" AND "));
    Ok((text, columns))
}
