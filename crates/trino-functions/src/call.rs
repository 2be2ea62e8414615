//! From a function's name and the types of its arguments to the one meant, as Trino chooses it; and running it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};

use crate::cast;
use crate::columns;
use crate::error::{Error, Result};
use crate::scalar;
use crate::types::{Type, can_coerce, common};
use crate::value::{Value, build, read};

/// An argument as the planner knows it.
#[derive(Debug, Clone)]
pub struct Argument {
    pub ty: Type,
    /// Its value where it is a constant.
    pub literal: Option<Value>,
}

pub type Rows = fn(&Call, &[Value]) -> Result<Value>;
pub type Arrays = fn(&Call, &[Column], usize) -> Result<ArrayRef>;

/// How a function is run.
#[derive(Debug, Clone, Copy)]
pub enum Kernel {
    /// Row by row; null as soon as an argument is null.
    Strict(Rows),
    /// Row by row, nulls too.
    Nullable(Rows),
    /// All rows at once.
    Arrays(Arrays),
}

/// A function chosen for its arguments.
#[derive(Debug, Clone)]
pub struct Call {
    pub name: &'static str,
    /// The types that the arguments are brought to.
    pub params: Vec<Type>,
    pub returns: Type,
    pub kernel: Kernel,
}

/// An argument's values: as many as there are rows, or one for all.
#[derive(Debug, Clone)]
pub struct Column {
    pub array: ArrayRef,
    pub constant: bool,
}

impl Column {
    pub fn value(&self, ty: &Type, row: usize) -> Value {
        read(self.array.as_ref(), ty, if self.constant { 0 } else { row })
    }

    /// As many values as rows.
    pub fn expanded(&self, rows: usize) -> Result<ArrayRef> {
        if !self.constant || rows == 1 && self.array.len() == 1 {
            return Ok(Arc::clone(&self.array));
        }
        let indices = arrow::array::UInt32Array::from(vec![0u32; rows]);
        Ok(arrow::compute::take(self.array.as_ref(), &indices, None)?)
    }
}

impl Call {
    /// Runs over columns of the types given.
    pub fn run(&self, columns: &[Column], given: &[Type], rows: usize) -> Result<ArrayRef> {
        let columns = columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let (Some(from), Some(to)) = (given.get(i), self.params.get(i)) else { return Ok(column.clone()) };
                Ok(Column { array: cast_array(&column.array, from, to)?, constant: column.constant })
            })
            .collect::<Result<Vec<_>>>()?;
        let strict = match self.kernel {
            Kernel::Arrays(run) => return run(self, &columns, rows),
            Kernel::Strict(_) => true,
            Kernel::Nullable(_) => false,
        };
        if let ([column], [ty]) = (columns.as_slice(), self.params.as_slice())
            && column.array.len() == rows
            && let Some(done) = columns::part(self.name, ty, &column.array)
        {
            return Ok(done);
        }
        let (Kernel::Strict(run) | Kernel::Nullable(run)) = self.kernel else {
            return Err(Error::internal("no such kernel"));
        };
        let mut values = Vec::with_capacity(rows);
        let mut arguments: Vec<Value> = columns
            .iter()
            .zip(&self.params)
            .map(|(column, ty)| if column.constant { column.value(ty, 0) } else { Value::Null })
            .collect();
        for row in 0..rows {
            for (i, column) in columns.iter().enumerate() {
                if !column.constant {
                    arguments[i] = column.value(&self.params[i], row);
                }
            }
            values.push(if strict && arguments.iter().any(Value::is_null) {
                Value::Null
            } else {
                run(self, &arguments)?
            });
        }
        build(&self.returns, &values)
    }
}

/// Brings an array to another type; `cast` in all forms.
pub fn cast_array(array: &ArrayRef, from: &Type, to: &Type) -> Result<ArrayRef> {
    cast_rows(array, from, to, false)
}

