//! Types and columns (<https://iceberg.apache.org/spec/#schemas-and-data-types>), their numbers, and the catalog's words for them.

use std::collections::{BTreeMap, BTreeSet};

use api_glue::Column;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Error;

use super::bad;

/// Structures deeper than this are refused.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Schema {
    #[serde(rename = "type", default = "of_struct")]
    kind: String,
    #[serde(default, rename = "schema-id")]
    pub(crate) id: i32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) identifier_field_ids: Vec<i32>,
    pub(crate) fields: Vec<Field>,
}

fn of_struct() -> String {
    "struct".to_owned()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Field {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) required: bool,
    #[serde(rename = "type")]
    pub(crate) ty: Type,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) doc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) initial_default: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) write_default: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Type {
    Primitive(Primitive),
    Nested(Nested),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "kebab-case")]
pub(crate) enum Nested {
    Struct { fields: Vec<Field> },
    List { element_id: i32, element: Box<Type>, element_required: bool },
    Map { key_id: i32, key: Box<Type>, value_id: i32, value: Box<Type>, value_required: bool },
}

/// A primitive type by its name, in the way that Iceberg's own writers put it: `decimal(9, 2)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Primitive(String);

const PLAIN: [&str; 13] = [
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "string",
    "uuid",
    "binary",
    // What is not known yet has this type; of format version 3, as those below.
    "unknown",
];
const OF_VERSION_3: [&str; 4] = ["unknown", "timestamp_ns", "timestamptz_ns", "variant"];

impl TryFrom<String> for Primitive {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("Cannot parse type string to primitive: {text}");
        let inner = |open: &str, close: char| text.strip_prefix(open)?.strip_suffix(close).map(str::trim);
        if PLAIN.contains(&text.as_str()) || OF_VERSION_3.contains(&text.as_str()) {
            return Ok(Self(text));
        }
        if let Some((p, s)) = inner("decimal(", ')').and_then(|inner| inner.split_once(',')) {
            let (p, s): (u8, u8) = (p.trim().parse().map_err(|_| wrong())?, s.trim().parse().map_err(|_| wrong())?);
            if p == 0 || p > 38 || s > p {
                return Err(format!("Decimals with precision {p} and scale {s} are not possible"));
            }
            return Ok(Self(format!("decimal({p}, {s})")));
        }
        if let Some(length) = inner("fixed[", ']') {
            let length: u32 = length.parse().map_err(|_| wrong())?;
            return Ok(Self(format!("fixed[{length}]")));
        }
        Err(wrong())
    }
}

impl From<Primitive> for String {
    fn from(ty: Primitive) -> Self {
        ty.0
    }
}

impl Primitive {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Without its arguments.
    pub(crate) fn kind(&self) -> &str {
        self.0.split(['(', '[']).next().unwrap_or_default()
    }

    /// The catalog's word, as Iceberg's writers for Glue put it.
    fn hive(&self) -> String {
        match self.kind() {
            "long" => "bigint".to_owned(),
            "time" | "uuid" | "unknown" => "string".to_owned(),
            "timestamptz" | "timestamp_ns" | "timestamptz_ns" => "timestamp".to_owned(),
            "fixed" | "variant" => "binary".to_owned(),
            "decimal" => self.0.replace(' ', ""),
            plain => plain.to_owned(),
        }
    }
}

