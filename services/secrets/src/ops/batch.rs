//! BatchGetSecretValue: the values of several secrets, each as the caller may read it.

use api_secretsmanager::error::invalid_parameter_exception;
use api_secretsmanager::{
    APIErrorType, BatchGetSecretValue, BatchGetSecretValueRequest, BatchGetSecretValueResponse, GetSecretValue,
    GetSecretValueRequest, ListSecrets, ListSecretsRequest, SecretValueEntry,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Secrets;

/// The most that a page of values has, and its size where the caller does not say.
const PAGE: i32 = 20;

#[async_trait]
impl Handle<BatchGetSecretValue> for Secrets {
    /// Each value is asked for as the caller, and by filters the list too, so that policies hold as for one: what is refused is told among
    /// the errors. Source: Secrets Manager API reference, "BatchGetSecretValue".
    async fn handle(&self, cx: &Cx, req: BatchGetSecretValueRequest) -> Result<BatchGetSecretValueResponse, Error> {
        let (ids, next_token) = match (req.secret_id_list, req.filters) {
            (Some(_), Some(_)) => {
                return Err(invalid_parameter_exception(
                    "You can't specify both SecretIdList and Filters in the same request.",
                ));
            }
            (None, None) => {
                return Err(invalid_parameter_exception("You must specify either SecretIdList or Filters."));
            }
            (Some(_), None) if req.next_token.is_some() => {
                return Err(invalid_parameter_exception("You can't use NextToken with SecretIdList."));
            }
            (Some(_), None) if req.max_results.is_some() => {
                return Err(invalid_parameter_exception("You can't use MaxResults with SecretIdList."));
            }
            (Some(ids), None) => (ids, None),
            (None, Some(filters)) => {
                let request = ListSecretsRequest {
                    filters: Some(filters),
                    max_results: Some(req.max_results.unwrap_or(PAGE)),
                    next_token: req.next_token,
                    ..ListSecretsRequest::default()
                };
                let page = cx.call::<ListSecrets>(request).await?;
                let ids = page.secret_list.into_iter().flatten().filter_map(|secret| secret.arn).collect();
                (ids, page.next_token)
            }
        };
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in ids {
            let request = GetSecretValueRequest { secret_id: id.clone(), ..GetSecretValueRequest::default() };
            match cx.call::<GetSecretValue>(request).await {
                Ok(found) => values.push(SecretValueEntry {
                    arn: found.arn,
                    name: found.name,
                    version_id: found.version_id,
                    secret_binary: found.secret_binary,
                    secret_string: found.secret_string,
                    version_stages: found.version_stages,
                    created_date: found.created_date,
                }),
                Err(error) => errors.push(APIErrorType {
                    secret_id: Some(id),
                    error_code: Some(error.code().to_owned()),
                    message: Some(error.message().to_owned()),
                }),
            }
        }
        Ok(BatchGetSecretValueResponse { secret_values: Some(values), next_token, errors: Some(errors) })
    }
}
