//! Scans of files that DataFusion has no reader for: text, ORC and Avro. Files are fetched several at a time, large
//! texts in pieces that end at a line, and decoded into the wanted columns only.

use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use futures::{FutureExt, StreamExt};
use object_store::{GetOptions, GetRange, ObjectStore};
use orc_rust::ArrowReaderBuilder;
use orc_rust::projection::ProjectionMask;

use super::columns::place;
use super::compression::{Codec, refuse_compressed};
use super::conform::Conform;
use super::format::{Format, TextSerde};
use super::layout::coerce;
use super::lines::{Decoder, next_line};
use super::listing::DataFile;
use super::orc;
use crate::error::{Error, Result};
use crate::storage::Storage;
use crate::types::trino_type;

/// Larger files are read in pieces of this size, side by side.
const PIECE: u64 = 8 << 20;
/// A scan's only file is read in order up to this size, as Trino's first split is.
const ONE_PIECE: u64 = 32 << 20;
/// How far to look at once for the end of a piece's last line.
const TAIL: u64 = 64 << 10;
const LONGEST_LINE: usize = 64 << 20;
/// A document that is one value is read whole.
const LONGEST_DOCUMENT: u64 = 512 << 20;
const FETCHES_AT_ONCE: usize = 8;
const BATCH_ROWS: usize = 8192;

/// What to read and into what.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) storage: Arc<Storage>,
    /// The table's columns but for its constants.
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

/// The physical plan of a [`Scan`].
#[derive(Debug)]
pub(crate) struct FileExec {
    scan: Scan,
    groups: Vec<Vec<Piece>>,
    properties: Arc<PlanProperties>,
}

impl FileExec {
    pub(crate) fn new(scan: Scan, files: Vec<DataFile>, width: usize) -> Self {
        let mut pieces = Vec::new();
        let most = if files.len() == 1 { ONE_PIECE } else { PIECE };
        for file in files {
            let file = Arc::new(file);
            let size = file.meta.size;
            let splits = match &file.layout.format {
                Format::Text(serde) => serde.splits() && Codec::of(file.meta.location.as_ref()) == Codec::None,
                _ => false,
            };
            if !splits || size <= most {
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

impl DisplayAs for FileExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pieces: usize = self.groups.iter().map(Vec::len).sum();
        write!(f, "FileExec: pieces={pieces}, partitions={}", self.groups.len())
    }
}

impl ExecutionPlan for FileExec {
    fn name(&self) -> &'static str {
        "FileExec"
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
        let mut out = Output { sender: stream.tx(), left: scan.limit.unwrap_or(usize::MAX) };
        stream.spawn(async move {
            let storage = Arc::clone(&scan.storage);
            let mut fetched = futures::stream::iter(pieces)
                .map(|piece| {
                    let storage = Arc::clone(&storage);
                    async move {
                        let body = match &piece.file.layout.format {
                            Format::Orc { .. } | Format::Parquet { .. } => Ok(Bytes::new()),
                            _ => fetch(&storage, &piece).await,
                        };
                        (body, piece)
                    }
                })
                .buffered(FETCHES_AT_ONCE);
            while let Some((body, piece)) = fetched.next().await {
                let reader = Reader::new(&scan, &piece);
                match &piece.file.layout.format {
                    Format::Text(serde) => reader.text(serde, body?, &mut out).await?,
                    Format::Avro(literal) => {
                        let read = AssertUnwindSafe(reader.avro(literal.as_deref(), body?, &mut out));
                        reader.whole(read.catch_unwind().await)?;
                    }
                    Format::Orc { by_index } => {
                        let read = AssertUnwindSafe(reader.orc(*by_index, &mut out));
                        reader.whole(read.catch_unwind().await)?;
                    }
                    Format::Parquet { .. } => return Err(Error::internal("a Parquet file in a scan of others").into()),
                }
                if out.left == 0 {
                    return Ok(());
                }
            }
            Ok(())
        });
        Ok(stream.build())
    }
}

/// Where the batches go, and how many rows are still wanted: none when the reader has gone.
struct Output {
    sender: tokio::sync::mpsc::Sender<DfResult<RecordBatch>>,
    left: usize,
}

/// Reads one piece of a file.
struct Reader<'a> {
    scan: &'a Scan,
    piece: &'a Piece,
    path: String,
    /// The wanted columns of the table, each with its place among those that the partition declares.
    wanted: Vec<(usize, Option<usize>)>,
}

