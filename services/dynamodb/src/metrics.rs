//! What CloudWatch is told of requests for items: `AWS/DynamoDB`, by `TableName`, and by it with `Operation`. Source: DynamoDB Developer
//! Guide, "DynamoDB metrics and dimensions".
//!
//! Requests come through [`Counted`], which asks for the capacity that they use where the client does not, and keeps it from the answer.

use std::sync::Arc;
use std::time::Instant;

use api_dynamodb::ConsumedCapacity;
use async_trait::async_trait;
use service::meter::Measured;
use service::{Cx, Handle};
use wire::{Error, Operation};

use crate::{DynamoDb, throttle};

/// The service, counting.
#[derive(Debug)]
pub(crate) struct Counted(pub(crate) Arc<DynamoDb>);

/// What is counted of an operation.
pub(crate) trait Counts: Operation {
    /// The one table that is asked for; none where there may be several.
    fn table(input: &Self::Input) -> Option<String>;
    fn asked(input: &mut Self::Input) -> &mut Option<String>;
    /// Whether the units are of writes.
    fn writes(input: &Self::Input) -> bool;
    fn used(output: &Self::Output) -> Vec<&ConsumedCapacity>;
    fn forget(output: &mut Self::Output);
    /// Items found, of what looks for them.
    fn returned(output: &Self::Output) -> Option<i32>;
}

#[async_trait]
impl<O: Counts> Handle<O> for Counted
where
    DynamoDb: Handle<O>,
{
    async fn handle(&self, cx: &Cx, mut input: O::Input) -> Result<O::Output, Error> {
        let (table, writes) = (O::table(&input), O::writes(&input));
        let is_asked = !matches!(O::asked(&mut input).as_deref(), None | Some("NONE"));
        if !is_asked {
            *O::asked(&mut input) = Some("TOTAL".to_owned());
        }
        let begun = Instant::now();
        let done = self.0.handle(cx, input).await;
        let tell = Tell { cx, operation: O::SPEC.name, writes };
        let mut output = done.inspect_err(|error| tell.failed(table.as_deref(), error))?;
        let millis = begun.elapsed().as_secs_f64() * 1000.0;
        for used in O::used(&output) {
            let Some(name) = &used.table_name else { continue };
            tell.succeeded(name, millis);
            let metric = if writes { "ConsumedWriteCapacityUnits" } else { "ConsumedReadCapacityUnits" };
            tell.of_table(name, metric, used.capacity_units.unwrap_or_default());
            if let Some(items) = O::returned(&output) {
                tell.of_operation(name, "ReturnedItemCount", items.into(), "Count");
            }
        }
        if !is_asked {
            O::forget(&mut output);
        }
        Ok(output)
    }
}

struct Tell<'a> {
    cx: &'a Cx,
    operation: &'a str,
    writes: bool,
}

impl Tell<'_> {
    fn one(&self, metric: &str, dimensions: &[(&str, &str)], value: f64, unit: &str) {
        let (account, region) = (self.cx.account(), self.cx.region());
        self.cx.router().measure(Measured {
            account,
            region,
            namespace: "AWS/DynamoDB",
            metric,
            dimensions,
            value,
            unit,
        });
    }

    fn of_table(&self, table: &str, metric: &str, value: f64) {
        self.one(metric, &[("TableName", table)], value, "Count");
    }

    fn of_operation(&self, table: &str, metric: &str, value: f64, unit: &str) {
        self.one(metric, &[("TableName", table), ("Operation", self.operation)], value, unit);
    }

    fn succeeded(&self, table: &str, millis: f64) {
        self.of_operation(table, "SuccessfulRequestLatency", millis, "Milliseconds");
    }

    fn failed(&self, table: Option<&str>, error: &Error) {
        match (table, error.status()) {
            (Some(table), 400..500) if error.is("ConditionalCheckFailedException") => {
                self.of_table(table, "ConditionalCheckFailedRequests", 1.0);
            }
            (Some(table), 400..500) if throttle::is_throttled(error) => {
                self.of_operation(table, "ThrottledRequests", 1.0, "Count");
                self.of_table(table, if self.writes { "WriteThrottleEvents" } else { "ReadThrottleEvents" }, 1.0);
            }
            (Some(table), 500..) => self.of_operation(table, "SystemErrors", 1.0, "Count"),
            (_, 400..500) => self.one("UserErrors", &[], 1.0, "Count"),
            _ => {}
        }
    }
}

/// The operations: whether they ask for one table or several, what their units are of, and what counts the items that they found.
macro_rules! counted {
    ($($operation:ident: $tables:ident, $kind:ident $(, $count:ident)?;)+) => { $(
        impl Counts for api_dynamodb::$operation {
            fn table(input: &Self::Input) -> Option<String> {
                counted!(@table $tables input)
            }
            fn asked(input: &mut Self::Input) -> &mut Option<String> {
                &mut input.return_consumed_capacity
            }
            fn writes(input: &Self::Input) -> bool {
                counted!(@writes $kind input)
            }
            fn used(output: &Self::Output) -> Vec<&ConsumedCapacity> {
                counted!(@used $tables output)
            }
            fn forget(output: &mut Self::Output) {
                output.consumed_capacity = None;
            }
            fn returned(output: &Self::Output) -> Option<i32> {
                counted!(@returned output $($count)?)
            }
        }
    )+ };
    (@table one $input:ident) => { Some($input.table_name.clone()) };
    (@table $several:ident $input:ident) => {{ let _ = $input; None }};
    (@writes read $input:ident) => {{ let _ = $input; false }};
    (@writes write $input:ident) => {{ let _ = $input; true }};
    (@writes statement $input:ident) => { !is_select(&$input.statement) };
    (@used several $output:ident) => { $output.consumed_capacity.iter().flatten().collect() };
    (@used $one:ident $output:ident) => { $output.consumed_capacity.iter().collect() };
    (@returned $output:ident) => {{ let _ = $output; None }};
    (@returned $output:ident $count:ident) => { $output.$count };
}

counted! {
    BatchGetItem: several, read;
    BatchWriteItem: several, write;
    DeleteItem: one, write;
    ExecuteStatement: named, statement;
    GetItem: one, read;
    PutItem: one, write;
    Query: one, read, count;
    Scan: one, read, count;
    TransactGetItems: several, read;
    TransactWriteItems: several, write;
    UpdateItem: one, write;
}

fn is_select(statement: &str) -> bool {
    statement.trim_start().get(..6).is_some_and(|first| first.eq_ignore_ascii_case("select"))
}
