//! Carrying out a request: a durable task. Each of its calls bears the task's name, so that one that is made again after a crash counts once.
//! What a failed making leaves behind stays, and the request tells its identifier, as AWS's does.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use wire::Error;

use super::request::{Place, Request};
use super::types::{self, Type};
use crate::ongoing::Ongoing;
use crate::resources::{self, Context, Made, Updated, existing, is_missing, whole};
use crate::{CloudFormation, Result};

/// Milliseconds for which what fails because the platform does is tried again; then the request has failed.
const INSISTS_MS: i64 = 600_000;

/// Where a request is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) place: Place,
    pub(super) token: String,
}

/// The name of a request's task.
pub(super) fn task(token: &str) -> String {
    format!("cloudcontrol/{token}")
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&task(&self.token))
    }
}

/// Requests, which go on from what is stored of them.
pub(super) struct Requests(pub(super) Arc<CloudFormation>);

#[async_trait]
impl Ongoing for Requests {
    const NAME: &'static str = "cloudcontrol:request";
    type Work = Work;

    fn scope(work: &Work) -> (&str, &str) {
        (&work.place.account, &work.place.region)
    }

    fn is_left(&self, tx: &mut store::Tx<'_>, work: &Work) -> Result<bool> {
        let found: Option<Request> = tx.get_json(work.place.requests().push(&work.token))?;
        Ok(found.is_some_and(|request| !request.is_over()))
    }

    async fn go_on(&self, work: &Work) -> Result<()> {
        self.0.fulfil(work).await
    }
}

/// How a request failed.
struct Failure {
    code: &'static str,
    message: String,
    /// What there is of it all the same.
    identifier: Option<String>,
}

impl Failure {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), identifier: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(code(&error), explain(&error))
    }
}

/// What a request ended with: the identifier, and what it is now where it still is.
type Outcomes = std::result::Result<(String, Option<Value>), Failure>;

impl CloudFormation {
    async fn fulfil(&self, work: &Work) -> Result<()> {
        let Some(request) = self.requested(work).await? else { return Ok(()) };
        let outcome = if request.status == "CANCEL_IN_PROGRESS" && !request.begun {
            None
        } else {
            let until = request.begun_ms + INSISTS_MS;
            match self.carry(work, &request).await {
                Err(Failure { code: "InternalFailure", message, .. }) if self.router.now().as_millisecond() < until => {
                    return Err(Error::internal(message));
                }
                outcome => Some(outcome),
            }
        };
        let work = work.clone();
        self.store
            .write(move |tx| {
                let key = work.place.requests().push(&work.token);
                let Some(mut request) = tx.get_json::<Request>(key)? else { return Ok(()) };
                if request.is_over() {
                    return Ok(());
                }
                request.at_ms = tx.now().as_millisecond();
                let cancelled = request.status == "CANCEL_IN_PROGRESS";
                // The note that something is done with it goes before the request has another identifier.
                request.end(tx, &work.place)?;
                match &outcome {
                    None => {}
                    Some(Ok((identifier, model))) => {
                        "SUCCESS".clone_into(&mut request.status);
                        request.identifier = Some(identifier.clone());
                        request.model.clone_from(model);
                    }
                    Some(Err(failure)) => {
                        "FAILED".clone_into(&mut request.status);
                        request.message = Some(failure.message.chars().take(2048).collect());
                        request.error = Some(failure.code.to_owned());
                        request.identifier = failure.identifier.clone().or(request.identifier);
                    }
                }
                if cancelled {
                    // What was done by then stays done.
                    "CANCEL_COMPLETE".clone_into(&mut request.status);
                }
                request.save(tx, &work.place)
            })
            .await
    }

    async fn requested(&self, work: &Work) -> Result<Option<Request>> {
        let key = work.place.requests().push(&work.token);
        let found: Option<Request> = self.store.read(|tx| tx.get_json(&key)).await?;
        Ok(found.filter(|request| !request.is_over()))
    }

    async fn carry(&self, work: &Work, request: &Request) -> Outcomes {
        let of = types::find(&request.type_name, &request.operation)?;
        let cx = Cx::platform(&self.router, &work.place.account, &work.place.region);
        let cx = cx.as_principal(request.principal.clone());
        let cx = self.controller(&cx, request.role_arn.as_deref()).await?.with_task(&task(&request.token));
        let at = self.controlled(cx, of.name, &request.token);
        match request.operation.as_str() {
            "CREATE" => self.make(work, request, of, &at).await,
            "UPDATE" => self.change(work, request, of, &at).await,
            _ => self.remove(work, request, of, &at).await,
        }
    }

    async fn make(&self, work: &Work, request: &Request, of: &Type, at: &Context) -> Outcomes {
        let kind = resources::find(of.name).ok_or_else(|| Failure::new("InvalidRequest", "no such type"))?;
        if let Some(name) =
            request.desired.as_object().and_then(|map| map.keys().find(|name| of.read_only.contains(name)))
        {
            let text = format!("Encountered unsupported property {name}");
            return Err(Failure::new("InvalidRequest", text));
        }
        if !request.begun {
            // Some services take the same name again as a change: here it is somebody else's resource.
            if let Some(named) = named(of, &request.desired, at)
                && whole::find(at, of.name, &named).await?.is_some()
            {
                return Err(Failure::new("AlreadyExists", existing::told_taken(of.name, &named)));
            }
            self.note_begun(work).await?;
        }
        let made = match kind.create(at, &request.desired).await {
            Ok(made) => made,
            Err(error) => {
                let left = at.left_behind();
                let mut failure = Failure::from(error);
                if failure.code != "InternalFailure"
                    && let Some(left) = left
                {
                    failure.identifier = Some(identified(of, &left, &request.desired));
                }
                return Err(failure);
            }
        };
        told(of, at, &identified(of, &made, &request.desired)).await
    }

