//! Trino's expressions in the words that DataFusion has: functions by [`TEMPLATES`], the rest case by case. Also finds
//! the names that a result's columns get, which are those of the text, in its casing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, DuplicateTreatment, ExcludeSelectItem, Expr,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident,
    NullTreatment, ObjectName, ObjectNamePart, OrderByExpr, OrderByOptions, Query, Select as AstSelect, SelectItem,
    SetExpr, TableFactor, TimezoneInfo, TypedString, UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::dialect::Trino;
use super::{Select, Source, forms, grammar};
use crate::error::{Error, Result};

/// Trino functions that are compositions of others: name, arguments, expression.
const TEMPLATES: &[(&str, usize, &str)] = &[
    ("year", 1, "CAST(date_part('year', $1) AS BIGINT)"),
    ("quarter", 1, "CAST(date_part('quarter', $1) AS BIGINT)"),
    ("month", 1, "CAST(date_part('month', $1) AS BIGINT)"),
    ("week", 1, "CAST(date_part('week', $1) AS BIGINT)"),
    ("week_of_year", 1, "CAST(date_part('week', $1) AS BIGINT)"),
    ("day", 1, "CAST(date_part('day', $1) AS BIGINT)"),
    ("day_of_month", 1, "CAST(date_part('day', $1) AS BIGINT)"),
    ("day_of_week", 1, "CAST(date_part('isodow', $1) AS BIGINT)"),
    ("dow", 1, "CAST(date_part('isodow', $1) AS BIGINT)"),
    ("day_of_year", 1, "CAST(date_part('doy', $1) AS BIGINT)"),
    ("doy", 1, "CAST(date_part('doy', $1) AS BIGINT)"),
    ("year_of_week", 1, "CAST(date_part('isoyear', $1) AS BIGINT)"),
    ("yow", 1, "CAST(date_part('isoyear', $1) AS BIGINT)"),
    ("hour", 1, "CAST(date_part('hour', $1) AS BIGINT)"),
    ("minute", 1, "CAST(date_part('minute', $1) AS BIGINT)"),
    ("second", 1, "CAST(floor(date_part('second', $1)) AS BIGINT)"),
    ("millisecond", 1, "CAST(date_part('millisecond', $1) AS BIGINT) % 1000"),
    ("length", 1, "CAST(character_length($1) AS BIGINT)"),
    ("char_length", 1, "CAST(character_length($1) AS BIGINT)"),
    ("bit_length", 1, "CAST(bit_length($1) AS BIGINT)"),
    ("strpos", 2, "CAST(strpos($1, $2) AS BIGINT)"),
    ("codepoint", 1, "CAST(ascii($1) AS INTEGER)"),
    ("levenshtein_distance", 2, "CAST(levenshtein($1, $2) AS BIGINT)"),
    ("cardinality", 1, "CAST(cardinality($1) AS BIGINT)"),
    ("if", 2, "CASE WHEN $1 THEN $2 END"),
    ("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    ("ceiling", 1, "ceil($1)"),
    ("mod", 2, "$1 % $2"),
    ("pow", 2, "power($1, $2)"),
    ("rand", 0, "random()"),
    ("e", 0, "exp(1.0)"),
    ("infinity", 0, "CAST('Infinity' AS DOUBLE)"),
    ("is_nan", 1, "isnan($1)"),
    ("truncate", 1, "trunc($1)"),
    ("sequence", 2, "generate_series($1, $2)"),
    ("sequence", 3, "generate_series($1, $2, $3)"),
    ("contains", 2, "array_has($1, $2)"),
    ("array_join", 2, "array_to_string($1, $2)"),
    ("array_join", 3, "array_to_string($1, $2, $3)"),
    ("arrays_overlap", 2, "array_has_any($1, $2)"),
    ("slice", 3, "array_slice($1, $2, $2 + $3 - 1)"),
    ("transform", 2, "array_transform($1, $2)"),
    ("filter", 2, "array_filter($1, $2)"),
    ("any_match", 2, "array_any_match($1, $2)"),
    ("none_match", 2, "NOT array_any_match($1, $2)"),
    ("geometric_mean", 1, "exp(avg(ln($1)))"),
    ("localtimestamp", 0, "date_trunc('millisecond', CAST(now() AS TIMESTAMP(3)))"),
    ("date", 1, "CAST($1 AS DATE)"),
    ("regexp_replace", 2, "regexp_replace($1, $2, '')"),
    ("replace", 2, "replace($1, $2, '')"),
    ("substring", 2, "substr($1, $2)"),
    ("substring", 3, "substr($1, $2, $3)"),
    ("at_timezone", 2, "at_timezone($1, $2)"),
];

/// Functions that only have another name here.
const RENAMED: &[(&str, &str)] = &[
    ("every", "bool_and"),
    ("array_remove", "array_remove_all"),
    ("variance", "var_samp"),
    ("array_distinct", "array_distinct"),
    ("bitwise_and_agg", "bit_and"),
    ("bitwise_or_agg", "bit_or"),
    ("zip", "arrays_zip"),
];

/// How the result's columns are called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Vec<Label>);

#[derive(Debug, Clone, PartialEq)]
enum Label {
    Named(String),
    Unnamed,
    /// Any number of columns under their own names.
    Star,
}

impl Labels {
    /// One label for each field, `None` for a column that the text gives no name.
    pub(crate) fn apply(&self, fields: &[String]) -> Vec<Option<String>> {
        let stars = self.0.iter().filter(|label| **label == Label::Star).count();
        let explicit = self.0.len() - stars;
        let own = |name: &String| if name.starts_with(INTERNAL) { None } else { Some(name.clone()) };
        if (stars == 0 && explicit != fields.len()) || stars > 1 || explicit > fields.len() {
            return fields.iter().map(own).collect();
        }
        let width = fields.len() - explicit;
        let mut names = Vec::with_capacity(fields.len());
        for label in &self.0 {
            match label {
                Label::Named(name) => names.push(Some(name.clone())),
                Label::Unnamed => names.push(None),
                Label::Star => {
                    let from = names.len();
                    names.extend(fields[from..from + width].iter().map(own));
                }
            }
        }
        names
    }
}

/// Prefix of aliases that only keep DataFusion from seeing one name twice.
pub(crate) const INTERNAL: &str = "__column_";

pub(super) fn select(mut query: Query, source: &Source<'_>, hidden: Vec<&'static str>) -> Result<Select> {
    let mut labels = Vec::new();
    collect_labels(&query.body, source, &mut labels);
    let mut rewriter = Rewriter { hidden: &hidden, error: None };
    if VisitMut::visit(&mut query, &mut rewriter).is_break() {
        return Err(rewriter.error.unwrap_or_else(|| Error::internal("a rewrite was broken off")));
    }
    make_unique(&mut query.body);
    Ok(Select { query, labels: Labels(labels), hidden })
}

fn collect_labels(body: &SetExpr, source: &Source<'_>, labels: &mut Vec<Label>) {
    match body {
        SetExpr::Select(select) => {
            for item in &select.projection {
                labels.push(match item {
                    SelectItem::UnnamedExpr(Expr::Identifier(name)) => Label::Named(written(name, source)),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                        parts.last().map_or(Label::Unnamed, |name| Label::Named(written(name, source)))
                    }
                    SelectItem::ExprWithAlias { alias, .. } => Label::Named(written(alias, source)),
                    SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Label::Star,
                    _ => Label::Unnamed,
                });
            }
        }
        SetExpr::Query(query) => collect_labels(&query.body, source, labels),
        SetExpr::SetOperation { left, .. } => collect_labels(left, source, labels),
        SetExpr::Values(values) => {
            labels.extend(values.rows.first().into_iter().flat_map(|row| row.iter().map(|_| Label::Unnamed)));
        }
        _ => labels.push(Label::Star),
    }
}

