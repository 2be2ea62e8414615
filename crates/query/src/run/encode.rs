//! Data files in every format that CTAS, INSERT and UNLOAD write: rows in, bytes to the object store as they come.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_avro::compression::CompressionCodec;
use arrow_avro::writer::AvroWriter;
use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use orc_rust::compression::CompressionType;
use orc_rust::error::OrcError;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::catalog::{StorageDescriptor, Table};
use crate::error::{Error, Result};
use crate::scan::{Properties, character, first};
use crate::value::write_value;

/// A format with what it needs to know.
#[derive(Debug, Clone)]
pub(super) enum Encoding {
    Parquet(Compression),
    Orc(Option<CompressionType>),
    Avro(Option<CompressionCodec>),
    Json {
        pack: Pack,
        /// Columns and members whose values have other keys.
        mapping: Vec<(String, String)>,
    },
    /// LazySimpleSerDe's text.
    Text {
        pack: Pack,
        separators: Vec<char>,
        null: String,
        escape: Option<char>,
    },
    /// OpenCSVSerde's text.
    Csv {
        separator: char,
        quote: char,
        escape: char,
    },
}

/// Compression of text files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pack {
    None,
    Gzip,
    Bzip2,
    Zstd,
    /// Hadoop's DefaultCodec, a stream of zlib's.
    Deflate,
    /// Hadoop's blocks of snappy.
    Snappy,
    /// Hadoop's blocks of lz4.
    Lz4,
}

/// Hive's separators of fields, of items and of a map's keys.
const FIELD: char = '\u{1}';
const COLLECTION: char = '\u{2}';
const KEY: char = '\u{3}';

/// SerDe, input format and output format of a table in a format.
pub(super) struct HiveFormat {
    pub(super) serde: &'static str,
    pub(super) input: &'static str,
    pub(super) output: &'static str,
}

const TEXT_INPUT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const TEXT_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat";

