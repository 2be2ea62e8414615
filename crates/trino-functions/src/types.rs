//! Trino's types, and Arrow types to carry them. Where Arrow has no such type, a struct with reserved field names or
//! the metadata key [`TRINO_TYPE`] of the field says which one is meant.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};

/// Metadata key of a field whose Trino type its Arrow type does not say, such as `varchar(3)` or `timestamp(0)`.
pub const TRINO_TYPE: &str = "trino.type";

/// A type of Trino's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    Unknown,
    Boolean,
    Tinyint,
    Smallint,
    Integer,
    Bigint,
    Real,
    Double,
    Decimal(u8, u8),
    /// `None`: unbounded.
    Varchar(Option<u32>),
    Char(u32),
    Varbinary,
    Json,
    Date,
    Time(u8),
    TimeTz(u8),
    Timestamp(u8),
    TimestampTz(u8),
    IntervalDay,
    IntervalYear,
    Uuid,
    Ipaddress,
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Row(Vec<(Option<String>, Type)>),
    /// A sketch such as `HyperLogLog` or `qdigest(bigint)`, by its name; kept as an array of what was put in.
    Sketch(&'static str, Box<Type>),
}

pub const VARCHAR: Type = Type::Varchar(None);
const LONGEST_CHAR: u32 = 65_536;

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Boolean => f.write_str("boolean"),
            Self::Tinyint => f.write_str("tinyint"),
            Self::Smallint => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::Bigint => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double"),
            Self::Decimal(p, s) => write!(f, "decimal({p},{s})"),
            Self::Varchar(None) => f.write_str("varchar"),
            Self::Varchar(Some(n)) => write!(f, "varchar({n})"),
            Self::Char(n) => write!(f, "char({n})"),
            Self::Varbinary => f.write_str("varbinary"),
            Self::Json => f.write_str("json"),
            Self::Date => f.write_str("date"),
            Self::Time(p) => write!(f, "time({p})"),
            Self::TimeTz(p) => write!(f, "time({p}) with time zone"),
            Self::Timestamp(p) => write!(f, "timestamp({p})"),
            Self::TimestampTz(p) => write!(f, "timestamp({p}) with time zone"),
            Self::IntervalDay => f.write_str("interval day to second"),
            Self::IntervalYear => f.write_str("interval year to month"),
            Self::Uuid => f.write_str("uuid"),
            Self::Ipaddress => f.write_str("ipaddress"),
            Self::Array(item) => write!(f, "array({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Sketch(name @ "qdigest", item) => write!(f, "{name}({item})"),
            Self::Sketch(name, _) => f.write_str(name),
            Self::Row(fields) => {
                f.write_str("row(")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    match name {
                        Some(name) if is_plain(name) => write!(f, "{name} {ty}")?,
                        Some(name) => write!(f, "\"{}\" {ty}", name.replace('"', "\"\""))?,
                        None => write!(f, "{ty}")?,
                    }
                }
                f.write_str(")")
            }
        }
    }
}

/// Whether a name needs no quotes in a type's text.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.chars().any(|c| c.is_ascii_uppercase())
}

impl Type {
    pub fn array(item: Self) -> Self {
        Self::Array(Box::new(item))
    }

    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    /// A row whose fields have no names.
    pub fn row(fields: Vec<Self>) -> Self {
        Self::Row(fields.into_iter().map(|ty| (None, ty)).collect())
    }

    /// Whether a sketch is in its values, which have no text.
    pub fn has_sketch(&self) -> bool {
        match self {
            Self::Sketch(..) => true,
            Self::Array(item) => item.has_sketch(),
            Self::Map(key, value) => key.has_sketch() || value.has_sketch(),
            Self::Row(fields) => fields.iter().any(|(_, ty)| ty.has_sketch()),
            _ => false,
        }
    }

    pub fn is_integer(&self) -> bool {
        matches!(self, Self::Tinyint | Self::Smallint | Self::Integer | Self::Bigint)
    }

    pub fn is_float(&self) -> bool {
        matches!(self, Self::Real | Self::Double)
    }

