//! DeleteStateMachineAlias: its versions stay. One that is not there is no error.

use api_states::{DeleteStateMachineAlias, DeleteStateMachineAliasInput, DeleteStateMachineAliasOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::{States, alias};

#[async_trait]
impl Handle<DeleteStateMachineAlias> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: DeleteStateMachineAliasInput,
    ) -> Result<DeleteStateMachineAliasOutput, Error> {
        let (arn, name) = alias::parse(&input.state_machine_alias_arn)?;
        cx.write(&self.store, move |tx| tx.delete(arn.aliases().push(&name)).map_err(Error::from)).await?;
        Ok(DeleteStateMachineAliasOutput {})
    }
}
