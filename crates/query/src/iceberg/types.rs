//! Iceberg's types: their JSON in metadata, and the same in the catalog's words (Hive), in queries and in data files
//! (Arrow). <https://iceberg.apache.org/spec/#schemas-and-data-types>

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde::{Deserialize, Serialize};
use trino_functions::Type as Trino;

use crate::catalog::Column;
use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Type {
    Primitive(Primitive),
    Nested(Nested),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Primitive {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Decimal(u8, u8),
    Date,
    Time,
    Timestamp,
    Timestamptz,
    String,
    Uuid,
    Fixed(i32),
    Binary,
    /// A type of a later format version, by its name.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Nested {
    Struct {
        fields: Vec<Field>,
    },
    #[serde(rename_all = "kebab-case")]
    List {
        element_id: i32,
        element: Box<Type>,
        element_required: bool,
    },
    #[serde(rename_all = "kebab-case")]
    Map {
        key_id: i32,
        key: Box<Type>,
        value_id: i32,
        value: Box<Type>,
        value_required: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(crate) initial_default: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) write_default: Option<serde_json::Value>,
}

impl Field {
    pub(crate) fn optional(id: i32, name: &str, ty: Type) -> Self {
        Self { id, name: name.to_owned(), required: false, ty, doc: None, initial_default: None, write_default: None }
    }

    fn named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Schema {
    #[serde(rename = "type", default = "struct_word")]
    pub(crate) kind: String,
    #[serde(default, rename = "schema-id")]
    pub(crate) id: i32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) identifier_field_ids: Vec<i32>,
    pub(crate) fields: Vec<Field>,
}

fn struct_word() -> String {
    "struct".to_owned()
}

impl Schema {
    pub(crate) fn new(id: i32, fields: Vec<Field>) -> Self {
        Self { kind: struct_word(), id, identifier_field_ids: Vec::new(), fields }
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.named(name))
    }

    pub(crate) fn field(&self, id: i32) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// A field at any depth that holds a value of its own.
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

    /// How queries see the columns.
    pub(crate) fn exposed(&self) -> Result<SchemaRef> {
        let fields = self.fields.iter().map(|field| exposed_field(field, &field.name.to_lowercase()));
        Ok(Arc::new(ArrowSchema::new(fields.collect::<Result<Vec<_>>>()?)))
    }

    /// How data files hold the columns: each with the number of its field.
    pub(crate) fn stored(&self) -> Result<SchemaRef> {
        let fields = self.fields.iter().map(|field| stored_field(field.id, &field.name, &field.ty, field.required));
        Ok(Arc::new(ArrowSchema::new(fields.collect::<Result<Vec<_>>>()?)))
    }
}

impl TryFrom<String> for Primitive {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        let arguments = |name: &str| text.strip_prefix(name)?.trim().strip_suffix(end_of(name));
        Ok(match text.as_str() {
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::Timestamptz,
            "string" => Self::String,
            "uuid" => Self::Uuid,
            "binary" => Self::Binary,
            _ => {
                let wrong = |_| format!("'{text}' is no type");
                if let Some(inner) = arguments("decimal(") {
                    let (p, s) = inner.split_once(',').ok_or_else(|| format!("'{text}' is no type"))?;
                    Self::Decimal(p.trim().parse().map_err(wrong)?, s.trim().parse().map_err(wrong)?)
                } else if let Some(inner) = arguments("fixed[") {
                    Self::Fixed(inner.trim().parse().map_err(wrong)?)
                } else {
                    Self::Other(text)
                }
            }
        })
    }
}

fn end_of(opening: &str) -> char {
    if opening.ends_with('(') { ')' } else { ']' }
}

impl From<Primitive> for String {
    fn from(ty: Primitive) -> Self {
        ty.to_string()
    }
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::String => "string",
            Self::Uuid => "uuid",
            Self::Binary => "binary",
            // As Iceberg's own writers put it.
            Self::Decimal(p, s) => return write!(f, "decimal({p}, {s})"),
            Self::Fixed(n) => return write!(f, "fixed[{n}]"),
            Self::Other(name) => name,
        })
    }
}

