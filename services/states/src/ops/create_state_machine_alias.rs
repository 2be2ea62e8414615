//! CreateStateMachineAlias: the same request twice makes one alias.

use api_states::{CreateStateMachineAlias, CreateStateMachineAliasInput, CreateStateMachineAliasOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::alias::{Alias, MAX_ALIASES, Routing};
use crate::names::check_alias_name;

#[async_trait]
impl Handle<CreateStateMachineAlias> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: CreateStateMachineAliasInput,
    ) -> Result<CreateStateMachineAliasOutput, Error> {
        check_alias_name(&input.name)?;
        let routing = Routing::parse(&input.routing_configuration)?;
        let now_ms = cx.now().as_millisecond();
        cx.write(&self.store, move |tx| {
            let arn = &routing.machine;
            arn.machine(tx)?;
            routing.check(tx)?;
            let created_ms = match Alias::load(tx, arn, &input.name)? {
                Some(known) if known.routes == routing.routes && known.description == input.description => {
                    known.created_ms
                }
                Some(_) => {
                    return Err(error::conflict_exception(
                        "Failed to create alias because an alias with the same name and a different routing configuration already exists.",
                    ));
                }
                None => {
                    if Alias::all(tx, arn)?.len() == MAX_ALIASES {
                        return Err(error::service_quota_exceeded_exception(format!(
                            "State machine '{}' has reached the limit of {MAX_ALIASES} aliases",
                            arn.as_str()
                        )));
                    }
                    let alias = Alias {
                        version: 1,
                        name: input.name.clone(),
                        description: input.description.clone(),
                        routes: routing.routes.clone(),
                        created_ms: now_ms,
                        updated_ms: now_ms,
                    };
                    tx.put_json(arn.aliases().push(&input.name), &alias)?;
                    now_ms
                }
            };
            Ok(CreateStateMachineAliasOutput {
                state_machine_alias_arn: arn.alias_arn(&input.name),
                creation_date: wire::Timestamp::from_millis(created_ms),
            })
        })
        .await
    }
}
