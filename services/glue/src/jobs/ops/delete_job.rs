//! DeleteJob: removes the definition. Deleting what is not there is no error, as on AWS; its bookmark goes with it, runs stay to be looked at.

use api_glue::{DeleteJob, DeleteJobRequest, DeleteJobResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::records::{RunKey, job_key};
use crate::jobs::{Jobs, bookmarks};
use crate::scope::Scope;
use crate::tags;

#[async_trait]
impl Handle<DeleteJob> for Jobs {
    async fn handle(&self, cx: &Cx, req: DeleteJobRequest) -> Result<DeleteJobResponse, Error> {
        let key = job_key(cx, &req.job_name);
        let place = RunKey::of(cx, &req.job_name, "");
        let (scope, arn) = (Scope::of(cx), cx.arn("glue", format!("job/{}", req.job_name)));
        cx.write(&self.store, move |tx| {
            tx.delete(&key)?;
            bookmarks::forget(tx, &place)?;
            tags::clear(tx, &scope, &arn)?;
            Ok(DeleteJobResponse { job_name: Some(req.job_name.clone()) })
        })
        .await
    }
}
