//! DescribeLimits: AWS's default quotas; nothing here is throttled by them.

use api_dynamodb::{DescribeLimits, DescribeLimitsInput, DescribeLimitsOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::DynamoDb;

#[async_trait]
impl Handle<DescribeLimits> for DynamoDb {
    async fn handle(&self, _: &Cx, _: DescribeLimitsInput) -> Result<DescribeLimitsOutput, Error> {
        Ok(DescribeLimitsOutput {
            account_max_read_capacity_units: Some(80_000),
            account_max_write_capacity_units: Some(80_000),
            table_max_read_capacity_units: Some(40_000),
            table_max_write_capacity_units: Some(40_000),
        })
    }
}