/// What STORED AS and `format` mean, as Athena writes them into the catalog.
pub(super) fn hive_format(name: &str) -> Option<HiveFormat> {
    let (serde, input, output) = match name.to_ascii_uppercase().as_str() {
        "PARQUET" => (
            "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        ),
        "ORC" => (
            "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
            "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
            "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
        ),
        "AVRO" => (
            "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
            "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
            "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
        ),
        "JSON" => ("org.apache.hive.hcatalog.data.JsonSerDe", TEXT_INPUT, TEXT_OUTPUT),
        "TEXTFILE" => ("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", TEXT_INPUT, TEXT_OUTPUT),
        _ => return None,
    };
    Some(HiveFormat { serde, input, output })
}

fn bad(format: &str, codec: &str) -> Error {
    Error::user(
        1006,
        "INVALID_TABLE_PROPERTY",
        format_args!("Compression codec {} is not supported for format {format}", codec.to_uppercase()),
    )
}

impl Encoding {
    /// The encoding of a format's name, a compression and a delimiter, each as a property says it.
    pub(super) fn named(format: &str, compression: Option<&str>, delimiter: Option<&str>) -> Result<Self> {
        let name = format.to_ascii_uppercase();
        let codec = compression.map(str::to_ascii_lowercase);
        let codec = codec.as_deref();
        let unknown = || bad(&name, codec.unwrap_or_default());
        let pack = || {
            Ok(match codec {
                None | Some("gzip") => Pack::Gzip,
                Some("none" | "uncompressed") => Pack::None,
                Some("bzip2") => Pack::Bzip2,
                Some("zstd") => Pack::Zstd,
                Some("deflate") => Pack::Deflate,
                Some("snappy") => Pack::Snappy,
                Some("lz4") => Pack::Lz4,
                Some(_) => return Err(unknown()),
            })
        };
        match name.as_str() {
            "PARQUET" => Ok(Self::Parquet(match codec {
                None | Some("gzip") => Compression::GZIP(GzipLevel::default()),
                Some("snappy") => Compression::SNAPPY,
                Some("none" | "uncompressed") => Compression::UNCOMPRESSED,
                Some("zstd") => Compression::ZSTD(ZstdLevel::default()),
                Some("lz4" | "lzo" | "brotli") => {
                    return Err(Error::not_supported(format_args!(
                        "compression {} for PARQUET",
                        codec.unwrap_or_default()
                    )));
                }
                Some(_) => return Err(unknown()),
            })),
            // Athena's default for ORC is ZLIB.
            "ORC" => Ok(Self::Orc(match codec {
                None | Some("zlib" | "gzip") => Some(CompressionType::Zlib),
                Some("snappy") => Some(CompressionType::Snappy),
                Some("zstd") => Some(CompressionType::Zstd),
                Some("lz4") => Some(CompressionType::Lz4),
                Some("none" | "uncompressed") => None,
                Some(_) => return Err(unknown()),
            })),
            "AVRO" => Ok(Self::Avro(match codec {
                None | Some("gzip" | "deflate") => Some(CompressionCodec::Deflate),
                Some("snappy") => Some(CompressionCodec::Snappy),
                Some("zstd") => Some(CompressionCodec::ZStandard),
                Some("bzip2") => Some(CompressionCodec::Bzip2),
                Some("none" | "uncompressed") => None,
                Some(_) => return Err(unknown()),
            })),
            "JSON" => Ok(Self::Json { pack: pack()?, mapping: Vec::new() }),
            "TEXTFILE" => Ok(Self::Text {
                pack: pack()?,
                separators: separators(delimiter.map(|text| character(Some(text), FIELD)), None, None),
                null: "\\N".to_owned(),
                escape: None,
            }),
            "ION" => Err(Error::not_supported("format ION")),
            other => {
                Err(Error::user(1006, "INVALID_TABLE_PROPERTY", format_args!("Unsupported storage format: {other}")))
            }
        }
    }

    /// How a table of the catalog wants its files.
    pub(super) fn of(table: &Table) -> Result<Self> {
        let storage = table.storage_descriptor.as_ref();
        let serde = storage.and_then(|storage| storage.serde_info.as_ref());
        let library = serde.and_then(|serde| serde.serialization_library.as_deref()).unwrap_or_default();
        let input = storage.and_then(|storage| storage.input_format.as_deref()).unwrap_or_default();
        // Their files are lists of files, documents of many records, or binary: a file of the SerDe's would break the table.
        let others =
            ["SymlinkTextInputFormat", "CloudTrailInputFormat", "RCFileInputFormat", "SequenceFileInputFormat"];
        if others.iter().any(|other| input.contains(other)) {
            return Err(Error::not_supported(format_args!("INSERT INTO a table with input format {input}")));
        }
        let none = StorageDescriptor::default();
        let properties = Properties { storage: storage.unwrap_or(&none), table };
        let get = |key: &str| properties.get(key);
        let compression = |format: &str| {
            let key = match format {
                "PARQUET" => "parquet.compression",
                "ORC" => "orc.compress",
                "AVRO" => "avro.output.codec",
                _ => "write.compression",
            };
            get("write.compression").or_else(|| get(key)).map(str::to_owned)
        };
        // As the reader reads them: a character, its number, or an escape.
        let one = |key: &str| get(key).map(|text| character(Some(text), '\\'));
        match library.rsplit('.').next().unwrap_or_default() {
            "ParquetHiveSerDe" => Self::named("PARQUET", compression("PARQUET").as_deref().or(Some("snappy")), None),
            "OrcSerde" => Self::named("ORC", compression("ORC").as_deref(), None),
            "AvroSerDe" => {
                // Readers resolve files against it, by the names of its record and fields; arrow-avro's writer heads its files with
                // a schema of its own making, whatever it is given.
                for key in ["avro.schema.literal", "avro.schema.url"] {
                    if get(key).is_some_and(|text| !text.is_empty() && text != "none") {
                        return Err(Error::not_supported(format_args!("INSERT INTO a table with {key}")));
                    }
                }
                Self::named("AVRO", compression("AVRO").as_deref(), None)
            }
            "JsonSerDe" => {
                let encoding = Self::named("JSON", compression("JSON").as_deref(), None)?;
                let Self::Json { pack, .. } = encoding else { return Err(Error::internal("JSON is JSON")) };
                let mapping = if library.starts_with("org.openx.") { mapping(properties) } else { Vec::new() };
                Ok(Self::Json { pack, mapping })
            }
            "LazySimpleSerDe" | "" => {
                let Self::Text { pack, null, .. } = Self::named("TEXTFILE", compression("TEXTFILE").as_deref(), None)?
                else {
                    return Err(Error::internal("TEXTFILE is text"));
                };
                let field = get("field.delim").or_else(|| get("serialization.format"));
                Ok(Self::Text {
                    pack,
                    separators: separators(
                        field.map(|text| character(Some(text), FIELD)),
                        get("collection.delim")
                            .or_else(|| get("colelction.delim"))
                            .map(|text| character(Some(text), COLLECTION)),
                        get("mapkey.delim").map(|text| character(Some(text), KEY)),
                    ),
                    null: get("serialization.null.format").map_or(null, str::to_owned),
                    escape: one("escape.delim"),
                })
            }
            "OpenCSVSerde" => Ok(Self::Csv {
                separator: first(get("separatorChar"), ','),
                quote: first(get("quoteChar"), '"'),
                escape: first(get("escapeChar"), '\\'),
            }),
            other => Err(Error::not_supported(format_args!("INSERT INTO a table with SerDe {other}"))),
        }
    }

    /// Whether files are of lines, of which readers may be told to skip some.
    pub(super) fn has_lines(&self) -> bool {
        matches!(self, Self::Json { .. } | Self::Text { .. } | Self::Csv { .. })
    }

    /// What a file's name ends with; readers of text tell compression by it.
    fn extension(&self) -> &'static str {
        match self {
            Self::Parquet(_) => ".parquet",
            Self::Orc(_) => ".orc",
            Self::Avro(_) => ".avro",
            Self::Csv { .. } => "",
            Self::Json { pack, .. } | Self::Text { pack, .. } => match pack {
                Pack::None => "",
                Pack::Gzip => ".gz",
                Pack::Bzip2 => ".bz2",
                Pack::Zstd => ".zst",
                Pack::Deflate => ".deflate",
                Pack::Snappy => ".snappy",
                Pack::Lz4 => ".lz4",
            },
        }
    }

    pub(super) fn file_name(&self, stem: &str) -> String {
        format!("{stem}{}", self.extension())
    }
}

