//! ConsumedCapacity: what AWS would count for a request.

use std::collections::BTreeMap;

use api_dynamodb::{Capacity, ConsumedCapacity, ItemCollectionMetrics};
use store::Store;
use wire::Error;

use crate::convert;
use crate::table::{Index, Table, join, key_bytes};
use crate::value::{Item, item_size};
use crate::write::{Home, Written};

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
                Some((table.entry_key(index, item)?, table.projected(index, item)))
            };
            let one = |entry: &Option<(_, Item)>| entry.as_ref().map_or(0, |(_, item)| item_size(item));
            let (old, new) = (entry(&written.old), entry(&written.new));
            let count = match (&old, &new) {
                _ if old == new => continue,
                // An entry that moves is deleted and put.
                (Some((from, _)), Some((to, _))) if from != to => {
                    blocks(one(&old), WRITE_UNIT) + blocks(one(&new), WRITE_UNIT)
                }
                _ => blocks(one(&old).max(one(&new)), WRITE_UNIT),
            };
            units.index(index, count * factor);
        }
        units
    }

    /// A read of whole items for entries of a local index that lack something.
    pub(crate) fn and_of_table(mut self, count: f64) -> Self {
        self.table += count;
        self
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

    /// Of the table with its local indexes.
    pub(crate) fn of_table(&self) -> f64 {
        self.table + self.local.values().sum::<f64>()
    }

    /// Of the global indexes.
    pub(crate) fn of_indexes(&self) -> impl Iterator<Item = (&str, f64)> {
        self.global.iter().map(|(name, count)| (name.as_str(), *count))
    }

    fn index(&mut self, index: &Index, count: f64) {
        let into = if index.global { &mut self.global } else { &mut self.local };
        into.insert(index.name.clone(), count);
    }

    /// As it is asked of a transaction, which tells reads and writes apart.
    pub(crate) fn answer_transaction(
        self,
        table: &str,
        asked: Option<&str>,
        kind: Transaction,
    ) -> Option<ConsumedCapacity> {
        let mut answer = self.answer(table, asked)?;
        let told = |units, read: &mut Option<f64>, write: &mut Option<f64>| match kind {
            Transaction::Reads => *read = units,
            Transaction::Writes => *write = units,
        };
        told(answer.capacity_units, &mut answer.read_capacity_units, &mut answer.write_capacity_units);
        let indexes = [&mut answer.local_secondary_indexes, &mut answer.global_secondary_indexes];
        for one in answer.table.iter_mut().chain(indexes.into_iter().flatten().flat_map(BTreeMap::values_mut)) {
            told(one.capacity_units, &mut one.read_capacity_units, &mut one.write_capacity_units);
        }
        Some(answer)
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

/// What a transaction does with its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transaction {
    Reads,
    Writes,
}

/// Half a unit per block for eventually consistent reads, two for transactions.
pub(crate) fn read_factor(consistent: Option<bool>) -> f64 {
    if consistent == Some(true) { 1.0 } else { 0.5 }
}

/// Blocks that a read of so many bytes counts.
pub(crate) fn read_blocks(bytes: usize) -> f64 {
    blocks(bytes, READ_UNIT)
}

fn blocks(bytes: usize, unit: usize) -> f64 {
    let blocks = u32::try_from(bytes.div_ceil(unit).max(1)).unwrap_or(u32::MAX);
    f64::from(blocks)
}

/// How much a partition of a table with local indexes holds, as a range of gigabytes; none for other tables. It is an estimate: a partition can
/// hold gigabytes, which are read piece by piece and beside other writes, not in one of them.
pub(crate) async fn collection_metrics(
    store: &Store,
    home: &Home,
    name: &str,
    item: &Item,
) -> Result<Option<ItemCollectionMetrics>, Error> {
    const GIGABYTE: u64 = 1 << 30;
    let Some(table) = store.read(|tx| home.find(tx, name)).await?.filter(|table| table.has_local_indexes()) else {
        return Ok(None);
    };
    let names = &table.key.partition;
    let key: Item = names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect();
    let parts: Vec<_> = key.values().map(key_bytes).collect();
    let local = table.indexes.iter().filter(|index| !index.global).map(|index| table.entries(index));
    let mut bytes = 0_u64;
    for prefix in std::iter::once(table.items()).chain(local) {
        let prefix = join(prefix, &parts, parts.len());
        let mut after = prefix.as_bytes().to_vec();
        loop {
            let records = store.read(|tx| Ok::<_, Error>(tx.scan_after(&prefix, &after, 500)?)).await?;
            let Some((last, _)) = records.last() else { break };
            after.clone_from(last);
            bytes += records.iter().map(|(_, value)| value.len() as u64).sum::<u64>();
            tokio::task::yield_now().await;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few gigabytes at most")]
    let least = (bytes / GIGABYTE) as f64;
    Ok(Some(ItemCollectionMetrics {
        item_collection_key: Some(convert::attributes(key)),
        size_estimate_range_gb: Some(vec![least, least + 1.0]),
    }))
}
