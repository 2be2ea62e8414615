//! The tasks of rotation. The function is asked for each step in turn; when one fails all of them are repeated after a while, for the
//! same version, and after the last time when the next window opens. A step that was answered is not asked again within one attempt,
//! whatever the server went through.

use std::sync::Arc;

use api_lambda::{InvocationRequest, Invoke};
use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::json;
use service::{Cx, Router};
use store::{Done, Runner, Store, Task};
use wire::Error;

use super::told::{What, tell};
use super::{Asked, DUE, Running, begin, plan};
use crate::secret::{CURRENT, Secret};

/// As policies of functions name it.
pub(crate) const SERVICE: &str = "secretsmanager.amazonaws.com";
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
/// How often all steps are tried in one window.
const ATTEMPTS: u32 = 5;

pub(crate) struct Rotator {
    pub(crate) store: Store,
    pub(crate) router: Arc<Router>,
}

/// Why a rotation goes no further.
enum Halt {
    /// It was cancelled, or its secret is gone.
    Over,
    Failed(String),
    /// Of the platform: no attempt of the function.
    Internal(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Internal(error)
    }
}

#[async_trait]
impl Runner for Rotator {
    async fn run(&self, task: Task) -> Done {
        let asked: Asked = match task.payload() {
            Ok(asked) => asked,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a rotation cannot be read");
                return Done::Finished;
            }
        };
        if task.kind == DUE {
            return match self.due(&task, asked).await {
                Ok(()) => Done::Committed,
                Err(error) => {
                    tracing::error!(task = task.id, %error, "a rotation did not begin; trying again");
                    Done::RetryAfter(SignedDuration::from_secs(5))
                }
            };
        }
        match self.steps(&task, &asked).await {
            Ok(()) => Done::Committed,
            Err(Halt::Over) => Done::Finished,
            Err(Halt::Internal(error)) => {
                tracing::error!(task = task.id, %error, "a rotation was interrupted; trying again");
                Done::RetryAfter(SignedDuration::from_secs(5))
            }
            Err(Halt::Failed(reason)) if task.attempt < ATTEMPTS => {
                tracing::warn!(task = task.id, attempt = task.attempt, reason, "a rotation failed and is tried again");
                Done::RetryAfter(SignedDuration::from_secs(2 << (2 * task.attempt.saturating_sub(1).min(8))))
            }
            Err(Halt::Failed(reason)) => {
                tracing::error!(task = task.id, reason, "a rotation failed; it is tried again in the next window");
                match self.give_up(&task, &asked).await {
                    Ok(()) => Done::Committed,
                    Err(error) => {
                        tracing::error!(task = task.id, %error, "the end of a rotation could not be noted; trying again");
                        Done::RetryAfter(SignedDuration::from_secs(5))
                    }
                }
            }
        }
    }
}

impl Rotator {
    /// A window opens: the rotation begins, and the next window is planned.
    async fn due(&self, task: &Task, asked: Asked) -> Result<(), Error> {
        let (id, at) = (task.id.clone(), task.at_ms);
        let fresh = (self.router.uuid(), self.router.uuid());
        self.store
            .write(move |tx| {
                // Another time may have been planned since.
                if tx.task(&id)?.is_none_or(|found| found.at_ms != at) {
                    return Ok(());
                }
                tx.finish_task(&id)?;
                let Some(mut secret) = tx.get_json::<Secret>(&asked.key)? else { return Ok(()) };
                let planned =
                    secret.rotation.as_ref().is_some_and(|rotation| rotation.enabled && rotation.next.is_some());
                if super::due_task(&secret.arn) != id || !planned {
                    return Ok(());
                }
                plan(tx, &mut secret, &asked)?;
                if secret.deletion.is_none() && !tx.has_task(&super::steps_task(&secret.arn))? {
                    begin(tx, &mut secret, &asked, (&fresh.0, &fresh.1), false)?;
                }
                Ok::<_, Error>(tx.put_json(&asked.key, &secret)?)
            })
            .await
    }

    async fn steps(&self, task: &Task, asked: &Asked) -> Result<(), Halt> {
        let (secret, running) = self.running(task, asked).await?;
        let steps = if running.test { &STEPS[2..3] } else { &STEPS[..] };
        for step in steps {
            let (secret, running) = self.running(task, asked).await?;
            let asked_step = self.ask(task, asked, (&secret, &running), step).await;
            // A function that is only tried has no value to test: what it says of that is for its logs.
            if let Err(reason) = asked_step
                && !running.test
            {
                return Err(Halt::Failed(reason));
            }
        }
        self.end(task, asked, &secret.arn, running.test).await
    }

