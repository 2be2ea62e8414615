//! Queries: planned, run, and written as CSV while the rows come.

use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::StreamExt;
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt;

use super::session::Session;
use super::{Answer, Run};
use crate::error::{Error, Result};
use crate::plan::Planned;
use crate::result::{csv_header, csv_rows, text_rows};
use crate::sql::{self, PlanForm, Select, Statement};
use crate::types::ColumnInfo;

impl Run<'_> {
    pub(super) async fn select(&mut self, select: Select) -> Result<Answer> {
        let started = tokio::time::Instant::now();
        let (session, plan) = self.plan(&select).await?;
        let columns = column_infos(&plan, &select);
        let sketch = sketch_in(&plan);
        let physical = physical(&session, plan).await?;
        self.clock.planning = started.elapsed();

        let mut rows = 0;
        let mut stream = execute_stream(physical, session.context().task_ctx())?;
        if self.job.inline {
            let mut values = Vec::new();
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                no_sketch(sketch.as_ref())?;
                values.extend(text_rows(&batch));
            }
            return Ok(Answer::Values(values));
        }
        let file = self.output()?.with_suffix(".csv");
        let store = self.storage.bucket(&file.bucket)?;
        let mut writer = BufWriter::with_capacity(store, file.path()?, 8 << 20);
        let mut text = csv_header(&columns);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            no_sketch(sketch.as_ref())?;
            rows += batch.num_rows() as u64;
            csv_rows(&batch, &mut text);
            if text.len() > 1 << 20 {
                writer.write_all(text.as_bytes()).await.map_err(unwritten)?;
                text.clear();
            }
        }
        writer.write_all(text.as_bytes()).await.map_err(unwritten)?;
        // Two objects, one wait for the disk.
        let end = async { writer.shutdown().await.map_err(unwritten) };
        tokio::try_join!(end, self.write_metadata(&file, &columns))?;
        Ok(Answer::Csv { columns, rows })
    }

    /// The physical plan as text, with figures when it is to be run.
    pub(super) async fn explain(&mut self, statement: Statement, analyze: bool, form: PlanForm) -> Result<Answer> {
        let (what, select) = match statement {
            Statement::Select(select) => (None, *select),
            Statement::Insert { table, select, .. } => (Some(format!("Insert into {}", table.name)), *select),
            Statement::Ctas(ctas) => (Some(format!("Create table {} and insert", ctas.name.name)), ctas.select),
            Statement::Unload { select, to, .. } => (Some(format!("Unload to {to}")), *select),
            Statement::CreateView { select, .. } => (Some("Create view".to_owned()), *select),
            Statement::Delete(delete) => {
                let condition = delete.condition.map(|text| format!(" WHERE {text}")).unwrap_or_default();
                let select = sql::parse_query(&format!("SELECT * FROM {}{condition}", delete.table.quoted()))?;
                (Some(format!("Delete from {}", delete.table.name)), select)
            }
            other => {
                return Err(Error::not_supported(format_args!(
                    "EXPLAIN of {}: queries, INSERT, CTAS, UNLOAD and DELETE can be explained",
                    super::kind(&other).1
                )));
            }
        };
        if analyze && what.is_some() {
            return Err(Error::not_supported("EXPLAIN ANALYZE of a statement that writes"));
        }
        let (session, plan) = self.plan(&select).await?;
        if form == PlanForm::Valid {
            let column = ColumnInfo { ty: "boolean".to_owned(), ..ColumnInfo::string("Valid") };
            return Ok(Answer::Lines { columns: vec![column], lines: vec!["Valid".to_owned(), "true".to_owned()] });
        }
        if form == PlanForm::Graphviz {
            return Ok(plan_lines(&plan.display_graphviz().to_string()));
        }
        if matches!(form, PlanForm::Json | PlanForm::Io) {
            return Ok(plan_lines(&plan.display_pg_json().to_string()));
        }
        let Planned { plan: physical, shared } = planned(&session, &plan).await?;
        let mut text = if analyze {
            let mut stream = execute_stream(Arc::clone(&physical), session.context().task_ctx())?;
            while let Some(batch) = stream.next().await {
                batch?;
            }
            with_figures(physical.as_ref())
        } else {
            displayable(physical.as_ref()).indent(false).to_string()
        };
        for (name, plan) in shared {
            let plan = if analyze {
                with_figures(plan.as_ref())
            } else {
                displayable(plan.as_ref()).indent(false).to_string()
            };
            text.extend([&name, ":\n", &plan]);
        }
        Ok(plan_lines(&what.map_or_else(|| text.clone(), |what| format!("{what}\n{text}"))))
    }
}

fn with_figures(plan: &dyn ExecutionPlan) -> String {
    datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(plan).indent(false).to_string()
}

fn plan_lines(text: &str) -> Answer {
    let column = ColumnInfo { ty: "varchar".to_owned(), ..ColumnInfo::string("Query Plan") };
    let lines = std::iter::once("Query Plan".to_owned()).chain(text.lines().map(str::to_owned)).collect();
    Answer::Lines { columns: vec![column], lines }
}

pub(super) async fn physical(session: &Session, plan: LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(planned(session, &plan).await?.plan)
}

/// As [`physical`], with the plans of what is read several times.
async fn planned(session: &Session, plan: &LogicalPlan) -> Result<Planned> {
    Ok(Box::pin(crate::plan::physical(plan, &session.context().state())).await?)
}

/// The type of a result's column that is a sketch, whose bytes are not kept here.
fn sketch_in(plan: &LogicalPlan) -> Option<trino_functions::Type> {
    plan.schema().fields().iter().map(|field| trino_functions::Type::of(field)).find(trino_functions::Type::has_sketch)
}

fn no_sketch(sketch: Option<&trino_functions::Type>) -> Result<()> {
    match sketch {
        Some(ty) => Err(Error::not_supported(format_args!(
            "Values of type {ty} in a result: give cardinality, value_at_quantile or another function of them"
        ))),
        None => Ok(()),
    }
}

/// The result's columns, named as in the text or `_col0` by position.
fn column_infos(plan: &LogicalPlan, select: &Select) -> Vec<ColumnInfo> {
    let schema = plan.schema();
    let fields: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let labels = select.labels.apply(&fields);
    let info = |(position, (field, label)): (usize, (&Arc<Field>, Option<String>))| {
        ColumnInfo::of(&label.unwrap_or_else(|| format!("_col{position}")), field)
    };
    schema.fields().iter().zip(labels).enumerate().map(info).collect()
}

pub(super) fn unwritten(error: std::io::Error) -> Error {
    match error.into_inner().and_then(|inner| inner.downcast::<object_store::Error>().ok()) {
        Some(inner) => (*inner).into(),
        None => Error::internal("the result could not be written"),
    }
}
