//! GetCrawlerMetrics and ListCrawls: how crawls went.

use super::prelude::*;

use crate::crawlers::{self, Record};

#[async_trait]
impl Handle<GetCrawlerMetrics> for Glue {
    async fn handle(&self, cx: &Cx, req: GetCrawlerMetricsRequest) -> Result<GetCrawlerMetricsResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let names = req.crawler_name_list.unwrap_or_default();
        let (list, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &scope.key("crawler"), token, limit, |record: Record| {
                    let wanted = names.is_empty() || names.iter().any(|name| name == record.name());
                    Ok(wanted.then(|| record.metrics()))
                })
            })
            .await?;
        Ok(GetCrawlerMetricsResponse { crawler_metrics_list: Some(list), next_token })
    }
}

#[async_trait]
impl Handle<ListCrawls> for Glue {
    async fn handle(&self, cx: &Cx, req: ListCrawlsRequest) -> Result<ListCrawlsResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 20), req.next_token.as_deref());
        let filters = req.filters.unwrap_or_default();
        let (crawls, next_token) = self
            .store
            .read(|tx| {
                crawlers::find(tx, &scope, &req.crawler_name)?;
                let prefix = crawlers::history(&scope, &req.crawler_name);
                scope::page(tx, &prefix, token, limit, |crawl: CrawlerHistory| {
                    Ok(filters.iter().all(|f| passes(&crawl, f)).then_some(crawl))
                })
            })
            .await?;
        Ok(ListCrawlsResponse { crawls: Some(crawls), next_token })
    }
}

fn passes(crawl: &CrawlerHistory, filter: &CrawlsFilter) -> bool {
    let wanted = filter.field_value.as_deref().unwrap_or_default();
    let number = |ms: Option<wire::Timestamp>| ms.map(wire::Timestamp::as_millis);
    let order = match filter.field_name.as_deref().unwrap_or_default() {
        "CRAWL_ID" => crawl.crawl_id.as_deref().map(|id| id.cmp(wanted)),
        "STATE" => crawl.state.as_deref().map(|state| state.cmp(wanted)),
        "START_TIME" => number(crawl.start_time).zip(wanted.parse().ok()).map(|(a, b)| a.cmp(&b)),
        "END_TIME" => number(crawl.end_time).zip(wanted.parse().ok()).map(|(a, b)| a.cmp(&b)),
        _ => return true,
    };
    let Some(order) = order else { return false };
    match filter.filter_operator.as_deref().unwrap_or("EQ") {
        "GT" => order.is_gt(),
        "GE" => order.is_ge(),
        "LT" => order.is_lt(),
        "LE" => order.is_le(),
        "NE" => order.is_ne(),
        _ => order.is_eq(),
    }
}
