//! The rows of MERGE's source, which is asked once and read several times: in memory while they are few, else in a file that is there
//! until the statement ends.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::FileReader;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::spill_file::SpillFile;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;

use crate::error::{Error, Result};

/// The bytes that are kept in memory.
const FEW: usize = 32 << 20;

/// A table of the plan's rows.
pub(super) async fn kept(plan: Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<Arc<dyn TableProvider>> {
    let schema = plan.schema();
    let mut stream = execute_stream(plan, Arc::clone(context))?;
    let (mut batches, mut bytes) = (Vec::new(), 0);
    let mut spilled: Option<Spill> = None;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if let Some(spill) = &mut spilled {
            spill.write(&batch)?;
            continue;
        }
        bytes += batch.get_array_memory_size();
        batches.push(batch);
        if bytes > FEW {
            let spill = spilled.insert(Spill::new(&schema, context)?);
            for batch in batches.drain(..) {
                spill.write(&batch)?;
            }
        }
    }
    let Some(spill) = spilled else { return Ok(Arc::new(MemTable::try_new(schema, vec![batches])?)) };
    let rows = Spilled { schema: Arc::clone(&schema), file: spill.finish()? };
    Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(rows)])?))
}

struct Spill {
    writer: FileWriter<File>,
    file: Arc<dyn SpillFile>,
}

fn opened(file: &dyn SpillFile, open: fn(&Path) -> std::io::Result<File>) -> Result<File> {
    open(file.path().ok_or_else(|| Error::internal("a file of the query's own has no place"))?).map_err(Error::internal)
}

impl Spill {
    fn new(schema: &SchemaRef, context: &Arc<TaskContext>) -> Result<Self> {
        let file = context.runtime_env().disk_manager.create_tmp_file("rows of a MERGE's source")?;
        let opened = opened(file.as_ref(), |path| File::create(path))?;
        Ok(Self { writer: FileWriter::try_new(opened, schema).map_err(Error::internal)?, file })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(Error::internal)
    }

    fn finish(mut self) -> Result<Arc<dyn SpillFile>> {
        self.writer.finish().map_err(Error::internal)?;
        Ok(self.file)
    }
}

/// Rows in a file.
struct Spilled {
    schema: SchemaRef,
    file: Arc<dyn SpillFile>,
}

impl std::fmt::Debug for Spilled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spilled").field("path", &self.file.path()).finish_non_exhaustive()
    }
}

impl PartitionStream for Spilled {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let opened = opened(self.file.as_ref(), |path| File::open(path))
            .map_err(DataFusionError::from)
            .and_then(|file| FileReader::try_new(file, None).map_err(DataFusionError::from));
        let batches = match opened {
            Ok(reader) => futures::stream::iter(reader.map(|batch| batch.map_err(DataFusionError::from))).left_stream(),
            Err(error) => futures::stream::iter([Err(error)]).right_stream(),
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}