impl Type {
    /// A type of a column that is declared in Hive's words; what is within it gets the numbers behind `next`. Tables of Iceberg have no
    /// small integers and no bounded texts. Source: Athena User Guide, "Supported data types for Iceberg tables in Athena".
    pub(crate) fn of_hive(text: &str, next: &mut i32) -> Result<Self, Error> {
        let wrong = || bad(format_args!("Type not supported for Iceberg tables: {text}"));
        let text = text.trim();
        let inner = |name: &str| {
            let head = text.get(..name.len())?;
            head.eq_ignore_ascii_case(name).then(|| text[name.len()..].trim().strip_prefix('<')?.strip_suffix('>'))?
        };
        let mut number = || {
            *next += 1;
            *next
        };
        if text.matches('<').count() > MAX_DEPTH {
            return Err(wrong());
        }
        if let Some(element) = inner("array") {
            let element_id = number();
            let element = Self::of_hive(element, next)?.into();
            return Ok(Self::Nested(Nested::List { element_id, element, element_required: false }));
        }
        if let Some(pair) = inner("map") {
            let [key, value] = parted(pair, ',')[..] else { return Err(wrong()) };
            let (key_id, value_id) = (number(), number());
            let (key, value) = (Self::of_hive(key, next)?.into(), Self::of_hive(value, next)?.into());
            return Ok(Self::Nested(Nested::Map { key_id, key, value_id, value, value_required: false }));
        }
        if let Some(members) = inner("struct") {
            let members: Vec<_> = parted(members, ',').into_iter().map(|member| (number(), member)).collect();
            let field = |(id, member): (i32, &str)| {
                let (name, ty) = member.split_once(':').ok_or_else(wrong)?;
                Ok(Field::optional(id, name.trim(), Self::of_hive(ty, next)?))
            };
            let fields = members.into_iter().map(field).collect::<Result<_, Error>>()?;
            return Ok(Self::Nested(Nested::Struct { fields }));
        }
        let name = match text.to_lowercase().as_str() {
            "bigint" => "long".to_owned(),
            "integer" => "int".to_owned(),
            "decimal" => "decimal(10,0)".to_owned(),
            plain @ ("boolean" | "int" | "float" | "double" | "date" | "timestamp" | "string" | "binary") => {
                plain.to_owned()
            }
            decimal if decimal.starts_with("decimal(") => decimal.to_owned(),
            _ => return Err(wrong()),
        };
        Primitive::try_from(name).map(Self::Primitive).map_err(|_| wrong())
    }

    fn hive(&self) -> String {
        match self {
            Self::Primitive(ty) => ty.hive(),
            Self::Nested(Nested::Struct { fields }) => {
                let fields: Vec<_> = fields.iter().map(|field| format!("{}:{}", field.name, field.ty.hive())).collect();
                format!("struct<{}>", fields.join(","))
            }
            Self::Nested(Nested::List { element, .. }) => format!("array<{}>", element.hive()),
            Self::Nested(Nested::Map { key, value, .. }) => format!("map<{},{}>", key.hive(), value.hive()),
        }
    }

    /// The types inside, each with its number.
    fn inner(&self) -> Vec<(i32, &Type)> {
        match self {
            Self::Primitive(_) => Vec::new(),
            Self::Nested(Nested::Struct { fields }) => fields.iter().map(|field| (field.id, &field.ty)).collect(),
            Self::Nested(Nested::List { element_id, element, .. }) => vec![(*element_id, element)],
            Self::Nested(Nested::Map { key_id, key, value_id, value, .. }) => {
                vec![(*key_id, &**key), (*value_id, &**value)]
            }
        }
    }
}

