//! Reading in pages: what Query and Scan share.

use store::key::prefix_end;
use store::{Key, Tx};
use wire::Error;

use crate::Invalid;
use crate::capacity::read_blocks;
use crate::expr::{Condition, KeyCondition, SortCondition};
use crate::items;
use crate::table::{Index, Table, join, key_bytes};
use crate::value::{Item, item_size};

/// Most bytes that one page reads.
const PAGE_BYTES: usize = 1024 * 1024;
/// Records taken from the store at once.
const CHUNK: usize = 100;

/// A stretch of the store's keys: `from <= key < to`.
pub(crate) struct Range {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
    /// What the keys of a query's partition begin with.
    partition: Option<Vec<u8>>,
}

pub(crate) struct Request<'a> {
    pub(crate) table: &'a Table,
    pub(crate) index: Option<&'a Index>,
    pub(crate) range: Range,
    pub(crate) reverse: bool,
    pub(crate) limit: Option<usize>,
    pub(crate) filter: Option<&'a Condition>,
    /// Take the whole item from the table, as a local index does for what it does not keep.
    pub(crate) whole: bool,
}

/// What was read; `last` is set when there may be more.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    pub(crate) scanned: usize,
    pub(crate) bytes: usize,
    /// Bytes of items that were taken whole from the table, each rounded up to what a read counts.
    pub(crate) fetched: f64,
    /// The same bytes as they are: a page is as large as what it reads.
    fetched_bytes: usize,
    pub(crate) last: Option<Item>,
}

impl Range {
    /// All that a key condition lets through.
    pub(crate) fn of_query(table: &Table, index: Option<&Index>, condition: &KeyCondition) -> Self {
        let prefix = index.map_or_else(|| table.items(), |index| table.entries(index));
        let parts: Vec<_> = condition.partition.iter().chain(&condition.sort_prefix).map(key_bytes).collect();
        let all = join(prefix, &parts, condition.partition.len());
        let start = |key: &Key| key.as_bytes().to_vec();
        let end = |key: &Key| prefix_end(key.as_bytes());
        let at = |value| all.clone().push(key_bytes(value));
        let (from, to) = match &condition.sort {
            None => (start(&all), end(&all)),
            Some(SortCondition::Equal(value)) => (start(&at(value)), end(&at(value))),
            Some(SortCondition::Less(value)) => (start(&all), Some(start(&at(value)))),
            Some(SortCondition::LessOrEqual(value)) => (start(&all), end(&at(value))),
            Some(SortCondition::Greater(value)) => (end(&at(value)).unwrap_or_default(), end(&all)),
            Some(SortCondition::GreaterOrEqual(value)) => (start(&at(value)), end(&all)),
            Some(SortCondition::Between(low, high)) => (start(&at(low)), end(&at(high))),
            Some(SortCondition::BeginsWith(value)) => {
                // Without the two bytes that end the part.
                let mut prefix = start(&at(value));
                prefix.truncate(prefix.len() - 2);
                let to = prefix_end(&prefix);
                (prefix, to)
            }
        };
        Self { from, to, partition: Some(start(&all)) }
    }

    /// All items or entries, or one segment of them.
    pub(crate) fn of_scan(table: &Table, index: Option<&Index>, segment: Option<(u32, u32)>) -> Self {
        let prefix = index.map_or_else(|| table.items(), |index| table.entries(index));
        let Some((segment, total)) = segment else {
            return Self { from: prefix.as_bytes().to_vec(), to: prefix_end(prefix.as_bytes()), partition: None };
        };
        let bound = |number: u32| {
            let hash = (u64::from(number) << 32) / u64::from(total);
            u32::try_from(hash).ok().map(|hash| prefix.clone().push(hash.to_be_bytes()).into_bytes())
        };
        Self {
            from: bound(segment).unwrap_or_default(),
            to: bound(segment + 1).or_else(|| prefix_end(prefix.as_bytes())),
            partition: None,
        }
    }

    /// Leaves out all up to and with the place that `ExclusiveStartKey` names.
    pub(crate) fn after(
        &mut self,
        table: &Table,
        index: Option<&Index>,
        start: &Item,
        reverse: bool,
    ) -> Result<(), Invalid> {
        let invalid = || Invalid::new("The provided starting key is invalid");
        for name in table.key.names().chain(index.into_iter().flat_map(|index| index.key.names())) {
            if start.get(name).is_some_and(|value| value.length() == Some(0)) {
                return Err(Invalid::new(format!(
                    "The provided starting key is invalid: One or more parameter values are not valid. The \
                     AttributeValue for a key attribute cannot contain an empty string value. Key: {name}"
                )));
            }
        }
        let mut names: Vec<&str> = table.key.names().chain(index.into_iter().flat_map(|i| i.key.names())).collect();
        names.sort_unstable();
        names.dedup();
        let types_fit = names.iter().all(|name| {
            start.get(*name).is_some_and(|value| table.attributes.get(*name).is_some_and(|t| t == value.type_name()))
        });
        if start.len() != names.len() || !types_fit {
            return Err(if index.is_none() && start.len() == names.len() {
                Invalid::new("The provided starting key is invalid: The provided key element does not match the schema")
            } else {
                invalid()
            });
        }
        let key = match index {
            None => table.key_of(start).map_err(|_| invalid())?,
            Some(index) => table.entry_key(index, start).ok_or_else(invalid)?,
        };
        let mut key = key.into_bytes();
        let outside = key < self.from || self.to.as_ref().is_some_and(|to| key >= *to);
        if outside {
            // Of the partition that is asked for, it is the sort key's condition that it does not meet.
            let within = self.partition.as_ref().is_some_and(|partition| key.starts_with(partition));
            return Err(Invalid::new(if within {
                "The provided starting key does not match the range key predicate"
            } else {
                "The provided starting key is outside query boundaries based on provided conditions"
            }));
        }
        if reverse {
            self.to = Some(key);
        } else {
            key.push(0);
            self.from = key;
        }
        Ok(())
    }
}

pub(crate) fn page(tx: &mut Tx<'_>, mut request: Request<'_>) -> Result<Page, Error> {
    let mut page = Page::default();
    loop {
        let chunk = request.limit.map_or(CHUNK, |limit| (limit - page.scanned).clamp(1, CHUNK));
        let records = tx.scan(&request.range.from, request.range.to.as_deref(), chunk, request.reverse)?;
        let complete = records.len() < chunk;
        for (key, bytes) in records {
            if request.reverse {
                request.range.to = Some(key.clone());
            } else {
                request.range.from.clone_from(&key);
                request.range.from.push(0);
            }
            let mut item: Item = store::kv::decode(&key, &bytes)?;
            page.scanned += 1;
            page.bytes += item_size(&item);
            let place = request.table.place(request.index, &item);
            if request.whole
                && let Some(found) = items::get(tx, &request.table.key_of(&item)?)?
            {
                page.fetched += read_blocks(item_size(&found));
                page.fetched_bytes += item_size(&found);
                item = found;
            }
            if request.filter.is_none_or(|filter| filter.holds(&item)) {
                page.items.push(item);
            }
            if request.limit == Some(page.scanned) || page.bytes.max(page.fetched_bytes) >= PAGE_BYTES {
                page.last = Some(place);
                return Ok(page);
            }
        }
        if complete {
            return Ok(page);
        }
    }
}
