//! Provisioned concurrency: environments of a version or an alias that are started before anybody calls, and stay. A task of the queue
//! holds them for as long as the configuration is there, also after a restart.

use std::time::Duration;

use api_lambda::error;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Done, NewTask, Task, Tx};
use wire::{Error, Timestamp};

use crate::Lambda;
use crate::function::{Name, Resolved, Scope};
use crate::runtime::{Blueprint, Environment, InvocationEnd};

pub(crate) const PROVISION: &str = "lambda:provision";
/// Configurations that are held at once.
pub(crate) const AT_ONCE: usize = 1000;
/// Between two looks at what there is.
const LOOK: Duration = Duration::from_secs(1);
/// After a start that failed.
const PAUSE: Duration = Duration::from_secs(10);

/// A configuration, and how far it has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Provision {
    /// Format of the record.
    pub(crate) v: u8,
    pub(crate) qualifier: String,
    pub(crate) requested: i32,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) modified: Timestamp,
}

impl Provision {
    /// How many of its environments are there.
    pub(crate) fn provided(&self) -> i32 {
        if self.status == "READY" { self.requested } else { 0 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wanted {
    account: String,
    region: String,
    name: String,
    qualifier: String,
}

fn task_id(place: &Scope, name: &str, qualifier: &str) -> String {
    format!("{PROVISION}:{}:{}:{name}:{qualifier}", place.account, place.region)
}

/// Begins to hold a configuration, from its start.
pub(crate) fn start(tx: &mut Tx<'_>, place: &Scope, name: &str, qualifier: &str) -> Result<(), Error> {
    let id = task_id(place, name, qualifier);
    tx.cancel_task(&id)?;
    let wanted = Wanted {
        account: place.account.clone(),
        region: place.region.clone(),
        name: name.to_owned(),
        qualifier: qualifier.to_owned(),
    };
    Ok(tx.enqueue(NewTask::new(PROVISION, id).payload(&wanted)?)?)
}

pub(crate) fn stop(tx: &mut Tx<'_>, place: &Scope, name: &str, qualifier: &str) -> Result<(), Error> {
    tx.delete(place.provision(name, qualifier))?;
    Ok(tx.cancel_task(&task_id(place, name, qualifier))?)
}

pub(crate) fn stop_all(tx: &mut Tx<'_>, place: &Scope, name: &str) -> Result<(), Error> {
    for found in tx.list_json::<Provision>(place.provisions(name), 10_000)? {
        stop(tx, place, name, &found.qualifier)?;
    }
    Ok(())
}

pub(crate) fn not_found() -> Error {
    error::provisioned_concurrency_config_not_found_exception(
        "No Provisioned Concurrency Config found for this function",
    )
    .with("Type", "User")
}

/// Runs until the configuration is changed or deleted.
pub(crate) async fn hold(lambda: &Lambda, task: &Task) -> Result<Done, Error> {
    let wanted: Wanted = task.payload()?;
    // Of this run: the one before, of a configuration that was changed, may let go later than this one holds.
    let holder = Cx::platform(&lambda.router, &wanted.account, &wanted.region).uuid();
    let mut held = String::new();
    let done = {
        let work = lambda.hold(&wanted, &holder, &mut held);
        tokio::select! {
            done = work => done,
            () = task.cancelled() => Ok(Done::Finished),
        }
    };
    lambda.pool.pin(&held, &holder, 0);
    done
}

impl Lambda {
    /// `held`: the key of the environments that stay now, for this `holder`.
    async fn hold(&self, wanted: &Wanted, holder: &str, held: &mut String) -> Result<Done, Error> {
        let cx = Cx::platform(&self.router, &wanted.account, &wanted.region);
        let place = Scope::of(&cx);
        let name = Name { name: wanted.name.clone(), qualifier: Some(wanted.qualifier.clone()) };
        let record = place.provision(&wanted.name, &wanted.qualifier);
        'looks: loop {
            let found = self.store.read(|tx| tx.get_json::<Provision>(&record)).await?;
            let Some(found) = found else { return Ok(Done::Finished) };
            // An alias's own version, whatever its weights.
            let Ok(resolved) = self.store.read(|tx| place.resolve(tx, &name, 1.0)).await else {
                return Ok(Done::Finished);
            };
            let version = &resolved.version;
            let runtime = version.config.runtime.clone().unwrap_or_default();
            let ready = self.preparer.ready(&version.code, &version.layers, &runtime).await;
            let variables = self.variables(&cx, &version.config).await.map_err(|error| error.message().to_owned());
            let started = match ready.and_then(|ready| Ok((ready, variables?))) {
                Err(why) => Err(why),
                Ok((ready, variables)) => {
                    let mut blueprint = self.blueprint(&cx, &resolved, ready);
                    blueprint.provisioned = true;
                    blueprint.variables = variables;
                    if *held != blueprint.key {
                        // An alias that leads elsewhere now.
                        self.pool.pin(held, holder, 0);
                        held.clone_from(&blueprint.key);
                        self.pool.pin(held, holder, usize::try_from(found.requested).unwrap_or(0));
                    }
                    let mut outcome = Ok(());
                    while outcome.is_ok() && self.pool.missing(held) > 0 {
                        if let Err(why) = self.provide(&cx, &resolved, &blueprint).await? {
                            // No fault of the function's: its environments start elsewhere, and its status stays.
                            let Some(why) = why else {
                                tokio::time::sleep(LOOK).await;
                                continue 'looks;
                            };
                            outcome = Err(why);
                        }
                    }
                    outcome
                }
            };
            let (status, reason) = match &started {
                Ok(()) => ("READY", None),
                Err(why) => ("FAILED", Some(why.clone())),
            };
            if found.status != status || found.reason != reason {
                let (key, now) = (record.clone(), cx.now());
                self.store
                    .write(move |tx| {
                        if let Some(mut found) = tx.get_json::<Provision>(&key)? {
                            status.clone_into(&mut found.status);
                            found.reason.clone_from(&reason);
                            found.modified = now.into();
                            tx.put_json(&key, &found)?;
                        }
                        Ok::<_, Error>(())
                    })
                    .await?;
            }
            tokio::time::sleep(if started.is_ok() { LOOK } else { PAUSE }).await;
        }
    }

    /// Starts one environment for it. The error is why it cannot be, none where only its node is gone.
    async fn provide(
        &self,
        cx: &Cx,
        resolved: &Resolved,
        blueprint: &Blueprint,
    ) -> Result<Result<(), Option<String>>, Error> {
        let keys = self.issue(cx, resolved, "provisioned", true, None).await?;
        let permit = self.pool.permit(blueprint.budget_mb(), blueprint.place()).await;
        let started = match Environment::start(blueprint, &keys, permit, self.means(), cx).await {
            Err(compute::Error::NodeLost { .. }) => Err(None),
            Err(error) => Err(Some(error.to_string())),
            Ok(mut environment) => match environment.ready().await {
                Ok(()) => {
                    environment.start_took();
                    self.pool.keep(&blueprint.key, environment, None);
                    Ok(())
                }
                Err(InvocationEnd::NodeLost { .. }) => Err(None),
                Err(_) => Err(Some("FUNCTION_ERROR_INIT_FAILURE".to_owned())),
            },
        };
        if started.is_err() {
            cx.router().identity().revoke(&keys.access_key).await?;
        }
        Ok(started)
    }
}
