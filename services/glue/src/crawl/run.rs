//! One crawl: list, read samples side by side, classify, group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::classify::{Classifiers, Verdict};
use super::csv;
use super::glob::Exclusions;
use super::grouping::{self, File, Rules};
use super::parquet_file::{self, Footer};
use super::sample;
use super::schema::{FileSchema, Format};
use super::settings::{Request, Target};
use super::tables::{self, Report};
use super::{avro_file, orc_file};

/// Samples read at the same time.
const CONCURRENCY: usize = 32;
const MEGABYTE: u64 = 1 << 20;
/// A JSON record may need as much as this before it ends.
const LONGEST_SAMPLE: u64 = 10 * MEGABYTE;
/// With many siblings each is read less far.
const SIBLING_SAMPLE: u64 = 128 << 10;
const MANY_SIBLINGS: usize = 32;
/// Of more siblings than this, one folder and one extension, a spread of this many is read.
const MOST_SIBLINGS: usize = 256;
/// First read of a Parquet file's end.
const FOOTER_GUESS: u64 = 64 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub size: u64,
}

/// Why a bucket or an object could not be read, in words for the crawl's log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Where the files are: S3, or a map in tests.
#[async_trait]
pub trait Source: Send + Sync {
    /// The object of that very key and all below the folder of that name, in key order; all for an empty prefix.
    async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<Object>, SourceError>;
    /// The bytes `start..end` of an object; `end` is within its size.
    async fn read(&self, bucket: &str, key: &str, start: u64, end: u64) -> Result<Bytes, SourceError>;
}

/// Crawls all targets. Only a target that cannot be listed fails the crawl; a file that cannot be read is logged.
pub async fn run(request: &Request, source: &dyn Source) -> Result<Report, SourceError> {
    let classifiers = Classifiers::new(&request.classifiers).map_err(SourceError)?;
    let mut report = Report::default();
    for target in &request.targets {
        crawl_target(request, target, source, &classifiers, &mut report).await?;
    }
    if let Some(most) = request.table_threshold
        && report.tables.len() > most
    {
        return Err(SourceError(format!(
            "The number of tables detected by crawler: {} is greater than the table threshold value provided: {most}.",
            report.tables.len()
        )));
    }
    Ok(report)
}

async fn crawl_target(
    request: &Request,
    target: &Target,
    source: &dyn Source,
    classifiers: &Classifiers,
    report: &mut Report,
) -> Result<(), SourceError> {
    let folder = target.folder();
    let objects = source.list(&target.bucket, target.prefix.trim_end_matches('/')).await?;
    report.crawled.push(format!("s3://{}/{folder}", target.bucket));
    let (globs, bad) = Exclusions::new(&target.exclusions);
    report.log.extend(bad.iter().map(|p| format!("WARN : Exclusion pattern {p} cannot be read and is ignored")));
    let known: Option<BTreeSet<&str>> = target.known_folders.as_ref().map(|k| k.iter().map(String::as_str).collect());
    // Folders of files that are there and say nothing, or are not asked.
    let mut empty = BTreeSet::new();
    let objects: Vec<Object> = objects
        .into_iter()
        .filter(|object| belongs(target, &folder, &object.key))
        .filter(|object| {
            let relative = object.key.strip_prefix(&folder).unwrap_or(&object.key);
            if hidden(relative) {
                return false;
            }
            let is_excluded = globs.excludes(relative);
            let is_known = known.as_ref().is_some_and(|known| known.contains(parent(&object.key)));
            if is_excluded || !is_known && object.size == 0 {
                empty.insert(parent(&object.key).to_owned());
            }
            !is_excluded && !is_known && object.size > 0
        })
        .collect();
    report.log.push(format!("INFO : Crawling s3://{}/{}: {} objects", target.bucket, target.prefix, objects.len()));
    let picks = pick(&objects, target.sample_size);
    let read = read_all(&target.bucket, &objects, &picks, source, classifiers).await;
    let mut schemas: Vec<Option<Arc<FileSchema>>> = vec![None; objects.len()];
    for (at, outcome) in read {
        let path = format!("s3://{}/{}", target.bucket, objects[at].key);
        match outcome {
            CrawlEnd::Known(schema) => schemas[at] = Some(Arc::new(*schema)),
            CrawlEnd::Unknown(why) => {
                report.log.push(format!("WARN : {path} is skipped: {why}"));
                report.unread.push(path);
            }
            CrawlEnd::Unreadable(why) => {
                report.log.push(format!("ERROR : {path} cannot be read: {why}"));
                report.unread.push(path);
            }
        }
    }
    spread(&objects, &picks, &mut schemas);
    let read: BTreeSet<usize> = picks.iter().map(|(at, _)| *at).collect();
    let unknown = objects.iter().enumerate().filter(|(at, _)| schemas[*at].is_none() && !read.contains(at));
    empty.extend(unknown.map(|(_, object)| parent(&object.key).to_owned()));
    report.unread.extend(empty.into_iter().map(|folder| format!("s3://{}/{folder}", target.bucket)));
    settle_headers(&mut schemas);
    let mut files: Vec<File> = objects
        .into_iter()
        .zip(schemas)
        .filter_map(|(object, schema)| Some(File { key: object.key, size: object.size, schema: schema? }))
        .collect();
    files.sort_by(|a, b| a.key.cmp(&b.key));
    for file in &files {
        let key = if target.roots.contains(&file.key) { &file.key } else { parent(&file.key) };
        report.found.insert(format!("s3://{}/{key}", target.bucket));
    }
    let rules = Rules {
        combine: request.combine || target.whole,
        whole: target.whole,
        // The bucket is level 1, so a table at level n has n - 1 folders.
        table_depth: request.table_level.map(|level| level.saturating_sub(1)),
        roots: &target.roots,
    };
    let groups = grouping::group(&folder, files, &rules);
    report.tables.extend(groups.into_iter().map(|group| tables::describe(target, &group)));
    Ok(())
}

