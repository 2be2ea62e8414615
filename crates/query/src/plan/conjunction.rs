//! Filters of several conditions: what is cheap to look at comes first, and what is dear sees only the rows that are left.
//!
//! DataFusion evaluates conditions in the order of the text; from the one on that leaves few rows, it copies all columns of
//! those rows anew for each further condition. Here a condition is given the columns that it reads, and no others.
//!
//! What may fail stays where it is among the others and sees only rows of which those before it do not say that they are
//! out: `x <> 0 AND 10 / x > 1` does not divide by zero.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::{BooleanBuffer, MutableBuffer, NullBuffer};
use datafusion::arrow::compute::filter;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::util::bit_util::set_bit;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::{reassign_expr_columns, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::dynamic::Tried;
use super::empty_text::{Empty, by_length};

/// A condition on numbers is evaluated for all rows unless at most one in so many is left: to copy those costs as much.
const FEW: usize = 8;
/// The same for one on texts.
const FEW_TEXTS: usize = 2;
/// Operators that give an answer whatever they are given.
const INFALLIBLE: [Operator; 10] = [
    Operator::And,
    Operator::Or,
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

/// The rule; it comes last, because others look into the conditions.
#[derive(Debug)]
pub(super) struct Conjunctions;

impl PhysicalOptimizerRule for Conjunctions {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
            let schema = filter.input().schema();
            let predicate = by_length(Arc::clone(filter.predicate()), &schema)?;
            let predicate = match Conjunction::of(&predicate, &schema)? {
                Some(conjunction) => Arc::new(conjunction) as Arc<dyn PhysicalExpr>,
                None if Arc::ptr_eq(&predicate, filter.predicate()) => return Ok(Transformed::no(node)),
                None => predicate,
            };
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
            Ok(Transformed::yes(Arc::new(filter) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "conjunctions"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// True where all parts are; never null.
#[derive(Debug, Clone, Eq)]
struct Conjunction {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    /// Over the whole input.
    whole: Arc<dyn PhysicalExpr>,
    /// What cannot fail, over the columns that it reads.
    narrow: Option<Narrow>,
}

#[derive(Debug, Clone)]
struct Narrow {
    columns: Vec<usize>,
    expr: Arc<dyn PhysicalExpr>,
    cost: Cost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Numbers,
    Texts,
    Lookups,
    Patterns,
}

impl PartialEq for Conjunction {
    fn eq(&self, other: &Self) -> bool {
        self.parts.len() == other.parts.len() && self.parts.iter().zip(&other.parts).all(|(a, b)| a.whole.eq(&b.whole))
    }
}

impl Eq for Part {}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.whole.eq(&other.whole)
    }
}

impl Hash for Conjunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for part in &self.parts {
            part.whole.hash(state);
        }
    }
}

impl fmt::Display for Conjunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().enumerate() {
            f.write_str(if at > 0 { " AND " } else { "" })?;
            match part.whole.downcast_ref::<BinaryExpr>() {
                Some(binary) if *binary.op() == Operator::Or => write!(f, "({})", part.whole)?,
                _ => write!(f, "{}", part.whole)?,
            }
        }
        Ok(())
    }
}

impl Conjunction {
    /// `None` of a single condition.
    fn of(predicate: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
        let conditions = split_conjunction(predicate);
        if conditions.len() < 2 {
            return Ok(None);
        }
        let parts = conditions.into_iter().map(|condition| Part::of(condition, schema)).collect::<Result<Vec<_>>>()?;
        let mut conjunction = Self { parts };
        for run in conjunction.parts.chunk_by_mut(|a, b| a.narrow.is_some() && b.narrow.is_some()) {
            run.sort_by_key(|part| part.narrow.as_ref().map(|narrow| narrow.cost));
        }
        Ok(Some(conjunction))
    }
}

