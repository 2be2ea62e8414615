//! A call as CloudTrail writes it. Sources: CloudTrail User Guide, "CloudTrail record contents", "CloudTrail userIdentity element".

use serde_json::{Map, Value, json};
use service::audit::Call;
use service::{Cx, Principal};
use wire::Error;
use wire::schema::Shape;

use crate::hidden::{self, HIDDEN};
use crate::kind::{self, Data};

/// An event, and what selectors ask of it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) at_ms: i64,
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) global: bool,
    pub(crate) read_only: bool,
    /// The type of its resources, of one that is about data.
    pub(crate) data: Option<&'static str>,
    pub(crate) resources: Vec<String>,
    pub(crate) principal: String,
    pub(crate) record: Value,
}

/// The most of a text that is recorded.
const LONGEST: usize = 2048;

impl Event {
    pub(crate) async fn of(call: &Call<'_>) -> Self {
        let (cx, service) = (call.cx, call.service);
        let data = kind::data(service, call.operation);
        let global = kind::is_global(service);
        let region = if global { "us-east-1".to_owned() } else { cx.region().to_owned() };
        let resources = match data {
            Some(_) => kind::resources(service, call.input, (cx.account(), cx.region())),
            None => Vec::new(),
        };
        let (id, source) = (cx.router().uuid(), kind::source(service));
        let (address, agent) = came_from(cx);
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": identity(cx).await,
            "eventTime": told_time(call.at),
            "eventSource": source,
            "eventName": call.operation,
            "awsRegion": region,
            "sourceIPAddress": address,
            "userAgent": agent,
            "requestParameters": parameters(call, data),
            "responseElements": answered(call, data),
            "additionalEventData": { "decision": decision(call.error), "statements": call.statements },
            "requestID": cx.request_id(),
            "eventID": id,
            "readOnly": call.read_only,
            "eventType": "AwsApiCall",
            "managementEvent": data.is_none(),
            "recipientAccountId": cx.account(),
            "eventCategory": if data.is_some() { "Data" } else { "Management" },
        });
        if let Some(error) = call.error {
            record["errorCode"] = error.code().into();
            record["errorMessage"] = error.message().into();
        }
        if let Some(data) = data {
            let told = |arn: &String| json!({ "type": data.kind, "ARN": arn, "accountId": cx.account() });
            record["resources"] = resources.iter().map(told).collect();
        }
        Self {
            id,
            at_ms: call.at.as_millisecond(),
            source,
            name: call.operation.to_owned(),
            region,
            global,
            read_only: call.read_only,
            data: data.map(|data| data.kind),
            resources,
            principal: cx.principal().arn(cx.caller_account()),
            record,
        }
    }
}

pub(crate) fn told_time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What policies made of it: an error of another kind came after they had let it.
fn decision(error: Option<&Error>) -> &'static str {
    let denied = |error: &Error| {
        error.status() == 403 && error.code().starts_with("AccessDenied") || error.code() == "UnauthorizedOperation"
    };
    if error.is_some_and(denied) { "Denied" } else { "Allowed" }
}

fn came_from(cx: &Cx) -> (String, String) {
    let by = cx.service().map(|service| service.name.clone());
    let by = by.or_else(|| Some(format!("{}.amazonaws.com", cx.principal().session()?.service.as_deref()?)));
    let origin = cx.origin();
    let address = origin.and_then(|origin| origin.address).map(|address| address.to_canonical().to_string());
    let agent = origin.and_then(|origin| origin.user_agent.clone());
    let inside = || by.clone().unwrap_or_else(|| "AWS Internal".to_owned());
    (address.unwrap_or_else(inside), agent.unwrap_or_else(inside))
}

