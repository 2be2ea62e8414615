//! The operator: rows in order, a partition at a time; matches out.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::{concat_batches, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, OrderingRequirements, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, PlanProperties,
};
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::matcher::{Conditions, Match, Matcher};
use super::table::{Clause, Condition, condition_schema};
use super::{Label, Leaf, Navigation, Rows, Skip};
use crate::error::Error;

/// Rows of one batch of the answer.
const BATCH: usize = 8192;

type Compiled = (Condition, Arc<dyn PhysicalExpr>);

#[derive(Debug)]
pub(super) struct MatchExec {
    input: Arc<dyn ExecutionPlan>,
    clause: Arc<Clause>,
    aggregates: Arc<Vec<AggregateFunctionExpr>>,
    conditions: Arc<Vec<Compiled>>,
    properties: Arc<PlanProperties>,
    /// The order that the input was planned to have.
    order: Option<OrderingRequirements>,
}

impl MatchExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        clause: Arc<Clause>,
        aggregates: Vec<AggregateFunctionExpr>,
        conditions: Vec<Compiled>,
    ) -> Self {
        let order = input.output_ordering().map(|order| OrderingRequirements::from(order.clone()));
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&clause.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { input, clause, aggregates: Arc::new(aggregates), conditions: Arc::new(conditions), properties, order }
    }
}

impl DisplayAs for MatchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchRecognizeExec: pattern={:?}", self.clause.spec.pattern)
    }
}

impl ExecutionPlan for MatchExec {
    fn name(&self) -> &'static str {
        "MatchRecognizeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.order.clone()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| Error::internal("a child is missing"))?;
        Ok(Arc::new(Self {
            input,
            clause: Arc::clone(&self.clause),
            aggregates: Arc::clone(&self.aggregates),
            conditions: Arc::clone(&self.conditions),
            properties: Arc::clone(&self.properties),
            order: self.order.clone(),
        }))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut input = self.input.execute(0, Arc::clone(&context))?;
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.clause.schema), 2);
        let mut run = Run {
            clause: Arc::clone(&self.clause),
            aggregates: Arc::clone(&self.aggregates),
            conditions: Arc::clone(&self.conditions),
            keys: Keys::new(&self.clause, &self.input.schema())?,
            memory: MemoryConsumer::new("MatchRecognize").register(context.memory_pool()),
            schema: self.input.schema(),
            gathered: Vec::new(),
            out: stream.tx(),
        };
        stream.spawn(async move {
            while let Some(batch) = input.next().await {
                run.take_in(batch?).await?;
            }
            run.partition().await
        });
        Ok(stream.build())
    }
}

/// Tells where a partition ends.
struct Keys {
    columns: Vec<usize>,
    converter: RowConverter,
    last: Option<OwnedRow>,
}

impl Keys {
    fn new(clause: &Clause, schema: &SchemaRef) -> Result<Self> {
        let fields = clause.partition.iter().map(|at| SortField::new(schema.field(*at).data_type().clone()));
        Ok(Self { columns: clause.partition.clone(), converter: RowConverter::new(fields.collect())?, last: None })
    }

    /// Rows where a partition begins that is not that of the row before.
    fn starts(&mut self, batch: &RecordBatch) -> Result<Vec<usize>> {
        if self.columns.is_empty() || batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let columns: Vec<ArrayRef> = self.columns.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let rows = self.converter.convert_columns(&columns)?;
        let mut starts = Vec::new();
        if self.last.as_ref().is_some_and(|last| last.row() != rows.row(0)) {
            starts.push(0);
        }
        starts.extend((1..rows.num_rows()).filter(|at| rows.row(*at) != rows.row(*at - 1)));
        self.last = Some(rows.row(rows.num_rows() - 1).owned());
        Ok(starts)
    }
}

struct Run {
    clause: Arc<Clause>,
    aggregates: Arc<Vec<AggregateFunctionExpr>>,
    conditions: Arc<Vec<Compiled>>,
    keys: Keys,
    memory: MemoryReservation,
    schema: SchemaRef,
    /// The partition so far.
    gathered: Vec<RecordBatch>,
    out: Sender<Result<RecordBatch>>,
}

impl Run {
    async fn take_in(&mut self, batch: RecordBatch) -> Result<()> {
        let mut from = 0;
        for start in self.keys.starts(&batch)? {
            self.gather(batch.slice(from, start - from))?;
            self.partition().await?;
            from = start;
        }
        self.gather(batch.slice(from, batch.num_rows() - from))
    }

