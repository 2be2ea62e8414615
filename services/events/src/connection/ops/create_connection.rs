//! CreateConnection.

use api_events::{
    CreateConnection, CreateConnectionRequest, CreateConnectionResponse, UpdateConnectionAuthRequestParameters, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::{check_connectivity, forget, keep, try_key};
use crate::connection::Connections;
use crate::connection::credentials::Credentials;
use crate::connection::record::{Connection, State, connections};

#[async_trait]
impl Handle<CreateConnection> for Connections {
    async fn handle(&self, cx: &Cx, req: CreateConnectionRequest) -> Result<CreateConnectionResponse, Error> {
        let parameters = req.auth_parameters;
        check_connectivity([
            req.invocation_connectivity_parameters.as_ref(),
            parameters.connectivity_parameters.as_ref(),
        ])?;
        // The members are the same; there each may be left out.
        let given = serde_json::to_value(&parameters).and_then(serde_json::from_value);
        let given: UpdateConnectionAuthRequestParameters = given.map_err(Error::internal)?;
        let credentials = Credentials::default().with(&req.authorization_type, given)?;
        let (all, name) = (connections(cx), req.name);
        let taken =
            |name: &str| Err(error::resource_already_exists_exception(format!("Connection {name} already exists.")));
        if self.store.read(|tx| tx.get_json::<Connection>(all.clone().push(&name))).await?.is_some() {
            return taken(&name);
        }
        let key = req.kms_key_identifier.filter(|key| !key.is_empty());
        try_key(cx, &name, key.as_deref()).await?;
        let id = cx.uuid();
        let secret_arn = keep(cx, &name, &id, &credentials, key.as_deref()).await?;
        let now = cx.now().as_millisecond();
        let connection = Connection {
            version: 1,
            arn: cx.arn("events", format!("connection/{name}/{id}")),
            name: name.clone(),
            description: req.description,
            kms_key: key,
            kind: req.authorization_type,
            state: State::Authorized,
            secret_arn: Some(secret_arn.clone()),
            shown: Some(credentials.shown()),
            created_ms: now,
            changed_ms: now,
            authorized_ms: Some(now),
        };
        let made = cx
            .write(&self.store, move |tx| {
                if tx.get_json::<Connection>(all.clone().push(&connection.name))?.is_some() {
                    return Ok(None);
                }
                connection.save(tx, &all)?;
                Ok::<_, Error>(Some(connection.clone()))
            })
            .await?;
        // Somebody made one of that name meanwhile.
        let Some(made) = made else {
            forget(cx, &secret_arn).await?;
            return taken(&name);
        };
        Ok(CreateConnectionResponse {
            connection_arn: Some(made.arn.clone()),
            connection_state: Some(made.state.name().to_owned()),
            creation_time: Some(made.created()),
            last_modified_time: Some(made.changed()),
        })
    }
}
