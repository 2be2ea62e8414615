//! UpdateStateMachine: running executions keep the definition they began with.

use api_states::{UpdateStateMachine, UpdateStateMachineInput, UpdateStateMachineOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::create_state_machine::check_role;
use crate::machine::{MachineArn, StateMachine, checked};
use crate::{States, encryption, logging};

#[async_trait]
impl Handle<UpdateStateMachine> for States {
    async fn handle(&self, cx: &Cx, input: UpdateStateMachineInput) -> Result<UpdateStateMachineOutput, Error> {
        let changes = input.definition.is_some()
            || input.role_arn.is_some()
            || input.logging_configuration.is_some()
            || input.tracing_configuration.is_some()
            || input.encryption_configuration.is_some();
        if !changes {
            return Err(error::missing_required_parameter(
                "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified",
            ));
        }
        let publish = input.publish == Some(true);
        if input.version_description.is_some() && !publish {
            return Err(error::validation_exception("Version description can only be set when publish is true"));
        }
        let arn = MachineArn::parse_unqualified(&input.state_machine_arn)?;
        let known = self.store.read(|tx| arn.machine(tx)).await?;
        if let Some(role_arn) = &input.role_arn {
            check_role(role_arn)?;
        }
        encryption::check(input.encryption_configuration.as_ref())?;
        logging::check(cx, input.logging_configuration.as_ref()).await?;
        if let Some(definition) = &input.definition {
            checked(cx.router(), definition, &known.kind)?;
        }
        let (now_ms, revision) = (cx.now().as_millisecond(), cx.uuid());
        cx.write(&self.store, move |tx| {
            let old = arn.machine(tx)?;
            let mut machine = updated(old.clone(), &input);
            if differs(&old, &machine) {
                machine.revision_id = Some(revision.clone());
                machine.updated_ms = now_ms;
                tx.put_json(arn.key(), &machine)?;
            }
            let version = if publish {
                Some(machine.publish(tx, &arn, input.version_description.as_ref(), now_ms)?)
            } else {
                None
            };
            Ok(UpdateStateMachineOutput {
                update_date: wire::Timestamp::from_millis(now_ms),
                revision_id: machine.revision_id.clone(),
                state_machine_version_arn: version.map(|version| arn.version_arn(version.number)),
            })
        })
        .await
    }
}

fn updated(mut machine: StateMachine, input: &UpdateStateMachineInput) -> StateMachine {
    if let Some(definition) = input.definition.as_ref().filter(|definition| !same_json(definition, &machine.definition))
    {
        machine.definition.clone_from(definition);
    }
    if let Some(role_arn) = &input.role_arn {
        machine.role_arn.clone_from(role_arn);
    }
    if input.logging_configuration.is_some() {
        machine.logging.clone_from(&input.logging_configuration);
    }
    if input.tracing_configuration.is_some() {
        machine.tracing.clone_from(&input.tracing_configuration);
    }
    if input.encryption_configuration.is_some() {
        machine.encryption.clone_from(&input.encryption_configuration);
    }
    machine
}

fn differs(old: &StateMachine, new: &StateMachine) -> bool {
    old.definition != new.definition
        || old.role_arn != new.role_arn
        || old.logging() != new.logging()
        || old.tracing() != new.tracing()
        || !encryption::same(old.encryption.as_ref(), new.encryption.as_ref())
}

/// Whether two definitions differ in their spaces only: that is no change.
fn same_json(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || read(one).is_some_and(|one| read(other) == Some(one))
}
