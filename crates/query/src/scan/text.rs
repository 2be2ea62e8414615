//! Scans of text files: files are fetched several at a time, large ones in pieces that end at a line, gzip by its
//! extension, and decoded into the wanted columns only.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use object_store::{GetOptions, GetRange, ObjectStore};

use super::format::TextSerde;
use super::lines::{Decoder, next_line};
use super::listing::DataFile;
use crate::error::{Error, Result};
use crate::storage::Storage;

/// Larger files are read in pieces of this size, side by side.
const PIECE: u64 = 8 << 20;
/// How far to look at once for the end of a piece's last line.
const TAIL: u64 = 64 << 10;
const LONGEST_LINE: usize = 64 << 20;
const FETCHES_AT_ONCE: usize = 8;
const BATCH_ROWS: usize = 8192;

/// What to read and into what.
#[derive(Debug, Clone)]
pub(crate) struct TextScan {
    pub(crate) storage: Arc<Storage>,
    pub(crate) serde: Arc<TextSerde>,
    pub(crate) file_schema: SchemaRef,
    /// Indices into the file's columns followed by its constants.
    pub(crate) projection: Vec<usize>,
    pub(crate) schema: SchemaRef,
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Clone)]
struct Piece {
    file: Arc<DataFile>,
    start: u64,
    end: u64,
}

/// The physical plan of a [`TextScan`].
#[derive(Debug)]
pub(crate) struct TextExec {
    scan: TextScan,
    groups: Vec<Vec<Piece>>,
    properties: Arc<PlanProperties>,
}

impl TextExec {
    pub(crate) fn new(scan: TextScan, files: Vec<DataFile>, width: usize) -> Self {
        let mut pieces = Vec::new();
        for file in files {
            let file = Arc::new(file);
            let size = file.meta.size;
            if is_gzip(&file) || size <= PIECE {
                pieces.push(Piece { file, start: 0, end: size });
                continue;
            }
            let mut start = 0;
            while start < size {
                let end = size.min(start + PIECE);
                pieces.push(Piece { file: Arc::clone(&file), start, end });
                start = end;
            }
        }
        let mut groups = vec![Vec::new(); width.clamp(1, pieces.len().max(1))];
        let count = groups.len();
        for (i, piece) in pieces.into_iter().enumerate() {
            groups[i % count].push(piece);
        }
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { scan, groups, properties }
    }
}

impl DisplayAs for TextExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pieces: usize = self.groups.iter().map(Vec::len).sum();
        write!(f, "TextExec: pieces={pieces}, partitions={}", self.groups.len())
    }
}

impl ExecutionPlan for TextExec {
    fn name(&self) -> &'static str {
        "TextExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let scan = self.scan.clone();
        let pieces = self.groups.get(partition).cloned().unwrap_or_default();
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.scan.schema), 4);
        let sender = stream.tx();
        stream.spawn(async move {
            let mut left = scan.limit.unwrap_or(usize::MAX);
            let storage = Arc::clone(&scan.storage);
            let mut fetched = futures::stream::iter(pieces)
                .map(|piece| {
                    let storage = Arc::clone(&storage);
                    async move { (fetch(&storage, &piece).await, piece) }
                })
                .buffered(FETCHES_AT_ONCE);
            while let Some((body, piece)) = fetched.next().await {
                let path = format!("s3://{}/{}", piece.file.bucket, piece.file.meta.location);
                let mut blocks = Blocks::new(body?, is_gzip(&piece.file));
                let mut skip = if piece.start == 0 { scan.serde.skip_lines } else { 0 };
                let columns = scan.file_schema.fields().len();
                let wanted = scan.projection.iter().copied().filter(|column| *column < columns).collect();
                let decoder = Decoder::new(&scan.serde, &scan.file_schema, wanted, &path);
                while let Some(block) = blocks.next(&path)? {
                    let text = String::from_utf8_lossy(&block);
                    let mut rest = text.as_ref();
                    while skip > 0 && next_line(&mut rest).is_some() {
                        skip -= 1;
                    }
                    while !rest.is_empty() && left > 0 {
                        let (arrays, rows) = decoder.decode(&mut rest, BATCH_ROWS.min(left))?;
                        if rows == 0 {
                            continue;
                        }
                        left -= rows;
                        let batch = assemble(&scan, &piece.file, arrays, rows)?;
                        if sender.send(Ok(batch)).await.is_err() {
                            return Ok(());
                        }
                    }
                    if left == 0 {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        Ok(stream.build())
    }
}

/// Puts the decoded columns and the file's constants in the order of the projection.
fn assemble(scan: &TextScan, file: &DataFile, arrays: Vec<ArrayRef>, rows: usize) -> DfResult<RecordBatch> {
    let columns = scan.file_schema.fields().len();
    let mut arrays = arrays.into_iter();
    let all = scan
        .projection
        .iter()
        .map(|index| match index.checked_sub(columns) {
            Some(constant) => file.constants[constant].to_array_of_size(rows),
            None => arrays.next().ok_or_else(|| DataFusionError::Internal("a column is missing".to_owned())),
        })
        .collect::<DfResult<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&scan.schema), all, &options)?)
}

