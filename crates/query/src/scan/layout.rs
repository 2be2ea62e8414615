//! How the files of one partition are read, and what of it becomes the table's columns. A partition has columns and a
//! SerDe of its own, as it was when it was made; where they differ from the table's, Hive's rules say what can be read.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::format::Format;
use crate::catalog::{StorageDescriptor, Table};
use crate::error::{Error, Result};
use crate::types::{hive_type, parse_hive_field};
use crate::value::write_value;

#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    /// Columns as the partition declares them.
    pub(crate) schema: SchemaRef,
    /// For each column of the table: where it is among the partition's, if it is.
    pub(crate) places: Vec<Option<usize>>,
    /// The files are lists of files.
    pub(crate) symlink: bool,
}

impl Layout {
    /// The table's own.
    pub(crate) fn of_table(table: &Table) -> Result<Self> {
        let schema = schema_of(table.columns())?;
        let places = (0..schema.fields().len()).map(Some).collect();
        let symlink = table.storage_descriptor.as_ref().is_some_and(super::format::is_symlink);
        Ok(Self { format: Format::of(table)?, schema: Arc::new(schema), places, symlink })
    }

    /// A partition's, which is refused where a column of it cannot become the table's. `partition` is its name.
    pub(crate) fn of_partition(
        table: &Table,
        own: &Self,
        database: &str,
        storage: &StorageDescriptor,
        partition: &str,
    ) -> Result<Self> {
        let format = Format::of_storage(table, storage)?;
        // A partition that declares no columns has the table's.
        let schema =
            if storage.columns.is_empty() { own.schema.as_ref().clone() } else { schema_of(&storage.columns)? };
        let by_name = match &format {
            Format::Parquet { by_index } | Format::Orc { by_index } => !by_index,
            Format::Avro(_) => true,
            Format::Text(_) => false,
        };
        let mut places = Vec::with_capacity(own.schema.fields().len());
        for (at, field) in own.schema.fields().iter().enumerate() {
            let place = if by_name {
                schema.fields().iter().position(|other| other.name() == field.name())
            } else {
                (at < schema.fields().len()).then_some(at)
            };
            if let Some(other) = place.map(|place| schema.field(place))
                && hive_type(other) != hive_type(field)
                && !coerces(other.data_type(), field.data_type())
            {
                return Err(Error::user(
                    1104,
                    "HIVE_PARTITION_SCHEMA_MISMATCH",
                    format_args!(
                        "There is a mismatch between the table and partition schemas. The types are incompatible and \
                         cannot be coerced. The column '{}' in table '{database}.{}' is declared as type '{}', but \
                         partition '{partition}' declared column '{}' as type '{}'.",
                        field.name(),
                        table.name,
                        hive_type(field),
                        other.name(),
                        hive_type(other)
                    ),
                ));
            }
            places.push(place);
        }
        Ok(Self { format, schema: Arc::new(schema), places, symlink: super::format::is_symlink(storage) })
    }
}

fn schema_of(columns: &[crate::catalog::Column]) -> Result<Schema> {
    let fields = columns.iter().map(|column| parse_hive_field(&column.name.to_lowercase(), &column.ty));
    Ok(Schema::new(fields.collect::<Result<Vec<Field>>>()?))
}

/// Whether Trino's Hive connector makes the table's type of a partition's.
fn coerces(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let decimal = |ty: &T| matches!(ty, T::Decimal128(..));
    match (from, to) {
        (from, to) if from == to => true,
        (T::Utf8, to) => {
            matches!(to, T::Boolean | T::Float32 | T::Float64 | T::Date32 | T::Timestamp(..) | T::Utf8)
                || to.is_integer()
        }
        (from, T::Utf8) => !from.is_nested(),
        (T::Timestamp(..), T::Date32) => true,
        (from, to) if from.is_integer() => {
            (to.is_integer() && to.primitive_width() > from.primitive_width()) || *to == T::Float64 || decimal(to)
        }
        (T::Float32, to) => *to == T::Float64,
        (T::Float64, to) => *to == T::Float32 || decimal(to),
        (from, to) if decimal(from) => decimal(to) || to.is_integer() || matches!(to, T::Float32 | T::Float64),
        (T::List(a), T::List(b)) => coerces(a.data_type(), b.data_type()),
        (T::Map(a, _), T::Map(b, _)) => match (a.data_type(), b.data_type()) {
            (T::Struct(a), T::Struct(b)) => a.iter().zip(b).all(|(a, b)| coerces(a.data_type(), b.data_type())),
            _ => false,
        },
        // Fields may come or go at the end only.
        (T::Struct(a), T::Struct(b)) => a
            .iter()
            .zip(b)
            .all(|(a, b)| a.name().eq_ignore_ascii_case(b.name()) && coerces(a.data_type(), b.data_type())),
        _ => false,
    }
}

/// A partition's column in the table's type.
pub(crate) fn coerce(array: &ArrayRef, to: &Field) -> Result<ArrayRef> {
    if array.data_type() == to.data_type() {
        return Ok(Arc::clone(array));
    }
    if *to.data_type() == DataType::Utf8 {
        let mut out = StringBuilder::with_capacity(array.len(), array.len() * 8);
        let mut text = String::new();
        for row in 0..array.len() {
            text.clear();
            out.append_option(write_value(array.as_ref(), row, &mut text).then_some(text.as_str()));
        }
        return Ok(Arc::new(out.finish()));
    }
    cast(array, to.data_type()).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_coerce_as_in_trino() {
        let check = |from: &str, to: &str| {
            let ty = |text| parse_hive_field("x", text).unwrap().data_type().clone();
            coerces(&ty(from), &ty(to))
        };
        for (from, to) in [
            ("int", "bigint"),
            ("int", "string"),
            ("string", "int"),
            ("float", "double"),
            ("struct<a:int>", "struct<a:bigint,b:string>"),
            ("array<int>", "array<bigint>"),
        ] {
            assert!(check(from, to), "{from} {to}");
        }
        for (from, to) in
            [("array<int>", "string"), ("bigint", "int"), ("boolean", "int"), ("struct<b:int>", "struct<a:int,b:int>")]
        {
            assert!(!check(from, to), "{from} {to}");
        }
    }
}
