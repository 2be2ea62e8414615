//! DeleteStateMachine: with its versions and aliases, when its executions have ended. A machine that is not there is no error.

use api_states::{DeleteStateMachine, DeleteStateMachineInput, DeleteStateMachineOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::machine::{MachineArn, StateMachine};
use crate::{States, deletion};

#[async_trait]
impl Handle<DeleteStateMachine> for States {
    async fn handle(&self, cx: &Cx, input: DeleteStateMachineInput) -> Result<DeleteStateMachineOutput, Error> {
        let arn = MachineArn::parse_unqualified(&input.state_machine_arn)?;
        let running = self.has_running(&arn, None).await?;
        cx.write(&self.store, move |tx| {
            match tx.get_json::<StateMachine>(arn.key())? {
                Some(mut machine) if running => {
                    machine.deleting = true;
                    tx.put_json(arn.key(), &machine)?;
                    deletion::ask(tx, &arn, &machine)?;
                }
                _ => deletion::remove(tx, &arn)?,
            }
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteStateMachineOutput {})
    }
}
