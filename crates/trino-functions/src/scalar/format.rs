//! `format('%s …', …)`: the pattern language of `java.util.Formatter` (its class documentation, JDK 24), over the Java values that Trino
//! makes of its types (`io.trino.operator.scalar.FormatFunction`): integers are `Long`, dates and times those of `java.time`, what has no
//! Java value of its own is cast to varchar.

use std::fmt::Write;

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::datetime_format::{MONTHS, WEEKDAYS, zone_name};
use crate::call::{Call, Kernel, Rows};
use crate::error::{Error, Result};
use crate::parse::seconds;
use crate::text::{date_time, local, shortest, to_text, write_decimal, write_double, write_float};
use crate::types::{Type, VARCHAR};
use crate::value::{PICOS, PICOS_PER_DAY, Value};
use crate::zone::{Zone, write_offset};

pub(super) fn resolve(types: Vec<Type>) -> Result<Call> {
    if types.len() < 2 {
        return Err(Error::new("SYNTAX_ERROR", "The 'format' function must have at least two arguments"));
    }
    if !matches!(types[0], Type::Varchar(_)) {
        let text = format!("Type of first argument to format() must be VARCHAR (actual: {})", types[0]);
        return Err(Error::type_mismatch(text));
    }
    let without_text = |ty: &&Type| !ty.is_text() && !matches!(ty, Type::Unknown | Type::Json) && !is_printed(ty);
    if let Some(ty) = types[1..].iter().find(without_text) {
        return Err(Error::not_supported(format!("Type not supported for formatting: {ty}")));
    }
    let params: Vec<Type> = std::iter::once(VARCHAR).chain(types.into_iter().skip(1)).collect();
    let kernel: Rows = |call, args| {
        if args[0].is_null() {
            return Ok(Value::Null);
        }
        Ok(formatted(args[0].as_str(), &args[1..], &call.params[1..])?.into())
    };
    Ok(Call { name: "format", params, returns: VARCHAR, kernel: Kernel::Nullable(kernel) })
}

/// Whether a type has a Java value or a text.
fn is_printed(ty: &Type) -> bool {
    ty.is_numeric()
        || matches!(
            ty,
            Type::Boolean
                | Type::Date
                | Type::Time(_)
                | Type::TimeTz(_)
                | Type::Timestamp(_)
                | Type::TimestampTz(_)
                | Type::IntervalDay
                | Type::IntervalYear
                | Type::Uuid
                | Type::Ipaddress
        )
}

/// `%[index$][flags][width][.precision]conversion`
#[derive(Debug, Default)]
struct Specifier {
    /// As it is written.
    text: String,
    index: Option<usize>,
    flags: String,
    width: Option<usize>,
    precision: Option<usize>,
    /// In lower case; behind a `t` the date's part, in its own.
    conversion: char,
    date: bool,
    upper: bool,
}

enum Part {
    Text(String),
    Field(Specifier),
}

