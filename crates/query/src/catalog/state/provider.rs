//! A table of the platform's state in a plan: its rows are read when the plan runs, page by page, and what nobody takes any more
//! (LIMIT) is not read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;

use super::asked::Asked;
use super::read::Reader;
use super::{Columns, JsonCall, schema};

/// Pages that wait for who reads them.
const AHEAD: usize = 2;

#[derive(Clone)]
pub(super) struct StateTable {
    call: JsonCall,
    name: &'static str,
    columns: Columns,
    schema: SchemaRef,
    asked: Asked,
}

impl StateTable {
    pub(super) fn new(call: JsonCall, name: &'static str, columns: Columns) -> Self {
        Self { call, name, columns, schema: schema(columns), asked: Asked::default() }
    }
}

impl fmt::Debug for StateTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateTable").field("name", &self.name).field("asked", &self.asked).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for StateTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partition = Self { asked: Asked::of(filters), ..self.clone() };
        let table = StreamingTable::try_new(Arc::clone(&self.schema), vec![Arc::new(partition)])?;
        table.scan(state, projection, &[], limit).await
    }
}

impl PartitionStream for StateTable {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), AHEAD);
        let reader = Reader {
            call: Arc::clone(&self.call),
            asked: self.asked.clone(),
            columns: self.columns,
            out: builder.tx(),
        };
        let name = self.name;
        builder.spawn(async move { Ok(reader.table(name).await?) });
        builder.build()
    }
}
