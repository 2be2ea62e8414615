//! Answers of a Trino 476, as they came over the wire on 2026-11-30 (what nobody reads of them left out), in `pages.jsonl`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::*;
use crate::error::Error;

#[derive(Deserialize)]
struct Recorded {
    sql: String,
    pages: Vec<Box<RawValue>>,
}

/// The recorded answer of the statement that begins so: types and text of the columns, or the error.
fn answer(start: &str) -> Result<(Vec<String>, String)> {
    let all = include_str!("pages.jsonl").lines().map(|line| serde_json::from_str::<Recorded>(line).unwrap());
    let recorded = all.into_iter().find(|recorded| recorded.sql.starts_with(start)).unwrap();
    let (mut columns, mut text) = (None, String::new());
    for page in recorded.pages {
        let page: Page = serde_json::from_str(page.get()).unwrap();
        if let Some(failure) = page.failure() {
            return Err(failure.into());
        }
        if columns.is_none() {
            columns = page.columns()?;
        }
        for row in rows(&page, columns.as_deref().unwrap_or_default())? {
            write_row(&row, columns.as_deref().unwrap_or_default(), &mut text);
        }
    }
    let infos = columns.unwrap_or_default();
    let infos = infos
        .iter()
        .map(Column::info)
        .map(|info| format!("{} {}({},{})", info.name, info.ty, info.precision, info.scale));
    Ok((infos.collect(), text))
}

fn failed(start: &str) -> (i32, i32, String) {
    let Error { category, error_type, message, .. } = answer(start).unwrap_err();
    (category, error_type, message)
}

#[test]
fn values_are_written_as_athena_writes_them() {
    let (columns, text) = answer("SELECT true AS flag").unwrap();
    assert_eq!(
        text,
        "\"true\",\"-7\",\"1234567890123456789\",\"1.1\",\"1.0E10\",\"0.30000000000000004\",\"NaN\",\"-Infinity\",\"1.10\",\
         \"12345678901234567890123456789.5\",\"é\"\"q\",\"ab\",\"ab  \",\"68 65 6c\",\n"
    );
    assert_eq!(
        columns[..5],
        ["flag boolean(0,0)", "tiny tinyint(3,0)", "big bigint(19,0)", "r float(17,0)", "d double(17,0)"]
    );
    assert_eq!(
        columns[8..13],
        ["dec decimal(3,2)", "wide decimal(30,1)", "text varchar(3,0)", "short varchar(5,0)", "padded char(4,0)"]
    );
    let (columns, text) = answer("SELECT DATE").unwrap();
    assert_eq!(
        text,
        "\"2020-02-29\",\"01:02:03.000\",\"01:02:03.500+02:00\",\"2020-01-01 00:00:00.000\",\"2020-01-01 00:00:00.123456\",\
         \"2020-07-01 01:00:00.500 Europe/Berlin\",\"2 00:00:00.000\",\"1-2\"\n"
    );
    assert_eq!(columns[5..7], ["berlin timestamp with time zone(3,0)", "days interval day to second(0,0)"]);
    let (columns, text) = answer("SELECT ARRAY").unwrap();
    assert_eq!(
        text,
        "\"[1, null, 3]\",\"{a=1.5, b=null}\",\"{2020-01-01=00 ff}\",\"{1.0=true}\",\"{n=1, T=x}\",\
         \"{field0=1, field1=[{field0=2020-01-01, field1=NaN}]}\",\"{\"\"a\"\":[1,null]}\",\
         \"12151fd2-7586-11e9-8f9e-2a86e4085a59\",\"10.0.0.1\"\n"
    );
    assert_eq!(columns[..2], ["list array(0,0)", "by_text map(0,0)"]);
    let (_, text) = answer("SELECT CAST(ROW(1)").unwrap();
    assert_eq!(text, "\"{my date=1}\",\"x\"\n");
}

#[test]
fn an_answer_without_rows_has_columns() {
    let (columns, text) = answer("SELECT name FROM nation").unwrap();
    assert_eq!((columns, text.as_str()), (vec!["name varchar(25,0)".to_owned()], ""));
}

#[test]
fn errors_have_athenas_numbers() {
    assert_eq!(
        failed("SELECT nope"),
        (2, 1006, "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved".to_owned())
    );
    assert_eq!(failed("SELECT 1/0"), (2, 1201, "DIVISION_BY_ZERO: Division by zero".to_owned()));
    assert_eq!(failed("SELECT CAST('x'"), (2, 1203, "INVALID_CAST_ARGUMENT: Cannot cast 'x' to INT".to_owned()));
    let missing = "TABLE_NOT_FOUND: line 1:15: Table 'tpch.tiny.missing' does not exist";
    assert_eq!(failed("SELECT * FROM missing"), (2, 1110, missing.to_owned()));
    let (category, number, message) = failed("selec 1");
    assert_eq!((category, number), (2, 1006));
    assert!(message.starts_with("line 1:1: mismatched input 'selec'. Expecting: 'ALTER'"), "{message}");
    let (_, number, message) = failed("SELECT approx_set");
    assert_eq!((number, message.contains("HyperLogLog")), (1301, true));
    let of = |text: &str| Error::from(serde_json::from_str::<Failure>(text).unwrap());
    let memory =
        of(r#"{"errorName": "EXCEEDED_LOCAL_MEMORY_LIMIT", "errorType": "INSUFFICIENT_RESOURCES", "message": "m"}"#);
    assert_eq!((memory.category, memory.error_type), (2, 1009));
    let broken = of(r#"{"errorName": "GENERIC_INTERNAL_ERROR", "errorType": "INTERNAL_ERROR", "message": "m"}"#);
    assert_eq!((broken.category, broken.error_type), (1, 1));
}
