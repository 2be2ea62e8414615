//! UpdateStateMachineAlias: what is not given stays.

use api_states::{UpdateStateMachineAlias, UpdateStateMachineAliasInput, UpdateStateMachineAliasOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::alias::{self, Alias, Routing};

#[async_trait]
impl Handle<UpdateStateMachineAlias> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: UpdateStateMachineAliasInput,
    ) -> Result<UpdateStateMachineAliasOutput, Error> {
        let (arn, name) = alias::parse(&input.state_machine_alias_arn)?;
        if input.description.is_none() && input.routing_configuration.is_none() {
            return Err(error::validation_exception(
                "Either the description or the RoutingConfiguration must be specified",
            ));
        }
        let routing = input.routing_configuration.as_deref().map(Routing::parse).transpose()?;
        if routing.as_ref().is_some_and(|routing| routing.machine.as_str() != arn.unqualified().as_str()) {
            return Err(error::validation_exception(
                "Routing configuration must contain versions of the state machine that the alias belongs to.",
            ));
        }
        let now_ms = cx.now().as_millisecond();
        cx.write(&self.store, move |tx| {
            let mut alias = Alias::load(tx, &arn, &name)?.ok_or_else(alias::gone)?;
            if let Some(routing) = &routing {
                routing.check(tx)?;
                alias.routes.clone_from(&routing.routes);
            }
            if input.description.is_some() {
                alias.description.clone_from(&input.description);
            }
            alias.updated_ms = now_ms;
            tx.put_json(arn.aliases().push(&name), &alias)?;
            Ok(UpdateStateMachineAliasOutput { update_date: wire::Timestamp::from_millis(now_ms) })
        })
        .await
    }
}
