//! The operations, a file for each resource.

pub(crate) mod catalogs;
mod metadata;
mod named;
mod prepared;
mod queries;
pub(crate) mod start;
mod tags;
pub(crate) mod workgroups;

use std::sync::Arc;

use service::{Router, operations};

use crate::Athena;

pub(crate) fn register(router: &Arc<Router>, service: &Arc<Athena>) {
    operations!(router, service, api_athena:
        StartQueryExecution, GetQueryExecution, BatchGetQueryExecution, ListQueryExecutions, StopQueryExecution, GetQueryResults,
        GetQueryRuntimeStatistics);
    operations!(router, service, api_athena:
        CreateWorkGroup, GetWorkGroup, ListWorkGroups, UpdateWorkGroup, DeleteWorkGroup, ListEngineVersions);
    operations!(router, service, api_athena:
        CreateNamedQuery, GetNamedQuery, BatchGetNamedQuery, ListNamedQueries, UpdateNamedQuery, DeleteNamedQuery);
    operations!(router, service, api_athena:
        BatchGetPreparedStatement, CreatePreparedStatement, GetPreparedStatement, ListPreparedStatements, UpdatePreparedStatement, DeletePreparedStatement);
    operations!(router, service, api_athena:
        CreateDataCatalog, GetDataCatalog, ListDataCatalogs, UpdateDataCatalog, DeleteDataCatalog);
    operations!(router, service, api_athena: GetDatabase, ListDatabases, GetTableMetadata, ListTableMetadata);
    operations!(router, service, api_athena: TagResource, UntagResource, ListTagsForResource);
}