    pub fn is_numeric(&self) -> bool {
        self.is_integer() || self.is_float() || matches!(self, Self::Decimal(..))
    }

    pub fn is_text(&self) -> bool {
        matches!(self, Self::Varchar(_) | Self::Char(_))
    }

    /// The decimal that an integer type is coerced to.
    pub fn as_decimal(&self) -> Option<(u8, u8)> {
        match self {
            Self::Tinyint => Some((3, 0)),
            Self::Smallint => Some((5, 0)),
            Self::Integer => Some((10, 0)),
            Self::Bigint => Some((19, 0)),
            Self::Decimal(p, s) => Some((*p, *s)),
            _ => None,
        }
    }

    /// Whether values can be told equal or not; `map`s can, `HyperLogLog`s cannot.
    pub fn is_comparable(&self) -> bool {
        match self {
            Self::Sketch(..) => false,
            Self::Array(item) => item.is_comparable(),
            Self::Map(key, value) => key.is_comparable() && value.is_comparable(),
            Self::Row(fields) => fields.iter().all(|(_, ty)| ty.is_comparable()),
            _ => true,
        }
    }

    pub fn is_orderable(&self) -> bool {
        match self {
            Self::Sketch(..) | Self::Map(..) | Self::Json => false,
            Self::Array(item) => item.is_orderable(),
            Self::Row(fields) => fields.iter().all(|(_, ty)| ty.is_orderable()),
            _ => true,
        }
    }

