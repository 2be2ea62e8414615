//! DeleteItem: deletes one item if its condition holds.

use api_dynamodb::{DeleteItem, DeleteItemInput, DeleteItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::put_item::old_or_none;
use crate::DynamoDb;
use crate::capacity::Units;
use crate::convert;
use crate::write::{Action, Expressions, Home, Write, refuse_legacy};

#[async_trait]
impl Handle<DeleteItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DeleteItemInput) -> Result<DeleteItemOutput, Error> {
        refuse_legacy(&[
            ("Expected", req.expected.is_some()),
            ("ConditionalOperator", req.conditional_operator.is_some()),
        ])?;
        let return_old = old_or_none(req.return_values.as_deref())?;
        let expressions = Expressions {
            condition: req.condition_expression,
            update: None,
            names: req.expression_attribute_names,
            values: req.expression_attribute_values,
        };
        let (condition, _) = expressions.parse()?;
        let write = Write {
            table: req.table_name,
            action: Action::Delete(convert::item(req.key)?),
            condition,
            old_on_failure: req.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD"),
        };
        let (home, asked) = (Home::of(cx), req.return_consumed_capacity);
        let (written, consumed_capacity) = cx
            .write(&self.store, move |tx| {
                let table = home.table(tx, &write.table)?;
                let written = write.apply(tx, &table)?;
                let consumed = Units::of_write(&table, &written, 1.0).answer(&table.name, asked.as_deref());
                Ok::<_, Error>((written, consumed))
            })
            .await?;
        let attributes = written.old.filter(|_| return_old).map(convert::attributes);
        Ok(DeleteItemOutput { attributes, consumed_capacity, ..DeleteItemOutput::default() })
    }
}
