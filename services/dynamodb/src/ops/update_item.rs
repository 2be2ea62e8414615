//! UpdateItem: changes one item, or makes it.

use api_dynamodb::{UpdateItem, UpdateItemInput, UpdateItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::DynamoDb;
use crate::capacity::Units;
use crate::convert;
use crate::expr::{Path, Projection};
use crate::value::Item;
use crate::write::{Action, Expressions, Home, Write, Written, refuse_legacy};

#[async_trait]
impl Handle<UpdateItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateItemInput) -> Result<UpdateItemOutput, Error> {
        refuse_legacy(&[
            ("AttributeUpdates", req.attribute_updates.is_some()),
            ("Expected", req.expected.is_some()),
            ("ConditionalOperator", req.conditional_operator.is_some()),
        ])?;
        let wanted = Wanted::parse(req.return_values.as_deref())?;
        let expressions = Expressions {
            condition: req.condition_expression,
            update: req.update_expression,
            names: req.expression_attribute_names,
            values: req.expression_attribute_values,
        };
        let (condition, update) = expressions.parse()?;
        let paths: Vec<Path> = update.iter().flat_map(|update| update.paths()).cloned().collect();
        let write = Write {
            table: req.table_name,
            action: Action::Update(convert::item(req.key)?, update),
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
        let attributes = wanted.pick(written, paths).map(convert::attributes);
        Ok(UpdateItemOutput { attributes, consumed_capacity, ..UpdateItemOutput::default() })
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    Nothing,
    AllOld,
    AllNew,
    UpdatedOld,
    UpdatedNew,
}

impl Wanted {
    fn parse(text: Option<&str>) -> Result<Self, Error> {
        Ok(match text {
            None | Some("NONE") => Self::Nothing,
            Some("ALL_OLD") => Self::AllOld,
            Some("ALL_NEW") => Self::AllNew,
            Some("UPDATED_OLD") => Self::UpdatedOld,
            Some("UPDATED_NEW") => Self::UpdatedNew,
            Some(other) => {
                return Err(Error::validation(format!(
                    "1 validation error detected: Value '{other}' at 'returnValues' failed to satisfy constraint: \
                     Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
                )));
            }
        })
    }

    fn pick(self, written: Written, paths: Vec<Path>) -> Option<Item> {
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
