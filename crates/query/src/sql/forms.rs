//! Forms of Trino's language that DataFusion lacks, as others that mean the same: FETCH FIRST, patterns with an escape
//! character, comparisons with ALL and ANY, rows compared with rows, UNNEST beside what it reads.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Ident, Join as AstJoin, JoinConstraint, JoinOperator, LimitClause, NamedWindowDefinition, NamedWindowExpr,
    ObjectName, ObjectNamePart, OneOrManyWithParens, OrderByExpr, OrderByKind, Query, Select as AstSelect, SelectItem,
    SetExpr, SetOperator, SetQuantifier, Spanned, TableAlias, TableAliasColumnDef, TableFactor, TableVersion,
    TableWithJoins, UnaryOperator, Value, VisitMut, VisitorMut, WindowSpec, WindowType, visit_expressions,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::dialect::Trino;
use super::rewrite::{INTERNAL, function, name_of, plain_arguments, template};
use crate::error::{Error, Result};

/// Begins the part of a table's name that says which of its states is meant: `t$as of version 5`.
pub(crate) const AS_OF: &str = "as of ";

/// Time travel travels in the table's name, for who looks tables up knows what versions they have.
pub(super) fn time_travel(factor: &mut TableFactor) {
    let TableFactor::Table { name, alias, version, .. } = factor else { return };
    let text = match version.take() {
        Some(TableVersion::TimestampAsOf(expr)) => match reference(&expr) {
            Some(name) => format!("version '{}'", name.replace('\'', "''")),
            None => format!("timestamp {expr}"),
        },
        Some(TableVersion::VersionAsOf(expr)) => format!("version {expr}"),
        other => {
            *version = other;
            return;
        }
    };
    let Some(last) = name.0.pop().and_then(|part| part.as_ident().cloned()) else { return };
    if alias.is_none() {
        *alias = Some(TableAlias { explicit: true, name: last.clone(), columns: Vec::new(), at: None });
    }
    let value = format!("{}${AS_OF}{text}", last.value.to_lowercase());
    name.0.push(ObjectNamePart::Identifier(Ident::with_quote('"', value)));
}

fn reference(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.strip_prefix(super::grammar::REFERENCE),
            _ => None,
        },
        _ => None,
    }
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
pub(super) fn fetch(query: &mut Query) -> Result<()> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    if fetch.percent {
        return Err(Error::not_supported("FETCH FIRST … PERCENT"));
    }
    let count = fetch.quantity.unwrap_or_else(|| number(1));
    if fetch.with_ties {
        return with_ties(query, &count);
    }
    match &mut query.limit_clause {
        None => {
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(count), offset: None, limit_by: Vec::new() });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(count),
        Some(_) => return Err(Error::syntax(1, 1, "mismatched input 'FETCH'")),
    }
    Ok(())
}

fn number(n: u64) -> Expr {
    Expr::Value(Value::Number(n.to_string(), false).into())
}

/// DataFusion's patterns have the backslash for an escape character, Trino's have none but the one that is named.
pub(super) fn like(expr: &mut Expr) -> Option<Result<()>> {
    let Expr::Like { pattern, escape_char, .. } = expr else { return None };
    let escape = escape_char.take();
    let literal = match pattern.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let given = match escape.as_ref().map(|value| &value.value) {
        None => None,
        Some(Value::SingleQuotedString(text)) => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => Some(only),
                _ => {
                    return Some(Err(Error::user(
                        1203,
                        "INVALID_FUNCTION_ARGUMENT",
                        "Escape string must be a single character",
                    )));
                }
            }
        }
        Some(_) => return Some(Err(Error::not_supported("LIKE with an escape character that is no literal"))),
    };
    if let Some(text) = literal {
        return Some(like_pattern(&text, given).map(|text| {
            **pattern = Expr::Value(Value::SingleQuotedString(text).into());
        }));
    }
    let mut arguments = vec![pattern.as_ref().clone()];
    arguments.extend(given.map(|c| Expr::Value(Value::SingleQuotedString(c.to_string()).into())));
    **pattern = function("like_pattern", arguments);
    Some(Ok(()))
}

/// A pattern of Trino's as one of DataFusion's.
pub(crate) fn like_pattern(text: &str, escape: Option<char>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some(next @ ('%' | '_')) => {
                    out.push('\\');
                    out.push(next);
                }
                Some(next) if Some(next) == escape => {
                    if next == '\\' {
                        out.push('\\');
                    }
                    out.push(next);
                }
                _ => {
                    return Err(Error::user(
                        1203,
                        "INVALID_FUNCTION_ARGUMENT",
                        "Escape character must be followed by '%', '_' or the escape character itself",
                    ));
                }
            }
        } else {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
    Ok(out)
}

/// `x < ALL (query)` and its like, by the least, the greatest and the number of the query's values.
pub(super) fn quantified(expr: &Expr) -> Option<Expr> {
    use BinaryOperator as Op;
    let (left, op, right, all) = match expr {
        Expr::AllOp { left, compare_op, right } => (left, compare_op, right, true),
        Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, false),
        _ => return None,
    };
    let Expr::Subquery(query) = right.as_ref() else { return None };
    let left = left.as_ref().clone();
    let width = fields(&left).map_or(1, |fields| fields.len());
    match (op, all) {
        (Op::Eq, false) | (Op::NotEq, true) if width > 1 => return counted(expr),
        (Op::Eq, false) | (Op::NotEq, true) => {
            return Some(Expr::InSubquery { expr: Box::new(left), subquery: query.clone(), negated: all });
        }
        _ => {}
    }
    let operator = op.to_string();
    let condition = match (op, all) {
        (Op::Lt | Op::LtEq, true) | (Op::Gt | Op::GtEq, false) => format!("$1 {operator} $4"),
        (Op::Gt | Op::GtEq, true) | (Op::Lt | Op::LtEq, false) => format!("$1 {operator} $5"),
        (Op::Eq, true) => "$1 = $4 AND $1 = $5".to_owned(),
        (Op::NotEq, false) => "$1 <> $4 OR $1 <> $5".to_owned(),
        _ => return None,
    };
    let text = if all {
        format!(
            "CASE WHEN $2 = 0 THEN TRUE WHEN NOT ({condition}) THEN FALSE WHEN $1 IS NULL OR $2 <> $3 THEN NULL ELSE TRUE END"
        )
    } else {
        format!(
            "CASE WHEN $2 = 0 THEN FALSE WHEN {condition} THEN TRUE WHEN $1 IS NULL OR $2 <> $3 THEN NULL ELSE FALSE END"
        )
    };
    let figures = ["count(*)", "count($)", "min($)", "max($)"]
        .map(|figure| figure_of(query, figure, width))
        .into_iter()
        .collect::<Option<Vec<_>>>()?;
    let mut arguments = vec![left];
    arguments.extend(figures);
    filled_once(&text, arguments)
}