/// What openx's SerDe calls columns: `mapping.column` = `key`, as the reader takes it.
fn mapping(properties: Properties<'_>) -> Vec<(String, String)> {
    properties.starting("mapping.").map(|(column, key)| (column.to_lowercase(), key.to_owned())).collect()
}

fn key_of<'a>(mapping: &'a [(String, String)], name: &'a str) -> &'a str {
    mapping.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map_or(name, |(_, key)| key)
}

fn separators(field: Option<char>, collection: Option<char>, key: Option<char>) -> Vec<char> {
    let mut all = vec![field.unwrap_or(FIELD), collection.unwrap_or(COLLECTION), key.unwrap_or(KEY)];
    all.extend((4u32..=8).filter_map(char::from_u32));
    all
}

enum Sink {
    Parquet(Box<AsyncArrowWriter<BufWriter>>),
    Orc(Box<Orc>),
    Avro(Box<Avro>),
    Lines(Box<Lines>),
}

/// A writer of Avro's blocks, and the bytes that it has done.
struct Avro {
    writer: AvroWriter<Shared>,
    done: Shared,
    schema: SchemaRef,
    out: BufWriter,
}

/// A writer of ORC's stripes, which stays on its thread.
struct Orc {
    batches: mpsc::Sender<RecordBatch>,
    writing: JoinHandle<std::result::Result<(), OrcError>>,
    done: Shared,
    out: BufWriter,
}

/// What a writer that owns its sink has written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Orc {
    fn new(schema: &SchemaRef, compression: Option<CompressionType>, out: BufWriter) -> Result<Self> {
        for field in schema.fields() {
            if field.data_type().is_nested() || matches!(field.data_type(), DataType::Decimal128(..)) {
                let ty = crate::types::hive_type(field);
                return Err(Error::not_supported(format_args!("writing column {} of type {ty} to ORC", field.name())));
            }
        }
        let done = Shared::default();
        let mut builder = orc_rust::ArrowWriterBuilder::new(done.clone(), Arc::clone(schema));
        if let Some(compression) = compression {
            builder = builder.with_compression(compression);
        }
        let (batches, mut taken) = mpsc::channel::<RecordBatch>(2);
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = builder.try_build()?;
            while let Some(batch) = taken.blocking_recv() {
                writer.write(&batch)?;
            }
            writer.close()
        });
        Ok(Self { batches, writing, done, out })
    }

    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        // Nobody takes it when the writer has failed: closing says why.
        let _ = self.batches.send(batch).await;
        put(&mut self.out, &self.done.take()).await
    }

    async fn close(self) -> Result<()> {
        let Self { batches, writing, done, mut out } = self;
        drop(batches);
        // The writer has no times with a fraction before 1970.
        writing.await.map_err(Error::internal)?.map_err(|error| match error.to_string() {
            text if text.starts_with("Cannot encode") => Error::not_supported(text),
            text => Error::internal(text),
        })?;
        put(&mut out, &done.take()).await?;
        out.shutdown().await.map_err(Error::internal)
    }
}

