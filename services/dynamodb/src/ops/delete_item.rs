//! DeleteItem: deletes one item if its condition holds.

use api_dynamodb::{DeleteItem, DeleteItemInput, DeleteItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::put_item::old_or_none;
use crate::write::{Action, Expressions, Write};
use crate::{DynamoDb, convert};

#[async_trait]
impl Handle<DeleteItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DeleteItemInput) -> Result<DeleteItemOutput, Error> {
        let return_old = old_or_none(req.return_values.as_deref())?;
        let expressions = Expressions {
            condition: req.condition_expression,
            names: req.expression_attribute_names,
            values: req.expression_attribute_values,
            expected: req.expected,
            operator: req.conditional_operator,
            ..Expressions::default()
        };
        let (condition, _) = expressions.parse()?;
        let write = Write {
            table: req.table_name,
            action: Action::Delete(convert::item(req.key)?),
            condition,
            old_on_failure: req.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD"),
            inserts: false,
        };
        let outcome = self.write(cx, write, req.return_consumed_capacity, req.return_item_collection_metrics).await?;
        Ok(DeleteItemOutput {
            attributes: outcome.written.old.filter(|_| return_old).map(convert::attributes),
            consumed_capacity: outcome.capacity,
            item_collection_metrics: outcome.metrics,
        })
    }
}
