//! Partition projection: partitions that are computed from the table's properties instead of being read from the
//! catalog (Athena guide, "Use partition projection with Amazon Athena").

use std::fmt::{Display, Write};

use chrono::{DateTime, Days, Months, NaiveDateTime, TimeDelta, Timelike};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use super::listing::decode_partition_value;
use super::pattern::Pattern;
use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::storage::Location;

/// More values than this of one column are not looked through.
const MOST_VALUES: usize = 1_000_000;
/// More partitions than this are not read by one query.
const MOST_PARTITIONS: usize = 1_000_000;

/// One value of a projected column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// As it stands in the partition's location.
    pub(crate) text: String,
    pub(crate) value: ScalarValue,
}

#[derive(Debug)]
pub(crate) struct Projection {
    columns: Vec<Column>,
    template: Option<String>,
}

#[derive(Debug)]
struct Column {
    field: FieldRef,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Enum(Vec<String>),
    Integer { low: i64, high: i64, interval: i64, digits: usize },
    Date { format: Pattern, low: Bound, high: Bound, interval: u32, unit: Unit },
    Injected,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    At(NaiveDateTime),
    /// So many units from now.
    Now(i64, Unit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Years,
    Months,
    Weeks,
    Days,
    Hours,
    Minutes,
    Seconds,
    Millis,
}

fn invalid(text: impl Display) -> Error {
    Error::user(1006, "INVALID_TABLE_PROPERTY", text)
}

impl Projection {
    /// `None` when the table's partitions are those of the catalog.
    pub(crate) fn of(database: &str, table: &Table, keys: &[FieldRef]) -> Result<Option<Self>> {
        let property = |name: &str| table.parameters.get(name).map(|value| value.trim());
        if !property("projection.enabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) || keys.is_empty() {
            return Ok(None);
        }
        let missing: Vec<&str> = keys
            .iter()
            .map(|key| key.name().as_str())
            .filter(|name| !table.parameters.contains_key(&format!("projection.{name}.type")))
            .collect();
        if !missing.is_empty() {
            return Err(invalid(format_args!(
                "Table {database}.{} is configured for partition projection, but the following partition columns are \
                 missing projection configuration: [{}]",
                table.name,
                missing.join(", ")
            )));
        }
        let columns = keys.iter().map(|key| Column::of(table, key)).collect::<Result<Vec<_>>>()?;
        let template = property("storage.location.template").filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(template) = &template {
            let lacking = keys.iter().find(|key| !template.contains(&format!("${{{}}}", key.name())));
            if let Some(key) = lacking {
                return Err(invalid(format_args!(
                    "Partition projection location template: {template} is missing partition column: '{}' placeholder",
                    key.name()
                )));
            }
        }
        Ok(Some(Self { columns, template }))
    }

    /// For each column the values that can pass the filters. `now` is the query's moment in UTC.
    pub(crate) fn values(&self, filters: &[Expr], now: NaiveDateTime) -> Result<Vec<Vec<Value>>> {
        self.columns.iter().map(|column| column.values(filters, now)).collect()
    }

    /// Where the partition of these values is looked for; `None` where the projection has no such partition.
    pub(crate) fn place(&self, root: &Location, texts: &[String], now: NaiveDateTime) -> Result<Option<Location>> {
        let mut place = Vec::with_capacity(texts.len());
        for (column, text) in self.columns.iter().zip(texts) {
            let value = column.decode(text)?;
            let name = datafusion::common::Column::new_unqualified(column.field.name());
            let is = Expr::Column(name).eq(Expr::Literal(value.clone(), None));
            match column.values(&[is], now)?.into_iter().find(|known| known.value == value) {
                Some(known) => place.push(known),
                None => return Ok(None),
            }
        }
        self.location(root, &place).map(Some)
    }

    /// All combinations, the last column fastest.
    pub(crate) fn combine(columns: &[Vec<Value>]) -> Result<Vec<Vec<Value>>> {
        let count = columns.iter().try_fold(1usize, |n, values| n.checked_mul(values.len()));
        if count.is_none_or(|count| count > MOST_PARTITIONS) {
            return Err(Error::user(
                1301,
                "NOT_SUPPORTED",
                format_args!("The filters leave more than {MOST_PARTITIONS} projected partitions; name fewer"),
            ));
        }
        let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
        for values in columns {
            rows = rows
                .into_iter()
                .flat_map(|row| values.iter().map(move |value| [row.as_slice(), std::slice::from_ref(value)].concat()))
                .collect();
        }
        Ok(rows)
    }