impl Avro {
    fn new(schema: &SchemaRef, codec: Option<CompressionCodec>, out: BufWriter) -> Result<Self> {
        let fields = schema.fields().iter().map(|field| avro_field(field)).collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields));
        let done = Shared::default();
        let writer = arrow_avro::writer::WriterBuilder::new(schema.as_ref().clone())
            .with_compression(codec)
            .build(done.clone())
            .map_err(Error::internal)?;
        Ok(Self { writer, done, schema, out })
    }
}

/// A column as Hive's `AvroSerDe` writes it: whole numbers of at least 32 bits, times as instants in UTC.
fn avro_field(field: &Field) -> Result<Field> {
    let ty = match field.data_type() {
        DataType::Int8 | DataType::Int16 => DataType::Int32,
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        DataType::List(item) => DataType::List(Arc::new(avro_field(item)?)),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| avro_field(field)).collect::<Result<Vec<_>>>()?.into())
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(Error::internal("a map without entries"));
            };
            if pair[0].data_type() != &DataType::Utf8 {
                return Err(Error::not_supported(format_args!(
                    "column {}: maps in Avro have keys of type varchar",
                    field.name()
                )));
            }
            let pair = vec![pair[0].as_ref().clone(), avro_field(&pair[1])?];
            let inner = Field::new(entries.name(), DataType::Struct(pair.into()), false);
            DataType::Map(Arc::new(inner), *sorted)
        }
        other => other.clone(),
    };
    Ok(Field::new(field.name(), ty, field.is_nullable()))
}

/// Rows as text, packed as they come.
struct Lines {
    packer: Packer,
    encoding: Encoding,
    out: BufWriter,
}

/// One file being written.
pub(super) struct FileWriter {
    sink: Sink,
    schema: SchemaRef,
    pub(super) rows: u64,
}

impl FileWriter {
    pub(super) fn new(
        store: &Arc<dyn ObjectStore>,
        path: object_store::path::Path,
        encoding: &Encoding,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let out = BufWriter::new(Arc::clone(store), path);
        let sink = match encoding {
            Encoding::Parquet(compression) => {
                let properties = WriterProperties::builder().set_compression(*compression).build();
                let writer = AsyncArrowWriter::try_new(out, Arc::clone(schema), Some(properties));
                Sink::Parquet(Box::new(writer.map_err(Error::internal)?))
            }
            Encoding::Orc(compression) => Sink::Orc(Box::new(Orc::new(schema, *compression, out)?)),
            Encoding::Avro(codec) => Sink::Avro(Box::new(Avro::new(schema, *codec, out)?)),
            lines => {
                let pack = match lines {
                    Encoding::Json { pack, .. } | Encoding::Text { pack, .. } => *pack,
                    _ => Pack::None,
                };
                Sink::Lines(Box::new(Lines { packer: Packer::new(pack)?, encoding: lines.clone(), out }))
            }
        };
        Ok(Self { sink, schema: Arc::clone(schema), rows: 0 })
    }