    fn gather(&mut self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() > 0 {
            // Twice: once more when they are put together.
            let sizes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size());
            let size: usize = sizes.sum::<std::result::Result<usize, _>>()?;
            self.memory.try_grow(2 * size)?;
            self.gathered.push(rows);
        }
        Ok(())
    }

    /// Finds the matches of what is gathered.
    async fn partition(&mut self) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() {
            return Ok(());
        }
        let rows = concat_batches(&self.schema, &gathered)?;
        drop(gathered);
        let ways = self.memory.new_empty();
        let mut partition = Partition::new(&self.clause, &self.aggregates, &self.conditions, &rows, ways)?;
        self.memory.try_grow(partition.matcher.most_bytes())?;
        while let Some(batch) = partition.next_batch()? {
            if self.out.send(Ok(batch)).await.is_err() {
                // Nobody wants more of them.
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        self.memory.free();
        Ok(())
    }
}

/// One row of the answer.
struct Shown {
    /// Of the input.
    row: usize,
    is_matched: bool,
}

struct Partition<'a> {
    clause: &'a Clause,
    aggregates: &'a [AggregateFunctionExpr],
    rows: &'a RecordBatch,
    matcher: Matcher<'a>,
    known: Known<'a>,
    /// Where the next match may begin.
    at: usize,
    number: i64,
    last_matched: Option<usize>,
    shown: Vec<Shown>,
    leaves: Vec<Read>,
}

/// What is read for the rows of the answer so far.
enum Read {
    Rows(Vec<Option<u64>>),
    Texts(Vec<Option<Label>>),
    Numbers(Vec<Option<i64>>),
    Values(Vec<ScalarValue>),
}

impl<'a> Partition<'a> {
    fn new(
        clause: &'a Clause,
        aggregates: &'a [AggregateFunctionExpr],
        conditions: &'a [Compiled],
        rows: &'a RecordBatch,
        ways: MemoryReservation,
    ) -> Result<Self> {
        let count = rows.num_rows();
        let known = Known::new(clause, aggregates, conditions, rows, ways)?;
        let matcher = Matcher::new(&clause.program, count, known.is_free())?;
        let (shown, leaves) = (Vec::new(), Self::nothing_read(clause));
        Ok(Self { clause, aggregates, rows, matcher, known, at: 0, number: 0, last_matched: None, shown, leaves })
    }

    fn nothing_read(clause: &Clause) -> Vec<Read> {
        let empty = |leaf: &Leaf| match leaf {
            Leaf::Column { .. } => Read::Rows(Vec::new()),
            Leaf::Classifier(_) => Read::Texts(Vec::new()),
            Leaf::MatchNumber => Read::Numbers(Vec::new()),
            Leaf::Aggregate { .. } => Read::Values(Vec::new()),
        };
        clause.leaves.iter().map(empty).collect()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.shown.len() < BATCH && self.at < self.rows.num_rows() {
            self.step()?;
        }
        if self.shown.is_empty() {
            return Ok(None);
        }
        self.batch().map(Some)
    }

    /// Looks for a match at one row.
    fn step(&mut self) -> Result<()> {
        let start = self.at;
        self.known.number = self.number + 1;
        self.known.start = start;
        let found = self.matcher.find(start, &mut self.known)?;
        self.known.ways.free();
        self.at = start + 1;
        let Some(found) = found else {
            if self.clause.spec.rows == Rows::WithUnmatched && self.last_matched.is_none_or(|last| start > last) {
                self.show(start, None, &Match::default(), start, &mut Vec::new())?;
            }
            return Ok(());
        };
        self.number += 1;
        let mut running = self.accumulators()?;
        let length = found.labels.len();
        if length == 0 {
            if self.clause.spec.rows != Rows::Omit {
                self.show(start, Some(None), &found, start, &mut running)?;
            }
            return Ok(());
        }
        self.last_matched = Some(start + length - 1);
        if self.clause.spec.rows == Rows::One {
            self.show(start + length - 1, Some(Some(length - 1)), &found, start, &mut running)?;
        } else {
            for at in (0..length).filter(|at| !found.hidden[*at]) {
                self.show(start + at, Some(Some(at)), &found, start, &mut running)?;
            }
        }
        self.at = self.skip(start, &found)?;
        Ok(())
    }