/// A template whose arguments are named more than once. What goes by chance is put into a row first, from which each place takes it.
fn filled_once(text: &str, arguments: Vec<Expr>) -> Option<Expr> {
    if !arguments.iter().any(is_random) {
        return template(text, &arguments);
    }
    let body = template(text, &held(arguments.len())?)?;
    holding(arguments, body)
}

/// The places of so many values in the row that [`holding`] has for them.
pub(super) fn held(count: usize) -> Option<Vec<Expr>> {
    (1..=count).map(|i| template(&format!("{}[{i}]", made("held")), &[])).collect()
}

/// An expression that has values from a row, so that each is evaluated once.
pub(super) fn holding(values: Vec<Expr>, body: Expr) -> Option<Expr> {
    let body = super::lower::lambda(made_ident("held"), body);
    template("element_at(transform(ARRAY[$1], $2), 1)", &[function("row", values), body])
}

/// Whether each evaluation may give another value.
pub(super) fn is_random(expr: &Expr) -> bool {
    visit_expressions(expr, |expr| match expr {
        Expr::Function(call)
            if name_of(call).is_some_and(|name| ["random", "rand", "uuid", "shuffle"].contains(&name.as_str())) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// A name for what is put into a statement here. Names of a statement's are in lower case, also those in quotes, so that nobody can
/// mean it, nor can it hide what somebody means.
pub(super) fn made_ident(name: &str) -> Ident {
    Ident::with_quote('"', format!("{INTERNAL}Made {name}"))
}

fn made(name: &str) -> String {
    made_ident(name).to_string()
}

/// `x IN (query)` among what is selected, by numbers of the query's values: DataFusion joins a query only for a condition.
pub(super) fn in_query(expr: &mut Expr) {
    let _ = VisitMut::visit(expr, &mut InQuery { depth: 0, exists: true, rows: false });
}

/// The condition of a join that keeps rows which meet none.
pub(super) fn outer_condition(join: &mut JoinOperator) -> Option<&mut Expr> {
    match join {
        JoinOperator::Left(JoinConstraint::On(condition))
        | JoinOperator::LeftOuter(JoinConstraint::On(condition))
        | JoinOperator::Right(JoinConstraint::On(condition))
        | JoinOperator::RightOuter(JoinConstraint::On(condition))
        | JoinOperator::FullOuter(JoinConstraint::On(condition)) => Some(condition),
        _ => None,
    }
}

/// `x IN (query)` in a condition where DataFusion's join would take NULL for FALSE: below anything but AND, and negated below OR.
/// A `NOT IN` that has to be true is joined with regard to nulls, and EXISTS is never NULL.
pub(super) fn uncertain_in_query(condition: &mut Expr) {
    fn walk(condition: &mut Expr, alone: bool) {
        match condition {
            Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
                let alone = alone && *op == BinaryOperator::And;
                walk(left, alone);
                walk(right, alone);
            }
            Expr::Nested(inner) => walk(inner, alone),
            Expr::InSubquery { negated, .. } if alone || !*negated => {}
            Expr::AnyOp { .. } | Expr::Exists { .. } => {}
            Expr::AllOp { .. } if alone => {}
            other => {
                let _ = VisitMut::visit(other, &mut InQuery { depth: 0, exists: false, rows: false });
            }
        }
    }
    walk(condition, true);
}

/// Puts numbers in the place of what asks a query, but for what stands in a query itself.
struct InQuery {
    depth: usize,
    /// EXISTS too.
    exists: bool,
    /// Only what compares rows.
    rows: bool,
}

/// Whether a row is looked for among a query's rows.
fn looks_for_row(expr: &Expr) -> bool {
    let (Expr::InSubquery { expr: left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. }) = expr else {
        return false;
    };
    fields(left).is_some_and(|fields| fields.len() > 1)
}

impl VisitorMut for InQuery {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && (self.exists || !matches!(expr, Expr::Exists { .. }))
            && (!self.rows || looks_for_row(expr))
            && let Some(new) = counted(expr)
        {
            *expr = new;
        }
        ControlFlow::Continue(())
    }
}

fn counted(expr: &Expr) -> Option<Expr> {
    use BinaryOperator as Op;
    if let Expr::Exists { subquery, negated } = expr {
        let operator = if *negated { "=" } else { ">" };
        return template(&format!("$1 {operator} 0"), &[Expr::Subquery(counting(subquery)?)]);
    }
    let (left, query, negated) = match expr {
        Expr::InSubquery { expr, subquery, negated } => (expr, subquery, *negated),
        Expr::AnyOp { left, compare_op: Op::Eq, right, .. } | Expr::AllOp { left, compare_op: Op::NotEq, right } => {
            let Expr::Subquery(query) = right.as_ref() else { return None };
            (left, query, matches!(expr, Expr::AllOp { .. }))
        }
        _ => return None,
    };
    let (found, missing) = if negated { ("FALSE", "TRUE") } else { ("TRUE", "FALSE") };
    if let Some(fields) = fields(left).filter(|fields| fields.len() > 1) {
        if is_random(left) || is_gathered(left) {
            let rows = figure_of(query, "array_agg(DISTINCT $)", fields.len())?;
            let among = function(AMONG, vec![function("row", fields), rows]);
            return template(&format!("CASE WHEN $1 THEN {found} ELSE {missing} END"), &[among]);
        }
        let text = format!("CASE WHEN $1 > 0 THEN {found} ELSE {missing} END");
        return template(&text, &[rows_like(query, &fields)?]);
    }
    let text = format!(
        "CASE WHEN $2 = 0 THEN {missing} WHEN $1 IS NULL THEN NULL WHEN $4 > 0 THEN {found} WHEN $2 <> $3 THEN NULL ELSE {missing} END"
    );
    // What no query within it may name, or may be evaluated once alone, is joined by `decorrelate`.
    if is_random(left) || is_gathered(left) {
        let (expr, subquery) = (left.clone(), query.clone());
        return Some(Expr::InSubquery { expr, subquery, negated });
    }
    let Expr::Subquery(mut equal) = figure_of(query, "count(*)", 1)? else { return None };
    if let SetExpr::Select(select) = equal.body.as_mut() {
        select.selection = template(&format!("{} = $1", made("value")), std::slice::from_ref(left.as_ref()));
    }
    template(
        &text,
        &[
            left.as_ref().clone(),
            figure_of(query, "count(*)", 1)?,
            figure_of(query, "count($)", 1)?,
            Expr::Subquery(equal),
        ],
    )
}

/// Whether a row is among those of an array, which is null where there are none.
pub(crate) const AMONG: &str = "$among";

/// Whether an expression is of groups or windows, so that a query within it cannot name it.
fn is_gathered(expr: &Expr) -> bool {
    visit_expressions(expr, |expr| match expr {
        Expr::Function(call)
            if call.over.is_some()
                || name_of(call)
                    .is_some_and(|name| trino_functions::aggregate::exists(&name) || name == "grouping") =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// How many rows of a query are these fields. Trino compares rows of a query whole there, nulls and all.
fn rows_like(query: &Query, fields: &[Expr]) -> Option<Expr> {
    let names: Vec<String> = (0..fields.len()).map(|i| made(&format!("field {i}"))).collect();
    let text = format!("SELECT count(*) FROM (SELECT 1) AS {} ({})", made("rows"), names.join(", "));
    let mut outer = Parser::new(&Trino).try_with_sql(&text).ok()?.parse_query().ok()?;
    put_subquery(&mut outer, query)?;
    if let SetExpr::Select(select) = outer.body.as_mut() {
        let conditions = fields
            .iter()
            .zip(&names)
            .map(|(field, name)| template(&format!("{name} IS NOT DISTINCT FROM $1"), std::slice::from_ref(field)));
        let conditions = conditions.collect::<Option<Vec<_>>>()?;
        select.selection = all_of(conditions.into_iter(), &BinaryOperator::And);
    }
    Some(Expr::Subquery(outer))
}

/// How many rows a query has. A plain one counts them itself, so that what it names of the outer query stays near.
fn counting(query: &Query) -> Option<Box<Query>> {
    let text = format!("SELECT count(*) FROM (SELECT 1) AS {}", made("rows"));
    let mut outer = Parser::new(&Trino).try_with_sql(&text).ok()?.parse_query().ok()?;
    if let SetExpr::Select(select) = query.body.as_ref()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty())
        && !select.projection.iter().any(is_aggregate)
    {
        let SetExpr::Select(count) = outer.body.as_ref() else { return None };
        let mut plain = Query { order_by: None, ..query.clone() };
        let body = AstSelect { projection: count.projection.clone(), ..select.as_ref().clone() };
        *plain.body = SetExpr::Select(Box::new(body));
        return Some(Box::new(plain));
    }
    put_subquery(&mut outer, query)?;
    Some(outer)
}

fn is_aggregate(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return false };
    visit_expressions(expr, |expr| match expr {
        Expr::Function(function) if name_of(function).is_some_and(|name| trino_functions::aggregate::exists(&name)) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// `(SELECT <figure> FROM (<query>) AS made (value))`, where `$` is the query's column, or the row of so many.
fn figure_of(query: &Query, figure: &str, width: usize) -> Option<Expr> {
    let name = |i: usize| if width == 1 { made("value") } else { made(&format!("value {i}")) };
    let columns: Vec<String> = (0..width).map(name).collect();
    let list = columns.join(", ");
    let value = if width == 1 { list.clone() } else { format!("ROW({list})") };
    let text = format!("SELECT {} FROM (SELECT 1) AS {} ({list})", figure.replace('$', &value), made("rows"));
    let mut outer = Parser::new(&Trino).try_with_sql(&text).ok()?.parse_query().ok()?;
    put_subquery(&mut outer, query)?;
    Some(Expr::Subquery(outer))
}

/// Puts a query in the place of the only derived table.
fn put_subquery(outer: &mut Query, query: &Query) -> Option<()> {
    let SetExpr::Select(select) = outer.body.as_mut() else { return None };
    let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else { return None };
    **subquery = query.clone();
    Some(())
}

/// Makes a row of names and values in turn.
pub(super) const NAMED_ROW: &str = "$named_row";

/// `(SELECT a, b …)` where a value is wanted is a row, of nulls if there is none.
pub(super) fn row_of_query(expr: &Expr) -> Option<Expr> {
    let Expr::Subquery(query) = expr else { return None };
    let names = columns_of(&query.body).filter(|names| names.len() > 1)?;
    let row = |values: Vec<Expr>| {
        let name = |name: &Option<Ident>| name.as_ref().map_or(String::new(), |name| name.value.to_lowercase());
        let text = |text: String| Expr::Value(Value::EscapedStringLiteral(text).into());
        function(NAMED_ROW, names.iter().zip(values).flat_map(|(own, value)| [text(name(own)), value]).collect())
    };
    let mut query = query.clone();
    let plain = |order: &OrderByKind| match order {
        OrderByKind::Expressions(items) => !items.iter().any(|item| matches!(item.expr, Expr::Value(_))),
        OrderByKind::All(_) => false,
    };
    let ordered = query.order_by.as_ref().is_none_or(|order| plain(&order.kind));
    match query.body.as_mut() {
        SetExpr::Select(select) if select.distinct.is_none() && ordered && query.fetch.is_none() => {
            let values = select.projection.iter().filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
                _ => None,
            });
            select.projection = vec![SelectItem::UnnamedExpr(row(values.collect()))];
        }
        _ => {
            let columns: Vec<String> = (0..names.len()).map(|i| format!("field_{i}")).collect();
            let text = format!("SELECT 1 FROM (SELECT 1) AS fields ({})", columns.join(", "));
            let mut outer = Parser::new(&Trino).try_with_sql(&text).ok()?.parse_query().ok()?;
            put_subquery(&mut outer, &query)?;
            let SetExpr::Select(select) = outer.body.as_mut() else { return None };
            let values = columns.iter().map(|column| Expr::Identifier(Ident::new(column))).collect();
            select.projection = vec![SelectItem::UnnamedExpr(row(values))];
            query = outer;
        }
    }
    let nothing = row(vec![Expr::Value(Value::Null.into()); names.len()]);
    Some(function("coalesce", vec![Expr::Subquery(query), nothing]))
}

/// The fields of `(a, b)` and `ROW(a, b)`.
fn fields(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(items) => Some(items.clone()),
        Expr::Nested(inner) => fields(inner),
        Expr::Function(function)
            if name_of(function).as_deref() == Some("row") && function.args != FunctionArguments::None =>
        {
            plain_arguments(function)
        }
        _ => None,
    }
}

fn all_of(mut conditions: impl Iterator<Item = Expr>, op: &BinaryOperator) -> Option<Expr> {
    let first = conditions.next()?;
    Some(conditions.fold(first, |left, right| binary(left, op.clone(), right)))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

/// `(a, b) = (c, d)`, `(a, b) IN ((1, 2), …)`: field by field.
pub(super) fn rows(expr: &Expr) -> Option<Expr> {
    use BinaryOperator as Op;
    // Rows of what goes by chance are compared whole, so that each field is evaluated once.
    let random = |expr: &Expr| fields(expr).is_some_and(|fields| fields.iter().any(is_random));
    match expr {
        Expr::BinaryOp { left, right, .. } if random(left) || random(right) => None,
        Expr::InList { expr, .. } if random(expr) => None,
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (fields(left)?, fields(right)?);
            if left.len() != right.len() || left.is_empty() {
                return None;
            }
            match op {
                Op::Eq => equal(&left, &right),
                Op::NotEq => Some(not(equal(&left, &right)?)),
                // In order they are compared whole: a null that decides is an error.
                _ => None,
            }
        }
        Expr::InList { expr, list, negated } => {
            let left = fields(expr)?;
            let any = list
                .iter()
                .map(|item| {
                    fields(item).filter(|right| right.len() == left.len()).and_then(|right| equal(&left, &right))
                })
                .collect::<Option<Vec<_>>>()?;
            let any = all_of(any.into_iter(), &Op::Or)?;
            Some(if *negated { not(any) } else { any })
        }
        _ => None,
    }
}

fn equal(left: &[Expr], right: &[Expr]) -> Option<Expr> {
    let pairs = left.iter().zip(right).map(|(l, r)| binary(l.clone(), BinaryOperator::Eq, r.clone()));
    all_of(pairs, &BinaryOperator::And)
}

/// `(a, b) IN (query)` where only truth counts: in the conditions of WHERE and HAVING.
pub(super) fn row_in_query(condition: &mut Expr) {
    let among = match &*condition {
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => row_among(left, right, false),
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => row_among(left, right, true),
        _ => None,
    };
    if let Some(among) = among {
        *condition = among;
    }
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            row_in_query(left);
            row_in_query(right);
        }
        // There Trino compares rows whole, nulls and all.
        Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
            let _ = VisitMut::visit(condition, &mut InQuery { depth: 0, exists: false, rows: true });
        }
        Expr::Nested(inner) => row_in_query(inner),
        Expr::InSubquery { expr, subquery, negated } => {
            if let Some(left) = fields(expr)
                && let Some(exists) = exists(&left, subquery, *negated)
            {
                *condition = exists;
            }
        }
        _ => {}
    }
}