fn is_gzip(file: &DataFile) -> bool {
    let extension = file.meta.location.extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("gz") || extension.eq_ignore_ascii_case("gzip")
}

/// The piece's lines: those that begin in it, the last one whole.
async fn fetch(storage: &Storage, piece: &Piece) -> Result<Bytes> {
    let store = storage.bucket(&piece.file.bucket)?;
    let meta = &piece.file.meta;
    if piece.start == 0 && piece.end == meta.size {
        let options = GetOptions { if_match: meta.e_tag.clone(), ..GetOptions::default() };
        return Ok(store.get_opts(&meta.location, options).await?.bytes().await?);
    }
    let from = piece.start.saturating_sub(1);
    let mut body = range(store.as_ref(), piece, from, piece.end).await?.to_vec();
    let mut end = piece.end;
    while end < meta.size && body.last() != Some(&b'\n') {
        let more = range(store.as_ref(), piece, end, meta.size.min(end + TAIL)).await?;
        end += more.len() as u64;
        match more.iter().position(|b| *b == b'\n') {
            Some(at) => {
                body.extend_from_slice(&more[..=at]);
                break;
            }
            None => body.extend_from_slice(&more),
        }
        if more.is_empty() || body.len() > LONGEST_LINE {
            return Err(Error::bad_data(format_args!("a line of {} is too long", meta.location)));
        }
    }
    if piece.start == 0 {
        return Ok(body.into());
    }
    // A line begins here only if the byte before ends one.
    let within = usize::try_from(piece.end - from).unwrap_or(usize::MAX);
    match body.iter().take(within).position(|b| *b == b'\n') {
        Some(at) if at + 1 < within => Ok(Bytes::from(body).slice(at + 1..)),
        _ => Ok(Bytes::new()),
    }
}

async fn range(store: &dyn ObjectStore, piece: &Piece, start: u64, end: u64) -> Result<Bytes> {
    let meta = &piece.file.meta;
    let options = GetOptions {
        range: Some(GetRange::Bounded(start..end)),
        if_match: meta.e_tag.clone(),
        ..GetOptions::default()
    };
    Ok(store.get_opts(&meta.location, options).await?.bytes().await?)
}

/// A file's text in blocks of whole lines.
enum Blocks {
    Plain(Option<Bytes>),
    Gzip { decoder: Box<MultiGzDecoder<bytes::buf::Reader<Bytes>>>, carry: Vec<u8>, done: bool },
}

impl Blocks {
    fn new(body: Bytes, gzip: bool) -> Self {
        use bytes::Buf;
        if gzip {
            Self::Gzip { decoder: Box::new(MultiGzDecoder::new(body.reader())), carry: Vec::new(), done: false }
        } else {
            Self::Plain(Some(body))
        }
    }

    fn next(&mut self, path: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Plain(body) => Ok(body.take()),
            Self::Gzip { decoder, carry, done } => {
                if *done {
                    return Ok(None);
                }
                loop {
                    let before = carry.len();
                    let limit = 4 << 20;
                    let read = decoder.by_ref().take(limit).read_to_end(carry).map_err(|e| Error::cursor(path, e))?;
                    if read == 0 {
                        *done = true;
                        return Ok((!carry.is_empty()).then(|| std::mem::take(carry).into()));
                    }
                    if let Some(at) = carry[before..].iter().rposition(|b| *b == b'\n') {
                        let tail = carry.split_off(before + at + 1);
                        return Ok(Some(std::mem::replace(carry, tail).into()));
                    }
                    if carry.len() > LONGEST_LINE {
                        return Err(Error::cursor(path, "a line is longer than 64 MB"));
                    }
                }
            }
        }
    }
}