    fn skip(&self, start: usize, found: &Match) -> Result<usize> {
        let fails =
            |what: &str| Error::user(1003, "GENERIC_USER_ERROR", format_args!("AFTER MATCH SKIP failed: {what}"));
        let (label, is_first) = match self.clause.spec.skip {
            Skip::PastLast => return Ok(start + found.labels.len()),
            Skip::ToNext => return Ok(start + 1),
            Skip::ToFirst(label) => (label, true),
            Skip::ToLast(label) => (label, false),
        };
        let wanted = self.clause.spec.primary(label);
        let mut places = found.labels.iter().enumerate().filter(|(_, label)| wanted.contains(label)).map(|(at, _)| at);
        let at = if is_first { places.next() } else { places.next_back() };
        match at {
            None => Err(fails("pattern variable is not present in match").into()),
            Some(0) => Err(fails("cannot skip to first row of match").into()),
            Some(at) => Ok(start + at),
        }
    }

    fn accumulators(&self) -> Result<Vec<Option<Running>>> {
        let each = self.clause.leaves.iter().map(|leaf| match leaf {
            Leaf::Aggregate { aggregate, .. } => {
                Ok(Some(Running { of: self.aggregates[*aggregate].create_accumulator()?, taken: 0 }))
            }
            _ => Ok(None),
        });
        each.collect()
    }

    /// A row of the answer. `current`: none of a row without a match, `Some(None)` of an empty match, else its place.
    #[expect(clippy::option_option, reason = "no match, an empty one, or a place in one")]
    fn show(
        &mut self,
        row: usize,
        current: Option<Option<usize>>,
        found: &Match,
        start: usize,
        running: &mut [Option<Running>],
    ) -> Result<()> {
        self.shown.push(Shown { row, is_matched: current.is_some() });
        let count = self.rows.num_rows();
        for (i, leaf) in self.clause.leaves.iter().enumerate() {
            let place = |at: &Navigation| navigate(at, &found.labels, current.flatten(), start, count);
            match (leaf, &mut self.leaves[i]) {
                (Leaf::Column { at, .. }, Read::Rows(rows)) => rows.push(place(at).map(|row| row as u64)),
                (Leaf::Classifier(at), Read::Texts(texts)) => {
                    let at = place(at).and_then(|row| row.checked_sub(start));
                    texts.push(at.and_then(|at| found.labels.get(at).copied()));
                }
                (Leaf::MatchNumber, Read::Numbers(numbers)) => numbers.push(current.is_some().then_some(self.number)),
                (Leaf::Aggregate { aggregate, labels, is_final }, Read::Values(values)) => {
                    let of = &self.aggregates[*aggregate];
                    let Some(running) = running.get_mut(i).and_then(Option::as_mut) else {
                        values.push(ScalarValue::try_from(of.field().data_type())?);
                        continue;
                    };
                    let upto = match current.flatten() {
                        None => 0,
                        Some(_) if *is_final => found.labels.len(),
                        Some(at) => at + 1,
                    };
                    let context = Matched { labels: &found.labels, start, number: self.number };
                    running.update(of, self.rows, &context, &self.clause.spec.labels, labels, upto)?;
                    values.push(running.of.evaluate()?);
                }
                _ => return Err(Error::internal("a leaf is read as another").into()),
            }
        }
        Ok(())
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let shown = std::mem::take(&mut self.shown);
        let leaves = std::mem::replace(&mut self.leaves, Self::nothing_read(self.clause));
        let rows: UInt64Array = shown.iter().map(|shown| Some(shown.row as u64)).collect();
        let mut columns = Vec::with_capacity(self.clause.schema.fields().len());
        for column in self.rows.columns() {
            columns.push(take(column, &rows, None)?);
        }
        for (i, (leaf, read)) in self.clause.leaves.iter().zip(leaves).enumerate() {
            columns.push(match read {
                Read::Rows(rows) => {
                    let Leaf::Column { column, .. } = leaf else { return Err(Error::internal("no column").into()) };
                    take(self.rows.column(*column), &UInt64Array::from(rows), None)?
                }
                Read::Texts(texts) => {
                    let names = &self.clause.spec.labels;
                    let name = |label: Option<Label>| label.and_then(|label| names.get(usize::from(label)));
                    Arc::new(texts.into_iter().map(name).collect::<StringArray>())
                }
                Read::Numbers(numbers) => Arc::new(Int64Array::from(numbers)),
                Read::Values(values) => {
                    let array = ScalarValue::iter_to_array(values)?;
                    let wanted = self.clause.schema.field(self.clause.width + i).data_type();
                    if array.data_type() == wanted { array } else { datafusion::arrow::compute::cast(&array, wanted)? }
                }
            });
        }
        columns.push(Arc::new(shown.iter().map(|shown| Some(shown.is_matched)).collect::<BooleanArray>()));
        Ok(RecordBatch::try_new(Arc::clone(&self.clause.schema), columns)?)
    }
}