/// An identifier in the casing of the text.
fn written(name: &Ident, source: &Source<'_>) -> String {
    if name.span == Span::empty() {
        return name.value.clone();
    }
    let text = source.text.get(source.offset(name.span.start)..source.offset(name.span.end)).unwrap_or(&name.value);
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_owned(),
    }
}

/// Gives the literals that are columns of the result their type.
fn type_items(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    type_literal(expr);
                }
            }
        }
        SetExpr::Query(query) => type_items(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            type_items(left);
            type_items(right);
        }
        SetExpr::Values(values) => {
            values.rows.iter_mut().for_each(|row| row.iter_mut().for_each(type_literal));
        }
        _ => {}
    }
}

/// Trino lets two columns of a result share a name, DataFusion does not.
fn make_unique(body: &mut SetExpr) {
    let SetExpr::Select(select) = body else { return };
    let mut seen: Vec<String> = Vec::new();
    for (i, item) in select.projection.iter_mut().enumerate() {
        let name = match &*item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.value.to_lowercase(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(_)) => continue,
            SelectItem::UnnamedExpr(other) => other.to_string(),
            SelectItem::ExprWithAlias { alias, .. } => alias.value.to_lowercase(),
            _ => continue,
        };
        if !seen.contains(&name) {
            seen.push(name);
            continue;
        }
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let alias = Ident::with_quote('"', format!("{INTERNAL}{i}"));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

struct Rewriter<'a> {
    hidden: &'a [&'static str],
    error: Option<Error>,
}

