//! Result files: the quoted CSV of queries, the tab-separated text of utilities, and the protobuf `.metadata` beside them.

use datafusion::arrow::array::RecordBatch;

use crate::types::ColumnInfo;
use crate::value::write_field;

/// The CSV header: every name quoted.
pub(crate) fn csv_header(columns: &[ColumnInfo]) -> String {
    let mut out = String::new();
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        quote(&column.name, &mut out);
    }
    out.push('\n');
    out
}

/// Rows as Athena writes them: every value quoted, nothing at all for null.
pub(crate) fn csv_rows(batch: &RecordBatch, out: &mut String) {
    let mut cell = String::new();
    let schema = batch.schema();
    for row in 0..batch.num_rows() {
        for (i, column) in batch.columns().iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            cell.clear();
            if write_field(schema.field(i), column.as_ref(), row, &mut cell) {
                quote(&cell, out);
            }
        }
        out.push('\n');
    }
}

/// Rows as texts, nothing for null.
pub(crate) fn text_rows(batch: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let schema = batch.schema();
    let cell = |row: usize, column: usize| {
        let mut text = String::new();
        write_field(schema.field(column), batch.column(column).as_ref(), row, &mut text).then_some(text)
    };
    (0..batch.num_rows()).map(|row| (0..batch.num_columns()).map(|column| cell(row, column)).collect()).collect()
}

pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    if text.contains('"') {
        out.push_str(&text.replace('"', "\"\""));
    } else {
        out.push_str(text);
    }
    out.push('"');
}

/// The `.metadata` file: 1 the query's id, 4 each column (spec of athena-jdbc, and a captured file).
pub(crate) fn metadata(query_id: &str, columns: &[ColumnInfo]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes_field(&mut out, 1, query_id.as_bytes());
    for column in columns {
        let mut inner = Vec::new();
        bytes_field(&mut inner, 1, b"hive");
        bytes_field(&mut inner, 4, column.name.as_bytes());
        bytes_field(&mut inner, 5, column.name.as_bytes());
        bytes_field(&mut inner, 6, column.ty.as_bytes());
        number_field(&mut inner, 7, column.precision);
        number_field(&mut inner, 8, column.scale);
        number_field(&mut inner, 9, 3);
        number_field(&mut inner, 10, i32::from(column.case_sensitive));
        bytes_field(&mut out, 4, &inner);
    }
    out
}

fn bytes_field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number_field(out: &mut Vec<u8>, tag: u8, value: i32) {
    if value != 0 {
        out.push(tag << 3);
        varint(out, u64::from(value.unsigned_abs()));
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_equals_the_captured_file() {
        let column = ColumnInfo {
            name: "ary".to_owned(),
            ty: "array".to_owned(),
            precision: 0,
            scale: 0,
            case_sensitive: false,
        };
        let mut expected =
            b"\x0a\x1b20190423_125128_00001_ehtur\"\x19\x0a\x04hive\"\x03ary*\x03ary2\x05arrayH\x03".to_vec();
        assert_eq!(metadata("20190423_125128_00001_ehtur", &[column]), expected);
        expected.clear();
        varint(&mut expected, 2_147_483_647);
        assert_eq!(expected, [0xff, 0xff, 0xff, 0xff, 0x07]);
    }
}
