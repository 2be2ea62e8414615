//! The operations.

use api_cloudcontrol as api;
use api_cloudcontrol::error;
use async_trait::async_trait;
use json_patch::{Patch, PatchOperation};
use serde_json::{Value, json};
use service::{Cx, Handle};
use sha2::{Digest as _, Sha256};

use super::request::{MOST, Place, Request};
use super::run::{self, Requests, Work};
use super::types::{self, List, Type};
use crate::ongoing::Job;
use crate::parameters::text;
use crate::resources::{Context, whole};
use crate::{CloudFormation, Result};

/// Items on a page where nothing is said. Source: API Reference, ListResources and ListResourceRequests.
const PAGE: i32 = 20;

#[async_trait]
impl Handle<api::CreateResource> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::CreateResourceInput) -> Result<api::CreateResourceOutput> {
        let of = types::find(&input.type_name, "CREATE")?;
        let desired: Value = serde_json::from_str(&input.desired_state)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| error::invalid_request_exception("DesiredState is not a JSON object"))?;
        let mut request = request(cx, of, "CREATE", input.role_arn);
        request.desired = desired;
        let client = input.client_token.map(|token| (token, payload(&request)));
        let progress = self.begin(cx, request, client).await?;
        Ok(api::CreateResourceOutput { progress_event: Some(progress.shape()) })
    }
}

#[async_trait]
impl Handle<api::UpdateResource> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::UpdateResourceInput) -> Result<api::UpdateResourceOutput> {
        let of = types::find(&input.type_name, "UPDATE")?;
        let mut request = request(cx, of, "UPDATE", input.role_arn);
        request.identifier = Some(input.identifier.clone());
        let client =
            input.client_token.map(|token| (token, digest(&[of.name, &input.identifier, &input.patch_document])));
        // A repeated request is answered as the first, whatever the resource has become.
        if let Some(before) = self.before(cx, client.as_ref()).await? {
            return Ok(api::UpdateResourceOutput { progress_event: Some(before.shape()) });
        }
        let patch: Patch = serde_json::from_str(&input.patch_document)
            .map_err(|cause| error::invalid_request_exception(format!("The patch document is not valid: {cause}")))?;
        check_patch(of, &patch)?;
        let as_caller = self.controller(cx, request.role_arn.as_deref()).await?;
        let at = self.controlled(as_caller, of.name, &request.token);
        let told = super::read(&at, of, &input.identifier).await.map_err(handler)?;
        let told = told.ok_or_else(|| not_found(of, &input.identifier))?;
        request.old = super::given(of, &told.properties);
        request.desired = patched(of, &request.old, &patch)?;
        let progress = self.begin(cx, request, client).await?;
        Ok(api::UpdateResourceOutput { progress_event: Some(progress.shape()) })
    }
}

#[async_trait]
impl Handle<api::DeleteResource> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DeleteResourceInput) -> Result<api::DeleteResourceOutput> {
        let of = types::find(&input.type_name, "DELETE")?;
        let mut request = request(cx, of, "DELETE", input.role_arn);
        request.identifier = Some(input.identifier);
        let client = input.client_token.map(|token| (token, payload(&request)));
        let progress = self.begin(cx, request, client).await?;
        Ok(api::DeleteResourceOutput { progress_event: Some(progress.shape()) })
    }
}

#[async_trait]
impl Handle<api::GetResource> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::GetResourceInput) -> Result<api::GetResourceOutput> {
        let of = types::find(&input.type_name, "READ")?;
        let as_caller = self.controller(cx, input.role_arn.as_deref()).await?;
        let at = self.controlled(as_caller, of.name, "read");
        let found = super::read(&at, of, &input.identifier).await.map_err(handler)?;
        let found = found.ok_or_else(|| not_found(of, &input.identifier))?;
        Ok(api::GetResourceOutput {
            type_name: Some(of.name.to_owned()),
            resource_description: Some(api::ResourceDescription {
                identifier: Some(super::identifier(of, &found)),
                properties: Some(found.properties.to_string()),
            }),
        })
    }
}

#[async_trait]
impl Handle<api::ListResources> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ListResourcesInput) -> Result<api::ListResourcesOutput> {
        let of = types::find(&input.type_name, "LIST")?;
        let as_caller = self.controller(cx, input.role_arn.as_deref()).await?;
        let at = self.controlled(as_caller, of.name, "list");
        let list = of.list.ok_or_else(|| {
            let text = format!("Resource type {} does not support LIST action", of.name);
            error::unsupported_action_exception(text)
        })?;
        let parent = parent(of, list, input.resource_model.as_deref())?;
        let mut found = all(&at, of, list, &parent).await.map_err(handler)?;
        found.sort();
        found.dedup();
        let (found, next_token) = page(found, |one| one, input.next_token.as_deref(), input.max_results)?;
        let description = |identifier: String| api::ResourceDescription {
            properties: Some(Value::from(of.identifying(&identifier)).to_string()),
            identifier: Some(identifier),
        };
        Ok(api::ListResourcesOutput {
            type_name: Some(of.name.to_owned()),
            resource_descriptions: Some(found.into_iter().map(description).collect()),
            next_token,
        })
    }
}

