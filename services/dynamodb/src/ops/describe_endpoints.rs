//! DescribeEndpoints: this server.

use api_dynamodb::{DescribeEndpoints, DescribeEndpointsRequest, DescribeEndpointsResponse, Endpoint};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::DynamoDb;

#[async_trait]
impl Handle<DescribeEndpoints> for DynamoDb {
    async fn handle(&self, _: &Cx, _: DescribeEndpointsRequest) -> Result<DescribeEndpointsResponse, Error> {
        let address = self.endpoint.rsplit("//").next().unwrap_or_default().to_owned();
        Ok(DescribeEndpointsResponse { endpoints: vec![Endpoint { address, cache_period_in_minutes: 1440 }] })
    }
}