    /// Where a partition's files are.
    pub(crate) fn location(&self, root: &Location, values: &[Value]) -> Result<Location> {
        let Some(template) = &self.template else {
            let names = self.columns.iter().map(|column| column.field.name());
            let pairs: Vec<String> =
                names.zip(values).map(|(name, value)| format!("{name}={}", escape(&value.text))).collect();
            let root_key = root.key.trim_end_matches('/');
            let slash = if root_key.is_empty() { "" } else { "/" };
            return Ok(Location { bucket: root.bucket.clone(), key: format!("{root_key}{slash}{}/", pairs.join("/")) });
        };
        let mut out = template.clone();
        for (column, value) in self.columns.iter().zip(values) {
            out = out.replace(&format!("${{{}}}", column.field.name()), &value.text);
        }
        Location::parse(&out)
    }
}

/// Hive's escaping of folder names.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c < ' ' || "\"#%'*/:=?\\\u{7f}{[]^".contains(c) {
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

impl Column {
    fn of(table: &Table, field: &FieldRef) -> Result<Self> {
        let name = field.name();
        let get = |key: &str| table.parameters.get(&format!("projection.{name}.{key}")).map(String::as_str);
        let wrong = |key: &str, why: &dyn Display| invalid(format_args!("projection.{name}.{key}: {why}"));
        let need = |key: &str| get(key).ok_or_else(|| wrong(key, &"the property is missing"));
        let kind = get("type").unwrap_or_default().trim().to_ascii_lowercase();
        let ty = field.data_type();
        let fits = match kind.as_str() {
            "enum" => true,
            "integer" | "injected" => *ty == DataType::Utf8 || ty.is_integer(),
            "date" => matches!(ty, DataType::Utf8 | DataType::Date32 | DataType::Timestamp(..)),
            _ => return Err(wrong("type", &format_args!("'{kind}' is none of enum, integer, date and injected"))),
        };
        if !fits {
            let ty = crate::types::trino_type(field);
            return Err(wrong("type", &format_args!("a column of type {ty} cannot be projected as {kind}")));
        }
        let range = || -> Result<(&str, &str)> {
            let text = need("range")?;
            let two = text.split_once(',').filter(|(_, high)| !high.contains(','));
            two.ok_or_else(|| wrong("range", &format_args!("'{text}' is no list of two values")))
        };
        let count = |key: &str, default: u32| -> Result<u32> {
            let Some(text) = get(key) else { return Ok(default) };
            let number = text.trim().parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| wrong(key, &format_args!("'{text}' is no positive integer")))
        };
        let kind = match kind.as_str() {
            "enum" => Kind::Enum(need("values")?.split(',').map(str::to_owned).collect()),
            "integer" => {
                let (low, high) = range()?;
                let number = |text: &str| {
                    text.trim().parse::<i64>().map_err(|_| wrong("range", &format_args!("'{text}' is no integer")))
                };
                let (low, high) = (number(low)?, number(high)?);
                if low > high {
                    return Err(wrong("range", &"the first value is greater than the last"));
                }
                let digits = if get("digits").is_some() { count("digits", 0)? as usize } else { 0 };
                Kind::Integer { low, high, interval: i64::from(count("interval", 1)?), digits: digits.min(64) }
            }
            "date" => {
                let text = need("format")?;
                let format = Pattern::parse_java(text).map_err(|why| wrong("format", &why))?;
                let (low, high) = range()?;
                let bound = |text: &str| {
                    Bound::parse(text, &format).ok_or_else(|| {
                        let form = "is neither a date of the format nor NOW and an offset";
                        wrong("range", &format_args!("'{text}' {form}"))
                    })
                };
                let (low, high) = (bound(low)?, bound(high)?);
                let unit = match get("interval.unit").map(|unit| (unit, Unit::parse(unit))) {
                    Some((_, Some(unit))) => unit,
                    Some((text, None)) => return Err(wrong("interval.unit", &format_args!("'{text}' is no unit"))),
                    None if format.has("HhmsSa") => {
                        return Err(wrong(
                            "interval.unit",
                            &"a format finer than a day needs an interval and its unit",
                        ));
                    }
                    None if format.has("dE") => Unit::Days,
                    None if format.has("ML") => Unit::Months,
                    None => Unit::Years,
                };
                Kind::Date { low, high, interval: count("interval", 1)?, unit, format }
            }
            _ => Kind::Injected,
        };
        Ok(Self { field: field.clone(), kind })
    }

