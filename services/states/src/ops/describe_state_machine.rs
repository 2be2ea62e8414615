//! DescribeStateMachine, of a machine or one of its versions.

use api_states::{DescribeStateMachine, DescribeStateMachineInput, DescribeStateMachineOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::machine::{MachineArn, Version, does_not_exist};

#[async_trait]
impl Handle<DescribeStateMachine> for States {
    async fn handle(&self, _: &Cx, input: DescribeStateMachineInput) -> Result<DescribeStateMachineOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_arn)?;
        let (machine, version) = self
            .store
            .read(|tx| match arn.version {
                None => Ok::<_, Error>((arn.find(tx)?, None)),
                Some(number) => {
                    let found: Option<Version> = tx.get_json(arn.version_key(number))?;
                    let version = found.ok_or_else(|| does_not_exist(arn.as_str()))?;
                    Ok((version.machine.clone(), Some(version)))
                }
            })
            .await?;
        let created_ms = version.as_ref().map_or(machine.created_ms, |version| version.created_ms);
        Ok(DescribeStateMachineOutput {
            state_machine_arn: arn.as_str().to_owned(),
            status: Some("ACTIVE".to_owned()),
            creation_date: wire::Timestamp::from_millis(created_ms),
            logging_configuration: Some(machine.logging()),
            tracing_configuration: Some(machine.tracing()),
            description: version.and_then(|version| version.description),
            revision_id: machine.revision_id,
            encryption_configuration: machine.encryption,
            name: machine.name,
            definition: machine.definition,
            role_arn: machine.role_arn,
            r#type: machine.kind,
            ..Default::default()
        })
    }
}
