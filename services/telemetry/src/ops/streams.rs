//! Log streams.

use api_logs::error::{invalid_parameter_exception, resource_already_exists_exception};
use api_logs::{
    CreateLogStream, CreateLogStreamRequest, DeleteLogStream, DeleteLogStreamRequest, DescribeLogStreams,
    DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::queries::group_of;
use super::{limit, page};
use crate::Telemetry;
use crate::logs::{Scope, Stream};

#[async_trait]
impl Handle<CreateLogStream> for Telemetry {
    async fn handle(&self, cx: &Cx, req: CreateLogStreamRequest) -> Result<Empty, Error> {
        let scope = Scope::of(cx);
        let new = Stream { name: req.log_stream_name, created_ms: cx.now().as_millisecond(), ..Stream::default() };
        cx.write(&self.store, move |tx| {
            scope.load_group(tx, &req.log_group_name)?;
            let key = scope.stream(&req.log_group_name, &new.name);
            if tx.get(&key)?.is_some() {
                return Err(resource_already_exists_exception("The specified log stream already exists"));
            }
            Ok(tx.put_json(&key, &new)?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteLogStream> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DeleteLogStreamRequest) -> Result<Empty, Error> {
        let scope = Scope::of(cx);
        let (group, stream) = (&req.log_group_name, &req.log_stream_name);
        self.empty_stream(&scope, group, stream).await?;
        let (place, key) = ((group.clone(), stream.clone()), scope.clone());
        cx.write(&self.store, move |tx| {
            key.load_stream(tx, &place.0, &place.1)?;
            Ok::<_, Error>(tx.delete(key.stream(&place.0, &place.1))?)
        })
        .await?;
        // What came meanwhile.
        self.empty_stream(&scope, group, stream).await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DescribeLogStreams> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DescribeLogStreamsRequest) -> Result<DescribeLogStreamsResponse, Error> {
        let group = req.log_group_name.or(req.log_group_identifier);
        let group =
            group.ok_or_else(|| invalid_parameter_exception("Either logGroupName or logGroupIdentifier is needed"))?;
        let group = group_of(cx, &group)?;
        let scope = Scope::of(cx);
        if req.order_by.as_deref() == Some("LastEventTime") && req.log_stream_name_prefix.is_some() {
            return Err(invalid_parameter_exception("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let mut streams: Vec<Stream> = self
            .store
            .read(|tx| {
                scope.load_group(tx, &group)?;
                Ok::<_, Error>(tx.list_json(scope.streams(&group), usize::MAX)?)
            })
            .await?;
        let by_time = req.order_by.as_deref() == Some("LastEventTime");
        // A name that sorts as the order asked for, so that paging by it works.
        let descending = req.descending == Some(true);
        let rank = |s: &Stream| {
            let time = s.last_ms.unwrap_or_default().max(0);
            let time = if descending { i64::MAX - time } else { time };
            if by_time { format!("{time:020}{}", s.name) } else { s.name.clone() }
        };
        streams.sort_by_key(|s| rank(s));
        if descending && !by_time {
            streams.reverse();
        }
        let keep = |s: &Stream| req.log_stream_name_prefix.as_ref().is_none_or(|p| s.name.starts_with(p.as_str()));
        let mut token = req.next_token.as_deref();
        if descending && !by_time {
            // What comes after a name is smaller.
            let after = token.take();
            streams.retain(|s| after.is_none_or(|name| s.name.as_str() < name));
        }
        let (found, next_token) = page(streams, limit(req.limit, 50), rank, token, keep);
        let shown = found.into_iter().map(|s| LogStream {
            arn: Some(cx.arn("logs", format!("log-group:{group}:log-stream:{}", s.name))),
            log_stream_name: Some(s.name),
            creation_time: Some(s.created_ms),
            first_event_timestamp: s.first_ms,
            last_event_timestamp: s.last_ms,
            last_ingestion_time: s.ingested_ms,
            upload_sequence_token: None,
            stored_bytes: Some(s.bytes),
        });
        Ok(DescribeLogStreamsResponse { log_streams: Some(shown.collect()), next_token })
    }
}