/// `(a, b) = ANY (query)` and `(a, b) <> ALL (query)` in such a condition.
fn row_among(left: &Expr, right: &Expr, negated: bool) -> Option<Expr> {
    let Expr::Subquery(query) = right else { return None };
    let left = fields(left).filter(|fields| fields.len() > 1)?;
    exists(&left, query, negated)
}

/// A row is in a query's rows if all fields are equal; it is not in them if none of them is the same, nulls and all: so Trino has it.
fn exists(left: &[Expr], query: &Query, negated: bool) -> Option<Expr> {
    let text = format!("SELECT 1 FROM (SELECT 1) AS {} WHERE TRUE", made("rows"));
    let mut outer = Parser::new(&Trino).try_with_sql(&text).ok()?.parse_query().ok()?;
    put_subquery(&mut outer, query)?;
    let names: Vec<String> = (0..left.len()).map(|i| format!("field {i}")).collect();
    if let SetExpr::Select(select) = outer.body.as_mut() {
        if let TableFactor::Derived { alias, .. } = &mut select.from.first_mut()?.relation {
            *alias = Some(TableAlias {
                explicit: true,
                name: made_ident("rows"),
                columns: names
                    .iter()
                    .map(|name| TableAliasColumnDef { name: made_ident(name), data_type: None })
                    .collect(),
                at: None,
            });
        }
        let conditions = left.iter().zip(&names).map(|(field, name)| {
            let same = if negated { "IS NOT DISTINCT FROM" } else { "=" };
            let text = format!("{} {same} $1", made(name));
            template(&text, std::slice::from_ref(field))
        });
        let conditions = conditions.collect::<Option<Vec<_>>>()?;
        select.selection = all_of(conditions.into_iter(), &BinaryOperator::And);
    }
    Some(Expr::Exists { subquery: outer, negated })
}

