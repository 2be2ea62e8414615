//! Settings of tables that other AWS services act on: contributor insights are kept as set and have no effect here; Kinesis
//! destinations are refused by name, and there are none.

use api_dynamodb::{
    ContributorInsightsSummary, DescribeContributorInsights, DescribeContributorInsightsInput,
    DescribeContributorInsightsOutput, DescribeKinesisStreamingDestination, DescribeKinesisStreamingDestinationInput,
    DescribeKinesisStreamingDestinationOutput, DisableKinesisStreamingDestination, EnableKinesisStreamingDestination,
    KinesisStreamingDestinationInput, KinesisStreamingDestinationOutput, ListContributorInsights,
    ListContributorInsightsInput, ListContributorInsightsOutput, UpdateContributorInsights,
    UpdateContributorInsightsInput, UpdateContributorInsightsOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::DynamoDb;
use crate::table::Insights;
use crate::write::Home;

#[async_trait]
impl Handle<UpdateContributorInsights> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateContributorInsightsInput,
    ) -> Result<UpdateContributorInsightsOutput, Error> {
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let enabled = req.contributor_insights_action == "ENABLE";
        let answer = UpdateContributorInsightsOutput {
            table_name: Some(req.table_name.clone()),
            index_name: req.index_name.clone(),
            contributor_insights_status: Some(if enabled { "ENABLING" } else { "DISABLING" }.to_owned()),
            contributor_insights_mode: req.contributor_insights_mode.clone(),
        };
        cx.write(&self.store, move |tx| {
            let mut table = home.table_to_change(tx, &req.table_name)?;
            if let Some(index) = &req.index_name {
                table.index(index)?;
            }
            let insights = Insights { enabled, mode: req.contributor_insights_mode.clone(), changed_ms: now };
            table.insights.insert(req.index_name.clone().unwrap_or_default(), insights);
            table.save(tx)
        })
        .await?;
        Ok(answer)
    }
}

#[async_trait]
impl Handle<DescribeContributorInsights> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeContributorInsightsInput,
    ) -> Result<DescribeContributorInsightsOutput, Error> {
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.named_table(tx, &req.table_name)).await?;
        if let Some(index) = &req.index_name {
            table.index(index)?;
        }
        let own = table.insights.get(req.index_name.as_deref().unwrap_or_default());
        let status = if own.is_some_and(|own| own.enabled) { "ENABLED" } else { "DISABLED" };
        Ok(DescribeContributorInsightsOutput {
            table_name: Some(req.table_name),
            index_name: req.index_name,
            contributor_insights_status: Some(status.to_owned()),
            contributor_insights_mode: own.and_then(|own| own.mode.clone()),
            last_update_date_time: own.map(|own| Timestamp::from_millis(own.changed_ms)),
            ..DescribeContributorInsightsOutput::default()
        })
    }
}

#[async_trait]
impl Handle<ListContributorInsights> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ListContributorInsightsInput) -> Result<ListContributorInsightsOutput, Error> {
        let home = Home::of(cx);
        let tables = self
            .store
            .read(|tx| match &req.table_name {
                Some(name) => Ok(vec![(*home.named_table(tx, name)?).clone()]),
                None => tx
                    .list_json(crate::table::Table::records(&home.account, &home.region), usize::MAX)
                    .map_err(Error::from),
            })
            .await?;
        let summaries = tables.iter().flat_map(|table| {
            table.insights.iter().filter(|(_, own)| own.enabled).map(|(index, own)| ContributorInsightsSummary {
                table_name: Some(table.name.clone()),
                index_name: (!index.is_empty()).then(|| index.clone()),
                contributor_insights_status: Some("ENABLED".to_owned()),
                contributor_insights_mode: own.mode.clone(),
            })
        });
        Ok(ListContributorInsightsOutput {
            contributor_insights_summaries: Some(summaries.collect()),
            next_token: None,
        })
    }
}

#[async_trait]
impl Handle<DescribeKinesisStreamingDestination> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeKinesisStreamingDestinationInput,
    ) -> Result<DescribeKinesisStreamingDestinationOutput, Error> {
        let home = Home::of(cx);
        self.store.read(|tx| home.named_table(tx, &req.table_name)).await?;
        Ok(DescribeKinesisStreamingDestinationOutput {
            table_name: Some(req.table_name),
            kinesis_data_stream_destinations: Some(Vec::new()),
        })
    }
}

#[async_trait]
impl Handle<EnableKinesisStreamingDestination> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: KinesisStreamingDestinationInput,
    ) -> Result<KinesisStreamingDestinationOutput, Error> {
        let home = Home::of(cx);
        self.store.read(|tx| home.named_table(tx, &req.table_name)).await?;
        Err(Error::not_implemented("EnableKinesisStreamingDestination: Kinesis data streams"))
    }
}

#[async_trait]
impl Handle<DisableKinesisStreamingDestination> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: KinesisStreamingDestinationInput,
    ) -> Result<KinesisStreamingDestinationOutput, Error> {
        let home = Home::of(cx);
        self.store.read(|tx| home.named_table(tx, &req.table_name)).await?;
        Err(Error::validation(format!(
            "Table {} does not have an active Kinesis streaming destination {}",
            req.table_name, req.stream_arn
        )))
    }
}
