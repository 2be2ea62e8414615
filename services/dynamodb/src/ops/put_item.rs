//! PutItem: writes one item if its condition holds.

use api_dynamodb::{PutItem, PutItemInput, PutItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::DynamoDb;
use crate::capacity::Units;
use crate::convert;
use crate::write::{Action, Expressions, Home, Write, refuse_legacy};

#[async_trait]
impl Handle<PutItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: PutItemInput) -> Result<PutItemOutput, Error> {
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
            action: Action::Put(convert::item(req.item)?),
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
        Ok(PutItemOutput { attributes, consumed_capacity, ..PutItemOutput::default() })
    }
}

/// `ReturnValues` of PutItem and DeleteItem.
pub(super) fn old_or_none(return_values: Option<&str>) -> Result<bool, Error> {
    match return_values {
        None | Some("NONE") => Ok(false),
        Some("ALL_OLD") => Ok(true),
        Some("ALL_NEW" | "UPDATED_OLD" | "UPDATED_NEW") => Err(Error::validation("Return values set to invalid value")),
        Some(other) => Err(Error::validation(format!(
            "1 validation error detected: Value '{other}' at 'returnValues' failed to satisfy constraint: Member must \
             satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
        ))),
    }
}
