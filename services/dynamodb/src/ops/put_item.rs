//! PutItem: writes one item if its condition holds.

use api_dynamodb::{PutItem, PutItemInput, PutItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::write::{Action, Expressions, Write};
use crate::{DynamoDb, convert};

#[async_trait]
impl Handle<PutItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: PutItemInput) -> Result<PutItemOutput, Error> {
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
            action: Action::Put(convert::item(req.item)?),
            condition,
            old_on_failure: req.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD"),
            inserts: false,
        };
        let outcome = self.write(cx, write, req.return_consumed_capacity, req.return_item_collection_metrics).await?;
        Ok(PutItemOutput {
            attributes: outcome.written.old.filter(|_| return_old).map(convert::attributes),
            consumed_capacity: outcome.capacity,
            item_collection_metrics: outcome.metrics,
        })
    }
}

/// `ReturnValues` of PutItem and DeleteItem.
pub(super) fn old_or_none(return_values: Option<&str>) -> Result<bool, Error> {
    match return_values {
        None | Some("NONE") => Ok(false),
        Some("ALL_OLD") => Ok(true),
        Some(_) => Err(Error::validation("Return values set to invalid value")),
    }
}