impl Primitive {
    /// As partitions, bounds and data files hold a value.
    pub(crate) fn arrow(&self) -> Result<DataType> {
        Ok(match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(p, s) => DataType::Decimal128(*p, i8::try_from(*s).map_err(Error::internal)?),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::String => DataType::Utf8,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Fixed(length) => DataType::FixedSizeBinary(*length),
            Self::Binary => DataType::Binary,
            Self::Other(name) => return Err(Error::not_supported(format_args!("Iceberg's type {name}"))),
        })
    }

    fn exposed(&self) -> Result<DataType> {
        Ok(match self {
            Self::Timestamptz => Trino::TimestampTz(6).data_type(),
            Self::Fixed(_) => DataType::Binary,
            other => other.arrow()?,
        })
    }
}

fn exposed_field(field: &Field, name: &str) -> Result<ArrowField> {
    Ok(ArrowField::new(name, exposed_type(&field.ty)?, true))
}

fn exposed_type(ty: &Type) -> Result<DataType> {
    Ok(match ty {
        Type::Primitive(ty) => ty.exposed()?,
        Type::Nested(Nested::Struct { fields }) => DataType::Struct(
            fields.iter().map(|field| exposed_field(field, &field.name.to_lowercase())).collect::<Result<_>>()?,
        ),
        Type::Nested(Nested::List { element, .. }) => {
            DataType::List(Arc::new(ArrowField::new("item", exposed_type(element)?, true)))
        }
        Type::Nested(Nested::Map { key, value, .. }) => {
            let key = ArrowField::new("key", exposed_type(key)?, false);
            let value = ArrowField::new("value", exposed_type(value)?, true);
            DataType::Map(
                Arc::new(ArrowField::new("entries", DataType::Struct(Fields::from(vec![key, value])), false)),
                false,
            )
        }
    })
}

fn stored_field(id: i32, name: &str, ty: &Type, required: bool) -> Result<ArrowField> {
    let ty = match ty {
        Type::Primitive(ty) => ty.arrow()?,
        Type::Nested(Nested::Struct { fields }) => DataType::Struct(
            fields
                .iter()
                .map(|field| stored_field(field.id, &field.name, &field.ty, field.required))
                .collect::<Result<_>>()?,
        ),
        Type::Nested(Nested::List { element_id, element, element_required }) => {
            DataType::List(Arc::new(stored_field(*element_id, "element", element, *element_required)?))
        }
        Type::Nested(Nested::Map { key_id, key, value_id, value, value_required }) => {
            let key = stored_field(*key_id, "key", key, true)?;
            let value = stored_field(*value_id, "value", value, *value_required)?;
            DataType::Map(
                Arc::new(ArrowField::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false)),
                false,
            )
        }
    };
    let id = [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())];
    Ok(ArrowField::new(name, ty, !required).with_metadata(id.into()))
}

/// A query's column as a data file holds it.
pub(crate) fn store(array: &ArrayRef, to: &ArrowField) -> Result<ArrayRef> {
    let internal = Error::internal;
    Ok(match (array.data_type(), to.data_type()) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let row = array.as_struct();
            let columns = fields.iter().zip(row.columns()).map(|(field, column)| store(column, field));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            Arc::new(
                StructArray::try_new_with_length(fields.clone(), columns, row.nulls().cloned(), row.len())
                    .map_err(internal)?,
            )
        }
        (DataType::Struct(_), DataType::Timestamp(..)) => {
            let row = array.as_struct();
            let instant = cast(row.column(0), &DataType::Timestamp(TimeUnit::Microsecond, None)).map_err(internal)?;
            let nulls = datafusion::arrow::buffer::NullBuffer::union(instant.nulls(), row.nulls());
            let data = instant.to_data().into_builder().nulls(nulls).build().map_err(internal)?;
            cast(&datafusion::arrow::array::make_array(data), to.data_type()).map_err(internal)?
        }
        (DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            let items = store(list.values(), field)?;
            Arc::new(
                ListArray::try_new(Arc::clone(field), list.offsets().clone(), items, list.nulls().cloned())
                    .map_err(internal)?,
            )
        }
        (DataType::Map(..), DataType::Map(entries, _)) => {
            let map = array.as_map();
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(Error::internal("a map without entries"));
            };
            let columns = vec![store(map.keys(), &pair[0])?, store(map.values(), &pair[1])?];
            let pairs = StructArray::try_new(pair.clone(), columns, None).map_err(internal)?;
            Arc::new(
                MapArray::try_new(Arc::clone(entries), map.offsets().clone(), pairs, map.nulls().cloned(), false)
                    .map_err(internal)?,
            )
        }
        (_, to) => cast(array, to).map_err(internal)?,
    })
}

