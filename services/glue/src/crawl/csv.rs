//! Delimited text: dialect, header and column types, by the rules of the built-in classifier or of a custom one.

use super::sample::Sample;
use super::schema::{CsvFormat, FileSchema, Format};
use super::settings::{CsvClassifier, CsvHeader};
use super::types::HiveType;

const DELIMITERS: [char; 5] = [',', '|', '\t', ';', '\u{1}'];
/// The part of the sample by which the delimiter is judged.
const DIALECT_ROWS: usize = 200;
/// Rows of the usual width that a delimited file has at least, in percent: some may be broken.
const REGULAR_PERCENT: usize = 70;

/// The built-in classifier.
pub(super) fn classify(sample: &Sample) -> Option<FileSchema> {
    let text = text_of(sample)?;
    let delimiter = guess_delimiter(&text, sample.complete)?;
    read(sample, &text, delimiter, &CsvClassifier::default(), false)
}

/// A custom classifier: what it does not say is decided as the built-in one does.
pub(super) fn classify_as(sample: &Sample, custom: &CsvClassifier) -> Option<FileSchema> {
    let text = text_of(sample)?;
    let delimiter = match custom.delimiter {
        Some(given) => given,
        None => guess_delimiter(&text, sample.complete)?,
    };
    read(sample, &text, delimiter, custom, true)
}

/// The same file once a sibling has shown that its first row is the header.
pub(super) fn with_header(mut schema: FileSchema, names: &[(String, HiveType)]) -> FileSchema {
    if let Format::Csv(format) = &mut schema.format {
        format.header = true;
        format.unnamed = false;
    }
    // Types were judged with the header among the values, so only the sibling's can be trusted.
    schema.columns = names.to_vec();
    schema.records = schema.records.saturating_sub(1);
    schema.first_row = None;
    schema
}

#[derive(Debug, Clone)]
struct Cell<'a> {
    text: &'a str,
    quoted: bool,
}

fn text_of(sample: &Sample) -> Option<String> {
    let data = sample.data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&sample.data);
    if data.contains(&0) {
        return None;
    }
    match std::str::from_utf8(data) {
        Ok(text) => Some(text.to_owned()),
        // A sample may end within a character; elsewhere odd bytes are another encoding, which is still text.
        Err(_) => Some(String::from_utf8_lossy(data).into_owned()),
    }
}

/// Whole lines only: the last line of a part may be cut.
fn lines(text: &str, complete: bool) -> impl Iterator<Item = &str> {
    let whole = if complete { text } else { text.rfind('\n').map_or("", |end| &text[..=end]) };
    whole.lines().filter(|line| !line.is_empty())
}

fn guess_delimiter(text: &str, complete: bool) -> Option<char> {
    let mut best: Option<(usize, usize, char)> = None;
    for delimiter in DELIMITERS {
        let widths: Vec<usize> =
            lines(text, complete).take(DIALECT_ROWS).map(|line| cells(line, delimiter, '"').len()).collect();
        let Some((width, regular)) = usual(&widths) else { continue };
        let percent = regular * 100 / widths.len();
        if width < 2 || percent < REGULAR_PERCENT {
            continue;
        }
        if best.is_none_or(|(p, w, _)| (percent, width) > (p, w)) {
            best = Some((percent, width, delimiter));
        }
    }
    best.map(|(_, _, delimiter)| delimiter)
}

/// The most frequent width and how often it occurs; the wider of two equals.
fn usual(widths: &[usize]) -> Option<(usize, usize)> {
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    for width in widths {
        *counts.entry(*width).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(width, count)| (*count, *width))
}

/// Cells of one line. Both SerDes work line by line, so a quote that the line does not close is an ordinary character.
fn cells(line: &str, delimiter: char, quote: char) -> Vec<Cell<'_>> {
    let mut out = Vec::new();
    let mut rest = line;
    loop {
        if let Some((inside, after)) = quoted(rest, delimiter, quote) {
            out.push(Cell { text: inside, quoted: true });
            match after {
                Some(next) => rest = next,
                None => return out,
            }
        } else if let Some((cell, next)) = rest.split_once(delimiter) {
            out.push(Cell { text: cell, quoted: false });
            rest = next;
        } else {
            out.push(Cell { text: rest, quoted: false });
            return out;
        }
    }
}