    fn values(&self, filters: &[Expr], now: NaiveDateTime) -> Result<Vec<Value>> {
        let known = Known::of(self.field.name(), filters);
        let texts: Vec<String> = match &self.kind {
            Kind::Enum(values) => values.clone(),
            Kind::Integer { low, high, interval, digits } => self.integers(*low, *high, *interval, *digits, &known)?,
            Kind::Date { format, low, high, interval, unit } => {
                return self.dates(format, low.at(now), high.at(now), (*interval, *unit));
            }
            Kind::Injected => match &known.equal {
                Some(values) => {
                    let mut texts: Vec<String> =
                        values.iter().map(scalar_text).collect::<Option<_>>().unwrap_or_default();
                    texts.sort();
                    texts.dedup();
                    texts
                }
                None => {
                    return Err(Error::user(
                        1006,
                        "CONSTRAINT_VIOLATION",
                        format_args!(
                            "For the injected projected partition column {}, the WHERE clause must contain only static \
                             equality conditions, and at least one such condition must be present.",
                            self.field.name()
                        ),
                    ));
                }
            },
        };
        texts.into_iter().map(|text| Ok(Value { value: self.decode(&text)?, text })).collect()
    }

    fn decode(&self, text: &str) -> Result<ScalarValue> {
        decode_partition_value(&self.field, text)
    }

    fn too_many(&self) -> Error {
        Error::user(
            1301,
            "NOT_SUPPORTED",
            format_args!(
                "The partition column {} is projected to more than {MOST_VALUES} values; filter it by equality or a range",
                self.field.name()
            ),
        )
    }

    fn integers(&self, low: i64, high: i64, interval: i64, digits: usize, known: &Known) -> Result<Vec<String>> {
        let write = |number: i64| if digits == 0 { number.to_string() } else { format!("{number:0digits$}") };
        if let Some(values) = &known.equal {
            let mut numbers: Vec<i64> = values
                .iter()
                .filter_map(|value| scalar_text(value)?.parse().ok())
                .filter(|number| (low..=high).contains(number))
                .filter(|number| (i128::from(*number) - i128::from(low)) % i128::from(interval) == 0)
                .collect();
            numbers.sort_unstable();
            numbers.dedup();
            return Ok(numbers.into_iter().map(write).collect());
        }
        // Numbers as numbers: a text column is compared as text, so that its bounds say nothing here.
        let (mut first, mut last) = (i128::from(low), i128::from(high));
        if self.field.data_type().is_integer() {
            if let Some(bound) = known.low {
                let steps = ((i128::from(bound) - first).max(0) + i128::from(interval) - 1) / i128::from(interval);
                first += steps * i128::from(interval);
            }
            last = known.high.map_or(last, |bound| last.min(i128::from(bound)));
        }
        let mut out = Vec::new();
        while first <= last {
            if out.len() == MOST_VALUES {
                return Err(self.too_many());
            }
            out.push(write(i64::try_from(first).map_err(Error::internal)?));
            first += i128::from(interval);
        }
        Ok(out)
    }

