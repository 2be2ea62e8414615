//! Avro's schemas: what is one, and whether data of one can be read by another. Source: Apache Avro 1.12 specification, "Schema
//! Declaration", "Schema Resolution". The crate apache-avro would change the features of crates that the whole build shares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Schemas deeper than this are refused.
const MAX_DEPTH: usize = 64;

#[derive(Debug)]
pub(super) struct Avro {
    root: Type,
    /// By their full names.
    named: BTreeMap<String, Named>,
}

#[derive(Clone, Debug, PartialEq)]
enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// By its full name.
    Named(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Named {
    Record(Vec<Field>),
    Enum { symbols: Vec<String>, default: Option<String> },
    Fixed(u64),
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    name: String,
    aliases: Vec<String>,
    ty: Type,
    default: Option<Value>,
}

type Found<T> = Result<T, String>;

impl Avro {
    pub(super) fn parse(text: &str) -> Found<Self> {
        let json: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        let mut parser = Parser::default();
        let root = parser.ty(&json, "", 0)?;
        let avro = Self { root, named: parser.named };
        avro.check_defaults()?;
        Ok(avro)
    }

    /// Whether what was written by `writer` can be read by this.
    pub(super) fn reads(&self, writer: &Self) -> Found<()> {
        Resolution { reader: self, writer, under_way: BTreeSet::new() }.check(&self.root, &writer.root, "")
    }

    fn check_defaults(&self) -> Found<()> {
        for (name, named) in &self.named {
            let Named::Record(fields) = named else { continue };
            for field in fields {
                if let Some(default) = &field.default
                    && !self.fits(default, &field.ty, 0)
                {
                    return Err(format!("invalid default of field {} of {name}: {default}", field.name));
                }
            }
        }
        Ok(())
    }

    fn fits(&self, value: &Value, ty: &Type, depth: usize) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        match ty {
            Type::Null => value.is_null(),
            Type::Boolean => value.is_boolean(),
            Type::Int => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Type::Long => value.as_i64().is_some(),
            Type::Float | Type::Double => value.is_number(),
            Type::Bytes | Type::String => value.is_string(),
            Type::Array(item) => {
                value.as_array().is_some_and(|all| all.iter().all(|one| self.fits(one, item, depth + 1)))
            }
            Type::Map(item) => {
                value.as_object().is_some_and(|all| all.values().all(|one| self.fits(one, item, depth + 1)))
            }
            // Since 1.12 any branch may be meant, before it the first.
            Type::Union(branches) => branches.iter().any(|branch| self.fits(value, branch, depth + 1)),
            Type::Named(name) => match self.named.get(name) {
                Some(Named::Record(fields)) => value.as_object().is_some_and(|given| {
                    fields.iter().all(|field| match given.get(&field.name) {
                        Some(value) => self.fits(value, &field.ty, depth + 1),
                        None => field.default.is_some(),
                    })
                }),
                Some(Named::Enum { symbols, .. }) => {
                    value.as_str().is_some_and(|text| symbols.iter().any(|s| s == text))
                }
                Some(Named::Fixed(_)) => value.is_string(),
                None => false,
            },
        }
    }
}

#[derive(Default)]
struct Parser {
    named: BTreeMap<String, Named>,
}

