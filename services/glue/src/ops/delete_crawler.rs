//! DeleteCrawler: the tables it made stay.

use super::prelude::*;

use crate::crawlers;

#[async_trait]
impl Handle<DeleteCrawler> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteCrawlerRequest) -> Result<DeleteCrawlerResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let record = crawlers::find(tx, &scope, &req.name)?;
            record.check_ready()?;
            crawlers::schedule::forget(tx, &scope, &req.name)?;
            tags::clear(tx, &scope, &crawlers::arn(&scope, &req.name))?;
            scope::clear(tx, &crawlers::history(&scope, &req.name))?;
            scope::clear(tx, &crawlers::origins(&scope, &req.name))?;
            tx.delete(crawlers::key(&scope, &req.name))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteCrawlerResponse::default())
    }
}