/// Puts each UNNEST into one factor with all that stands left of it, which its arguments may name: `a, UNNEST(a.x)` and
/// `a JOIN b CROSS JOIN UNNEST(b.x)`. How such a factor is planned stands in `plan::relations`.
pub(super) fn group_unnest(select: &mut AstSelect) {
    for from in &mut select.from {
        lateral_rows(&mut from.relation);
        from.joins.iter_mut().for_each(|join| lateral_rows(&mut join.relation));
    }
    let lateral = |from: &TableWithJoins| is_unnest(&from.relation);
    while let Some(at) = (1..select.from.len()).find(|at| lateral(&select.from[*at])) {
        let own = select.from.remove(at);
        let mut all = select.from.drain(..at);
        if let Some(mut left) = all.next() {
            for more in all {
                left.joins.push(cross(more.relation));
                left.joins.extend(more.joins);
            }
            left.joins.push(cross(own.relation));
            left.joins.extend(own.joins);
            select.from.insert(0, left);
        }
    }
    select.from.iter_mut().for_each(group_joins);
}

/// `LATERAL (SELECT x * 2 AS y)` and `LATERAL (VALUES (x, 1), (y, 2))`, which read nothing, are rows to unnest.
fn lateral_rows(factor: &mut TableFactor) {
    let TableFactor::Derived { lateral: true, subquery, alias, sample: None } = factor else { return };
    let only_body = subquery.with.is_none()
        && subquery.order_by.is_none()
        && subquery.limit_clause.is_none()
        && subquery.fetch.is_none();
    let (rows, mut names) = match subquery.body.as_ref() {
        SetExpr::Select(select)
            if only_body
                && select.from.is_empty()
                && select.selection.is_none()
                && select.having.is_none()
                && select.distinct.is_none()
                && matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty())
                && !select.projection.iter().any(is_aggregate) =>
        {
            let row = select.projection.iter().map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
                _ => None,
            });
            let Some(row) = row.collect::<Option<Vec<_>>>() else { return };
            (vec![row], columns_of(&subquery.body))
        }
        SetExpr::Values(values) if only_body => (values.rows.iter().map(|row| row.content.clone()).collect(), None),
        _ => return,
    };
    let given = alias.as_ref().map_or(0, |alias| alias.columns.len());
    if given > 0 {
        names = None;
    }
    let width = rows.first().map_or(0, Vec::len);
    let names = names.map(|names| names.into_iter().collect::<Option<Vec<_>>>());
    let alias = match names {
        Some(Some(names)) => Some(TableAlias {
            explicit: true,
            name: alias.as_ref().map_or_else(|| Ident::with_quote('"', "lateral_rows"), |alias| alias.name.clone()),
            columns: names.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect(),
            at: None,
        }),
        None if given == width => alias.take(),
        _ => return,
    };
    let rows = rows.into_iter().map(|row| function("row", row)).collect();
    *factor = TableFactor::UNNEST {
        alias,
        array_exprs: vec![Expr::Array(Array { elem: rows, named: true })],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
}

/// `TABLE(sequence(1, 3))`
pub(super) fn table_function(factor: &mut TableFactor) -> Result<()> {
    let TableFactor::TableFunction { expr: Expr::Function(call), alias } = factor else { return Ok(()) };
    if name_of(call).as_deref() != Some("sequence") {
        return Ok(());
    }
    let Some(arguments) = sequence_arguments(call)? else { return Ok(()) };
    let column = TableAliasColumnDef::from_name("sequential_number");
    let mut alias = alias.take().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new("sequence"),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns.push(column);
    }
    *factor = TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: vec![function("sequence", arguments)],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    Ok(())
}

