//! Scan: all items of a table or index, or one segment of them.

use api_dynamodb::{Scan, ScanInput, ScanOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::query::{View, filter, limit, refuse_consistent};
use crate::capacity::{Units, read_factor};
use crate::expr::Placeholders;
use crate::read::{Range, Request, page};
use crate::write::{Home, convert_values, refuse_legacy};
use crate::{DynamoDb, Invalid, convert};

#[async_trait]
impl Handle<Scan> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ScanInput) -> Result<ScanOutput, Error> {
        refuse_legacy(&[
            ("ScanFilter", req.scan_filter.is_some()),
            ("ConditionalOperator", req.conditional_operator.is_some()),
        ])?;
        let placeholders = Placeholders::new(
            req.expression_attribute_names,
            convert_values(req.expression_attribute_values)?,
            &[
                ("FilterExpression", req.filter_expression.is_some()),
                ("ProjectionExpression", req.projection_expression.is_some()),
            ],
        )?;
        let limit = limit(req.limit)?;
        let segment = segment(req.segment, req.total_segments)?;
        let start = convert::optional_item(req.exclusive_start_key)?;
        let filter = filter(req.filter_expression.as_deref(), &placeholders)?;
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.table(tx, &req.table_name)).await?;
        let index = req.index_name.as_deref().map(|name| table.index(name)).transpose()?;
        refuse_consistent(index, req.consistent_read)?;
        let view = View::new(
            &table,
            index,
            req.select.as_deref(),
            req.projection_expression.as_deref(),
            req.attributes_to_get.as_deref(),
            &placeholders,
        )?;
        placeholders.all_used()?;
        let mut range = Range::of_scan(&table, index, segment);
        if let Some(start) = &start {
            range.after(&table, index, start, false)?;
        }
        let request =
            Request { table: &table, index, range, reverse: false, limit, filter: filter.as_ref(), whole: view.whole };
        let mut request = Some(request);
        let page = self
            .store
            .read(|tx| match request.take() {
                Some(request) => page(tx, request),
                None => Err(Error::internal("a read ran twice")),
            })
            .await?;
        let units = Units::of_read(index, page.bytes, read_factor(req.consistent_read));
        Ok(ScanOutput {
            count: i32::try_from(page.items.len()).ok(),
            scanned_count: i32::try_from(page.scanned).ok(),
            items: view.show(page.items),
            last_evaluated_key: page.last.map(convert::attributes),
            consumed_capacity: units.answer(&table.name, req.return_consumed_capacity.as_deref()),
        })
    }
}

fn segment(segment: Option<i32>, total: Option<i32>) -> Result<Option<(u32, u32)>, Invalid> {
    match (segment, total) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Invalid::new(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is \
             present",
        )),
        (Some(_), None) => Err(Invalid::new(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is \
             present",
        )),
        (Some(segment), Some(total)) => match (u32::try_from(segment), u32::try_from(total)) {
            (Ok(one), Ok(all)) if one < all && all <= 1_000_000 => Ok(Some((one, all))),
            _ => Err(Invalid::new(format!(
                "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: \
                 {segment} is not less than TotalSegments: {total}"
            ))),
        },
    }
}
