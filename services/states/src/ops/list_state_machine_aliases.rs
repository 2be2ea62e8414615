//! ListStateMachineAliases: of a machine, or those that lead to a version, in the order of their making.

use api_states::{
    ListStateMachineAliases, ListStateMachineAliasesInput, ListStateMachineAliasesOutput, StateMachineAliasListItem,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::alias::Alias;
use crate::machine::{MachineArn, Qualifier};
use crate::names::wrong_kind;
use crate::{States, page};

#[async_trait]
impl Handle<ListStateMachineAliases> for States {
    async fn handle(
        &self,
        _: &Cx,
        input: ListStateMachineAliasesInput,
    ) -> Result<ListStateMachineAliasesOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_arn)?;
        if matches!(arn.qualifier, Qualifier::Alias(_)) {
            return Err(wrong_kind("stateMachine"));
        }
        let size = page::size(input.max_results);
        let after = page::place_in(arn.aliases(), input.next_token.as_ref())?;
        let all = self
            .store
            .read(|tx| {
                arn.find(tx, 0)?;
                Alias::all(tx, &arn).map_err(Error::from)
            })
            .await?;
        let place = |alias: &Alias| arn.aliases().push(&alias.name).into_bytes();
        let begin = match &after {
            None => 0,
            Some(after) => 1 + all.iter().position(|alias| place(alias) == *after).ok_or_else(page::invalid)?,
        };
        let wanted = |alias: &&Alias| arn.version().is_none_or(|number| alias.leads_to(number));
        let found: Vec<&Alias> = all.iter().skip(begin).filter(wanted).take(size + 1).collect();
        let next = found.get(size).and_then(|_| found.get(size - 1)).map(|last| page::token(&place(last)));
        let items = found.into_iter().take(size).map(|alias| StateMachineAliasListItem {
            state_machine_alias_arn: arn.alias_arn(&alias.name),
            creation_date: wire::Timestamp::from_millis(alias.created_ms),
        });
        Ok(ListStateMachineAliasesOutput { state_machine_aliases: items.collect(), next_token: next })
    }
}
