//! What Trino's analysis refuses of a query and DataFusion would pass over or name otherwise, as far as the tree tells that was read.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Cte, DataType, DateTimeField, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, Interval, JoinConstraint, JoinOperator,
    NamedWindowDefinition, NamedWindowExpr, ObjectName, ObjectNamePart, OrderByKind, Query, Select, SelectItem,
    SetExpr, SetOperator, Spanned, TypedString, UnaryOperator, Value, Visit, Visitor, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowSpec, WindowType, visit_expressions, visit_relations,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::lower;
use super::rewrite::{name_of, plain_arguments};
use crate::error::{Error, Result};

/// The query as a whole, and every query in it.
pub(super) fn query(query: &Query) -> Result<()> {
    match query.visit(&mut Checks) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Checks;

fn flow(result: Result<()>) -> ControlFlow<Error> {
    result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

impl Visitor for Checks {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        flow(ordered_grouping(query).and_then(|()| match &query.with {
            Some(with) if with.recursive => with.cte_tables.iter().try_for_each(recursive),
            _ => Ok(()),
        }))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        let checked = joins(select)
            .and_then(|()| grouping_calls(select))
            .and_then(|()| keys(select))
            .and_then(|()| having(select))
            .and_then(|()| windows(select));
        flow(checked)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        flow(match expr {
            Expr::IsTrue(_) | Expr::IsNotTrue(_) => unread(expr.span(), "TRUE"),
            Expr::IsFalse(_) | Expr::IsNotFalse(_) => unread(expr.span(), "FALSE"),
            Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => unread(expr.span(), "UNKNOWN"),
            Expr::Interval(interval) => qualifier(interval),
            Expr::TypedString(text) => typed_literal(text),
            Expr::Lambda(lambda) => without_subqueries(&lambda.body),
            Expr::Function(call) => lambda_arguments(call).and_then(|()| listagg(call)),
            other => operands(other),
        })
    }
}

/// A comparison is of values, not of comparisons: `1 = 1 = true` wants parentheses.
fn operands(expr: &Expr) -> Result<()> {
    let operands: &[&Expr] = match expr {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => &[left, right],
        Expr::Between { expr, low, high, .. } => &[expr, low, high],
        Expr::Like { expr, pattern, .. } => &[expr, pattern],
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => &[left, right],
        Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => &[left],
        Expr::InList { expr, .. } | Expr::InSubquery { expr, .. } | Expr::IsNull(expr) | Expr::IsNotNull(expr) => {
            &[expr]
        }
        _ => return Ok(()),
    };
    match operands.iter().find(|operand| is_predicate(operand)) {
        Some(other) => unread(other.span(), &other.to_string()),
        None => Ok(()),
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq)
}

fn is_predicate(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { op, .. } => is_comparison(op),
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Not,
        Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_) => true,
        _ => false,
    }
}

/// Where something begins, for Trino's messages.
fn at(span: Span) -> String {
    let start = span.start;
    format!("line {}:{}", start.line.max(1), start.column.max(1))
}

fn refused(code: &str, span: Span, text: impl std::fmt::Display) -> Error {
    Error::user(1006, code, format_args!("{}: {text}", at(span)))
}

fn unread(span: Span, word: &str) -> Result<()> {
    let start = span.start;
    Err(Error::syntax(start.line.max(1), start.column.max(1), format_args!("mismatched input '{word}'")))
}

/// Looks at an expression and its parts, but for what stands in a query.
fn each_own(expr: &Expr, look: &mut dyn FnMut(&Expr) -> Result<()>) -> Result<()> {
    struct Own<'a> {
        depth: usize,
        look: &'a mut dyn FnMut(&Expr) -> Result<()>,
    }
    impl Visitor for Own<'_> {
        type Break = Error;
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
            if self.depth > 0 { ControlFlow::Continue(()) } else { flow((self.look)(expr)) }
        }
    }
    match expr.visit(&mut Own { depth: 0, look }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn shown(select: &Select) -> impl Iterator<Item = &Expr> {
    select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    })
}

