//! Tables and their indexes as records, and how an item's keys become keys of the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use store::{Key, Tx};
use wire::Error;

use crate::Invalid;
use crate::backups::Snapshot;
use crate::backups::recovery::Recovery;
use crate::backups::restore::Origin;
use crate::throttle::Limits;
use crate::value::{Item, Value};

/// A table as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Version of the record's form.
    pub(crate) version: u32,
    /// Names the table's data: a table made again under the same name is another.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) created_ms: i64,
    /// Types of the key attributes: `S`, `N` or `B`.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) key: KeySchema,
    pub(crate) billing: Billing,
    pub(crate) indexes: Vec<Index>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) ttl: Option<String>,
    /// What tells the expiries from those of an earlier time to live, which may still be there; empty on tables of before they were told
    /// apart.
    #[serde(default)]
    pub(crate) ttl_made: String,
    /// A task is noting when the items expire that the table held when its time to live was enabled.
    #[serde(default)]
    pub(crate) ttl_filling: bool,
    pub(crate) deletion_protection: bool,
    pub(crate) class: Option<String>,
    /// The stream that changes go to.
    #[serde(default)]
    pub(crate) stream: Option<TableStream>,
    /// The label of the stream that was last enabled.
    #[serde(default)]
    pub(crate) latest_stream: Option<String>,
    /// When the billing last became that by request.
    #[serde(default)]
    pub(crate) on_demand_since_ms: Option<i64>,
    /// Contributor insights by index; the table's own has no name.
    #[serde(default)]
    pub(crate) insights: BTreeMap<String, Insights>,
    /// Most read and write units on demand.
    #[serde(default)]
    pub(crate) on_demand_limits: Option<(i64, i64)>,
    /// Read and write units that it was asked to be ready for, where that was said. It is, for all.
    #[serde(default)]
    pub(crate) warm: Option<(i64, i64)>,
    /// Copies that are being made of its items.
    #[serde(default)]
    pub(crate) snapshots: Vec<Snapshot>,
    /// Point-in-time recovery, where it is on.
    #[serde(default)]
    pub(crate) recovery: Option<Recovery>,
    /// What it was restored from.
    #[serde(default)]
    pub(crate) origin: Option<Origin>,
    /// Whether it still takes what is imported.
    #[serde(default)]
    pub(crate) importing: bool,
    /// The ARN of the key that it names, see [`crate::encryption`].
    #[serde(default)]
    pub(crate) sse_key: Option<String>,
    /// What it has left of its throughput, where that is limited: of what requests read, see [`crate::throttle`].
    #[serde(skip)]
    pub(crate) limits: Option<Arc<Limits>>,
}

/// The stream of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableStream {
    /// Names the stream's records.
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) view: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Insights {
    pub(crate) enabled: bool,
    pub(crate) mode: Option<String>,
    pub(crate) changed_ms: i64,
}

/// The attributes of a key, in order: one of each kind, of a global index up to four.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeySchema {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) partition: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub(crate) sort: Vec<String>,
}

/// Records of the first form have one name, or none, where there may be several now.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        None,
        One(String),
        Many(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::None => Vec::new(),
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Billing {
    PayPerRequest,
    Provisioned { read: i64, write: i64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) global: bool,
    pub(crate) key: KeySchema,
    pub(crate) projection: Projected,
    pub(crate) throughput: Option<(i64, i64)>,
    #[serde(default)]
    pub(crate) warm: Option<(i64, i64)>,
    /// A task is filling it with what the table held when it was made.
    #[serde(default)]
    pub(crate) backfilling: bool,
    /// What tells it from an earlier index of its name, whose entries may still be there; empty where it was made with its table.
    #[serde(default)]
    pub(crate) made: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Projected {
    All,
    KeysOnly,
    Include(Vec<String>),
}

/// How much a table holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) items: i64,
    pub(crate) bytes: i64,
    /// Entries and their bytes, by index.
    #[serde(default)]
    pub(crate) indexes: BTreeMap<String, (i64, i64)>,
}

pub(crate) const OWNER: &str = "dynamodb";

impl KeySchema {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.partition.iter().chain(&self.sort).map(String::as_str)
    }

    /// Whether it has attributes that only a global index can have.
    pub(crate) fn is_multiple(&self) -> bool {
        self.partition.len() > 1 || self.sort.len() > 1
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }
}

impl Table {
    pub(crate) fn record_key(account: &str, region: &str, name: &str) -> Key {
        Self::records(account, region).push(name)
    }

    /// Where the records of all tables of an account and region are.
    pub(crate) fn records(account: &str, region: &str) -> Key {
        Key::new(OWNER).push("table").push(account).push(region)
    }

    /// Is it still taking what it is restored from, or what is imported?
    pub(crate) fn is_being_made(&self) -> bool {
        self.importing || self.origin.as_ref().is_some_and(|origin| origin.in_progress)
    }

