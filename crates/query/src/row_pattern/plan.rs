//! From the clause's expressions to leaves and what is computed of them.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlannerContext};
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, EmptyRelation, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility, lit, when,
};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, MatchRecognizePattern, MatchRecognizeSymbol, OrderByExpr, TableFactor, VisitMut, VisitorMut,
};

use super::table::{Aggregated, Condition, MatchTable};
use super::{Label, Leaf, Navigation, Rows, Spec, program};
use crate::error::Error;
use crate::sql::ANY;

/// The table that stands for the input, which is a query before the columns of PARTITION BY.
pub(crate) const INPUT: &str = "$match_recognize";
/// Qualifies what is read of every row.
const ROW: &str = "$row";
/// The relation of matches below a projection.
const MATCHES: &str = "match_recognize";
/// Whether a row is of a match.
pub(super) const MATCHED: &str = "$matched";

fn failed(code: &str, text: impl std::fmt::Display) -> DataFusionError {
    Error::user(1006, code, format_args!("line 1:1: {text}")).into()
}

/// The plan of a MATCH_RECOGNIZE.
#[expect(clippy::too_many_lines, reason = "the clause, part by part")]
pub(crate) fn planned(relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<PlannedRelation> {
    let TableFactor::MatchRecognize { mut partition_by, order_by, measures, pattern, symbols, alias, .. } = relation
    else {
        return Err(Error::internal("no MATCH_RECOGNIZE").into());
    };
    let MatchRecognizePattern::Symbol(MatchRecognizeSymbol::Named(spec)) = pattern else {
        return Err(Error::syntax(1, 1, "mismatched input 'PATTERN'").into());
    };
    let spec = Spec::decode(&spec.value)?;
    let input = match partition_by.first() {
        Some(SqlExpr::Subquery(_)) => partition_by.remove(0),
        _ => return Err(Error::syntax(1, 1, "mismatched input 'MATCH_RECOGNIZE'").into()),
    };
    let SqlExpr::Subquery(subquery) = input else { return Err(Error::internal("no input").into()) };
    let input = context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })?;
    let fields: Vec<(Option<TableReference>, FieldRef)> =
        input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
    let partition =
        partition_by.into_iter().map(|expr| column_of(&expr, &fields, context)).collect::<Result<Vec<usize>>>()?;
    let order = order_by
        .iter()
        .map(|OrderByExpr { expr, options, .. }| {
            let asc = options.asc.unwrap_or(true);
            Ok((column_of(expr, &fields, context)?, asc, options.nulls_first.unwrap_or(false)))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut taker = Taker::new(&spec, &fields)?;
    let mut outputs = Vec::new();
    for measure in measures {
        let expr = taker.read(measure.expr, context)?;
        let name = context.normalize_ident(measure.alias);
        outputs.push((name, taker.measure(expr)?));
    }
    let (leaves, leaf_fields) = (std::mem::take(&mut taker.leaves), std::mem::take(&mut taker.fields));
    let mut conditions = Vec::new();
    for (label, symbol) in spec.defined.iter().zip(symbols) {
        let expr = taker.read(symbol.definition, context)?;
        let expr = taker.condition(expr)?;
        let (leaves, fields) = (std::mem::take(&mut taker.leaves), std::mem::take(&mut taker.fields));
        conditions.push(Condition::new(*label, expr, leaves, fields)?);
    }
    let program = program::compile(&spec.pattern)?;
    // The rows in order, under names of their own.
    let columns = input.schema().columns();
    let named: Vec<Expr> =
        columns.into_iter().enumerate().map(|(i, column)| Expr::Column(column).alias(format!("c{i}"))).collect();
    let mut rows = LogicalPlanBuilder::from(input).project(named)?;
    let keys: Vec<_> = partition
        .iter()
        .map(|at| (*at, true, false))
        .chain(order.iter().copied())
        .map(|(at, asc, nulls_first)| Expr::Column(Column::from_name(format!("c{at}"))).sort(asc, nulls_first))
        .collect();
    if !keys.is_empty() {
        rows = rows.sort(keys)?;
    }
    let table =
        MatchTable::new(rows.build()?, &spec, program, &partition, leaves, leaf_fields, taker.aggregates, conditions);
    let scan = LogicalPlanBuilder::scan(MATCHES, provider_as_source(Arc::new(table)), None)?;
    let of_matches = |name: String| Expr::Column(Column::new(Some(MATCHES), name));
    let given = |at: usize| {
        let (qualifier, field) = &fields[at];
        of_matches(format!("c{at}")).alias_qualified(qualifier.clone(), field.name().clone())
    };
    let titles: Vec<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
    let measures = outputs.into_iter().enumerate().map(|(i, (name, expr))| {
        // Columns that share a name are found by none.
        let is_shared = titles.iter().filter(|other| **other == name).count() > 1;
        let name = if is_shared { format!("{}{name}_{i}", crate::sql::SHARED) } else { name };
        // A row that is of no match has no measures.
        let expr =
            if spec.rows == Rows::WithUnmatched { when(of_matches(MATCHED.to_owned()), expr).end()? } else { expr };
        Ok(expr.alias(name))
    });
    let mut shown: Vec<Expr> = partition.iter().map(|at| given(*at)).collect();
    let keys: Vec<usize> = if spec.rows == Rows::One { Vec::new() } else { order.iter().map(|(at, ..)| *at).collect() };
    for at in &keys {
        if !partition.contains(at) {
            shown.push(given(*at));
        }
    }
    shown.extend(measures.collect::<Result<Vec<_>>>()?);
    if spec.rows != Rows::One {
        shown.extend((0..fields.len()).filter(|at| !partition.contains(at) && !keys.contains(at)).map(given));
    }
    if shown.is_empty() {
        return Err(failed("SYNTAX_ERROR", "mismatched input 'PATTERN': MATCH_RECOGNIZE without columns"));
    }
    Ok(PlannedRelation::new(scan.project(shown)?.build()?, alias))
}

type Fields = [(Option<TableReference>, FieldRef)];

/// PARTITION BY and ORDER BY are of columns.
fn column_of(expr: &SqlExpr, fields: &Fields, context: &dyn RelationPlannerContext) -> Result<usize> {
    let SqlExpr::Identifier(ident) = expr else {
        return Err(failed("INVALID_COLUMN_REFERENCE", format_args!("Expected column reference. Actual: {expr}")));
    };
    let name = context.normalize_ident(ident.clone());
    let mut found = fields.iter().enumerate().filter(|(_, (_, field))| *field.name() == name).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (Some(_), Some(_)) => Err(failed("AMBIGUOUS_NAME", format_args!("Column '{name}' is ambiguous"))),
        (None, _) => {
            Err(failed("COLUMN_NOT_FOUND", format_args!("Column {name} is not present in the input relation")))
        }
    }
}

