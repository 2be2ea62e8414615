//! Files of items in each form, whole and broken.

use std::collections::VecDeque;

use asl::{InputType, ReaderConfig};
use serde_json::{Value, json};

use super::Decoder;

/// Reads a text in pieces of every small size; all must agree.
fn read(config: &Value, text: &str) -> Result<Value, String> {
    let config: ReaderConfig = serde_json::from_value(config.clone()).unwrap();
    let kind = config.input_type.unwrap_or(InputType::Csv);
    let mut first: Option<Result<Value, String>> = None;
    for size in [1, 2, 3, 7, 1000] {
        let mut found = VecDeque::new();
        let result = Decoder::new(kind, &config).and_then(|mut decoder| {
            for piece in text.as_bytes().chunks(size) {
                decoder.feed(piece, &mut found)?;
            }
            decoder.finish(&mut found)
        });
        let result = result.map(|()| Value::Array(found.into()));
        assert_eq!(first.get_or_insert_with(|| result.clone()), &result, "pieces of {size}");
    }
    first.unwrap()
}

#[test]
fn rows_are_objects_by_the_names_of_the_header() {
    let first_row = json!({ "InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW" });
    let text = "a,b,c\n1,2,3\n,,,\nx\n\"q,\"\"\n\",'s', \n   \n";
    assert_eq!(
        read(&first_row, text),
        Ok(json!([
            { "a": "1", "b": "2", "c": "3" },
            { "a": "", "b": "", "c": "" },
            { "a": "x", "b": "", "c": "" },
            { "a": "q,\"\n", "b": "'s'", "c": " " },
            { "a": "   ", "b": "", "c": "" },
        ]))
    );
    let given =
        json!({ "InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["k"], "CSVDelimiter": "PIPE" });
    assert_eq!(read(&given, "1|2\r\n3"), Ok(json!([{ "k": "1" }, { "k": "3" }])));
    assert_eq!(read(&first_row, ""), Ok(json!([])));
}

#[test]
fn quotes_and_backslashes_escape_in_bare_fields_too() {
    let first_row = json!({ "InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW" });
    for (text, want) in [
        (r#"1,{""k"":""v""}"#, json!({ "a": "1", "b": r#"{"k":"v"}"# })),
        (r#""x, ""y""","""""#, json!({ "a": r#"x, "y""#, "b": "\"" })),
        (r#"5" wide,tall 6""#, json!({ "a": r#"5" wide"#, "b": r#"tall 6""# })),
        (r#""a"b,"""#, json!({ "a": "ab", "b": "" })),
        (r"x\,y,C:\\dir\qz", json!({ "a": "x,y", "b": r"C:\dirqz" })),
        (r#"\"x\",\\"#, json!({ "a": r#""x""#, "b": r"\" })),
        (r#""say \"a,b\"",c\"#, json!({ "a": r#"say "a,b""#, "b": "c" })),
        ("\"1\r\n2\",3\r\n\r\n", json!({ "a": "1\r\n2", "b": "3" })),
        ("\u{ff0c},ü", json!({ "a": "\u{ff0c}", "b": "ü" })),
    ] {
        assert_eq!(read(&first_row, &format!("a,b\n{text}")), Ok(json!([want])), "{text}");
    }
    let pipe = json!({ "InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "CSVDelimiter": "PIPE" });
    assert_eq!(read(&pipe, "a|b\n1\\|2|3\\,4"), Ok(json!([{ "a": "1|2", "b": "3,4" }])));
    // A byte order mark is none of the text.
    assert_eq!(read(&first_row, "\u{feff}\"a\"\n1"), Ok(json!([{ "a": "1" }])));
    assert_eq!(read(&first_row, "\u{ff0c}\n1"), Ok(json!([{ "\u{ff0c}": "1" }])));
}

#[test]
fn members_of_a_row_come_in_the_order_of_a_hash_map() {
    let first_row = json!({ "InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW" });
    let items = read(&first_row, "0,True,{}\na,b,c").unwrap();
    assert_eq!(items.to_string(), r#"[{"0":"a","{}":"c","True":"b"}]"#);
    let given = json!({ "InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["H1", ""] });
    assert_eq!(read(&given, "a,b").unwrap().to_string(), r#"[{"":"b","H1":"a"}]"#);
}

#[test]
fn lines_are_items() {
    let lines = json!({ "InputType": "JSONL" });
    assert_eq!(read(&lines, "{\"a\":1}\n\n \"x\\n\" \r\n[2]"), Ok(json!([{ "a": 1 }, "x\n", [2]])));
    assert!(read(&lines, "{\"a\":1}\n{").unwrap_err().starts_with("Line 2 is not valid JSON"));
}

#[test]
fn elements_are_items_wherever_the_array_is() {
    let whole = json!({ "InputType": "JSON" });
    assert_eq!(
        read(&whole, " [1, \"a,]\\\"\", {\"b\":[2,{}]}, [], null] "),
        Ok(json!([1, "a,]\"", { "b": [2, {}] }, [], null]))
    );
    assert_eq!(read(&whole, "[]"), Ok(json!([])));
    for not_an_array in ["{\"Hello\": \"world\"}", "1", "\"x\"", ""] {
        assert_eq!(read(&whole, not_an_array), Err("Attempting to map over non-iterable node.".to_owned()));
    }
    assert!(read(&whole, "[1,,2]").unwrap_err().starts_with("Invalid JSON"));
    // What is cut, joined or written twice is no other data.
    for broken in [
        "[1,",
        "[1",
        "[1,2,]",
        "[,1]",
        r#"[{"id": 1 2}, 3 4]"#,
        "[3 4]",
        "[tr ue]",
        "[1][2]",
        "[1] x",
        "[1]]",
        "[{]}",
        r#"[{"a":1,}]"#,
        "[01]",
        "[+1]",
        "[\"\u{1}\"]",
        r#"["\ud800"]"#,
        r#"{"a":1}{"#,
        "[1e999]",
    ] {
        assert!(read(&whole, broken).is_err(), "{broken}");
    }
    let deep = |levels: usize| format!("[{}{}]", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&whole, &deep(127)).is_ok() && read(&whole, &deep(128)).is_err());
    assert_eq!(read(&whole, "\t[ 1 , -0.5e3 ,\r\n true ] \n"), Ok(json!([1, -500.0, true])));
    assert_eq!(
        read(&whole, r#"["\u00e9\ud83d\ude00\n", 18446744073709551615, {"a":1,"a":2}]"#),
        Ok(json!(["é😀\n", u64::MAX, { "a": 2 }]))
    );

    let pointed = json!({ "InputType": "JSON", "ItemsPointer": "/a/1/b~1c" });
    let text = r#"{"x":{"a":[0,{"b/c":[9]}]},"a":[[7],{"y":"[","b/c":[1,[2]],"z":0}]}"#;
    assert_eq!(read(&pointed, text), Ok(json!([1, [2]])));
    assert!(read(&pointed, r#"{"a":[0,{"b/c":{}}]}"#).is_err());
    assert!(read(&pointed, r#"{"a":[]}"#).is_err());
    // Beside the way and behind the array too.
    for broken in [r#"{"x":[1,],"a":[0,{"b/c":[1]}]}"#, r#"{"a":[0,{"b/c":[1]}]"#, r#"{"a":[0,{"b/c":[1] 2}]}"#] {
        assert!(read(&pointed, broken).is_err(), "{broken}");
    }
}

#[test]
fn a_text_of_json_is_bounded() {
    let long = "x".repeat(super::MAX_ITEM_BYTES);
    let config: ReaderConfig = serde_json::from_value(json!({ "InputType": "JSON" })).unwrap();
    let read = |text: &str| {
        let (mut found, mut decoder) = (VecDeque::new(), Decoder::new(InputType::Json, &config).unwrap());
        for piece in text.as_bytes().chunks(1 << 20) {
            decoder.feed(piece, &mut found)?;
        }
        decoder.finish(&mut found).map(|()| found.len())
    };
    assert_eq!(read(&format!("[\"{}\",1]", &long[100..])), Ok(2));
    let error = Err(format!("An item is longer than {} bytes", super::MAX_ITEM_BYTES));
    assert_eq!(read(&format!("[\"{long}\"]")), error);
    assert_eq!(read(&format!("[{{\"a\":\"{}\",\"b\":\"{}\"}}]", &long[100..], &long[..200])), error);
}

#[tokio::test]
async fn rows_of_parquet_are_objects() {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let schema =
        "message m { REQUIRED INT64 n; REQUIRED INT64 at (TIMESTAMP(MILLIS, true)); REQUIRED BYTE_ARRAY s (UTF8); }";
    let file = tempfile::tempfile().unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(file.try_clone().unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for numbers in [[1_i64, 2], [0, 1500]] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&[ByteArray::from("a"), ByteArray::from("b")], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();

    let found = rows(file).await.unwrap();
    let at = |text: &str, n: u64, s: &str| json!({ "n": n, "at": text, "s": s });
    assert_eq!(found, [at("1970-01-01T00:00:00Z", 1, "a"), at("1970-01-01T00:00:01.5Z", 2, "b")]);
    let none = rows(tempfile::tempfile().unwrap()).await;
    assert!(none.unwrap_err().starts_with("The object is not Parquet"));
}

/// All rows of a file, or why they cannot all be read.
async fn rows(file: std::fs::File) -> Result<Vec<Value>, String> {
    let (mut rows, mut found) = (super::parquet::Rows::of(file), Vec::new());
    while let Some(row) = rows.next().await? {
        found.push(row);
    }
    Ok(found)
}

/// A file of one column with that many bytes a value.
fn file_of_fixed(schema: &str, values: &[&[u8]]) -> std::fs::File {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, FixedLenByteArray, FixedLenByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let file = tempfile::tempfile().unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(file.try_clone().unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<FixedLenByteArray> = values.iter().map(|value| ByteArray::from(value.to_vec()).into()).collect();
    column.typed::<FixedLenByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn decimals_are_written_with_all_their_digits() {
    let of = |precision: u32, scale: u32| {
        format!("message m {{ REQUIRED FIXED_LEN_BYTE_ARRAY(17) d (DECIMAL({precision},{scale})); }}")
    };
    let wide = |value: i128| [&[if value < 0 { 0xff } else { 0 }], &value.to_be_bytes()[..]].concat();
    for (precision, scale, value, want) in [
        (4, 4, 1, "0.0001"),
        (4, 4, -1, "-0.0001"),
        (4, 0, 123, "123"),
        (5, 2, -150, "-1.50"),
        (5, 2, 5, "0.05"),
        (38, 10, -99_999_999_999_999_999_999_999_999_999_999_999_999, "-9999999999999999999999999999.9999999999"),
    ] {
        let found = rows(file_of_fixed(&of(precision, scale), &[&wide(value)])).await;
        assert_eq!(found, Ok(vec![json!({ "d": want })]), "{precision},{scale}");
    }
    let beyond = rows(file_of_fixed(&of(38, 0), &[&[0x7f; 17]])).await;
    assert_eq!(beyond, Err("The object has a DECIMAL of more than 38 digits".to_owned()));
}

#[tokio::test]
async fn a_reader_that_panics_has_not_come_to_the_end() {
    // The library has no text for intervals, and says so by panicking.
    let file = file_of_fixed("message m { REQUIRED FIXED_LEN_BYTE_ARRAY(12) i (INTERVAL); }", &[&[0; 12], &[1; 12]]);
    let error = rows(file).await.unwrap_err();
    assert!(error.starts_with("The object cannot be read as Parquet: "), "{error}");
}