    /// `CREATING` as long as it is restored or imported, `ACTIVE` otherwise.
    pub(crate) fn status(&self) -> &'static str {
        if self.is_being_made() { "CREATING" } else { "ACTIVE" }
    }

    /// Fails for a table that is being made.
    pub(crate) fn may_change(&self) -> Result<(), Error> {
        if self.is_being_made() {
            return Err(api_dynamodb::error::resource_in_use_exception(format!(
                "Attempt to change a resource which is still in use: Table is being created: {}",
                self.name
            )));
        }
        Ok(())
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(Self::record_key(&self.account, &self.region, &self.name), self)?)
    }

    pub(crate) fn contents_key(&self) -> Key {
        Key::new(OWNER).push("contents").push(&self.id)
    }

    pub(crate) fn contents(&self, tx: &mut Tx<'_>) -> Result<Contents, Error> {
        Ok(tx.get_json(self.contents_key())?.unwrap_or_default())
    }

    /// Where the table's items are.
    pub(crate) fn items(&self) -> Key {
        Key::new(OWNER).push("item").push(&self.id)
    }

    /// Where an index's entries are.
    pub(crate) fn entries(&self, index: &Index) -> Key {
        let all = Key::new(OWNER).push("index").push(&self.id);
        if index.made.is_empty() { all.push(&index.name) } else { all.push(format!("{}#{}", index.name, index.made)) }
    }

    /// Where items with an expiry stand, in its order.
    pub(crate) fn expiries(&self) -> Key {
        let all = Key::new(OWNER).push("expiry");
        if self.ttl_made.is_empty() { all.push(&self.id) } else { all.push(format!("{}#{}", self.id, self.ttl_made)) }
    }

    /// Where the second stands that the expiry task is planned for.
    pub(crate) fn next_expiry(&self) -> Key {
        Key::new(OWNER).push("next-expiry").push(&self.id)
    }

    pub(crate) fn index(&self, name: &str) -> Result<&Index, Invalid> {
        self.indexes
            .iter()
            .find(|index| index.name == name)
            .ok_or_else(|| Invalid::new(format!("The table does not have the specified index: {name}")))
    }

    /// The index, to be read.
    pub(crate) fn readable_index(&self, name: &str) -> Result<&Index, Invalid> {
        let index = self.index(name)?;
        if index.backfilling {
            return Err(Invalid::new(format!("Cannot read from backfilling global secondary index: {name}")));
        }
        Ok(index)
    }

    pub(crate) fn has_local_indexes(&self) -> bool {
        self.indexes.iter().any(|index| !index.global)
    }

    /// The key of the item in a `Key` parameter: exactly the key attributes, of the right types.
    pub(crate) fn key_of_parameter(&self, key: &Item) -> Result<Key, Invalid> {
        let exact = key.len() == self.key.names().count() && self.key.names().all(|name| self.has_type(key, name));
        if !exact {
            return Err(Invalid::new("The provided key element does not match the schema"));
        }
        self.key_of(key)
    }

    /// The key of a whole item.
    pub(crate) fn key_of(&self, item: &Item) -> Result<Key, Invalid> {
        let mut parts = Vec::new();
        for name in self.key.names() {
            let value = item.get(name).ok_or_else(|| {
                Invalid::new(format!("One or more parameter values were invalid: Missing the key {name} in the item"))
            })?;
            let expected = self.attributes.get(name).map_or("S", String::as_str);
            if value.type_name() != expected {
                return Err(Invalid::new(format!(
                    "One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} \
                     actual: {}",
                    value.type_name()
                )));
            }
            if value.length() == Some(0) {
                let what = if expected == "B" { "binary" } else { "string" };
                return Err(Invalid::new(format!(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain \
                     an empty {what} value. Key: {name}"
                )));
            }
            check_length(value, parts.is_empty())?;
            parts.push(key_bytes(value));
        }
        Ok(join(self.items(), &parts, 1))
    }

    /// Fails when an attribute that an index is keyed by has a type or value that no key can have.
    pub(crate) fn check_index_keys(&self, item: &Item, updated: bool) -> Result<(), Invalid> {
        for index in &self.indexes {
            for name in index.key.names() {
                let Some(value) = item.get(name).filter(|_| !self.key.contains(name)) else { continue };
                let expected = self.attributes.get(name).map_or("S", String::as_str);
                if value.type_name() != expected && updated {
                    return Err(Invalid::new(
                        "The update expression attempted to update the secondary index key to unsupported type",
                    ));
                }
                if value.type_name() != expected {
                    return Err(Invalid::new(format!(
                        "One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: \
                         {expected} Actual: {} IndexName: {}",
                        value.type_name(),
                        index.name
                    )));
                }
                if value.length() == Some(0) {
                    let what = if expected == "B" { "binary" } else { "string" };
                    if updated {
                        return Err(Invalid::new(format!(
                            "The update expression attempted to update the secondary index key to a value that is not \
                             supported. The AttributeValue for a key attribute cannot contain an empty {what} value."
                        )));
                    }
                    return Err(Invalid::new(format!(
                        "One or more parameter values are not valid. A value specified for a secondary index key is \
                         not supported. The AttributeValue for a key attribute cannot contain an empty {what} value. \
                         IndexName: {}, IndexKey: {name}",
                        index.name
                    )));
                }
                check_length(value, index.key.partition.iter().any(|own| own == name))?;
            }
        }
        Ok(())
    }

    /// The key of the item's entry in an index; none when the item lacks one of the index's attributes, or has one that no key can
    /// have: items of before the index may.
    pub(crate) fn entry_key(&self, index: &Index, item: &Item) -> Option<Key> {
        let part = |name: &str| {
            let value = item.get(name).filter(|value| value.length() != Some(0))?;
            let most = if index.key.sort.iter().any(|own| own == name) { MAX_SORT_BYTES } else { MAX_PARTITION_BYTES };
            (self.has_type(item, name) && value.size() <= most).then(|| key_bytes(value))
        };
        let parts: Option<Vec<_>> = index.key.names().chain(self.key.names()).map(part).collect();
        Some(join(self.entries(index), &parts?, index.key.partition.len()))
    }

    /// What an index keeps of an item.
    pub(crate) fn projected(&self, index: &Index, item: &Item) -> Item {
        let also = match &index.projection {
            Projected::All => return item.clone(),
            Projected::KeysOnly => &[][..],
            Projected::Include(names) => names,
        };
        let keep = |name: &str| self.key.contains(name) || index.key.contains(name) || also.iter().any(|n| n == name);
        item.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether an index keeps the attribute.
    pub(crate) fn projects(&self, index: &Index, name: &str) -> bool {
        match &index.projection {
            Projected::All => true,
            Projected::KeysOnly => self.key.contains(name) || index.key.contains(name),
            Projected::Include(names) => {
                self.key.contains(name) || index.key.contains(name) || names.iter().any(|own| own == name)
            }
        }
    }

    /// The attributes that name an item's place in the table, and in the index if one is read.
    pub(crate) fn place(&self, index: Option<&Index>, item: &Item) -> Item {
        let index_names = index.into_iter().flat_map(|index| index.key.names());
        self.key
            .names()
            .chain(index_names)
            .filter_map(|name| Some((name.to_owned(), item.get(name)?.clone())))
            .collect()
    }

    fn has_type(&self, item: &Item, name: &str) -> bool {
        item.get(name).is_some_and(|value| self.attributes.get(name).is_some_and(|kind| kind == value.type_name()))
    }
}