    fn dates(
        &self,
        format: &Pattern,
        low: NaiveDateTime,
        high: NaiveDateTime,
        (interval, unit): (u32, Unit),
    ) -> Result<Vec<Value>> {
        // What the format does not tell does not count.
        let rounded = |at: NaiveDateTime| format.read(&format.write(at)).unwrap_or(at);
        let (low, high) = (rounded(low), rounded(high));
        let mut out: Vec<Value> = Vec::new();
        for step in 0.. {
            let Some(at) = unit.after(low, i64::from(interval).saturating_mul(step)) else { break };
            if at > high {
                break;
            }
            if out.len() == MOST_VALUES {
                return Err(self.too_many());
            }
            let text = format.write(at);
            if out.last().is_some_and(|last| last.text == text) {
                continue;
            }
            let value = match self.field.data_type() {
                DataType::Date32 => ScalarValue::Date32(Some(at.date().to_epoch_days())),
                DataType::Timestamp(..) => {
                    ScalarValue::TimestampMillisecond(Some(at.and_utc().timestamp_millis()), None)
                }
                _ => ScalarValue::Utf8(Some(text.clone())),
            };
            out.push(Value { text, value });
        }
        Ok(out)
    }
}

impl Unit {
    /// `DAYS`, `DAY`, in any case.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        Some(match text.strip_suffix('S').unwrap_or(&text) {
            "YEAR" => Self::Years,
            "MONTH" => Self::Months,
            "WEEK" => Self::Weeks,
            "DAY" => Self::Days,
            "HOUR" => Self::Hours,
            "MINUTE" => Self::Minutes,
            "SECOND" => Self::Seconds,
            "MILLI" => Self::Millis,
            _ => return None,
        })
    }

    /// So many of them after a moment, or before it.
    fn after(self, at: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
        let months = |count: i64| {
            let months = Months::new(u32::try_from(count.unsigned_abs()).ok()?);
            if count < 0 { at.checked_sub_months(months) } else { at.checked_add_months(months) }
        };
        let days = |count: i64| {
            let days = Days::new(count.unsigned_abs());
            if count < 0 { at.checked_sub_days(days) } else { at.checked_add_days(days) }
        };
        let delta = |delta: Option<TimeDelta>| at.checked_add_signed(delta?);
        match self {
            Self::Years => months(count.checked_mul(12)?),
            Self::Months => months(count),
            Self::Weeks => days(count.checked_mul(7)?),
            Self::Days => days(count),
            Self::Hours => delta(TimeDelta::try_hours(count)),
            Self::Minutes => delta(TimeDelta::try_minutes(count)),
            Self::Seconds => delta(TimeDelta::try_seconds(count)),
            Self::Millis => delta(TimeDelta::try_milliseconds(count)),
        }
    }
}

impl Bound {
    /// A date of the format, or `NOW`, `NOW-3YEARS`, `NOW + 1 DAY`.
    fn parse(text: &str, format: &Pattern) -> Option<Self> {
        let trimmed = text.trim();
        if let Some(at) = format.read(trimmed) {
            return Some(Self::At(at));
        }
        let offset = trimmed.strip_prefix("NOW")?.trim();
        if offset.is_empty() {
            return Some(Self::Now(0, Unit::Days));
        }
        let (sign, rest) = match offset.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, offset.strip_prefix('+')?),
        };
        let rest = rest.trim();
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..end].parse().ok()?;
        Some(Self::Now(sign * count, Unit::parse(&rest[end..])?))
    }

    fn at(self, now: NaiveDateTime) -> NaiveDateTime {
        match self {
            Self::At(at) => at,
            Self::Now(count, unit) => {
                let now = now.with_nanosecond(0).unwrap_or(now);
                unit.after(now, count).unwrap_or(if count < 0 {
                    DateTime::<chrono::Utc>::MIN_UTC.naive_utc()
                } else {
                    DateTime::<chrono::Utc>::MAX_UTC.naive_utc()
                })
            }
        }
    }
}

/// What the filters say of one column for certain.
#[derive(Debug, Default, PartialEq)]
struct Known {
    /// It is one of these.
    equal: Option<Vec<ScalarValue>>,
    /// Its bounds as a number, inclusive.
    low: Option<i64>,
    high: Option<i64>,
}

impl Known {
    fn of(column: &str, filters: &[Expr]) -> Self {
        let mut known = Self::default();
        for filter in filters {
            known.add(column, filter);
        }
        known
    }

