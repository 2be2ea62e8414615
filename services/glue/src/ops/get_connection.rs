//! GetConnection, GetConnections.

use super::prelude::*;
use crate::connections::{self, Record};

#[async_trait]
impl Handle<GetConnection> for Glue {
    async fn handle(&self, cx: &Cx, req: GetConnectionRequest) -> Result<GetConnectionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let record = self.store.read(|tx| connections::find(tx, &scope, &req.name)).await?;
        Ok(GetConnectionResponse { connection: Some(record.show(req.hide_password)) })
    }
}

#[async_trait]
impl Handle<GetConnections> for Glue {
    async fn handle(&self, cx: &Cx, req: GetConnectionsRequest) -> Result<GetConnectionsResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let filter = req.filter.unwrap_or_default();
        let (list, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &connections::all(&scope), token, limit, |record: Record| {
                    Ok(wanted(&record.connection, &filter).then(|| record.show(req.hide_password)))
                })
            })
            .await?;
        Ok(GetConnectionsResponse { connection_list: Some(list), next_token })
    }
}

fn wanted(connection: &Connection, filter: &GetConnectionsFilter) -> bool {
    let criteria = connection.match_criteria.as_deref().unwrap_or_default();
    filter.match_criteria.iter().flatten().all(|one| criteria.contains(one))
        && filter.connection_type.as_ref().is_none_or(|kind| connection.connection_type.as_ref() == Some(kind))
        && filter.connection_schema_version.is_none_or(|version| connection.connection_schema_version == Some(version))
}
