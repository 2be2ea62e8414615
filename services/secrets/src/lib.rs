//! Secrets Manager and SSM Parameter Store: small named values with versions.
//!
//! Map: [`secret`] what is stored of a secret and its rules · [`seal`] how values are encrypted · [`ops`] the operations, a file per
//! resource · [`rotation`] rotation by function · [`parameters`] policies, events and AWS's own of parameters.
//!
//! Values of secrets and of parameters of type `SecureString` are kept encrypted by KMS. Not here: replication.

mod ops;
mod parameters;
mod rotation;
mod seal;
mod secret;

use std::sync::Arc;

use async_trait::async_trait;
use service::{Platform, Router, operations};
use store::{Done, Runner, Store, Task};

/// The service's state: records in the control store.
#[derive(Debug)]
pub struct Secrets {
    store: Store,
    router: Arc<Router>,
}

/// Registers the operations, and the tasks that end a secret's recovery window and rotate it.
pub fn register(platform: &Platform) -> Arc<Secrets> {
    let service = Arc::new(Secrets { store: platform.control.store().clone(), router: platform.router.clone() });
    operations!(platform.router, service, api_secretsmanager:
        BatchGetSecretValue, CreateSecret, GetSecretValue, PutSecretValue, UpdateSecret, DescribeSecret, ListSecrets, ListSecretVersionIds, DeleteSecret,
        RestoreSecret, GetRandomPassword, GetResourcePolicy, PutResourcePolicy, DeleteResourcePolicy, ValidateResourcePolicy,
        UpdateSecretVersionStage, RotateSecret, CancelRotateSecret, TagResource, UntagResource);
    platform.router.add_guard("secretsmanager", service.clone());
    operations!(platform.router, service, api_ssm:
        PutParameter, GetParameter, GetParameters, GetParametersByPath, DescribeParameters, DeleteParameter, DeleteParameters,
        AddTagsToResource, RemoveTagsFromResource, ListTagsForResource, GetParameterHistory, LabelParameterVersion,
        UnlabelParameterVersion);
    platform.control.register(secret::EXPIRE, 1, service.clone());
    platform.control.register(parameters::policies::DUE, 1, service.clone());
    platform.control.register(parameters::TELL, 1, service.clone());
    platform.control.register(rotation::DUE, 1, service.clone());
    platform.control.register(rotation::ROTATE, 8, service.clone());
    platform.control.register(rotation::TELL, 1, service.clone());
    service
}

#[async_trait]
impl Runner for Secrets {
    async fn run(&self, task: Task) -> Done {
        if task.kind == secret::EXPIRE {
            return self.expire(task).await;
        }
        if task.kind == parameters::TELL {
            return parameters::send(&self.router, &task).await;
        }
        if task.kind == parameters::policies::DUE {
            let fresh = format!("{}/{}", task.id, task.at_ms);
            return match parameters::policies::run(&self.store, &task, fresh).await {
                Ok(()) => Done::Committed,
                Err(error) => {
                    tracing::error!(%error, task = task.id, "a parameter's policy could not be obeyed; trying again in a minute");
                    Done::RetryAfter(jiff::SignedDuration::from_mins(1))
                }
            };
        }
        if task.kind == rotation::TELL {
            return rotation::send(&self.router, &task).await;
        }
        rotation::Rotator { store: self.store.clone(), router: self.router.clone() }.run(task).await
    }
}

impl Secrets {
    /// Deletes a secret for good. Only if that is still to be done where it is done: it may be restored since, or scheduled anew, and
    /// another secret may have its name.
    async fn expire(&self, task: Task) -> Done {
        let gone = self
            .store
            .write(move |tx| {
                let key: Vec<u8> = task.payload()?;
                if tx.task(&task.id)?.is_none_or(|asked| asked.at_ms != task.at_ms) {
                    return Ok(());
                }
                let found: Option<secret::Secret> = tx.get_json(&key)?;
                if found.is_some_and(|secret| secret.task() == task.id && secret.ends_by(task.at_ms)) {
                    tx.delete(key)?;
                }
                tx.finish_task(&task.id)
            })
            .await;
        match gone {
            Ok(()) => Done::Committed,
            Err(e) => {
                tracing::error!(error = %e, "a secret could not be deleted; trying again in an hour");
                Done::RetryAfter(jiff::SignedDuration::from_hours(1))
            }
        }
    }
}