impl Rewriter<'_> {
    /// Ends the rewriting at the first error.
    fn check(&mut self, result: Result<()>) -> ControlFlow<()> {
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        // Every data catalog of type GLUE is this account's catalog.
        if relation.0.len() == 3 {
            relation.0.remove(0);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        forms::table_query(&mut query.body);
        self.check(forms::fetch(query))
    }

    fn pre_visit_select(&mut self, select: &mut AstSelect) -> ControlFlow<()> {
        forms::group_unnest(select);
        forms::flatten_group_by(select);
        for condition in select.selection.iter_mut().chain(select.having.iter_mut()) {
            forms::row_in_query(condition);
        }
        let from_tables = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
            .any(|factor| matches!(factor, TableFactor::Table { .. }));
        if !self.hidden.is_empty() && from_tables {
            for item in &mut select.projection {
                if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
                    let hidden =
                        self.hidden.iter().map(|name| ObjectName::from(vec![Ident::with_quote('"', *name)])).collect();
                    options.opt_exclude = Some(ExcludeSelectItem::Multiple(hidden));
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        type_items(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        forms::time_travel(factor);
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor
            && !forms::is_grouped(table_with_joins)
        {
            forms::group_joins(table_with_joins);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // TRY(x): what fails inside is null.
        if let Expr::Function(function) = expr
            && name_of(function).as_deref() == Some("try")
            && let Some([inner]) = plain_arguments(function).as_deref()
        {
            let mut inner = inner.clone();
            let _ = VisitMut::visit(&mut inner, &mut Lenient);
            *expr = inner;
        }
        if let Some(new) = forms::quantified(expr).or_else(|| forms::rows(expr)) {
            *expr = new;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(result) = forms::like(expr) {
            return self.check(result);
        }
        if let Some(new) = rewrite(expr) {
            *expr = new;
        }
        ControlFlow::Continue(())
    }
}

/// Makes casts, divisions and parsing give null where they would fail.
struct Lenient;

impl VisitorMut for Lenient {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { kind, .. } => *kind = CastKind::TryCast,
            Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } => {
                if let Some(new) = template("nullif($1, 0)", std::slice::from_ref(right.as_ref())) {
                    **right = new;
                }
            }
            Expr::Function(function) => {
                if let Some(
                    name @ ("date_parse"
                    | "parse_datetime"
                    | "from_iso8601_timestamp"
                    | "from_iso8601_date"
                    | "json_parse"),
                ) = name_of(function).as_deref()
                {
                    function.name = ObjectName::from(vec![Ident::new(format!("try_{name}"))]);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn rewrite(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Value(value) => match &value.value {
            // A number with an exponent is a double, one with a point a decimal.
            Value::Number(text, _) if text.contains(['e', 'E']) => {
                let text = Expr::Value(Value::SingleQuotedString(text.clone()).into());
                template("CAST($1 AS DOUBLE)", &[text])
            }
            _ => None,
        },
        Expr::BinaryOp { left, op, right } if is_arithmetic(op) => {
            type_literal(left);
            type_literal(right);
            None
        }
        Expr::Array(array) => {
            array.elem.iter_mut().for_each(type_literal);
            None
        }
        Expr::Case { conditions, else_result, .. } => {
            for when in conditions.iter_mut() {
                type_literal(&mut when.result);
            }
            if let Some(result) = else_result {
                type_literal(result);
            }
            None
        }
        Expr::Function(function) => call(function),
        Expr::Tuple(items) => {
            let mut row = function("row", std::mem::take(items));
            match &mut row {
                Expr::Function(function) => call(function),
                _ => None,
            }
        }
        Expr::Cast { kind, expr, data_type, .. } => cast(kind, expr, data_type),
        Expr::TypedString(TypedString { data_type, value, .. }) => {
            if let DataType::Timestamp(precision @ None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) = data_type
            {
                if let Value::SingleQuotedString(text) = &value.value
                    && zone_of(text)
                {
                    return Some(function("zoned_timestamp", vec![Expr::Value(value.clone())]));
                }
                *precision = Some(3);
            }
            None
        }
        Expr::Extract { field, expr, .. } => {
            let name = match field {
                DateTimeField::Year | DateTimeField::Years => "year",
                DateTimeField::Quarter => "quarter",
                DateTimeField::Month | DateTimeField::Months => "month",
                DateTimeField::Week(_) | DateTimeField::Weeks => "week",
                DateTimeField::Day | DateTimeField::Days => "day",
                DateTimeField::DayOfWeek | DateTimeField::Dow => "dow",
                DateTimeField::DayOfYear | DateTimeField::Doy => "doy",
                DateTimeField::Hour | DateTimeField::Hours => "hour",
                DateTimeField::Minute | DateTimeField::Minutes => "minute",
                DateTimeField::Second | DateTimeField::Seconds => "second",
                DateTimeField::Custom(name) => match name.value.to_lowercase().as_str() {
                    "day_of_week" => "dow",
                    "day_of_year" => "doy",
                    "day_of_month" => "day",
                    "yow" | "year_of_week" => "yow",
                    _ => return None,
                },
                _ => return None,
            };
            let (_, _, text) = TEMPLATES.iter().find(|(known, ..)| *known == name)?;
            template(text, std::slice::from_ref(expr.as_ref()))
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            Some(function("at_timezone", vec![timestamp.as_ref().clone(), time_zone.as_ref().clone()]))
        }
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            Some(function("ceil", vec![expr.as_ref().clone()]))
        }
        Expr::Position { expr, r#in } => {
            template("CAST(strpos($1, $2) AS BIGINT)", &[r#in.as_ref().clone(), expr.as_ref().clone()])
        }
        _ => None,
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(op, Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo)
}

/// Whole numbers are integers in Trino if they fit, bigints in DataFusion. Not all may be told so: an ordinal in GROUP BY
/// must stay a plain number.
fn type_literal(expr: &mut Expr) {
    let text = match &*expr {
        Expr::Value(value) => Some(value),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => match expr.as_ref() {
            Expr::Value(value) => Some(value),
            _ => None,
        },
        _ => None,
    };
    if let Some(Value::Number(text, _)) = text.map(|value| &value.value)
        && text.parse::<i32>().is_ok()
        && let Some(typed) = template("CAST($1 AS INTEGER)", std::slice::from_ref(expr))
    {
        *expr = typed;
    }
}

fn cast(kind: &CastKind, expr: &Expr, data_type: &mut DataType) -> Option<Expr> {
    let try_cast = *kind == CastKind::TryCast;
    let length = |n: u64| Expr::Value(Value::Number(n.to_string(), false).into());
    match data_type {
        DataType::Varchar(None) | DataType::CharacterVarying(None) => Some(function("to_varchar", vec![expr.clone()])),
        DataType::Varchar(Some(n)) | DataType::Char(Some(n)) | DataType::CharacterVarying(Some(n)) => {
            let datafusion::sql::sqlparser::ast::CharacterLength::IntegerLength { length: n, .. } = n else {
                return None;
            };
            Some(function("to_varchar", vec![expr.clone(), length(*n)]))
        }
        DataType::Varbinary(_) => {
            *data_type = DataType::Bytea;
            None
        }
        DataType::JSON => Some(function("to_json", vec![expr.clone()])),
        // Types that sqlparser cannot read: the function reads them.
        DataType::Custom(name, modifiers) if name.to_string() == grammar::TYPE => {
            let ty = Expr::Value(Value::SingleQuotedString(modifiers.first()?.clone()).into());
            Some(function(if try_cast { "trino_try_cast" } else { "trino_cast" }, vec![expr.clone(), ty]))
        }
        DataType::Timestamp(precision @ None, _) => {
            *precision = Some(3);
            None
        }
        // Trino rounds, DataFusion truncates.
        DataType::TinyInt(_)
        | DataType::SmallInt(_)
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
            if !try_cast =>
        {
            Some(Expr::Cast {
                kind: kind.clone(),
                expr: Box::new(function("round_half_up", vec![expr.clone()])),
                data_type: data_type.clone(),
                array: false,
                format: None,
            })
        }
        _ => None,
    }
}

/// Whether a timestamp's text ends with a zone.
fn zone_of(text: &str) -> bool {
    let text = text.trim();
    let Some((_, clock)) = text.split_once(' ') else { return text.ends_with('Z') };
    clock.contains(|c: char| c.is_alphabetic()) || clock.contains('+') || clock.contains('-')
}

fn call(function: &mut Function) -> Option<Expr> {
    let name = name_of(function)?;
    if matches!(name.as_str(), "row" | "typeof" | "coalesce" | "if" | "greatest" | "least" | "nullif" | "to_json")
        && let FunctionArguments::List(list) = &mut function.args
    {
        for arg in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                type_literal(expr);
            }
        }
    }
    if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
        function.name = ObjectName::from(vec![Ident::new(*new)]);
        return None;
    }
    match name.as_str() {
        "arbitrary" | "any_value" => {
            function.name = ObjectName::from(vec![Ident::new("first_value")]);
            function.null_treatment = Some(NullTreatment::IgnoreNulls);
            return None;
        }
        "count_if" => {
            let [condition] = plain_arguments(function)?.try_into().ok()?;
            function.name = ObjectName::from(vec![Ident::new("count")]);
            function.args = arguments(vec![Expr::Value(Value::Number("1".to_owned(), false).into())]);
            let both = match function.filter.take() {
                Some(filter) => template("($1) AND ($2)", &[*filter, condition])?,
                None => condition,
            };
            function.filter = Some(Box::new(both));
            return None;
        }
        "approx_distinct" => {
            let first = plain_arguments(function)?.into_iter().next()?;
            function.args = arguments(vec![first]);
            return template("CAST($1 AS BIGINT)", &[Expr::Function(function.clone())]);
        }
        "approx_percentile" => {
            let [value, percentile] = plain_arguments(function)?.try_into().ok()?;
            function.name = ObjectName::from(vec![Ident::new("approx_percentile_cont")]);
            function.args = arguments(vec![template("CAST($1 AS DOUBLE)", &[percentile])?]);
            function.within_group = vec![ordered(value, true)];
            return None;
        }
        "max_by" | "min_by" => {
            let [value, by] = plain_arguments(function)?.try_into().ok()?;
            let known = template("($1) IS NOT NULL", std::slice::from_ref(&by))?;
            let both = match function.filter.take() {
                Some(filter) => template("($1) AND ($2)", &[*filter, known])?,
                None => known,
            };
            function.filter = Some(Box::new(both));
            function.name = ObjectName::from(vec![Ident::new("first_value")]);
            function.args = FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))],
                clauses: vec![FunctionArgumentClause::OrderBy(vec![ordered(by, name == "min_by")])],
            });
            return None;
        }
        "listagg" => {
            let mut args = plain_arguments(function)?;
            if args.len() == 1 {
                args.push(Expr::Value(Value::SingleQuotedString(String::new()).into()));
            }
            let order = std::mem::take(&mut function.within_group);
            function.name = ObjectName::from(vec![Ident::new("string_agg")]);
            function.args = FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
                clauses: if order.is_empty() { Vec::new() } else { vec![FunctionArgumentClause::OrderBy(order)] },
            });
            return None;
        }
        "row" => {
            let args = plain_arguments(function)?;
            let named = args
                .into_iter()
                .enumerate()
                .flat_map(|(i, arg)| [Expr::Value(Value::SingleQuotedString(format!("field{i}")).into()), arg]);
            return Some(self::function("named_struct", named.collect()));
        }
        _ => {}
    }
    if function.over.is_some() || function.filter.is_some() {
        return None;
    }
    let args = plain_arguments(function)?;
    let (_, _, text) = TEMPLATES.iter().find(|(known, arity, _)| *known == name && *arity == args.len())?;
    template(text, &args)
}