    /// Writes the names of the columns as a line of their own, where the format has lines.
    pub(super) fn header(&mut self) -> Result<()> {
        let Sink::Lines(to) = &mut self.sink else { return Ok(()) };
        let names = self.schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let schema = Arc::new(Schema::new(names.collect::<Vec<_>>()));
        let columns = schema.fields().iter().map(|field| Arc::new(StringArray::from(vec![field.name().as_str()])) as _);
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).map_err(Error::internal)?;
        to.packer.write(lines(&batch, &to.encoding, &schema)?.as_bytes())
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        match &mut self.sink {
            Sink::Parquet(writer) => writer.write(batch).await.map_err(Error::internal),
            Sink::Orc(to) => to.write(batch.clone()).await,
            Sink::Avro(to) => {
                to.writer.write(&as_schema(batch, &to.schema)?).map_err(Error::internal)?;
                put(&mut to.out, &to.done.take()).await
            }
            Sink::Lines(to) => {
                let text = lines(batch, &to.encoding, &self.schema)?;
                to.packer.write(text.as_bytes())?;
                put(&mut to.out, &to.packer.take()).await
            }
        }
    }

    /// What waits in memory for its row group to be full.
    pub(super) fn waiting(&self) -> usize {
        if let Sink::Parquet(writer) = &self.sink { writer.in_progress_size() } else { 0 }
    }

    /// Writes out what waits.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let Sink::Parquet(writer) = &mut self.sink else { return Ok(()) };
        writer.flush().await.map_err(Error::internal)
    }

    pub(super) async fn close(self) -> Result<()> {
        match self.sink {
            Sink::Parquet(writer) => writer.close().await.map(drop).map_err(Error::internal),
            Sink::Orc(to) => to.close().await,
            Sink::Avro(to) => {
                let Avro { mut writer, done, mut out, .. } = *to;
                writer.finish().map_err(Error::internal)?;
                put(&mut out, &done.take()).await?;
                out.shutdown().await.map_err(Error::internal)
            }
            Sink::Lines(to) => {
                let Lines { packer, mut out, .. } = *to;
                put(&mut out, &packer.finish()?).await?;
                out.shutdown().await.map_err(Error::internal)
            }
        }
    }
}

fn as_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| cast(column, field.data_type()).map_err(Error::internal));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_>>()?).map_err(Error::internal)
}

async fn put(out: &mut BufWriter, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() { Ok(()) } else { out.write_all(bytes).await.map_err(Error::internal) }
}

/// Compresses what is written and gives away what is done.
enum Packer {
    None(Vec<u8>),
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Deflate(Box<flate2::write::ZlibEncoder<Vec<u8>>>),
    Bzip2(Box<bzip2::write::BzEncoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Blocks(HadoopBlocks),
}

/// Hadoop's `BlockCompressorStream`: the length of a block, then its one chunk behind the chunk's own length.
struct HadoopBlocks {
    lz4: bool,
    waiting: Vec<u8>,
    done: Vec<u8>,
}

impl HadoopBlocks {
    /// Readers have room for 256 KiB.
    const BLOCK: usize = 128 << 10;

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= Self::BLOCK {
            let rest = self.waiting.split_off(Self::BLOCK);
            let block = std::mem::replace(&mut self.waiting, rest);
            self.block(&block)?;
        }
        Ok(())
    }

    fn block(&mut self, block: &[u8]) -> std::io::Result<()> {
        let packed = if self.lz4 {
            lz4_flex::block::compress(block)
        } else {
            snap::raw::Encoder::new().compress_vec(block).map_err(std::io::Error::other)?
        };
        for length in [block.len(), packed.len()] {
            self.done.extend_from_slice(&u32::try_from(length).map_err(std::io::Error::other)?.to_be_bytes());
        }
        self.done.extend_from_slice(&packed);
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<Vec<u8>> {
        let last = std::mem::take(&mut self.waiting);
        if !last.is_empty() {
            self.block(&last)?;
        }
        Ok(self.done)
    }
}

impl Packer {
    fn new(pack: Pack) -> Result<Self> {
        let level = flate2::Compression::default();
        let blocks = |lz4| Self::Blocks(HadoopBlocks { lz4, waiting: Vec::new(), done: Vec::new() });
        Ok(match pack {
            Pack::None => Self::None(Vec::new()),
            Pack::Gzip => Self::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), level))),
            Pack::Deflate => Self::Deflate(Box::new(flate2::write::ZlibEncoder::new(Vec::new(), level))),
            Pack::Bzip2 => {
                Self::Bzip2(Box::new(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default())))
            }
            Pack::Zstd => {
                Self::Zstd(Box::new(zstd::stream::write::Encoder::new(Vec::new(), 0).map_err(Error::internal)?))
            }
            Pack::Snappy => blocks(false),
            Pack::Lz4 => blocks(true),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::None(out) => Write::write_all(out, bytes),
            Self::Gzip(out) => Write::write_all(out, bytes),
            Self::Deflate(out) => Write::write_all(out, bytes),
            Self::Bzip2(out) => Write::write_all(out, bytes),
            Self::Zstd(out) => Write::write_all(out, bytes),
            Self::Blocks(out) => out.write(bytes),
        }
        .map_err(Error::internal)
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::None(out) => out,
            Self::Gzip(out) => out.get_mut(),
            Self::Deflate(out) => out.get_mut(),
            Self::Bzip2(out) => out.get_mut(),
            Self::Zstd(out) => out.get_mut(),
            Self::Blocks(out) => &mut out.done,
        })
    }

    fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::None(out) => Ok(out),
            Self::Gzip(out) => out.finish(),
            Self::Deflate(out) => out.finish(),
            Self::Bzip2(out) => out.finish(),
            Self::Zstd(out) => out.finish(),
            Self::Blocks(out) => out.finish(),
        }
        .map_err(Error::internal)
    }
}

