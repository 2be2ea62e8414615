//! Metadata files in S3, read and written with the caller's rights, and all the files that a table has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Cursor, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use api_s3::{
    Delete, DeleteObjects, DeleteObjectsRequest, GetObject, GetObjectRequest, ObjectIdentifier, PutObject,
    PutObjectRequest,
};
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow_avro::reader::{ReaderBuilder, read_header_info};
use arrow_avro::schema::AvroSchema;
use bytes::Bytes;
use serde_json::Value;
use service::Cx;
use wire::Error;

use super::bad;
use super::metadata::TableMetadata;

/// Keys that one request deletes.
const AT_ONCE: usize = 1000;

/// A location as tables have it: in S3, without a slash at its end.
pub(crate) fn checked(location: &str) -> Result<String, Error> {
    let location = location.trim_end_matches('/');
    match place(location) {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(location.to_owned()),
        _ => Err(bad(format_args!("Invalid location: '{location}' is no folder in S3 (s3://bucket/path)"))),
    }
}

/// A place for tables, which may be a whole bucket.
pub(crate) fn folder(location: &str) -> Result<String, Error> {
    let location = location.trim_end_matches('/');
    match place(&format!("{location}/")) {
        Some((bucket, _)) if !bucket.is_empty() => Ok(location.to_owned()),
        _ => Err(bad(format_args!("Invalid location: '{location}' is not in S3 (s3://bucket/path)"))),
    }
}

/// Bucket and key; Hadoop has names of its own for the scheme.
pub(crate) fn place(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (bucket, key) = rest.split_once('/')?;
    ["s3", "s3a", "s3n"].contains(&scheme).then(|| (bucket.to_owned(), key.to_owned()))
}

/// Where the next metadata file goes. Its number is one more than that of the file before.
pub(crate) fn next_place(metadata: &TableMetadata, previous: Option<&str>, uuid: &str) -> Result<String, Error> {
    let number = previous
        .and_then(|place| place.rsplit('/').next())
        .and_then(|name| name.split(['-', '.']).next())
        .and_then(|number| number.trim_start_matches('v').parse::<u64>().ok())
        .map_or(0, |number| number + 1);
    let own = |name: &str| metadata.properties.get(name).map(String::as_str);
    let folder = match own("write.metadata.path") {
        Some(path) => checked(path)?,
        None => format!("{}/metadata", metadata.location.trim_end_matches('/')),
    };
    let packed = if is_packed(metadata)? { ".gz" } else { "" };
    Ok(format!("{folder}/{number:05}-{uuid}{packed}.metadata.json"))
}

/// Source: Iceberg's `TableProperties`, `write.metadata.compression-codec`.
fn is_packed(metadata: &TableMetadata) -> Result<bool, Error> {
    match metadata.properties.get("write.metadata.compression-codec").map(|codec| codec.to_lowercase()).as_deref() {
        None | Some("none") => Ok(false),
        Some("gzip") => Ok(true),
        Some(other) => Err(bad(format_args!("Invalid write.metadata.compression-codec: {other}"))),
    }
}

pub(crate) async fn read(cx: &Cx, url: &str) -> Result<Bytes, Error> {
    let (bucket, key) = place(url).ok_or_else(|| bad(format_args!("{url} is not in S3")))?;
    let found = Box::pin(cx.call::<GetObject>(GetObjectRequest { bucket, key, ..GetObjectRequest::default() })).await;
    match found {
        Ok(object) => Ok(object.body.unwrap_or_default().0),
        Err(error) if error.is("NoSuchKey") || error.is("NoSuchBucket") => {
            Err(bad(format_args!("Failed to open input stream for file: {url} ({})", error.code())))
        }
        // It is larger than any metadata.
        Err(error) if error.is("InvalidRequest") => {
            Err(bad(format_args!("Failed to read file: {url} ({})", error.message())))
        }
        Err(error) => Err(error),
    }
}

pub(crate) async fn write(cx: &Cx, url: &str, metadata: &TableMetadata) -> Result<(), Error> {
    let (bucket, key) = place(url).ok_or_else(|| bad(format_args!("{url} is not in S3")))?;
    let mut bytes = serde_json::to_vec(&metadata.to_json()?).map_err(Error::internal)?;
    if is_packed(metadata)? {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(&bytes).map_err(Error::internal)?;
        bytes = packer.finish().map_err(Error::internal)?;
    }
    let request = PutObjectRequest { bucket, key, body: Some(wire::Blob(bytes.into())), ..PutObjectRequest::default() };
    match Box::pin(cx.call::<PutObject>(request)).await {
        Ok(_) => Ok(()),
        Err(error) if error.is("NoSuchBucket") => {
            Err(bad(format_args!("Cannot write {url}: the bucket does not exist")))
        }
        Err(error) => Err(error),
    }
}

/// Deletes files; those that are gone already count as deleted.
pub(crate) async fn delete(cx: &Cx, urls: impl IntoIterator<Item = String>) -> Result<(), Error> {
    let mut buckets: BTreeMap<String, Vec<ObjectIdentifier>> = BTreeMap::new();
    for (bucket, key) in urls.into_iter().filter_map(|url| place(&url)) {
        buckets.entry(bucket).or_default().push(ObjectIdentifier { key, ..ObjectIdentifier::default() });
    }
    for (bucket, keys) in buckets {
        for objects in keys.chunks(AT_ONCE) {
            let delete = Delete { objects: objects.to_vec(), quiet: Some(true) };
            let request = DeleteObjectsRequest { bucket: bucket.clone(), delete, ..DeleteObjectsRequest::default() };
            let answer = Box::pin(cx.call::<DeleteObjects>(request)).await?;
            if let Some(failed) = answer.errors.unwrap_or_default().into_iter().next() {
                let (code, message) = (failed.code.unwrap_or_default(), failed.message.unwrap_or_default());
                let key = failed.key.unwrap_or_default();
                let status = if code == "AccessDenied" { 403 } else { 400 };
                return Err(Error::new(code, status, format!("s3://{bucket}/{key} could not be deleted: {message}")));
            }
        }
    }
    Ok(())
}