async fn identity(cx: &Cx) -> Value {
    if let Some(service) = cx.service() {
        return json!({ "type": "AWSService", "invokedBy": service.name });
    }
    let (principal, account) = (cx.principal(), cx.caller_account());
    let id = cx.router().identity().user_id(principal).await.ok().flatten();
    let mut told = json!({ "principalId": id, "arn": principal.arn(account), "accountId": account });
    let kind = match principal {
        Principal::Root { .. } => "Root",
        Principal::Anonymous => {
            return json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" });
        }
        Principal::User { user_arn, access_key, .. } if principal.federated().is_some() => {
            told["accessKeyId"] = access_key.clone().into();
            let kind = if user_arn.ends_with(":root") { "Root" } else { "IAMUser" };
            told["sessionContext"] =
                json!({ "sessionIssuer": { "type": kind, "arn": user_arn, "accountId": account } });
            "FederatedUser"
        }
        Principal::User { user_arn, access_key, .. } => {
            told["userName"] = user_arn.rsplit('/').next().into();
            told["accessKeyId"] = access_key.clone().into();
            "IAMUser"
        }
        Principal::Role { role_arn, access_key, context, .. } => {
            told["accessKeyId"] = access_key.clone().into();
            let own = id.as_deref().and_then(|id| id.split(':').next());
            let issuer = json!({
                "type": "Role", "principalId": own, "arn": role_arn, "accountId": account,
                "userName": role_arn.rsplit('/').next(),
            });
            let since = context.issued_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok()).map(told_time);
            told["sessionContext"] = json!({
                "sessionIssuer": issuer,
                "attributes": { "creationDate": since, "mfaAuthenticated": "false" },
            });
            if let Some(service) = &context.service {
                told["invokedBy"] = format!("{service}.amazonaws.com").into();
            }
            "AssumedRole"
        }
        Principal::Platform => "AWSService",
    };
    told["type"] = kind.into();
    if let Value::Object(members) = &mut told {
        members.retain(|_, value| !value.is_null());
    }
    told
}

/// The request without what is secret and, of data, without the data.
fn parameters(call: &Call<'_>, data: Option<&Data>) -> Value {
    let kept = |name: &str| data.is_none_or(|data| data.kept.contains(&name));
    let shape = call.input_shape.and_then(Shape::as_structure);
    let Some(given) = call.input.as_object() else { return Value::Null };
    let members = given.iter().filter(|(name, _)| kept(name)).map(|(name, value)| {
        let shape = shape.and_then(|shape| shape.members.iter().find(|member| member.name == *name)).map(|m| m.shape);
        (lower_camel(name), told(shape, name, value))
    });
    let members: Map<String, Value> = members.collect();
    if members.is_empty() { Value::Null } else { members.into() }
}

/// What a change has answered; what is read is nobody's to record.
fn answered(call: &Call<'_>, data: Option<&Data>) -> Value {
    match (call.output, data) {
        (Some(Value::Object(output)), None) if !call.read_only => {
            let shape = call.output_shape.and_then(Shape::as_structure);
            let members = output.iter().map(|(name, value)| {
                let shape = shape.and_then(|s| s.members.iter().find(|m| m.name == *name)).map(|m| m.shape);
                (lower_camel(name), told(shape, name, value))
            });
            let members: Map<String, Value> = members.collect();
            if members.is_empty() { Value::Null } else { members.into() }
        }
        _ => Value::Null,
    }
}

fn told(shape: Option<&'static Shape>, name: &str, value: &Value) -> Value {
    if matches!(shape, Some(Shape::String { sensitive: true, .. })) || hidden::is_member(name) {
        return HIDDEN.into();
    }
    match (shape, value) {
        (Some(Shape::Blob { .. }), _) => HIDDEN.into(),
        (_, Value::Object(members)) => {
            let structure = shape.and_then(Shape::as_structure);
            let of = |name: &str| match (shape, structure) {
                (_, Some(structure)) => structure.members.iter().find(|member| member.name == name).map(|m| m.shape),
                (Some(Shape::Map(map)), None) => Some(map.value),
                _ => None,
            };
            // The keys of maps are the caller's own.
            let shown = |(key, value): (&String, &Value)| match structure {
                Some(_) => (lower_camel(key), told(of(key), key, value)),
                None if hidden::is_key(name, key) => (key.clone(), HIDDEN.into()),
                // One of which the shape is not known may be a structure.
                None => (key.clone(), told(of(key), if shape.is_some() { "" } else { key }, value)),
            };
            Value::Object(members.iter().map(shown).collect())
        }
        (_, Value::Array(items)) => {
            let of = if let Some(Shape::List(list)) = shape { Some(list.member) } else { None };
            items.iter().map(|item| told(of, "", item)).collect()
        }
        (_, Value::String(text)) => shortened(hidden::in_url(text).unwrap_or_else(|| text.clone())).into(),
        (_, other) => other.clone(),
    }
}

fn shortened(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}…")
}

/// `TableName` as `tableName`, `ARN` as `aRN`: CloudTrail writes names so.
fn lower_camel(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_ascii_lowercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}
