//! Which objects belong to which partition: one listing for many partitions that lie together, else one for each,
//! several at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use crate::catalog::{Partition, Table};
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};

/// Hive's name for a null partition value.
pub(crate) const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Up to this many partitions are listed one by one even if they lie together.
const FEW: usize = 4;
const LISTINGS_AT_ONCE: usize = 16;

/// A file that a scan reads, with the values that are the same in all its rows.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    pub(crate) bucket: String,
    pub(crate) meta: ObjectMeta,
    pub(crate) constants: Vec<ScalarValue>,
}

/// Where a partition's files lie.
#[derive(Debug, Clone)]
pub(crate) struct PartitionPlace {
    pub(crate) location: Location,
    pub(crate) values: Vec<String>,
    /// `k=v/k2=v2`
    pub(crate) name: String,
}

impl PartitionPlace {
    pub(crate) fn of(table: &Table, root: &Location, partition: Partition) -> Result<Self> {
        let keys = &table.partition_keys;
        if partition.values.len() != keys.len() {
            return Err(Error::metastore(format_args!(
                "Table {} has {} partition keys, a partition has {} values",
                table.name,
                keys.len(),
                partition.values.len()
            )));
        }
        let pairs: Vec<_> =
            keys.iter().zip(&partition.values).map(|(key, value)| format!("{}={value}", key.name)).collect();
        let name = pairs.join("/");
        let own =
            partition.storage_descriptor.and_then(|storage| storage.location).filter(|location| !location.is_empty());
        let location = match own {
            Some(url) => Location::parse(&url)?,
            None => Location { bucket: root.bucket.clone(), key: format!("{}/{name}", root.key.trim_end_matches('/')) },
        };
        Ok(Self { location, values: partition.values, name })
    }
}

pub(crate) fn decode_partition_value(field: &Field, text: &str) -> Result<ScalarValue> {
    if text == NULL_PARTITION {
        return ScalarValue::try_from(field.data_type()).map_err(Error::from);
    }
    let value = match field.data_type() {
        DataType::Utf8 => Ok(ScalarValue::Utf8(Some(text.to_owned()))),
        ty => ScalarValue::try_from_string(text.to_owned(), ty),
    };
    value.map_err(|_| {
        Error::user(
            1104,
            "HIVE_INVALID_PARTITION_VALUE",
            format_args!(
                "Invalid partition value '{text}' for {} partition key: {}",
                crate::types::trino_type(field).to_uppercase(),
                field.name()
            ),
        )
    })
}

/// All data files under the places, each with the index of its place, in the order of places and keys.
pub(crate) async fn list_under<'a>(
    storage: &Storage,
    places: impl Iterator<Item = &'a PartitionPlace>,
) -> Result<Vec<(usize, String, ObjectMeta)>> {
    let mut by_bucket: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    for (index, place) in places.enumerate() {
        by_bucket.entry(&place.location.bucket).or_default().push((index, place.location.key.trim_end_matches('/')));
    }
    let mut found = Vec::new();
    for (bucket, places) in by_bucket {
        let store = storage.bucket(bucket)?;
        let common = common_folder(places.iter().map(|(_, key)| *key));
        if places.len() > FEW && !common.is_empty() {
            let folders: BTreeMap<&str, usize> = places.iter().map(|(index, key)| (*key, *index)).collect();
            for meta in list(store.as_ref(), bucket, &common).await? {
                if let Some(index) = owner(&folders, meta.location.as_ref()) {
                    found.push((index, bucket.to_owned(), meta));
                }
            }
        } else {
            let mut listings = Vec::new();
            for (index, key) in places {
                let (store, bucket, key) = (Arc::clone(&store), bucket.to_owned(), key.to_owned());
                listings.push(async move { Ok::<_, Error>((index, list(store.as_ref(), &bucket, &key).await?)) });
            }
            let listings: Vec<_> = futures::stream::iter(listings).buffered(LISTINGS_AT_ONCE).try_collect().await?;
            for (index, metas) in listings {
                found.extend(metas.into_iter().map(|meta| (index, bucket.to_owned(), meta)));
            }
        }
    }
    found.sort_by(|a, b| (a.0, &a.2.location).cmp(&(b.0, &b.2.location)));
    Ok(found)
}

/// The innermost folder of `folders` that holds the key.
fn owner(folders: &BTreeMap<&str, usize>, key: &str) -> Option<usize> {
    let mut end = key.rfind('/')?;
    loop {
        if let Some(index) = folders.get(&key[..end]) {
            return Some(*index);
        }
        end = key[..end].rfind('/')?;
    }
}

async fn list(store: &dyn ObjectStore, bucket: &str, folder: &str) -> Result<Vec<ObjectMeta>> {
    let location = Location { bucket: bucket.to_owned(), key: folder.to_owned() };
    let prefix = location.path()?;
    let metas: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await.map_err(|error| match error {
        // Listing knows no missing key, so this is the bucket.
        object_store::Error::NotFound { .. } => Error::user(
            1109,
            "HIVE_METASTORE_ERROR",
            format_args!("The S3 location provided to save your query results or read your data is invalid: bucket {bucket} does not exist"),
        ),
        other => other.into(),
    })?;
    let skip = prefix.as_ref().len();
    Ok(metas
        .into_iter()
        .filter(|meta| meta.size > 0 && is_data(&meta.location.as_ref()[skip.min(meta.location.as_ref().len())..]))
        .collect())
}

/// Whether no part of the path below the table is hidden: `_SUCCESS`, `.crc`, `_temporary/…`.
fn is_data(below: &str) -> bool {
    below.split('/').all(|part| !part.starts_with(['_', '.'])) && !below.ends_with("_$folder$")
}

/// The longest folder that holds all of them.
fn common_folder<'a>(mut keys: impl Iterator<Item = &'a str>) -> String {
    let Some(first) = keys.next() else { return String::new() };
    let mut common: Vec<&str> = first.split('/').collect();
    for key in keys {
        let same = common.iter().zip(key.split('/')).take_while(|(a, b)| **a == *b).count();
        common.truncate(same);
    }
    common.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_are_no_data() {
        for (path, expected) in [
            ("/a.csv", true),
            ("/_SUCCESS", false),
            ("/.a.crc", false),
            ("/_temporary/0/a", false),
            ("/day=1/a", true),
            ("/year=1_$folder$", false),
        ] {
            assert_eq!(is_data(path), expected, "{path}");
        }
    }

    #[test]
    fn one_folder_holds_all() {
        assert_eq!(common_folder(["a/b/c=1", "a/b/c=2"].into_iter()), "a/b");
        assert_eq!(common_folder(["a/b", "a/bc"].into_iter()), "a");
        assert_eq!(common_folder(["x", "y"].into_iter()), "");
    }

    #[test]
    fn the_innermost_folder_owns_a_file() {
        let folders = BTreeMap::from([("a", 0), ("a/b", 1)]);
        assert_eq!(owner(&folders, "a/x"), Some(0));
        assert_eq!(owner(&folders, "a/b/c/x"), Some(1));
        assert_eq!(owner(&folders, "c/x"), None);
    }
}
