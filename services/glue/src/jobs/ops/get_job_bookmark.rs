//! GetJobBookmark: what a job's runs have read, now or after one of them.

use api_glue::{GetJobBookmark, GetJobBookmarkRequest, GetJobBookmarkResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::records::RunKey;
use crate::jobs::{Jobs, bookmarks};

#[async_trait]
impl Handle<GetJobBookmark> for Jobs {
    async fn handle(&self, cx: &Cx, req: GetJobBookmarkRequest) -> Result<GetJobBookmarkResponse, Error> {
        let place = RunKey::of(cx, &req.job_name, req.run_id.as_deref().unwrap_or_default());
        let found = self.store.read(|tx| bookmarks::find(tx, &place, !place.run.is_empty())).await?;
        let bookmark = found.ok_or_else(|| bookmarks::not_found(&place))?;
        Ok(GetJobBookmarkResponse { job_bookmark_entry: Some(bookmark.entry(&place.job)) })
    }
}
