//! S3 Select whole: objects in, answers out, in pieces of every size.

use s3s::dto::{
    CSVInput, CSVOutput, CompressionType, FileHeaderInfo, InputSerialization, JSONInput, JSONOutput, JSONType,
    OutputSerialization, QuoteFields,
};

use super::*;

fn request(sql: &str, input: InputSerialization, output: OutputSerialization) -> SelectObjectContentRequest {
    SelectObjectContentRequest {
        expression: sql.to_owned(),
        expression_type: s3s::dto::ExpressionType::from_static(s3s::dto::ExpressionType::SQL),
        input_serialization: input,
        output_serialization: output,
        request_progress: None,
        scan_range: None,
    }
}

fn csv(header: &'static str) -> InputSerialization {
    let csv = CSVInput { file_header_info: Some(FileHeaderInfo::from_static(header)), ..CSVInput::default() };
    InputSerialization { csv: Some(csv), ..InputSerialization::default() }
}

fn json(kind: &'static str) -> InputSerialization {
    InputSerialization {
        json: Some(JSONInput { type_: Some(JSONType::from_static(kind)) }),
        ..InputSerialization::default()
    }
}

fn to_csv() -> OutputSerialization {
    OutputSerialization { csv: Some(CSVOutput::default()), json: None }
}

fn to_json() -> OutputSerialization {
    OutputSerialization { csv: None, json: Some(JSONOutput::default()) }
}

