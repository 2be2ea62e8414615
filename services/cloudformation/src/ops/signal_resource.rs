//! SignalResource: a signal to a resource that waits for it.

use api_cloudformation as api;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::records::VERSION;
use crate::signals::{Place, SignalRecord};
use crate::stacks::{self, StackScope};
use crate::template::{Template, validation};
use crate::{CloudFormation, Result};

#[async_trait]
impl Handle<api::SignalResource> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::SignalResourceInput) -> Result<Empty> {
        let scope = StackScope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut stack = stacks::require(tx, &scope, &input.stack_name)?;
            let name = &input.logical_resource_id;
            let Some(operation) = &stack.operation else {
                let text = format!("Stack {} is in {} state and can not be signaled", stack.id, stack.status);
                return Err(validation(text));
            };
            let template = Template::parse(&operation.template).unwrap_or_default();
            let unknown = || validation(format!("Resource {name} does not exist for stack {}", stack.name));
            let (resource, record) = template.resources.get(name).zip(stack.resources.get(name)).ok_or_else(unknown)?;
            if resource.creation_policy.is_none() || !record.status.ends_with("_IN_PROGRESS") {
                let text = format!("Resource {name} is in {} state and can not be signaled", record.status);
                return Err(validation(text));
            }
            let record = record.clone();
            let place =
                Place { place: (&scope.account, &scope.region), of: (&stack.id, stack.operations, name.as_str()) };
            let key = place.came().push(&input.unique_id);
            // The same one again is the same one.
            if tx.has(&key)? {
                return Ok(Empty {});
            }
            let success = input.status == "SUCCESS";
            tx.put_json(&key, &SignalRecord { v: VERSION, id: input.unique_id.clone(), success })?;
            let reason = format!("Received {} signal with UniqueId {}", input.status, input.unique_id);
            let told = crate::records::ResourceRecord { reason: Some(reason), ..record };
            stacks::set_resource(tx, &mut stack, scope.now_ms, name, told)?;
            stacks::save(tx, &stack)?;
            Ok::<_, Error>(Empty {})
        })
        .await
    }
}