/// As [`cast_array`]; with `lenient`, what cannot be cast is null.
pub fn cast_rows(array: &ArrayRef, from: &Type, to: &Type, lenient: bool) -> Result<ArrayRef> {
    let data_type = to.data_type();
    if from == to && *array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    let widening = from.is_integer() && (to.is_integer() || *to == Type::Double || *to == Type::Bigint)
        || matches!((from, to), (Type::Real, Type::Double));
    let plain = matches!((from, to), (Type::Varchar(_), Type::Varchar(None)))
        || matches!((from, to), (Type::Varchar(Some(n)), Type::Varchar(Some(m))) if n <= m);
    if widening || plain {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        if let Ok(done) = cast_with_options(array, &data_type, &options) {
            return Ok(done);
        }
    }
    if let Some(done) = columns::cast(array, from, to) {
        return Ok(done);
    }
    if !cast::is_possible(from, to) {
        return Err(Error::type_mismatch(format!("Cannot cast {from} to {to}")));
    }
    let mut values = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        values.push(match cast::cast(&read(array.as_ref(), from, row), from, to) {
            Ok(value) => value,
            Err(_) if lenient => Value::Null,
            Err(error) => return Err(error),
        });
    }
    build(to, &values)
}

/// The function that a call means.
pub fn resolve(name: &str, arguments: &[Argument]) -> Result<Call> {
    if let Some(found) = scalar::special(name, arguments) {
        return found;
    }
    let Some(overloads) = REGISTRY.get(name) else {
        return Err(Error::new("FUNCTION_NOT_FOUND", format!("Function '{name}' not registered")));
    };
    let types: Vec<Type> = arguments.iter().map(|argument| argument.ty.clone()).collect();
    let mut call = choose(name, overloads.iter().map(|overload| (&overload.signature, overload.kernel)), &types)?;
    if name == "to_iso8601" {
        // As long as it can be, which no signature says: years of six digits, and an offset.
        let digits = |p: u8| if p == 0 { 0 } else { u32::from(p) + 1 };
        match call.params.first() {
            Some(Type::Timestamp(p)) => call.returns = Type::Varchar(Some(22 + digits(*p))),
            Some(Type::TimestampTz(p)) => call.returns = Type::Varchar(Some(28 + digits(*p))),
            _ => {}
        }
    }
    Ok(call)
}

/// Whether there is a scalar function of this name.
pub fn exists(name: &str) -> bool {
    REGISTRY.contains_key(name) || scalar::is_special(name)
}

/// The names of all scalar functions that users may call.
pub fn names() -> impl Iterator<Item = &'static str> {
    REGISTRY.keys().copied().chain(scalar::SPECIAL.iter().copied()).filter(|name| !name.starts_with('$'))
}

/// Chooses the first overload that takes the types as they are, else the first that they can be coerced to.
pub fn choose<'a, K: Into<Kernel>>(
    name: &str,
    overloads: impl Iterator<Item = (&'a Signature, K)> + Clone,
    types: &[Type],
) -> Result<Call> {
    for exact in [true, false] {
        for (signature, kernel) in overloads.clone() {
            if let Some((params, returns)) = signature.bind(types, exact) {
                return Ok(Call { name: signature.name, params, returns, kernel: kernel.into() });
            }
        }
    }
    Err(unexpected(name, overloads.map(|(signature, _)| signature), types))
}

/// `Unexpected parameters (varchar(1)) for function abs. Expected: …`
pub fn unexpected<'a>(name: &str, signatures: impl Iterator<Item = &'a Signature>, types: &[Type]) -> Error {
    let given: Vec<String> = types.iter().map(ToString::to_string).collect();
    let mut expected: Vec<String> = signatures.map(|signature| format!("{name}({})", signature.text)).collect();
    expected.sort();
    expected.dedup();
    let mut text = format!("Unexpected parameters ({}) for function {name}.", given.join(", "));
    let _ = write!(text, " Expected: {}", expected.join(", "));
    Error::new("FUNCTION_NOT_FOUND", text)
}

struct Overload {
    signature: Signature,
    kernel: Kernel,
}

