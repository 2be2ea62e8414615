//! GetCrawler, GetCrawlers, BatchGetCrawlers, ListCrawlers.

use super::prelude::*;

use crate::crawlers::{self, Record};

#[async_trait]
impl Handle<GetCrawler> for Glue {
    async fn handle(&self, cx: &Cx, req: GetCrawlerRequest) -> Result<GetCrawlerResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        let record = self.store.read(|tx| crawlers::find(tx, &scope, &req.name)).await?;
        Ok(GetCrawlerResponse { crawler: Some(record.show(now)) })
    }
}

#[async_trait]
impl Handle<GetCrawlers> for Glue {
    async fn handle(&self, cx: &Cx, req: GetCrawlersRequest) -> Result<GetCrawlersResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let (list, next_token) = self
            .store
            .read(|tx| scope::page(tx, &scope.key("crawler"), token, limit, |r: Record| Ok(Some(r.show(now)))))
            .await?;
        Ok(GetCrawlersResponse { crawlers: Some(list), next_token })
    }
}

#[async_trait]
impl Handle<BatchGetCrawlers> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchGetCrawlersRequest) -> Result<BatchGetCrawlersResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        let (found, missing) = self
            .store
            .read(|tx| {
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                for name in &req.crawler_names {
                    match tx.get_json::<Record>(crawlers::key(&scope, name))? {
                        Some(record) => found.push(record.show(now)),
                        None => missing.push(name.clone()),
                    }
                }
                Ok::<_, Error>((found, missing))
            })
            .await?;
        Ok(BatchGetCrawlersResponse { crawlers: Some(found), crawlers_not_found: Some(missing) })
    }
}

#[async_trait]
impl Handle<ListCrawlers> for Glue {
    async fn handle(&self, cx: &Cx, req: ListCrawlersRequest) -> Result<ListCrawlersResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let wanted = req.tags.unwrap_or_default();
        let (names, next_token) = self
            .store
            .read(|tx| {
                let (records, next) =
                    scope::page(tx, &scope.key("crawler"), token, limit, |r: Record| Ok(Some(r.name().to_owned())))?;
                let mut names = Vec::new();
                for name in records {
                    let have = tags::read(tx, &scope, &crawlers::arn(&scope, &name))?;
                    if wanted.iter().all(|(k, v)| have.get(k) == Some(v)) {
                        names.push(name);
                    }
                }
                Ok::<_, Error>((names, next))
            })
            .await?;
        Ok(ListCrawlersResponse { crawler_names: Some(names), next_token })
    }
}