    fn add(&mut self, column: &str, filter: &Expr) {
        let is = |expr: &Expr| matches!(expr, Expr::Column(c) if c.name == column);
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.add(column, left);
                self.add(column, right);
            }
            Expr::InList(InList { .. }) | Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => {
                if let Some(values) = equal_to(column, filter) {
                    self.one_of(values);
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (op, value) = match (left.as_ref(), right.as_ref()) {
                    (left, Expr::Literal(value, _)) if is(left) => (*op, value),
                    (Expr::Literal(value, _), right) if is(right) => match op.swap() {
                        Some(op) => (op, value),
                        None => return,
                    },
                    _ => return,
                };
                let number = || scalar_text(value)?.parse::<i64>().ok();
                match op {
                    Operator::Eq => self.one_of(vec![value.clone()]),
                    Operator::Gt => self.raise(number().and_then(|n| n.checked_add(1))),
                    Operator::GtEq => self.raise(number()),
                    Operator::Lt => self.lower(number().and_then(|n| n.checked_sub(1))),
                    Operator::LtEq => self.lower(number()),
                    _ => {}
                }
            }
            Expr::Between(Between { expr, negated: false, low, high }) if is(expr) => {
                let number = |expr: &Expr| match expr {
                    Expr::Literal(value, _) => scalar_text(value)?.parse::<i64>().ok(),
                    _ => None,
                };
                self.raise(number(low));
                self.lower(number(high));
            }
            _ => {}
        }
    }

    fn one_of(&mut self, values: Vec<ScalarValue>) {
        self.equal = Some(match self.equal.take() {
            Some(before) => before.into_iter().filter(|value| values.contains(value)).collect(),
            None => values,
        });
    }

    fn raise(&mut self, bound: Option<i64>) {
        self.low = self.low.max(bound);
    }

    fn lower(&mut self, bound: Option<i64>) {
        if let Some(bound) = bound {
            self.high = Some(self.high.map_or(bound, |high| high.min(bound)));
        }
    }
}

/// The values that a filter made of equalities names.
fn equal_to(column: &str, filter: &Expr) -> Option<Vec<ScalarValue>> {
    let is = |expr: &Expr| matches!(expr, Expr::Column(c) if c.name == column);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut values = equal_to(column, left)?;
            values.extend(equal_to(column, right)?);
            Some(values)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (left, Expr::Literal(value, _)) if is(left) => Some(vec![value.clone()]),
            (Expr::Literal(value, _), right) if is(right) => Some(vec![value.clone()]),
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) if is(expr) => {
            let literals = list.iter().map(|item| match item {
                Expr::Literal(value, _) => Some(value.clone()),
                _ => None,
            });
            literals.collect()
        }
        _ => None,
    }
}

