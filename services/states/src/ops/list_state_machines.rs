//! ListStateMachines, by name.

use api_states::{ListStateMachines, ListStateMachinesInput, ListStateMachinesOutput, StateMachineListItem};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::machine::{StateMachine, machines};
use crate::{States, page};

#[async_trait]
impl Handle<ListStateMachines> for States {
    async fn handle(&self, cx: &Cx, input: ListStateMachinesInput) -> Result<ListStateMachinesOutput, Error> {
        let size = page::size(input.max_results);
        let prefix = machines(cx.account(), cx.region());
        let after = page::place_in(&prefix, input.next_token.as_ref())?.unwrap_or_default();
        self.store
            .read(|tx| {
                let found = tx.scan_after(&prefix, &after, size + 1)?;
                let more = found.len() > size;
                let mut output = ListStateMachinesOutput::default();
                for (key, value) in found.into_iter().take(size) {
                    let machine: StateMachine = store::kv::decode(&key, &value)?;
                    output.state_machines.push(StateMachineListItem {
                        state_machine_arn: machine.arn,
                        name: machine.name,
                        r#type: machine.kind,
                        creation_date: wire::Timestamp::from_millis(machine.created_ms),
                    });
                    output.next_token = more.then(|| page::token(&key));
                }
                Ok(output)
            })
            .await
    }
}
