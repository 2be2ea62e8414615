//! DescribeStateMachine, of a machine, one of its versions, the version that an alias leads to, or a Distributed Map of it.

use api_states::{DescribeStateMachine, DescribeStateMachineInput, DescribeStateMachineOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::machine::{Found, MachineArn, does_not_exist};
use crate::{States, draw, metadata_only, owned_key, references};

#[async_trait]
impl Handle<DescribeStateMachine> for States {
    async fn handle(&self, cx: &Cx, input: DescribeStateMachineInput) -> Result<DescribeStateMachineOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_arn)?;
        let draw = draw(cx);
        let (found, label) = match arn.label() {
            Some((machine, label)) => (self.distributed_map(&arn, machine, label).await?, Some(label.to_owned())),
            None => (self.store.read(|tx| arn.find(tx, draw)).await?, None),
        };
        let (machine, version) = (found.machine, found.version);
        let created_ms = version.as_ref().map_or(machine.created_ms, |version| version.created_ms);
        let shown = version.as_ref().map_or_else(|| arn.as_str().to_owned(), |version| arn.version_arn(version.number));
        let metadata_only = metadata_only(input.included_data.as_ref());
        Ok(DescribeStateMachineOutput {
            state_machine_arn: shown,
            status: Some(machine.status().to_owned()),
            creation_date: wire::Timestamp::from_millis(created_ms),
            logging_configuration: Some(machine.logging()),
            tracing_configuration: Some(machine.tracing()),
            description: version.and_then(|version| version.description),
            revision_id: machine.revision_id,
            // AWS's recordings disagree: those from before encryption could be chosen lack it. Those that have it are of machines
            // with variables, which came after.
            encryption_configuration: machine
                .encryption
                .or_else(|| references::assigns(&machine.definition).then(owned_key)),
            variable_references: references::of_definition(&machine.definition).filter(|_| !metadata_only),
            name: machine.name,
            definition: if metadata_only { "{}".to_owned() } else { machine.definition },
            role_arn: machine.role_arn,
            r#type: machine.kind,
            label,
        })
    }
}

impl States {
    /// The machine that the children of a Distributed Map are said to be of.
    async fn distributed_map(&self, arn: &MachineArn, machine: &str, label: &str) -> Result<Found, Error> {
        let whole = MachineArn::new(&arn.account, &arn.region, machine);
        let mut found = self.store.read(|tx| whole.find(tx, 0)).await?;
        let definition = self.engine.parsed(&found.machine.definition)?;
        let processor = definition.processor(label).ok_or_else(|| does_not_exist(arn.as_str()))?;
        processor.clone_into(&mut found.machine.definition);
        arn.name.clone_into(&mut found.machine.name);
        Ok(found)
    }
}
