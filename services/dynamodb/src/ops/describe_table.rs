//! DescribeTable: a table with what it holds.

use api_dynamodb::{DescribeTable, DescribeTableInput, DescribeTableOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::DynamoDb;
use crate::write::Home;

#[async_trait]
impl Handle<DescribeTable> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DescribeTableInput) -> Result<DescribeTableOutput, Error> {
        let home = Home::of(cx);
        let description = self
            .store
            .read(|tx| {
                let table = home.named_table(tx, &req.table_name)?;
                Ok::<_, Error>(table.describe(&table.contents(tx)?, table.status()))
            })
            .await?;
        Ok(DescribeTableOutput { table: Some(description) })
    }
}
