//! ListQueues, GetQueueUrl and ListDeadLetterSourceQueues.

use api_sqs::{
    GetQueueUrl, GetQueueUrlRequest, GetQueueUrlResult, ListDeadLetterSourceQueues, ListDeadLetterSourceQueuesRequest,
    ListDeadLetterSourceQueuesResult, ListQueues, ListQueuesRequest, ListQueuesResult,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::sqs::Sqs;
use crate::sqs::queue::{Queue, QueueKey, invalid_parameter};

#[async_trait]
impl Handle<ListQueues> for Sqs {
    async fn handle(&self, cx: &Cx, req: ListQueuesRequest) -> Result<ListQueuesResult, Error> {
        let prefix = req.queue_name_prefix.unwrap_or_default();
        if let Some(most) = req.max_results.filter(|most| !(1..=1000).contains(most)) {
            return Err(invalid_parameter(format!(
                "Value {most} for parameter MaxResults is invalid. Reason: Must be between 1 and 1000, if provided."
            )));
        }
        let most = page_size(req.max_results);
        let mut names = self.queues(cx).await?;
        names.retain(|queue| queue.name.starts_with(&prefix) && Some(&queue.name) > req.next_token.as_ref());
        let more = names.len() > most;
        names.truncate(most);
        // Without MaxResults, AWS answers up to a thousand and no token.
        let next_token = names.last().filter(|_| more && req.max_results.is_some()).map(|queue| queue.name.clone());
        let urls: Vec<String> = names.iter().map(|queue| queue.url(&self.endpoint)).collect();
        Ok(ListQueuesResult { queue_urls: (!urls.is_empty()).then_some(urls), next_token })
    }
}

#[async_trait]
impl Handle<GetQueueUrl> for Sqs {
    async fn handle(&self, cx: &Cx, req: GetQueueUrlRequest) -> Result<GetQueueUrlResult, Error> {
        let mut place = QueueKey::named(cx, &req.queue_name);
        if let Some(account) = req.queue_owner_aws_account_id {
            place.account = account;
        }
        let queue = self.store.read(|tx| place.queue(tx)).await?;
        Ok(GetQueueUrlResult { queue_url: Some(queue.url(&self.endpoint)) })
    }
}

#[async_trait]
impl Handle<ListDeadLetterSourceQueues> for Sqs {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListDeadLetterSourceQueuesRequest,
    ) -> Result<ListDeadLetterSourceQueuesResult, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let target = self.store.read(|tx| place.queue(tx)).await?;
        let most = page_size(req.max_results);
        let mut sources = self.queues(cx).await?;
        sources.retain(|queue| {
            queue.redrive().is_some_and(|redrive| redrive.target.key() == target.place().key())
                && Some(&queue.name) > req.next_token.as_ref()
        });
        let more = sources.len() > most;
        sources.truncate(most);
        let next_token = sources.last().filter(|_| more).map(|queue| queue.name.clone());
        let queue_urls = sources.iter().map(|queue| queue.url(&self.endpoint)).collect();
        Ok(ListDeadLetterSourceQueuesResult { queue_urls, next_token })
    }
}

impl Sqs {
    async fn queues(&self, cx: &Cx) -> Result<Vec<Queue>, Error> {
        let prefix = QueueKey::queues(cx.account(), cx.region());
        Ok(self.store.read(|tx| tx.list_json(&prefix, 100_000)).await?)
    }
}

fn page_size(asked: Option<i32>) -> usize {
    usize::try_from(asked.unwrap_or(1000)).unwrap_or(1000).clamp(1, 1000)
}
