//! DeleteStateMachine: with its versions. What runs, runs on; a machine that is not there is no error.

use api_states::{DeleteStateMachine, DeleteStateMachineInput, DeleteStateMachineOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::machine::MachineArn;

#[async_trait]
impl Handle<DeleteStateMachine> for States {
    async fn handle(&self, cx: &Cx, input: DeleteStateMachineInput) -> Result<DeleteStateMachineOutput, Error> {
        let arn = MachineArn::parse(&input.state_machine_arn)?;
        cx.write(&self.store, move |tx| {
            for (key, _) in tx.scan_prefix(arn.versions(), usize::MAX >> 1)? {
                tx.delete(key)?;
            }
            tx.delete(arn.counter())?;
            tx.delete(arn.key())?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteStateMachineOutput {})
    }
}