/// A quoted cell at the start of `rest`: its inside, and what follows its delimiter if there is one.
fn quoted(rest: &str, delimiter: char, quote: char) -> Option<(&str, Option<&str>)> {
    let body = rest.strip_prefix(quote)?;
    let mut from = 0;
    loop {
        let end = from + body[from..].find(quote)?;
        let after = &body[end + quote.len_utf8()..];
        if let Some(more) = after.strip_prefix(quote) {
            from = body.len() - more.len();
        } else if after.is_empty() {
            return Some((&body[..end], None));
        } else if let Some(next) = after.strip_prefix(delimiter) {
            return Some((&body[..end], Some(next)));
        } else {
            return None;
        }
    }
}

fn read(sample: &Sample, text: &str, delimiter: char, rules: &CsvClassifier, custom: bool) -> Option<FileSchema> {
    let quote = rules.quote.unwrap_or('"');
    let rows: Vec<Vec<Cell<'_>>> = lines(text, sample.complete).map(|line| cells(line, delimiter, quote)).collect();
    let widths: Vec<usize> = rows.iter().map(Vec::len).collect();
    let (width, regular) = usual(&widths)?;
    let single = custom && rules.allow_single_column;
    let few = rows.len() < 2 && !(custom && rules.header == CsvHeader::Absent);
    if (width < 2 && !single) || few || regular * 100 / rows.len() < REGULAR_PERCENT {
        return None;
    }
    let first = rows.first()?;
    let shows_names =
        first.iter().map(|c| c.text.trim().to_lowercase()).eq(rules.names.iter().map(|n| n.trim().to_lowercase()));
    // A classifier that lists its header is certain of files that have it, and of no other.
    let other = rules.names.len() != width || (rules.header == CsvHeader::Present && !shows_names);
    if !rules.names.is_empty() && other {
        return None;
    }
    let quoted = rows.iter().flatten().any(|cell| cell.quoted);
    let open = custom
        && match rules.serde.as_deref() {
            Some("OpenCSVSerDe") => true,
            Some("LazySimpleSerDe") => false,
            _ => quoted,
        };
    let typing = Typing { trim: !rules.keep_white_space, open };
    let mut data = rows.iter().filter(|row| row.len() == width);
    let body_types = typing.columns(data.clone().skip(usize::from(first.len() == width)), width);
    let header = match rules.header {
        CsvHeader::Present => true,
        CsvHeader::Absent => false,
        CsvHeader::Unknown if !rules.names.is_empty() => shows_names,
        CsvHeader::Unknown => first.len() == width && is_header(first, &body_types),
    };
    let mut types = if header { body_types } else { typing.columns(&mut data, width) };
    if rules.types.len() == width {
        types = rules.types.iter().map(|name| hive_type(name)).collect();
    }
    let mut names = if !rules.names.is_empty() {
        rules.names.clone()
    } else if header {
        first.iter().map(|cell| cell.text.to_owned()).collect()
    } else {
        Vec::new()
    };
    let unnamed = names.is_empty();
    // A delimiter at the end of every line makes an empty last column, which is none.
    if names.len() == width && width > 2 && names.last().is_some_and(|n| n.trim().is_empty()) {
        names.pop();
        types.pop();
    }
    let columns = name_columns(&names, types);
    let first_row = unnamed.then(|| first.iter().map(|c| c.text.trim().to_lowercase()).collect());
    Some(FileSchema {
        format: Format::Csv(CsvFormat { delimiter, quote: open.then_some(quote), header, quoted, unnamed }),
        compression: sample.compression,
        columns,
        records: (rows.len() - usize::from(header)) as u64,
        bytes: sample.stored,
        first_row,
    })
}