#[async_trait]
impl Handle<api::GetResourceRequestStatus> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::GetResourceRequestStatusInput,
    ) -> Result<api::GetResourceRequestStatusOutput> {
        let (place, now) = (Place::of(cx), cx.now().as_millisecond());
        let found = self.store.read(|tx| Request::find(tx, &place, &input.request_token, now)).await?;
        let found = found.ok_or_else(|| unknown(&input.request_token))?;
        Ok(api::GetResourceRequestStatusOutput { progress_event: Some(found.shape()), hooks_progress_event: None })
    }
}

#[async_trait]
impl Handle<api::ListResourceRequests> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ListResourceRequestsInput) -> Result<api::ListResourceRequestsOutput> {
        let (place, now) = (Place::of(cx), cx.now().as_millisecond());
        let mut found: Vec<Request> = self.store.read(|tx| tx.list_json(place.requests(), MOST)).await?;
        let filter = input.resource_request_status_filter.unwrap_or_default();
        let wanted = |given: &Option<Vec<String>>, value: &String| {
            given.as_ref().is_none_or(|given| given.is_empty() || given.contains(value))
        };
        found.retain(|request| {
            request.is_known(now)
                && wanted(&filter.operations, &request.operation)
                && wanted(&filter.operation_statuses, &request.status)
        });
        let (found, next_token) = page(found, |one| &one.token, input.next_token.as_deref(), input.max_results)?;
        Ok(api::ListResourceRequestsOutput {
            resource_request_status_summaries: Some(found.iter().map(Request::shape).collect()),
            next_token,
        })
    }
}

#[async_trait]
impl Handle<api::CancelResourceRequest> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::CancelResourceRequestInput,
    ) -> Result<api::CancelResourceRequestOutput> {
        let (place, now) = (Place::of(cx), cx.now().as_millisecond());
        let request = cx
            .write(&self.store, move |tx| {
                let token = &input.request_token;
                let found = Request::find(tx, &place, token, now)?;
                let mut request = found.ok_or_else(|| unknown(token))?;
                if !matches!(request.status.as_str(), "PENDING" | "IN_PROGRESS") {
                    return Err(error::concurrent_modification_exception(format!(
                        "Request with token {token} has status {} and cannot be canceled",
                        request.status
                    )));
                }
                "CANCEL_IN_PROGRESS".clone_into(&mut request.status);
                request.at_ms = now;
                request.save(tx, &place)?;
                Ok(request)
            })
            .await?;
        Ok(api::CancelResourceRequestOutput { progress_event: Some(request.shape()) })
    }
}

impl CloudFormation {
    /// The request that the client's token has made already.
    async fn before(&self, cx: &Cx, client: Option<&(String, String)>) -> Result<Option<Request>> {
        let Some((token, payload)) = client else { return Ok(None) };
        let (place, now) = (Place::of(cx), cx.now().as_millisecond());
        self.store.read(|tx| Request::given(tx, &place, (token, payload), now)).await
    }

    /// Records a request and its task, or answers of the one that the client's token has made already.
    async fn begin(&self, cx: &Cx, request: Request, client: Option<(String, String)>) -> Result<Request> {
        let place = Place::of(cx);
        cx.write(&self.store, move |tx| {
            let client = client.as_ref().map(|(token, payload)| (token.as_str(), payload.as_str()));
            if let Some(client) = client
                && let Some(before) = Request::given(tx, &place, client, request.begun_ms)?
            {
                return Ok(before);
            }
            forget(tx, &place, request.begun_ms)?;
            request.begin(tx, &place, client)?;
            let work = Work { place: place.clone(), token: request.token.clone() };
            jobs::start::<Job<Requests>>(tx, &run::task(&request.token), &work)?;
            Ok(request.clone())
        })
        .await
    }
}

/// Requests of which nobody is told any more go as others come.
fn forget(tx: &mut store::Tx<'_>, place: &Place, now_ms: i64) -> Result<()> {
    let all: Vec<Request> = tx.list_json(place.requests(), 100)?;
    for old in all.iter().filter(|request| !request.is_known(now_ms)) {
        tx.delete(place.requests().push(&old.token))?;
    }
    Ok(())
}