/// A join other than CROSS JOIN says by what.
fn joins(select: &Select) -> Result<()> {
    use JoinOperator as On;
    for join in select.from.iter().flat_map(|from| &from.joins) {
        let (On::Join(by)
        | On::Inner(by)
        | On::Left(by)
        | On::LeftOuter(by)
        | On::Right(by)
        | On::RightOuter(by)
        | On::FullOuter(by)) = &join.join_operator
        else {
            continue;
        };
        match by {
            JoinConstraint::None => return unread(join.relation.span(), "<EOF>'. Expecting: 'ON', 'USING"),
            JoinConstraint::On(condition) => scalar(condition, "JOIN clause")?,
            _ => {}
        }
    }
    Ok(())
}

/// Errors: an aggregate, a window or GROUPING where each row is to have a value of its own.
fn scalar(expr: &Expr, clause: &str) -> Result<()> {
    each_own(expr, &mut |expr| match expr {
        Expr::Function(call) if of_several_rows(call) => {
            let text =
                format!("{clause} cannot contain aggregations, window functions or grouping operations: [{call}]");
            Err(refused("EXPRESSION_NOT_SCALAR", call.span(), text))
        }
        _ => Ok(()),
    })
}

fn of_several_rows(call: &Function) -> bool {
    call.over.is_some()
        || name_of(call).is_some_and(|name| name == "grouping" || trino_functions::aggregate::exists(&name))
}

fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// What rows are grouped by are values of rows, and columns where there are several sets of them.
fn keys(select: &Select) -> Result<()> {
    let GroupByExpr::Expressions(items, _) = &select.group_by else { return Ok(()) };
    for item in items {
        match item {
            Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                for key in sets.iter().flatten() {
                    if let Expr::Function(inner) = key
                        && matches!(name_of(inner).as_deref(), Some("rollup" | "cube"))
                    {
                        return unread(key.span(), &inner.name.to_string());
                    }
                    scalar(key, "GROUP BY clause")?;
                    if !is_name(key) && !matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)) {
                        let text = format!("GROUP BY expression must be a column reference: {key}");
                        return Err(refused("INVALID_COLUMN_REFERENCE", key.span(), text));
                    }
                }
            }
            Expr::Value(value) => {
                let Value::Number(number, _) = &value.value else { continue };
                let position = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                let starred = select
                    .projection
                    .iter()
                    .any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
                if let Some(expr) = position.filter(|_| !starred).and_then(|at| shown(select).nth(at)) {
                    scalar(expr, "GROUP BY clause")?;
                }
            }
            other => scalar(other, "GROUP BY clause")?,
        }
    }
    Ok(())
}

fn having(select: &Select) -> Result<()> {
    let Some(condition) = &select.having else { return Ok(()) };
    each_own(condition, &mut |expr| match expr {
        Expr::Function(call) if call.over.is_some() => {
            let text = "HAVING clause cannot contain window functions or row pattern measures";
            Err(refused("NESTED_WINDOW", call.span(), text))
        }
        _ => Ok(()),
    })
}

/// GROUPING says of rows of groups by which columns they are grouped, of nothing else and nowhere else.
fn grouping_calls(select: &Select) -> Result<()> {
    let of_condition = select.selection.as_ref().and_then(grouping_call);
    if let Some(call) = of_condition {
        let list = plain_arguments(&call).unwrap_or_default();
        let list = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let text = format!(
            "line 1:1: WHERE clause cannot contain aggregations, window functions or grouping operations: [GROUPING ({list})]"
        );
        return Err(Error::user(1006, "EXPRESSION_NOT_SCALAR", text));
    }
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
    let shown = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    for call in shown.chain(&select.having).filter_map(grouping_call) {
        if !grouped {
            let text = "line 1:1: A GROUPING() operation can only be used with a corresponding GROUPING SET/CUBE/ROLLUP/GROUP BY clause";
            return Err(Error::user(1006, "MISSING_GROUP_BY", text));
        }
        if let Some(other) = plain_arguments(&call).unwrap_or_default().iter().find(|expr| !is_name(expr)) {
            let at = call.name.span().start;
            return Err(Error::syntax(at.line.max(1), at.column.max(1), format_args!("mismatched input '{other}'")));
        }
    }
    Ok(())
}

/// The first call of GROUPING in an expression, but for what stands in a query.
fn grouping_call(expr: &Expr) -> Option<Function> {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(None),
        Expr::Function(call) if name_of(call).as_deref() == Some("grouping") => ControlFlow::Break(Some(call.clone())),
        _ => ControlFlow::Continue(()),
    });
    found.break_value().flatten()
}

