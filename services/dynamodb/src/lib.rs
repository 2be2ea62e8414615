//! DynamoDB: tables, items, indexes, transactions and expiry, on the `dynamodb` store file.
//!
//! Map: [`number`] exact decimals · [`value`] attribute values · [`expr`] the expression language (these three are pure) ·
//! [`convert`] values from and to the wire · [`table`] records and keys · [`items`] items with their index entries ·
//! [`read`] pages of Query and Scan · [`write`] the one write that all operations share · [`capacity`] units ·
//! `ops` one file per operation · [`tasks`] expiry and clearing.
//!
//! [`streams`] what is kept of changes · [`legacy`] parameters of before expressions · [`partiql`] statements.
//!
//! [`backups`] backups, snapshots and point-in-time recovery.
//!
//! [`policies`] policies of tables and streams · [`throttle`] limits of throughput · [`metrics`] what CloudWatch is told of requests.
//!
//! [`transfer`] exports to S3 and imports from it · [`strangers`] what `fuzz/` calls.
//!
//! Not here: global tables.

mod backups;
mod capacity;
mod convert;
mod describe;
mod encryption;
mod expr;
mod items;
mod legacy;
mod metrics;
mod number;
mod ops;
mod partiql;
mod policies;
mod read;
pub mod strangers;
mod streams;
mod table;
mod tasks;
mod throttle;
mod transfer;
mod value;
mod write;

use std::sync::Arc;

use service::{Platform, operations};
use store::Store;

/// The service.
#[derive(Debug)]
pub struct DynamoDb {
    store: Store,
    endpoint: String,
}

/// Adds the operations to the router and the tasks to the queue.
pub fn register(platform: &Platform) -> Arc<DynamoDb> {
    let store = platform.dynamodb.store().clone();
    let service = Arc::new(DynamoDb { store: store.clone(), endpoint: platform.endpoint.clone() });
    operations!(platform.router, service, api_dynamodb:
        BatchExecuteStatement, CreateBackup, CreateTable, DeleteBackup, DeleteResourcePolicy, DeleteTable,
        DescribeBackup, DescribeContinuousBackups, DescribeContributorInsights, DescribeEndpoints, DescribeExport,
        DescribeImport, DescribeKinesisStreamingDestination, DescribeLimits, DescribeTable, DescribeTimeToLive,
        DisableKinesisStreamingDestination, EnableKinesisStreamingDestination, ExecuteTransaction,
        ExportTableToPointInTime, GetResourcePolicy, ImportTable, ListBackups, ListContributorInsights, ListExports,
        ListImports, ListTables, ListTagsOfResource, PutResourcePolicy, RestoreTableFromBackup,
        RestoreTableToPointInTime, TagResource, UntagResource, UpdateContinuousBackups, UpdateContributorInsights,
        UpdateTable, UpdateTimeToLive,
    );
    let counted = Arc::new(metrics::Counted(Arc::clone(&service)));
    operations!(platform.router, counted, api_dynamodb:
        BatchGetItem, BatchWriteItem, DeleteItem, ExecuteStatement, GetItem, PutItem, Query, Scan, TransactGetItems,
        TransactWriteItems, UpdateItem,
    );
    operations!(platform.router, service, api_dynamodbstreams:
        DescribeStream, GetRecords, GetShardIterator, ListStreams,
    );
    platform.router.add_guard("dynamodb", service.clone());
    let tasks = Arc::new(tasks::Tasks { store, router: platform.router.clone() });
    for kind in tasks::KINDS {
        platform.dynamodb.register(kind, 2, tasks.clone());
    }
    service
}

/// The text of a ValidationException.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// A key of no bytes. A transaction tells it of itself, not as one item's reason.
    pub(crate) fn is_empty_key(&self) -> bool {
        self.0.contains("for a key attribute cannot contain an empty")
    }

    /// The message as it is told about an expression parameter.
    pub(crate) fn within(self, parameter: &str) -> Self {
        Self(format!("Invalid {parameter}: {}", self.0))
    }
}

impl From<Invalid> for wire::Error {
    fn from(invalid: Invalid) -> Self {
        Self::validation(invalid.0)
    }
}