/// Of these files those below a table's folder: what else its metadata names is somebody else's for all that is known here.
pub(crate) fn below(location: &str, urls: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let Some((bucket, folder)) = place(location) else { return BTreeSet::new() };
    let folder = format!("{}/", folder.trim_end_matches('/'));
    let is_below = |url: &String| {
        place(url).is_some_and(|(b, key)| {
            let rest = key.strip_prefix(&folder);
            b == bucket && folder != "/" && rest.is_some_and(|rest| !rest.split('/').any(|part| part == ".."))
        })
    };
    urls.into_iter().filter(is_below).collect()
}

/// All files that a table's metadata and its snapshots name. With `gc.enabled` off, data files may be another table's, too.
pub(crate) async fn reachable(cx: &Cx, metadata: &TableMetadata, place: &str) -> Result<BTreeSet<String>, Error> {
    let with_data = metadata.properties.get("gc.enabled").is_none_or(|text| !text.eq_ignore_ascii_case("false"));
    let mut all = BTreeSet::from([place.to_owned()]);
    all.extend(metadata.metadata_log.iter().map(|entry| entry.metadata_file.clone()));
    for one in metadata.statistics.iter().chain(&metadata.partition_statistics) {
        all.extend(one["statistics-path"].as_str().map(str::to_owned));
    }
    for list in metadata.snapshots.iter().filter_map(|snapshot| snapshot.manifest_list.as_ref()) {
        if !all.insert(list.clone()) {
            continue;
        }
        for manifest in paths(read(cx, list).await?, list, &["manifest_path"])? {
            if all.insert(manifest.clone()) && with_data {
                all.extend(paths(read(cx, &manifest).await?, &manifest, &["data_file", "file_path"])?);
            }
        }
    }
    Ok(all)
}

/// One text member of all records of an Avro file.
fn paths(bytes: Bytes, url: &str, member: &[&str]) -> Result<Vec<String>, Error> {
    // The library gives up on some broken files by panicking.
    catch_unwind(AssertUnwindSafe(|| paths_in(bytes, url, member)))
        .unwrap_or_else(|_| Err(bad(format_args!("{url} cannot be read: the file is broken"))))
}

fn paths_in(bytes: Bytes, url: &str, member: &[&str]) -> Result<Vec<String>, Error> {
    let wrong = |error: &dyn std::fmt::Display| bad(format_args!("{url} cannot be read: {error}"));
    let header = read_header_info(BufReader::new(Cursor::new(&bytes))).and_then(|header| header.writer_schema());
    let mut schema: Value =
        serde_json::from_str(&header.map_err(|error| wrong(&error))?.json_string).map_err(|error| wrong(&error))?;
    only(&mut schema, member);
    let reader = ReaderBuilder::new()
        .with_reader_schema(AvroSchema::new(schema.to_string()))
        .build(BufReader::new(Cursor::new(bytes)))
        .map_err(|error| wrong(&error))?;
    let mut all = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| wrong(&error))?;
        let column = at(&batch, member).ok_or_else(|| wrong(&format_args!("it has no {}", member.join("."))))?;
        let text = column.as_string_opt::<i32>().ok_or_else(|| wrong(&"its paths are no texts"))?;
        all.extend(text.iter().flatten().map(str::to_owned));
    }
    Ok(all)
}

/// Leaves of a record's schema the way to one member.
fn only(schema: &mut Value, member: &[&str]) {
    let Some((first, rest)) = member.split_first() else { return };
    if let Some(fields) = schema["fields"].as_array_mut() {
        fields.retain(|field| field["name"] == **first);
        for field in fields {
            only(&mut field["type"], rest);
        }
    }
}

fn at(batch: &RecordBatch, member: &[&str]) -> Option<ArrayRef> {
    let (first, rest) = member.split_first()?;
    let mut column = batch.column_by_name(first)?.clone();
    for name in rest {
        column = column.as_struct_opt()?.column_by_name(name)?.clone();
    }
    Some(column)
}

#[cfg(test)]
mod tests {
    use super::{below, checked, place};

    #[test]
    fn a_tables_files_are_below_its_folder() {
        let mine = ["s3://b/t/data/x", "s3a://b/t/metadata/y"];
        let others = ["s3://b/t2/x", "s3://b/t", "s3://c/t/x", "s3://b/t/../x", "file:///b/t/x", "b/t/x"];
        let kept = below("s3://b/t/", mine.into_iter().chain(others).map(str::to_owned));
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), mine);
        assert!(below("s3://b/", ["s3://b/x".to_owned()]).is_empty());
    }

    #[test]
    fn tables_are_in_folders_of_s3() {
        assert_eq!(checked("s3://b/t/").unwrap(), "s3://b/t");
        assert_eq!(place("s3a://b/t/x"), Some(("b".to_owned(), "t/x".to_owned())));
        for wrong in ["s3://b", "s3://b/", "file:///t", "/t", "", "s3:///t"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