impl Parser {
    fn ty(&mut self, json: &Value, space: &str, depth: usize) -> Found<Type> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        match json {
            Value::String(name) => self.by_name(name, space),
            Value::Array(branches) => self.union(branches, space, depth),
            Value::Object(members) => match members.get("type") {
                Some(Value::String(kind)) => self.declared(kind, members, space, depth),
                Some(inner) => self.ty(inner, space, depth + 1),
                None => Err(format!("no \"type\": {json}")),
            },
            other => Err(format!("no type: {other}")),
        }
    }

    fn by_name(&self, name: &str, space: &str) -> Found<Type> {
        if let Some(ty) = primitive(name) {
            return Ok(ty);
        }
        let full = full_name(name, space);
        match [&full, name].into_iter().find(|name| self.named.contains_key(*name)) {
            Some(name) => Ok(Type::Named(name.to_owned())),
            None => Err(format!("undefined name: \"{name}\"")),
        }
    }

    fn union(&mut self, branches: &[Value], space: &str, depth: usize) -> Found<Type> {
        let mut all: Vec<Type> = Vec::new();
        for branch in branches {
            let ty = self.ty(branch, space, depth + 1)?;
            let same = |known: &Type| match (known, &ty) {
                (Type::Array(_), Type::Array(_)) | (Type::Map(_), Type::Map(_)) => true,
                (known, ty) => known == ty,
            };
            if matches!(ty, Type::Union(_)) {
                return Err("a union within a union".to_owned());
            }
            if all.iter().any(same) {
                return Err(format!("a union with two branches of one type: {branch}"));
            }
            all.push(ty);
        }
        Ok(Type::Union(all))
    }

    fn declared(&mut self, kind: &str, members: &Map<String, Value>, space: &str, depth: usize) -> Found<Type> {
        let needs = |name: &str| members.get(name).ok_or_else(|| format!("a type {kind} without \"{name}\""));
        match kind {
            "array" => Ok(Type::Array(Box::new(self.ty(needs("items")?, space, depth + 1)?))),
            "map" => Ok(Type::Map(Box::new(self.ty(needs("values")?, space, depth + 1)?))),
            "record" | "error" | "enum" | "fixed" => {
                let name = needs("name")?.as_str().ok_or_else(|| format!("a name of {kind} that is no text"))?;
                let space = match members.get("namespace").and_then(Value::as_str) {
                    _ if name.contains('.') => name.rsplit_once('.').map_or("", |(space, _)| space),
                    Some(own) => own,
                    None => space,
                };
                let full = full_name(name, space);
                if full.split('.').any(|part| !is_name(part)) {
                    return Err(format!("invalid name: \"{full}\""));
                }
                // A record may hold itself: its name is known before its fields are.
                let empty = Named::Record(Vec::new());
                if primitive(name).is_some() || self.named.insert(full.clone(), empty).is_some() {
                    return Err(format!("can't redefine: {full}"));
                }
                let named = match kind {
                    "enum" => enumeration(members)?,
                    "fixed" => Named::Fixed(needs("size")?.as_u64().ok_or("a size of fixed that is no number")?),
                    _ => Named::Record(self.fields(needs("fields")?, space, depth)?),
                };
                self.named.insert(full.clone(), named);
                Ok(Type::Named(full))
            }
            plain => self.by_name(plain, space),
        }
    }

    fn fields(&mut self, json: &Value, space: &str, depth: usize) -> Found<Vec<Field>> {
        let all = json.as_array().ok_or("\"fields\" of a record that are no list")?;
        let mut fields: Vec<Field> = Vec::new();
        for one in all {
            let name = one["name"].as_str().filter(|name| is_name(name));
            let name = name.ok_or_else(|| format!("a field without a valid name: {one}"))?.to_owned();
            if fields.iter().any(|known| known.name == name) {
                return Err(format!("duplicate field {name}"));
            }
            let ty = one.get("type").ok_or_else(|| format!("no type of field {name}"))?;
            let aliases = one["aliases"].as_array().into_iter().flatten();
            fields.push(Field {
                ty: self.ty(ty, space, depth + 1)?,
                aliases: aliases.filter_map(|alias| alias.as_str().map(str::to_owned)).collect(),
                default: one.get("default").cloned(),
                name,
            });
        }
        Ok(fields)
    }
}