/// `start`, `stop` and `step`, by their places or by their names.
fn sequence_arguments(call: &Function) -> Result<Option<Vec<Expr>>> {
    let FunctionArguments::List(list) = &call.args else { return Ok(None) };
    let mut found: [Option<Expr>; 3] = [Some(number(0)), None, Some(number(1))];
    for (place, argument) in list.args.iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (place, value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                match ["start", "stop", "step"].iter().position(|known| name.value.eq_ignore_ascii_case(known)) {
                    Some(place) => (place, value),
                    None => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        let Some(slot) = found.get_mut(place) else { return Ok(None) };
        *slot = Some(value.clone());
    }
    match found.into_iter().collect() {
        Some(arguments) => Ok(Some(arguments)),
        None => Err(Error::user(1006, "MISSING_ARGUMENT", "line 1:1: Missing argument: STOP")),
    }
}

pub(super) fn group_joins(from: &mut TableWithJoins) {
    while let Some(at) = from.joins.iter().position(is_planned_here) {
        let rest = from.joins.split_off(at + 1);
        let nothing = TableFactor::UNNEST {
            alias: None,
            array_exprs: Vec::new(),
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: false,
        };
        let inner = TableWithJoins {
            relation: std::mem::replace(&mut from.relation, nothing),
            joins: std::mem::take(&mut from.joins),
        };
        from.relation = TableFactor::NestedJoin { table_with_joins: Box::new(inner), alias: None };
        from.joins = rest;
    }
}

/// Whether joins in parentheses are grouped already: the only UNNEST is the last.
pub(super) fn is_grouped(from: &TableWithJoins) -> bool {
    from.joins.iter().position(is_planned_here).is_none_or(|at| at + 1 == from.joins.len())
}

/// Joins that `plan::relations` plans: beside UNNEST, and by columns of the same name.
fn is_planned_here(join: &AstJoin) -> bool {
    is_unnest(&join.relation) || by_names(&join.join_operator)
}

/// USING and NATURAL.
pub(super) fn by_names(operator: &JoinOperator) -> bool {
    use JoinOperator as On;
    let (On::Inner(constraint)
    | On::Join(constraint)
    | On::Left(constraint)
    | On::LeftOuter(constraint)
    | On::Right(constraint)
    | On::RightOuter(constraint)
    | On::FullOuter(constraint)) = operator
    else {
        return false;
    };
    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
}

fn is_unnest(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::UNNEST { .. })
}

fn cross(relation: TableFactor) -> AstJoin {
    AstJoin { relation, global: false, join_operator: JoinOperator::CrossJoin(JoinConstraint::None) }
}

/// What sqlparser reads and Trino does not.
pub(super) fn not_trinos(select: &AstSelect) -> Result<()> {
    let unread = |what: &str| Err(Error::syntax(1, 1, format_args!("mismatched input '{what}'")));
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return unread("ON");
    }
    if select.qualify.is_some() {
        return unread("QUALIFY");
    }
    if matches!(select.group_by, GroupByExpr::All(_)) {
        return Err(Error::user(1006, "COLUMN_NOT_FOUND", "line 1:1: Column 'all' cannot be resolved"));
    }
    Ok(())
}

/// `GROUP BY AUTO`: by all that is selected and is no aggregate.
pub(super) fn group_by_auto(select: &mut AstSelect) {
    if let GroupByExpr::Expressions(items, modifiers) = &select.group_by
        && modifiers.is_empty()
        && let [Expr::Identifier(only)] = &items[..]
        && only.quote_style.is_none()
        && only.value.eq_ignore_ascii_case("auto")
    {
        select.group_by = GroupByExpr::All(Vec::new());
    }
}

/// Set operations with CORRESPONDING are of the columns that both sides have, by their names, in the order of the left one.
pub(super) fn corresponding(body: &mut SetExpr) -> Result<()> {
    let SetExpr::SetOperation { left, right, .. } = body else { return Ok(()) };
    corresponding(left)?;
    let marked = marked(right);
    corresponding(right)?;
    let Some(mark) = marked else { return Ok(()) };
    let at = format!("line {}:{}", mark.span.start.line.max(1), mark.span.start.column.max(1));
    if mark.value == super::grammar::CORRESPONDING_BY {
        return Err(Error::not_supported(format_args!("{at}: CORRESPONDING with columns is unsupported")));
    }
    let names = |side: &SetExpr| -> Result<Vec<String>> {
        let Some(names) = columns_of(side) else {
            return Err(Error::not_supported(format_args!(
                "{at}: CORRESPONDING of queries whose columns are not listed"
            )));
        };
        let mut found: Vec<String> = Vec::new();
        for name in names {
            let Some(name) = name.map(|name| name.value.to_lowercase()) else {
                let text = format!("{at}: Anonymous columns are not allowed in set operations with CORRESPONDING");
                return Err(Error::user(1006, "MISSING_COLUMN_NAME", text));
            };
            if found.contains(&name) {
                let text = format!("{at}: Duplicate columns found when using CORRESPONDING in set operations: {name}");
                return Err(Error::user(1006, "AMBIGUOUS_NAME", text));
            }
            found.push(name);
        }
        Ok(found)
    };
    let (of_left, of_right) = (names(left)?, names(right)?);
    let both: Vec<String> = of_left.into_iter().filter(|name| of_right.contains(name)).collect();
    if both.is_empty() {
        return Err(Error::user(1006, "MISMATCHED_COLUMN_ALIASES", format!("{at}: No corresponding columns")));
    }
    let list: Vec<String> = both.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    for side in [left, right] {
        let text = format!("SELECT {} FROM (SELECT 1) AS corresponding", list.join(", "));
        let outer = Parser::new(&Trino).try_with_sql(&text).and_then(|mut parser| parser.parse_query());
        let mut outer = *outer.map_err(Error::internal)?.body;
        put_body(&mut outer, side).ok_or_else(|| Error::internal("a side of a set operation was not taken"))?;
        **side = outer;
    }
    Ok(())
}

/// A lambda has as many parameters as its function gives it.
pub(super) fn lambda_parameters(call: &Function) -> Result<()> {
    let wanted: &[usize] = match name_of(call).as_deref() {
        Some("transform" | "filter" | "any_match" | "all_match" | "none_match" | "regexp_replace") => &[1],
        Some("zip_with" | "map_filter" | "transform_keys" | "transform_values" | "array_sort") => &[2],
        Some("map_zip_with") => &[3],
        Some("reduce") => &[2, 1],
        Some("reduce_agg") => &[2, 2],
        _ => return Ok(()),
    };
    let FunctionArguments::List(list) = &call.args else { return Ok(()) };
    let lambdas = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(lambda))) => Some(lambda),
        _ => None,
    });
    for (lambda, wanted) in lambdas.zip(wanted) {
        let given = match &lambda.params {
            OneOrManyWithParens::One(_) => 1,
            OneOrManyWithParens::Many(all) => all.len(),
        };
        if given != *wanted {
            let at = call.name.span().start;
            let text = format!(
                "line {}:{}: Expected a lambda that takes {wanted} argument(s) but got {given}",
                at.line.max(1),
                at.column.max(1)
            );
            return Err(Error::user(1006, "INVALID_PARAMETER_USAGE", text));
        }
    }
    Ok(())
}