/// Only the file that the include path names or what lies in its folder; folder markers are no files.
fn belongs(target: &Target, folder: &str, key: &str) -> bool {
    !key.ends_with('/') && (key.starts_with(folder) || key == target.prefix)
}

/// Names that begin with `_` or `.` are bookkeeping of writers (`_SUCCESS`, `_temporary/`), and no query reads them.
fn hidden(relative: &str) -> bool {
    relative.split('/').any(|part| part.starts_with(['_', '.']) && !part.contains('='))
}

fn parent(key: &str) -> &str {
    key.rfind('/').map_or("", |at| &key[..=at])
}

fn extension(key: &str) -> &str {
    key[parent(key).len()..].rsplit_once('.').map_or("", |(_, last)| last)
}

/// Which objects to read, and how far.
fn pick(objects: &[Object], sample_size: Option<usize>) -> Vec<(usize, u64)> {
    let mut siblings = BTreeMap::<(&str, &str), Vec<usize>>::new();
    for (at, object) in objects.iter().enumerate() {
        siblings.entry((parent(&object.key), extension(&object.key))).or_default().push(at);
    }
    let most = sample_size.unwrap_or(MOST_SIBLINGS).max(1);
    let mut picks = Vec::new();
    for group in siblings.values() {
        let limit = if group.len() > MANY_SIBLINGS { SIBLING_SAMPLE } else { MEGABYTE };
        let read = group.len().min(most);
        // Evenly spread, the first and the last among them.
        let chosen = (0..read).map(|i| group[if read == 1 { 0 } else { i * (group.len() - 1) / (read - 1) }]);
        picks.extend(chosen.map(|at| (at, limit)));
    }
    picks
}

enum CrawlEnd {
    Known(Box<FileSchema>),
    Unknown(String),
    Unreadable(String),
}