/// A literal's text; `None` for a null.
fn scalar_text(value: &ScalarValue) -> Option<String> {
    if value.is_null() {
        return None;
    }
    match value.try_as_str() {
        Some(text) => text.map(str::to_owned),
        None => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn projection(keys: &[(&str, DataType)], properties: &[(&str, &str)]) -> Result<Option<Projection>> {
        let keys: Vec<FieldRef> = keys.iter().map(|(n, ty)| Arc::new(Field::new(*n, ty.clone(), true))).collect();
        let mut parameters: BTreeMap<String, String> =
            properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parameters.entry("projection.enabled".to_owned()).or_insert_with(|| "TRUE".to_owned());
        Projection::of("db", &Table { name: "t".to_owned(), parameters, ..Table::default() }, &keys)
    }

    fn texts(ty: &DataType, properties: &[(&str, &str)], filters: &[Expr]) -> Vec<String> {
        let now = NaiveDateTime::parse_from_str("2024-03-01 10:20:30", "%Y-%m-%d %H:%M:%S").unwrap();
        let projection = projection(&[("k", ty.clone())], properties).unwrap().unwrap();
        projection.values(filters, now).unwrap().remove(0).into_iter().map(|value| value.text).collect()
    }

    #[test]
    fn every_kind_has_its_values() {
        let t = "projection.k.type";
        let (range, format) = ("projection.k.range", "projection.k.format");
        let (interval, unit) = ("projection.k.interval", "projection.k.interval.unit");
        let utf8 = DataType::Utf8;
        assert_eq!(texts(&utf8, &[(t, " ENUM "), ("projection.k.values", "a, b")], &[]), ["a", " b"]);
        let integer = [(t, "integer"), (range, " 1,6"), (interval, "2"), ("projection.k.digits", "3")];
        assert_eq!(texts(&utf8, &integer, &[]), ["001", "003", "005"]);
        let wide = [(t, "integer"), (range, "0,9223372036854775807")];
        assert_eq!(texts(&DataType::Int64, &wide, &[col("k").eq(lit(7i64))]), ["7"]);
        assert_eq!(texts(&DataType::Int64, &wide, &[col("k").lt(lit(2i64)), lit(0i64).lt(col("k"))]), ["1"]);
        let date = [(t, "date"), (format, "yyyy/MM/dd"), (range, "2024/02/28,NOW")];
        assert_eq!(texts(&utf8, &date, &[]), ["2024/02/28", "2024/02/29", "2024/03/01"]);
        let hours =
            [(t, "date"), (format, "yyyy-MM-dd-HH"), (range, "NOW-3HOURS,NOW"), (interval, "2"), (unit, "HOURS")];
        assert_eq!(texts(&utf8, &hours, &[]), ["2024-03-01-07", "2024-03-01-09"]);
        let months = [(t, "date"), (format, "yyyy-MM"), (range, "NOW-1YEARS,NOW-11MONTHS")];
        assert_eq!(texts(&utf8, &months, &[]), ["2023-03", "2023-04"]);
        let injected = [(t, "injected")];
        let filter = col("k").eq(lit("b")).or(col("k").eq(lit("a")));
        assert_eq!(texts(&utf8, &injected, &[filter]), ["a", "b"]);
    }

    #[test]
    fn wrong_properties_are_named() {
        let error =
            |ty: DataType, properties: &[(&str, &str)]| projection(&[("k", ty)], properties).unwrap_err().message;
        assert!(error(DataType::Utf8, &[]).contains("missing projection configuration: [k]"));
        for (key, value) in [("type", "x"), ("range", "1"), ("range", "5,1"), ("range", "a,b"), ("interval", "0")] {
            let mut all = BTreeMap::from([("projection.k.type", "integer"), ("projection.k.range", "1,2")]);
            let name = format!("projection.k.{key}");
            all.insert(&name, value);
            let all: Vec<_> = all.into_iter().collect();
            assert!(error(DataType::Utf8, &all).contains(&name), "{key}={value}");
        }
        assert!(error(DataType::Boolean, &[("projection.k.type", "date")]).contains("cannot be projected"));
        let hours = [
            ("projection.k.type", "date"),
            ("projection.k.format", "yyyy-MM-dd HH"),
            ("projection.k.range", "NOW-1DAYS,NOW"),
        ];
        assert!(error(DataType::Utf8, &hours).contains("interval.unit"));
    }

    #[test]
    fn an_injected_column_needs_an_equality() {
        let projection = projection(&[("k", DataType::Utf8)], &[("projection.k.type", "injected")]).unwrap().unwrap();
        let error = projection.values(&[col("k").gt(lit("a"))], NaiveDateTime::default()).unwrap_err();
        assert!(error.message.starts_with("CONSTRAINT_VIOLATION: For the injected projected partition column k"));
    }

    #[test]
    fn locations_follow_the_template() {
        let keys = [("y", DataType::Utf8), ("d", DataType::Utf8)];
        let all = [("projection.y.type", "injected"), ("projection.d.type", "injected")];
        let root = Location { bucket: "b".to_owned(), key: "t/".to_owned() };
        let value = |text: &str| Value { text: text.to_owned(), value: ScalarValue::from(text) };
        let values = [value("2024"), value("a/b")];
        let plain = projection(&keys, &all).unwrap().unwrap();
        assert_eq!(plain.location(&root, &values).unwrap().to_string(), "s3://b/t/y=2024/d=a%2Fb/");
        let with = [all[0], all[1], ("storage.location.template", "s3://c/x/${y}/p-${d}/")];
        let template = projection(&keys, &with).unwrap().unwrap();
        assert_eq!(template.location(&root, &values).unwrap().to_string(), "s3://c/x/2024/p-a/b/");
        let lacking = [all[0], all[1], ("storage.location.template", "s3://c/x/${y}/")];
        assert!(projection(&keys, &lacking).unwrap_err().message.contains("'d' placeholder"));
    }
}