/// The built-in classifier's rule: every cell is text, short and printable, and some column below is not text.
fn is_header(first: &[Cell<'_>], body: &[HiveType]) -> bool {
    let last = first.len() - 1;
    let texts = first.iter().enumerate().all(|(i, cell)| {
        let name = cell.text.trim();
        let allowed = i == last || name.chars().count() < 150;
        let is_text = if name.is_empty() { i == last || i == 0 } else { scalar(name) == HiveType::String };
        allowed && is_text && !name.chars().any(char::is_control)
    });
    let some_name = first.iter().any(|cell| !cell.text.trim().is_empty());
    texts && some_name && body.iter().any(|ty| matches!(ty, HiveType::BigInt | HiveType::Double))
}

fn name_columns(names: &[String], types: Vec<HiveType>) -> Vec<(String, HiveType)> {
    let mut out: Vec<(String, HiveType)> = Vec::with_capacity(types.len());
    for (i, ty) in types.into_iter().enumerate() {
        let given = names.get(i).map(|n| n.trim().to_lowercase()).filter(|n| !n.is_empty());
        let mut name = given.unwrap_or_else(|| format!("col{i}"));
        if out.iter().any(|(n, _)| *n == name) {
            name = format!("{name}_{i}");
        }
        out.push((name, ty));
    }
    out
}

struct Typing {
    trim: bool,
    /// OpenCSVSerde fails on an empty number, and reads numbers within quotes; LazySimpleSerDe the other way round.
    open: bool,
}

impl Typing {
    fn columns<'a>(&self, rows: impl Iterator<Item = &'a Vec<Cell<'a>>>, width: usize) -> Vec<HiveType> {
        let mut types = vec![HiveType::Unknown; width];
        for row in rows {
            for (ty, cell) in types.iter_mut().zip(row) {
                if *ty != HiveType::String {
                    self.see(ty, cell);
                }
            }
        }
        types
    }

    fn see(&self, ty: &mut HiveType, cell: &Cell<'_>) {
        let text = if self.trim { cell.text.trim() } else { cell.text };
        let seen = if text.is_empty() {
            if self.open { HiveType::String } else { HiveType::Unknown }
        } else if cell.quoted && !self.open {
            HiveType::String
        } else {
            scalar(text)
        };
        if *ty != seen && seen != HiveType::Unknown {
            *ty = std::mem::replace(ty, HiveType::Unknown).merge(seen);
        }
    }
}

fn scalar(text: &str) -> HiveType {
    let bytes = text.as_bytes();
    let digits = bytes.strip_prefix(b"-").or_else(|| bytes.strip_prefix(b"+")).unwrap_or(bytes);
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        return if text.parse::<i64>().is_ok() { HiveType::BigInt } else { HiveType::String };
    }
    // `inf`, `NaN` and the like parse as f64 too, but are words here.
    let numeric = digits.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    if numeric && text.parse::<f64>().is_ok() { HiveType::Double } else { HiveType::String }
}

