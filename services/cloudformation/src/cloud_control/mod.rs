//! The Cloud Control API: resources one by one, by the same providers as those of stacks. What makes, changes or deletes one is a request with
//! a durable task of its own; what reads answers at once, of the resource as it is.
//!
//! Map: [`types`] what can be managed · [`request`] what is stored · [`ops`] the API · [`run`] the task.
//! Sources: Cloud Control API User Guide and API Reference.

mod ops;
mod request;
mod run;
pub(crate) mod types;

use std::sync::{Arc, Mutex};

use serde_json::Value;
use service::{Cx, Platform, operations};

use crate::ongoing::Job;
use crate::resources::{Context, existing, whole};
use crate::{CloudFormation, Result};
pub(crate) use request::token_is_old;
use types::Type;

/// Requests that are carried out side by side.
const AT_ONCE: usize = 64;

/// Registers the operations and the task's runner.
pub(crate) fn register(platform: &Platform, service: &Arc<CloudFormation>) {
    use api_cloudcontrol as api;
    operations!(platform.router, service, api:
        CancelResourceRequest, CreateResource, DeleteResource, GetResource, GetResourceRequestStatus, ListResourceRequests,
        ListResources, UpdateResource);
    let requests = Arc::new(Job(run::Requests(service.clone())));
    jobs::register(&platform.control, &platform.router, requests, AT_ONCE);
}

impl CloudFormation {
    /// The caller, or the role that the request gives.
    async fn controller(&self, cx: &Cx, role_arn: Option<&str>) -> Result<Cx> {
        let cx = cx.with_called_via("cloudformation.amazonaws.com");
        match role_arn {
            None => Ok(cx),
            Some(role) => cx.assume(role, "AWSCloudFormation").await.map_err(|error| {
                let text = format!("The role {role} cannot be assumed: {}", error.message());
                api_cloudcontrol::error::invalid_credentials_exception(text)
            }),
        }
    }

    /// The place of a resource that belongs to no stack; what is made of it is named by the token.
    fn controlled(&self, cx: Cx, type_name: &str, token: &str) -> Context {
        Context {
            cx,
            stack_name: String::new(),
            stack_id: token.to_owned(),
            logical_id: type_name.rsplit("::").next().unwrap_or_default().to_owned(),
            kind: type_name.to_owned(),
            answers: self.answers.clone(),
            store: self.store.clone(),
            generation: 0,
            tags: Vec::new(),
            tags_before: Vec::new(),
            capabilities: Vec::new(),
            half_made: Mutex::default(),
            touched: std::sync::atomic::AtomicBool::default(),
            going_back: false,
            is_signalled: false,
            until_ms: None,
        }
    }
}

/// A resource as it is: its properties, without those that are never told.
async fn read(at: &Context, of: &Type, identifier: &str) -> Result<Option<existing::Found>> {
    let Some(mut found) = whole::find(at, of.name, identifier).await? else { return Ok(None) };
    if let Some(properties) = found.properties.as_object_mut() {
        properties.retain(|name, _| !of.write_only.contains(name));
    }
    Ok(Some(found))
}

/// The identifier within what was told.
fn identifier(of: &Type, found: &existing::Found) -> String {
    let told = |name: &str| found.properties.get(name).map(crate::parameters::text);
    of.identifier(told).unwrap_or_else(|| found.made.physical_id.clone())
}

/// What can be given of what was told.
fn given(of: &Type, told: &Value) -> Value {
    let properties = told.as_object().into_iter().flatten();
    properties
        .filter(|(name, _)| !of.read_only.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