/// A match, or what of it there is.
struct Matched<'a> {
    labels: &'a [Label],
    start: usize,
    number: i64,
}

/// An aggregate that goes along a match.
struct Running {
    of: Box<dyn Accumulator>,
    /// Rows of the match that were looked at.
    taken: usize,
}

impl Running {
    fn update(
        &mut self,
        of: &AggregateFunctionExpr,
        rows: &RecordBatch,
        matched: &Matched<'_>,
        names: &[String],
        wanted: &[Label],
        upto: usize,
    ) -> Result<()> {
        let places: Vec<usize> = (self.taken..upto)
            .filter(|at| wanted.is_empty() || matched.labels.get(*at).is_some_and(|label| wanted.contains(label)))
            .collect();
        self.taken = self.taken.max(upto);
        if places.is_empty() {
            return Ok(());
        }
        let indices: UInt64Array = places.iter().map(|at| Some((matched.start + at) as u64)).collect();
        let mut columns = Vec::with_capacity(rows.num_columns() + 2);
        for column in rows.columns() {
            columns.push(take(column, &indices, None)?);
        }
        let name = |at: &usize| matched.labels.get(*at).and_then(|label| names.get(usize::from(*label)));
        columns.push(Arc::new(places.iter().map(name).collect::<StringArray>()));
        columns.push(Arc::new(places.iter().map(|_| Some(matched.number)).collect::<Int64Array>()));
        let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(datafusion::arrow::datatypes::Field::new(
            super::table::CLASSIFIER,
            datafusion::arrow::datatypes::DataType::Utf8,
            true,
        )));
        fields.push(Arc::new(datafusion::arrow::datatypes::Field::new(
            super::table::MATCH_NUMBER,
            datafusion::arrow::datatypes::DataType::Int64,
            true,
        )));
        let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
        let batch = RecordBatch::try_new(schema, columns)?;
        let args = of
            .expressions()
            .iter()
            .map(|arg| arg.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows())))
            .collect::<Result<Vec<_>>>()?;
        self.of.update_batch(&args)
    }
}

/// The row of the partition that a navigation leads to.
fn navigate(at: &Navigation, labels: &[Label], current: Option<usize>, start: usize, rows: usize) -> Option<usize> {
    let current = current?;
    // Trino counts FIRST from the beginning over all of the match, in its RUNNING mode, too (asked).
    let seen = if at.is_final || !at.from_last { labels } else { labels.get(..=current)? };
    let place = if at.labels.is_empty() {
        if at.from_last { seen.len().checked_sub(at.offset.checked_add(1)?)? } else { at.offset }
    } else {
        let mut places = seen.iter().enumerate().filter(|(_, label)| at.labels.contains(label)).map(|(place, _)| place);
        if at.from_last { places.nth_back(at.offset)? } else { places.nth(at.offset)? }
    };
    if place >= seen.len() {
        return None;
    }
    let row = i64::try_from(start + place).ok()?.checked_add(at.then)?;
    usize::try_from(row).ok().filter(|row| *row < rows)
}

/// DEFINE over one partition.
struct Known<'a> {
    clause: &'a Clause,
    aggregates: &'a [AggregateFunctionExpr],
    rows: &'a RecordBatch,
    /// By variable: nothing is asked of it, it is known for all rows, or it is evaluated when it is needed.
    conditions: Vec<How<'a>>,
    start: usize,
    number: i64,
    /// Memory of the ways that are left to try.
    ways: MemoryReservation,
}

enum How<'a> {
    Always,
    Known(BooleanArray),
    Ask(&'a Compiled),
}

