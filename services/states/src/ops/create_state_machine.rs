//! CreateStateMachine: the same request twice makes one machine.

use api_states::{CreateStateMachine, CreateStateMachineInput, CreateStateMachineOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::machine::{MachineArn, StateMachine, check_name, checked};

#[async_trait]
impl Handle<CreateStateMachine> for States {
    async fn handle(&self, cx: &Cx, input: CreateStateMachineInput) -> Result<CreateStateMachineOutput, Error> {
        check_name(&input.name)?;
        let publish = input.publish == Some(true);
        if input.version_description.is_some() && !publish {
            return Err(error::validation_exception("Version description can only be set when publish is true"));
        }
        let kind = input.r#type.unwrap_or_else(|| "STANDARD".to_owned());
        checked(&input.definition, &kind)?;
        let arn = MachineArn::new(cx.account(), cx.region(), &input.name);
        let now_ms = cx.now().as_millisecond();
        let machine = StateMachine {
            version: 1,
            arn: arn.as_str().to_owned(),
            name: input.name,
            definition: input.definition,
            role_arn: input.role_arn,
            kind,
            created_ms: now_ms,
            updated_ms: now_ms,
            revision_id: None,
            logging: input.logging_configuration,
            tracing: input.tracing_configuration,
            encryption: input.encryption_configuration,
            tags: input.tags.unwrap_or_default(),
        };
        let description = input.version_description;
        cx.write(&self.store, move |tx| {
            let stored = match tx.get_json::<StateMachine>(arn.key())? {
                Some(known) if same(&known, &machine) => known,
                Some(_) => {
                    let message = format!("State Machine Already Exists: '{}'", arn.as_str());
                    return Err(error::state_machine_already_exists(message));
                }
                None => {
                    tx.put_json(arn.key(), &machine)?;
                    machine.clone()
                }
            };
            let version = if publish { Some(stored.publish(tx, &arn, description.as_ref(), now_ms)?) } else { None };
            Ok(CreateStateMachineOutput {
                state_machine_arn: arn.as_str().to_owned(),
                creation_date: wire::Timestamp::from_millis(stored.created_ms),
                state_machine_version_arn: version.map(|version| arn.version_arn(version.number)),
            })
        })
        .await
    }
}

/// Whether a request asks for what there is; the role is not compared, as on AWS.
fn same(known: &StateMachine, asked: &StateMachine) -> bool {
    known.definition == asked.definition
        && known.kind == asked.kind
        && known.logging() == asked.logging()
        && known.tracing() == asked.tracing()
        && known.encryption == asked.encryption
}
