//! The relation of matches in a plan: a table whose rows come of the plan below it, which is planned when the table is scanned.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{AggregateUDF, Expr, ExprSchemable, LogicalPlan, TableType};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::exec::MatchExec;
use super::plan::{MATCHED, aggregate_field, analyzed};
use super::program::Op;
use super::{Label, Leaf, Spec};
use crate::error::Error;

/// Columns that aggregates read besides those of the input.
pub(super) const CLASSIFIER: &str = "$classifier";
pub(super) const MATCH_NUMBER: &str = "$match_number";

/// An aggregate over rows of a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aggregated {
    func: Arc<AggregateUDF>,
    args: Vec<Expr>,
    schema: DFSchema,
    field: FieldRef,
}

impl Aggregated {
    pub(super) fn new<'a>(
        func: Arc<AggregateUDF>,
        args: Vec<Expr>,
        columns: impl Iterator<Item = &'a FieldRef>,
    ) -> Result<Self> {
        let mut fields: Vec<FieldRef> = columns
            .enumerate()
            .map(|(i, field)| Arc::new(field.as_ref().clone().with_name(format!("c{i}")).with_nullable(true)))
            .collect();
        fields.push(Arc::new(Field::new(CLASSIFIER, DataType::Utf8, true)));
        fields.push(Arc::new(Field::new(MATCH_NUMBER, DataType::Int64, true)));
        let schema = DFSchema::try_from(Schema::new(fields))?;
        let args: Vec<Expr> = analyzed(args, &schema)?.into_iter().map(Expr::unalias).collect();
        let field = aggregate_field(&func, &args, &schema)?;
        Ok(Self { func, args, schema, field })
    }

    pub(super) fn field(&self) -> FieldRef {
        Arc::clone(&self.field)
    }

    fn physical(&self, session: &dyn Session) -> Result<AggregateFunctionExpr> {
        let args = self.args.iter().map(|arg| session.create_physical_expr(arg.clone(), &self.schema));
        AggregateExprBuilder::new(Arc::clone(&self.func), args.collect::<Result<_>>()?)
            .schema(Arc::new(self.schema.as_arrow().clone()))
            .alias("aggregate")
            .build()
    }
}

/// An item of DEFINE, over leaves of its own.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) label: Label,
    expr: Expr,
    schema: DFSchema,
    pub(super) leaves: Vec<Leaf>,
}

impl Condition {
    pub(super) fn new(label: Label, expr: Expr, leaves: Vec<Leaf>, fields: Vec<FieldRef>) -> Result<Self> {
        let fields: Vec<FieldRef> = fields
            .into_iter()
            .enumerate()
            .map(|(i, field)| Arc::new(field.as_ref().clone().with_name(format!("l{i}")).with_nullable(true)))
            .collect();
        let schema = DFSchema::try_from_qualified_schema("match_recognize", &Schema::new(fields))?;
        let expr = analyzed(vec![expr], &schema)?.remove(0).unalias();
        let ty = expr.get_type(&schema)?;
        if ty != DataType::Boolean {
            let text = format!(
                "line 1:1: Expression defining a label must be boolean (actual type: {})",
                crate::types::trino_data_type(&ty)
            );
            return Err(Error::user(1006, "TYPE_MISMATCH", text).into());
        }
        Ok(Self { label, expr, schema, leaves })
    }

    /// Whether it looks at rows near its own alone.
    pub(super) fn is_free(&self) -> bool {
        self.leaves.iter().all(|leaf| matches!(leaf, Leaf::Column { at, .. } if at.is_own(self.label)))
    }
}

/// What the operator is to do.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) spec: Spec,
    pub(super) program: Vec<Op>,
    /// Columns that part the input.
    pub(super) partition: Vec<usize>,
    /// Columns of the input.
    pub(super) width: usize,
    pub(super) leaves: Vec<Leaf>,
    pub(super) schema: SchemaRef,
}

pub(crate) struct MatchTable {
    input: LogicalPlan,
    clause: Arc<Clause>,
    aggregates: Vec<Aggregated>,
    conditions: Vec<Condition>,
}

impl fmt::Debug for MatchTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MatchTable").field("clause", &self.clause).finish_non_exhaustive()
    }
}

impl MatchTable {
    #[expect(clippy::too_many_arguments, reason = "the clause's parts, put together in one place")]
    pub(super) fn new(
        input: LogicalPlan,
        spec: &Spec,
        program: Vec<Op>,
        partition: &[usize],
        leaves: Vec<Leaf>,
        leaf_fields: Vec<FieldRef>,
        aggregates: Vec<Aggregated>,
        conditions: Vec<Condition>,
    ) -> Self {
        let mut fields: Vec<FieldRef> = input.schema().fields().iter().cloned().collect();
        let width = fields.len();
        let named =
            |(i, field): (usize, FieldRef)| field.as_ref().clone().with_name(format!("l{i}")).with_nullable(true);
        fields.extend(leaf_fields.into_iter().enumerate().map(named).map(Arc::new));
        fields.push(Arc::new(Field::new(MATCHED, DataType::Boolean, false)));
        let clause = Clause {
            spec: spec.clone(),
            program,
            partition: partition.to_vec(),
            width,
            leaves,
            schema: Arc::new(Schema::new(fields)),
        };
        Self { input, clause: Arc::new(clause), aggregates, conditions }
    }

    /// The plan that its rows are of.
    pub(crate) const fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// What it evaluates over them.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let aggregated = self.aggregates.iter().flat_map(|one| &one.args);
        aggregated.chain(self.conditions.iter().map(|condition| &condition.expr))
    }
}

#[async_trait]
impl TableProvider for MatchTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.clause.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = session.create_physical_plan(&self.input).await?;
        let aggregates = self.aggregates.iter().map(|one| one.physical(session)).collect::<Result<Vec<_>>>()?;
        let conditions = self
            .conditions
            .iter()
            .map(|one| Ok((one.clone(), session.create_physical_expr(one.expr.clone(), &one.schema)?)))
            .collect::<Result<Vec<_>>>()?;
        let exec: Arc<dyn ExecutionPlan> =
            Arc::new(MatchExec::new(input, Arc::clone(&self.clause), aggregates, conditions));
        let Some(projection) = projection else { return Ok(exec) };
        let schema = exec.schema();
        let columns = projection.iter().map(|at| {
            let name = schema.field(*at).name().clone();
            (Arc::new(PhysicalColumn::new(&name, *at)) as Arc<dyn PhysicalExpr>, name)
        });
        Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), exec)?) as _)
    }
}

/// The condition's columns, as a batch has them.
pub(super) fn condition_schema(condition: &Condition) -> SchemaRef {
    Arc::new(condition.schema.as_arrow().clone())
}
