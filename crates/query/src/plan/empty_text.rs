//! `x = ''` and `x <> ''` by the lengths of the texts.
//!
//! The kernel compares bytes, of an empty text none. Its address is then that of nothing, and the C library's comparison for
//! AVX-512 (glibc 2.36) reads there under a mask: the processor takes some 70 ns to find out that it need not, for each row.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_plan::PhysicalExpr;

/// A condition, its comparisons of text columns with the empty text replaced.
pub(super) fn by_length(condition: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    condition
        .transform_up(|expr| {
            let Some(comparison) = expr.downcast_ref::<BinaryExpr>() else { return Ok(Transformed::no(expr)) };
            let empty = match comparison.op() {
                Operator::Eq => true,
                Operator::NotEq => false,
                _ => return Ok(Transformed::no(expr)),
            };
            let of = |text: &Arc<dyn PhysicalExpr>, other: &Arc<dyn PhysicalExpr>| {
                let literal = other.downcast_ref::<Literal>()?;
                let is_text = text.downcast_ref::<Column>().is_some() && text.data_type(schema).ok()? == DataType::Utf8;
                (is_text && *literal.value() == ScalarValue::Utf8(Some(String::new()))).then(|| Arc::clone(text))
            };
            let (left, right) = (comparison.left(), comparison.right());
            let Some(text) = of(left, right).or_else(|| of(right, left)) else { return Ok(Transformed::no(expr)) };
            Ok(Transformed::yes(Arc::new(Empty { text, empty }) as Arc<dyn PhysicalExpr>))
        })
        .data()
}

/// Whether a text is empty, or is not.
#[derive(Debug, Clone, Eq)]
pub(super) struct Empty {
    text: Arc<dyn PhysicalExpr>,
    empty: bool,
}

impl Empty {
    pub(super) fn text(&self) -> &Arc<dyn PhysicalExpr> {
        &self.text
    }
}

impl PartialEq for Empty {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq(&other.text) && self.empty == other.empty
    }
}

impl Hash for Empty {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
        self.empty.hash(state);
    }
}

impl fmt::Display for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.text, if self.empty { "=" } else { "!=" })
    }
}

impl PhysicalExpr for Empty {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.text.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let text = self.text.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(text) = text.as_string_opt::<i32>() else {
            return internal_err!("a text of type {}", text.data_type());
        };
        let offsets = text.value_offsets();
        let values = BooleanBuffer::collect_bool(text.len(), |row| (offsets[row] == offsets[row + 1]) == self.empty);
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(values, text.nulls().cloned()))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.text]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(text) = children.pop() else { return internal_err!("no text") };
        Ok(Arc::new(Self { text, empty: self.empty }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt_sql(f)?;
        write!(f, " {} ''", if self.empty { "=" } else { "<>" })
    }
}