pub(super) fn name_of(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name.value.to_lowercase()),
        _ => None,
    }
}

/// The arguments if they are nothing but expressions.
pub(super) fn plain_arguments(function: &Function) -> Option<Vec<Expr>> {
    match &function.args {
        FunctionArguments::None => Some(Vec::new()),
        FunctionArguments::List(list)
            if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) && list.clauses.is_empty() =>
        {
            list.args
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                    _ => None,
                })
                .collect()
        }
        _ => None,
    }
}

fn arguments(args: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
        clauses: Vec::new(),
    })
}

pub(super) fn function(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: arguments(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn ordered(expr: Expr, asc: bool) -> OrderByExpr {
    OrderByExpr { expr, options: OrderByOptions { asc: Some(asc), nulls_first: Some(false) }, with_fill: None }
}

/// Parses a template and puts the arguments into the places of `$1`, `$2`, ….
pub(super) fn template(text: &str, args: &[Expr]) -> Option<Expr> {
    struct Fill<'a>(&'a [Expr]);
    impl VisitorMut for Fill<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Value(value) = &*expr
                && let Value::Placeholder(number) = &value.value
                && let Some(arg) =
                    number.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).and_then(|n| self.0.get(n - 1))
            {
                *expr = match arg {
                    Expr::BinaryOp { .. } => Expr::Nested(Box::new(arg.clone())),
                    plain => plain.clone(),
                };
                // What was put in is done: it must not be filled again.
            }
            ControlFlow::Continue(())
        }
    }
    let mut expr = Parser::new(&Trino).try_with_sql(text).ok()?.parse_expr().ok()?;
    let _ = VisitMut::visit(&mut expr, &mut Fill(args));
    Some(expr)
}