/// Takes expressions apart.
struct Taker<'a> {
    spec: &'a Spec,
    /// All columns under every variable's name.
    schema: DFSchema,
    columns: Vec<(String, FieldRef)>,
    leaves: Vec<Leaf>,
    fields: Vec<FieldRef>,
    aggregates: Vec<Aggregated>,
}

impl<'a> Taker<'a> {
    fn new(spec: &'a Spec, fields: &Fields) -> Result<Self> {
        let names = || fields.iter().map(|(_, field)| field.name());
        // What two columns are called is neither.
        let own: Vec<FieldRef> = fields
            .iter()
            .filter(|(_, field)| names().filter(|name| *name == field.name()).count() == 1)
            .map(|(_, field)| Arc::new(field.as_ref().clone().with_nullable(true)))
            .collect();
        let any: FieldRef = Arc::new(Field::new(ANY, DataType::Boolean, true));
        let mut all = Vec::new();
        let count = spec.labels.len() + spec.subsets.len();
        let qualifiers = std::iter::once(ROW.to_owned()).chain((0..count).map(|label| format!("$m{label}")));
        for qualifier in qualifiers {
            let qualifier = TableReference::bare(qualifier);
            for field in own.iter().chain(std::iter::once(&any)) {
                all.push((Some(qualifier.clone()), Arc::clone(field)));
            }
        }
        #[expect(clippy::disallowed_types, reason = "what DataFusion takes")]
        let metadata = std::collections::HashMap::default();
        Ok(Self {
            spec,
            schema: DFSchema::new_with_metadata(all, metadata)?,
            columns: fields.iter().map(|(_, field)| (field.name().clone(), Arc::clone(field))).collect(),
            leaves: Vec::new(),
            fields: Vec::new(),
            aggregates: Vec::new(),
        })
    }