/// ORDER BY may not name what several columns of the result are called.
pub(super) fn ambiguous_order(query: &Query) -> Result<()> {
    let Some(OrderByKind::Expressions(items)) = query.order_by.as_ref().map(|order| &order.kind) else { return Ok(()) };
    let Some(names) = columns_of(&query.body) else { return Ok(()) };
    let names: Vec<String> = names.into_iter().flatten().map(|name| name.value.to_lowercase()).collect();
    for item in items {
        let twice = visit_expressions(&item.expr, |expr| match expr {
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Lambda(_) => {
                ControlFlow::Break(None)
            }
            Expr::Identifier(name) => {
                let lower = name.value.to_lowercase();
                if names.iter().filter(|known| **known == lower).count() > 1 {
                    return ControlFlow::Break(Some(name.clone()));
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        });
        if let ControlFlow::Break(Some(name)) = twice {
            let at = name.span.start;
            let text = format!("line {}:{}: Column '{}' is ambiguous", at.line.max(1), at.column.max(1), name.value);
            return Err(Error::user(1006, "AMBIGUOUS_NAME", text));
        }
    }
    Ok(())
}

/// Takes the mark off the first SELECT of a set operation's right side.
fn marked(side: &mut SetExpr) -> Option<Ident> {
    match side {
        SetExpr::Select(select) => {
            let Some(SelectItem::UnnamedExpr(Expr::Identifier(name))) = select.projection.first() else { return None };
            let marks = [super::grammar::CORRESPONDING, super::grammar::CORRESPONDING_BY];
            let is_mark = marks.contains(&name.value.as_str());
            let SelectItem::UnnamedExpr(Expr::Identifier(name)) =
                (if is_mark { select.projection.remove(0) } else { return None })
            else {
                return None;
            };
            Some(name)
        }
        SetExpr::Query(query) => marked(&mut query.body),
        SetExpr::SetOperation { left, .. } => marked(left),
        _ => None,
    }
}

/// INTERSECT ALL and EXCEPT ALL count equal rows, which DataFusion's joins of such sets do not: the rows of each side are
/// numbered among their equals, and the sets are of rows with their numbers.
pub(super) fn bags(body: &mut SetExpr) -> Result<()> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return Ok(()) };
    bags(left)?;
    bags(right)?;
    if *set_quantifier != SetQuantifier::All || matches!(op, SetOperator::Union) {
        return Ok(());
    }
    let unknown = || Error::not_supported(format_args!("{op} ALL of queries whose columns are not listed"));
    // Those whose columns only their tables tell are numbered when they are planned.
    let Some(names) = columns_of(left) else { return Ok(()) };
    let columns: Vec<String> = (0..names.len()).map(|i| made(&format!("column {i}"))).collect();
    let list = columns.join(", ");
    let (row, rows) = (made("row"), made("rows"));
    let side =
        format!("SELECT {list}, row_number() OVER (PARTITION BY {list}) AS {row} FROM (SELECT 1) AS {rows} ({list})");
    let text = format!("SELECT {} FROM ({side} {op} {side}) AS {rows}", named_columns(&columns, &names));
    let mut outer = Parser::new(&Trino).try_with_sql(&text).and_then(|mut parser| parser.parse_query());
    let done = outer.as_mut().ok().and_then(|outer| {
        let SetExpr::Select(select) = outer.body.as_mut() else { return None };
        let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else { return None };
        let SetExpr::SetOperation { left: first, right: second, .. } = subquery.body.as_mut() else { return None };
        put_body(first, left)?;
        put_body(second, right)
    });
    match (outer, done) {
        (Ok(outer), Some(())) => *body = *outer.body,
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Puts a query's body in the place of the only derived table of another's.
fn put_body(outer: &mut SetExpr, inner: &mut SetExpr) -> Option<()> {
    let SetExpr::Select(select) = outer else { return None };
    let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else { return None };
    std::mem::swap(subquery.body.as_mut(), inner);
    Some(())
}

/// The names of a query's columns as far as its text tells how many there are.
pub(super) fn columns_of(body: &SetExpr) -> Option<Vec<Option<Ident>>> {
    match body {
        SetExpr::Select(select) => select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(Some(name.clone())),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => Some(parts.last().cloned()),
                SelectItem::ExprWithAlias { alias, .. } => Some(Some(alias.clone())),
                SelectItem::UnnamedExpr(_) => Some(None),
                _ => None,
            })
            .collect(),
        SetExpr::Values(values) => values.rows.first().map(|row| vec![None; row.len()]),
        SetExpr::Query(query) => columns_of(&query.body),
        SetExpr::SetOperation { left, .. } => columns_of(left),
        _ => None,
    }
}