#[cfg(test)]
mod tests {
    use super::super::parse_query;

    #[test]
    fn trino_in_other_words() {
        for (sql, expected) in [
            ("SELECT year(d)", "SELECT CAST(date_part('year', d) AS BIGINT)"),
            ("SELECT if(a, b)", "SELECT CASE WHEN a THEN b END"),
            ("SELECT CAST(a AS varchar)", "SELECT to_varchar(a)"),
            ("SELECT CAST(a AS timestamp)", "SELECT CAST(a AS TIMESTAMP(3))"),
            ("SELECT try(CAST(a AS date))", "SELECT TRY_CAST(a AS DATE)"),
            ("SELECT count_if(a > 1)", "SELECT count(1) FILTER (WHERE a > 1)"),
            ("SELECT max_by(a, b)", "SELECT first_value(a ORDER BY b DESC NULLS LAST) FILTER (WHERE (b) IS NOT NULL)"),
            ("SELECT extract(month FROM d)", "SELECT CAST(date_part('month', d) AS BIGINT)"),
            ("SELECT \"A\".\"B\" FROM \"Cat\".\"Db\".\"T\" \"A\"", "SELECT \"a\".\"b\" FROM \"db\".\"t\" \"a\""),
            ("SELECT x, x", "SELECT x, x AS \"__column_1\""),
            ("SELECT 1 GROUP BY 1", "SELECT CAST(1 AS INTEGER) GROUP BY 1"),
            ("SELECT 1e0, -2", "SELECT CAST('1e0' AS DOUBLE), CAST(-2 AS INTEGER)"),
        ] {
            assert_eq!(parse_query(sql).unwrap().query.to_string(), expected);
        }
    }

    #[test]
    fn labels_keep_the_casing_of_the_text() {
        let select = parse_query("SELECT Foo, count(*), t.Bar, *, x AS \"Baz Q\" FROM t").unwrap();
        let fields: Vec<String> = ["foo", "count(*)", "bar", "p", "q", "baz q"].map(str::to_owned).into();
        let labels: Vec<_> = select.labels.apply(&fields).into_iter().map(Option::unwrap_or_default).collect();
        assert_eq!(labels, ["Foo", "", "Bar", "p", "q", "Baz Q"]);
    }
}