impl<'a> Known<'a> {
    fn new(
        clause: &'a Clause,
        aggregates: &'a [AggregateFunctionExpr],
        conditions: &'a [Compiled],
        rows: &'a RecordBatch,
        ways: MemoryReservation,
    ) -> Result<Self> {
        let mut all: Vec<How<'a>> = clause.spec.labels.iter().map(|_| How::Always).collect();
        for compiled in conditions {
            let (condition, expr) = compiled;
            let how = if condition.is_free() {
                // What fails for a row fails only if the row is come to.
                for_all(condition, expr, rows)?.map_or(How::Ask(compiled), How::Known)
            } else {
                How::Ask(compiled)
            };
            if let Some(place) = all.get_mut(usize::from(condition.label)) {
                *place = how;
            }
        }
        Ok(Self { clause, aggregates, rows, conditions: all, start: 0, number: 0, ways })
    }

    fn is_free(&self) -> bool {
        self.conditions.iter().all(|how| match how {
            How::Ask((condition, _)) => condition.is_free(),
            How::Always | How::Known(_) => true,
        })
    }

    /// A leaf as one value.
    fn value(&self, leaf: &Leaf, labels: &[Label], steps: &mut u64) -> Result<ArrayRef> {
        let current = labels.len() - 1;
        let place = |at: &Navigation| navigate(at, labels, Some(current), self.start, self.rows.num_rows());
        Ok(match leaf {
            Leaf::Column { column, at } => {
                let column = self.rows.column(*column);
                match place(at) {
                    Some(row) => column.slice(row, 1),
                    None => new_null_array(column.data_type(), 1),
                }
            }
            Leaf::Classifier(at) => {
                let label = place(at).and_then(|row| row.checked_sub(self.start)).and_then(|at| labels.get(at));
                let name = label.and_then(|label| self.clause.spec.labels.get(usize::from(*label)));
                Arc::new(StringArray::from(vec![name.map(String::as_str)]))
            }
            Leaf::MatchNumber => Arc::new(Int64Array::from(vec![self.number])),
            Leaf::Aggregate { aggregate, labels: wanted, .. } => {
                *steps += labels.len() as u64;
                let of = &self.aggregates[*aggregate];
                let mut running = Running { of: of.create_accumulator()?, taken: 0 };
                let matched = Matched { labels, start: self.start, number: self.number };
                running.update(of, self.rows, &matched, &self.clause.spec.labels, wanted, labels.len())?;
                running.of.evaluate()?.to_array()?
            }
        })
    }
}

impl Conditions for Known<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        Ok(self.ways.try_grow(bytes)?)
    }

    fn hold(&mut self, label: Label, row: usize, matched: &[Label]) -> crate::error::Result<(bool, u64)> {
        let (condition, expr) = match &self.conditions[usize::from(label)] {
            How::Always => return Ok((true, 0)),
            How::Known(holds) => return Ok((holds.is_valid(row) && holds.value(row), 0)),
            How::Ask(compiled) => compiled,
        };
        let mut steps = 1;
        let arrays = condition.leaves.iter().map(|leaf| self.value(leaf, matched, &mut steps));
        let holds = evaluated(condition, expr, arrays.collect::<Result<Vec<_>>>()?, 1)?;
        Ok((holds.is_valid(0) && holds.value(0), steps))
    }
}

/// A condition on rows alone, of all rows; none where it fails for one.
fn for_all(condition: &Condition, expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<Option<BooleanArray>> {
    let count = rows.num_rows();
    let arrays = condition.leaves.iter().map(|leaf| match leaf {
        Leaf::Column { column, at } => {
            let place = |row: usize| i64::try_from(row).ok()?.checked_add(at.then);
            let places: UInt64Array = (0..count)
                .map(|row| place(row).and_then(|row| u64::try_from(row).ok()).filter(|row| *row < count as u64))
                .collect();
            Ok(take(rows.column(*column), &places, None)?)
        }
        _ => Err(Error::internal("a condition that is not free").into()),
    });
    Ok(evaluated(condition, expr, arrays.collect::<Result<Vec<_>>>()?, count).ok())
}

fn evaluated(
    condition: &Condition,
    expr: &Arc<dyn PhysicalExpr>,
    arrays: Vec<ArrayRef>,
    count: usize,
) -> Result<BooleanArray> {
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
    let batch = RecordBatch::try_new_with_options(condition_schema(condition), arrays, &options)?;
    Ok(expr.evaluate(&batch)?.into_array(count)?.as_boolean().clone())
}
