//! SelectObjectContent: an SQL expression over one object, record by record, so that no object is ever whole in memory (a JSON document
//! is). Rows are read by csv-core, serde_json and parquet, the expression by sqlparser; what it means is here, because its values have the types
//! that each record has, which an engine of columns does not know.
//!
//! [`sql`] the expression · [`value`] values · [`eval`] what an expression is of a record · [`input`] records out of bytes ·
//! [`scan`] those of a range · [`parquet`] rows of Parquet · [`marks`] long delimiters · [`time`] patterns of moments · [`output`] records
//! as bytes. Source: Amazon S3 User Guide, "Querying data in place with Amazon S3 Select".

mod eval;
mod input;
mod marks;
mod output;
mod parquet;
mod scan;
mod sql;
mod time;
mod value;

use bytes::Bytes;
use jiff::Zoned;
use s3s::dto::SelectObjectContentRequest;
use wire::Error;

use eval::{Scope, Total};
use framing::Unpack;
use input::Rows;
use output::Output;
pub(crate) use parquet::{Ranges, Rows as ParquetRows};
use scan::Window;
use sql::Query;
pub(crate) use value::Value;

/// What is wrong with an expression, its parameters or the object, under AWS's code for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Invalid {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Invalid {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::new(invalid.code, 400, invalid.message)
    }
}

/// So much text is made into records at once.
const RECORDS_BYTES: usize = 64 << 10;

/// A query under way. Bytes of the object go in, bytes of the answer come out.
pub(crate) struct Select {
    query: Query,
    unpack: Unpack,
    rows: Rows,
    /// None for all records.
    window: Option<Window>,
    /// What of a Parquet object is read.
    wanted: Option<parquet::Wanted>,
    output: Output,
    now: Zoned,
    totals: Vec<Total>,
    /// Records that may still be answered.
    left: u64,
    pub(crate) scanned: u64,
    pub(crate) processed: u64,
    pub(crate) returned: u64,
}

impl Select {
    /// Of an object of so many bytes.
    pub(crate) fn new(request: &SelectObjectContentRequest, size: u64, now: jiff::Timestamp) -> Result<Self, Invalid> {
        if !request.expression_type.as_str().eq_ignore_ascii_case("SQL") {
            return Err(Invalid::new(
                "InvalidExpressionType",
                "The ExpressionType is not valid. Only SQL expressions are supported.",
            ));
        }
        let input = &request.input_serialization;
        let query = Query::parse(&request.expression)?;
        let rows = Rows::of(input)?;
        if matches!(rows, Rows::Csv(_)) && query.from.iter().any(|step| *step != sql::Step::Each) {
            return Err(Invalid::new("InvalidDataSource", "A path in FROM leads into JSON only"));
        }
        let packing = input.compression_type.as_ref().map(s3s::dto::CompressionType::as_str);
        let (plain, is_parquet) = (matches!(packing, None | Some("NONE")), matches!(rows, Rows::Parquet));
        if is_parquet && !plain {
            let told = "The file is not in a supported compression format: Parquet is compressed within.";
            return Err(Invalid::new("InvalidCompressionFormat", told));
        }
        let range = request.scan_range.as_ref().map(|asked| scan::range(asked, size)).transpose()?;
        let window = match (&range, rows.parted()) {
            _ if is_parquet => None,
            (None, _) => None,
            (Some(range), Some((delimiter, header))) if plain => Some(Window::new(range.clone(), delimiter, header)),
            _ => return Err(scan::unsupported()),
        };
        Ok(Self {
            unpack: input::unpack(packing)?,
            window,
            wanted: is_parquet.then(|| parquet::Wanted { range, columns: query.members() }),
            rows,
            output: Output::of(&request.output_serialization)?,
            now: now.to_zoned(jiff::tz::TimeZone::UTC),
            totals: vec![Total::default(); query.aggregates.len()],
            left: query.limit.unwrap_or(u64::MAX),
            query,
            scanned: 0,
            processed: 0,
            returned: 0,
        })
    }

