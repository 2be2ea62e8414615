//! The three vocabularies of types (Hive's in the catalog, Trino's in SQL, `ColumnInfo`'s in results) and Arrow, which
//! stands between them. What Arrow cannot say (`varchar(10)`, `json`) travels in field metadata under [`TRINO_TYPE`].

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Metadata key of a field whose Trino type Arrow cannot express.
pub(crate) const TRINO_TYPE: &str = "trino.type";

/// The time unit of Athena: timestamps have milliseconds.
pub(crate) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// One column of a result, as `GetQueryResults` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub precision: i32,
    pub scale: i32,
    pub case_sensitive: bool,
}

impl ColumnInfo {
    /// A column of a utility statement's answer.
    pub(crate) fn string(name: &str) -> Self {
        Self { name: name.to_owned(), ty: "string".to_owned(), precision: 0, scale: 0, case_sensitive: false }
    }

    pub(crate) fn of(label: &str, field: &Field) -> Self {
        let full = trino_functions::Type::of(field).to_string();
        let (base, arguments) = full.split_once('(').unwrap_or((&full, ""));
        let length = || arguments.trim_end_matches(')').parse().unwrap_or(i32::MAX);
        let (ty, precision, scale) = match base {
            "tinyint" => ("tinyint", 3, 0),
            "smallint" => ("smallint", 5, 0),
            "integer" => ("integer", 10, 0),
            "bigint" => ("bigint", 19, 0),
            "real" => ("float", 17, 0),
            "double" => ("double", 17, 0),
            "varchar" => ("varchar", length(), 0),
            "char" => ("char", length(), 0),
            "varbinary" => ("varbinary", 1_073_741_824, 0),
            "timestamp" if full.ends_with("zone") => ("timestamp with time zone", 3, 0),
            "timestamp" => ("timestamp", 3, 0),
            "time" if full.ends_with("zone") => ("time with time zone", 3, 0),
            "time" => ("time", 3, 0),
            "decimal" => match field.data_type() {
                DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => ("decimal", i32::from(*p), i32::from(*s)),
                _ => ("decimal", 38, 0),
            },
            other => (other, 0, 0),
        };
        Self {
            name: label.to_owned(),
            ty: ty.to_owned(),
            precision,
            scale,
            case_sensitive: matches!(ty, "varchar" | "char"),
        }
    }
}

/// The Trino type of a field, as `CREATE VIEW` stores it.
pub(crate) fn trino_type(field: &Field) -> String {
    match field.metadata().get(TRINO_TYPE) {
        Some(ty) if matches!(field.data_type(), DataType::Utf8) => ty.clone(),
        _ => trino_data_type(field.data_type()),
    }
}

pub(crate) fn trino_data_type(ty: &DataType) -> String {
    match ty {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 | DataType::UInt8 => "smallint".to_owned(),
        DataType::Int32 | DataType::UInt16 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => format!("decimal({p},{s})"),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp(3)".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp(3) with time zone".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time(3)".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "varbinary".to_owned()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("array({})", trino_type(item))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("map({}, {})", trino_type(&fields[0]), trino_type(&fields[1]))
            }
            _ => "map".to_owned(),
        },
        DataType::Struct(fields) if fields.first().is_some_and(|field| field.name().starts_with('$')) => {
            trino_functions::Type::of_data_type(ty).to_string()
        }
        DataType::LargeUtf8 => "json".to_owned(),
        DataType::Struct(fields) => {
            let inner: Vec<_> = fields.iter().map(|f| format!("\"{}\" {}", f.name(), trino_type(f))).collect();
            format!("row({})", inner.join(", "))
        }
        DataType::Dictionary(_, value) => trino_data_type(value),
        DataType::Interval(_) | DataType::Duration(_) => "interval day to second".to_owned(),
        DataType::Null => "unknown".to_owned(),
        _ => "varchar".to_owned(),
    }
}

/// The Hive type of a field, for the catalog.
pub(crate) fn hive_type(field: &Field) -> String {
    match field.metadata().get(TRINO_TYPE) {
        Some(ty) if ty.starts_with("varchar(") || ty.starts_with("char(") => return ty.clone(),
        _ => {}
    }
    match field.data_type() {
        DataType::Int32 | DataType::UInt16 => "int".to_owned(),
        DataType::Float16 | DataType::Float32 => "float".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".to_owned()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("array<{}>", hive_type(item))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("map<{},{}>", hive_type(&fields[0]), hive_type(&fields[1]))
            }
            _ => "string".to_owned(),
        },
        DataType::Struct(fields) => {
            let inner: Vec<_> = fields.iter().map(|f| format!("{}:{}", f.name(), hive_type(f))).collect();
            format!("struct<{}>", inner.join(","))
        }
        other => match trino_data_type(other).as_str() {
            "varchar" | "unknown" | "time(3)" | "interval day to second" => "string".to_owned(),
            same => same.to_owned(),
        },
    }
}

/// Reads a Hive type such as `struct<a:int,b:array<string>>` as the field that holds it.
pub(crate) fn parse_hive_field(name: &str, ty: &str) -> Result<Field> {
    let mut parser = HiveType { rest: ty.trim(), depth: 0 };
    let field = parser.field(name)?;
    if parser.rest.trim().is_empty() { Ok(field) } else { Err(unknown(ty)) }
}

struct HiveType<'a> {
    rest: &'a str,
    depth: u32,
}

