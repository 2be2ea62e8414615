//! PublishStateMachineVersion: a revision has one version, however often it is published.

use api_states::{
    PublishStateMachineVersion, PublishStateMachineVersionInput, PublishStateMachineVersionOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::machine::{MachineArn, StateMachine};

/// What names the revision before the first update. Source: API reference, PublishStateMachineVersion.
const INITIAL: &str = "INITIAL";

#[async_trait]
impl Handle<PublishStateMachineVersion> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: PublishStateMachineVersionInput,
    ) -> Result<PublishStateMachineVersionOutput, Error> {
        let arn = MachineArn::parse_unqualified(&input.state_machine_arn)?;
        let now_ms = cx.now().as_millisecond();
        cx.write(&self.store, move |tx| {
            let machine = arn.machine(tx)?;
            check_revision(&machine, input.revision_id.as_deref())?;
            let version = machine.publish(tx, &arn, input.description.as_ref(), now_ms)?;
            Ok(PublishStateMachineVersionOutput {
                creation_date: wire::Timestamp::from_millis(version.created_ms),
                state_machine_version_arn: arn.version_arn(version.number),
            })
        })
        .await
    }
}

fn check_revision(machine: &StateMachine, asked: Option<&str>) -> Result<(), Error> {
    let current = machine.revision_id.as_deref().unwrap_or(INITIAL);
    match asked {
        Some(asked) if asked != current => Err(error::conflict_exception(format!(
            "Failed to publish the State Machine version for revision {asked}. The current State Machine revision is {current}."
        ))),
        _ => Ok(()),
    }
}