fn named_columns(columns: &[String], names: &[Option<Ident>]) -> String {
    let shown = columns.iter().zip(names).map(|(column, name)| match name {
        Some(name) => format!("{column} AS \"{}\"", name.value.to_lowercase().replace('"', "\"\"")),
        None => column.clone(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// `FETCH FIRST n ROWS WITH TIES`: the rows whose rank in the order is at most `n`, and a number where `OFFSET` says so.
fn with_ties(query: &mut Query, count: &Expr) -> Result<()> {
    let Some(order) = query.order_by.clone() else {
        let text = "line 1:1: FETCH FIRST WITH TIES clause requires ORDER BY";
        return Err(Error::user(1006, "MISSING_ORDER_BY", text));
    };
    if matches!(count, Expr::Value(value) if matches!(&value.value, Value::Number(text, _) if text.trim_matches('0').is_empty()))
    {
        let text = format!("line 1:1: FETCH FIRST row count must be positive (actual value: {count})");
        return Err(Error::user(1203, "NUMERIC_VALUE_OUT_OF_RANGE", text));
    }
    let unknown = || Error::not_supported("FETCH FIRST … WITH TIES of such a query");
    let OrderByKind::Expressions(items) = &order.kind else { return Err(unknown()) };
    let offset = match query.limit_clause.take() {
        None => "0".to_owned(),
        Some(LimitClause::LimitOffset { limit: None, offset, .. }) => {
            offset.map_or_else(|| "0".to_owned(), |offset| offset.value.to_string())
        }
        Some(_) => return Err(Error::syntax(1, 1, "mismatched input 'FETCH'")),
    };
    let keys: Vec<String> = (0..items.len()).map(|i| format!("key {i}")).collect();
    let sorted: Vec<String> = items
        .iter()
        .zip(&keys)
        .map(|(item, key)| OrderByExpr { expr: Expr::Identifier(made_ident(key)), ..item.clone() }.to_string())
        .collect();
    let order = sorted.join(", ");
    let text = format!(
        "SELECT * EXCLUDE (\"{without}\", {keys}, {row}, {rank}) FROM (SELECT *, row_number() OVER (ORDER BY {order}) AS {row}, \
         rank() OVER (ORDER BY {order}) AS {rank} FROM (SELECT 1) AS {rows}) AS {rows} \
         WHERE {row} > {offset} AND {rank} <= {offset} + {count} ORDER BY {row}",
        keys = keys.iter().map(|key| made(key)).collect::<Vec<_>>().join(", "),
        row = made("row"),
        rank = made("rank"),
        rows = made("rows"),
        without = super::stars::WITHOUT,
    );
    let mut outer =
        Parser::new(&Trino).try_with_sql(&text).and_then(|mut parser| parser.parse_query()).map_err(|_| unknown())?;
    let inner = Query { with: None, order_by: None, ..with_keys(query, items, &keys)? };
    let SetExpr::Select(select) = outer.body.as_mut() else { return Err(unknown()) };
    let Some(TableFactor::Derived { subquery: ranked, .. }) = select.from.first_mut().map(|from| &mut from.relation)
    else {
        return Err(unknown());
    };
    put_subquery(ranked, &inner).ok_or_else(unknown)?;
    query.body = outer.body;
    query.order_by = outer.order_by;
    Ok(())
}

/// A query with what its rows are ordered by as columns behind its own.
fn with_keys(query: &Query, items: &[OrderByExpr], keys: &[String]) -> Result<Query> {
    let mut query = query.clone();
    let own = match query.body.as_ref() {
        SetExpr::Select(select) if select.distinct.is_none() => Some(select.projection.clone()),
        _ => None,
    };
    if let (Some(projection), SetExpr::Select(select)) = (own, query.body.as_mut()) {
        for (item, key) in items.iter().zip(keys) {
            let expr = key_of(&item.expr, &projection)?;
            if is_random(&expr) {
                return Err(Error::not_supported("FETCH FIRST … WITH TIES by what goes by chance"));
            }
            select.projection.push(SelectItem::ExprWithAlias { expr, alias: made_ident(key) });
        }
        return Ok(query);
    }
    // Of rows that are distinct or come of several queries only the columns can be meant.
    let unknown = || Error::not_supported("FETCH FIRST … WITH TIES of a set of rows whose columns are not listed");
    let names = columns_of(&query.body).ok_or_else(unknown)?;
    let columns: Vec<String> = (0..names.len()).map(|i| made(&format!("column {i}"))).collect();
    let projection = match query.body.as_ref() {
        SetExpr::Select(select) => select.projection.clone(),
        _ => Vec::new(),
    };
    let mut listed = vec![named_columns(&columns, &names)];
    for (item, key) in items.iter().zip(keys) {
        let position = match &item.expr {
            Expr::Identifier(name) => names
                .iter()
                .position(|known| known.as_ref().is_some_and(|known| known.value.eq_ignore_ascii_case(&name.value))),
            other => position_of(other, names.len())?.or_else(|| {
                projection.iter().position(|item| matches!(item, SelectItem::UnnamedExpr(own) | SelectItem::ExprWithAlias { expr: own, .. } if own == other))
            }),
        };
        let column = position.and_then(|position| columns.get(position)).ok_or_else(|| {
            let text = "line 1:1: For SELECT DISTINCT, ORDER BY expressions must appear in select list";
            Error::user(1006, "EXPRESSION_NOT_IN_DISTINCT", text)
        })?;
        listed.push(format!("{column} AS {}", made(key)));
    }
    let text = format!("SELECT {} FROM (SELECT 1) AS {} ({})", listed.join(", "), made("rows"), columns.join(", "));
    let mut outer =
        Parser::new(&Trino).try_with_sql(&text).and_then(|mut parser| parser.parse_query()).map_err(|_| unknown())?;
    put_subquery(&mut outer, &Query { with: None, order_by: None, ..query }).ok_or_else(unknown)?;
    Ok(*outer)
}

/// The place that an ordinal of ORDER BY names.
fn position_of(expr: &Expr, width: usize) -> Result<Option<usize>> {
    let Expr::Value(value) = expr else { return Ok(None) };
    let Value::Number(text, _) = &value.value else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(place) if (1..=width).contains(&place) => Ok(Some(place - 1)),
        _ => {
            let text = format!("line 1:1: ORDER BY position {text} is not in select list");
            Err(Error::user(1006, "INVALID_COLUMN_REFERENCE", text))
        }
    }
}

/// What a query is ordered by, where its columns' names are put by what they stand for.
fn key_of(key: &Expr, projection: &[SelectItem]) -> Result<Expr> {
    struct Named<'a> {
        projection: &'a [SelectItem],
        aggregates: usize,
    }
    impl Named<'_> {
        fn of(&self, name: &Ident) -> Option<Expr> {
            self.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(&name.value) => {
                    Some(Expr::Nested(Box::new(expr.clone())))
                }
                SelectItem::UnnamedExpr(own @ Expr::CompoundIdentifier(parts)) => {
                    parts.last().filter(|part| part.value.eq_ignore_ascii_case(&name.value)).map(|_| own.clone())
                }
                _ => None,
            })
        }
    }
    impl VisitorMut for Named<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            // The arguments of an aggregate are of the rows that are grouped.
            if matches!(expr, Expr::Function(call) if is_aggregate_call(call)) {
                self.aggregates += 1;
            }
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(call) if is_aggregate_call(call) => self.aggregates -= 1,
                Expr::Identifier(name) if self.aggregates == 0 => {
                    if let Some(new) = self.of(name) {
                        *expr = new;
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let starred =
        projection.iter().any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    let width = if starred { usize::MAX } else { projection.len() };
    if let Some(place) = position_of(key, width)? {
        return match projection.get(place).filter(|_| !starred) {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Ok(expr.clone()),
            _ => Err(Error::not_supported("FETCH FIRST … WITH TIES by the number of a column of *")),
        };
    }
    let mut key = key.clone();
    let _ = VisitMut::visit(&mut key, &mut Named { projection, aggregates: 0 });
    Ok(key)
}

fn is_aggregate_call(call: &Function) -> bool {
    call.over.is_none() && name_of(call).is_some_and(|name| trino_functions::aggregate::exists(&name))
}

/// Windows that have names are put where they are named: DataFusion passes over the name in `OVER (w ROWS 1 PRECEDING)`.
pub(super) fn inline_windows(select: &mut AstSelect) {
    struct Inline(Vec<(String, WindowSpec)>);
    impl Inline {
        fn of(&self, name: &Ident) -> Option<&WindowSpec> {
            self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name.value)).map(|(_, spec)| spec)
        }

        fn fill(&self, spec: &mut WindowSpec) {
            let Some(base) = spec.window_name.as_ref().and_then(|name| self.of(name)) else { return };
            spec.window_name = None;
            if spec.partition_by.is_empty() {
                spec.partition_by.clone_from(&base.partition_by);
            }
            if spec.order_by.is_empty() {
                spec.order_by.clone_from(&base.order_by);
            }
            if spec.window_frame.is_none() {
                spec.window_frame.clone_from(&base.window_frame);
            }
        }
    }
    impl VisitorMut for Inline {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr {
                match &mut function.over {
                    Some(WindowType::WindowSpec(spec)) => self.fill(spec),
                    Some(WindowType::NamedWindow(name)) => {
                        if let Some(spec) = self.of(name) {
                            function.over = Some(WindowType::WindowSpec(spec.clone()));
                        }
                    }
                    None => {}
                }
            }
            ControlFlow::Continue(())
        }
    }
    if select.named_window.is_empty() {
        return;
    }
    let mut known = Inline(Vec::new());
    for NamedWindowDefinition(name, window) in std::mem::take(&mut select.named_window) {
        let spec = match window {
            NamedWindowExpr::WindowSpec(mut spec) => {
                known.fill(&mut spec);
                Some(spec)
            }
            NamedWindowExpr::NamedWindow(other) => known.of(&other).cloned(),
        };
        known.0.extend(spec.map(|spec| (name.value.clone(), spec)));
    }
    for item in &mut select.projection {
        let _ = VisitMut::visit(item, &mut known);
    }
}