fn unsupported(ty: impl fmt::Display) -> Error {
    Error::not_supported(format_args!("Type not supported for Iceberg: {ty}"))
}

/// The Iceberg type of a query's column; `next` is the highest number of a field so far.
pub(crate) fn of_arrow(ty: &DataType, next: &mut i32) -> Result<Type> {
    let mut id = || {
        *next += 1;
        *next
    };
    Ok(match ty {
        DataType::List(item) => {
            let element_id = id();
            let element = Box::new(of_arrow(item.data_type(), next)?);
            Type::Nested(Nested::List { element_id, element, element_required: false })
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return Err(unsupported("map")) };
            let [key, value] = fields.iter().as_slice() else { return Err(unsupported("map")) };
            let (key_id, value_id) = (id(), id());
            let key = Box::new(of_arrow(key.data_type(), next)?);
            let value = Box::new(of_arrow(value.data_type(), next)?);
            Type::Nested(Nested::Map { key_id, key, value_id, value, value_required: false })
        }
        DataType::Struct(fields) if !fields.first().is_some_and(|field| field.name().starts_with('$')) => {
            let ids: Vec<i32> = fields.iter().map(|_| id()).collect();
            let fields = fields.iter().zip(ids);
            let fields =
                fields.map(|(field, id)| Ok(Field::optional(id, field.name(), of_arrow(field.data_type(), next)?)));
            Type::Nested(Nested::Struct { fields: fields.collect::<Result<_>>()? })
        }
        ty => Type::Primitive(match Trino::of_data_type(ty) {
            Trino::Boolean => Primitive::Boolean,
            Trino::Tinyint | Trino::Smallint | Trino::Integer => Primitive::Int,
            Trino::Bigint => Primitive::Long,
            Trino::Real => Primitive::Float,
            Trino::Double => Primitive::Double,
            Trino::Decimal(p, s) => Primitive::Decimal(p, s),
            Trino::Date => Primitive::Date,
            Trino::Time(_) => Primitive::Time,
            Trino::Timestamp(_) => Primitive::Timestamp,
            Trino::TimestampTz(_) => Primitive::Timestamptz,
            Trino::Varchar(_) | Trino::Char(_) => Primitive::String,
            Trino::Uuid => Primitive::Uuid,
            Trino::Varbinary => Primitive::Binary,
            other => return Err(unsupported(other)),
        }),
    })
}

/// The field of a column that a statement declares in Hive's words.
pub(crate) fn of_column(column: &Column, id: i32, next: &mut i32) -> Result<Field> {
    let ty = match column.ty.as_str() {
        // Athena's guide lists what an Iceberg table may have: neither of these is there.
        ty if ["tinyint", "smallint", "char", "varchar"].contains(&ty)
            || ty.starts_with("char(")
            || ty.starts_with("varchar(") =>
        {
            return Err(unsupported(ty));
        }
        ty => of_arrow(crate::types::parse_hive_field(&column.name, ty)?.data_type(), next)?,
    };
    Ok(Field { doc: column.comment.clone(), ..Field::optional(id, &column.name, ty) })
}

/// A type in the catalog's words.
pub(crate) fn hive(ty: &Type) -> String {
    match ty {
        Type::Primitive(ty) => match ty {
            Primitive::Long => "bigint".to_owned(),
            Primitive::Decimal(p, s) => format!("decimal({p},{s})"),
            Primitive::Time | Primitive::Uuid => "string".to_owned(),
            Primitive::Timestamptz => "timestamp".to_owned(),
            Primitive::Fixed(_) => "binary".to_owned(),
            other => other.to_string(),
        },
        Type::Nested(Nested::Struct { fields }) => {
            let fields: Vec<_> = fields.iter().map(|field| format!("{}:{}", field.name, hive(&field.ty))).collect();
            format!("struct<{}>", fields.join(","))
        }
        Type::Nested(Nested::List { element, .. }) => format!("array<{}>", hive(element)),
        Type::Nested(Nested::Map { key, value, .. }) => format!("map<{},{}>", hive(key), hive(value)),
    }
}

