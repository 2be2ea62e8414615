//! DeleteActivity. One that is not there is no error; its waiting tasks wait until they time out.

use api_states::{DeleteActivity, DeleteActivityInput, DeleteActivityOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::activity::ActivityArn;

#[async_trait]
impl Handle<DeleteActivity> for States {
    async fn handle(&self, cx: &Cx, input: DeleteActivityInput) -> Result<DeleteActivityOutput, Error> {
        let arn = ActivityArn::parse(&input.activity_arn)?;
        let key = arn.key();
        cx.write(&self.store, move |tx| tx.delete(&key).map_err(Error::from)).await?;
        self.activities.forget(&arn).await?;
        Ok(DeleteActivityOutput {})
    }
}
