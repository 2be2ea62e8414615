//! DescribeStateMachineAlias.

use api_states::{DescribeStateMachineAlias, DescribeStateMachineAliasInput, DescribeStateMachineAliasOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::alias::{self, Alias};

#[async_trait]
impl Handle<DescribeStateMachineAlias> for States {
    async fn handle(
        &self,
        _: &Cx,
        input: DescribeStateMachineAliasInput,
    ) -> Result<DescribeStateMachineAliasOutput, Error> {
        let (arn, name) = alias::parse(&input.state_machine_alias_arn)?;
        let alias = self.store.read(|tx| Alias::load(tx, &arn, &name).map_err(Error::from)).await?;
        let alias = alias.ok_or_else(alias::gone)?;
        Ok(DescribeStateMachineAliasOutput {
            state_machine_alias_arn: Some(arn.as_str().to_owned()),
            routing_configuration: Some(alias.shown_routes(&arn)),
            name: Some(alias.name),
            description: alias.description,
            creation_date: Some(wire::Timestamp::from_millis(alias.created_ms)),
            update_date: Some(wire::Timestamp::from_millis(alias.updated_ms)),
        })
    }
}
