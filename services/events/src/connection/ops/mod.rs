//! The operations.

mod connections;
mod create_connection;
mod update_connection;

use api_events::ConnectivityResourceParameters;
use service::Cx;
use wire::Error;

use super::credentials::Credentials;

/// Puts the credentials into a new secret, named as AWS names it; its ARN.
async fn keep(cx: &Cx, name: &str, id: &str, credentials: &Credentials) -> Result<String, Error> {
    let request = api_secretsmanager::CreateSecretRequest {
        name: format!("events!connection/{name}/{id}"),
        description: Some(format!("Auth parameters for the EventBridge connection {name}")),
        secret_string: Some(credentials.text()?),
        ..Default::default()
    };
    let made = cx.as_platform().call::<api_secretsmanager::CreateSecret>(request).await?;
    made.arn.ok_or_else(|| Error::internal("a secret was made without an ARN"))
}

async fn forget(cx: &Cx, secret_arn: &str) -> Result<(), Error> {
    let request = api_secretsmanager::DeleteSecretRequest {
        secret_id: secret_arn.to_owned(),
        force_delete_without_recovery: Some(true),
        ..Default::default()
    };
    match cx.as_platform().call::<api_secretsmanager::DeleteSecret>(request).await {
        Err(error) if !error.is("ResourceNotFoundException") => Err(error),
        _ => Ok(()),
    }
}

/// There are no private networks to go through.
fn check_connectivity(given: [Option<&ConnectivityResourceParameters>; 2]) -> Result<(), Error> {
    match given.into_iter().flatten().next() {
        Some(_) => Err(Error::not_implemented("connectivity through VPC Lattice")),
        None => Ok(()),
    }
}