static REGISTRY: LazyLock<BTreeMap<&'static str, Vec<Overload>>> = LazyLock::new(|| {
    let mut all: BTreeMap<&'static str, Vec<Overload>> = BTreeMap::new();
    for &(name, signature, kernel) in scalar::tables().into_iter().flatten() {
        all.entry(name).or_default().push(Overload { signature: Signature::parse(name, signature), kernel });
    }
    all
});

/// A function's parameters and result as in Trino's reference: `array(E), E -> bigint`. A capital is a type variable
/// (`O` orderable, `C` comparable); `varchar(x)`, `decimal(p,s)`, `timestamp(p)` bind what is in parentheses; a last
/// `...` repeats.
#[derive(Debug, Clone)]
pub struct Signature {
    pub name: &'static str,
    text: &'static str,
    params: Vec<Pattern>,
    repeats: bool,
    returns: Pattern,
}

#[derive(Debug, Clone)]
enum Pattern {
    Type(Type),
    Variable(char),
    /// A type with one number, e.g. `varchar(x)`.
    Sized(&'static str, char),
    Decimal,
    Array(Box<Pattern>),
    Map(Box<Pattern>, Box<Pattern>),
    Row(Vec<Pattern>),
    Sketch(&'static str, Box<Pattern>),
}

#[derive(Debug, Default, Clone)]
struct Bound {
    variables: BTreeMap<char, Type>,
    sizes: BTreeMap<char, Option<u32>>,
    decimal: Option<(u8, u8)>,
}

impl Signature {
    /// Reads a table's text; a wrong one is a fault of ours that the tests find.
    pub fn parse(name: &'static str, text: &'static str) -> Self {
        let (params, returns) = text.split_once("->").unwrap_or((text, "unknown"));
        let params = params.trim();
        let (list, repeats) = match params.strip_suffix("...") {
            Some(list) => (list, true),
            None => (params, false),
        };
        Self {
            name,
            text: params,
            params: split(list).into_iter().map(pattern).collect(),
            repeats,
            returns: pattern(returns.trim()),
        }
    }

    /// The types of the parameters and the result for these arguments.
    pub fn bind(&self, types: &[Type], exact: bool) -> Option<(Vec<Type>, Type)> {
        let count = self.params.len();
        if types.len() < count || (types.len() > count && !self.repeats) {
            return None;
        }
        let mut bound = Bound::default();
        let patterns: Vec<&Pattern> =
            (0..types.len()).map(|i| self.params.get(i).or_else(|| self.params.last())).collect::<Option<_>>()?;
        for (pattern, ty) in patterns.iter().zip(types) {
            bound.meet(pattern, ty, exact)?;
        }
        let params = patterns.iter().map(|pattern| bound.fill(pattern)).collect::<Option<Vec<_>>>()?;
        Some((params, bound.fill(&self.returns)?))
    }
}

impl Bound {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    fn meet(&mut self, pattern: &Pattern, ty: &Type, exact: bool) -> Option<()> {
        if exact && *ty == Type::Unknown && !matches!(pattern, Pattern::Variable(_)) {
            return None;
        }
        match pattern {
            Pattern::Type(wanted) => {
                let fits = if exact {
                    ty == wanted || matches!((ty, wanted), (Type::Varchar(_), Type::Varchar(None)))
                } else {
                    can_coerce(ty, wanted)
                };
                fits.then_some(())
            }
            Pattern::Variable(name) => {
                let allowed = match name {
                    'O' => ty.is_orderable(),
                    'C' => ty.is_comparable(),
                    _ => true,
                };
                if !allowed {
                    return None;
                }
                let new = match self.variables.get(name) {
                    Some(old) if exact => (old == ty).then(|| ty.clone())?,
                    Some(old) => common(old, ty)?,
                    None => ty.clone(),
                };
                self.variables.insert(*name, new);
                Some(())
            }
            Pattern::Sized(base, name) => {
                let size = size_of(base, ty, exact)?;
                let old = self.sizes.get(name).copied();
                let new = match (old, size) {
                    (Some(None), _) | (_, None) => None,
                    (Some(Some(a)), Some(b)) => Some(a.max(b)),
                    (None, size) => size,
                };
                self.sizes.insert(*name, new);
                Some(())
            }
            Pattern::Decimal => {
                let (p, s) = match ty {
                    Type::Unknown => (1, 0),
                    Type::Decimal(p, s) => (*p, *s),
                    other if !exact => other.as_decimal()?,
                    _ => return None,
                };
                let new = match self.decimal {
                    Some((q, t)) => match common(&Type::Decimal(p, s), &Type::Decimal(q, t))? {
                        Type::Decimal(p, s) => (p, s),
                        _ => return None,
                    },
                    None => (p, s),
                };
                self.decimal = Some(new);
                Some(())
            }
            Pattern::Array(item) => match ty {
                Type::Array(ty) => self.meet(item, ty, exact),
                Type::Unknown => self.meet(item, &Type::Unknown, exact),
                _ => None,
            },
            Pattern::Sketch(name, item) => match ty {
                Type::Sketch(own, ty) if own == name => self.meet(item, ty, exact),
                _ => None,
            },
            Pattern::Map(key, value) => match ty {
                Type::Map(k, v) => {
                    self.meet(key, k, exact)?;
                    self.meet(value, v, exact)
                }
                Type::Unknown => {
                    self.meet(key, &Type::Unknown, exact)?;
                    self.meet(value, &Type::Unknown, exact)
                }
                _ => None,
            },
            Pattern::Row(items) => match ty {
                Type::Row(fields) if fields.len() == items.len() => {
                    items.iter().zip(fields).try_for_each(|(item, (_, ty))| self.meet(item, ty, exact))
                }
                Type::Unknown => items.iter().try_for_each(|item| self.meet(item, &Type::Unknown, exact)),
                _ => None,
            },
        }
    }

    fn fill(&self, pattern: &Pattern) -> Option<Type> {
        Some(match pattern {
            Pattern::Type(ty) => ty.clone(),
            Pattern::Variable(name) => self.variables.get(name)?.clone(),
            Pattern::Sized(base, name) => sized(base, *self.sizes.get(name)?),
            Pattern::Decimal => {
                let (p, s) = self.decimal?;
                Type::Decimal(p, s)
            }
            Pattern::Array(item) => Type::array(self.fill(item)?),
            Pattern::Sketch(name, item) => Type::Sketch(name, Box::new(self.fill(item)?)),
            Pattern::Map(key, value) => Type::map(self.fill(key)?, self.fill(value)?),
            Pattern::Row(items) => Type::row(items.iter().map(|item| self.fill(item)).collect::<Option<_>>()?),
        })
    }
}

/// The number of a type that a sized pattern takes, perhaps after a coercion.
#[expect(clippy::option_option, reason = "no match, or a match without a bound")]
fn size_of(base: &str, ty: &Type, exact: bool) -> Option<Option<u32>> {
    let precision = |p: u8| Some(Some(u32::from(p)));
    match (base, ty) {
        ("varchar", Type::Varchar(n)) => Some(*n),
        ("char", Type::Char(n)) => Some(Some(*n)),
        ("timestamp", Type::Timestamp(p))
        | ("timestamptz", Type::TimestampTz(p))
        | ("time", Type::Time(p))
        | ("timetz", Type::TimeTz(p)) => precision(*p),
        _ if exact => None,
        ("varchar", Type::Unknown) => Some(Some(0)),
        ("char", Type::Unknown) => Some(Some(1)),
        (_, Type::Unknown) | ("timestamp" | "timestamptz", Type::Date) => precision(0),
        ("timestamptz", Type::Timestamp(p)) | ("timetz", Type::Time(p)) => precision(*p),
        _ => None,
    }
}

fn sized(base: &str, size: Option<u32>) -> Type {
    let precision = size.and_then(|p| u8::try_from(p).ok()).unwrap_or(3);
    match base {
        "varchar" => Type::Varchar(size),
        "char" => Type::Char(size.unwrap_or(1)),
        "timestamp" => Type::Timestamp(precision),
        "timestamptz" => Type::TimestampTz(precision),
        "time" => Type::Time(precision),
        _ => Type::TimeTz(precision),
    }
}

/// Splits at commas outside of parentheses.
fn split(text: &'static str) -> Vec<&'static str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn pattern(text: &'static str) -> Pattern {
    if text.len() == 1
        && let Some(name) = text.chars().next().filter(char::is_ascii_uppercase)
    {
        return Pattern::Variable(name);
    }
    let inside = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(')'));
    if let Some(inner) = inside("array(") {
        return Pattern::Array(Box::new(pattern(inner.trim())));
    }
    for name in ["HyperLogLog", "qdigest", "tdigest", "SetDigest"] {
        if let Some(inner) = text.strip_prefix(name).and_then(|r| r.strip_prefix('(')).and_then(|r| r.strip_suffix(')'))
        {
            return Pattern::Sketch(name, Box::new(pattern(inner)));
        }
    }
    if let Some(inner) = inside("map(")
        && let [key, value] = split(inner)[..]
    {
        return Pattern::Map(Box::new(pattern(key)), Box::new(pattern(value)));
    }
    if let Some(inner) = inside("row(") {
        return Pattern::Row(split(inner).into_iter().map(pattern).collect());
    }
    let letter = |inner: &str| inner.chars().next().filter(|c| c.is_ascii_lowercase() && inner.len() == 1);
    match text {
        "decimal(p,s)" => return Pattern::Decimal,
        "timestamp(p) with time zone" => return Pattern::Sized("timestamptz", 'p'),
        "time(p) with time zone" => return Pattern::Sized("timetz", 'p'),
        _ => {}
    }
    for base in ["varchar", "char", "timestamp", "time"] {
        if let Some(name) =
            text.strip_prefix(base).and_then(|r| r.strip_prefix('(')).and_then(|r| r.strip_suffix(')')).and_then(letter)
        {
            return Pattern::Sized(base, name);
        }
    }
    Pattern::Type(Type::parse(text).unwrap_or(Type::Unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(signature: &'static str, types: &[&str]) -> String {
        let types: Vec<Type> = types.iter().map(|ty| Type::parse(ty).unwrap()).collect();
        let signature = Signature::parse("f", signature);
        match signature.bind(&types, true).or_else(|| signature.bind(&types, false)) {
            Some((params, returns)) => {
                let params: Vec<String> = params.iter().map(ToString::to_string).collect();
                format!("{} -> {returns}", params.join(", "))
            }
            None => "none".to_owned(),
        }
    }

    #[test]
    fn signatures_bind_as_trinos() {
        assert_eq!(bind("array(E), E -> bigint", &["array(integer)", "bigint"]), "array(bigint), bigint -> bigint");
        assert_eq!(bind("varchar(x) -> varchar(x)", &["varchar(3)"]), "varchar(3) -> varchar(3)");
        assert_eq!(bind("decimal(p,s) -> decimal(p,s)", &["integer"]), "decimal(10,0) -> decimal(10,0)");
        assert_eq!(bind("varchar... -> varchar", &["varchar(1)", "varchar(2)"]), "varchar, varchar -> varchar");
        assert_eq!(bind("double -> double", &["varchar"]), "none");
        assert_eq!(
            bind("map(K,V) -> array(row(K,V))", &["map(varchar, integer)"]),
            "map(varchar, integer) -> array(row(varchar, integer))"
        );
        assert_eq!(bind("timestamp(p) with time zone -> bigint", &["date"]), "timestamp(0) with time zone -> bigint");
    }

    #[test]
    fn all_signatures_can_be_read() {
        for &(name, signature, _) in scalar::tables().into_iter().flatten() {
            let (params, returns) = signature.split_once("->").unwrap();
            for part in split(params.trim().trim_end_matches("...")).into_iter().chain([returns.trim()]) {
                let read = pattern(part);
                assert!(!matches!(read, Pattern::Type(Type::Unknown)) || part == "unknown", "{name}: {part}");
            }
        }
    }
}
