//! StopCrawler: ends the crawl that is under way; nothing it found is written.

use super::prelude::*;

use crate::crawlers;

#[async_trait]
impl Handle<StopCrawler> for Glue {
    async fn handle(&self, cx: &Cx, req: StopCrawlerRequest) -> Result<StopCrawlerResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| crawlers::stop(tx, &scope, &req.name)).await?;
        Ok(StopCrawlerResponse::default())
    }
}