    /// All attempts of a window have failed, which is told.
    async fn give_up(&self, task: &Task, asked: &Asked) -> Result<(), Error> {
        let (id, asked) = (task.id.clone(), asked.clone());
        self.store
            .write(move |tx| {
                let found = tx.get_json::<Secret>(&asked.key)?;
                if let Some((secret, running)) = found.and_then(|secret| {
                    let running = secret.rotation.as_ref()?.running.clone()?;
                    (running.version == asked.version).then_some((secret, running))
                }) {
                    let fresh = format!("{}-failed", running.token);
                    tell(tx, &asked, &secret.arn, (What::Failed, running.test), &fresh)?;
                }
                Ok::<_, Error>(tx.finish_task(&id)?)
            })
            .await
    }

    /// The secret and its rotation, if that is still this one.
    async fn running(&self, task: &Task, asked: &Asked) -> Result<(Secret, Running), Halt> {
        let found: Option<Secret> = self.store.read(|tx| tx.get_json(&asked.key)).await.map_err(Error::from)?;
        let secret = found.filter(|secret| secret.deletion.is_none() && super::steps_task(&secret.arn) == task.id);
        let secret = secret.filter(|_| !task.is_cancelled()).ok_or(Halt::Over)?;
        let running = secret.rotation.as_ref().and_then(|rotation| rotation.running.clone());
        let running = running.filter(|running| running.version == asked.version).ok_or(Halt::Over)?;
        Ok((secret, running))
    }

    async fn ask(
        &self,
        task: &Task,
        asked: &Asked,
        (secret, running): (&Secret, &Running),
        step: &str,
    ) -> Result<(), String> {
        let lambda = secret.rotation.as_ref().map(|rotation| rotation.lambda.clone()).unwrap_or_default();
        let event = json!({
            "Step": step, "SecretId": secret.arn, "ClientRequestToken": running.version, "RotationToken": running.token,
        });
        let request = InvocationRequest {
            function_name: lambda,
            invocation_type: Some("RequestResponse".to_owned()),
            payload: Some(event.to_string().into_bytes().into()),
            ..InvocationRequest::default()
        };
        let once = format!("{}/{}/{}/{step}", task.id, running.token, task.attempt);
        let cx =
            Cx::platform(&self.router, &asked.account, &asked.region).as_service(SERVICE, &secret.arn).with_task(&once);
        let answer = cx
            .call::<Invoke>(request)
            .await
            .map_err(|error| format!("{step}: {}: {}", error.code(), error.message()))?;
        if answer.function_error.is_none() {
            return Ok(());
        }
        let told = answer.payload.map(|payload| String::from_utf8_lossy(payload.as_bytes()).into_owned());
        Err(format!("{step}: {}", told.unwrap_or_default()))
    }

    /// The new version has to be current now; a version that was only for trying goes.
    async fn end(&self, task: &Task, asked: &Asked, arn: &str, test: bool) -> Result<(), Halt> {
        let (id, asked, arn) = (task.id.clone(), asked.clone(), arn.to_owned());
        let ended = self
            .store
            .write(move |tx| {
                let Some(mut secret) = tx.get_json::<Secret>(&asked.key)?.filter(|secret| secret.arn == arn) else {
                    tx.finish_task(&id)?;
                    return Ok(true);
                };
                let current = secret.holder(CURRENT).as_ref() == Some(&asked.version);
                let now = tx.now();
                let Some(rotation) = secret.rotation.as_mut().filter(|rotation| {
                    rotation.running.as_ref().is_some_and(|running| running.version == asked.version)
                }) else {
                    tx.finish_task(&id)?;
                    return Ok(true);
                };
                if !test && !current {
                    return Ok(false);
                }
                let token = rotation.running.take().map(|running| running.token).unwrap_or_default();
                let fresh = format!("{token}-succeeded");
                tell(tx, &asked, &secret.arn, (What::Succeeded, test), &fresh)?;
                if test {
                    let tried = secret.versions.get_mut(&asked.version);
                    let unstaged = tried.is_some_and(|version| {
                        version.stages.retain(|stage| stage != super::PENDING);
                        version.stages.is_empty()
                    });
                    if unstaged {
                        secret.versions.remove(&asked.version);
                    }
                } else {
                    rotation.rotated = Some(now.into());
                    plan(tx, &mut secret, &Asked { version: String::new(), ..asked.clone() })?;
                }
                tx.put_json(&asked.key, &secret)?;
                tx.finish_task(&id)?;
                Ok::<_, Error>(true)
            })
            .await?;
        if ended { Ok(()) } else { Err(Halt::Failed("finishSecret did not make the new version current".to_owned())) }
    }
}