const MAX_PARTITION_BYTES: usize = 2048;
const MAX_SORT_BYTES: usize = 1024;

fn check_length(value: &Value, partition: bool) -> Result<(), Invalid> {
    if partition && value.size() > MAX_PARTITION_BYTES {
        return Err(Invalid::new(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ));
    }
    if !partition && value.size() > MAX_SORT_BYTES {
        return Err(Invalid::new(
            "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit \
             of 1024 bytes",
        ));
    }
    Ok(())
}

/// Bytes that sort as the values of a key attribute do.
pub(crate) fn key_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::S(text) => text.as_bytes().to_vec(),
        Value::B(bytes) => bytes.clone(),
        Value::N(number) => number.key_bytes(),
        // Types were checked before; nothing else is ever a key.
        _ => Vec::new(),
    }
}

/// Below `prefix`: a hash of the partition key, which spreads segments of a scan, then the parts, the first `partition` of which are
/// the partition key.
pub(crate) fn join(prefix: Key, parts: &[Vec<u8>], partition: usize) -> Key {
    let hash = match &parts[..partition.min(parts.len())] {
        [] => 0,
        [one] => hash(one),
        several => hash(several.iter().fold(Key::new(""), Key::push).as_bytes()),
    };
    parts.iter().fold(prefix.push(hash.to_be_bytes()), Key::push)
}

/// FNV-1a, folded to 32 bits: stable for ever, as it is part of stored keys.
fn hash(bytes: &[u8]) -> u32 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
    let folded = (hash >> 32) as u32 ^ hash as u32;
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_schemas_of_the_first_form_are_read() {
        let read = |text| serde_json::from_str::<KeySchema>(text).unwrap();
        assert_eq!(read(r#"{"partition":"a","sort":null}"#), read(r#"{"partition":["a"],"sort":[]}"#));
        assert_eq!(read(r#"{"partition":"a","sort":"b"}"#), read(r#"{"partition":["a"],"sort":["b"]}"#));
    }
}
