//! Rotation by function: what is stored of it with its secret, and the two tasks that carry it out: one is due when the next window
//! opens, one takes the function through its steps.
//! Source: Secrets Manager User Guide, "Rotation by Lambda function"; API reference, "RotateSecret".

mod rules;
mod run;
mod told;

use api_secretsmanager::RotationRulesType;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, NewTask, Tx};
use wire::{Error, Timestamp};

pub(crate) use rules::Rules;
pub(crate) use run::{Rotator, SERVICE};
pub(crate) use told::{TELL, send};

use crate::secret::{CURRENT, Secret, Version};

/// Kind of the task that begins a rotation when its window opens, and of that which runs the steps.
pub(crate) const DUE: &str = "secrets:rotation-due";
pub(crate) const ROTATE: &str = "secrets:rotate";
pub(crate) const PENDING: &str = "AWSPENDING";

/// As it is stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rotation {
    pub(crate) enabled: bool,
    pub(crate) lambda: String,
    pub(crate) rules: Option<RotationRulesType>,
    /// When the rules were set.
    pub(crate) configured: Timestamp,
    pub(crate) rotated: Option<Timestamp>,
    /// When the next window opens.
    pub(crate) next: Option<Timestamp>,
    pub(crate) running: Option<Running>,
}

/// A rotation on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The version that it makes; the function knows it as `ClientRequestToken`.
    pub(crate) version: String,
    /// What the function may show to say for which rotation it puts a value.
    pub(crate) token: String,
    /// The function is only tried, and the version is taken away again.
    pub(crate) test: bool,
}

/// Of both tasks: whose rotation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) key: Vec<u8>,
    /// The rotation that the steps are of.
    pub(crate) version: String,
}

impl Asked {
    pub(crate) fn new(cx: &Cx, key: &Key) -> Self {
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        Self { account, region, key: key.as_bytes().to_vec(), version: String::new() }
    }
}

pub(crate) fn due_task(arn: &str) -> String {
    format!("{DUE}/{arn}")
}

pub(crate) fn steps_task(arn: &str) -> String {
    format!("{ROTATE}/{arn}")
}

/// The version that a rotation has not brought to its end: it has the stage `AWSPENDING`, and another is current.
pub(crate) fn unfinished(secret: &Secret) -> Option<String> {
    secret.holder(PENDING).filter(|pending| secret.holder(CURRENT).as_ref() != Some(pending))
}

/// Begins a rotation, or goes on with the one that was not brought to its end. The version is there without a value until the function
/// puts one. `fresh`: ids for the version and its token.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    secret: &mut Secret,
    asked: &Asked,
    (fresh, token): (&str, &str),
    test: bool,
) -> Result<String, Error> {
    let version = unfinished(secret).unwrap_or_else(|| fresh.to_owned());
    if !secret.versions.contains_key(&version) {
        let empty = Version { created: tx.now().into(), ..Version::default() };
        secret.versions.insert(version.clone(), empty);
    }
    secret.move_stage(PENDING, Some(&version));
    if let Some(rotation) = &mut secret.rotation {
        rotation.running = Some(Running { version: version.clone(), token: token.to_owned(), test });
    }
    secret.forget_old(tx.now().into());
    let asked = Asked { version: version.clone(), ..asked.clone() };
    tx.enqueue(NewTask::new(ROTATE, steps_task(&secret.arn)).payload(&asked)?)?;
    // The token is of this rotation alone.
    told::tell(tx, &asked, &secret.arn, (told::What::Started, test), &format!("{token}-started"))?;
    Ok(version)
}

/// Puts the opening of the next window on the queue, or takes it off.
pub(crate) fn plan(tx: &mut Tx<'_>, secret: &mut Secret, asked: &Asked) -> Result<(), Error> {
    let now = tx.now();
    let (task, changed) = (due_task(&secret.arn), secret.changed.0);
    let Some(rotation) = &mut secret.rotation else { return Ok(()) };
    let rules = rotation.rules.as_ref().map(Rules::read).transpose()?.flatten().filter(|_| rotation.enabled);
    let since = rotation.rotated.map_or(rotation.configured.0, |at| at.0);
    let since = if rotation.rotated.is_some() { since.max(changed) } else { since };
    let next = rules.and_then(|rules| rules.next(now, since, rotation.configured.0));
    rotation.next = next.map(Into::into);
    match next {
        Some(at) => tx.enqueue(NewTask::new(DUE, task).payload(asked)?.at(at))?,
        None => cancel(tx, &task)?,
    }
    Ok(())
}

/// After another value: where the days count from changes they count anew.
pub(crate) fn changed(tx: &mut Tx<'_>, secret: &mut Secret, asked: &Asked) -> Result<(), Error> {
    let Some(rotation) = secret.rotation.as_mut().filter(|rotation| rotation.enabled) else { return Ok(()) };
    let rules = rotation.rules.as_ref().map(Rules::read).transpose()?.flatten();
    if rotation.running.is_some() || !rules.is_some_and(|rules| rules.count_from_changes()) {
        return Ok(());
    }
    rotation.rotated = Some(tx.now().into());
    plan(tx, secret, asked)
}

/// Takes both tasks off.
pub(crate) fn stop(tx: &mut Tx<'_>, arn: &str) -> Result<(), Error> {
    cancel(tx, &due_task(arn))?;
    cancel(tx, &steps_task(arn))
}

fn cancel(tx: &mut Tx<'_>, task: &str) -> Result<(), Error> {
    if tx.has_task(task)? { Ok(tx.cancel_task(task)?) } else { Ok(()) }
}
