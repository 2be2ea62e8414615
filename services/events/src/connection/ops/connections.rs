//! DescribeConnection, ListConnections, DeauthorizeConnection and DeleteConnection.

use api_events::{
    Connection as Listed, DeauthorizeConnection, DeauthorizeConnectionRequest, DeauthorizeConnectionResponse,
    DeleteConnection, DeleteConnectionRequest, DeleteConnectionResponse, DescribeConnection, DescribeConnectionRequest,
    DescribeConnectionResponse, ListConnections, ListConnectionsRequest, ListConnectionsResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::forget;
use crate::connection::Connections;
use crate::connection::record::{Connection, State, connections, find};
use crate::page;

#[async_trait]
impl Handle<DescribeConnection> for Connections {
    async fn handle(&self, cx: &Cx, req: DescribeConnectionRequest) -> Result<DescribeConnectionResponse, Error> {
        let all = connections(cx);
        let found = self.store.read(|tx| find(tx, &all, &req.name)).await?;
        Ok(DescribeConnectionResponse {
            connection_state: Some(found.state.name().to_owned()),
            creation_time: Some(found.created()),
            last_modified_time: Some(found.changed()),
            last_authorized_time: found.authorized(),
            connection_arn: Some(found.arn),
            name: Some(found.name),
            description: found.description,
            authorization_type: Some(found.kind),
            secret_arn: found.secret_arn,
            kms_key_identifier: found.kms_key,
            auth_parameters: found.shown,
            ..DescribeConnectionResponse::default()
        })
    }
}

#[async_trait]
impl Handle<ListConnections> for Connections {
    async fn handle(&self, cx: &Cx, req: ListConnectionsRequest) -> Result<ListConnectionsResponse, Error> {
        let mut all: Vec<Connection> = self.store.read(|tx| tx.list_json(connections(cx), 100_000)).await?;
        all.retain(|one| {
            req.name_prefix.as_ref().is_none_or(|prefix| one.name.starts_with(prefix.as_str()))
                && req.connection_state.as_ref().is_none_or(|state| one.state.name() == state)
        });
        let (all, next_token) = page(all, |one| &one.name, req.next_token.as_deref(), req.limit);
        let listed = all.into_iter().map(|one| Listed {
            connection_state: Some(one.state.name().to_owned()),
            creation_time: Some(one.created()),
            last_modified_time: Some(one.changed()),
            last_authorized_time: one.authorized(),
            connection_arn: Some(one.arn),
            name: Some(one.name),
            authorization_type: Some(one.kind),
            state_reason: None,
        });
        Ok(ListConnectionsResponse { connections: Some(listed.collect()), next_token })
    }
}

#[async_trait]
impl Handle<DeauthorizeConnection> for Connections {
    async fn handle(&self, cx: &Cx, req: DeauthorizeConnectionRequest) -> Result<DeauthorizeConnectionResponse, Error> {
        let all = connections(cx);
        let now = cx.now().as_millisecond();
        let (secret, left) = cx
            .write(&self.store, move |tx| {
                let mut found = find(tx, &all, &req.name)?;
                let secret = found.secret_arn.take();
                found.state = State::Deauthorized;
                found.shown = None;
                found.changed_ms = now;
                found.save(tx, &all)?;
                Ok::<_, Error>((secret, found))
            })
            .await?;
        if let Some(secret) = secret {
            forget(cx, &secret).await?;
        }
        Ok(DeauthorizeConnectionResponse {
            connection_arn: Some(left.arn.clone()),
            connection_state: Some(left.state.name().to_owned()),
            creation_time: Some(left.created()),
            last_modified_time: Some(left.changed()),
            last_authorized_time: left.authorized(),
        })
    }
}

#[async_trait]
impl Handle<DeleteConnection> for Connections {
    async fn handle(&self, cx: &Cx, req: DeleteConnectionRequest) -> Result<DeleteConnectionResponse, Error> {
        let all = connections(cx);
        let gone = cx
            .write(&self.store, move |tx| {
                let found = find(tx, &all, &req.name)?;
                tx.delete(all.clone().push(&req.name))?;
                Ok::<_, Error>(found)
            })
            .await?;
        if let Some(secret) = &gone.secret_arn {
            forget(cx, secret).await?;
        }
        Ok(DeleteConnectionResponse {
            connection_arn: Some(gone.arn.clone()),
            connection_state: Some("DELETING".to_owned()),
            creation_time: Some(gone.created()),
            last_modified_time: Some(gone.changed()),
            last_authorized_time: gone.authorized(),
        })
    }
}
