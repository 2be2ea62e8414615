//! StartCrawler: the crawler is RUNNING before this answers, and the crawl is on the queue.

use super::prelude::*;

use crate::crawlers;

#[async_trait]
impl Handle<StartCrawler> for Glue {
    async fn handle(&self, cx: &Cx, req: StartCrawlerRequest) -> Result<StartCrawlerResponse, Error> {
        let (scope, now, run) = (Scope::of(cx), cx.now(), cx.uuid());
        cx.write(&self.store, move |tx| crawlers::start(tx, &scope, &req.name, &run, now)).await?;
        Ok(StartCrawlerResponse::default())
    }
}
