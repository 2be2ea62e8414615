//! Pages of a result: the file in S3 is read from where the last page ended, in pieces.

use api_athena::error::invalid_request_exception;
use api_athena::{ColumnInfo, Datum, GetQueryResultsOutput, ResultSet, ResultSetMetadata, Row};
use api_s3::{GetObject, GetObjectRequest};
use service::Cx;
use wire::Error;

use crate::records::{Column, Record};

/// Bytes asked for at once; for a row that is longer, as many as are there already, so that it is looked through a few times only.
const PIECE: usize = 1 << 20;
const MOST_ROWS: usize = 1000;
/// A page of more bytes ends, whatever rows it may have: a row may be large.
const MOST_BYTES: usize = 8 << 20;

/// The first row of a text and its length; none where it may go on beyond the text, which is not `whole`.
type Parse = fn(&[u8], bool) -> Option<(Row, usize)>;

/// One page; the token is the offset of the next row in the file.
pub(crate) async fn page(
    cx: &Cx,
    record: &Record,
    token: Option<&str>,
    most: Option<i32>,
) -> Result<GetQueryResultsOutput, Error> {
    let offset = match token {
        None => 0,
        Some(token) => {
            token.parse::<usize>().map_err(|_| invalid_request_exception("The provided NextToken is not valid."))?
        }
    };
    let size = most.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(MOST_ROWS).min(MOST_ROWS);
    let place = record.execution.result_configuration.clone().unwrap_or_default();
    let (location, owner) = (place.output_location.unwrap_or_default(), place.expected_bucket_owner);
    let file = File { location: &location, owner: owner.as_deref() };
    // Managed results are the service's own objects, which the caller need not be allowed to read.
    let managed = record.execution.managed_query_results_configuration.is_some();
    let own;
    let cx = if managed {
        own = Cx::platform(cx.router(), cx.account(), cx.region());
        &own
    } else {
        cx
    };
    let width = record.columns.len();
    let extension = location.rsplit_once('.').map_or("", |(_, extension)| extension);
    let csv = extension == "csv";
    // A statement without columns has an empty file, one that wrote data has its rows elsewhere.
    let (rows, next) = if width > 0 && (csv || extension == "txt") {
        let parse: Parse = if csv { csv_row } else { text_row };
        rows_from(offset, size, parse, |at, length| read(cx, &file, at, length)).await?
    } else {
        (Vec::new(), None)
    };
    Ok(GetQueryResultsOutput {
        update_count: Some(record.update_count),
        result_set: Some(ResultSet {
            rows: Some(rows),
            result_set_metadata: Some(ResultSetMetadata {
                column_info: Some(record.columns.iter().map(column_info).collect()),
            }),
        }),
        next_token: next.map(|next| next.to_string()),
    })
}

/// The rows of a page, and where the next one begins.
async fn rows_from<F>(
    offset: usize,
    size: usize,
    parse: Parse,
    read: impl Fn(usize, usize) -> F,
) -> Result<(Vec<Row>, Option<usize>), Error>
where
    F: Future<Output = Result<Vec<u8>, Error>>,
{
    let (mut rows, mut text) = (Vec::new(), Vec::new());
    let mut at = 0;
    let mut whole = false;
    while rows.len() < size && at < MOST_BYTES {
        match parse(&text[at..], whole) {
            Some((row, length)) => {
                rows.push(row);
                at += length;
            }
            None if whole => break,
            None => {
                let length = PIECE.max(text.len() - at);
                let piece = read(offset + text.len(), length).await?;
                whole = piece.len() < length;
                text.extend(piece);
            }
        }
    }
    let full = rows.len() == size || at >= MOST_BYTES;
    let more = full && (at < text.len() || (!whole && !read(offset + text.len(), 1).await?.is_empty()));
    Ok((rows, more.then_some(offset + at)))
}

/// A result, and whose its bucket must be.
struct File<'a> {
    location: &'a str,
    owner: Option<&'a str>,
}

async fn read(cx: &Cx, file: &File<'_>, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
    let location = file.location;
    let (bucket, key) = location.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).unwrap_or_default();
    let request = GetObjectRequest {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        range: Some(format!("bytes={offset}-{}", offset + length - 1)),
        expected_bucket_owner: file.owner.map(str::to_owned),
        ..GetObjectRequest::default()
    };
    match cx.call::<GetObject>(request).await {
        Ok(output) => Ok(output.body.map(|body| body.as_bytes().to_vec()).unwrap_or_default()),
        // Behind the end, or an empty file.
        Err(error) if error.is("InvalidRange") => Ok(Vec::new()),
        Err(error) => {
            Err(invalid_request_exception(format!("Could not find results at {location}: {}", error.message())))
        }
    }
}