/// ORDER BY may ask GROUPING of columns of what is read, not of those of the result.
fn ordered_grouping(query: &Query) -> Result<()> {
    let Some(OrderByKind::Expressions(items)) = query.order_by.as_ref().map(|order| &order.kind) else { return Ok(()) };
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
    let results = |name: &Ident| {
        select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(Expr::Identifier(own)) => own.value.eq_ignore_ascii_case(&name.value),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                parts.last().is_some_and(|own| own.value.eq_ignore_ascii_case(&name.value))
            }
            SelectItem::ExprWithAlias { alias, .. } => alias.value.eq_ignore_ascii_case(&name.value),
            _ => false,
        })
    };
    for call in items.iter().filter_map(|item| grouping_call(&item.expr)) {
        let arguments = plain_arguments(&call).unwrap_or_default();
        if arguments.iter().any(|argument| matches!(argument, Expr::Identifier(name) if results(name))) {
            let text = "Invalid reference to output of SELECT clause from grouping() expression in ORDER BY";
            return Err(Error::user(1006, "INVALID_ARGUMENTS", text));
        }
    }
    Ok(())
}

/// A query of WITH RECURSIVE: its columns have names. If it names itself, it is a UNION whose first query does not, and is read whole.
fn recursive(table: &Cte) -> Result<()> {
    let name = &table.alias.name;
    if table.alias.columns.is_empty() {
        return Err(refused("MISSING_COLUMN_ALIASES", name.span, "missing column aliases in recursive WITH query"));
    }
    let recursive = reads(table.query.as_ref(), name);
    if !recursive {
        return Ok(());
    }
    let SetExpr::SetOperation { op: SetOperator::Union, left, .. } = table.query.body.as_ref() else {
        let text = "recursive reference not allowed in this context";
        return Err(refused("INVALID_RECURSIVE_REFERENCE", name.span, text));
    };
    if reads(left.as_ref(), name) {
        let text = "WITH table name is referenced in the base relation of recursion";
        return Err(refused("INVALID_RECURSIVE_REFERENCE", name.span, text));
    }
    if table.query.order_by.is_some() {
        return Err(Error::not_supported(format_args!(
            "{}: immediate ORDER BY clause in recursive query",
            at(name.span)
        )));
    }
    if table.query.limit_clause.is_some() || table.query.fetch.is_some() {
        let text = "immediate FETCH FIRST / LIMIT clause in recursive query";
        return Err(refused("INVALID_LIMIT_CLAUSE", name.span, text));
    }
    Ok(())
}

/// Whether a relation of this name is read.
fn reads(part: &impl Visit, name: &Ident) -> bool {
    let found = visit_relations(part, |relation: &ObjectName| match relation.0.as_slice() {
        [ObjectNamePart::Identifier(own)] if own.value.eq_ignore_ascii_case(&name.value) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Windows that have names, and the functions over windows among what is selected.
fn windows(select: &Select) -> Result<()> {
    let mut known: Vec<(&Ident, Option<&WindowSpec>)> = Vec::new();
    for NamedWindowDefinition(name, window) in &select.named_window {
        if known.iter().any(|(other, _)| other.value.eq_ignore_ascii_case(&name.value)) {
            let text = format!("WINDOW name '{}' specified more than once", name.value);
            return Err(refused("DUPLICATE_WINDOW_NAME", name.span, text));
        }
        let spec = match window {
            NamedWindowExpr::WindowSpec(spec) => Some(spec),
            NamedWindowExpr::NamedWindow(_) => None,
        };
        if let Some(spec) = spec {
            based(spec, &known)?;
        }
        known.push((name, spec));
    }
    for expr in shown(select) {
        each_own(expr, &mut |expr| match expr {
            Expr::Function(call) => windowed(call, &known),
            _ => Ok(()),
        })?;
    }
    Ok(())
}

fn base<'a>(name: &Ident, known: &[(&Ident, Option<&'a WindowSpec>)]) -> Result<Option<&'a WindowSpec>> {
    match known.iter().find(|(own, _)| own.value.eq_ignore_ascii_case(&name.value)) {
        Some((_, spec)) => Ok(*spec),
        None => Err(refused(
            "INVALID_WINDOW_REFERENCE",
            name.span,
            format_args!("Cannot resolve WINDOW name {}", name.value),
        )),
    }
}

