//! DeleteTable: the table is gone at once; a task clears what it held.

use api_dynamodb::{DeleteTable, DeleteTableInput, DeleteTableOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::NewTask;
use wire::Error;

use crate::table::Table;
use crate::tasks::CLEAR;
use crate::write::Home;
use crate::{DynamoDb, policies, streams};

#[async_trait]
impl Handle<DeleteTable> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DeleteTableInput) -> Result<DeleteTableOutput, Error> {
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let description = cx
            .write(&self.store, move |tx| {
                let mut table = home.table_to_change(tx, &req.table_name)?;
                if table.deletion_protection {
                    return Err(Error::validation(
                        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion \
                         protection first.",
                    ));
                }
                if !table.snapshots.is_empty() {
                    return Err(error::resource_in_use_exception(format!(
                        "Attempt to change a resource which is still in use: Table is being backed up or restored from: \
                         {}",
                        table.name
                    )));
                }
                let contents = table.contents(tx)?;
                streams::disable(tx, &mut table, now)?;
                policies::forget(tx, &table.arn)?;
                tx.delete(Table::record_key(&table.account, &table.region, &table.name))?;
                tx.enqueue(NewTask::new(CLEAR, format!("{CLEAR}/{}", table.id)).payload(&table)?)?;
                Ok(table.describe(&contents, "DELETING"))
            })
            .await?;
        Ok(DeleteTableOutput { table_description: Some(description) })
    }
}
