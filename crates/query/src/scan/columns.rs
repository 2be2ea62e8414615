//! A Parquet file's columns as its table declares them: found by name without regard to case (or by position), in the
//! table's types; a column that the file lacks is null.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use datafusion::physical_plan::PhysicalExpr;

use super::conform::Conform;
use crate::error::Error;

/// Adapts expressions over a table to one of its files.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) by_index: bool,
}

#[derive(Debug)]
struct Adapter {
    table: SchemaRef,
    file: SchemaRef,
    by_index: bool,
}

impl PhysicalExprAdapterFactory for Columns {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        Ok(Arc::new(Adapter { table: logical, file: physical, by_index: self.by_index }))
    }
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
            let Ok(at) = self.table.index_of(column.name()) else { return Ok(Transformed::no(expr)) };
            Ok(Transformed::yes(self.column(at)?))
        })
        .data()
    }
}

impl Adapter {
    fn column(&self, at: usize) -> Result<Arc<dyn PhysicalExpr>> {
        let field = self.table.field(at);
        let Some(place) = place(field, at, &self.file, self.by_index) else {
            return Ok(Arc::new(Literal::new(ScalarValue::try_from(field.data_type())?)));
        };
        let found = self.file.field(place);
        Ok(read_as(found, place, conform(found, field)?, field))
    }
}

/// A column at its place in a file, made the table's.
pub(crate) fn read_as(found: &Field, place: usize, how: Conform, field: &Field) -> Arc<dyn PhysicalExpr> {
    let column = Arc::new(Column::new(found.name(), place)) as Arc<dyn PhysicalExpr>;
    match how {
        Conform::Same => column,
        // Statistics of the file are of use through a plain cast.
        Conform::Cast(ty) if !ty.is_nested() => Arc::new(CastExpr::new(column, ty, None)),
        how => Arc::new(ConformExpr { column, how, field: Arc::new(field.clone()) }),
    }
}

/// Where a table's column is in a file.
pub(crate) fn place(field: &Field, at: usize, file: &Schema, by_index: bool) -> Option<usize> {
    if by_index {
        return (at < file.fields().len()).then_some(at);
    }
    let name = field.name().to_lowercase();
    let fields = file.fields();
    fields
        .iter()
        .position(|other| *other.name() == name)
        .or_else(|| fields.iter().position(|other| other.name().to_lowercase() == name))
}

pub(crate) fn conform(found: &Field, field: &Field) -> Result<Conform, Error> {
    Conform::of(found.data_type(), field).ok_or_else(|| {
        Error::bad_data(format_args!(
            "Field {}'s type {} in parquet is incompatible with type {} defined in table schema",
            field.name(),
            parquet_type(found.data_type()),
            crate::types::trino_type(field)
        ))
    })
}

fn parquet_type(ty: &DataType) -> &'static str {
    match ty {
        DataType::Boolean => "BOOLEAN",
        DataType::Int64 | DataType::UInt64 | DataType::Timestamp(..) | DataType::Time64(_) => "INT64",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::FixedSizeBinary(_) | DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Float16 => {
            "FIXED_LEN_BYTE_ARRAY"
        }
        DataType::Dictionary(_, value) => parquet_type(value),
        ty if ty.is_integer() || matches!(ty, DataType::Date32 | DataType::Time32(_)) => "INT32",
        DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) | DataType::Struct(_) => "GROUP",
        _ => "BINARY",
    }
}

/// A file's column made the table's.
#[derive(Debug, Clone, Eq)]
struct ConformExpr {
    column: Arc<dyn PhysicalExpr>,
    how: Conform,
    field: FieldRef,
}

impl Hash for ConformExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.how.hash(state);
        self.field.hash(state);
    }
}

impl PartialEq for ConformExpr {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.how == other.how && self.field == other.field
    }
}

impl fmt::Display for ConformExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.column)
    }
}

impl PhysicalExpr for ConformExpr {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(self.how.apply(&array)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let column = children.pop().ok_or_else(|| Error::internal("a column without its source"))?;
        Ok(Arc::new(Self { column, ..self.as_ref().clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}