impl<'a> Reader<'a> {
    fn new(scan: &'a Scan, piece: &'a Piece) -> Self {
        let columns = scan.file_schema.fields().len();
        let wanted = scan.projection.iter().copied().filter(|column| *column < columns);
        let wanted = wanted.map(|column| (column, piece.file.layout.places.get(column).copied().flatten())).collect();
        let path = format!("s3://{}/{}", piece.file.bucket, piece.file.meta.location);
        Self { scan, piece, path, wanted }
    }

    /// A library that gives up on a broken file by panicking must not end the process.
    fn whole(&self, read: std::thread::Result<DfResult<()>>) -> DfResult<()> {
        read.unwrap_or_else(|_| Err(Error::cannot_open(&self.path, "the file is broken").into()))
    }

    /// Sends a batch of the partition's columns, which are those of `wanted` that have a place, in its order.
    async fn send(&self, arrays: Vec<ArrayRef>, mut rows: usize, out: &mut Output) -> DfResult<()> {
        let mut arrays = arrays.into_iter();
        let mut columns = Vec::with_capacity(self.wanted.len());
        for (column, place) in &self.wanted {
            let field = self.scan.file_schema.field(*column);
            columns.push(if place.is_some() {
                let array = arrays.next().ok_or_else(|| Error::internal("a column is missing"))?;
                coerce(&array, field)?
            } else {
                new_null_array(field.data_type(), rows)
            });
        }
        if rows > out.left {
            rows = out.left;
            for column in &mut columns {
                *column = column.slice(0, rows);
            }
        }
        if rows == 0 {
            return Ok(());
        }
        out.left -= rows;
        let batch = assemble(self.scan, &self.piece.file, columns, rows)?;
        if out.sender.send(Ok(batch)).await.is_err() {
            out.left = 0;
        }
        Ok(())
    }

