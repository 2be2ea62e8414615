//! ListStateMachineVersions, newest first.

use api_states::{
    ListStateMachineVersions, ListStateMachineVersionsInput, ListStateMachineVersionsOutput,
    StateMachineVersionListItem,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::key::prefix_end;
use wire::Error;

use crate::machine::{MachineArn, Version};
use crate::{States, page};

#[async_trait]
impl Handle<ListStateMachineVersions> for States {
    async fn handle(
        &self,
        _: &Cx,
        input: ListStateMachineVersionsInput,
    ) -> Result<ListStateMachineVersionsOutput, Error> {
        let arn = MachineArn::parse_unqualified(&input.state_machine_arn)?;
        let size = page::size(input.max_results);
        let from = arn.versions();
        let to = page::place_in(&from, input.next_token.as_ref())?.or_else(|| prefix_end(from.as_bytes()));
        self.store
            .read(|tx| {
                arn.find(tx, 0)?;
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