/// What stands between separators that are outside of all brackets.
fn parted(text: &str, separator: char) -> Vec<&str> {
    let (mut all, mut from, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            c if c == separator && depth == 0 => {
                all.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    all.push(&text[from..]);
    all
}

impl Field {
    pub(crate) fn optional(id: i32, name: &str, ty: Type) -> Self {
        let (doc, initial_default, write_default) = (None, None, None);
        Self { id, name: name.to_owned(), required: false, ty, doc, initial_default, write_default }
    }
}

impl Schema {
    /// Of columns as the catalog has them.
    pub(crate) fn of_columns(columns: &[Column]) -> Result<Self, Error> {
        let mut next = i32::try_from(columns.len()).map_err(Error::internal)?;
        let field = |(id, column): (i32, &Column)| {
            let ty = Type::of_hive(column.r#type.as_deref().unwrap_or("string"), &mut next)?;
            Ok(Field { doc: column.comment.clone(), ..Field::optional(id, &column.name, ty) })
        };
        let fields = (1..).zip(columns).map(field).collect::<Result<_, Error>>()?;
        Ok(Self { kind: of_struct(), id: 0, identifier_field_ids: Vec::new(), fields })
    }

    /// The same columns, whatever the number.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.fields == other.fields && self.identifier_field_ids == other.identifier_field_ids
    }

    /// The highest number of a field at any depth.
    pub(crate) fn highest(&self) -> i32 {
        fn of(ty: &Type) -> i32 {
            ty.inner().into_iter().map(|(id, ty)| id.max(of(ty))).max().unwrap_or(0)
        }
        self.fields.iter().map(|field| field.id.max(of(&field.ty))).max().unwrap_or(0)
    }

    /// A value's type by the number of its field, where it is not within a list or map.
    pub(crate) fn primitive(&self, id: i32) -> Option<&Primitive> {
        fn within(fields: &[Field], id: i32) -> Option<&Primitive> {
            fields.iter().find_map(|field| match &field.ty {
                Type::Primitive(ty) => (field.id == id).then_some(ty),
                Type::Nested(Nested::Struct { fields }) => within(fields, id),
                Type::Nested(_) => None,
            })
        }
        within(&self.fields, id)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Numbers and names must be told apart, what is an identifier must be there, and types must be known to the format version.
    pub(crate) fn check(&self, version: u8) -> Result<(), Error> {
        if self.kind != "struct" {
            return Err(bad(format_args!("Cannot parse schema of type {}: a schema is a struct", self.kind)));
        }
        let mut seen = BTreeSet::new();
        check_fields(&self.fields, version, &mut seen, 0)?;
        match self.identifier_field_ids.iter().find(|id| self.primitive(**id).is_none()) {
            Some(id) => Err(bad(format_args!("Cannot add field {id} as an identifier field: not a primitive field"))),
            None => Ok(()),
        }
    }

    /// The same columns with numbers from 1 on: those of a structure first, then those within it. Answers which number became which.
    pub(crate) fn renumbered(&self) -> (Self, BTreeMap<i32, i32>) {
        let mut numbers = Numbers::default();
        let fields = numbers.fields(&self.fields);
        let ids = self.identifier_field_ids.iter().filter_map(|id| numbers.became.get(id).copied()).collect();
        (Self { kind: of_struct(), id: 0, identifier_field_ids: ids, fields }, numbers.became)
    }

    /// The catalog's columns, as Iceberg's writers for Glue describe them.
    pub(crate) fn columns(&self, current: bool) -> Vec<Column> {
        let column = |field: &Field| {
            let parameters = [
                ("iceberg.field.id", field.id.to_string()),
                ("iceberg.field.optional", (!field.required).to_string()),
                ("iceberg.field.current", current.to_string()),
            ];
            Column {
                name: field.name.to_lowercase(),
                r#type: Some(field.ty.hive()),
                comment: field.doc.clone(),
                parameters: Some(parameters.map(|(key, value)| (key.to_owned(), value)).into()),
            }
        };
        self.fields.iter().map(column).collect()
    }
}

fn check_fields(fields: &[Field], version: u8, seen: &mut BTreeSet<i32>, depth: usize) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for field in fields {
        if field.name.is_empty() || !names.insert(field.name.to_lowercase()) {
            return Err(bad(format_args!("Invalid schema: multiple fields for name {}", field.name)));
        }
        if version < 3 && field.initial_default.as_ref().is_some_and(|value| !value.is_null()) {
            return Err(bad(format_args!(
                "Invalid schema for v{version}: {} has an initial default, which is not supported until v3",
                field.name
            )));
        }
        check_number(field.id, seen)?;
        check_type(&field.ty, &field.name, version, seen, depth + 1)?;
    }
    Ok(())
}

fn check_number(id: i32, seen: &mut BTreeSet<i32>) -> Result<(), Error> {
    if seen.insert(id) { Ok(()) } else { Err(bad(format_args!("Invalid schema: multiple fields with id {id}"))) }
}

fn check_type(ty: &Type, name: &str, version: u8, seen: &mut BTreeSet<i32>, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(bad(format_args!("Invalid schema: {name} is nested deeper than {MAX_DEPTH} levels")));
    }
    match ty {
        Type::Primitive(ty) if version < 3 && OF_VERSION_3.contains(&ty.kind()) => Err(bad(format_args!(
            "Invalid schema for v{version}: Invalid type for {name}: {} is not supported until v3",
            ty.name()
        ))),
        Type::Primitive(_) => Ok(()),
        Type::Nested(Nested::Struct { fields }) => check_fields(fields, version, seen, depth),
        Type::Nested(_) => ty.inner().into_iter().try_for_each(|(id, inner)| {
            check_number(id, seen)?;
            check_type(inner, name, version, seen, depth + 1)
        }),
    }
}

#[derive(Default)]
struct Numbers {
    last: i32,
    became: BTreeMap<i32, i32>,
}

impl Numbers {
    fn next(&mut self, was: i32) -> i32 {
        self.last += 1;
        self.became.insert(was, self.last);
        self.last
    }

    fn fields(&mut self, fields: &[Field]) -> Vec<Field> {
        let ids: Vec<i32> = fields.iter().map(|field| self.next(field.id)).collect();
        fields.iter().zip(ids).map(|(field, id)| Field { id, ty: self.ty(&field.ty), ..field.clone() }).collect()
    }

    fn ty(&mut self, ty: &Type) -> Type {
        let Type::Nested(nested) = ty else { return ty.clone() };
        Type::Nested(match nested {
            Nested::Struct { fields } => Nested::Struct { fields: self.fields(fields) },
            Nested::List { element_id, element, element_required } => {
                let element_id = self.next(*element_id);
                Nested::List { element_id, element: self.ty(element).into(), element_required: *element_required }
            }
            Nested::Map { key_id, key, value_id, value, value_required } => {
                let (key_id, value_id) = (self.next(*key_id), self.next(*value_id));
                let (key, value) = (self.ty(key).into(), self.ty(value).into());
                Nested::Map { key_id, key, value_id, value, value_required: *value_required }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use api_glue::Column;
    use serde_json::json;

    use super::Schema;

    fn schema(fields: &serde_json::Value) -> Result<Schema, serde_json::Error> {
        serde_json::from_value(json!({ "type": "struct", "schema-id": 0, "fields": fields }))
    }

    #[test]
    fn columns_have_the_catalogs_types() {
        let fields = json!([
            { "id": 7, "name": "Id", "required": true, "type": "long", "doc": "the key" },
            { "id": 9, "name": "price", "required": false, "type": "decimal(9,2)" },
            { "id": 3, "name": "tags", "required": false, "type":
                { "type": "list", "element-id": 5, "element": "string", "element-required": false } },
            { "id": 4, "name": "at", "required": false, "type": { "type": "struct", "fields": [
                { "id": 6, "name": "x", "required": false, "type": "timestamptz" }] } },
        ]);
        let schema = schema(&fields).unwrap();
        schema.check(2).unwrap();
        let types: Vec<_> = schema.columns(true).into_iter().map(|c| (c.name, c.r#type.unwrap())).collect();
        let want =
            [("id", "bigint"), ("price", "decimal(9,2)"), ("tags", "array<string>"), ("at", "struct<x:timestamp>")];
        assert_eq!(types, want.map(|(name, ty)| (name.to_owned(), ty.to_owned())));
        let (fresh, became) = schema.renumbered();
        assert_eq!(fresh.fields.iter().map(|field| field.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!((became[&5], became[&6], fresh.highest()), (5, 6, 6));
    }

    #[test]
    fn types_go_round() {
        for text in [
            "bigint",
            "decimal(9,2)",
            "array<map<string,struct<a:int,b:array<date>>>>",
            "struct<x:decimal(3,1),y:binary>",
        ] {
            let column = Column { name: "c".to_owned(), r#type: Some(text.to_owned()), ..Column::default() };
            let schema = Schema::of_columns(&[column]).unwrap();
            schema.check(2).unwrap();
            assert_eq!(schema.columns(true)[0].r#type.as_deref(), Some(text));
        }
        for text in ["tinyint", "varchar(3)", "array<>", "map<int>", "struct<a>", "array<int", "decimal(50,2)", ""] {
            let column = Column { name: "c".to_owned(), r#type: Some(text.to_owned()), ..Column::default() };
            assert!(Schema::of_columns(&[column]).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let field = |id: i32, name: &str, ty: &str| json!({ "id": id, "name": name, "required": false, "type": ty });
        for (fields, version) in [
            (json!([field(1, "a", "int"), field(1, "b", "int")]), 2),
            (json!([field(1, "a", "int"), field(2, "A", "int")]), 2),
            (json!([field(1, "a", "variant")]), 2),
        ] {
            assert!(schema(&fields).unwrap().check(version).is_err(), "{fields}");
        }
        for ty in ["varchar", "decimal(40, 2)", "decimal(2, 3)", "fixed[x]", ""] {
            assert!(schema(&json!([field(1, "a", ty)])).is_err(), "{ty}");
        }
    }
}