    async fn text(&self, serde: &TextSerde, body: Bytes, out: &mut Output) -> DfResult<()> {
        let codec = Codec::of(self.piece.file.meta.location.as_ref());
        let layout = &self.piece.file.layout;
        let decode: Vec<usize> = self.wanted.iter().filter_map(|(_, place)| *place).collect();
        let decoder = Decoder::new(serde, &layout.schema, decode, &self.path);
        if codec == Codec::None && self.piece.start == 0 {
            refuse_compressed(&body, &self.path)?;
        }
        let mut blocks = Blocks::new(body, codec, serde.cloudtrail, &self.path)?;
        let mut skip = if self.piece.start == 0 { serde.skip_lines } else { 0 };
        let mut first = self.piece.start == 0;
        let mut footer = Footer::new(serde.skip_footer);
        while let Some(block) = blocks.next(&self.path)? {
            let text = String::from_utf8_lossy(&block);
            let mut rest = text.as_ref();
            if std::mem::take(&mut first) {
                rest = rest.strip_prefix('\u{feff}').unwrap_or(rest);
            }
            while skip > 0 && next_line(&mut rest).is_some() {
                skip -= 1;
            }
            let held = footer.hold(rest);
            let mut rest = held.as_deref().unwrap_or(rest);
            while !rest.is_empty() && out.left > 0 {
                let (arrays, rows) = decoder.decode(&mut rest, BATCH_ROWS.min(out.left))?;
                self.send(arrays, rows, out).await?;
            }
            if out.left == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a batch of a file that has a schema of its own; `places` are those of the wanted columns in it.
    async fn conformed(
        &self,
        batch: &RecordBatch,
        places: &[Option<(usize, Conform)>],
        out: &mut Output,
    ) -> DfResult<()> {
        let layout = &self.piece.file.layout;
        let declared = self.wanted.iter().filter_map(|(_, place)| *place);
        let arrays = declared
            .zip(places)
            .map(|(column, place)| match place {
                Some((at, how)) => how.apply(batch.column(*at)),
                None => Ok(new_null_array(layout.schema.field(column).data_type(), batch.num_rows())),
            })
            .collect::<Result<Vec<_>>>()?;
        self.send(arrays, batch.num_rows(), out).await
    }

    /// For each wanted column that the partition declares: where it is in a file with this schema, and how to read it.
    fn places(
        &self,
        file: &Schema,
        by_index: bool,
        wrong: impl Fn(&Field, &Field) -> Error,
    ) -> Result<Vec<Option<(usize, Conform)>>> {
        let declared = &self.piece.file.layout.schema;
        let wanted = self.wanted.iter().filter_map(|(_, place)| *place);
        wanted
            .map(|column| {
                let field = declared.field(column);
                let Some(at) = place(field, column, file, by_index) else { return Ok(None) };
                let how = Conform::of(file.field(at).data_type(), field);
                Ok(Some((at, how.ok_or_else(|| wrong(file.field(at), field))?)))
            })
            .collect()
    }

    async fn avro(&self, literal: Option<&str>, body: Bytes, out: &mut Output) -> DfResult<()> {
        let broken = |error: &dyn std::fmt::Display| Error::cursor(&self.path, error);
        let mut builder = arrow_avro::reader::ReaderBuilder::new().with_batch_size(BATCH_ROWS);
        if let Some(literal) = literal {
            builder = builder.with_reader_schema(arrow_avro::schema::AvroSchema::new(literal.to_owned()));
        }
        let reader =
            builder.build(std::io::Cursor::new(body)).map_err(|error| Error::cannot_open(&self.path, error))?;
        let schema = reader.schema();
        let places = self.places(&schema, false, |found, field| {
            Error::bad_data(format_args!(
                "Column {} of Avro type {} cannot be read as {} [file {}]",
                field.name(),
                found.data_type(),
                trino_type(field),
                self.path
            ))
        })?;
        for batch in reader {
            self.conformed(&batch.map_err(|error| broken(&error))?, &places, out).await?;
            if out.left == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn orc(&self, by_index: bool, out: &mut Output) -> DfResult<()> {
        let file = &self.piece.file;
        let object = orc::Object { store: self.scan.storage.bucket(&file.bucket)?, meta: file.meta.clone() };
        let builder = ArrowReaderBuilder::try_new_async(object)
            .await
            .map_err(|error| orc::opened(&self.path, &error))?
            .with_batch_size(BATCH_ROWS);
        let schema = builder.schema();
        let wrong = |found: &Field, field: &Field| {
            Error::bad_data(format_args!(
                "Malformed ORC file. Cannot read SQL type '{}' from ORC stream '.{}' of type {} [{}]",
                trino_type(field),
                found.name(),
                found.data_type(),
                self.path
            ))
        };
        let places = self.places(&schema, by_index, wrong)?;
        let chosen: Vec<usize> = places.iter().flatten().map(|(at, _)| *at).collect();
        if chosen.is_empty() {
            // Nothing to read but how many rows there are.
            let rows = usize::try_from(builder.file_metadata().number_of_rows()).unwrap_or(usize::MAX);
            let mut left = rows;
            while left > 0 && out.left > 0 {
                let count = left.min(BATCH_ROWS);
                let empty: Vec<ArrayRef> = places
                    .iter()
                    .zip(self.wanted.iter().filter_map(|(_, place)| *place))
                    .map(|(_, column)| new_null_array(file.layout.schema.field(column).data_type(), count))
                    .collect();
                self.send(empty, count, out).await?;
                left -= count;
            }
            return Ok(());
        }
        let root = builder.file_metadata().root_data_type();
        let indices: Vec<usize> = chosen.iter().map(|at| root.children()[*at].data_type().column_index()).collect();
        let mask = ProjectionMask::roots(root, indices);
        // The reader gives the chosen columns in the file's order.
        let mut order = chosen.clone();
        order.sort_unstable();
        order.dedup();
        let places: Vec<_> = places
            .into_iter()
            .map(|place| place.map(|(at, how)| (order.iter().position(|other| *other == at).unwrap_or(0), how)))
            .collect();
        let mut batches = builder.with_projection(mask).build_async();
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| Error::cursor(&self.path, error))?;
            self.conformed(&batch, &places, out).await?;
            if out.left == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Holds back the lines that may be a file's last.
struct Footer {
    lines: usize,
    carry: String,
}

impl Footer {
    fn new(lines: usize) -> Self {
        Self { lines, carry: String::new() }
    }

    /// What of the text so far is certainly not of the footer; `None` when there is none to look for.
    fn hold(&mut self, text: &str) -> Option<String> {
        if self.lines == 0 {
            return None;
        }
        self.carry.push_str(text);
        let mut ends = vec![0];
        let mut rest = self.carry.as_str();
        while next_line(&mut rest).is_some() {
            ends.push(self.carry.len() - rest.len());
        }
        let end = (ends.len() - 1).checked_sub(self.lines).map_or(0, |at| ends[at]);
        let tail = self.carry.split_off(end);
        Some(std::mem::replace(&mut self.carry, tail))
    }
}

/// Puts the decoded columns and the file's constants in the order of the projection.
fn assemble(scan: &Scan, file: &DataFile, arrays: Vec<ArrayRef>, rows: usize) -> DfResult<RecordBatch> {
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
    let within = body.len();
    // The line that holds the piece's last byte goes on to its end, and a line feed after a carriage return is of it.
    let mut whole = end >= meta.size;
    while !whole {
        let more = range(store.as_ref(), piece, end, meta.size.min(end + TAIL)).await?;
        end += more.len() as u64;
        body.extend_from_slice(&more);
        match line_start(&body, within) {
            Some(at) => {
                body.truncate(at);
                whole = true;
            }
            None => whole = end >= meta.size,
        }
        if more.is_empty() || body.len() - within > LONGEST_LINE {
            return Err(Error::bad_data(format_args!("a line of {} is too long", meta.location)));
        }
    }
    if piece.start == 0 {
        return Ok(body.into());
    }
    // Its first line is the first that begins in it.
    match line_start(&body, 1) {
        Some(at) if at < within => Ok(Bytes::from(body).slice(at..)),
        _ => Ok(Bytes::new()),
    }
}

/// The first place at or after `from` where a line begins, if the bytes tell: the last byte may be half of an end.
fn line_start(bytes: &[u8], from: usize) -> Option<usize> {
    (from..=bytes.len()).find(|at| match bytes.get(at.wrapping_sub(1)) {
        Some(b'\n') => true,
        Some(b'\r') => bytes.get(*at).is_some_and(|next| *next != b'\n'),
        _ => false,
    })
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
    Packed { decoder: Box<dyn Read + Send>, carry: Vec<u8>, done: bool, whole: bool },
}

impl Blocks {
    /// `whole`: the text is one document, not lines.
    fn new(body: Bytes, codec: Codec, whole: bool, path: &str) -> Result<Self> {
        Ok(match codec {
            Codec::None => Self::Plain(Some(body)),
            codec => Self::Packed { decoder: codec.open(body, path)?, carry: Vec::new(), done: false, whole },
        })
    }

    fn next(&mut self, path: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Plain(body) => Ok(body.take()),
            Self::Packed { done: true, .. } => Ok(None),
            Self::Packed { decoder, carry, done, whole: true } => {
                let read = decoder.by_ref().take(LONGEST_DOCUMENT).read_to_end(carry);
                if read.map_err(|e| Error::cursor(path, e))? as u64 == LONGEST_DOCUMENT {
                    return Err(Error::cursor(path, "a document is longer than 512 MB"));
                }
                *done = true;
                Ok(Some(std::mem::take(carry).into()))
            }
            Self::Packed { decoder, carry, done, whole: false } => loop {
                let before = carry.len();
                let limit = 4 << 20;
                let read = decoder.by_ref().take(limit).read_to_end(carry).map_err(|e| Error::cursor(path, e))?;
                if read == 0 {
                    *done = true;
                    return Ok((!carry.is_empty()).then(|| std::mem::take(carry).into()));
                }
                // A carriage return at the very end may be half of a line's end.
                let new = &carry[before..];
                let end = new
                    .iter()
                    .rposition(|b| *b == b'\n')
                    .or_else(|| new[..new.len() - 1].iter().rposition(|b| *b == b'\r'));
                if let Some(at) = end {
                    let tail = carry.split_off(before + at + 1);
                    return Ok(Some(std::mem::replace(carry, tail).into()));
                }
                if carry.len() > LONGEST_LINE {
                    return Err(Error::cursor(path, "a line is longer than 64 MB"));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_after_every_kind_of_end() {
        assert_eq!(line_start(b"a\nb", 1), Some(2));
        assert_eq!(line_start(b"a\r\nb", 1), Some(3));
        assert_eq!(line_start(b"a\rb", 1), Some(2));
        assert_eq!(line_start(b"a\r", 1), None);
        assert_eq!(line_start(b"\nb", 1), Some(1));
        assert_eq!(line_start(b"ab", 1), None);
    }

    #[test]
    fn a_footer_is_held_back() {
        let mut footer = Footer::new(1);
        assert_eq!(footer.hold("a\nb\n").as_deref(), Some("a\n"));
        assert_eq!(footer.hold("c").as_deref(), Some("b\n"));
        assert_eq!(footer.hold("").as_deref(), Some(""));
        assert_eq!(Footer::new(0).hold("x"), None);
    }
}
