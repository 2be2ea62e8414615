//! GetItem: reads one item by its key.

use std::collections::BTreeMap;

use api_dynamodb::{GetItem, GetItemInput, GetItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::capacity::{Units, read_factor};
use crate::expr::{Placeholders, Projection};
use crate::table::Table;
use crate::value::{Item, item_size};
use crate::write::Home;
use crate::{DynamoDb, Invalid, convert, items};

#[async_trait]
impl Handle<GetItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: GetItemInput) -> Result<GetItemOutput, Error> {
        let projection = projection(req.projection_expression, req.attributes_to_get, req.expression_attribute_names)?;
        let key = convert::item(req.key)?;
        let home = Home::of(cx);
        let (table, found) = self
            .store
            .read(|tx| {
                let table = home.table(tx, &req.table_name)?;
                let found = read(tx, &table, &key)?;
                Ok::<_, Error>((table, found))
            })
            .await?;
        let units = Units::of_read(None, found.as_ref().map_or(0, item_size), read_factor(req.consistent_read));
        let item = found.map(|item| projection.as_ref().map_or_else(|| item.clone(), |wanted| wanted.apply(&item)));
        Ok(GetItemOutput {
            item: item.map(convert::attributes),
            consumed_capacity: units.answer(&table.name, req.return_consumed_capacity.as_deref()),
        })
    }
}

/// The item at a `Key` parameter.
pub(super) fn read(tx: &mut Tx<'_>, table: &Table, key: &Item) -> Result<Option<Item>, Error> {
    table.key_of_parameter(key)?;
    items::get(tx, &table.key_of(key)?)
}

/// What a get asks to see.
pub(super) fn projection(
    expression: Option<String>,
    attributes: Option<Vec<String>>,
    names: Option<BTreeMap<String, String>>,
) -> Result<Option<Projection>, Invalid> {
    let placeholders = Placeholders::new(names, None, &[("ProjectionExpression", expression.is_some())])?;
    if expression.is_some() && attributes.is_some() {
        return Err(Invalid::new(
            "Can not use both expression and non-expression parameters in the same request: Non-expression \
             parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}",
        ));
    }
    let projection = match (expression, attributes) {
        (Some(text), _) => Some(Projection::parse(&text, &placeholders)?),
        (None, Some(names)) => Some(Projection::of_attributes(names.iter().map(String::as_str))),
        (None, None) => None,
    };
    placeholders.all_used()?;
    Ok(projection)
}
