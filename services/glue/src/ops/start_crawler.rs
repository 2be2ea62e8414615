//! StartCrawler: the crawler is RUNNING before this answers, and the crawl is on the queue.

use super::prelude::*;

use service::lineage::Worker;

use crate::crawlers;

#[async_trait]
impl Handle<StartCrawler> for Glue {
    async fn handle(&self, cx: &Cx, req: StartCrawlerRequest) -> Result<StartCrawlerResponse, Error> {
        let (scope, now, run) = (Scope::of(cx), cx.now(), cx.uuid());
        let task = cx
            .write(&self.store, move |tx| {
                crawlers::start(tx, &scope, &req.name, &run, now)?;
                Ok::<_, Error>(crawlers::task_id(&scope, &req.name, &run))
            })
            .await?;
        cx.began(Worker::Job(task));
        Ok(StartCrawlerResponse::default())
    }
}
