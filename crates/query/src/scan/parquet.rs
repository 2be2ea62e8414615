//! Scans of Parquet files by DataFusion's reader: each footer is read once, told to the optimiser and kept for the scan.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use object_store::ObjectStore;

use super::columns::Columns;
use super::listing::DataFile;
use crate::error::Result;
use crate::storage::Storage;

/// Of more files than this the footers are not read before the plan is made.
const MOST_FOOTERS: usize = 256;
const FOOTERS_AT_ONCE: usize = 16;

/// What all scans of one table share.
pub(super) struct ParquetScan<'a> {
    pub(super) storage: &'a Storage,
    /// The table's columns, its constants last.
    pub(super) schema: TableSchema,
    pub(super) projection: Option<&'a Vec<usize>>,
    pub(super) limit: Option<usize>,
}

impl ParquetScan<'_> {
    /// The scan of files of one bucket whose columns are found in one way.
    pub(super) async fn plan(
        &self,
        state: &dyn Session,
        bucket: &str,
        footers: Arc<FileMetadataCache>,
        by_index: bool,
        files: Vec<DataFile>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let store = self.storage.bucket(bucket)?;
        let statistics = self.statistics(store.as_ref(), &footers, by_index, &files).await;
        let parts: Vec<PartitionedFile> = files
            .into_iter()
            .map(|file| PartitionedFile::new_from_meta(file.meta).with_partition_values(file.constants))
            .collect();
        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(state.default_table_options().parquet)
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(store, footers)));
        if let Some(hint) = state.config_options().execution.parquet.metadata_size_hint {
            source = source.with_metadata_size_hint(hint);
        }
        let groups = FileGroup::new(parts).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(format!("s3://{bucket}"))?, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(self.projection.cloned())?
            .with_limit(self.limit)
            .with_expr_adapter(Some(Arc::new(Columns { by_index })))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// What the footers say, for the order of joins: nothing is answered from it, so that all of it is inexact.
    async fn statistics(
        &self,
        store: &dyn ObjectStore,
        footers: &Arc<FileMetadataCache>,
        by_index: bool,
        files: &[DataFile],
    ) -> Statistics {
        let schema = self.schema.table_schema();
        let unknown = || Statistics::new_unknown(schema);
        if by_index || files.len() > MOST_FOOTERS {
            return unknown();
        }
        let columns = self.schema.file_schema();
        let mut reads = Vec::with_capacity(files.len());
        for file in files {
            reads.push(async move {
                let footer = DFParquetMetadata::new(store, &file.meta)
                    .with_metadata_size_hint(Some(512 << 10))
                    .with_file_metadata_cache(Some(Arc::clone(footers)));
                // What is wrong with a file the scan will say.
                footer.fetch_statistics(columns).await.ok()
            });
        }
        let read: Vec<_> = futures::stream::iter(reads).buffered(FOOTERS_AT_ONCE).collect().await;
        let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() else { return unknown() };
        let Ok(mut all) = Statistics::try_merge_iter(&read, columns) else { return unknown() };
        if all.column_statistics.len() != columns.fields().len() || all.num_rows == Precision::Absent {
            return unknown();
        }
        all.column_statistics.resize_with(schema.fields().len(), ColumnStatistics::new_unknown);
        all.to_inexact()
    }
}