/// The name of one of Java's exceptions and what it says.
type Wrong = (&'static str, String);

fn formatted(pattern: &str, args: &[Value], types: &[Type]) -> Result<String> {
    let wrong = |(name, text): Wrong| Error::argument(format!("Invalid format string: {pattern} ({name}: {text})"));
    let parts = parts(pattern).map_err(wrong)?;
    let mut out = String::new();
    let (mut ordinary, mut last) = (0, None);
    for part in parts {
        let field = match part {
            Part::Text(text) => {
                out.push_str(&text);
                continue;
            }
            Part::Field(field) => field,
        };
        if matches!(field.conversion, '%' | 'n') && !field.date {
            out.push_str(&field.justified(if field.conversion == 'n' { "\n" } else { "%" }));
            continue;
        }
        let position = if field.flags.contains('<') {
            last
        } else if let Some(index) = field.index {
            index.checked_sub(1)
        } else {
            ordinary += 1;
            Some(ordinary - 1)
        };
        last = position;
        let found = position.and_then(|position| Some((args.get(position)?, types.get(position)?)));
        let Some((value, ty)) = found else {
            return Err(wrong(("MissingFormatArgument", format!("Format specifier '{}'", field.text))));
        };
        match field.print(value, ty) {
            Ok(text) => out.push_str(&text),
            Err(Failure::Java(problem)) => return Err(wrong(problem)),
            Err(Failure::Unknown(what)) => return Err(Error::not_supported(format!("format: {what}"))),
        }
    }
    Ok(out)
}

/// The pattern's parts: all of it is checked before any value is read.
fn parts(pattern: &str) -> Result<Vec<Part>, Wrong> {
    let chars: Vec<char> = pattern.chars().collect();
    let (mut parts, mut text, mut at) = (Vec::new(), String::new(), 0);
    while let Some(c) = chars.get(at) {
        if *c != '%' {
            text.push(*c);
            at += 1;
            continue;
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        let (field, next) = specifier(&chars, at)?;
        field.check()?;
        parts.push(Part::Field(field));
        at = next;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

fn specifier(chars: &[char], start: usize) -> Result<(Specifier, usize), Wrong> {
    let unknown = |c: char| ("UnknownFormatConversion", format!("Conversion = '{c}'"));
    let number = |from: usize| {
        let mut end = from;
        while chars.get(end).is_some_and(char::is_ascii_digit) {
            end += 1;
        }
        (chars[from..end].iter().collect::<String>(), end)
    };
    let mut field = Specifier::default();
    let mut at = start + 1;
    if chars.get(at).is_some_and(|c| ('1'..='9').contains(c)) {
        let (digits, end) = number(at);
        if chars.get(end) == Some(&'$') {
            field.index = digits.parse().ok();
            if field.index.is_none() {
                return Err(("IllegalFormatArgumentIndex", "Illegal format argument index = -2147483648".to_owned()));
            }
            at = end + 1;
        }
    }
    while let Some(c) = chars.get(at).filter(|c| "-#+ 0,(<".contains(**c)) {
        if field.flags.contains(*c) {
            return Err(("DuplicateFormatFlags", format!("Flags = '{c}'")));
        }
        field.flags.push(*c);
        at += 1;
    }
    if chars.get(at).is_some_and(char::is_ascii_digit) {
        let (digits, end) = number(at);
        field.width = Some(digits.parse::<i32>().map_err(|_| ("IllegalFormatWidth", "-2147483648".to_owned()))?)
            .and_then(|width| usize::try_from(width).ok());
        at = end;
    }
    if chars.get(at) == Some(&'.') {
        let (digits, end) = number(at + 1);
        if digits.is_empty() {
            return Err(unknown('.'));
        }
        let digits = digits.parse::<i32>().map_err(|_| ("IllegalFormatPrecision", "-2147483648".to_owned()))?;
        field.precision = usize::try_from(digits).ok();
        at = end;
    }
    let Some(mut c) = chars.get(at).copied() else { return Err(unknown('%')) };
    if matches!(c, 't' | 'T') {
        (field.date, field.upper) = (true, c == 'T');
        at += 1;
        let Some(part) = chars.get(at) else { return Err(unknown(c)) };
        if !"HIklMNLQpsSTzZaAbBCdehjmyYrRTcDF".contains(*part) {
            return Err(("UnknownFormatConversion", format!("Conversion = 't{part}'")));
        }
        c = *part;
    } else {
        field.upper = c.is_ascii_uppercase();
        c = c.to_ascii_lowercase();
        let has_upper = !matches!(c, 'd' | 'o' | 'f' | 'n' | '%');
        if !"bhscdoxefgan%".contains(c) || (field.upper && !has_upper) {
            return Err(unknown(chars[at]));
        }
    }
    field.conversion = c;
    field.text = chars[start..=at].iter().collect();
    Ok((field, at + 1))
}

impl Specifier {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// What the pattern may not say, whatever the value.
    fn check(&self) -> Result<(), Wrong> {
        let shown = || self.flags.replace('<', "");
        let flags = || Err(("IllegalFormatFlags", format!("Flags = '{}'", shown())));
        let precision = || match self.precision {
            Some(precision) => Err(("IllegalFormatPrecision", precision.to_string())),
            None => Ok(()),
        };
        let width = || Err(("MissingFormatWidth", self.text.clone()));
        let none_of = |bad: &str| match bad.chars().find(|flag| self.has(*flag)) {
            Some(flag) => {
                let text = format!("Conversion = {}, Flags = {flag}", self.conversion);
                Err(("FormatFlagsConversionMismatch", text))
            }
            None => Ok(()),
        };
        if self.date {
            precision()?;
            none_of("#+ 0,(")?;
            return if self.has('-') && self.width.is_none() { width() } else { Ok(()) };
        }
        match self.conversion {
            'b' | 'h' | 's' => {
                if self.conversion != 's' {
                    none_of("#")?;
                }
                if self.has('-') && self.width.is_none() {
                    return width();
                }
                none_of("+ 0,(")
            }
            'c' => {
                precision()?;
                none_of("#+ 0,(")?;
                if self.has('-') && self.width.is_none() { width() } else { Ok(()) }
            }
            '%' => {
                precision()?;
                if !matches!(shown().as_str(), "" | "-") {
                    return flags();
                }
                if self.has('-') && self.width.is_none() { width() } else { Ok(()) }
            }
            'n' => {
                precision()?;
                if let Some(width) = self.width {
                    return Err(("IllegalFormatWidth", width.to_string()));
                }
                if shown().is_empty() { Ok(()) } else { flags() }
            }
            numeric => {
                if (self.has('-') || self.has('0')) && self.width.is_none() {
                    return width();
                }
                if (self.has('+') && self.has(' ')) || (self.has('-') && self.has('0')) {
                    return flags();
                }
                match numeric {
                    'd' => precision().and_then(|()| none_of("#")),
                    'o' | 'x' => precision().and_then(|()| none_of(",")),
                    'e' => none_of(","),
                    'g' => none_of("#"),
                    'a' => none_of("(,"),
                    _ => Ok(()),
                }
            }
        }
    }

    /// A text in the width, on the side that the flags say.
    fn justified(&self, text: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let blanks = " ".repeat(missing);
        if self.has('-') { format!("{text}{blanks}") } else { format!("{blanks}{text}") }
    }

    /// A text that the precision may cut off.
    fn text(&self, text: &str) -> String {
        let cut: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        self.justified(&if self.upper { cut.to_uppercase() } else { cut })
    }

    fn print(&self, value: &Value, ty: &Type) -> Result<String, Failure> {
        let illegal = || {
            let text = format!("{} != {}", self.conversion, java_class(value));
            Failure::Java(("IllegalFormatConversion", text))
        };
        if value.is_null() {
            return Ok(self.text(if self.conversion == 'b' && !self.date { "false" } else { "null" }));
        }
        if self.date {
            let text = moment(value).and_then(|moment| moment.print(self.conversion)).ok_or_else(illegal)?;
            return Ok(self.justified(&if self.upper { text.to_uppercase() } else { text }));
        }
        match (self.conversion, value) {
            ('s', _) if self.has('#') => {
                Err(Failure::Java(("FormatFlagsConversionMismatch", "Conversion = s, Flags = #".to_owned())))
            }
            ('s', _) => Ok(self.text(&java_text(value, ty))),
            ('b', Value::Bool(b)) => Ok(self.text(&b.to_string())),
            ('b', _) => Ok(self.text("true")),
            ('h', _) => match hash(value, ty) {
                Some(hash) => Ok(self.text(&format!("{hash:x}"))),
                None => Err(Failure::Unknown(format!("%h of {ty}"))),
            },
            ('d', Value::Int(i)) => Ok(self.number(*i < 0, &i.unsigned_abs().to_string(), "")),
            ('o' | 'x', Value::Int(i)) => self.unsigned(*i),
            ('f' | 'e' | 'g', Value::Double(_) | Value::Real(_)) => Ok(self.float(value.as_double())),
            ('f' | 'e' | 'g', Value::Decimal(x)) => {
                let scale = if let Type::Decimal(_, scale) = ty { *scale } else { 0 };
                Ok(self.decimal(*x, scale))
            }
            ('a', Value::Double(_) | Value::Real(_)) => Err(Failure::Unknown("%a".to_owned())),
            _ => Err(illegal()),
        }
    }

    /// `%o` and `%x`: two's complement of 64 bits.
    fn unsigned(&self, value: i64) -> Result<String, Failure> {
        if let Some(flag) = "( +".chars().find(|flag| self.has(*flag)) {
            let text = format!("Conversion = {}, Flags = {flag}", self.conversion);
            return Err(Failure::Java(("FormatFlagsConversionMismatch", text)));
        }
        let (prefix, digits) =
            if self.conversion == 'x' { ("0x", format!("{value:x}")) } else { ("0", format!("{value:o}")) };
        let prefix = if self.has('#') { prefix } else { "" };
        let zeros = if self.has('0') { self.width.unwrap_or(0).saturating_sub(prefix.len() + digits.len()) } else { 0 };
        let text = format!("{prefix}{}{digits}", "0".repeat(zeros));
        Ok(self.justified(&if self.upper { text.to_uppercase() } else { text }))
    }

    fn float(&self, value: f64) -> String {
        if value.is_nan() {
            return self.justified(if self.upper { "NAN" } else { "NaN" });
        }
        let negative = value.is_sign_negative();
        if value.is_infinite() {
            let text = if self.upper { "INFINITY" } else { "Infinity" };
            let (before, after) = self.signs(negative);
            return self.justified(&format!("{before}{text}{after}"));
        }
        let digits = Digits::of(&shortest(value.abs()));
        let (magnitude, exponent) = match self.conversion {
            'f' => (digits.fixed(self.precision.unwrap_or(6)), String::new()),
            'e' => digits.scientific(self.precision.unwrap_or(6)),
            _ => {
                let wanted = self.precision.unwrap_or(6).max(1);
                let rounded = digits.rounded(wanted);
                let place = rounded.exponent;
                match i64::try_from(wanted) {
                    Ok(most) if !rounded.is_zero() && (place < -4 || place >= most) => digits.scientific(wanted - 1),
                    Ok(most) if !rounded.is_zero() => {
                        (rounded.fixed(usize::try_from(most - 1 - place).unwrap_or(0)), String::new())
                    }
                    _ => (digits.fixed(wanted - 1), String::new()),
                }
            }
        };
        self.point(negative, &magnitude, &exponent)
    }

    fn decimal(&self, value: i128, scale: u8) -> String {
        let mut text = String::new();
        write_decimal(value, scale, &mut text);
        let digits = Digits::of(text.trim_start_matches('-'));
        let (magnitude, exponent) = match self.conversion {
            'f' => (digits.fixed(self.precision.unwrap_or(6)), String::new()),
            'e' => digits.scientific(self.precision.unwrap_or(6)),
            _ => {
                // `BigDecimal` is compared as it is, not as it is rounded.
                let wanted = self.precision.unwrap_or(6).max(1);
                let fits = |most: i64| digits.exponent >= -4 && digits.exponent < most;
                if (digits.is_zero() && scale == 0) || (!digits.is_zero() && i64::try_from(wanted).is_ok_and(fits)) {
                    let places = i64::try_from(wanted).unwrap_or(i64::MAX) - 1 - digits.exponent;
                    (digits.fixed(usize::try_from(places).unwrap_or(0)), String::new())
                } else {
                    digits.scientific(wanted - 1)
                }
            }
        };
        self.point(value < 0, &magnitude, &exponent)
    }

    /// A number with the point that `#` asks for where it has no fraction.
    fn point(&self, negative: bool, magnitude: &str, exponent: &str) -> String {
        let point = if self.has('#') && !magnitude.contains('.') { "." } else { "" };
        let exponent = if self.upper { exponent.to_uppercase() } else { exponent.to_owned() };
        self.number(negative, &format!("{magnitude}{point}"), &exponent)
    }

    /// What stands before and behind a number.
    fn signs(&self, negative: bool) -> (&'static str, &'static str) {
        match negative {
            true if self.has('(') => ("(", ")"),
            true => ("-", ""),
            false if self.has('+') => ("+", ""),
            false if self.has(' ') => (" ", ""),
            false => ("", ""),
        }
    }

    fn number(&self, negative: bool, magnitude: &str, exponent: &str) -> String {
        let (before, after) = self.signs(negative);
        let magnitude = if self.has(',') { grouped(magnitude) } else { magnitude.to_owned() };
        let length = before.len() + magnitude.len() + exponent.len() + after.len();
        let zeros = if self.has('0') { self.width.unwrap_or(0).saturating_sub(length) } else { 0 };
        self.justified(&format!("{before}{}{magnitude}{exponent}{after}", "0".repeat(zeros)))
    }
}

enum Failure {
    /// As Java's Formatter fails.
    Java(Wrong),
    /// What is not served here.
    Unknown(String),
}

/// The class that an `IllegalFormatConversionException` names.
fn java_class(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "java.lang.Boolean",
        Value::Int(_) => "java.lang.Long",
        Value::Real(_) => "java.lang.Float",
        Value::Double(_) => "java.lang.Double",
        Value::Decimal(_) => "java.math.BigDecimal",
        Value::Date(_) => "java.time.LocalDate",
        Value::Time(_) => "java.time.LocalTime",
        Value::Timestamp(_) => "java.time.LocalDateTime",
        Value::TimestampTz(..) => "java.time.ZonedDateTime",
        _ => "java.lang.String",
    }
}

/// `toString()` of the Java value.
fn java_text(value: &Value, ty: &Type) -> String {
    let mut out = String::new();
    match value {
        Value::Double(x) => write_double(*x, &mut out),
        Value::Real(x) => write_float(*x, &mut out),
        Value::Time(picos) => write_clock(i128::from(*picos), &mut out),
        Value::Timestamp(picos) => write_moment(*picos, &mut out),
        Value::TimestampTz(utc, zone) => {
            write_moment(local(*utc, *zone), &mut out);
            let minutes = zone.seconds_at(seconds(*utc)) / 60;
            if minutes == 0 {
                out.push('Z');
            } else {
                let _ = write_offset(i16::try_from(minutes).unwrap_or(0), &mut out);
            }
            if let Zone::Named(_) = zone {
                let _ = write!(out, "[{zone}]");
            }
        }
        value => out = to_text(value, ty),
    }
    out
}

/// `LocalDateTime.toString()`
fn write_moment(picos: i128, out: &mut String) {
    let day = i128::from(PICOS_PER_DAY);
    crate::text::write_date(i64::try_from(picos.div_euclid(day)).unwrap_or(i64::MAX), out);
    out.push('T');
    write_clock(picos.rem_euclid(day), out);
}

/// `LocalTime.toString()`: no seconds where there are none, fractions of three, six or nine digits.
fn write_clock(picos: i128, out: &mut String) {
    let (whole, nanos) = (picos / PICOS, picos % PICOS / 1000);
    let _ = write!(out, "{:02}:{:02}", whole / 3600, whole / 60 % 60);
    if whole % 60 == 0 && nanos == 0 {
        return;
    }
    let _ = write!(out, ":{:02}", whole % 60);
    let digits = format!("{nanos:09}");
    let shown = match digits.trim_end_matches('0').len() {
        0 => 0,
        1..=3 => 3,
        4..=6 => 6,
        _ => 9,
    };
    if shown > 0 {
        let _ = write!(out, ".{}", &digits[..shown]);
    }
}

/// `hashCode()`, of those whose rule is short.
fn hash(value: &Value, ty: &Type) -> Option<i32> {
    let folded = |bits: u64| i32::from_ne_bytes((((bits >> 32) ^ bits) as u32).to_ne_bytes());
    Some(match value {
        Value::Bool(b) => {
            if *b {
                1231
            } else {
                1237
            }
        }
        Value::Int(i) => folded(i.cast_unsigned()),
        Value::Double(x) => folded(if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }),
        Value::Real(x) => i32::from_ne_bytes(x.to_bits().to_ne_bytes()),
        Value::Str(_) => to_text(value, ty)
            .encode_utf16()
            .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit))),
        _ => return None,
    })
}

