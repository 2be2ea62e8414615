//! The operations of the catalog, of classifiers and crawlers.

mod batch_create_partition;
mod batch_delete_partition;
mod batch_delete_table;
mod batch_delete_table_version;
mod batch_get_partition;
mod batch_update_partition;
mod column_statistics;
mod column_statistics_tasks;
mod create_classifier;
mod create_connection;
mod create_crawler;
mod create_database;
mod create_partition;
mod create_table;
mod create_trigger;
mod data_quality_results;
mod data_quality_rulesets;
mod delete_classifier;
mod delete_connection;
mod delete_crawler;
mod delete_database;
mod delete_partition;
mod delete_table;
mod delete_table_version;
mod get_classifier;
mod get_connection;
mod get_crawler;
mod get_crawler_metrics;
mod get_database;
mod get_databases;
mod get_partition;
mod get_partition_indexes;
mod get_partitions;
mod get_table;
mod get_table_version;
mod get_table_versions;
mod get_tables;
mod get_trigger;
mod own_tables;
mod partition_indexes;
mod resource_policies;
mod search_tables;
mod security_configurations;
mod start_crawler;
mod start_trigger;
mod stop_crawler;
mod tag_resource;
mod update_classifier;
mod update_crawler;
mod update_crawler_schedule;
mod update_database;
mod update_partition;
mod update_table;
mod user_defined_functions;
mod workflows;

use std::sync::Arc;

use api_glue::{ErrorDetail, PartitionError};
use service::{Router, operations};

use crate::Glue;

/// What every operation needs.
mod prelude {
    pub(super) use api_glue::error::*;
    pub(super) use api_glue::*;
    pub(super) use async_trait::async_trait;
    pub(super) use service::{Cx, Handle};
    pub(super) use wire::Error;

    pub(super) use super::{detail, partition_error};
    pub(super) use crate::catalog::undo;
    pub(super) use crate::scope::{self, Scope};
    pub(super) use crate::{Glue, catalog, tags};
}

pub(crate) fn register(router: &Router, service: &Arc<Glue>) {
    operations!(router, service, api_glue:
        CreateUserDefinedFunction, GetUserDefinedFunction, GetUserDefinedFunctions, UpdateUserDefinedFunction,
        DeleteUserDefinedFunction, GetColumnStatisticsForTable, UpdateColumnStatisticsForTable,
        DeleteColumnStatisticsForTable, GetColumnStatisticsForPartition, UpdateColumnStatisticsForPartition,
        DeleteColumnStatisticsForPartition, StartColumnStatisticsTaskRun, StopColumnStatisticsTaskRun,
        GetColumnStatisticsTaskRun, GetColumnStatisticsTaskRuns, ListColumnStatisticsTaskRuns,
        CreateColumnStatisticsTaskSettings, UpdateColumnStatisticsTaskSettings, DeleteColumnStatisticsTaskSettings,
        GetColumnStatisticsTaskSettings, StartColumnStatisticsTaskRunSchedule, StopColumnStatisticsTaskRunSchedule, CreatePartitionIndex, DeletePartitionIndex,
        PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy,
        BatchCreatePartition, BatchDeleteConnection, BatchDeletePartition, BatchDeleteTable, BatchGetCrawlers,
        BatchGetDataQualityResult, BatchGetPartition, BatchGetTriggers, BatchGetWorkflows, BatchUpdatePartition, CreateClassifier,
        CreateConnection, CreateCrawler, CreateDataQualityRuleset, CreateDatabase, CreatePartition, CreateTable,
        CreateTrigger, DeleteClassifier, DeleteConnection, DeleteCrawler, DeleteDataQualityRuleset, DeleteDatabase,
        BatchDeleteTableVersion, DeletePartition, DeleteTable, DeleteTableVersion, DeleteTrigger, GetClassifier, GetClassifiers, GetConnection,
        GetConnections, GetCrawler, GetCrawlerMetrics, GetCrawlers, GetDataQualityResult, GetDataQualityRuleset,
        GetDatabase, GetDatabases, GetPartition, GetPartitionIndexes, GetPartitions, GetTable, GetTableVersion,
        GetTableVersions, GetTables, GetTags, GetTrigger, GetTriggers, ListCrawlers, ListCrawls,
        ListDataQualityResults, ListDataQualityRulesets, ListTriggers, SearchTables, StartCrawler,
        StartCrawlerSchedule, StartTrigger, StopCrawler, StopCrawlerSchedule, StopTrigger, TagResource, UntagResource,
        UpdateClassifier, UpdateConnection, UpdateCrawler, UpdateCrawlerSchedule, UpdateDataQualityRuleset,
        UpdateDatabase, UpdatePartition, UpdateTable, UpdateTrigger,
        CreateWorkflow, DeleteWorkflow, GetWorkflow, GetWorkflowRun, GetWorkflowRunProperties, GetWorkflowRuns,
        ListWorkflows, PutWorkflowRunProperties, StartWorkflowRun, ResumeWorkflowRun, StopWorkflowRun, UpdateWorkflow,
        CreateSecurityConfiguration, DeleteSecurityConfiguration, GetSecurityConfiguration, GetSecurityConfigurations);
    operations!(router, service, api_lakerun: NotifyWorkflow, RenameTable, DeleteTable);
}

fn detail(code: &str, message: &str) -> ErrorDetail {
    ErrorDetail { error_code: Some(code.to_owned()), error_message: Some(message.to_owned()) }
}

fn partition_error(values: Vec<String>, code: &str, message: &str) -> PartitionError {
    PartitionError { partition_values: Some(values), error_detail: Some(detail(code, message)) }
}