/// `ROLLUP ((a, b), c)`: columns that come and go together make sets of keys, which DataFusion plans.
pub(super) fn several_in_one_key(select: &mut AstSelect) {
    let GroupByExpr::Expressions(elements, _) = &mut select.group_by else { return };
    for element in elements {
        if let Expr::Rollup(keys) | Expr::Cube(keys) = &*element
            && keys.iter().any(|key| key.len() != 1)
        {
            *element = Expr::GroupingSets(grouping_sets(element));
        }
    }
}

/// `GROUP BY DISTINCT`, told by a marker in front of its keys: each set of keys once.
pub(super) fn distinct_groups(select: &mut AstSelect) {
    let GroupByExpr::Expressions(elements, _) = &mut select.group_by else { return };
    let marker = |expr: &Expr| matches!(expr, Expr::Identifier(name) if name.value == super::grammar::DISTINCT_GROUPS);
    if !elements.first().is_some_and(marker) {
        return;
    }
    elements.remove(0);
    let is_plain = |expr: &Expr| !matches!(expr, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    let plain = elements.iter().all(is_plain);
    let mut sets: Vec<Vec<Expr>> = vec![Vec::new()];
    for element in elements.iter() {
        let own = grouping_sets(element);
        sets = sets.iter().flat_map(|set| own.iter().map(|more| [set.as_slice(), more].concat())).collect();
    }
    let mut seen: Vec<Vec<String>> = Vec::new();
    for set in &mut sets {
        let mut known: Vec<String> = Vec::new();
        set.retain(|expr| {
            let text = expr.to_string();
            let new = !known.contains(&text);
            known.push(text);
            new
        });
    }
    sets.retain(|set| {
        let mut key: Vec<String> = set.iter().map(ToString::to_string).collect();
        key.sort_unstable();
        let new = !seen.contains(&key);
        seen.push(key);
        new
    });
    *elements = match sets.pop() {
        Some(only) if plain => only,
        last => vec![Expr::GroupingSets(sets.into_iter().chain(last).collect())],
    };
}

/// The sets of keys that one element of GROUP BY stands for.
fn grouping_sets(element: &Expr) -> Vec<Vec<Expr>> {
    match element {
        Expr::Rollup(keys) => (0..=keys.len()).rev().map(|n| keys[..n].concat()).collect(),
        Expr::Cube(keys) => {
            let subset = |bits: usize| {
                let chosen = keys.iter().enumerate().filter(move |(i, _)| bits >> i & 1 == 1);
                chosen.flat_map(|(_, keys)| keys.iter().cloned()).collect()
            };
            (0..1usize << keys.len().min(16)).rev().map(subset).collect()
        }
        Expr::GroupingSets(sets) => sets.clone(),
        Expr::Tuple(keys) => vec![keys.clone()],
        other => vec![vec![other.clone()]],
    }
}

/// `GROUP BY (a, b)` is `GROUP BY a, b`.
pub(super) fn flatten_group_by(select: &mut AstSelect) {
    if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by
        && expressions.iter().any(|expr| matches!(expr, Expr::Tuple(_)))
    {
        *expressions = std::mem::take(expressions)
            .into_iter()
            .flat_map(|expr| match expr {
                Expr::Tuple(items) => items,
                other => vec![other],
            })
            .collect();
    }
}

/// `TABLE name` as a query.
pub(super) fn table_query(body: &mut SetExpr) {
    let SetExpr::Table(table) = body else { return };
    let names = [table.schema_name.as_ref(), table.table_name.as_ref()];
    let parts: Vec<Ident> =
        names.into_iter().flatten().flat_map(|name| name.split('.')).map(|part| Ident::with_quote('"', part)).collect();
    let parsed = Parser::new(&Trino).try_with_sql("SELECT * FROM t").and_then(|mut parser| parser.parse_query());
    if let Ok(query) = parsed
        && let SetExpr::Select(mut select) = *query.body
        && let Some(from) = select.from.first_mut()
        && let TableFactor::Table { name, .. } = &mut from.relation
    {
        *name = ObjectName::from(parts);
        debug_assert!(matches!(select.projection.first(), Some(SelectItem::Wildcard(_))));
        *body = SetExpr::Select(select);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_query;

    /// Each pair is the same to the planner.
    #[test]
    fn forms_in_other_words() {
        let rewritten = |sql: &str| parse_query(sql).unwrap().query.to_string();
        for (sql, other) in [
            ("SELECT a FETCH FIRST 3 ROWS ONLY", "SELECT a LIMIT 3"),
            ("SELECT a OFFSET 1 ROWS FETCH NEXT ROW ONLY", "SELECT a OFFSET 1 ROWS LIMIT 1"),
            ("SELECT a LIKE 'x$%\\' ESCAPE '$'", "SELECT a LIKE 'x\\%\\\\' ESCAPE '\\'"),
            ("SELECT 1 FROM t WHERE a = ANY (SELECT 1)", "SELECT 1 FROM t WHERE a IN (SELECT 1)"),
            ("SELECT 1 FROM t WHERE (a, b) = (c, d)", "SELECT 1 FROM t WHERE ((a = c) AND (b = d))"),
            ("SELECT x FROM t, UNNEST(t.a) AS u (x)", "SELECT x FROM t CROSS JOIN UNNEST(t.a) AS u (x)"),
        ] {
            assert_eq!(rewritten(sql), rewritten(other), "{sql}");
        }
        let chained = "SELECT x FROM t CROSS JOIN UNNEST(t.a) AS u (x) JOIN v ON v.i = x";
        assert!(
            rewritten(chained).contains("FROM (t CROSS JOIN UNNEST(t.a) AS u (x)) JOIN v"),
            "{}",
            rewritten(chained)
        );
        assert!(rewritten("SELECT a LIKE b ESCAPE '$'").contains("like_pattern(b, "));
        assert!(parse_query("SELECT a LIKE 'x$y' ESCAPE '$'").is_err());
    }
}