    /// An expression as DataFusion has it, its columns qualified by variables.
    fn read(&self, mut expr: SqlExpr, context: &mut dyn RelationPlannerContext) -> Result<Expr> {
        let mut qualify = Qualify { columns: &self.columns, context };
        let _ = VisitMut::visit(&mut expr, &mut qualify);
        context.sql_to_expr(expr, &self.schema)
    }

    fn measure(&mut self, expr: Expr) -> Result<Expr> {
        self.take(expr, false)
    }

    fn condition(&mut self, expr: Expr) -> Result<Expr> {
        self.take(expr, true)
    }

    fn take(&mut self, expr: Expr, in_define: bool) -> Result<Expr> {
        let taken = expr.transform_down(|expr| {
            Ok(match expr {
                Expr::Column(column) => Transformed::new(
                    self.column(&column, &Way::default(), &mut Vec::new())?,
                    true,
                    TreeNodeRecursion::Jump,
                ),
                Expr::AggregateFunction(call) => {
                    Transformed::new(self.aggregate(call, false)?, true, TreeNodeRecursion::Jump)
                }
                Expr::ScalarFunction(call) if is_marker(&call) => {
                    Transformed::new(self.navigation(call, in_define)?, true, TreeNodeRecursion::Jump)
                }
                Expr::WindowFunction(_) => {
                    return Err(failed(
                        "NESTED_WINDOW",
                        "Cannot nest window functions or row pattern measures inside pattern recognition expressions",
                    ));
                }
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) if in_define => {
                    return Err(Error::not_supported("line 1:1: a subquery in DEFINE").into());
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(taken.data)
    }

    fn leaf(&mut self, leaf: Leaf, field: FieldRef) -> Expr {
        let at = self.leaves.iter().position(|known| *known == leaf).unwrap_or_else(|| {
            self.leaves.push(leaf);
            self.fields.push(field);
            self.leaves.len() - 1
        });
        Expr::Column(Column::new(Some(MATCHES), format!("l{at}")))
    }

    /// Which variables a column's qualifier is of; none: all.
    fn labels_of(&self, column: &Column) -> Result<(usize, Vec<Label>, bool)> {
        let qualifier = column.relation.as_ref().map(TableReference::table).unwrap_or_default();
        let labels = match qualifier.strip_prefix("$m").and_then(|digits| digits.parse::<Label>().ok()) {
            Some(label) => self.spec.primary(label),
            None => Vec::new(),
        };
        if column.name == ANY {
            return Ok((0, labels, true));
        }
        let at = self.columns.iter().position(|(name, _)| *name == column.name);
        let at =
            at.ok_or_else(|| failed("COLUMN_NOT_FOUND", format_args!("Column '{}' cannot be resolved", column.name)))?;
        Ok((at, labels, false))
    }

    fn column(&mut self, column: &Column, way: &Way, seen: &mut Vec<Vec<Label>>) -> Result<Expr> {
        let (at, labels, is_any) = self.labels_of(column)?;
        if is_any {
            return Err(failed("SYNTAX_ERROR", "mismatched input '*'"));
        }
        seen.push(labels.clone());
        let field = Arc::clone(&self.columns[at].1);
        Ok(self.leaf(Leaf::Column { column: at, at: way.navigation(labels) }, field))
    }

    fn classifier(&mut self, call: &ScalarFunction, way: &Way, seen: &mut Vec<Vec<Label>>) -> Result<Expr> {
        let labels = match call.args.first() {
            None => Vec::new(),
            Some(Expr::Column(column)) => self.labels_of(column)?.1,
            Some(_) => {
                let text = "the argument of CLASSIFIER is not a primary pattern variable or subset name";
                return Err(failed("INVALID_FUNCTION_ARGUMENT", text));
            }
        };
        seen.push(labels.clone());
        let field = Arc::new(Field::new("classifier", DataType::Utf8, true));
        Ok(self.leaf(Leaf::Classifier(way.navigation(labels)), field))
    }

    /// FIRST, LAST, PREV, NEXT, CLASSIFIER, MATCH_NUMBER, and RUNNING and FINAL before some of them.
    fn navigation(&mut self, call: ScalarFunction, in_define: bool) -> Result<Expr> {
        let mut way = Way::default();
        let mut call = call;
        let mut outer: Option<&'static str> = None;
        loop {
            let name = marker(&call);
            match name {
                "match_number" => {
                    let field = Arc::new(Field::new("match_number", DataType::Int64, true));
                    return Ok(self.leaf(Leaf::MatchNumber, field));
                }
                "classifier" => return self.classifier(&call, &way, &mut Vec::new()),
                "running" | "final" => {
                    if name == "final" && in_define {
                        let text = "FINAL semantics is not supported in DEFINE clause";
                        return Err(failed("INVALID_PROCESSING_MODE", text));
                    }
                    match call.args.into_iter().next().map(Expr::unalias) {
                        Some(Expr::AggregateFunction(inner)) if outer.is_none() => {
                            return self.aggregate(inner, name == "final");
                        }
                        Some(Expr::ScalarFunction(inner)) if matches!(marker(&inner), "first" | "last") => {
                            way.is_final = name == "final";
                            call = inner;
                            continue;
                        }
                        other => return Err(mode_refused(name, other.as_ref())),
                    }
                }
                _ => {}
            }
            let is_physical = matches!(name, "prev" | "next");
            if call.args.is_empty() || call.args.len() > 2 {
                let text = format!("{name} pattern recognition function requires 1 or 2 arguments");
                return Err(failed("INVALID_FUNCTION_ARGUMENT", text));
            }
            let offset = match call.args.get(1) {
                None => i64::from(is_physical),
                Some(offset) => number(offset, name)?,
            };
            if is_physical {
                way.then = if name == "prev" { -offset } else { offset };
            } else {
                way.from_last = name == "last";
                way.offset = usize::try_from(offset).unwrap_or(usize::MAX);
            }
            let inner = call.args.swap_remove(0);
            match inner {
                Expr::ScalarFunction(next)
                    if is_physical && matches!(marker(&next), "first" | "last" | "running" | "final") =>
                {
                    outer = Some(name);
                    call = next;
                }
                inner => return self.navigated(inner, &way, name),
            }
        }
    }

    /// What is read of the row that a navigation leads to.
    fn navigated(&mut self, inner: Expr, way: &Way, name: &'static str) -> Result<Expr> {
        let mut seen: Vec<Vec<Label>> = Vec::new();
        let taken = inner.transform_down(|expr| {
            Ok(match expr {
                Expr::Column(column) => {
                    Transformed::new(self.column(&column, way, &mut seen)?, true, TreeNodeRecursion::Jump)
                }
                Expr::ScalarFunction(call) if marker(&call) == "classifier" => {
                    Transformed::new(self.classifier(&call, way, &mut seen)?, true, TreeNodeRecursion::Jump)
                }
                Expr::ScalarFunction(call) if is_marker(&call) => {
                    let text = format!(
                        "Cannot nest {} pattern navigation function inside {name} pattern navigation function",
                        marker(&call)
                    );
                    return Err(failed("INVALID_NAVIGATION_NESTING", text));
                }
                Expr::AggregateFunction(_) => {
                    let text = format!("Cannot nest an aggregate function inside {name} pattern navigation function");
                    return Err(failed("INVALID_NAVIGATION_NESTING", text));
                }
                other => Transformed::no(other),
            })
        })?;
        if seen.is_empty() {
            let text = format!(
                "Pattern navigation function '{}' must contain at least one column reference or CLASSIFIER()",
                name.to_uppercase()
            );
            return Err(failed("INVALID_ARGUMENTS", text));
        }
        alike(&seen, name)?;
        Ok(taken.data)
    }

    fn aggregate(&mut self, call: AggregateFunction, is_final: bool) -> Result<Expr> {
        let name = call.func.name().to_owned();
        let refuse = |what: &str| {
            let base = name.split('$').next().unwrap_or(&name);
            let text =
                format!("line 1:1: Cannot use {what} with {base} aggregate function in pattern recognition context");
            Err(Error::not_supported(text).into())
        };
        if call.params.filter.is_some() {
            return refuse("FILTER");
        }
        if call.params.distinct || name.ends_with("$u") || name.contains("$u$") {
            return refuse("DISTINCT");
        }
        if !call.params.order_by.is_empty() || name.contains('$') {
            return refuse("ORDER BY");
        }
        let mut seen: Vec<Vec<Label>> = Vec::new();
        let mut args = Vec::new();
        for arg in call.params.args {
            let taken = arg.transform_down(|expr| {
                Ok(match expr {
                    Expr::Column(column) => {
                        let (at, labels, is_any) = self.labels_of(&column)?;
                        seen.push(labels);
                        let read = if is_any { lit(true) } else { Expr::Column(Column::from_name(format!("c{at}"))) };
                        Transformed::new(read, true, TreeNodeRecursion::Jump)
                    }
                    Expr::ScalarFunction(call) if marker(&call) == "classifier" => {
                        let labels = match call.args.first() {
                            Some(Expr::Column(column)) => self.labels_of(column)?.1,
                            _ => Vec::new(),
                        };
                        seen.push(labels);
                        let read = Expr::Column(Column::from_name(super::table::CLASSIFIER));
                        Transformed::new(read, true, TreeNodeRecursion::Jump)
                    }
                    Expr::ScalarFunction(call) if marker(&call) == "match_number" => {
                        let read = Expr::Column(Column::from_name(super::table::MATCH_NUMBER));
                        Transformed::new(read, true, TreeNodeRecursion::Jump)
                    }
                    Expr::ScalarFunction(call) if is_marker(&call) => {
                        let text =
                            format!("Cannot nest {} pattern navigation function inside {name} function", marker(&call));
                        return Err(failed("INVALID_NAVIGATION_NESTING", text));
                    }
                    other => Transformed::no(other),
                })
            })?;
            args.push(taken.data);
        }
        alike(&seen, &name)?;
        if args.is_empty() {
            args.push(lit(1i64));
        }
        let aggregate = Aggregated::new(call.func, args, self.columns.iter().map(|(_, field)| field))?;
        let field = aggregate.field();
        let at = self.aggregates.iter().position(|known| *known == aggregate).unwrap_or_else(|| {
            self.aggregates.push(aggregate);
            self.aggregates.len() - 1
        });
        let labels = seen.into_iter().next().unwrap_or_default();
        Ok(self.leaf(Leaf::Aggregate { aggregate: at, labels, is_final }, field))
    }
}

/// What RUNNING and FINAL do not stand before.
fn mode_refused(name: &str, of: Option<&Expr>) -> DataFusionError {
    let mode = name.to_uppercase();
    let text = match of {
        Some(Expr::ScalarFunction(call)) if matches!(marker(call), "prev" | "next") => {
            format!("{mode} semantics is not supported with {} pattern recognition function", marker(call))
        }
        of => {
            let actual = match of {
                Some(Expr::ScalarFunction(call)) => call.func.name(),
                _ => "expression",
            };
            format!(
                "{mode} semantics is supported only for FIRST(), LAST() and aggregation functions. Actual: {actual}"
            )
        }
    };
    failed("INVALID_PROCESSING_MODE", text)
}

fn alike(seen: &[Vec<Label>], name: &str) -> Result<()> {
    if seen.windows(2).any(|pair| pair[0] != pair[1]) {
        let text = format!("All labels and classifiers inside the call to '{name}' must match");
        return Err(failed("INVALID_ARGUMENTS", text));
    }
    Ok(())
}

/// A navigation that is being read.
struct Way {
    from_last: bool,
    offset: usize,
    is_final: bool,
    then: i64,
}

impl Default for Way {
    fn default() -> Self {
        Self { from_last: true, offset: 0, is_final: false, then: 0 }
    }
}

impl Way {
    fn navigation(&self, labels: Vec<Label>) -> Navigation {
        let Self { from_last, offset, is_final, then } = *self;
        Navigation { from_last, offset, is_final, then, ..Navigation::current(labels) }
    }
}

/// How far a navigation goes.
fn number(expr: &Expr, name: &str) -> Result<i64> {
    let plain = || {
        let text = format!("{name} pattern recognition navigation function requires a number as the second argument");
        failed("INVALID_FUNCTION_ARGUMENT", text)
    };
    let empty = DFSchema::empty();
    let read = analyzed(vec![expr.clone()], &empty).map_err(|_| plain())?;
    let simplifier = datafusion::optimizer::simplify_expressions::ExprSimplifier::new(
        datafusion::logical_expr::simplify::SimplifyContext::default(),
    );
    let read = read.into_iter().next().ok_or_else(plain)?.unalias();
    let Expr::Literal(value, _) = simplifier.simplify(read)? else { return Err(plain()) };
    let ScalarValue::Int64(Some(number)) = value.cast_to(&DataType::Int64).map_err(|_| plain())? else {
        return Err(plain());
    };
    if number < 0 {
        let text = format!(
            "{name} pattern recognition navigation function requires a non-negative number as the second argument (actual: {number})"
        );
        return Err(failed("NUMERIC_VALUE_OUT_OF_RANGE", text));
    }
    if number > i64::from(i32::MAX) {
        let text = format!(
            "The second argument of {name} pattern recognition navigation function must not exceed 2147483647 (actual: {number})"
        );
        return Err(failed("NUMERIC_VALUE_OUT_OF_RANGE", text));
    }
    Ok(number)
}

/// Expressions with all that the analysis of a plan makes of them.
pub(super) fn analyzed(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let named = exprs.into_iter().enumerate().map(|(i, expr)| expr.alias(format!("e{i}"))).collect();
    let empty = EmptyRelation { produce_one_row: false, schema: Arc::new(schema.clone()) };
    let plan = Projection::try_new(named, Arc::new(LogicalPlan::EmptyRelation(empty)))?;
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(crate::analyze::TrinoAnalyzer)];
    rules.extend(Analyzer::new().rules);
    let plan = Analyzer::with_rules(rules).execute_and_check(
        LogicalPlan::Projection(plan),
        &ConfigOptions::default(),
        |_, _| {},
    )?;
    match plan {
        LogicalPlan::Projection(projection) => Ok(projection.expr),
        _ => Err(Error::not_supported("line 1:1: this expression in pattern recognition context").into()),
    }
}

/// Columns without a variable before them are read of every row.
struct Qualify<'a> {
    columns: &'a [(String, FieldRef)],
    context: &'a dyn RelationPlannerContext,
}

impl VisitorMut for Qualify<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        let is_column = |ident: &Ident| {
            let name = self.context.normalize_ident(ident.clone());
            self.columns.iter().any(|(column, _)| *column == name)
        };
        match expr {
            SqlExpr::Identifier(ident) if is_column(ident) => {
                *expr = SqlExpr::CompoundIdentifier(vec![Ident::with_quote('"', ROW), ident.clone()]);
            }
            SqlExpr::CompoundIdentifier(parts)
                if parts.first().is_some_and(|first| !first.value.starts_with('$') && is_column(first)) =>
            {
                parts.insert(0, Ident::with_quote('"', ROW));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

const MARKERS: [&str; 8] = ["prev", "next", "first", "last", "running", "final", "classifier", "match_number"];

fn marker(call: &ScalarFunction) -> &'static str {
    let name = call.func.name().strip_prefix('$').unwrap_or_default();
    MARKERS.iter().find(|marker| **marker == name).copied().unwrap_or_default()
}

/// Whether a function stands for a navigation.
pub(crate) fn is_marker_name(name: &str) -> bool {
    name.strip_prefix('$').is_some_and(|name| MARKERS.contains(&name))
}

fn is_marker(call: &ScalarFunction) -> bool {
    !marker(call).is_empty()
}

/// Functions that stand for navigations until they are taken apart; none is ever called.
pub(crate) fn markers() -> impl Iterator<Item = ScalarUDF> {
    MARKERS.into_iter().map(|name| ScalarUDF::from(Marker::new(name)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Marker {
    name: String,
    signature: Signature,
}

impl Marker {
    fn new(name: &str) -> Self {
        let types = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        Self { name: format!("${name}"), signature: Signature::one_of(types, Volatility::Volatile) }
    }
}

impl ScalarUDFImpl for Marker {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match self.name.as_str() {
            "$classifier" => DataType::Utf8,
            "$match_number" => DataType::Int64,
            _ => types.first().cloned().unwrap_or(DataType::Null),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(failed("SYNTAX_ERROR", format_args!("'{}' outside of MATCH_RECOGNIZE", self.name.trim_start_matches('$'))))
    }
}

/// The type that an aggregate answers, of arguments over these columns.
pub(super) fn aggregate_field(func: &AggregateUDF, args: &[Expr], schema: &DFSchema) -> Result<FieldRef> {
    let fields = args.iter().map(|arg| arg.to_field(schema).map(|(_, field)| field)).collect::<Result<Vec<_>>>()?;
    func.return_field(&fields)
}