    async fn change(&self, work: &Work, request: &Request, of: &Type, at: &Context) -> Outcomes {
        let identifier = request.identifier.clone().unwrap_or_default();
        let found = whole::find(at, of.name, &identifier).await?;
        let made = found.ok_or_else(|| gone(of, &identifier))?.made;
        self.note_begun(work).await?;
        match resources::update(of.name, at, &made, &request.old, &request.desired).await? {
            Updated::InPlace(_) => told(of, at, &identifier).await,
            Updated::Replace => {
                let text = "The update needs a new resource in the place of this one; delete it and make another";
                Err(Failure::new("NotUpdatable", text))
            }
        }
    }

    async fn remove(&self, work: &Work, request: &Request, of: &Type, at: &Context) -> Outcomes {
        let identifier = request.identifier.clone().unwrap_or_default();
        let kind = resources::find(of.name).ok_or_else(|| Failure::new("InvalidRequest", "no such type"))?;
        let found = match whole::find(at, of.name, &identifier).await? {
            Some(found) => found,
            // Begun by an earlier attempt, which a crash has cut short: its calls are answered as they were.
            None if request.begun => return Ok((identifier, None)),
            None => return Err(gone(of, &identifier)),
        };
        self.note_begun(work).await?;
        kind.delete(at, &found.made, &found.properties).await?;
        Ok((identifier, None))
    }

    async fn note_begun(&self, work: &Work) -> Result<()> {
        let key = work.place.requests().push(&work.token);
        self.store
            .write(move |tx| {
                if let Some(mut request) = tx.get_json::<Request>(&key)? {
                    request.begun = true;
                    tx.put_json(&key, &request)?;
                }
                Ok(())
            })
            .await
    }
}

fn gone(of: &Type, identifier: &str) -> Failure {
    Failure::new("NotFound", format!("Resource of type '{}' with identifier '{identifier}' was not found.", of.name))
}

/// The resource as it is now.
async fn told(of: &Type, at: &Context, identifier: &str) -> Outcomes {
    let found: Option<existing::Found> = super::read(at, of, identifier).await?;
    match found {
        Some(found) => Ok((super::identifier(of, &found), Some(found.properties))),
        None => Ok((identifier.to_owned(), None)),
    }
}

/// The identifier of what has been made: of what GetAtt answers, what was given, or what Ref answers.
fn identified(of: &Type, made: &Made, given: &Value) -> String {
    let value = |name: &str| {
        let told = made.attributes.get(name).or_else(|| given.get(name)).filter(|value| !value.is_null());
        Some(told.map_or_else(|| made.physical_id.clone(), crate::parameters::text))
    };
    of.identifier(value).unwrap_or_else(|| made.physical_id.clone())
}

/// The identifier that the properties give a resource themselves.
fn named(of: &Type, properties: &Value, at: &Context) -> Option<String> {
    let given = |name: &str| properties.get(name).map(crate::parameters::text).filter(|name| !name.is_empty());
    match of.name {
        "AWS::Events::Rule" => {
            let name = given("Name")?;
            let place = match given("EventBusName").filter(|bus| bus != "default") {
                Some(bus) => format!("rule/{}/{name}", bus.rsplit('/').next().unwrap_or_default()),
                None => format!("rule/{name}"),
            };
            Some(at.cx.arn("events", place))
        }
        "AWS::IAM::ManagedPolicy" => {
            let path = given("Path").unwrap_or_else(|| "/".to_owned());
            Some(format!("arn:aws:iam::{}:policy{path}{}", at.cx.account(), given("ManagedPolicyName")?))
        }
        // Put where there is one already, they would change it; their identifier is the secret's.
        "AWS::SecretsManager::ResourcePolicy" | "AWS::SecretsManager::RotationSchedule" => given("SecretId"),
        "AWS::SNS::Topic"
        | "AWS::SQS::Queue"
        | "AWS::SecretsManager::Secret"
        | "AWS::StepFunctions::Activity"
        | "AWS::StepFunctions::StateMachine" => existing::name_of(of.name, properties, at),
        _ if of.identifiers.iter().any(|name| of.read_only.contains(name)) => None,
        _ => of.identifier(given),
    }
}

/// A service's error as a handler's code. Source: API Reference, "ProgressEvent", `ErrorCode`.
pub(super) fn code(error: &Error) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| error.code().contains(word));
    if has(&["AccessDenied", "UnauthorizedOperation", "AuthorizationError"]) {
        return "AccessDenied";
    }
    if has(&["InvalidCredentials"]) {
        return "InvalidCredentials";
    }
    if is_missing(error) {
        return "NotFound";
    }
    if has(&["AlreadyExist", "AlreadyOwnedByYou", "NameExists", "ResourceExists", "AlreadyInUse"])
        || error.message().contains("already exist")
    {
        return "AlreadyExists";
    }
    if has(&["Throttl", "TooManyRequests", "SlowDown"]) {
        return "Throttling";
    }
    if has(&["LimitExceeded", "TooMany", "QuotaExceeded"]) {
        return "ServiceLimitExceeded";
    }
    if has(&["Conflict", "ResourceInUse", "BucketNotEmpty", "ConcurrentModification"]) {
        return "ResourceConflict";
    }
    match error.status() {
        _ if error.is("InternalFailure") => "InternalFailure",
        500.. => "ServiceInternalError",
        _ => "InvalidRequest",
    }
}

pub(super) fn explain(error: &Error) -> String {
    if error.is("ValidationError") {
        return error.message().to_owned();
    }
    format!("{} (Status Code: {}; Error Code: {})", error.message(), error.status(), error.code())
}
