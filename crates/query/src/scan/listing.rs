//! Which objects belong to which partition: one listing for many partitions that lie together, else one for each,
//! several at a time. Where a partition's objects are lists of files (Hive's symlinks), the files that they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, ObjectMeta, ObjectStore};

use super::layout::Layout;
use crate::catalog::{Partition, StorageDescriptor, Table};
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};

/// Hive's name for a null partition value.
pub(crate) const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Up to this many partitions are listed one by one even if they lie together: what lies between them may be more.
const FEW: usize = 16;
const LISTINGS_AT_ONCE: usize = 16;

/// What a partition's own parameters may say that its reader asks for.
pub(crate) const LINE_COUNTS: [&str; 2] = ["skip.header.line.count", "skip.footer.line.count"];

/// A file that a scan reads, with the values that are the same in all its rows.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    pub(crate) bucket: String,
    pub(crate) meta: ObjectMeta,
    pub(crate) constants: Vec<ScalarValue>,
    pub(crate) layout: Arc<Layout>,
}

/// Where a partition's files lie.
#[derive(Debug, Clone)]
pub(crate) struct PartitionPlace {
    pub(crate) location: Location,
    pub(crate) values: Vec<String>,
    /// The values in the types of their keys; decoded when they are wanted.
    pub(crate) decoded: Option<Vec<ScalarValue>>,
    /// `k=v/k2=v2`
    pub(crate) name: String,
    /// What the partition says of its files, if that is not what the table says.
    pub(crate) storage: Option<Box<StorageDescriptor>>,
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
        let own = partition.storage_descriptor.as_ref().and_then(|storage| storage.location.as_deref());
        let location = match own.filter(|location| !location.is_empty()) {
            Some(url) => Location::parse(url)?,
            None => Location { bucket: root.bucket.clone(), key: format!("{}/{name}", root.key.trim_end_matches('/')) },
        };
        let storage = partition.storage_descriptor.filter(|storage| differs(storage, table)).map(Box::new);
        Ok(Self { location, values: partition.values, decoded: None, name, storage })
    }
}

/// Whether a partition is read otherwise than its table.
pub(crate) fn differs(storage: &StorageDescriptor, table: &Table) -> bool {
    let Some(of_table) = &table.storage_descriptor else { return true };
    let columns = |storage: &StorageDescriptor| -> Vec<(String, String)> {
        storage.columns.iter().map(|column| (column.name.to_lowercase(), column.ty.to_lowercase())).collect()
    };
    let lines = |storage: &StorageDescriptor, key: &str| {
        storage.parameters.get(key).or_else(|| table.parameters.get(key)).cloned()
    };
    let serde = |storage: &StorageDescriptor| {
        let mut serde = storage.serde_info.clone().unwrap_or_default();
        // The keys that a crawler saw in a partition's JSON: no reader asks for them.
        serde.parameters.remove("paths");
        serde
    };
    let (own, known) = (serde(storage), serde(of_table));
    (!storage.columns.is_empty() && columns(storage) != columns(of_table))
        || (own.serialization_library.is_some() && own.serialization_library != known.serialization_library)
        || (own.serialization_library.is_some() && own.parameters != known.parameters)
        || (storage.input_format.is_some() && storage.input_format != of_table.input_format)
        || LINE_COUNTS.iter().any(|key| lines(storage, key) != lines(of_table, key))
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
            let mut folders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (index, key) in places {
                folders.entry(key).or_default().push(index);
            }
            for meta in objects(store.as_ref(), bucket, &common).await? {
                for index in owners(&folders, meta.location.as_ref()) {
                    found.push((index, bucket.to_owned(), meta.clone()));
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

/// The places whose file it is, each as if it were listed alone: several may lie at one folder, or one within another's.
fn owners(folders: &BTreeMap<&str, Vec<usize>>, key: &str) -> Vec<usize> {
    let ends = key.rmatch_indices('/').map(|(end, _)| end);
    let within = ends.filter(|end| is_data(&key[*end..])).filter_map(|end| folders.get(&key[..end]));
    within.flatten().copied().collect()
}

/// The files that lists name: one location a line, each an object of any bucket.
pub(crate) async fn follow(storage: &Storage, bucket: &str, list: &ObjectMeta) -> Result<Vec<(String, ObjectMeta)>> {
    let path = format!("s3://{bucket}/{}", list.location);
    let body = storage.bucket(bucket)?.get_opts(&list.location, GetOptions::default()).await?.bytes().await?;
    let text = std::str::from_utf8(&body).map_err(|_| Error::cannot_open(&path, "a list of files is not text"))?;
    let named: Vec<Location> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            Location::parse(line).map_err(|_| Error::cannot_open(&path, format_args!("'{line}' is no S3 location")))
        })
        .collect::<Result<_>>()?;
    let found = named.into_iter().map(|location| async move {
        let store = storage.bucket(&location.bucket)?;
        let head = GetOptions { head: true, ..GetOptions::default() };
        Ok::<_, Error>((location.bucket.clone(), store.get_opts(&location.path()?, head).await?.meta))
    });
    futures::stream::iter(found).buffered(LISTINGS_AT_ONCE).try_collect().await
}

async fn list(store: &dyn ObjectStore, bucket: &str, folder: &str) -> Result<Vec<ObjectMeta>> {
    let skip = Location { bucket: bucket.to_owned(), key: folder.to_owned() }.path()?.as_ref().len();
    let mut all = objects(store, bucket, folder).await?;
    all.retain(|meta| is_data(&meta.location.as_ref()[skip.min(meta.location.as_ref().len())..]));
    Ok(all)
}

/// All below a folder that has bytes.
async fn objects(store: &dyn ObjectStore, bucket: &str, folder: &str) -> Result<Vec<ObjectMeta>> {
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
    Ok(metas.into_iter().filter(|meta| meta.size > 0).collect())
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
    fn each_place_has_what_it_would_have_alone() {
        let folders = BTreeMap::from([("a", vec![0]), ("a/b", vec![1, 2]), ("a/_c", vec![3])]);
        assert_eq!(owners(&folders, "a/x"), [0]);
        assert_eq!(owners(&folders, "a/b/c/x"), [1, 2, 0]);
        assert_eq!(owners(&folders, "a/b/_x"), [0; 0]);
        assert_eq!(owners(&folders, "a/_c/x"), [3]);
        assert_eq!(owners(&folders, "c/x"), [0; 0]);
    }
}
