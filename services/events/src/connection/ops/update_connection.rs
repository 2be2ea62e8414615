//! UpdateConnection: what it leaves out stays; a connection whose credentials were taken away gets new ones.

use api_events::{UpdateConnection, UpdateConnectionRequest, UpdateConnectionResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::{check_connectivity, keep};
use crate::connection::Connections;
use crate::connection::credentials::Credentials;
use crate::connection::record::{State, connections, find};

#[async_trait]
impl Handle<UpdateConnection> for Connections {
    async fn handle(&self, cx: &Cx, req: UpdateConnectionRequest) -> Result<UpdateConnectionResponse, Error> {
        let given = req.auth_parameters.clone().unwrap_or_default();
        check_connectivity([req.invocation_connectivity_parameters.as_ref(), given.connectivity_parameters.as_ref()])?;
        let all = connections(cx);
        let old = self.store.read(|tx| find(tx, &all, &req.name)).await?;
        let kind = req.authorization_type.clone().unwrap_or_else(|| old.kind.clone());
        let mut changed = old.clone();
        if req.auth_parameters.is_some() || kind != old.kind {
            let kept = match &old.secret_arn {
                Some(arn) => held(cx, arn).await?,
                None => Credentials::default(),
            };
            let credentials = kept.with(&kind, given)?;
            match &old.secret_arn {
                Some(arn) => replace(cx, arn, &credentials).await?,
                None => changed.secret_arn = Some(keep(cx, &old.name, &cx.uuid(), &credentials).await?),
            }
            changed.shown = Some(credentials.shown());
            changed.state = State::Authorized;
            changed.authorized_ms = Some(cx.now().as_millisecond());
        }
        changed.kind = kind;
        changed.description = req.description.or(changed.description);
        changed.kms_key = req.kms_key_identifier.or(changed.kms_key);
        changed.changed_ms = cx.now().as_millisecond();
        let changed = cx
            .write(&self.store, move |tx| {
                find(tx, &all, &changed.name)?;
                changed.save(tx, &all)?;
                Ok::<_, Error>(changed.clone())
            })
            .await?;
        Ok(UpdateConnectionResponse {
            connection_arn: Some(changed.arn.clone()),
            connection_state: Some(changed.state.name().to_owned()),
            creation_time: Some(changed.created()),
            last_modified_time: Some(changed.changed()),
            last_authorized_time: changed.authorized(),
        })
    }
}

async fn held(cx: &Cx, secret_arn: &str) -> Result<Credentials, Error> {
    let request = api_secretsmanager::GetSecretValueRequest { secret_id: secret_arn.to_owned(), ..Default::default() };
    let found = cx.as_platform().call::<api_secretsmanager::GetSecretValue>(request).await?;
    Credentials::read(&found.secret_string.unwrap_or_default())
}

async fn replace(cx: &Cx, secret_arn: &str, credentials: &Credentials) -> Result<(), Error> {
    let request = api_secretsmanager::PutSecretValueRequest {
        secret_id: secret_arn.to_owned(),
        secret_string: Some(credentials.text()?),
        ..Default::default()
    };
    cx.as_platform().call::<api_secretsmanager::PutSecretValue>(request).await.map(drop)
}
