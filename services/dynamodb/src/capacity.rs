//! ConsumedCapacity: what AWS would count for a request.

use std::collections::BTreeMap;

use api_dynamodb::{Capacity, ConsumedCapacity};

use crate::table::{Index, Table};
use crate::value::item_size;
use crate::write::Written;

const WRITE_UNIT: usize = 1024;
const READ_UNIT: usize = 4096;

/// Units per table and index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Units {
    table: f64,
    local: BTreeMap<String, f64>,
    global: BTreeMap<String, f64>,
}

impl Units {
    pub(crate) fn of_write(table: &Table, written: &Written, factor: f64) -> Self {
        let size = |item: &Option<_>| item.as_ref().map_or(0, item_size);
        let mut units =
            Self { table: blocks(size(&written.old).max(size(&written.new)), WRITE_UNIT) * factor, ..Self::default() };
        for index in &table.indexes {
            let entry = |item: &Option<_>| {
                let item = item.as_ref()?;
                table.entry_key(index, item).map(|_| item_size(&table.projected(index, item)))
            };
            let (old, new) = (entry(&written.old), entry(&written.new));
            if old.is_some() || new.is_some() {
                units.index(index, blocks(old.max(new).unwrap_or(0), WRITE_UNIT) * factor);
            }
        }
        units
    }

    pub(crate) fn of_read(index: Option<&Index>, bytes: usize, factor: f64) -> Self {
        let mut units = Self::default();
        let count = blocks(bytes, READ_UNIT) * factor;
        match index {
            Some(index) => units.index(index, count),
            None => units.table = count,
        }
        units
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.table += other.table;
        for (name, count) in other.local {
            *self.local.entry(name).or_default() += count;
        }
        for (name, count) in other.global {
            *self.global.entry(name).or_default() += count;
        }
    }

    fn index(&mut self, index: &Index, count: f64) {
        let into = if index.global { &mut self.global } else { &mut self.local };
        into.insert(index.name.clone(), count);
    }

    /// As `ReturnConsumedCapacity` asks for it.
    pub(crate) fn answer(self, table: &str, asked: Option<&str>) -> Option<ConsumedCapacity> {
        let total = self.table + self.local.values().chain(self.global.values()).sum::<f64>();
        let mut answer = ConsumedCapacity {
            table_name: Some(table.to_owned()),
            capacity_units: Some(total),
            ..ConsumedCapacity::default()
        };
        match asked {
            Some("TOTAL") => {}
            Some("INDEXES") => {
                let one = |units| Capacity { capacity_units: Some(units), ..Capacity::default() };
                let all = |units: BTreeMap<String, f64>| {
                    (!units.is_empty()).then(|| units.into_iter().map(|(name, count)| (name, one(count))).collect())
                };
                answer.table = Some(one(self.table));
                answer.local_secondary_indexes = all(self.local);
                answer.global_secondary_indexes = all(self.global);
            }
            _ => return None,
        }
        Some(answer)
    }
}

/// Half a unit per block for eventually consistent reads, two for transactions.
pub(crate) fn read_factor(consistent: Option<bool>) -> f64 {
    if consistent == Some(true) { 1.0 } else { 0.5 }
}

fn blocks(bytes: usize, unit: usize) -> f64 {
    let blocks = u32::try_from(bytes.div_ceil(unit).max(1)).unwrap_or(u32::MAX);
    f64::from(blocks)
}
