//! RotateSecret and CancelRotateSecret.

use api_lambda::{GetFunctionConfiguration, GetFunctionConfigurationRequest};
use api_secretsmanager::error::{invalid_parameter_exception, invalid_request_exception};
use api_secretsmanager::{
    CancelRotateSecret, CancelRotateSecretRequest, CancelRotateSecretResponse, RotateSecret, RotateSecretRequest,
    RotateSecretResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Secrets;
use crate::rotation::{Asked, Rotation, Rules, SERVICE, begin, plan, steps_task, stop, unfinished};
use crate::secret::{Secret, find_live, prefix};

/// The caller may invoke the function, and so may Secrets Manager.
async fn may_invoke(cx: &Cx, secret: &str, lambda: &str) -> Result<(), Error> {
    cx.router().authorize(cx, "lambda:InvokeFunction", lambda).await?;
    let service = cx.as_service(SERVICE, secret);
    let platform = cx.without_task().as_platform();
    let there = platform.call::<GetFunctionConfiguration>(GetFunctionConfigurationRequest {
        function_name: lambda.to_owned(),
        ..GetFunctionConfigurationRequest::default()
    });
    let lets_in = service.router().authorize(&service, "lambda:InvokeFunction", lambda).await;
    if there.await.is_err() || lets_in.is_err() {
        return Err(Error::access_denied(format!(
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal {SERVICE}."
        )));
    }
    Ok(())
}

#[async_trait]
impl Handle<RotateSecret> for Secrets {
    async fn handle(&self, cx: &Cx, req: RotateSecretRequest) -> Result<RotateSecretResponse, Error> {
        if let Some(rules) = &req.rotation_rules {
            Rules::read(rules)?;
        }
        let prefix = prefix(cx);
        let (_, before) = self.store.read(|tx| find_live(tx, &prefix, &req.secret_id)).await?;
        let lambda = req.rotation_lambda_arn.clone().or_else(|| before.rotation.as_ref().map(|had| had.lambda.clone()));
        let lambda = lambda.filter(|arn| !arn.is_empty()).ok_or_else(|| {
            invalid_request_exception("No Lambda rotation function ARN is associated with this secret.")
        })?;
        may_invoke(cx, &before.arn, &lambda).await?;
        let now_too = req.rotate_immediately != Some(false);
        let fresh = (req.client_request_token.unwrap_or_else(|| cx.uuid()), cx.uuid());
        let (account_and_region, now) = (cx.clone(), cx.now());
        let found = cx
            .write(&self.store, move |tx| {
                let (key, mut secret) = find_live(tx, &prefix, &req.secret_id)?;
                let asked = Asked::new(&account_and_region, &key);
                // The same call again.
                if now_too && secret.versions.contains_key(&fresh.0) {
                    return Ok(Some(begun(secret, Some(fresh.0.clone()))));
                }
                if unfinished(&secret).is_some() {
                    let running = secret.rotation.as_ref().filter(|had| had.enabled && had.running.is_some());
                    if running.is_some() && !tx.has_task(&steps_task(&secret.arn))? {
                        begin(tx, &mut secret, &asked, (&fresh.0, &fresh.1), false)?;
                        tx.put_json(&key, &secret)?;
                    }
                    return Ok(None);
                }
                let had = secret.rotation.take().unwrap_or_default();
                secret.rotation = Some(Rotation {
                    enabled: true,
                    lambda: lambda.clone(),
                    configured: if req.rotation_rules.is_some() { now.into() } else { had.configured },
                    rules: req.rotation_rules.clone().or(had.rules),
                    ..had
                });
                plan(tx, &mut secret, &asked)?;
                let version = begin(tx, &mut secret, &asked, (&fresh.0, &fresh.1), !now_too)?;
                tx.put_json(&key, &secret)?;
                Ok::<_, Error>(Some(begun(secret, Some(version).filter(|_| now_too))))
            })
            .await?;
        found.ok_or_else(|| {
            invalid_request_exception("A previous rotation isn't complete. That rotation will be reattempted.")
        })
    }
}

fn begun(secret: Secret, version_id: Option<String>) -> RotateSecretResponse {
    RotateSecretResponse { arn: Some(secret.arn), name: Some(secret.name), version_id }
}

#[async_trait]
impl Handle<CancelRotateSecret> for Secrets {
    /// What a rotation has made so far stays, with its stage, as AWS leaves it.
    async fn handle(&self, cx: &Cx, req: CancelRotateSecretRequest) -> Result<CancelRotateSecretResponse, Error> {
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &req.secret_id)?;
            let running = secret.rotation.as_mut().and_then(|rotation| {
                rotation.enabled = false;
                rotation.next = None;
                rotation.running.take()
            });
            stop(tx, &secret.arn)?;
            tx.put_json(&key, &secret)?;
            let version_id = running.map(|running| running.version);
            Ok(CancelRotateSecretResponse { arn: Some(secret.arn), name: Some(secret.name), version_id })
        })
        .await
    }
}

/// A value that a function puts for a rotation is of the rotation that runs.
pub(super) fn check_token(secret: &Secret, token: Option<&str>) -> Result<(), Error> {
    let running = secret.rotation.as_ref().and_then(|rotation| rotation.running.as_ref());
    match token {
        Some(token) if running.is_none_or(|running| running.token != token) => {
            Err(invalid_parameter_exception("The RotationToken is not that of a rotation of this secret that runs."))
        }
        _ => Ok(()),
    }
}
