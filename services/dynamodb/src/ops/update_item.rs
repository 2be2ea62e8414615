//! UpdateItem: changes one item, or makes it.

use api_dynamodb::{UpdateItem, UpdateItemInput, UpdateItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::expr::{Path, Projection};
use crate::value::Item;
use crate::write::{Action, Expressions, Write, Written};
use crate::{DynamoDb, convert};

#[async_trait]
impl Handle<UpdateItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateItemInput) -> Result<UpdateItemOutput, Error> {
        let wanted = Wanted::parse(req.return_values.as_deref())?;
        let expressions = Expressions {
            condition: req.condition_expression,
            update: req.update_expression,
            names: req.expression_attribute_names,
            values: req.expression_attribute_values,
            expected: req.expected,
            operator: req.conditional_operator,
            updates: req.attribute_updates,
            may_update: true,
        };
        let (condition, update) = expressions.parse()?;
        let paths: Vec<Path> = update.iter().flat_map(|update| update.paths()).cloned().collect();
        let write = Write {
            table: req.table_name,
            action: Action::Update(convert::item(req.key)?, update),
            condition,
            old_on_failure: req.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD"),
            inserts: false,
        };
        let outcome = self.write(cx, write, req.return_consumed_capacity, req.return_item_collection_metrics).await?;
        Ok(UpdateItemOutput {
            attributes: wanted.pick(outcome.written, paths).map(convert::attributes),
            consumed_capacity: outcome.capacity,
            item_collection_metrics: outcome.metrics,
        })
    }
}

/// What of an updated item is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    AllOld,
    AllNew,
    UpdatedOld,
    UpdatedNew,
}

impl Wanted {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Error> {
        Ok(match text {
            None | Some("NONE") => Self::Nothing,
            Some("ALL_OLD") => Self::AllOld,
            Some("ALL_NEW") => Self::AllNew,
            Some("UPDATED_OLD") => Self::UpdatedOld,
            Some("UPDATED_NEW") => Self::UpdatedNew,
            Some(_) => return Err(Error::validation("Return values set to invalid value")),
        })
    }

    pub(super) fn pick(self, written: Written, paths: Vec<Path>) -> Option<Item> {
        let updated = |item: Item| Some(Projection::of_paths(paths).apply(&item)).filter(|item| !item.is_empty());
        match self {
            Self::Nothing => None,
            Self::AllOld => written.old,
            Self::AllNew => written.new,
            Self::UpdatedOld => written.old.and_then(updated),
            Self::UpdatedNew => written.new.and_then(updated),
        }
    }
}