    /// The name without parameters, as in Trino's `getBaseName`.
    pub fn base(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Boolean => "boolean",
            Self::Tinyint => "tinyint",
            Self::Smallint => "smallint",
            Self::Integer => "integer",
            Self::Bigint => "bigint",
            Self::Real => "real",
            Self::Double => "double",
            Self::Decimal(..) => "decimal",
            Self::Varchar(_) => "varchar",
            Self::Char(_) => "char",
            Self::Varbinary => "varbinary",
            Self::Json => "json",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::TimeTz(_) => "time with time zone",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampTz(_) => "timestamp with time zone",
            Self::IntervalDay => "interval day to second",
            Self::IntervalYear => "interval year to month",
            Self::Uuid => "uuid",
            Self::Ipaddress => "ipaddress",
            Self::Array(_) => "array",
            Self::Map(..) => "map",
            Self::Row(_) => "row",
            Self::Sketch(name, _) => name,
        }
    }

    /// The field that carries this type.
    pub fn field(&self, name: &str) -> Field {
        let (data_type, said) = self.physical();
        let field = Field::new(name, data_type, true);
        if said { field } else { field.with_metadata([(TRINO_TYPE.to_owned(), self.to_string())].into()) }
    }

    pub fn data_type(&self) -> DataType {
        self.physical().0
    }

    /// The Arrow type, and whether it says everything.
    fn physical(&self) -> (DataType, bool) {
        let only = |data_type| (data_type, true);
        match self {
            Self::Unknown => only(DataType::Null),
            Self::Boolean => only(DataType::Boolean),
            Self::Tinyint => only(DataType::Int8),
            Self::Smallint => only(DataType::Int16),
            Self::Integer => only(DataType::Int32),
            Self::Bigint => only(DataType::Int64),
            Self::Real => only(DataType::Float32),
            Self::Double => only(DataType::Float64),
            Self::Decimal(p, s) => only(DataType::Decimal128(*p, s.cast_signed())),
            Self::Varchar(length) => (DataType::Utf8, length.is_none()),
            Self::Char(_) => (DataType::Utf8, false),
            Self::Varbinary => only(DataType::Binary),
            Self::Json => only(DataType::LargeUtf8),
            Self::Date => only(DataType::Date32),
            Self::Time(p @ 0..=3) => (DataType::Time32(TimeUnit::Millisecond), *p == 3),
            Self::Time(p @ 4..=6) => (DataType::Time64(TimeUnit::Microsecond), *p == 6),
            Self::Time(p @ 7..=9) => (DataType::Time64(TimeUnit::Nanosecond), *p == 9),
            Self::Time(p) => only(reserved(&[(&format!("$time{p}"), DataType::Int64)])),
            Self::TimeTz(p) => {
                only(reserved(&[(&format!("$timetz{p}"), DataType::Int64), ("$offset", DataType::Int16)]))
            }
            Self::Timestamp(p) => match instant(*p) {
                (DataType::Decimal128(..), _) => {
                    only(reserved(&[(&format!("$timestamp{p}"), DataType::Decimal128(38, 0))]))
                }
                other => other,
            },
            Self::TimestampTz(p) => {
                only(reserved(&[(&format!("$instant{p}"), instant(*p).0), ("$zone", DataType::Int16)]))
            }
            Self::IntervalDay => only(DataType::Duration(TimeUnit::Millisecond)),
            Self::IntervalYear => only(DataType::Interval(IntervalUnit::YearMonth)),
            Self::Uuid => only(DataType::FixedSizeBinary(16)),
            Self::Ipaddress => only(reserved(&[("$ipaddress", DataType::Binary)])),
            Self::Array(item) => only(DataType::List(Arc::new(item.field("item")))),
            Self::Map(key, value) => {
                let fields = Fields::from(vec![key.field("key").with_nullable(false), value.field("value")]);
                only(DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false))
            }
            Self::Row(fields) => {
                let named = fields.iter().enumerate().map(|(i, (name, ty))| match name {
                    Some(name) => ty.field(name),
                    None => ty.field(&format!("field{i}")),
                });
                only(DataType::Struct(named.collect()))
            }
            Self::Sketch(name, item) => only(DataType::Struct(Fields::from(vec![Field::new(
                format!("$sketch {name}"),
                DataType::List(Arc::new(item.field("item"))),
                true,
            )]))),
        }
    }

    /// The type that a field carries.
    pub fn of(field: &Field) -> Self {
        let plain = Self::of_data_type(field.data_type());
        match field.metadata().get(TRINO_TYPE).and_then(|text| Self::parse(text)) {
            // What the metadata says must fit: an operator that changed the type may have kept them.
            Some(said) if said.data_type() == *field.data_type() || same_shape(&said, &plain) => said,
            _ => plain,
        }
    }

    pub fn of_data_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Unknown,
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Tinyint,
            DataType::Int16 | DataType::UInt8 => Self::Smallint,
            DataType::Int32 | DataType::UInt16 => Self::Integer,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Self::Bigint,
            DataType::Float16 | DataType::Float32 => Self::Real,
            DataType::Float64 => Self::Double,
            DataType::Decimal32(p, s)
            | DataType::Decimal64(p, s)
            | DataType::Decimal128(p, s)
            | DataType::Decimal256(p, s) => Self::Decimal((*p).min(38), u8::try_from(*s).unwrap_or(0)),
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(unit, None) => Self::Timestamp(digits(*unit)),
            DataType::Timestamp(unit, Some(_)) => Self::TimestampTz(digits(*unit)),
            DataType::Time32(unit) | DataType::Time64(unit) => Self::Time(digits(*unit)),
            DataType::Duration(_) => Self::IntervalDay,
            DataType::Interval(IntervalUnit::YearMonth) => Self::IntervalYear,
            DataType::Interval(_) => Self::IntervalDay,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Varbinary,
            DataType::FixedSizeBinary(16) => Self::Uuid,
            DataType::FixedSizeBinary(_) => Self::Varbinary,
            DataType::LargeUtf8 => Self::Json,
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => Self::array(Self::of(item)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => Self::map(Self::of(&fields[0]), Self::of(&fields[1])),
                _ => Self::map(Self::Unknown, Self::Unknown),
            },
            DataType::Struct(fields) => of_struct(fields),
            DataType::Dictionary(_, value) => Self::of_data_type(value),
            DataType::RunEndEncoded(_, value) => Self::of(value),
            DataType::Utf8 | DataType::Utf8View | DataType::Union(..) => VARCHAR,
        }
    }

    /// Reads a type as Trino or Hive writes it; `None` where there is no such type.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text };
        let ty = parser.ty(0)?;
        parser.rest.trim().is_empty().then_some(ty)
    }
}