/// One column of the catalog's table, as Iceberg's writers for Glue describe it.
pub(crate) fn catalog_column(field: &Field, current: bool) -> Column {
    Column {
        name: field.name.to_lowercase(),
        ty: hive(&field.ty),
        comment: field.doc.clone(),
        parameters: BTreeMap::from([
            ("iceberg.field.id".to_owned(), field.id.to_string()),
            ("iceberg.field.optional".to_owned(), (!field.required).to_string()),
            ("iceberg.field.current".to_owned(), current.to_string()),
        ]),
    }
}

/// What Iceberg lets a column become.
pub(crate) fn promotes(from: &Type, to: &Type) -> bool {
    use Primitive as P;
    match (from, to) {
        (from, to) if from == to => true,
        (Type::Primitive(P::Int), Type::Primitive(P::Long))
        | (Type::Primitive(P::Float), Type::Primitive(P::Double)) => true,
        (Type::Primitive(P::Decimal(old, a)), Type::Primitive(P::Decimal(new, b))) => a == b && new >= old,
        _ => false,
    }
}

/// A file's type with the names that the table has for its members, found by their numbers. Members that the table lacks
/// get a name that nothing has.
pub(crate) fn renamed(found: &DataType, ty: &Type) -> DataType {
    let rename = |field: &ArrowField, id: i32, name: &str, ty: &Type| -> Option<ArrowField> {
        let own = field.metadata().get(PARQUET_FIELD_ID_META_KEY)?;
        (*own == id.to_string()).then(|| ArrowField::new(name, renamed(field.data_type(), ty), field.is_nullable()))
    };
    match (found, ty) {
        (DataType::Struct(members), Type::Nested(Nested::Struct { fields })) => {
            if !members.iter().any(|member| member.metadata().contains_key(PARQUET_FIELD_ID_META_KEY)) {
                return found.clone();
            }
            let members = members.iter().enumerate().map(|(at, member)| {
                fields
                    .iter()
                    .find_map(|field| rename(member, field.id, &field.name.to_lowercase(), &field.ty))
                    .unwrap_or_else(|| member.as_ref().clone().with_name(format!("\u{0}{at}")))
            });
            DataType::Struct(members.collect())
        }
        (DataType::List(item), Type::Nested(Nested::List { element, .. })) => {
            let inner = renamed(item.data_type(), element);
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(inner)))
        }
        (DataType::Map(entries, sorted), Type::Nested(Nested::Map { key, value, .. })) => {
            let DataType::Struct(pair) = entries.data_type() else { return found.clone() };
            let inner = |field: &ArrowField, ty: &Type| field.clone().with_data_type(renamed(field.data_type(), ty));
            let pair = DataType::Struct(Fields::from(vec![inner(&pair[0], key), inner(&pair[1], value)]));
            DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(pair)), *sorted)
        }
        _ => found.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_round() {
        for text in [
            "boolean",
            "int",
            "bigint",
            "float",
            "double",
            "decimal(9,2)",
            "date",
            "timestamp",
            "string",
            "binary",
            "array<int>",
            "map<string,double>",
            "struct<a:int,b:array<struct<c:string>>>",
        ] {
            let field = of_column(&Column::new("x", text), 1, &mut 1).unwrap();
            assert_eq!(hive(&field.ty), text);
            let json = serde_json::to_string(&field).unwrap();
            assert_eq!(serde_json::from_str::<Field>(&json).unwrap(), field, "{json}");
            Schema::new(0, vec![field]).exposed().unwrap();
        }
        for text in ["tinyint", "smallint", "char(3)", "varchar(3)"] {
            assert!(of_column(&Column::new("x", text), 1, &mut 1).is_err(), "{text}");
        }
    }

    #[test]
    fn json_is_that_of_the_specification() {
        let column = Column::new("x", "map<string,decimal(9,2)>");
        let field = of_column(&column, 1, &mut 1).unwrap();
        assert_eq!(
            serde_json::to_string(&field).unwrap(),
            r#"{"id":1,"name":"x","required":false,"type":{"type":"map","key-id":2,"key":"string","value-id":3,"value":"decimal(9, 2)","value-required":false}}"#
        );
    }
}