/// What a window adds to one that it names.
fn based(spec: &WindowSpec, known: &[(&Ident, Option<&WindowSpec>)]) -> Result<()> {
    let Some(name) = &spec.window_name else { return Ok(()) };
    let base = base(name, known)?;
    if let Some(key) = spec.partition_by.first() {
        let text = "WINDOW specification with named WINDOW reference cannot specify PARTITION BY";
        return Err(refused("INVALID_PARTITION_BY", key.span(), text));
    }
    if !spec.order_by.is_empty() && base.is_some_and(|base| !base.order_by.is_empty()) {
        let text = "Cannot specify ORDER BY if referenced named WINDOW specifies ORDER BY";
        return Err(refused("INVALID_ORDER_BY", name.span, text));
    }
    if base.is_some_and(|base| base.window_frame.is_some()) {
        let text = "Cannot reference named WINDOW containing frame specification";
        return Err(refused("INVALID_WINDOW_REFERENCE", name.span, text));
    }
    Ok(())
}

/// Functions that may be told what to do with nulls.
const OF_VALUES: &[&str] = &["lag", "lead", "first_value", "last_value", "nth_value"];

fn windowed(call: &Function, known: &[(&Ident, Option<&WindowSpec>)]) -> Result<()> {
    let (Some(over), Some(name)) = (&call.over, name_of(call)) else { return Ok(()) };
    match over {
        WindowType::NamedWindow(name) => {
            base(name, known)?;
        }
        WindowType::WindowSpec(spec) => {
            based(spec, known)?;
            if let Some(frame) = &spec.window_frame {
                offsets(frame)?;
            }
        }
    }
    if !lower::is_windowed(&name) && lower::is_known(&name) {
        return Err(refused("FUNCTION_NOT_WINDOW", call.span(), format_args!("Not a window function: {name}")));
    }
    let given = match &call.args {
        FunctionArguments::List(list) => list.args.len(),
        _ => 0,
    };
    let taken = match name.as_str() {
        "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" => 0..=0,
        "first_value" | "last_value" | "ntile" => 1..=1,
        "nth_value" => 2..=2,
        "lag" | "lead" => 1..=3,
        _ => 0..=usize::MAX,
    };
    if !taken.contains(&given) {
        let text = format!("Unexpected parameters for function {name}");
        return Err(refused("FUNCTION_NOT_FOUND", call.span(), text));
    }
    let listed = match &call.args {
        FunctionArguments::List(list) => {
            list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_)))
        }
        _ => false,
    };
    if (listed || call.null_treatment.is_some()) && !OF_VALUES.contains(&name.as_str()) {
        let text = format!("Cannot specify null treatment clause for {name} function");
        return Err(refused("NULL_TREATMENT_NOT_ALLOWED", call.span(), text));
    }
    Ok(())
}

/// Offsets of frames that count rows and groups are whole numbers, as far as they are literals.
fn offsets(frame: &WindowFrame) -> Result<()> {
    let bounds = [("start", Some(&frame.start_bound)), ("end", frame.end_bound.as_ref())];
    for (which, bound) in bounds {
        let Some(WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset))) = bound else {
            continue;
        };
        let value = match offset.as_ref() {
            Expr::Value(value) => &value.value,
            // A text, of which the parser makes an interval.
            Expr::Interval(Interval { value, leading_field: None, .. }) => match value.as_ref() {
                Expr::Value(text) => &text.value,
                _ => continue,
            },
            Expr::Interval(_) | Expr::UnaryOp { .. } => continue,
            other => {
                let text = format!("{}: Window frame offsets that are no literals", at(other.span()));
                return Err(Error::not_supported(text));
            }
        };
        let ty = match value {
            Value::Number(text, _) if text.contains(['e', 'E']) => "double".to_owned(),
            Value::Number(text, _) if text.contains('.') => {
                let scale = text.split('.').nth(1).unwrap_or_default().len();
                format!("decimal({},{scale})", text.trim_start_matches('0').len().saturating_sub(1).max(scale).max(1))
            }
            Value::SingleQuotedString(text) => format!("varchar({})", text.chars().count()),
            Value::Null => "unknown".to_owned(),
            Value::Boolean(_) => "boolean".to_owned(),
            _ => continue,
        };
        if frame.units != WindowFrameUnits::Range {
            let text = format!(
                "Window frame {} {which} value type must be exact numeric type with scale 0 (actual {ty})",
                frame.units
            );
            return Err(refused("TYPE_MISMATCH", offset.span(), text));
        }
        if ty.starts_with("varchar") || ty == "boolean" {
            let text = format!("Window frame RANGE value type ({ty}) not compatible with sort item type");
            return Err(refused("TYPE_MISMATCH", offset.span(), text));
        }
    }
    Ok(())
}