/// The answer, whatever the pieces in which the object comes.
fn answer(request: &SelectObjectContentRequest, object: &[u8]) -> Result<String, Invalid> {
    let mut answers = Vec::new();
    for piece in [1, 7, object.len().max(1)] {
        let mut select = Select::new(request, object.len() as u64, jiff::Timestamp::UNIX_EPOCH)?;
        let (mut out, mut at) = (Vec::new(), usize::try_from(select.begin()).unwrap());
        while at < object.len() && !select.has_read() {
            let end = object.len().min(at + piece);
            let (given, jumps) = select.feed(&object[at..end])?;
            out.extend_from_slice(&given);
            at = if jumps { usize::try_from(select.begin()).unwrap() } else { end };
        }
        out.extend_from_slice(&select.end()?);
        assert_eq!(select.returned, out.len() as u64);
        answers.push(String::from_utf8(out).unwrap());
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    Ok(answers.remove(0))
}

const PEOPLE: &str = "name,age,city\nAnn,42,\"New York, NY\"\nBob,7,Oslo\nCid,,\n";

#[test]
fn delimited_text() {
    for (header, sql, wanted) in [
        ("USE", "SELECT * FROM S3Object", "Ann,42,\"New York, NY\"\nBob,7,Oslo\nCid,,\n"),
        ("USE", "select s.NAME, age from s3object s where s.age > 10", "Ann,42\n"),
        ("USE", "SELECT _1 FROM S3Object WHERE city LIKE '%o' LIMIT 1", "Bob\n"),
        ("IGNORE", "SELECT s._2 FROM S3Object AS s WHERE s._1 = 'Bob'", "7\n"),
        ("NONE", "SELECT COUNT(*), MAX(_1) FROM S3Object", "4,name\n"),
        (
            "USE",
            "SELECT SUM(CAST(age AS INT)), AVG(age), MIN(age), COUNT(*) FROM S3Object WHERE age <> ''",
            "49,24.5,42,2\n",
        ),
        ("USE", "SELECT COUNT(*) FROM S3Object WHERE 1 = 2", "0\n"),
        ("USE", "SELECT * FROM S3Object LIMIT 0", ""),
        ("USE", "SELECT gone, name || '!' FROM S3Object s LIMIT 1", ",Ann!\n"),
    ] {
        assert_eq!(answer(&request(sql, csv(header), to_csv()), PEOPLE.as_bytes()).unwrap(), wanted, "{sql}");
    }
    let sql = "SELECT name, age + 1 AS next, CAST(age AS INT) * 2 FROM S3Object LIMIT 1";
    let wanted = "{\"name\":\"Ann\",\"next\":43,\"_3\":84}\n";
    assert_eq!(answer(&request(sql, csv("USE"), to_json()), PEOPLE.as_bytes()).unwrap(), wanted);
}

#[test]
fn documents_and_lines_of_json() {
    let document = r#"{"Rules": [{"id": "1"}, {"expr": "y > x"}, {"id": "2", "n": 1.5}], "made": "2020"} {"Rules": [{"id": "3"}]}"#;
    for (sql, wanted) in [
        ("SELECT id FROM S3Object[*].Rules[*].id", "{\"id\":\"1\"}\n{}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n"),
        ("SELECT r.* FROM S3Object[*].Rules[*] r WHERE r.n = 1.5", "{\"id\":\"2\",\"n\":1.5}\n"),
        ("SELECT s.Rules[0].id, s.made FROM S3Object s LIMIT 1", "{\"id\":\"1\",\"made\":\"2020\"}\n"),
        ("SELECT s.\"rules\" FROM S3Object s LIMIT 1", "{}\n"),
    ] {
        assert_eq!(answer(&request(sql, json("DOCUMENT"), to_json()), document.as_bytes()).unwrap(), wanted, "{sql}");
    }
    let lines = "{\"a\": 1, \"b\": {\"c\": [1, 2]}}\n\n{\"a\": 9007199254740993, \"b\": null}";
    let wanted = "1,\"{\"\"c\"\":[1,2]}\"\n9007199254740993,\n";
    assert_eq!(
        answer(&request("SELECT s.a, s.b FROM S3Object s", json("LINES"), to_csv()), lines.as_bytes()).unwrap(),
        wanted
    );
}

#[test]
fn ranges_of_bytes() {
    let ranged = |input: InputSerialization, start: i64, end: i64| SelectObjectContentRequest {
        scan_range: Some(s3s::dto::ScanRange { start: Some(start), end: Some(end) }),
        ..request("SELECT name FROM S3Object", input, to_csv())
    };
    let object = PEOPLE.as_bytes();
    // Lines begin at 0, 14, 36 and 47; the header is read whatever the range.
    for (start, end, wanted) in [
        (0, 13, ""),
        (0, 14, "Ann\n"),
        (14, 35, "Ann\n"),
        (15, 36, "Bob\n"),
        (20, 99, "Bob\nCid\n"),
        (48, 99, ""),
        (99, 100, ""),
    ] {
        assert_eq!(answer(&ranged(csv("USE"), start, end), object).unwrap(), wanted, "{start}-{end}");
    }
    let last = SelectObjectContentRequest {
        scan_range: Some(s3s::dto::ScanRange { start: None, end: Some(6) }),
        ..request("SELECT _1 FROM S3Object", csv("IGNORE"), to_csv())
    };
    assert_eq!(answer(&last, object).unwrap(), "Cid\n");
    let lines = "{\"name\": 1}\n{\"name\": 2}\n{\"name\": 3}\n";
    assert_eq!(answer(&ranged(json("LINES"), 1, 13), lines.as_bytes()).unwrap(), "2\n");
    assert_eq!(answer(&ranged(json("DOCUMENT"), 1, 13), b"").unwrap_err().code, "UnsupportedScanRangeInput");
    assert_eq!(answer(&ranged(csv("USE"), 3, 2), object).unwrap_err().code, "InvalidScanRange");
    let packed = InputSerialization {
        compression_type: Some(CompressionType::from_static(CompressionType::GZIP)),
        ..csv("USE")
    };
    assert_eq!(answer(&ranged(packed, 1, 2), object).unwrap_err().code, "UnsupportedScanRangeInput");
}

#[test]
fn delimiters_of_several_bytes() {
    let mut input = csv("USE");
    input.csv = Some(CSVInput {
        field_delimiter: Some("||".to_owned()),
        record_delimiter: Some("~|~".to_owned()),
        ..input.csv.unwrap()
    });
    let output = CSVOutput {
        field_delimiter: Some("::".to_owned()),
        record_delimiter: Some("$\n".to_owned()),
        ..CSVOutput::default()
    };
    let output = OutputSerialization { csv: Some(output), json: None };
    let text = "a||b~|~1||\"x||y~|~z\"~|~2||p::q:~|~";
    assert_eq!(
        answer(&request("SELECT a, b FROM S3Object", input, output), text.as_bytes()).unwrap(),
        "1::x||y~|~z$\n2::\"p::q:\"$\n"
    );
}

#[test]
fn decimals_keep_their_digits() {
    let text = "1.10,12345678901234567890.123456789\n2.2,0.000000001\n";
    let sql = "SELECT SUM(CAST(_1 AS DECIMAL(5, 2))), AVG(CAST(_1 AS DECIMAL)), SUM(CAST(_2 AS DECIMAL(38, 9))) AS whole \
               FROM S3Object";
    let wanted = "{\"_1\":3.30,\"_2\":1.65,\"whole\":12345678901234567890.123456790}\n";
    assert_eq!(answer(&request(sql, csv("NONE"), to_json()), text.as_bytes()).unwrap(), wanted);
}

#[test]
fn separators_quotes_and_compression() {
    let mut input = csv("NONE");
    let own = CSVInput {
        field_delimiter: Some(";".to_owned()),
        record_delimiter: Some("|".to_owned()),
        quote_character: Some("'".to_owned()),
        quote_escape_character: Some("\\".to_owned()),
        ..CSVInput::default()
    };
    input.csv = Some(own);
    let output = CSVOutput {
        quote_fields: Some(QuoteFields::from_static(QuoteFields::ALWAYS)),
        record_delimiter: Some("\r\n".to_owned()),
        field_delimiter: Some("\t".to_owned()),
        ..CSVOutput::default()
    };
    let output = OutputSerialization { csv: Some(output), json: None };
    let text = "a;'b;\\'|c'|";
    assert_eq!(
        answer(&request("SELECT * FROM S3Object", input, output), text.as_bytes()).unwrap(),
        "\"a\"\t\"b;'|c\"\r\n"
    );
    let mut input = csv("NONE");
    input.csv = Some(CSVInput { comments: Some("#".to_owned()), ..CSVInput::default() });
    let remarks = request("SELECT _2, _1 FROM S3Object", input, to_csv());
    assert_eq!(answer(&remarks, b"# a remark\na,b\r\n#,\n1").unwrap(), "b,a\n,1\n");
    assert_eq!(answer(&request("SELECT _2 FROM S3Object", csv("NONE"), to_csv()), b"a\n").unwrap(), "\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, PEOPLE.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let mut input = csv("USE");
    input.compression_type = Some(CompressionType::from_static(CompressionType::GZIP));
    let counted = request("SELECT COUNT(*) FROM S3Object", input, to_csv());
    assert_eq!(answer(&counted, &packed).unwrap(), "3\n");
    assert_eq!(answer(&counted, &packed[..packed.len() - 9]).unwrap_err().code, "TruncatedInput");
    assert_eq!(answer(&counted, PEOPLE.as_bytes()).unwrap_err().code, "InvalidCompressionFormat");
}

#[test]
fn what_is_wrong_has_its_code() {
    let none = InputSerialization::default();
    let both = InputSerialization { json: json("LINES").json, ..csv("USE") };
    for (sql, input, object, code) in [
        ("SELECT * FROM S3Object", none, "", "MissingRequiredParameter"),
        ("SELECT * FROM S3Object", both, "", "ObjectSerializationConflict"),
        ("SELECT * FROM S3Object", csv("SOME"), "", "InvalidFileHeaderInfo"),
        ("SELECT * FROM S3Object", json("X"), "", "InvalidJsonType"),
        ("SELECT * FROM S3Object", json("LINES"), "{", "JSONParsingError"),
        ("SELECT * FROM S3Object[*].a", csv("USE"), "", "InvalidDataSource"),
        ("SELECT CAST(_1 AS INT) FROM S3Object", csv("NONE"), "x\n", "CastFailed"),
    ] {
        assert_eq!(answer(&request(sql, input, to_csv()), object.as_bytes()).unwrap_err().code, code, "{sql}");
    }
    let wild: &[u8] = b"\xff\n";
    assert_eq!(
        answer(&request("SELECT * FROM S3Object", csv("NONE"), to_csv()), wild).unwrap_err().code,
        "InvalidTextEncoding"
    );
}
