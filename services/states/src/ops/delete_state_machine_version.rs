//! DeleteStateMachineVersion: not while an alias leads to it. One that is not there is no error.

use api_states::{DeleteStateMachineVersion, DeleteStateMachineVersionInput, DeleteStateMachineVersionOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::alias::Alias;
use crate::machine::MachineArn;

#[async_trait]
impl Handle<DeleteStateMachineVersion> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: DeleteStateMachineVersionInput,
    ) -> Result<DeleteStateMachineVersionOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_version_arn)?;
        let Some(number) = arn.version() else {
            return Err(error::validation_exception(format!("Not the ARN of a version: '{}'", arn.as_str())));
        };
        cx.write(&self.store, move |tx| {
            let aliases = Alias::all(tx, &arn)?;
            let leading: Vec<&str> =
                aliases.iter().filter(|alias| alias.leads_to(number)).map(|alias| alias.name.as_str()).collect();
            if !leading.is_empty() {
                return Err(error::conflict_exception(format!(
                    "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [{}]",
                    leading.join(", ")
                )));
            }
            tx.delete(arn.version_key(number))?;
            Ok(())
        })
        .await?;
        Ok(DeleteStateMachineVersionOutput {})
    }
}