fn lines(batch: &RecordBatch, encoding: &Encoding, schema: &SchemaRef) -> Result<String> {
    let mut out = String::new();
    for row in 0..batch.num_rows() {
        match encoding {
            Encoding::Json { mapping, .. } => {
                out.push('{');
                for (i, (field, column)) in schema.fields().iter().zip(batch.columns()).enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    json_text(key_of(mapping, field.name()), &mut out);
                    out.push(':');
                    json(column.as_ref(), row, mapping, &mut out)?;
                }
                out.push('}');
            }
            Encoding::Text { separators, null, escape, .. } => {
                for (i, column) in batch.columns().iter().enumerate() {
                    if i > 0 {
                        out.push(separators[0]);
                    }
                    lazy(column.as_ref(), row, separators, 1, null, *escape, &mut out)?;
                }
            }
            Encoding::Csv { separator, quote, escape } => {
                for (i, column) in batch.columns().iter().enumerate() {
                    if i > 0 {
                        out.push(*separator);
                    }
                    csv(column.as_ref(), row, *quote, *escape, &mut out)?;
                }
            }
            Encoding::Parquet(_) | Encoding::Orc(_) | Encoding::Avro(_) => {
                return Err(Error::internal("no format of lines"));
            }
        }
        out.push('\n');
    }
    Ok(out)
}

/// LazySimpleSerDe: a separator for each depth, nulls by their own text, the rest as Hive prints it.
fn lazy(
    array: &dyn Array,
    row: usize,
    separators: &[char],
    depth: usize,
    null: &str,
    escape: Option<char>,
    out: &mut String,
) -> Result<()> {
    if array.is_null(row) {
        out.push_str(null);
        return Ok(());
    }
    let separator = separators.get(depth).copied().ok_or_else(|| Error::not_supported("text nested this deeply"))?;
    match array.data_type() {
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            for i in 0..items.len() {
                if i > 0 {
                    out.push(separator);
                }
                lazy(items.as_ref(), i, separators, depth + 1, null, escape, out)?;
            }
        }
        DataType::Struct(_) => {
            for (i, column) in array.as_struct().columns().iter().enumerate() {
                if i > 0 {
                    out.push(separator);
                }
                lazy(column.as_ref(), row, separators, depth + 1, null, escape, out)?;
            }
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let inner = separators.get(depth + 1).copied().unwrap_or('\u{3}');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(separator);
                }
                lazy(entries.column(0).as_ref(), i, separators, depth + 2, null, escape, out)?;
                out.push(inner);
                lazy(entries.column(1).as_ref(), i, separators, depth + 2, null, escape, out)?;
            }
        }
        DataType::Binary => {
            use base64::Engine;
            out.push_str(&base64::engine::general_purpose::STANDARD.encode(array.as_binary::<i32>().value(row)));
        }
        _ => {
            let mut text = String::new();
            write_value(array, row, &mut text);
            match escape {
                None => out.push_str(&text),
                Some(escape) => {
                    for c in text.chars() {
                        if c == escape || separators.contains(&c) || c == '\n' || c == '\r' {
                            out.push(escape);
                        }
                        out.push(c);
                    }
                }
            }
        }
    }
    Ok(())
}