/// A type name of `CustomDatatypes`.
fn hive_type(name: &str) -> HiveType {
    match name.to_ascii_uppercase().as_str() {
        "BINARY" => HiveType::Binary,
        "BOOLEAN" => HiveType::Boolean,
        "DATE" => HiveType::Date,
        "DECIMAL" => HiveType::Decimal(38, 18),
        "DOUBLE" => HiveType::Double,
        "FLOAT" => HiveType::Float,
        "INT" => HiveType::Int,
        "LONG" => HiveType::BigInt,
        "SHORT" => HiveType::SmallInt,
        "TIMESTAMP" => HiveType::Timestamp,
        _ => HiveType::String,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::sample::decode;
    use super::super::schema::{FileSchema, Format};
    use super::super::settings::{CsvClassifier, CsvHeader};

    fn builtin(text: &str) -> Option<FileSchema> {
        super::classify(&decode(text.as_bytes(), true, 1 << 20).unwrap())
    }

    fn custom(text: &str, rules: &CsvClassifier) -> Option<FileSchema> {
        super::classify_as(&decode(text.as_bytes(), true, 1 << 20).unwrap(), rules)
    }

    fn show(schema: Option<FileSchema>) -> String {
        let Some(schema) = schema else { return "none".into() };
        let Format::Csv(format) = &schema.format else { return "not csv".into() };
        let columns: Vec<String> = schema.columns.iter().map(|(n, t)| format!("{n}:{t}")).collect();
        let head = if format.header { "header " } else { "" };
        let serde = if format.quote.is_some() { " open" } else { "" };
        format!("{:?} {head}{}{serde} x{}", format.delimiter, columns.join(","), schema.records)
    }

    #[test]
    fn infers_dialect_header_and_types() {
        for (text, want) in [
            ("a,b\n1,x\n2,y\n", "',' header a:bigint,b:string x2"),
            ("A|B C\n1|2.5\n", "'|' header a:bigint,b c:double x1"),
            ("a\tb\n1\t2013-01-01\n", "'\\t' header a:bigint,b:string x1"),
            ("a;b,c\n1;2\n3;4,5\n", "';' header a:bigint,b,c:string x2"),
            ("carrier,name\nUA,United\n", "',' col0:string,col1:string x2"),
            ("1,x\n2,y\n", "',' col0:bigint,col1:string x2"),
            ("a,b\n1,\n,2\n", "',' header a:bigint,b:bigint x2"),
            ("a,b\n1,NA\n2,3\n", "',' header a:bigint,b:string x2"),
            ("a,b\n1,2\n2,3.5\n", "',' header a:bigint,b:double x2"),
            ("a,b\n1,\"x, y\"\n2,z\n", "',' header a:bigint,b:string x2"),
            ("a,b\n1,\"2\"\n", "',' header a:bigint,b:string x1"),
            ("a,b\r\n1,2\r\n", "',' header a:bigint,b:bigint x1"),
            ("\u{feff}a,b\n1,2\n", "',' header a:bigint,b:bigint x1"),
            ("a,a\n1,2\n", "',' header a:bigint,a_1:bigint x1"),
            ("a,b,\n1,2,\n", "',' header a:bigint,b:bigint x1"),
            (",a\n0,x\n", "',' header col0:bigint,a:string x1"),
            ("a,b\n99999999999999999999,1\n", "',' header a:string,b:bigint x1"),
            ("a,b\n1,nan\n", "',' header a:bigint,b:string x1"),
            ("a,b\n-1,+1e5\n", "',' header a:bigint,b:double x1"),
            ("a\n1\n2\n", "none"),
            ("a,b\n", "none"),
            ("", "none"),
            ("just some prose, with a comma\nand a line without\nand a third\n", "none"),
        ] {
            assert_eq!(show(builtin(text)), want, "{text:?}");
        }
    }

    #[test]
    fn broken_rows_are_tolerated_in_small_numbers() {
        let mut text = String::from("a,b,c\n");
        for i in 0..20 {
            writeln!(text, "{i},x,{i}.5").unwrap();
        }
        text.push_str("oops\n1,\"unclosed,2\n,,,,,,,\n");
        assert_eq!(show(builtin(&text)), "',' header a:bigint,b:string,c:double x23");
        assert_eq!(show(builtin("a,b\n1,2\n3\n4,5,6\n7\n")), "none");
    }

    #[test]
    fn a_cut_last_line_is_not_judged() {
        let cut = super::classify(&decode(b"a,b\n1,2\n3,abc", false, 1 << 20).unwrap());
        assert_eq!(show(cut), "',' header a:bigint,b:bigint x1");
    }

    #[test]
    fn custom_classifiers_decide_what_they_say() {
        let present = CsvClassifier { header: CsvHeader::Present, ..CsvClassifier::default() };
        assert_eq!(show(custom("carrier,name\nUA,United\n", &present)), "',' header carrier:string,name:string x1");
        assert_eq!(show(custom("c,n\nUA,\"U, Inc\"\n", &present)), "',' header c:string,n:string open x1");
        assert_eq!(show(custom("c,n\n\"1\",\"\"\n", &present)), "',' header c:bigint,n:string open x1");
        let absent = CsvClassifier {
            header: CsvHeader::Absent,
            names: vec!["X".into(), "Y".into()],
            delimiter: Some('^'),
            ..CsvClassifier::default()
        };
        assert_eq!(show(custom("1^2\n", &absent)), "'^' x:bigint,y:bigint x1");
        assert_eq!(show(custom("1,2\n", &absent)), "none");
        let listed = CsvClassifier { names: vec!["carrier".into(), "name".into()], ..present.clone() };
        assert_eq!(show(custom("carrier,name\nUA,United\n", &listed)), "',' header carrier:string,name:string x1");
        assert_eq!(show(custom("origin,name\nEWR,Newark\n", &listed)), "none");
        assert_eq!(show(custom("carrier,name,x\nUA,United,1\n", &listed)), "none");
        let single = CsvClassifier { allow_single_column: true, delimiter: Some(','), ..present.clone() };
        assert_eq!(show(custom("a\n1\n", &single)), "',' header a:bigint x1");
        let typed = CsvClassifier { types: vec!["INT".into(), "DATE".into()], ..present };
        assert_eq!(show(custom("a,b\n1,2013-01-01\n", &typed)), "',' header a:int,b:date x1");
    }
}