/// `INTERVAL '1' DAY TO SECOND`: from a larger unit to a smaller one of the same kind.
fn qualifier(interval: &Interval) -> Result<()> {
    let Some(from) = &interval.leading_field else { return Ok(()) };
    let rank = |field: &DateTimeField| match field {
        DateTimeField::Year => Some((0, 0)),
        DateTimeField::Month => Some((0, 1)),
        DateTimeField::Day => Some((1, 0)),
        DateTimeField::Hour => Some((1, 1)),
        DateTimeField::Minute => Some((1, 2)),
        DateTimeField::Second => Some((1, 3)),
        _ => None,
    };
    let Some(larger) = rank(from) else {
        // A sign makes it an expression: what is before it is a column.
        if matches!(interval.value.as_ref(), Expr::UnaryOp { .. }) {
            let text = "Column 'interval' cannot be resolved";
            return Err(refused("COLUMN_NOT_FOUND", interval.value.span(), text));
        }
        return Err(refused("TYPE_NOT_FOUND", interval.value.span(), "Unknown resolvedType: INTERVAL"));
    };
    let Some(to) = &interval.last_field else { return Ok(()) };
    if rank(to).is_some_and(|smaller| smaller.0 == larger.0 && smaller.1 > larger.1) {
        return Ok(());
    }
    let text = format!("Invalid interval qualifier: {from} TO {to}");
    Err(refused("INVALID_LITERAL", interval.value.span(), text))
}

/// A type before a text has no parameters.
fn typed_literal(text: &TypedString) -> Result<()> {
    let of_digits = |info: &ExactNumberInfo| *info != ExactNumberInfo::None;
    let parameters = match &text.data_type {
        DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) => of_digits(info),
        DataType::Varchar(length) | DataType::Char(length) | DataType::Character(length) => length.is_some(),
        _ => false,
    };
    if parameters { unread(text.value.span, &text.value.to_string()) } else { Ok(()) }
}

fn without_subqueries(body: &Expr) -> Result<()> {
    let found = visit_expressions(body, |expr| match expr {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(at(expr.span())),
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(at) => {
            Err(Error::not_supported(format_args!("{at}: Lambda expression cannot contain subqueries")))
        }
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// A lambda is given to functions that take one.
fn lambda_arguments(call: &Function) -> Result<()> {
    let Some(name) = name_of(call) else { return Ok(()) };
    let FunctionArguments::List(list) = &call.args else { return Ok(()) };
    let is_lambda =
        |argument: &FunctionArg| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(_))));
    // What routines have become takes its own.
    if list.args.iter().any(is_lambda)
        && !name.starts_with('$')
        && lower::is_known(&name)
        && !lower::takes_lambdas(&name)
    {
        let text = format!("Unexpected parameters (<function>) for function {name}");
        return Err(refused("FUNCTION_NOT_FOUND", call.span(), text));
    }
    Ok(())
}

/// `listagg(value [, 'separator']) WITHIN GROUP (ORDER BY …)` is a form of the grammar's.
fn listagg(call: &Function) -> Result<()> {
    if name_of(call).as_deref() != Some("listagg") {
        return Ok(());
    }
    let FunctionArguments::List(list) = &call.args else { return Ok(()) };
    let separator = list.args.get(1).map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))
            if matches!(value.value, Value::SingleQuotedString(_) | Value::UnicodeStringLiteral(_)) =>
        {
            Ok(())
        }
        other => unread(call.span(), &format!("{other}'. Expecting: '<string>")),
    });
    separator.unwrap_or(Ok(()))?;
    if let Some(more) = list.args.get(2) {
        return unread(call.span(), &more.to_string());
    }
    if call.within_group.is_empty() {
        return unread(call.span(), "<EOF>'. Expecting: 'WITHIN");
    }
    Ok(())
}
