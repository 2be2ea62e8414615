//! CreateStateMachine: the same request twice makes one machine.

use api_states::{CreateStateMachine, CreateStateMachineInput, CreateStateMachineOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::machine::{MachineArn, StateMachine, checked, deleting};
use crate::names::{check_name, new_tags};
use crate::{States, encryption, logging};

#[async_trait]
impl Handle<CreateStateMachine> for States {
    async fn handle(&self, cx: &Cx, input: CreateStateMachineInput) -> Result<CreateStateMachineOutput, Error> {
        check_name(&input.name)?;
        let publish = input.publish == Some(true);
        if input.version_description.is_some() && !publish {
            return Err(error::validation_exception("Version description can only be set when publish is true"));
        }
        check_role(&input.role_arn)?;
        let kind = input.r#type.unwrap_or_else(|| "STANDARD".to_owned());
        checked(cx.router(), &input.definition, &kind)?;
        encryption::check(input.encryption_configuration.as_ref())?;
        logging::check(cx, input.logging_configuration.as_ref()).await?;
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
            tags: new_tags(cx, input.tags.as_ref(), arn.as_str())?,
            published: publish,
            published_as: input.version_description,
            deleting: false,
        };
        cx.write(&self.store, move |tx| {
            let stored = match tx.get_json::<StateMachine>(arn.key())? {
                Some(known) if known.deleting => return Err(deleting(arn.as_str())),
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
            let description = machine.published_as.as_ref();
            let version = if publish { Some(stored.publish(tx, &arn, description, now_ms)?) } else { None };
            Ok(CreateStateMachineOutput {
                state_machine_arn: arn.as_str().to_owned(),
                creation_date: wire::Timestamp::from_millis(stored.created_ms),
                state_machine_version_arn: version.map(|version| arn.version_arn(version.number)),
            })
        })
        .await
    }
}

/// A role's ARN, as far as its form tells.
pub(super) fn check_role(arn: &str) -> Result<(), Error> {
    let well_formed = wire::arn::Arn::parse(arn).is_some_and(|arn| {
        arn.service == "iam" && arn.resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
    });
    if well_formed { Ok(()) } else { Err(error::invalid_arn(format!("Invalid Role Arn: '{arn}'"))) }
}

/// Whether a request asks for what there is; role and tags are not compared. Source: API reference, CreateStateMachine.
fn same(known: &StateMachine, asked: &StateMachine) -> bool {
    known.definition == asked.definition
        && known.kind == asked.kind
        && known.logging() == asked.logging()
        && known.tracing() == asked.tracing()
        && encryption::same(known.encryption.as_ref(), asked.encryption.as_ref())
        && known.published == asked.published
        && known.published_as == asked.published_as
}