fn csv(array: &dyn Array, row: usize, quote: char, escape: char, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => {
            return Err(Error::not_supported("arrays, maps and rows in OpenCSVSerde's text"));
        }
        _ => {}
    }
    let mut text = String::new();
    // OpenCSVSerde's dates and timestamps are numbers since 1970.
    match array.data_type() {
        _ if array.is_null(row) => {}
        DataType::Date32 => {
            text = array.as_primitive::<datafusion::arrow::datatypes::Date32Type>().value(row).to_string();
        }
        DataType::Timestamp(..) => {
            let millis = cast(array, &crate::types::TIMESTAMP).map_err(Error::internal)?;
            text =
                millis.as_primitive::<datafusion::arrow::datatypes::TimestampMillisecondType>().value(row).to_string();
        }
        _ => {
            write_value(array, row, &mut text);
        }
    }
    out.push(quote);
    for c in text.chars() {
        if c == quote || c == escape {
            out.push(escape);
        }
        out.push(c);
    }
    out.push(quote);
    Ok(())
}

fn json(array: &dyn Array, row: usize, mapping: &[(String, String)], out: &mut String) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for i in 0..items.len() {
                if i > 0 {
                    out.push(',');
                }
                json(items.as_ref(), i, mapping, out)?;
            }
            out.push(']');
        }
        DataType::Struct(fields) => {
            out.push('{');
            for (i, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json_text(key_of(mapping, field.name()), out);
                out.push(':');
                json(column.as_ref(), row, mapping, out)?;
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(',');
                }
                let mut key = String::new();
                write_value(entries.column(0).as_ref(), i, &mut key);
                json_text(&key, out);
                out.push(':');
                json(entries.column(1).as_ref(), i, mapping, out)?;
            }
            out.push('}');
        }
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Decimal128(..) => {
            write_value(array, row, out);
        }
        DataType::Float32 | DataType::Float64 => {
            let mut text = String::new();
            write_value(array, row, &mut text);
            if text.ends_with(|c: char| c.is_ascii_digit()) { out.push_str(&text) } else { json_text(&text, out) }
        }
        DataType::Binary => {
            use base64::Engine;
            json_text(&base64::engine::general_purpose::STANDARD.encode(array.as_binary::<i32>().value(row)), out);
        }
        _ => {
            let mut text = String::new();
            write_value(array, row, &mut text);
            json_text(&text, out);
        }
    }
    Ok(())
}

fn json_text(text: &str, out: &mut String) {
    // A string always has a JSON text.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The bucket of a row as Hive's first bucketing version numbers them.
pub(super) fn bucket(columns: &[&dyn Array], row: usize, buckets: i64) -> Result<i64> {
    let mut hash: i32 = 0;
    for column in columns {
        hash = hash.wrapping_mul(31).wrapping_add(hive_hash(*column, row)?);
    }
    Ok(i64::from(hash & i32::MAX) % buckets.max(1))
}

fn hive_hash(array: &dyn Array, row: usize) -> Result<i32> {
    use datafusion::arrow::datatypes as dt;
    if array.is_null(row) {
        return Ok(0);
    }
    #[expect(clippy::cast_possible_truncation, reason = "Java's hash of a long folds it so")]
    let fold = |bits: i64| (bits ^ (bits.cast_unsigned() >> 32).cast_signed()) as i32;
    Ok(match array.data_type() {
        DataType::Boolean => i32::from(array.as_boolean().value(row)),
        DataType::Int8 => i32::from(array.as_primitive::<dt::Int8Type>().value(row)),
        DataType::Int16 => i32::from(array.as_primitive::<dt::Int16Type>().value(row)),
        DataType::Int32 => array.as_primitive::<dt::Int32Type>().value(row),
        DataType::Date32 => array.as_primitive::<dt::Date32Type>().value(row),
        DataType::Int64 => fold(array.as_primitive::<dt::Int64Type>().value(row)),
        DataType::Float32 => array.as_primitive::<dt::Float32Type>().value(row).to_bits().cast_signed(),
        DataType::Float64 => fold(array.as_primitive::<dt::Float64Type>().value(row).to_bits().cast_signed()),
        DataType::Utf8 => array
            .as_string::<i32>()
            .value(row)
            .bytes()
            .fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte.cast_signed()))),
        other => {
            return Err(Error::not_supported(format_args!(
                "bucketing by a column of type {}",
                crate::types::trino_data_type(other)
            )));
        }
    })
}

/// The properties of CTAS and UNLOAD that have one text each.
pub(super) fn texts(properties: &[(String, crate::sql::Property)]) -> BTreeMap<&str, &str> {
    properties
        .iter()
        .filter_map(|(key, value)| match value {
            crate::sql::Property::Text(text) => Some((key.as_str(), text.as_str())),
            crate::sql::Property::List(_) => None,
        })
        .collect()
}