impl<'a> HiveType<'a> {
    #[expect(clippy::too_many_lines, reason = "one arm for each type")]
    fn field(&mut self, name: &str) -> Result<Field> {
        let word = self.word().to_ascii_lowercase();
        self.depth += 1;
        if self.depth > 64 {
            return Err(unknown("a type nested more than 64 deep"));
        }
        let mut metadata = BTreeMap::new();
        let data_type = match word.as_str() {
            "boolean" => DataType::Boolean,
            "tinyint" => DataType::Int8,
            "smallint" => DataType::Int16,
            "int" | "integer" => DataType::Int32,
            "bigint" | "long" => DataType::Int64,
            "float" | "real" => DataType::Float32,
            "double" => DataType::Float64,
            "string" => DataType::Utf8,
            "varchar" | "char" => {
                let length = self.arguments()?;
                metadata
                    .insert(TRINO_TYPE.to_owned(), if length.is_empty() { word } else { format!("{word}({length})") });
                DataType::Utf8
            }
            "date" => DataType::Date32,
            "timestamp" => {
                self.arguments()?;
                TIMESTAMP
            }
            "binary" => DataType::Binary,
            // Of Iceberg's tables alone.
            "timestamptz" => trino_functions::Type::TimestampTz(6).data_type(),
            "decimal" => {
                let arguments = self.arguments()?;
                let mut numbers = arguments.split(',').map(|n| n.trim().parse::<u8>());
                let precision = numbers.next().and_then(std::result::Result::ok).unwrap_or(10);
                let scale = numbers.next().and_then(std::result::Result::ok).unwrap_or(0);
                if precision == 0 || precision > 38 || scale > precision {
                    return Err(unknown(&format!("decimal({arguments})")));
                }
                DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0))
            }
            "array" => {
                self.expect('<')?;
                let item = self.field("item")?;
                self.expect('>')?;
                DataType::List(Arc::new(item))
            }
            "map" => {
                self.expect('<')?;
                let key = self.field("key")?.with_nullable(false);
                self.expect(',')?;
                let value = self.field("value")?;
                self.expect('>')?;
                let entries = Field::new("entries", DataType::Struct(Fields::from(vec![key, value])), false);
                DataType::Map(Arc::new(entries), false)
            }
            "struct" => {
                self.expect('<')?;
                let mut fields = Vec::new();
                loop {
                    let name = self.name().to_ascii_lowercase();
                    self.expect(':')?;
                    fields.push(self.field(&name)?);
                    if !self.accept(',') {
                        break;
                    }
                }
                self.expect('>')?;
                DataType::Struct(fields.into())
            }
            other => return Err(unknown(other)),
        };
        self.depth -= 1;
        Ok(Field::new(name, data_type, true).with_metadata(metadata.into_iter().collect()))
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A struct member's name, which may hold anything but a colon.
    fn name(&mut self) -> &'a str {
        let end = self.rest.find(':').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.trim().trim_matches('`')
    }

    fn arguments(&mut self) -> Result<&'a str> {
        if !self.accept('(') {
            return Ok("");
        }
        let (inside, rest) = self.rest.split_once(')').ok_or_else(|| unknown(self.rest))?;
        self.rest = rest;
        Ok(inside.trim())
    }

    fn accept(&mut self, c: char) -> bool {
        match self.rest.trim_start().strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Result<()> {
        if self.accept(c) { Ok(()) } else { Err(unknown(self.rest)) }
    }
}

fn unknown(ty: &str) -> Error {
    Error::user(1004, "HIVE_INVALID_METADATA", format_args!("Error: type expected but '{ty}' is found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_round() {
        for hive in [
            "boolean",
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "float",
            "double",
            "string",
            "varchar(10)",
            "timestamp",
            "date",
            "binary",
            "decimal(10,1)",
            "array<int>",
            "map<string,double>",
            "struct<a:int,b:array<struct<c:string>>>",
        ] {
            let field = parse_hive_field("x", hive).unwrap();
            assert_eq!(hive_type(&field), hive);
        }
        let field = parse_hive_field("x", "struct<a:int,b:float>").unwrap();
        assert_eq!(trino_type(&field), "row(\"a\" integer, \"b\" real)");
    }

    #[test]
    fn wrong_types_are_refused() {
        for hive in ["", "foo", "array<", "array<int", "map<int>", "struct<>", "decimal(99,1)", "int)"] {
            assert!(parse_hive_field("x", hive).is_err(), "{hive}");
        }
        assert!(parse_hive_field("x", &"array<".repeat(10_000)).is_err());
    }

    #[test]
    fn column_info_as_athena_gives_it() {
        let info = |hive: &str| {
            let c = ColumnInfo::of("x", &parse_hive_field("x", hive).unwrap());
            (c.ty, c.precision, c.scale)
        };
        assert_eq!(info("int"), ("integer".to_owned(), 10, 0));
        assert_eq!(info("float"), ("float".to_owned(), 17, 0));
        assert_eq!(info("decimal(10,1)"), ("decimal".to_owned(), 10, 1));
        assert_eq!(info("string"), ("varchar".to_owned(), i32::MAX, 0));
        assert_eq!(info("varchar(10)"), ("varchar".to_owned(), 10, 0));
        assert_eq!(info("struct<a:int>"), ("row".to_owned(), 0, 0));
    }
}