/// A moment's local clock; what it has no date or no time of is not printed.
struct Moment {
    at: NaiveDateTime,
    has_date: bool,
    has_time: bool,
    zone: Option<Zone>,
    utc: i128,
}

fn moment(value: &Value) -> Option<Moment> {
    let of = |picos: i128, has_date, has_time, zone: Option<Zone>| {
        let at = date_time(local(picos, zone.unwrap_or(Zone::UTC)))?;
        Some(Moment { at, has_date, has_time, zone, utc: picos })
    };
    match value {
        Value::Date(days) => of(i128::from(*days) * i128::from(PICOS_PER_DAY), true, false, None),
        Value::Time(picos) => of(i128::from(*picos), false, true, None),
        Value::Timestamp(picos) => of(*picos, true, true, None),
        Value::TimestampTz(utc, zone) => of(*utc, true, true, Some(*zone)),
        // Milliseconds since the epoch.
        Value::Int(ms) => of(i128::from(*ms) * (PICOS / 1000), true, true, Some(Zone::UTC)),
        _ => None,
    }
}

impl Moment {
    fn print(&self, part: char) -> Option<String> {
        let at = &self.at;
        let needs_date = "aAbBhCYyjmdeDFcsQ".contains(part);
        let needs_time = "HIklMSLNpRTrcsQ".contains(part);
        if (needs_date && !self.has_date) || (needs_time && !self.has_time) {
            return None;
        }
        if "zZsQc".contains(part) && self.zone.is_none() {
            return None;
        }
        let all = |parts: &str| {
            let mut out = String::new();
            for c in parts.chars() {
                if c.is_ascii_alphabetic() {
                    out.push_str(&self.print(c)?);
                } else {
                    out.push(c);
                }
            }
            Some(out)
        };
        let half = (at.hour() + 11) % 12 + 1;
        Some(match part {
            'H' => format!("{:02}", at.hour()),
            'k' => at.hour().to_string(),
            'I' => format!("{half:02}"),
            'l' => half.to_string(),
            'M' => format!("{:02}", at.minute()),
            'S' => format!("{:02}", at.second()),
            'L' => format!("{:03}", at.nanosecond() / 1_000_000),
            'N' => format!("{:09}", at.nanosecond()),
            'p' => (if at.hour() < 12 { "am" } else { "pm" }).to_owned(),
            'z' => {
                let mut out = String::new();
                let minutes = self.zone?.seconds_at(seconds(self.utc)) / 60;
                let _ = write_offset(i16::try_from(minutes).ok()?, &mut out);
                out.replace(':', "")
            }
            'Z' => zone_name(self.zone?, self.utc),
            's' => seconds(self.utc).to_string(),
            'Q' => self.utc.div_euclid(PICOS / 1000).to_string(),
            'A' | 'a' => {
                let name = WEEKDAYS[at.weekday().num_days_from_monday() as usize];
                (if part == 'A' { name } else { &name[..3] }).to_owned()
            }
            'B' | 'b' | 'h' => {
                let name = MONTHS[at.month0() as usize];
                (if part == 'B' { name } else { &name[..3] }).to_owned()
            }
            'C' => format!("{:02}", era_year(at.year()) / 100),
            'Y' => format!("{:04}", era_year(at.year())),
            'y' => format!("{:02}", era_year(at.year()) % 100),
            'j' => format!("{:03}", at.ordinal()),
            'm' => format!("{:02}", at.month()),
            'd' => format!("{:02}", at.day()),
            'e' => at.day().to_string(),
            'R' => all("H:M")?,
            'T' => all("H:M:S")?,
            'r' => format!("{} {}", all("I:M:S")?, self.print('p')?.to_uppercase()),
            'D' => all("m/d/y")?,
            'F' => all("Y-m-d")?,
            'c' => all("a b d T Z Y")?,
            _ => return None,
        })
    }
}