fn same_shape(said: &Type, plain: &Type) -> bool {
    matches!(
        (said, plain),
        (Type::Varchar(_) | Type::Char(_), Type::Varchar(_)) | (Type::Json, Type::Varchar(_) | Type::Json)
    )
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn instant(precision: u8) -> (DataType, bool) {
    match precision {
        0..=3 => (DataType::Timestamp(TimeUnit::Millisecond, None), precision == 3),
        4..=6 => (DataType::Timestamp(TimeUnit::Microsecond, None), precision == 6),
        7..=9 => (DataType::Timestamp(TimeUnit::Nanosecond, None), precision == 9),
        _ => (DataType::Decimal128(38, 0), true),
    }
}

fn reserved(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect())
}

fn of_struct(fields: &Fields) -> Type {
    let first = fields.first().map_or("", |field| field.name().as_str());
    if let Some(rest) = first.strip_prefix('$') {
        let precision = |prefix: &str| rest.strip_prefix(prefix).and_then(|p| p.parse::<u8>().ok());
        if let Some(p) = precision("instant") {
            return Type::TimestampTz(p);
        }
        if let Some(p) = precision("timetz") {
            return Type::TimeTz(p);
        }
        if let Some(p) = precision("timestamp") {
            return Type::Timestamp(p);
        }
        if let Some(p) = precision("time") {
            return Type::Time(p);
        }
        if rest == "ipaddress" {
            return Type::Ipaddress;
        }
        if let (Some(name), DataType::List(item)) = (rest.strip_prefix("sketch "), fields[0].data_type())
            && let Some(name) = SKETCHES.iter().find(|known| **known == name)
        {
            return Type::Sketch(name, Box::new(Type::of(item)));
        }
    }
    let name = |i: usize, field: &FieldRef| {
        if *field.name() == format!("field{i}") { None } else { Some(field.name().clone()) }
    };
    Type::Row(fields.iter().enumerate().map(|(i, field)| (name(i, field), Type::of(field))).collect())
}

