//! Scan: all items of a table or index, or one segment of them.

use api_dynamodb::{Scan, ScanInput, ScanOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::query::{View, filter, limit, refuse_consistent};
use crate::capacity::{Units, read_factor};
use crate::expr::Placeholders;
use crate::read::{Range, Request, page};
use crate::throttle::Kind;
use crate::write::{Home, convert_values};
use crate::{DynamoDb, Invalid, convert, legacy};

#[async_trait]
impl Handle<Scan> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ScanInput) -> Result<ScanOutput, Error> {
        let expressions = [
            ("ProjectionExpression", req.projection_expression.is_some()),
            ("FilterExpression", req.filter_expression.is_some()),
        ];
        legacy::refuse_mixed(
            &expressions,
            &[
                ("AttributesToGet", req.attributes_to_get.is_some()),
                ("ScanFilter", req.scan_filter.is_some()),
                ("ConditionalOperator", req.conditional_operator.is_some()),
            ],
        )?;
        let placeholders = Placeholders::new(
            req.expression_attribute_names,
            convert_values(req.expression_attribute_values)?,
            &expressions,
        )?;
        let legacy_filter = legacy::filter(req.scan_filter, req.conditional_operator.as_deref())?;
        let limit = limit(req.limit)?;
        let segment = segment(req.segment, req.total_segments)?;
        let start = convert::optional_item(req.exclusive_start_key)?;
        let filter = filter(req.filter_expression.as_deref(), &placeholders)?.or(legacy_filter);
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.table(tx, &req.table_name)).await?;
        let index = req.index_name.as_deref().map(|name| table.readable_index(name)).transpose()?;
        refuse_consistent(index, req.consistent_read)?;
        table.admit(Kind::Read, index, cx.now().as_millisecond())?;
        let view = View::new(
            &table,
            index,
            req.select.as_deref(),
            req.projection_expression.as_deref(),
            req.attributes_to_get.as_deref(),
            &placeholders,
        )?;
        placeholders.all_used()?;
        let view = view.with_filter(&table, index, filter.as_ref());
        let mut range = Range::of_scan(&table, index, segment);
        if let Some(start) = &start {
            range.after(&table, index, start, false).map_err(|error| match segment {
                // A place of another segment lies outside this one.
                Some((segment, total)) if error.0.contains("outside query boundaries") => Invalid::new(format!(
                    "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey \
                     with correct Segment. TotalSegments: {total} Segment: {segment}"
                )),
                _ => error,
            })?;
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
        let factor = read_factor(req.consistent_read);
        let units = Units::of_read(index, page.bytes, factor).and_of_table(page.fetched * factor);
        table.charge(Kind::Read, || units.clone());
        Ok(ScanOutput {
            count: i32::try_from(page.items.len()).ok(),
            scanned_count: i32::try_from(page.scanned).ok(),
            items: view.show(&table, index, page.items),
            last_evaluated_key: page.last.map(convert::attributes),
            consumed_capacity: units.answer(&req.table_name, req.return_consumed_capacity.as_deref()),
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