impl Part {
    fn of(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Self> {
        let mut columns = Vec::new();
        let Some(cost) = cost(condition, schema, &mut columns) else {
            return Ok(Self { whole: Arc::clone(condition), narrow: None });
        };
        columns.sort_unstable();
        columns.dedup();
        let expr = reassign_expr_columns(Arc::clone(condition), &schema.project(&columns)?)?;
        Ok(Self { whole: Arc::clone(condition), narrow: Some(Narrow { columns, expr, cost }) })
    }

    /// Which rows pass, of `batch` those that `rows` has, or all.
    fn evaluate(&self, batch: &RecordBatch, rows: Option<&BooleanArray>) -> Result<BooleanArray> {
        let (expr, batch) = match (rows, &self.narrow) {
            (None, _) => (&self.whole, batch.clone()),
            (Some(rows), Some(narrow)) => (&narrow.expr, chosen(&batch.project(&narrow.columns)?, rows)?),
            (Some(rows), None) => (&self.whole, chosen(batch, rows)?),
        };
        let done = expr.evaluate(&batch)?.into_array(batch.num_rows())?;
        done.as_boolean_opt().cloned().ok_or_else(|| internal_datafusion_err!("a condition that is no boolean"))
    }

    /// Whether the rows that are left are taken out before it looks at them.
    fn picks(&self, left: usize, all: usize) -> bool {
        match self.narrow.as_ref().map(|narrow| narrow.cost) {
            None => left < all,
            Some(Cost::Numbers) => left <= all / FEW,
            Some(_) => left <= all / FEW_TEXTS,
        }
    }
}

fn chosen(batch: &RecordBatch, rows: &BooleanArray) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| filter(column, rows)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.true_count()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

/// What a condition that cannot fail costs, and its columns; `None` of one that may fail, or that is not known.
fn cost(condition: &Arc<dyn PhysicalExpr>, schema: &Schema, columns: &mut Vec<usize>) -> Option<Cost> {
    let mut cost = Cost::Numbers;
    let mut known = true;
    let walked = condition.apply(|expr| {
        if let Some(text) = expr.downcast_ref::<Empty>().and_then(|empty| empty.text().downcast_ref::<Column>()) {
            columns.push(text.index());
            return Ok(TreeNodeRecursion::Jump);
        }
        if let Some(column) = expr.downcast_ref::<Column>() {
            columns.push(column.index());
            let field = schema.fields().get(column.index()).filter(|field| field.name() == column.name());
            match field.map(|field| field.data_type()) {
                Some(ty) if ty.is_primitive() || *ty == DataType::Boolean => {}
                Some(DataType::Utf8 | DataType::Binary) => cost = cost.max(Cost::Texts),
                _ => known = false,
            }
        } else if expr.downcast_ref::<Tried>().is_some() {
            cost = cost.max(Cost::Lookups);
        } else if expr.downcast_ref::<LikeExpr>().is_some() {
            cost = cost.max(Cost::Patterns);
        } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            known &= INFALLIBLE.contains(binary.op());
        } else {
            known &= expr.downcast_ref::<Literal>().is_some()
                || expr.downcast_ref::<DynamicFilterPhysicalExpr>().is_some()
                || expr.downcast_ref::<InListExpr>().is_some()
                || expr.downcast_ref::<IsNullExpr>().is_some()
                || expr.downcast_ref::<IsNotNullExpr>().is_some()
                || expr.downcast_ref::<NotExpr>().is_some();
        }
        Ok(if known { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    (walked.is_ok() && known && !columns.is_empty()).then_some(cost)
}

/// The rows that are left: those that all conditions so far take, and those of which one does not know.
struct Left {
    taken: BooleanBuffer,
    unknown: Option<BooleanBuffer>,
}

impl Left {
    fn rows(&self) -> BooleanBuffer {
        self.unknown.as_ref().map_or_else(|| self.taken.clone(), |unknown| &self.taken | unknown)
    }

    /// What is left after a condition on all rows.
    fn narrow(self, passed: &BooleanArray, keep_unknown: bool) -> Self {
        let (values, valid) = (passed.values(), passed.nulls().map(NullBuffer::inner));
        let Some(valid) = valid else {
            let unknown = self.unknown.map(|unknown| &unknown & values);
            return Self { taken: &self.taken & values, unknown };
        };
        let unknown = keep_unknown.then(|| {
            // Not false: true, or not known.
            let rest = values | &!valid;
            let new = &self.taken & &!valid;
            self.unknown.map_or_else(|| new.clone(), |unknown| &(&unknown & &rest) | &new)
        });
        Self { taken: &self.taken & &(values & valid), unknown }
    }
}

impl PhysicalExpr for Conjunction {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let all = batch.num_rows();
        let mut left = Left { taken: BooleanBuffer::new_set(all), unknown: None };
        // Rows that are out for a null matter to what may fail, as they do to Trino.
        let last = self.parts.iter().rposition(|part| part.narrow.is_none());
        for (at, part) in self.parts.iter().enumerate() {
            let keep_unknown = last.is_some_and(|last| last > at);
            if !keep_unknown && last != Some(at) {
                left.unknown = None;
            }
            let rows = left.rows();
            let count = rows.count_set_bits();
            if count == 0 {
                break;
            }
            let passed = if part.picks(count, all) {
                let rows = BooleanArray::new(rows, None);
                spread(&part.evaluate(batch, Some(&rows))?, rows.values())
            } else {
                part.evaluate(batch, None)?
            };
            left = left.narrow(&passed, keep_unknown);
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(left.taken, None))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.parts.iter().map(|part| &part.whole).collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        // Their columns may have other places now: each is evaluated over the whole input.
        let parts = children.into_iter().map(|whole| Part { whole, narrow: None }).collect();
        Ok(Arc::new(Self { parts }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().enumerate() {
            f.write_str(if at > 0 { " AND " } else { "" })?;
            part.whole.fmt_sql(f)?;
        }
        Ok(())
    }
}

/// Answers about some rows at those rows' places among all; the others are false.
fn spread(answers: &BooleanArray, rows: &BooleanBuffer) -> BooleanArray {
    let bytes = rows.len().div_ceil(8);
    let mut values = MutableBuffer::from_len_zeroed(bytes);
    let mut valid = answers.nulls().map(|_| vec![u8::MAX; bytes]);
    for (at, row) in rows.set_indices().enumerate() {
        if answers.is_null(at) {
            if let Some(valid) = &mut valid {
                valid[row / 8] &= !(1 << (row % 8));
            }
        } else if answers.value(at) {
            set_bit(values.as_slice_mut(), row);
        }
    }
    let valid = valid.map(|bytes| BooleanBuffer::new(bytes.into(), 0, rows.len()).into());
    BooleanArray::new(BooleanBuffer::new(values.into(), 0, rows.len()), valid)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int32Array, StringArray};
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// A table `t` of two batches: `a` and `c` numbers, `b` texts, each with nulls.
    fn context(with_rule: bool) -> SessionContext {
        let batch = |from: i32| {
            let numbers = |n: i32, modulus: i32| (n % 11 != 3).then_some(n % modulus);
            let a: Int32Array = (from..from + 100).map(|n| numbers(n, 7)).collect();
            let b: StringArray = (from..from + 100)
                .map(|n| match n % 13 {
                    5 => None,
                    7 => Some(String::new()),
                    _ => Some(format!("text {}", n % 5)),
                })
                .collect();
            let c: Int32Array = (from..from + 100).map(|n| numbers(n + 1, 17)).collect();
            let columns: [(&str, ArrayRef, bool); 3] =
                [("a", Arc::new(a), true), ("b", Arc::new(b), true), ("c", Arc::new(c), true)];
            RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
        };
        let mut state = SessionStateBuilder::new().with_default_features();
        if with_rule {
            state = state.with_physical_optimizer_rule(Arc::new(Conjunctions));
        }
        let context = SessionContext::new_with_state(state.build());
        let schema = batch(0).schema();
        let table = MemTable::try_new(schema, vec![vec![batch(0), batch(1000)]]).expect("a table");
        context.register_table("t", Arc::new(table)).expect("it is known");
        context
    }

    async fn rows(sql: &str, with_rule: bool) -> Result<String> {
        let batches = context(with_rule).sql(sql).await?.collect().await?;
        Ok(pretty_format_batches(&batches)?.to_string())
    }

    #[tokio::test]
    async fn the_same_rows_pass() {
        for condition in [
            "b = 'text 1' AND a = 2",
            "b LIKE '%4' AND b <> 'text 1' AND c > 2 AND a < 6",
            "(b = 'text 1' OR b = 'text 2') AND a IS NOT NULL AND c IN (1, 2, 3) AND c < a + 3",
            "b LIKE '%9' AND a = 1 AND c = 1",
            "a > 0 AND c - a > 1 AND b = 'text 3'",
            "a > 2 AND c - a > 1 AND b <> 'text 3' AND c + a < 9",
            "a IS NULL AND b IS NULL",
            "b <> ''",
            "'' = b OR b IS NULL",
            "a > 2 AND NOT (b = '') AND c < 9",
            "NOT (a = 1 OR b = 'text 0') AND c <> 5",
        ] {
            let sql = format!("SELECT * FROM t WHERE {condition} ORDER BY a, b, c");
            assert_eq!(rows(&sql, true).await.unwrap(), rows(&sql, false).await.unwrap(), "{condition}");
        }
        let plan = rows("EXPLAIN SELECT * FROM t WHERE b = 'text 1' AND a = 2", true).await.unwrap();
        assert!(plan.contains("a@0 = 2 AND b@1 = text 1"), "numbers first: {plan}");
    }

    #[tokio::test]
    async fn what_may_fail_sees_what_is_left() {
        // Most rows are left, so that DataFusion divides all.
        let sql = "SELECT count(*) FROM t WHERE a <> 0 AND c / a >= 0";
        assert!(rows(sql, false).await.is_err());
        let expected = "SELECT count(*) FROM t WHERE a <> 0 AND c IS NOT NULL";
        assert_eq!(rows(sql, true).await.unwrap(), rows(expected, true).await.unwrap());
        // It stays after what stands before it, and before what stands after.
        assert!(rows("SELECT count(*) FROM t WHERE c / a >= 0 AND a <> 0", true).await.is_err());
        // A null does not end it: the division is done, as Trino does it.
        assert!(rows("SELECT count(*) FROM t WHERE nullif(c, c) = 1 AND c / a >= 0", true).await.is_err());
    }
}