const SKETCHES: &[&str] = &["HyperLogLog", "P4HyperLogLog", "qdigest", "tdigest", "SetDigest"];

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn word(&mut self) -> String {
        self.rest = self.rest.trim_start();
        if let Some(inner) = self.rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = inner.char_indices().peekable();
            while let Some((at, c)) = chars.next() {
                if c == '"' {
                    if chars.peek().is_some_and(|(_, c)| *c == '"') {
                        chars.next();
                    } else {
                        self.rest = &inner[at + 1..];
                        return name;
                    }
                }
                name.push(c);
            }
            return String::new();
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_lowercase()
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

    fn phrase(&mut self, words: &[&str]) -> bool {
        let before = self.rest;
        for word in words {
            if self.word() != *word {
                self.rest = before;
                return false;
            }
        }
        true
    }

    /// `(n)`, if it is there.
    #[expect(clippy::option_option, reason = "no type, or a type without a number")]
    fn number(&mut self) -> Option<Option<u32>> {
        if !self.accept('(') {
            return Some(None);
        }
        let number = self.word().parse().ok()?;
        self.accept(')').then_some(Some(number))
    }

    fn precision(&mut self) -> Option<u8> {
        match self.number()? {
            None => Some(3),
            Some(p) => u8::try_from(p).ok().filter(|p| *p <= 12),
        }
    }

    fn zone(&mut self) -> bool {
        if self.phrase(&["with", "time", "zone"]) {
            return true;
        }
        self.phrase(&["without", "time", "zone"]);
        false
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each type")]
    fn ty(&mut self, depth: u32) -> Option<Type> {
        if depth > 64 {
            return None;
        }
        let word = self.word();
        Some(match word.as_str() {
            "unknown" => Type::Unknown,
            "boolean" => Type::Boolean,
            "tinyint" => Type::Tinyint,
            "smallint" => Type::Smallint,
            "integer" | "int" => Type::Integer,
            "bigint" => Type::Bigint,
            "real" => Type::Real,
            "double" => {
                self.phrase(&["precision"]);
                Type::Double
            }
            "decimal" | "dec" | "numeric" => {
                if !self.accept('(') {
                    return Some(Type::Decimal(38, 0));
                }
                let p: u8 = self.word().parse().ok()?;
                let s: u8 = if self.accept(',') { self.word().parse().ok()? } else { 0 };
                if !self.accept(')') || p == 0 || p > 38 || s > p {
                    return None;
                }
                Type::Decimal(p, s)
            }
            "varchar" => match self.number()? {
                Some(n) if n > i32::MAX.cast_unsigned() => return None,
                given => Type::Varchar(given.filter(|n| *n < i32::MAX.cast_unsigned())),
            },
            "char" => match self.number()?.unwrap_or(1) {
                n if n > 65_536 => return None,
                n => Type::Char(n),
            },
            "varbinary" => Type::Varbinary,
            "json" => Type::Json,
            "date" => Type::Date,
            "time" => {
                let p = self.precision()?;
                if self.zone() { Type::TimeTz(p) } else { Type::Time(p) }
            }
            "timestamp" => {
                let p = self.precision()?;
                if self.zone() { Type::TimestampTz(p) } else { Type::Timestamp(p) }
            }
            "interval" => {
                if self.phrase(&["day", "to", "second"]) {
                    Type::IntervalDay
                } else if self.phrase(&["year", "to", "month"]) {
                    Type::IntervalYear
                } else {
                    return None;
                }
            }
            "uuid" => Type::Uuid,
            "ipaddress" => Type::Ipaddress,
            "hyperloglog" => Type::Sketch("HyperLogLog", Box::new(Type::Varbinary)),
            "array" => {
                let close = self.open()?;
                let item = self.ty(depth + 1)?;
                self.accept(close).then(|| Type::array(item))?
            }
            "map" => {
                let close = self.open()?;
                let key = self.ty(depth + 1)?;
                if !self.accept(',') {
                    return None;
                }
                let value = self.ty(depth + 1)?;
                self.accept(close).then(|| Type::map(key, value))?
            }
            "row" => {
                let close = self.open()?;
                let mut fields = Vec::new();
                loop {
                    fields.push(self.row_field(depth)?);
                    if !self.accept(',') {
                        break;
                    }
                }
                self.accept(close).then_some(Type::Row(fields))?
            }
            _ => return None,
        })
    }

    fn open(&mut self) -> Option<char> {
        if self.accept('(') { Some(')') } else { self.accept('<').then_some('>') }
    }

    fn row_field(&mut self, depth: u32) -> Option<(Option<String>, Type)> {
        let before = self.rest;
        // Without a name if what stands here is a whole type.
        if let Some(ty) = self.ty(depth + 1)
            && self.rest.trim_start().starts_with([',', ')', '>'])
        {
            return Some((None, ty));
        }
        self.rest = before;
        let name = self.word();
        if name.is_empty() {
            return None;
        }
        self.accept(':');
        Some((Some(name), self.ty(depth + 1)?))
    }
}

/// Whether a value of the first type may stand where the second is expected, without a cast in the text.
pub fn can_coerce(from: &Type, to: &Type) -> bool {
    from == to || common(from, to).is_some_and(|ty| ty == *to)
}

/// The type that values of both can be brought to, Trino's `getCommonSuperType`.
pub fn common(a: &Type, b: &Type) -> Option<Type> {
    use Type as T;
    if a == b {
        return Some(a.clone());
    }
    let one_way = |from: &T, to: &T| match (from, to) {
        (T::Unknown, other) => Some(other.clone()),
        (T::Tinyint, T::Smallint | T::Integer | T::Bigint | T::Real | T::Double)
        | (T::Smallint, T::Integer | T::Bigint | T::Real | T::Double)
        | (T::Integer, T::Bigint | T::Real | T::Double)
        | (T::Bigint | T::Decimal(..), T::Real | T::Double)
        | (T::Real, T::Double)
        | (T::Date, T::Timestamp(_) | T::TimestampTz(_)) => Some(to.clone()),
        (T::Tinyint | T::Smallint | T::Integer | T::Bigint, T::Decimal(p, s)) => {
            let (ip, _) = from.as_decimal()?;
            Some(super_decimal((ip, 0), (*p, *s)))
        }
        (T::Time(x), T::TimeTz(y)) => Some(T::TimeTz(*x.max(y))),
        (T::Timestamp(x), T::TimestampTz(y)) => Some(T::TimestampTz(*x.max(y))),
        (T::Varchar(n), T::Char(m)) => Some(T::Char(n.map_or(LONGEST_CHAR, |n| n.clamp(*m, LONGEST_CHAR)))),
        _ => None,
    };
    if let Some(found) = one_way(a, b).or_else(|| one_way(b, a)) {
        return Some(found);
    }
    match (a, b) {
        (T::Decimal(p, s), T::Decimal(q, t)) => Some(super_decimal((*p, *s), (*q, *t))),
        (T::Varchar(n), T::Varchar(m)) => Some(T::Varchar(n.zip(*m).map(|(n, m)| n.max(m)))),
        (T::Char(n), T::Char(m)) => Some(T::Char(*n.max(m))),
        (T::Time(x), T::Time(y)) => Some(T::Time(*x.max(y))),
        (T::TimeTz(x), T::TimeTz(y)) => Some(T::TimeTz(*x.max(y))),
        (T::Timestamp(x), T::Timestamp(y)) => Some(T::Timestamp(*x.max(y))),
        (T::TimestampTz(x), T::TimestampTz(y)) => Some(T::TimestampTz(*x.max(y))),
        (T::Array(x), T::Array(y)) => Some(T::array(common(x, y)?)),
        (T::Map(k, v), T::Map(l, w)) => Some(T::map(common(k, l)?, common(v, w)?)),
        (T::Sketch(n, x), T::Sketch(m, y)) if n == m => Some(T::Sketch(n, Box::new(common(x, y)?))),
        (T::Row(x), T::Row(y)) if x.len() == y.len() => {
            let fields = x.iter().zip(y).map(|((n, s), (m, t))| {
                let name = if n == m { n.clone() } else { None };
                Some((name, common(s, t)?))
            });
            Some(T::Row(fields.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn super_decimal((p, s): (u8, u8), (q, t): (u8, u8)) -> Type {
    let scale = s.max(t);
    Type::Decimal(((p - s).max(q - t) + scale).min(38), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_round() {
        for text in [
            "varchar(3)",
            "char(5)",
            "decimal(10,2)",
            "timestamp(0) with time zone",
            "timestamp(12)",
            "time(6) with time zone",
            "interval day to second",
            "array(row(integer, varchar(1)))",
            "map(varchar, array(json))",
            "row(a bigint, \"B c\" double)",
        ] {
            let ty = Type::parse(text).unwrap();
            assert_eq!(ty.to_string(), text);
            assert_eq!(Type::of(&ty.field("x")), ty, "{text}");
        }
        assert!(Type::parse("decimal(39,1)").is_none());
        assert!(Type::parse(&"array(".repeat(1000)).is_none());
    }

    #[test]
    fn common_types_are_trinos() {
        let check = |a: &str, b: &str| {
            common(&Type::parse(a).unwrap(), &Type::parse(b).unwrap()).map_or_else(String::new, |ty| ty.to_string())
        };
        assert_eq!(check("integer", "decimal(2,1)"), "decimal(11,1)");
        assert_eq!(check("bigint", "real"), "real");
        assert_eq!(check("varchar(2)", "varchar"), "varchar");
        assert_eq!(check("char(2)", "varchar(3)"), "char(3)");
        assert_eq!(check("date", "timestamp(0)"), "timestamp(0)");
        assert_eq!(check("integer", "varchar"), "");
        assert_eq!(check("array(integer)", "array(double)"), "array(double)");
    }
}
