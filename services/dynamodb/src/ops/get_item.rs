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
use crate::throttle::Kind;
use crate::value::{Item, item_size};
use crate::write::Home;
use crate::{DynamoDb, Invalid, convert, items, legacy};

#[async_trait]
impl Handle<GetItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: GetItemInput) -> Result<GetItemOutput, Error> {
        let projection = projection(req.projection_expression, req.attributes_to_get, req.expression_attribute_names)?;
        let key = convert::item(req.key)?;
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let found = self
            .store
            .read(|tx| {
                let table = home.table(tx, &req.table_name)?;
                table.admit(Kind::Read, None, now_ms)?;
                let found = read(tx, &table, &key)?;
                let units =
                    || Units::of_read(None, found.as_ref().map_or(0, item_size), read_factor(req.consistent_read));
                table.charge(Kind::Read, units);
                Ok::<_, Error>(found)
            })
            .await?;
        let consumed_capacity = match req.return_consumed_capacity.as_deref() {
            None | Some("NONE") => None,
            asked => Units::of_read(None, found.as_ref().map_or(0, item_size), read_factor(req.consistent_read))
                .answer(&req.table_name, asked),
        };
        let item = found.map(|item| match &projection {
            Some(wanted) => wanted.apply(&item),
            None => item,
        });
        Ok(GetItemOutput { item: item.map(convert::attributes), consumed_capacity })
    }
}

/// The item at a `Key` parameter.
pub(super) fn read(tx: &mut Tx<'_>, table: &Table, key: &Item) -> Result<Option<Item>, Error> {
    items::get(tx, &table.key_of_parameter(key)?)
}

/// What a get asks to see.
pub(super) fn projection(
    expression: Option<String>,
    attributes: Option<Vec<String>>,
    names: Option<BTreeMap<String, String>>,
) -> Result<Option<Projection>, Invalid> {
    let expressions = [("ProjectionExpression", expression.is_some())];
    legacy::refuse_mixed(&expressions, &[("AttributesToGet", attributes.is_some())])?;
    let placeholders = Placeholders::new(names, None, &expressions)?;
    let projection = match (expression, attributes) {
        (Some(text), _) => Some(Projection::parse(&text, &placeholders)?),
        (None, Some(names)) => {
            legacy::check_attributes(&names)?;
            Some(Projection::of_attributes(names.iter().map(String::as_str)))
        }
        (None, None) => None,
    };
    placeholders.all_used()?;
    Ok(projection)
}
