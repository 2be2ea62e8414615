//! UpdateCrawler: changes what the request names; the rest stays.

use super::prelude::*;

use crate::crawlers;

#[async_trait]
impl Handle<UpdateCrawler> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateCrawlerRequest) -> Result<UpdateCrawlerResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            let mut record = crawlers::find(tx, &scope, &req.name)?;
            record.check_ready()?;
            record.update(req.clone(), now)?;
            crawlers::check_classifiers(tx, &scope, &record)?;
            crawlers::schedule::plan(tx, &scope, &record, now)?;
            tx.put_json(crawlers::key(&scope, &req.name), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateCrawlerResponse::default())
    }
}