fn enumeration(members: &Map<String, Value>) -> Found<Named> {
    let all = members.get("symbols").and_then(Value::as_array).ok_or("an enum without \"symbols\"")?;
    let mut symbols: Vec<String> = Vec::new();
    for one in all {
        let symbol = one.as_str().filter(|symbol| is_name(symbol));
        let symbol = symbol.ok_or_else(|| format!("invalid symbol: {one}"))?.to_owned();
        if symbols.contains(&symbol) {
            return Err(format!("duplicate symbol: {symbol}"));
        }
        symbols.push(symbol);
    }
    let default = members.get("default").and_then(Value::as_str).map(str::to_owned);
    if default.as_ref().is_some_and(|default| !symbols.contains(default)) {
        return Err("the default of an enum is none of its symbols".to_owned());
    }
    Ok(Named::Enum { symbols, default })
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        _ => return None,
    })
}

fn full_name(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

fn is_name(text: &str) -> bool {
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

struct Resolution<'a> {
    reader: &'a Avro,
    writer: &'a Avro,
    /// Pairs of records that are being looked at: what holds itself fits, if all else does.
    under_way: BTreeSet<(String, String)>,
}

impl Resolution<'_> {
    fn check(&mut self, reader: &Type, writer: &Type, path: &str) -> Found<()> {
        use Type as T;
        let unlike = || Err(format!("{}: {} cannot be read as {}", place(path), said(writer), said(reader)));
        match (reader, writer) {
            // All that may have been written must be readable.
            (reader, T::Union(branches)) => branches.iter().try_for_each(|branch| self.check(reader, branch, path)),
            (T::Union(branches), writer) => {
                if branches.iter().any(|branch| self.check(branch, writer, path).is_ok()) {
                    Ok(())
                } else {
                    unlike()
                }
            }
            (T::Array(reader), T::Array(writer)) | (T::Map(reader), T::Map(writer)) => {
                self.check(reader, writer, &format!("{path}/*"))
            }
            (T::Named(reader), T::Named(writer)) => self.named(reader, writer, path),
            (T::Long, T::Int)
            | (T::Float, T::Int | T::Long)
            | (T::Double, T::Int | T::Long | T::Float)
            | (T::String, T::Bytes)
            | (T::Bytes, T::String) => Ok(()),
            (reader, writer) if reader == writer => Ok(()),
            _ => unlike(),
        }
    }

    fn named(&mut self, reader: &str, writer: &str, path: &str) -> Found<()> {
        let (Some(new), Some(old)) = (self.reader.named.get(reader), self.writer.named.get(writer)) else {
            return Err(format!("{}: unknown type", place(path)));
        };
        let (new, old) = (new.clone(), old.clone());
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        if last(reader) != last(writer) {
            return Err(format!("{}: {writer} cannot be read as {reader}", place(path)));
        }
        match (new, old) {
            (Named::Fixed(new), Named::Fixed(old)) if new == old => Ok(()),
            (Named::Enum { symbols, default }, Named::Enum { symbols: old, .. }) => {
                match old.iter().find(|symbol| !symbols.contains(symbol)) {
                    Some(gone) if default.is_none() => Err(format!("{}: symbol {gone} is missing", place(path))),
                    _ => Ok(()),
                }
            }
            (Named::Record(new), Named::Record(old)) => {
                if !self.under_way.insert((reader.to_owned(), writer.to_owned())) {
                    return Ok(());
                }
                new.iter().try_for_each(|field| self.field(field, &old, &format!("{path}/{}", field.name)))
            }
            _ => Err(format!("{}: {writer} is of another kind", place(path))),
        }
    }

    fn field(&mut self, field: &Field, written: &[Field], path: &str) -> Found<()> {
        let named = |name: &String| written.iter().find(|known| known.name == *name);
        match named(&field.name).or_else(|| field.aliases.iter().find_map(named)) {
            Some(old) => self.check(&field.ty, &old.ty, path),
            None if field.default.is_some() => Ok(()),
            None => Err(format!("{}: a field without default that has not been written", place(path))),
        }
    }
}

