//! ResetJobBookmark: the next run reads everything again, or everything since the run that is named.

use api_glue::{ResetJobBookmark, ResetJobBookmarkRequest, ResetJobBookmarkResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::records::RunKey;
use crate::jobs::{Jobs, bookmarks};

#[async_trait]
impl Handle<ResetJobBookmark> for Jobs {
    async fn handle(&self, cx: &Cx, req: ResetJobBookmarkRequest) -> Result<ResetJobBookmarkResponse, Error> {
        let place = RunKey::of(cx, &req.job_name, req.run_id.as_deref().unwrap_or_default());
        cx.write(&self.store, move |tx| {
            let bookmark = bookmarks::reset(tx, &place)?;
            Ok(ResetJobBookmarkResponse { job_bookmark_entry: Some(bookmark.entry(&place.job)) })
        })
        .await
    }
}
