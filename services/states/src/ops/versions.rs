//! Versions: PublishStateMachineVersion, ListStateMachineVersions (newest first), DeleteStateMachineVersion.

use api_states::{
    DeleteStateMachineVersion, DeleteStateMachineVersionInput, DeleteStateMachineVersionOutput,
    ListStateMachineVersions, ListStateMachineVersionsInput, ListStateMachineVersionsOutput,
    PublishStateMachineVersion, PublishStateMachineVersionInput, PublishStateMachineVersionOutput,
    StateMachineVersionListItem, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::key::prefix_end;
use wire::Error;

use crate::machine::{MachineArn, StateMachine, Version, does_not_exist};
use crate::{States, page};

#[async_trait]
impl Handle<PublishStateMachineVersion> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: PublishStateMachineVersionInput,
    ) -> Result<PublishStateMachineVersionOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_arn)?;
        let now_ms = cx.now().as_millisecond();
        cx.write(&self.store, move |tx| {
            let Some(machine) = tx.get_json::<StateMachine>(arn.key())? else {
                return Err(does_not_exist(arn.as_str()));
            };
            if input.revision_id.is_some() && input.revision_id != machine.revision_id {
                return Err(error::conflict_exception("The revision of the state machine is not the one given"));
            }
            let version = machine.publish(tx, &arn, input.description.as_ref(), now_ms)?;
            Ok(PublishStateMachineVersionOutput {
                creation_date: wire::Timestamp::from_millis(version.created_ms),
                state_machine_version_arn: arn.version_arn(version.number),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<ListStateMachineVersions> for States {
    async fn handle(
        &self,
        _: &Cx,
        input: ListStateMachineVersionsInput,
    ) -> Result<ListStateMachineVersionsOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_arn)?;
        let size = page::size(input.max_results);
        let from = arn.versions();
        let to = match page::place(input.next_token.as_ref())? {
            Some(place) => Some(place),
            None => prefix_end(from.as_bytes()),
        };
        self.store
            .read(|tx| {
                let found = tx.scan(from.as_bytes(), to.as_deref(), size + 1, true)?;
                let more = found.len() > size;
                let mut output = ListStateMachineVersionsOutput::default();
                for (key, value) in found.into_iter().take(size) {
                    let version: Version = store::kv::decode(&key, &value)?;
                    output.state_machine_versions.push(StateMachineVersionListItem {
                        state_machine_version_arn: arn.version_arn(version.number),
                        creation_date: wire::Timestamp::from_millis(version.created_ms),
                    });
                    output.next_token = more.then(|| page::token(&key));
                }
                Ok(output)
            })
            .await
    }
}

#[async_trait]
impl Handle<DeleteStateMachineVersion> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: DeleteStateMachineVersionInput,
    ) -> Result<DeleteStateMachineVersionOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_version_arn)?;
        let Some(number) = arn.version else {
            return Err(error::invalid_arn(format!("Invalid Arn: '{}'", arn.as_str())));
        };
        cx.write(&self.store, move |tx| tx.delete(arn.version_key(number)).map_err(Error::from)).await?;
        Ok(DeleteStateMachineVersionOutput {})
    }
}
