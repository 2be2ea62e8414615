//! ListTables: names, a hundred a page.

use api_dynamodb::{ListTables, ListTablesInput, ListTablesOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Key;
use wire::Error;

use crate::DynamoDb;
use crate::table::Table;

#[async_trait]
impl Handle<ListTables> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ListTablesInput) -> Result<ListTablesOutput, Error> {
        let limit = usize::try_from(req.limit.unwrap_or(100)).unwrap_or(0);
        if !(1..=100).contains(&limit) {
            return Err(Error::validation(
                "1 validation error detected: Value at 'limit' failed to satisfy constraint: Member must have value \
                 between 1 and 100",
            ));
        }
        let prefix = Table::records(cx.account(), cx.region());
        let after = req.exclusive_start_table_name.map(|name| prefix.clone().push(name));
        let after = after.as_ref().unwrap_or(&prefix).as_bytes();
        let found = self.store.read(|tx| tx.scan_after(&prefix, after, limit + 1)).await.map_err(Error::from)?;
        let names = found.iter().take(limit).filter_map(|(key, _)| String::from_utf8(Key::parts(key).pop()?).ok());
        let table_names: Vec<String> = names.collect();
        let last_evaluated_table_name = table_names.last().filter(|_| found.len() > limit).cloned();
        Ok(ListTablesOutput { table_names: Some(table_names), last_evaluated_table_name })
    }
}
