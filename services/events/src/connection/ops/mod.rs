//! The operations.

mod connections;
mod create_connection;
mod update_connection;

use api_events::{ConnectivityResourceParameters, error};
use service::Cx;
use wire::Error;

use super::credentials::Credentials;

/// Puts the credentials into a new secret, named as AWS names it; its ARN.
async fn keep(cx: &Cx, name: &str, id: &str, credentials: &Credentials, key: Option<&str>) -> Result<String, Error> {
    let request = api_secretsmanager::CreateSecretRequest {
        name: format!("events!connection/{name}/{id}"),
        description: Some(format!("Auth parameters for the EventBridge connection {name}")),
        secret_string: Some(credentials.text()?),
        kms_key_id: key.map(str::to_owned),
        ..Default::default()
    };
    let made = cx.as_platform().call::<api_secretsmanager::CreateSecret>(request).await?;
    made.arn.ok_or_else(|| Error::internal("a secret was made without an ARN"))
}

/// Whether the caller may have a connection's secret under a key. Source: EventBridge User Guide, "Encrypting EventBridge connections
/// authorization with AWS KMS keys": the caller needs `kms:DescribeKey` and `kms:GenerateDataKey`, by way of Secrets Manager.
async fn try_key(cx: &Cx, name: &str, key: Option<&str>) -> Result<(), Error> {
    let Some(key) = key else { return Ok(()) };
    let own = cx.with_called_via("secretsmanager.amazonaws.com");
    let secret = cx.arn("secretsmanager", format!("secret:events!connection/{name}/"));
    let described = api_kms::DescribeKeyRequest { key_id: key.to_owned(), ..Default::default() };
    let made = api_kms::GenerateDataKeyRequest {
        key_id: key.to_owned(),
        key_spec: Some("AES_256".to_owned()),
        encryption_context: Some(std::iter::once(("SecretARN".to_owned(), secret)).collect()),
        ..Default::default()
    };
    let tried = async {
        own.call::<api_kms::DescribeKey>(described).await?;
        own.call::<api_kms::GenerateDataKey>(made).await
    };
    tried.await.map(drop).map_err(|error| {
        if error.is("NotFoundException") {
            error::resource_not_found_exception(error.message().to_owned())
        } else {
            error
        }
    })
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