/// Years before the first are counted from it.
fn era_year(year: i32) -> i32 {
    if year > 0 { year } else { 1 - year }
}

/// The digits of a decimal number, the first of which stands at ten to the exponent.
#[derive(Debug, Clone)]
struct Digits {
    digits: Vec<u8>,
    exponent: i64,
}

impl Digits {
    /// Of `12.5` or `1.25e1`.
    fn of(text: &str) -> Self {
        let (number, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
        let zeros = all.iter().take_while(|digit| **digit == 0).count();
        if zeros == all.len() {
            return Self { digits: Vec::new(), exponent: 0 };
        }
        let exponent = exponent.parse::<i64>().unwrap_or(0) + whole.len() as i64 - zeros as i64 - 1;
        Self { digits: all[zeros..].to_vec(), exponent }
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// So many digits, half up.
    fn rounded(&self, count: usize) -> Self {
        if self.digits.len() <= count {
            return self.clone();
        }
        let is_up = self.digits[count] >= 5;
        let mut kept = Self { digits: self.digits[..count].to_vec(), exponent: self.exponent };
        if is_up {
            if let Some(last) = kept.digits.iter().rposition(|digit| *digit < 9) {
                kept.digits[last] += 1;
                kept.digits.truncate(last + 1);
            } else {
                kept = Self { digits: vec![1], exponent: self.exponent + 1 };
            }
        }
        kept
    }

    /// With so many digits behind the point.
    fn fixed(&self, places: usize) -> String {
        let count = self.exponent + 1 + places as i64;
        let kept = match usize::try_from(count) {
            Ok(count) => self.rounded(count),
            Err(_) => Self { digits: Vec::new(), exponent: 0 },
        };
        let digit = |at: i64| {
            let index = usize::try_from(kept.exponent - at).ok();
            index.and_then(|index| kept.digits.get(index)).copied().unwrap_or(0)
        };
        let highest = if kept.is_zero() { 0 } else { kept.exponent.max(0) };
        let mut out = String::new();
        for at in (-(places as i64)..=highest).rev() {
            if at == -1 {
                out.push('.');
            }
            out.push(char::from(b'0' + digit(at)));
        }
        out
    }

    /// A mantissa with so many digits behind the point, and `e+01`.
    fn scientific(&self, places: usize) -> (String, String) {
        let kept = self.rounded(places + 1);
        let exponent = if kept.is_zero() { 0 } else { kept.exponent };
        let mantissa = Self { digits: kept.digits, exponent: 0 }.fixed(places);
        (mantissa, format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()))
    }
}

/// Commas between thousands.
fn grouped(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        let _ = write!(out, ".{fraction}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a real Trino 476 answers.
    #[test]
    fn numbers_as_java_writes_them() {
        let one =
            |pattern: &str, value: Value, ty: &Type| formatted(pattern, &[value], std::slice::from_ref(ty)).unwrap();
        let double = |pattern: &str, x: f64| one(pattern, Value::Double(x), &Type::Double);
        assert_eq!(double("%g", 123_456.789), "123457");
        assert_eq!(double("%g", 0.000_099_999_95), "0.000100000");
        assert_eq!(double("%.3g", 1234.5678), "1.23e+03");
        assert_eq!(double("%g", 0.0), "0.00000");
        assert_eq!(double("%010g", 5.5), "0005.50000");
        assert_eq!(double("%(g", -5.5), "(5.50000)");
        assert_eq!(double("%.1f", 1e40), format!("1{}.0", "0".repeat(40)));
        assert_eq!(double("%.1f", 0.05), "0.1");
        assert_eq!(double("%.0f", 0.4), "0");
        assert_eq!(one("%g", Value::Decimal(9_999_999_999), &Type::Decimal(10, 2)), "1.00000e+08");
        assert_eq!(one("%#x", Value::Int(255), &Type::Bigint), "0xff");
        assert_eq!(one("%,d", Value::Int(-1_234_567), &Type::Bigint), "-1,234,567");
    }
}
