//! CreateCrawler.

use super::prelude::*;

use crate::crawlers::{self, Record};

#[async_trait]
impl Handle<CreateCrawler> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateCrawlerRequest) -> Result<CreateCrawlerResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        let tags = req.tags.clone().unwrap_or_default();
        let record = Record::create(req, now)?;
        let name = record.name().to_owned();
        cx.write(&self.store, move |tx| {
            if tx.get(crawlers::key(&scope, &name))?.is_some() {
                return Err(already_exists_exception(format!("Crawler with name {name} already exists")));
            }
            crawlers::check_classifiers(tx, &scope, &record)?;
            crawlers::schedule::plan(tx, &scope, &record, now)?;
            tags::add(tx, &scope, &crawlers::arn(&scope, &name), &tags)?;
            tx.put_json(crawlers::key(&scope, &name), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateCrawlerResponse::default())
    }
}
