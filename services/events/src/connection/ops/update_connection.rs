//! UpdateConnection: what it leaves out stays; a connection whose credentials were taken away gets new ones.

use api_events::{UpdateConnection, UpdateConnectionRequest, UpdateConnectionResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::{check_connectivity, keep, try_key};
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
        if let Some(key) = req.kms_key_identifier {
            changed.kms_key = Some(key).filter(|key| !key.is_empty());
            try_key(cx, &old.name, changed.kms_key.as_deref()).await?;
        }
        if req.auth_parameters.is_some() || kind != old.kind || changed.kms_key != old.kms_key {
            let kept = match &old.secret_arn {
                Some(arn) => held(cx, arn).await?,
                None => Credentials::default(),
            };
            let credentials = kept.with(&kind, given)?;
            match &old.secret_arn {
                Some(arn) => replace(cx, arn, &credentials, changed.kms_key.as_deref()).await?,
                None => {
                    changed.secret_arn =
                        Some(keep(cx, &old.name, &cx.uuid(), &credentials, changed.kms_key.as_deref()).await?);
                }
            }
            changed.shown = Some(credentials.shown());
            changed.state = State::Authorized;
            changed.authorized_ms = Some(cx.now().as_millisecond());
        }
        changed.kind = kind;
        changed.description = req.description.or(changed.description);
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

async fn replace(cx: &Cx, secret_arn: &str, credentials: &Credentials, key: Option<&str>) -> Result<(), Error> {
    let request = api_secretsmanager::UpdateSecretRequest {
        kms_key_id: Some(key.unwrap_or("alias/aws/secretsmanager").to_owned()),
        secret_id: secret_arn.to_owned(),
        secret_string: Some(credentials.text()?),
        ..Default::default()
    };
    cx.as_platform().call::<api_secretsmanager::UpdateSecret>(request).await.map(drop)
}