fn place(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn said(ty: &Type) -> String {
    match ty {
        Type::Named(name) => name.clone(),
        Type::Array(item) => format!("array of {}", said(item)),
        Type::Map(item) => format!("map of {}", said(item)),
        Type::Union(branches) => branches.iter().map(said).collect::<Vec<_>>().join(" or "),
        plain => format!("{plain:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::Avro;

    fn record(fields: &str) -> String {
        format!(r#"{{"type": "record", "name": "R", "namespace": "a.b", "fields": [{fields}]}}"#)
    }

    #[test]
    fn what_is_a_schema() {
        for text in [
            r#""string""#,
            r#"["null", "int"]"#,
            &record(r#"{"name": "x", "type": ["null", {"type": "array", "items": "R"}], "default": null}"#),
            &record(
                r#"{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "default": "A"}, {"name": "f", "type": "E"}"#,
            ),
            r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
            r#"{"type": "fixed", "name": "F", "size": 4}"#,
        ] {
            assert!(Avro::parse(text).is_ok(), "{text}: {:?}", Avro::parse(text));
        }
        for (text, says) in [
            ("{", "no JSON"),
            ("7", "no type"),
            (r#""text""#, "undefined name"),
            (r#"{"name": "x"}"#, "no \"type\""),
            (r#"{"type": "array"}"#, "items"),
            (r#"["int", "int"]"#, "two branches"),
            (r#"["int", ["null"]]"#, "within a union"),
            (r#"{"type": "enum", "name": "E", "symbols": ["a b"]}"#, "invalid symbol"),
            (r#"{"type": "record", "name": "1x", "fields": []}"#, "invalid name"),
            (&record(r#"{"name": "x", "type": "int"}, {"name": "x", "type": "int"}"#), "duplicate field"),
            (&record(r#"{"name": "x", "type": "int", "default": "a"}"#), "invalid default"),
            (&record(r#"{"name": "x", "type": {"type": "fixed", "name": "R", "size": 1}}"#), "redefine"),
        ] {
            let error = Avro::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn who_reads_whom() {
        let (x, x_long) = (r#"{"name": "x", "type": "int"}"#, r#"{"name": "x", "type": "long"}"#);
        let with = |more: &str| record(&format!("{x}, {more}"));
        let e = |symbols: &str, more: &str| format!(r#"{{"type": "enum", "name": "E", "symbols": [{symbols}]{more}}}"#);
        for (reader, writer, fits) in [
            (record(x_long), record(x), true),
            (record(x), record(x_long), false),
            (with(r#"{"name": "y", "type": "int", "default": 0}"#), record(x), true),
            (with(r#"{"name": "y", "type": "int"}"#), record(x), false),
            (record(x), with(r#"{"name": "y", "type": "int"}"#), true),
            (record(r#"{"name": "z", "aliases": ["x"], "type": "int"}"#), record(x), true),
            (record(r#"{"name": "x", "type": ["null", "int"]}"#), record(x), true),
            (record(x), record(r#"{"name": "x", "type": ["null", "int"]}"#), false),
            (e(r#""A""#, ""), e(r#""A", "B""#, ""), false),
            (e(r#""A""#, r#", "default": "A""#), e(r#""A", "B""#, ""), true),
            (r#""bytes""#.to_owned(), r#""string""#.to_owned(), true),
            (
                r#"{"type": "fixed", "name": "F", "size": 4}"#.to_owned(),
                r#"{"type": "fixed", "name": "F", "size": 5}"#.to_owned(),
                false,
            ),
            (
                r#"{"type": "map", "values": "double"}"#.to_owned(),
                r#"{"type": "map", "values": "float"}"#.to_owned(),
                true,
            ),
        ] {
            let found = Avro::parse(&reader).unwrap().reads(&Avro::parse(&writer).unwrap());
            assert_eq!(found.is_ok(), fits, "{reader} of {writer}: {found:?}");
        }
    }
}