    /// Whether no more of the object is wanted.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.query.aggregates.is_empty()
    }

    /// Whether no more of the object's bytes are looked at.
    pub(crate) fn has_read(&self) -> bool {
        self.is_done() || self.window.as_ref().is_some_and(Window::is_after)
    }

    /// The rows of a Parquet object of so many bytes; none of another.
    pub(crate) fn parquet(&mut self, ranges: Ranges, size: u64) -> Option<ParquetRows> {
        Some(ParquetRows::of(ranges, size, self.wanted.take()?))
    }

    /// Where the object is to be read from.
    pub(crate) fn begin(&self) -> u64 {
        self.window.as_ref().map_or(0, Window::at)
    }

    /// What the next piece of the object gives; and whether the bytes from [`Self::begin`] on come next, not those behind the piece.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(Bytes, bool), Invalid> {
        let (bytes, jumps) = match &mut self.window {
            Some(window) => window.cut(bytes),
            None => (bytes, false),
        };
        Ok((self.plain(bytes)?, jumps))
    }

    /// What rows of a Parquet object give.
    pub(crate) fn rows(&mut self, rows: Vec<Value>, read: u64) -> Result<Bytes, Invalid> {
        (self.scanned, self.processed) = (read, read);
        self.take(rows)?;
        Ok(self.taken())
    }

    fn plain(&mut self, bytes: &[u8]) -> Result<Bytes, Invalid> {
        if self.is_done() {
            return Ok(Bytes::new());
        }
        self.unpack.give(bytes.to_vec());
        let failed = |error: std::io::Error| Invalid::new("InvalidCompressionFormat", error.to_string());
        while !self.is_done()
            && let Some(piece) = self.unpack.take().map_err(failed)?
        {
            for text in piece.chunks(RECORDS_BYTES) {
                self.records(text)?;
            }
        }
        self.scanned = self.unpack.used();
        Ok(self.taken())
    }

    /// What the end of the object gives.
    pub(crate) fn end(&mut self) -> Result<Bytes, Invalid> {
        if !self.is_done() {
            let cut_off = |error: std::io::Error| Invalid::new("TruncatedInput", error.to_string());
            let rest = self.unpack.finish().map_err(cut_off)?;
            for text in rest.chunks(RECORDS_BYTES) {
                self.records(text)?;
            }
            self.records(&[])?;
        }
        if !self.query.aggregates.is_empty() && self.left > 0 {
            let totals = eval::totals(&self.query, std::mem::take(&mut self.totals))?;
            let (record, names) = (Value::Missing, &self.query.names);
            let scope = Scope { record: &record, names, now: &self.now, totals: &totals };
            self.output.row(columns(&self.query, &scope)?)?;
        }
        Ok(self.taken())
    }

    fn taken(&mut self) -> Bytes {
        let bytes = self.output.take();
        self.returned += bytes.len() as u64;
        bytes
    }

    fn records(&mut self, text: &[u8]) -> Result<(), Invalid> {
        self.processed += text.len() as u64;
        let mut records = Vec::new();
        self.rows.feed(text, &mut records)?;
        self.take(records)
    }

    fn take(&mut self, records: Vec<Value>) -> Result<(), Invalid> {
        for record in records {
            for record in eval::sources(record, &self.query.from) {
                if self.is_done() {
                    return Ok(());
                }
                let scope = Scope { record: &record, names: &self.query.names, now: &self.now, totals: &[] };
                if let Some(filter) = &self.query.filter
                    && !filter.holds(&scope)?
                {
                    continue;
                }
                if !self.query.aggregates.is_empty() {
                    eval::take(&self.query, &mut self.totals, &scope)?;
                    continue;
                }
                let row = columns(&self.query, &scope)?;
                self.output.row(row)?;
                self.left -= 1;
            }
        }
        Ok(())
    }
}

/// The columns of an answer's record, by their names.
fn columns(query: &Query, scope: &Scope<'_>) -> Result<Vec<(String, Value)>, Invalid> {
    let Some(columns) = &query.columns else {
        return Ok(match scope.record {
            Value::Struct(members) => members.clone(),
            other => vec![("_1".to_owned(), other.clone())],
        });
    };
    columns.iter().map(|column| Ok((column.name.clone(), column.expr.value(scope)?))).collect()
}

#[cfg(test)]
mod tests;