async fn read_all(
    bucket: &str,
    objects: &[Object],
    picks: &[(usize, u64)],
    source: &dyn Source,
    classifiers: &Classifiers,
) -> Vec<(usize, CrawlEnd)> {
    let mut out: Vec<(usize, CrawlEnd)> = stream::iter(picks.iter().copied())
        .map(|(at, limit)| async move {
            let outcome = inspect(bucket, &objects[at], limit, source, classifiers).await;
            (at, outcome.unwrap_or_else(|error| CrawlEnd::Unreadable(error.0)))
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    out.sort_by_key(|(at, _)| *at);
    out
}

async fn inspect(
    bucket: &str,
    object: &Object,
    limit: u64,
    source: &dyn Source,
    classifiers: &Classifiers,
) -> Result<CrawlEnd, SourceError> {
    let size = object.size;
    if object.key.ends_with(".parquet") && size > limit {
        return footer(&PARQUET, bucket, object, source).await;
    }
    let mut limit = limit;
    loop {
        let end = limit.min(size);
        let bytes = source.read(bucket, &object.key, 0, end).await?;
        let whole = end == size;
        let tail = if bytes.starts_with(parquet_file::MAGIC) {
            Some(&PARQUET)
        } else {
            bytes.starts_with(orc_file::MAGIC).then_some(&ORC)
        };
        if let Some(kind) = tail {
            let outcome =
                if whole { of_footer(kind, &bytes, size) } else { footer(kind, bucket, object, source).await? };
            // Text may begin with these letters too.
            if matches!(outcome, CrawlEnd::Known(_)) || kind.name == PARQUET.name {
                return Ok(outcome);
            }
        }
        if bytes.starts_with(avro_file::MAGIC) {
            match avro_file::classify(&bytes) {
                Ok(schema) => return Ok(CrawlEnd::Known(schema)),
                Err(_) if !whole && limit < LONGEST_SAMPLE => {
                    limit = (limit + MEGABYTE).min(LONGEST_SAMPLE);
                    continue;
                }
                Err(why) => return Ok(CrawlEnd::Unknown(format!("not classified as avro: {why}"))),
            }
        }
        let sample = match sample::decode(&bytes, whole, limit) {
            Ok(sample) => sample,
            Err(why) => return Ok(CrawlEnd::Unknown(why.to_owned())),
        };
        match classifiers.classify(&sample) {
            Verdict::Known(schema) => return Ok(CrawlEnd::Known(schema)),
            Verdict::NeedMore if !sample.complete && limit < LONGEST_SAMPLE => {
                limit = (limit + MEGABYTE).min(LONGEST_SAMPLE);
            }
            // A first row longer than a short sample is worth a full one.
            Verdict::Unknown if !sample.complete && limit < MEGABYTE => limit = MEGABYTE,
            Verdict::NeedMore | Verdict::Unknown => {
                return Ok(CrawlEnd::Unknown("no classifier recognises it (UNKNOWN)".to_owned()));
            }
        }
    }
}

/// A format whose schema stands at a file's end.
struct Tailed {
    name: &'static str,
    classify: fn(&Bytes, u64) -> Footer,
}

const PARQUET: Tailed = Tailed { name: "parquet", classify: parquet_file::classify };
const ORC: Tailed = Tailed { name: "orc", classify: orc_file::classify };

async fn footer(kind: &Tailed, bucket: &str, object: &Object, source: &dyn Source) -> Result<CrawlEnd, SourceError> {
    let size = object.size;
    let mut wanted = FOOTER_GUESS.min(size);
    loop {
        let tail = source.read(bucket, &object.key, size - wanted, size).await?;
        match (kind.classify)(&tail, size) {
            Footer::NeedMore(more) if more > wanted => wanted = more.min(size),
            _ => return Ok(of_footer(kind, &tail, size)),
        }
    }
}

fn of_footer(kind: &Tailed, tail: &Bytes, size: u64) -> CrawlEnd {
    let name = kind.name;
    match (kind.classify)(tail, size) {
        Footer::Schema(schema) => CrawlEnd::Known(schema),
        Footer::NeedMore(_) => CrawlEnd::Unknown(format!("not classified as {name}: its footer is out of bounds")),
        Footer::Broken(why) => CrawlEnd::Unknown(format!("not classified as {name}: {why}")),
    }
}

/// Objects that were not read are taken to be what the nearest read sibling before them is.
fn spread(objects: &[Object], picks: &[(usize, u64)], schemas: &mut [Option<Arc<FileSchema>>]) {
    let read: BTreeSet<usize> = picks.iter().map(|(at, _)| *at).collect();
    let mut last = BTreeMap::<(&str, &str), Arc<FileSchema>>::new();
    for (at, object) in objects.iter().enumerate() {
        let group = (parent(&object.key), extension(&object.key));
        if read.contains(&at) {
            if let Some(schema) = &schemas[at] {
                last.insert(group, Arc::clone(schema));
            }
        } else {
            schemas[at] = last.get(&group).cloned();
        }
    }
}

/// A file of text columns only looks as if it had no header. If its first row is another file's header, it has one.
fn settle_headers(schemas: &mut [Option<Arc<FileSchema>>]) {
    let mut headers = BTreeMap::<Vec<String>, Arc<FileSchema>>::new();
    for schema in schemas.iter().flatten() {
        if matches!(&schema.format, Format::Csv(csv) if csv.header) {
            let names = schema.columns.iter().map(|(name, _)| name.clone()).collect();
            headers.entry(names).or_insert_with(|| Arc::clone(schema));
        }
    }
    for slot in schemas.iter_mut().flatten() {
        let header = slot.first_row.as_ref().and_then(|row| headers.get(row));
        if let Some(header) = header
            && !matches!(&slot.format, Format::Csv(csv) if csv.header)
        {
            let columns = header.columns.clone();
            *slot = Arc::new(csv::with_header((**slot).clone(), &columns));
        }
    }
}