fn column_info(column: &Column) -> ColumnInfo {
    ColumnInfo {
        catalog_name: Some("hive".to_owned()),
        schema_name: Some(String::new()),
        table_name: Some(String::new()),
        name: column.name.clone(),
        label: Some(column.name.clone()),
        r#type: column.ty.clone(),
        precision: Some(column.precision),
        scale: Some(column.scale),
        nullable: Some("UNKNOWN".to_owned()),
        case_sensitive: Some(column.case_sensitive),
    }
}

/// The first row of the bytes and its length; `None` when they hold no whole row.
fn csv_row(bytes: &[u8], whole: bool) -> Option<(Row, usize)> {
    if bytes.is_empty() {
        return None;
    }
    let mut cells: Vec<Option<Vec<u8>>> = Vec::new();
    let mut cell: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        match byte {
            b'"' if quoted => match bytes.get(at) {
                Some(b'"') => {
                    cell.get_or_insert_default().push(b'"');
                    at += 1;
                }
                // The last byte may be the first half of a doubled quote.
                None if !whole => return None,
                _ => quoted = false,
            },
            b'"' => {
                quoted = true;
                cell.get_or_insert_default();
            }
            b',' if !quoted => cells.push(cell.take()),
            b'\n' if !quoted => {
                cells.push(cell.take());
                return Some((row(cells), at));
            }
            other => cell.get_or_insert_default().push(other),
        }
    }
    if !whole {
        return None;
    }
    cells.push(cell);
    Some((row(cells), at))
}

/// A line of a utility's text is one datum, whatever columns there are: Athena leaves the tabs in it.
fn text_row(bytes: &[u8], whole: bool) -> Option<(Row, usize)> {
    let end = match bytes.iter().position(|b| *b == b'\n') {
        Some(end) => end,
        None if whole && !bytes.is_empty() => bytes.len(),
        None => return None,
    };
    Some((row(vec![Some(bytes[..end].to_vec())]), (end + 1).min(bytes.len())))
}

fn row(cells: Vec<Option<Vec<u8>>>) -> Row {
    let datum = |cell: Option<Vec<u8>>| Datum {
        var_char_value: cell.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    };
    Row { data: Some(cells.into_iter().map(datum).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(bytes: &[u8], whole: bool) -> Option<(Vec<Option<String>>, usize)> {
        let (row, length) = csv_row(bytes, whole)?;
        Some((row.data.unwrap().into_iter().map(|datum| datum.var_char_value).collect(), length))
    }

    #[test]
    fn null_and_empty_differ() {
        let text = b"\"a\"\"b\",,\"\",\"x\ny\"\n\"next\"\n";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(cells(text, true), Some((vec![some("a\"b"), None, some(""), some("x\ny")], 17)));
        assert_eq!(cells(b"\n", true), Some((vec![None], 1)));
        assert_eq!(cells(b"\"a\"", false), None);
        assert_eq!(cells(b"\"a", false), None);
        assert_eq!(cells(b"", true), None);
    }

    #[test]
    fn a_line_of_text_is_one_datum() {
        let (row, length) = text_row(b"a\tb c\t\nrest", false).unwrap();
        assert_eq!(row.data.unwrap()[0].var_char_value.as_deref(), Some("a\tb c\t"));
        assert_eq!(length, 7);
        assert!(text_row(b"open", false).is_none());
        assert_eq!(text_row(b"last", true).unwrap().1, 4);
    }

    /// Rows of 3 MiB: no page is much longer than its bound, no row is lost, none is read in small pieces again and again.
    #[tokio::test]
    async fn pages_of_large_rows_end_early() {
        let line = |i: usize| format!("\"{}\",\"{i}\"\n", "x".repeat(3 << 20));
        let file: Vec<u8> = (0..7).flat_map(|i| line(i).into_bytes()).collect();
        let reads = std::cell::Cell::new(0);
        let read = |at: usize, length: usize| {
            reads.set(reads.get() + 1);
            let end = file.len().min(at + length);
            std::future::ready(Ok(file[at.min(end)..end].to_vec()))
        };
        let (mut pages, mut seen, mut next) = (Vec::new(), Vec::new(), Some(0));
        while let Some(offset) = next {
            let (rows, then) = rows_from(offset, 1000, csv_row, read).await.unwrap();
            pages.push(rows.len());
            seen.extend(rows.into_iter().map(|row| row.data.unwrap().remove(1).var_char_value.unwrap()));
            next = then;
        }
        assert_eq!(pages, [3, 3, 1]);
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6"]);
        assert!(reads.get() < 30, "{}", reads.get());
        let (rows, then) = rows_from(0, 2, csv_row, read).await.unwrap();
        assert_eq!((rows.len(), then), (2, Some(line(0).len() * 2)));
    }
}
