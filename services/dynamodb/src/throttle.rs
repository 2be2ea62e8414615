//! Throughput that a table or index has no more of: provisioned units, and the most that a table on demand may use. What is not used is
//! kept for five minutes; a request is let in while anything is left, and then pays what it used, so that a large one may overdraw.
//! Tables without such limits have nothing of this.
//!
//! Kept by each server, in memory: a server that starts has five minutes' worth.
//! Sources: DynamoDB Developer Guide, "Burst and adaptive capacity", "Diagnosing throttling"; API reference,
//! `ProvisionedThroughputExceededException`, `ThrottlingException`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use api_dynamodb::error;
use serde_json::json;
use wire::Error;

use crate::capacity::Units;
use crate::table::{Billing, Index, Table};

/// Source: "Burst and adaptive capacity".
const BURST_SECONDS: f64 = 300.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// What a table and its global indexes have left.
#[derive(Debug)]
pub(crate) struct Limits {
    on_demand: bool,
    arn: String,
    table: Pair,
    indexes: BTreeMap<String, Pair>,
}

#[derive(Debug, Default)]
struct Pair {
    read: Option<Mutex<Bucket>>,
    write: Option<Mutex<Bucket>>,
}

impl Pair {
    fn of(rates: (i64, i64), before: Option<&Self>) -> Self {
        let bucket = |rate: i64, before: Option<&Mutex<Bucket>>| {
            // Minus one is no limit.
            #[expect(clippy::cast_precision_loss, reason = "nobody has so many")]
            let rate = (rate > 0).then_some(rate as f64)?;
            let full = rate * BURST_SECONDS;
            let mut bucket = Bucket { rate, left: full, at_ms: None };
            if let Some(before) = before {
                let before = before.lock().unwrap_or_else(PoisonError::into_inner);
                (bucket.left, bucket.at_ms) = (before.left.min(full), before.at_ms);
            }
            Some(Mutex::new(bucket))
        };
        let (read, write) = rates;
        Self {
            read: bucket(read, before.and_then(|pair| pair.read.as_ref())),
            write: bucket(write, before.and_then(|pair| pair.write.as_ref())),
        }
    }

    fn get(&self, kind: Kind) -> Option<&Mutex<Bucket>> {
        match kind {
            Kind::Read => self.read.as_ref(),
            Kind::Write => self.write.as_ref(),
        }
    }

    fn has_none(&self, kind: Kind, now_ms: i64) -> bool {
        self.get(kind).is_some_and(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner).at(now_ms) <= 0.0)
    }

    fn take(&self, kind: Kind, units: f64) {
        if let Some(bucket) = self.get(kind) {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).left -= units;
        }
    }
}

#[derive(Debug)]
struct Bucket {
    /// Units of a second.
    rate: f64,
    left: f64,
    at_ms: Option<i64>,
}

impl Bucket {
    /// What is left now.
    fn at(&mut self, now_ms: i64) -> f64 {
        let passed = now_ms - self.at_ms.unwrap_or(now_ms).min(now_ms);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
        let seconds = passed as f64 / 1000.0;
        self.left = (self.left + seconds * self.rate).min(self.rate * BURST_SECONDS);
        self.at_ms = Some(now_ms);
        self.left
    }
}

impl Limits {
    /// None where a table has no limits; with what the same table had left `before`.
    pub(crate) fn of(table: &Table, before: Option<&Self>) -> Option<Self> {
        let (on_demand, rates) = match (table.billing, table.on_demand_limits) {
            (Billing::Provisioned { read, write }, _) => (false, (read, write)),
            (Billing::PayPerRequest, Some(limits)) => (true, limits),
            (Billing::PayPerRequest, None) => return None,
        };
        let own = table.indexes.iter().filter(|index| index.global && !on_demand);
        let own = own.filter_map(|index| {
            let before = before.and_then(|before| before.indexes.get(&index.name));
            Some((index.name.clone(), Pair::of(index.throughput?, before)))
        });
        let table_pair = Pair::of(rates, before.map(|before| &before.table));
        Some(Self { on_demand, arn: table.arn.clone(), table: table_pair, indexes: own.collect() })
    }

    fn admit(&self, kind: Kind, index: Option<&str>, now_ms: i64) -> Result<(), Error> {
        let own = index.and_then(|name| Some((name, self.indexes.get(name)?)));
        match own {
            Some((name, pair)) if pair.has_none(kind, now_ms) => return Err(self.exceeded(kind, Some(name))),
            Some(_) => return Ok(()),
            None => {}
        }
        if self.table.has_none(kind, now_ms) {
            return Err(self.exceeded(kind, None));
        }
        // A write goes to all of them.
        let mut others = self.indexes.iter().filter(|_| kind == Kind::Write);
        match others.find(|(_, pair)| pair.has_none(kind, now_ms)) {
            Some((name, _)) => Err(self.exceeded(kind, Some(name))),
            None => Ok(()),
        }
    }

    fn exceeded(&self, kind: Kind, index: Option<&str>) -> Error {
        let (of, resource) = match index {
            Some(name) => ("Index", format!("{}/index/{name}", self.arn)),
            None => ("Table", self.arn.clone()),
        };
        let what = if self.on_demand { "MaxOnDemandThroughputExceeded" } else { "ProvisionedThroughputExceeded" };
        let reasons = json!([{ "reason": format!("{of}{kind:?}{what}"), "resource": resource }]);
        if self.on_demand {
            let message = "Throughput exceeds the maximum OnDemandThroughput configured on table or index";
            return error::throttling_exception(message).with("throttlingReasons", reasons);
        }
        let message = match index {
            None => {
                "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
                 provisioning level with the UpdateTable API."
            }
            Some(_) => {
                "The level of configured provisioned throughput for one or more global secondary indexes of the table \
                 was exceeded. Consider increasing your provisioning level for the under-provisioned global secondary \
                 indexes with the UpdateTable API"
            }
        };
        error::provisioned_throughput_exceeded_exception(message).with("ThrottlingReasons", reasons)
    }

    fn charge(&self, kind: Kind, units: &Units) {
        self.table.take(kind, units.of_table());
        for (name, count) in units.of_indexes() {
            match self.indexes.get(name) {
                Some(pair) => pair.take(kind, count),
                None => self.table.take(kind, count),
            }
        }
    }
}

impl Table {
    /// Fails where nothing is left for a read or write of it, or of one of its indexes.
    pub(crate) fn admit(&self, kind: Kind, index: Option<&Index>, now_ms: i64) -> Result<(), Error> {
        match &self.limits {
            Some(limits) => limits.admit(kind, index.map(|index| index.name.as_str()), now_ms),
            None => Ok(()),
        }
    }

    /// Takes what was used, where that is limited.
    pub(crate) fn charge(&self, kind: Kind, units: impl FnOnce() -> Units) {
        if let Some(limits) = &self.limits {
            limits.charge(kind, &units());
        }
    }
}

/// Whether an error says that nothing is left.
pub(crate) fn is_throttled(error: &Error) -> bool {
    error.is("ProvisionedThroughputExceededException") || error.is("ThrottlingException")
}