fn request(cx: &Cx, of: &Type, operation: &str, role_arn: Option<String>) -> Request {
    let now = cx.now().as_millisecond();
    Request {
        version: 1,
        // In order, so that the oldest come first.
        token: cx.uuid_in_order(),
        type_name: of.name.to_owned(),
        operation: operation.to_owned(),
        status: "IN_PROGRESS".to_owned(),
        identifier: None,
        principal: cx.principal().clone(),
        role_arn,
        old: Value::Null,
        desired: Value::Null,
        begun: false,
        model: None,
        message: None,
        error: None,
        begun_ms: now,
        at_ms: now,
    }
}

/// What tells requests of one client token apart.
fn payload(request: &Request) -> String {
    let identifier = request.identifier.as_deref().unwrap_or_default();
    digest(&[&request.operation, &request.type_name, identifier, &request.desired.to_string()])
}

fn digest(parts: &[&str]) -> String {
    Sha256::digest(json!(parts).to_string()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unknown(token: &str) -> wire::Error {
    error::request_token_not_found_exception(format!("Request with token {token} was not found"))
}

fn not_found(of: &Type, identifier: &str) -> wire::Error {
    let text = format!("Resource of type '{}' with identifier '{identifier}' was not found.", of.name);
    error::resource_not_found_exception(text)
}

/// A service's error, as the operation that reads answers it.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
fn handler(cause: wire::Error) -> wire::Error {
    let code = run::code(&cause);
    let text = run::explain(&cause);
    match code {
        "AccessDenied" => wire::Error::access_denied(cause.message()),
        "Throttling" => error::throttling_exception(text),
        "ServiceInternalError" => error::service_internal_error_exception(text),
        "NotFound" => error::resource_not_found_exception(text),
        _ => error::invalid_request_exception(text),
    }
}

/// No step may touch what is told only, or given only when a resource is made.
fn check_patch(of: &Type, patch: &Patch) -> Result<()> {
    let mut touched: Vec<(String, bool)> = Vec::new();
    let mut note = |pointer: String, whole: bool| touched.push((pointer, whole));
    for operation in &patch.0 {
        match operation {
            PatchOperation::Test(_) => {}
            PatchOperation::Move(step) => {
                note(step.from.to_string(), false);
                note(step.path.to_string(), false);
            }
            other => note(other.path().to_string(), other.path().is_root()),
        }
    }
    if touched.iter().any(|(_, whole)| *whole) {
        return Err(error::invalid_request_exception("Invalid patch update: the whole resource cannot be replaced"));
    }
    for (names, what) in [(&of.read_only, "readOnlyProperties"), (&of.create_only, "createOnlyProperties")] {
        let found: Vec<String> = names
            .iter()
            .filter(|name| touched.iter().any(|(path, _)| path.split('/').nth(1) == Some(name.as_str())))
            .map(|name| format!("/properties/{name}"))
            .collect();
        if !found.is_empty() {
            let text = format!("Invalid patch update: {what} [{}] cannot be updated", found.join(", "));
            return Err(error::not_updatable_exception(text));
        }
    }
    Ok(())
}

/// What the resource is to be.
fn patched(of: &Type, old: &Value, patch: &Patch) -> Result<Value> {
    let mut desired = old.clone();
    json_patch::patch(&mut desired, patch)
        .map_err(|cause| error::invalid_request_exception(format!("The patch document cannot be applied: {cause}")))?;
    // Another way to say the same, which is not told.
    let anew = ["Definition", "DefinitionS3Location"].iter().any(|name| desired.get(name).is_some());
    if of.name == "AWS::StepFunctions::StateMachine" && anew && desired["DefinitionString"] == old["DefinitionString"] {
        desired.as_object_mut().into_iter().for_each(|map| drop(map.shift_remove("DefinitionString")));
    }
    Ok(desired)
}

/// The identifiers of all resources of a type, or of those of a parent.
async fn all(at: &Context, of: &Type, list: &List, parent: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for mut input in inputs(at, of, list).await? {
        if let Some((_, member)) = list.parent {
            input[member] = parent.into();
        }
        loop {
            let output = at.cx.call_json(list.service, list.operation, input.clone()).await?;
            found.extend(items(&output[list.members]).iter().filter_map(|item| list.identifier(item, parent)));
            match output.get(list.marker.0).filter(|marker| !marker.is_null()) {
                Some(marker) if found.len() < MOST => input[list.marker.1] = marker.clone(),
                _ => break,
            }
        }
    }
    if !list.is_looked_at {
        return Ok(found);
    }
    let mut there = Vec::new();
    for identifier in found {
        if whole::find(at, of.name, &identifier).await?.is_some() {
            there.push(identifier);
        }
    }
    Ok(there)
}

/// What is listed; a policy is a text, whose statements are.
fn items(told: &Value) -> Vec<Value> {
    match told {
        Value::Array(items) => items.clone(),
        Value::String(policy) => {
            let policy: Value = serde_json::from_str(policy).unwrap_or_default();
            policy["Statement"].as_array().cloned().unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Whose resources are asked for: what `ResourceModel` says of it. Empty where the type's are asked for all together.
fn parent(of: &Type, list: &List, model: Option<&str>) -> Result<String> {
    let model: Value = match model {
        None => json!({}),
        Some(text) => serde_json::from_str(text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| error::invalid_request_exception("ResourceModel is not a JSON object"))?,
    };
    let known: Vec<&str> = list.parent.iter().map(|(property, _)| *property).collect();
    // What would narrow the list, and does not, is refused.
    if let Some(unknown) = model.as_object().and_then(|map| map.keys().find(|name| !known.contains(&name.as_str()))) {
        let text = format!("ResourceModel of {} with {unknown} is not supported", of.name);
        return Err(error::invalid_request_exception(text));
    }
    let Some((property, _)) = list.parent else { return Ok(String::new()) };
    let given = model.get(property).map(text).filter(|given| !given.is_empty());
    given.ok_or_else(|| {
        error::invalid_request_exception(format!(
            "Missing or invalid ResourceModel property in {} list handler request input.  Required property:  [{property}]",
            of.name
        ))
    })
}

/// What is asked first: rules are asked for bus by bus, and named queries workgroup by workgroup.
async fn inputs(at: &Context, of: &Type, list: &List) -> Result<Vec<Value>> {
    let (service, operation, members, member) = match of.name {
        "AWS::Events::Rule" => ("eventbridge", "listEventBuses", "EventBuses", "EventBusName"),
        "AWS::Athena::NamedQuery" => ("athena", "listWorkGroups", "WorkGroups", "WorkGroup"),
        _ => return Ok(vec![list.input(of)]),
    };
    let mut found = Vec::new();
    let mut input = json!({});
    loop {
        let output = at.cx.call_json(service, operation, input).await?;
        let names = output[members].as_array().into_iter().flatten();
        found.extend(names.map(|one| json!({ member: one["Name"] })));
        match output.get("NextToken").filter(|token| !token.is_null()) {
            Some(token) => input = json!({ "NextToken": token }),
            None => return Ok(found),
        }
    }
}

/// The page after a token of what is sorted by name.
fn page<T>(
    mut all: Vec<T>,
    name: impl Fn(&T) -> &str,
    token: Option<&str>,
    most: Option<i32>,
) -> Result<(Vec<T>, Option<String>)> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    if let Some(token) = token {
        let invalid = || error::invalid_request_exception("The next token is not valid");
        let after = base64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
        all.retain(|one| name(one) > after.as_str());
    }
    let most = usize::try_from(most.unwrap_or(PAGE)).unwrap_or(1).max(1);
    let more = all.len() > most;
    all.truncate(most);
    let next = all.last().filter(|_| more).map(|last| base64.encode(name(last)));
    Ok((all, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches() {
        let of = types::find("AWS::SQS::Queue", "UPDATE").unwrap();
        let check = |patch: Value| {
            let patch: Patch = serde_json::from_value(patch).unwrap();
            check_patch(of, &patch).map_err(|error| format!("{} {}", error.code(), error.message()))
        };
        assert_eq!(check(json!([{ "op": "add", "path": "/DelaySeconds", "value": 3 }])), Ok(()));
        assert_eq!(check(json!([{ "op": "test", "path": "/QueueName", "value": "q" }])), Ok(()));
        assert_eq!(
            check(json!([{ "op": "replace", "path": "/QueueName", "value": "q" }])).unwrap_err(),
            "NotUpdatableException Invalid patch update: createOnlyProperties [/properties/QueueName] cannot be updated"
        );
        assert_eq!(
            check(json!([{ "op": "move", "from": "/Arn", "path": "/Tags" }])).unwrap_err(),
            "NotUpdatableException Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated"
        );
        assert_eq!(
            check(json!([{ "op": "replace", "path": "", "value": {} }])).unwrap_err(),
            "InvalidRequestException Invalid patch update: the whole resource cannot be replaced"
        );
    }

    #[test]
    fn types_that_are_not_here() {
        let code = |name: &str| types::find(name, "CREATE").map(|of| of.name).map_err(|error| error.code().to_owned());
        assert_eq!(code("AWS::S3::Bucket"), Ok("AWS::S3::Bucket"));
        assert_eq!(code("AWS::IAM::Policy"), Err("UnsupportedActionException".to_owned()));
        assert_eq!(code("AWS::EC2::VPC"), Err("TypeNotFoundException".to_owned()));
    }
}
