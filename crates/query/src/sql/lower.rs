//! The last step before planning: every operator, literal, cast and condition becomes a call of the function that
//! stands for it (`$add`, `$literal`, `$cast`, …), so that [`trino_functions`] alone decides on types. What those calls
//! mean is put back into DataFusion's own expressions by [`crate::analyze`], where types are known.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, DuplicateTreatment, Expr, Fetch,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, Interval, LambdaFunction, LambdaFunctionParameter, LambdaSyntax, LimitClause, NullTreatment,
    ObjectName, ObjectNamePart, OneOrManyWithParens, OrderByExpr, OrderByKind, Query, SetExpr, Subscript,
    TrimWhereField, TypedString, UnaryOperator, Value, VisitMut, VisitorMut, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowSpec, WindowType, visit_expressions,
};
use trino_functions::Type;
use trino_functions::call::Argument;

use crate::error::{Error, Result};

/// Window functions of DataFusion's that are Trino's; their ranks are bigints there.
const WINDOW: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];
/// Those that stand for a row's place, whatever the frame.
const RANKING: &[&str] = &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"];
const COUNTING: &[&str] = &["row_number", "rank", "dense_rank", "ntile"];

/// Functions that take lambdas.
pub(crate) const LAMBDA: &[&str] = &[
    "transform",
    "filter",
    "reduce",
    "any_match",
    "all_match",
    "none_match",
    "zip_with",
    "map_filter",
    "transform_keys",
    "transform_values",
    "map_zip_with",
    "array_sort",
    "regexp_replace",
];

/// Functions without a function of that name: the grammar's own, or those that become others.
const GRAMMAR: &[&str] = &[
    "try",
    "grouping",
    "reduce_agg",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "unnest",
    "rand",
    "current_catalog",
    "current_schema",
];

/// Functions of Trino's that are not here, refused by name.
const REFUSED: &[&str] = &[
    "bar",
    "current_user",
    "color",
    "render",
    "rgb",
    "spooky_hash_v2_32",
    "spooky_hash_v2_64",
    "learn_classifier",
    "learn_libsvm_classifier",
    "learn_regressor",
    "learn_libsvm_regressor",
    "classify",
    "regress",
    "features",
    "great_circle_distance",
    "to_geometry",
    "to_spherical_geography",
    "geometry_union",
    "bing_tile",
];

/// Whether Trino has a function that is refused here.
pub(super) fn is_refused(name: &str) -> bool {
    REFUSED.contains(&name) || name.starts_with("st_") || name.starts_with("bing_tile")
}

/// Whether users may call a function of this name.
pub(super) fn is_known(name: &str) -> bool {
    let exists = trino_functions::call::exists(name) || trino_functions::aggregate::exists(name);
    trino_functions::scalar::JSON_STANDARD.contains(&name)
        || !name.starts_with('$') && exists
        || WINDOW.contains(&name)
        || LAMBDA.contains(&name)
        || GRAMMAR.contains(&name)
        || [
            super::forms::NAMED_ROW,
            super::NAMES,
            super::COLUMNS_OF,
            super::FIELDS_OF,
            super::ARGUMENT,
            super::RETURNED,
            super::ROUTINE,
            super::forms::AMONG,
        ]
        .contains(&name)
        || crate::row_pattern::is_marker(name)
}

/// Whether a function is one over windows.
pub(super) fn is_windowed(name: &str) -> bool {
    WINDOW.contains(&name) || name == "reduce_agg" || trino_functions::aggregate::exists(name)
}

/// Whether users give lambdas to a function of this name.
pub(super) fn takes_lambdas(name: &str) -> bool {
    LAMBDA.contains(&name) || name == "reduce_agg"
}

/// The function that stands for what the session says until that is known.
const SESSION: &str = "$session";

/// Puts the session's catalog and database into a query.
pub(crate) fn in_session(query: &mut Query, catalog: &str, database: &str) {
    struct InSession<'a>(&'a str, &'a str);
    impl VisitorMut for InSession<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = &*expr
                && function.name == named(SESSION)
            {
                let of_catalog = arguments(function).first().and_then(raw_text) == Some("current_catalog");
                *expr = literal(if of_catalog { self.0 } else { self.1 }, "text");
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(query, &mut InSession(catalog, database));
}

/// Takes the catalog off each relation that has one. `own` says whether a catalog is the account's; the first that is not is told,
/// and where it stands.
///
/// # Errors
/// That catalog's name, with line and column.
pub(crate) fn without_catalogs(query: &mut Query, own: impl Fn(&str) -> bool) -> Result<(), (String, (u64, u64))> {
    struct Catalogs<F>(F);
    impl<F: Fn(&str) -> bool> VisitorMut for Catalogs<F> {
        type Break = (String, (u64, u64));
        fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Self::Break> {
            if relation.0.len() != 3 {
                return ControlFlow::Continue(());
            }
            let part = relation.0.remove(0);
            match part.as_ident() {
                Some(ident) if !(self.0)(&ident.value) => {
                    let at = ident.span.start;
                    ControlFlow::Break((ident.value.to_lowercase(), (at.line.max(1), at.column.max(1))))
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match VisitMut::visit(query, &mut Catalogs(own)) {
        ControlFlow::Break(other) => Err(other),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Lowers a query; what is told back are the names of aggregates made on the way.
pub(super) fn lower(query: &mut Query) -> Result<Vec<String>> {
    let mut lowering = Lowering::default();
    let done = VisitMut::visit(query, &mut lowering);
    match lowering.error {
        Some(error) => Err(error),
        None if done.is_break() => Err(Error::internal("a lowering was broken off")),
        None => Ok(lowering.aggregates),
    }
}

#[derive(Default)]
struct Lowering {
    aggregates: Vec<String>,
    error: Option<Error>,
    limits: Vec<(Option<LimitClause>, Option<Fetch>)>,
    frames: Vec<Option<WindowFrame>>,
    /// Parameters of the lambdas around an expression.
    parameters: Vec<Vec<String>>,
}

/// A text that is not a literal of the statement's.
fn raw(text: &str) -> Expr {
    Expr::Value(Value::EscapedStringLiteral(text.to_owned()).into())
}

fn raw_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn list(args: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
        clauses: Vec::new(),
    })
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: named(name),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: list(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn named(name: &str) -> ObjectName {
    ObjectName::from(vec![Ident::with_quote('"', name)])
}

fn literal(text: &str, kind: &str) -> Expr {
    call("$literal", vec![raw(text), raw(kind)])
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

fn not(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) } } else { expr }
}

const ORDINAL: &str = "#";

/// Keeps an ordinal of GROUP BY or ORDER BY from becoming a literal.
fn guard(expr: &mut Expr) {
    if let Expr::Value(value) = expr
        && let Value::Number(text, _) = &value.value
    {
        *expr = Expr::Value(Value::Placeholder(format!("{ORDINAL}{text}")).into());
    }
}

fn release(expr: &mut Expr) {
    if let Expr::Value(value) = expr
        && let Value::Placeholder(text) = &value.value
        && let Some(number) = text.strip_prefix(ORDINAL)
    {
        *expr = Expr::Value(Value::Number(number.to_owned(), false).into());
    }
}

fn ordinals(query: &mut Query, change: fn(&mut Expr)) {
    if let Some(order) = &mut query.order_by
        && let OrderByKind::Expressions(items) = &mut order.kind
    {
        for item in items.iter_mut() {
            change(&mut item.expr);
        }
    }
    if let SetExpr::Select(select) = query.body.as_mut() {
        select_ordinals(select, change);
    }
}

fn select_ordinals(select: &mut datafusion::sql::sqlparser::ast::Select, change: fn(&mut Expr)) {
    let GroupByExpr::Expressions(items, _) = &mut select.group_by else { return };
    for item in items {
        match item {
            Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                sets.iter_mut().flatten().for_each(change);
            }
            other => change(other),
        }
    }
}

impl VisitorMut for Lowering {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        ordinals(query, guard);
        self.limits.push((query.limit_clause.take(), query.fetch.take()));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        ordinals(query, release);
        super::rewrite::name_ordered(query);
        if let Some((limit, fetch)) = self.limits.pop() {
            (query.limit_clause, query.fetch) = (limit, fetch);
        }
        if let SetExpr::Values(_) = query.body.as_ref()
            && let Err(error) = values(&mut query.body)
        {
            return self.fail(error);
        }
        if let Err(error) = set_operands(&mut query.body) {
            return self.fail(error);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut datafusion::sql::sqlparser::ast::Select) -> ControlFlow<()> {
        select_ordinals(select, guard);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut datafusion::sql::sqlparser::ast::Select) -> ControlFlow<()> {
        select_ordinals(select, release);
        super::rewrite::make_unnamed_unique(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Interval(interval) => match lower_interval(interval) {
                Some(new) => *expr = new,
                None => {
                    return self.fail(Error::syntax(1, 1, format_args!("mismatched input '{expr}'")));
                }
            },
            // A minus before a number belongs to it.
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                if let Expr::Value(value) = inner.as_ref()
                    && let Value::Number(text, _) = &value.value
                {
                    *expr = literal(&format!("-{text}"), "number");
                }
            }
            Expr::Lambda(lambda) => {
                self.parameters.push(lambda.params.iter().map(|param| param.name.value.to_lowercase()).collect());
                if let Some(name) = aggregated(&lambda.body) {
                    return self.fail(Error::user(
                        1006,
                        "EXPRESSION_NOT_SCALAR",
                        format_args!(
                            "line 1:8: Lambda expression cannot contain aggregations, window functions or grouping operations: [{name}]"
                        ),
                    ));
                }
            }
            // A field of a parameter looks like a table's column.
            Expr::CompoundIdentifier(parts) => {
                let first = parts.first().map(|part| part.value.to_lowercase()).unwrap_or_default();
                if self.parameters.iter().any(|names| names.contains(&first)) {
                    let mut parts = std::mem::take(parts).into_iter();
                    let parameter = parts.next().map_or_else(|| Expr::Value(Value::Null.into()), Expr::Identifier);
                    *expr = parts.fold(parameter, |value, name| call("$field", vec![value, raw(&name.value)]));
                }
            }
            Expr::Function(function) => {
                if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
                    self.frames.push(spec.window_frame.take());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(spec)) = &mut function.over
            && let Some(frame) = self.frames.pop()
        {
            spec.window_frame = frame;
        }
        if matches!(expr, Expr::Lambda(_)) {
            self.parameters.pop();
        }
        match self.expression(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.fail(error),
        }
    }
}

impl Lowering {
    fn fail(&mut self, error: Error) -> ControlFlow<()> {
        self.error.get_or_insert(error);
        ControlFlow::Break(())
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    fn expression(&mut self, expr: &mut Expr) -> Result<()> {
        let new = match expr {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => literal(text, "number"),
                Value::SingleQuotedString(text) | Value::UnicodeStringLiteral(text) => literal(text, "text"),
                Value::HexStringLiteral(text) => literal(text, "binary"),
                _ => return Ok(()),
            },
            Expr::TypedString(TypedString { data_type, value, .. }) => {
                let Some(text) = value.clone().into_string() else { return Ok(()) };
                let kind = match data_type {
                    DataType::Decimal(_) | DataType::Numeric(_) | DataType::Dec(_) => "decimal".to_owned(),
                    DataType::Timestamp(..) | DataType::TimestampNtz(_) => "timestamp".to_owned(),
                    DataType::Time(..) => "time".to_owned(),
                    DataType::Char(None) | DataType::Character(None) => {
                        format!("char({})", text.chars().count().max(1))
                    }
                    other => type_text(other),
                };
                literal(&text, &kind)
            }
            Expr::Identifier(name)
                if name.quote_style.is_none()
                    && matches!(name.value.to_lowercase().as_str(), "current_catalog" | "current_schema") =>
            {
                call(SESSION, vec![raw(&name.value.to_lowercase())])
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => call("$neg", vec![take(expr)]),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => call("$pos", vec![take(expr)]),
            Expr::Nested(expr) => take(expr),
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => {
                **inner = call("$boolean", vec![take(inner), raw("not")]);
                return Ok(());
            }
            Expr::UnaryOp { op, .. } => {
                return Err(Error::syntax(1, 1, format_args!("mismatched input '{op}'")));
            }
            Expr::BinaryOp { left, op, right } => match operator(op)? {
                Some("concat") => concat(take(left), take(right)),
                Some(name) => call(name, vec![take(left), take(right)]),
                None => {
                    for side in [left, right] {
                        **side = call("$boolean", vec![take(side), raw("term")]);
                    }
                    return Ok(());
                }
            },
            Expr::IsDistinctFrom(left, right) => call("$distinct", vec![take(left), take(right)]),
            Expr::IsNotDistinctFrom(left, right) => call("$same", vec![take(left), take(right)]),
            Expr::Between { expr, negated, low, high } => {
                not(call("$between", vec![take(expr), take(low), take(high)]), *negated)
            }
            Expr::InList { expr, list, negated } => {
                let args = std::iter::once(take(expr)).chain(std::mem::take(list)).collect();
                not(call("$in", args), *negated)
            }
            Expr::Like { negated, expr, pattern, escape_char, any: false } => {
                // Who read the pattern left it with the backslash for escape character, as DataFusion has it.
                let _ = escape_char.take();
                let args = vec![take(expr), take(pattern), literal("\\", "text")];
                not(call("$like", args), *negated)
            }
            Expr::ILike { .. } | Expr::SimilarTo { .. } | Expr::RLike { .. } => {
                let word = match expr {
                    Expr::ILike { .. } => "ILIKE",
                    Expr::SimilarTo { .. } => "TO",
                    _ => "RLIKE",
                };
                return Err(Error::syntax(1, 1, format_args!("mismatched input '{word}'")));
            }
            Expr::Case { operand: Some(operand), conditions, else_result, .. } => {
                let mut args = vec![take(operand)];
                for when in conditions {
                    args.extend([take(&mut when.condition), take(&mut when.result)]);
                }
                args.extend(else_result.as_mut().map(|result| take(result)));
                call("$case_of", args)
            }
            Expr::Case { operand: None, conditions, else_result, .. } => {
                let mut args = Vec::new();
                for when in conditions {
                    args.extend([take(&mut when.condition), take(&mut when.result)]);
                }
                args.extend(else_result.as_mut().map(|result| take(result)));
                call("$case", args)
            }
            Expr::Cast { kind, expr, data_type, format: None, .. } => {
                let name = match kind {
                    CastKind::Cast => "$cast",
                    CastKind::TryCast => "$try_cast",
                    CastKind::DoubleColon | CastKind::SafeCast => {
                        return Err(Error::syntax(1, 1, "mismatched input '::'"));
                    }
                };
                call(name, vec![take(expr), raw(&type_text(data_type))])
            }
            Expr::Array(array) => call("$array", std::mem::take(&mut array.elem)),
            Expr::Tuple(items) => call("row", std::mem::take(items)),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut value = take(root);
                for access in std::mem::take(access_chain) {
                    value = match access {
                        AccessExpr::Dot(Expr::Identifier(name)) => call("$field", vec![value, raw(&name.value)]),
                        AccessExpr::Subscript(Subscript::Index { index }) => subscript(value, index),
                        other => return Err(Error::syntax(1, 1, format_args!("mismatched input '{other}'"))),
                    };
                }
                value
            }
            Expr::Extract { field, expr, .. } => call("$extract", vec![raw(&extracted(field)), take(expr)]),
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                call("ceil", vec![take(expr)])
            }
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                call("floor", vec![take(expr)])
            }
            Expr::Position { expr, r#in } => call("strpos", vec![take(r#in), take(expr)]),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![take(expr)];
                args.extend(substring_from.as_mut().map(|from| take(from)));
                args.extend(substring_for.as_mut().map(|count| take(count)));
                call("substr", args)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "trim",
                };
                let mut args = vec![take(expr)];
                args.extend(trim_what.as_mut().map(|what| take(what)));
                args.extend(trim_characters.take().into_iter().flatten());
                call(name, args)
            }
            Expr::AtTimeZone { timestamp, time_zone } => call("$at_timezone", vec![take(timestamp), take(time_zone)]),
            Expr::Function(function) => match self.function(function)? {
                Some(new) => new,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        *expr = new;
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each function")]
    fn function(&mut self, function: &mut Function) -> Result<Option<Expr>> {
        let [ObjectNamePart::Identifier(ident)] = function.name.0.as_slice() else { return Ok(None) };
        let name = ident.value.to_lowercase();
        let windowed = function.over.is_some();
        let has_lambda = arguments(function).iter().any(|arg| matches!(arg, Expr::Lambda(_)));
        match name.as_str() {
            "try" => {
                let args = arguments(function);
                let [body] = &args[..] else { return Ok(None) };
                let lambda = lambda(super::forms::made_ident("try"), body.clone());
                return Ok(Some(call("$try", vec![Expr::Value(Value::Boolean(true).into()), lambda])));
            }
            "map" => function.name = named("$map"),
            "array_sort" if has_lambda => function.name = named("$array_sort_by"),
            "regexp_replace" if has_lambda => function.name = named("$regexp_replace_by"),
            "current_date" if function.args != FunctionArguments::None => {
                return Err(Error::syntax(1, 1, "mismatched input '('"));
            }
            "current_timestamp" | "current_date" | "current_time" | "localtime" | "localtimestamp" => {
                let now = call(&format!("${name}"), Vec::new());
                return match arguments(function).first() {
                    Some(precision) => precise(&name, now, precision).map(Some),
                    None => Ok(Some(now)),
                };
            }
            "current_catalog" | "current_schema" => return Ok(Some(call(SESSION, vec![raw(&name)]))),
            "rand" => function.name = named("random"),
            "reduce_agg" if !windowed => {
                let args = arguments(function);
                let [value, init, merge, _] = &args[..] else { return Ok(None) };
                if let FunctionArguments::List(list) = &function.args
                    && list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
                {
                    let text = "line 1:8: DISTINCT can only be applied to comparable types (actual: a lambda)";
                    return Err(Error::user(1006, "TYPE_MISMATCH", text));
                }
                // An order is not obeyed by Trino either, for which the function has none.
                let mut collected = function.clone();
                collected.name = named("array_agg");
                collected.args = list(vec![value.clone()]);
                let known = Expr::IsNotNull(Box::new(value.clone()));
                collected.filter = Some(Box::new(match collected.filter.take() {
                    Some(filter) => Expr::BinaryOp { left: filter, op: BinaryOperator::And, right: Box::new(known) },
                    None => known,
                }));
                let state = super::forms::made_ident("state");
                let identity = lambda(state.clone(), Expr::Identifier(state));
                let args = vec![Expr::Function(collected), init.clone(), merge.clone(), identity];
                return Ok(Some(call("reduce", args)));
            }
            _ => {}
        }
        let mut own_frame = false;
        if windowed {
            if let Some(WindowType::WindowSpec(spec)) = &function.over
                && let Some(name) = &spec.window_name
            {
                let text = format!("line 1:8: Cannot resolve WINDOW name {}", name.value);
                return Err(Error::user(1006, "INVALID_WINDOW_REFERENCE", text));
            }
            if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
                check_frame(&name, spec)?;
                if let Some(frame) = &mut spec.window_frame {
                    without_rows(frame);
                }
                if spec.order_by.is_empty()
                    && let Some(frame) = &mut spec.window_frame
                    && frame.units == WindowFrameUnits::Groups
                {
                    // Without an order all rows are peers.
                    *frame = WindowFrame {
                        units: WindowFrameUnits::Rows,
                        start_bound: WindowFrameBound::Preceding(None),
                        end_bound: Some(WindowFrameBound::Following(None)),
                    };
                }
                if spec.window_frame.is_none() && (RANKING.contains(&name.as_str()) || name == "lag" || name == "lead")
                {
                    // They read no frame; that of ranges is not there for every type of key.
                    spec.window_frame = Some(WindowFrame {
                        units: WindowFrameUnits::Rows,
                        start_bound: WindowFrameBound::Preceding(None),
                        end_bound: Some(WindowFrameBound::CurrentRow),
                    });
                    own_frame = true;
                }
            }
            if matches!(name.as_str(), "lag" | "lead")
                && let Some(WindowType::WindowSpec(spec)) = &function.over
            {
                if spec.order_by.is_empty() {
                    let text = format!("line 1:8: {name} function requires an ORDER BY window clause");
                    return Err(Error::user(1006, "MISSING_ORDER_BY", text));
                }
                if spec.window_frame.is_some() && !own_frame {
                    let text = format!("line 1:8: Cannot specify window frame for {name} function");
                    return Err(Error::user(1006, "INVALID_WINDOW_FRAME", text));
                }
            }
            if matches!(name.as_str(), "lag" | "lead")
                && let Some(offset) = arguments(function).get(1)
                && let Some(wrong) = wrong_offset(offset)
            {
                return Err(Error::user(1203, "INVALID_FUNCTION_ARGUMENT", wrong));
            }
            if name == "nth_value"
                && let Some(Expr::Function(offset)) = arguments(function).get(1)
                && offset.name == named("$literal")
                && arguments(offset)
                    .first()
                    .and_then(raw_text)
                    .and_then(|text| text.parse::<i64>().ok())
                    .is_some_and(|n| n < 1)
            {
                return Err(Error::user(1203, "INVALID_FUNCTION_ARGUMENT", "Offset must be at least 1"));
            }
            if function.filter.is_some() {
                return Err(Error::not_supported("line 1:8: FILTER is not yet supported for window functions"));
            }
            let sorts = |list: &FunctionArgumentList| {
                list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
                    || list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)))
            };
            if trino_functions::aggregate::exists(&name)
                && (!function.within_group.is_empty()
                    || matches!(&function.args, FunctionArguments::List(list) if sorts(list)))
            {
                self.aggregate(&name, function)?;
            }
            if COUNTING.contains(&name.as_str()) {
                return Ok(Some(call("$cast", vec![Expr::Function(function.clone()), raw("bigint")])));
            }
            return Ok(None);
        }
        if WINDOW.contains(&name.as_str()) {
            let text = format!("line 1:8: Window function system.builtin.{name} requires an OVER clause");
            return Err(Error::user(1006, "MISSING_OVER", text));
        }
        if trino_functions::aggregate::exists(&name) {
            self.aggregate(&name, function)?;
        }
        Ok(None)
    }

    /// The order of an aggregate's rows travels in its name and as arguments behind its own.
    fn aggregate(&mut self, name: &str, function: &mut Function) -> Result<()> {
        let mut order: Vec<OrderByExpr> = std::mem::take(&mut function.within_group);
        if let FunctionArguments::List(list) = &mut function.args {
            let clauses = std::mem::take(&mut list.clauses);
            for clause in clauses {
                match clause {
                    FunctionArgumentClause::OrderBy(items) => order.extend(items),
                    FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
                        function.null_treatment = Some(treatment);
                    }
                    // A list that is too long is an error in either case.
                    FunctionArgumentClause::OnOverflow(_) => {}
                    other => list.clauses.push(other),
                }
            }
            if function.null_treatment.take() == Some(NullTreatment::IgnoreNulls)
                && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first()
            {
                let known = Expr::IsNotNull(Box::new(value.clone()));
                function.filter = Some(Box::new(match function.filter.take() {
                    Some(filter) => Expr::BinaryOp { left: filter, op: BinaryOperator::And, right: Box::new(known) },
                    None => known,
                }));
            }
            let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
            if order.is_empty() && (!distinct || list.args.len() < 2) {
                return Ok(());
            }
            let arguments: Vec<String> = list.args.iter().map(ToString::to_string).collect();
            if distinct && order.iter().any(|item| !arguments.contains(&item.expr.to_string())) {
                let text =
                    "line 1:8: For aggregate function with DISTINCT, ORDER BY expressions must appear in arguments";
                return Err(Error::user(1006, "EXPRESSION_NOT_IN_DISTINCT", text));
            }
            // DataFusion's DISTINCT is of one argument.
            let unique = distinct.then_some("u");
            list.duplicate_treatment = None;
            let spec: Vec<&str> = order
                .iter()
                .map(|item| match (item.options.asc, item.options.nulls_first) {
                    (Some(false), Some(true)) => "df",
                    (Some(false), _) => "dl",
                    (_, Some(true)) => "af",
                    _ => "al",
                })
                .collect();
            list.args.extend(order.into_iter().map(|item| FunctionArg::Unnamed(FunctionArgExpr::Expr(item.expr))));
            let spec: Vec<&str> = unique.into_iter().chain(spec).collect();
            let full = format!("{name}${}", spec.join("$"));
            function.name = named(&full);
            self.aggregates.push(full);
        }
        Ok(())
    }
}

/// `current_timestamp(6)`: of another precision than three.
fn precise(name: &str, now: Expr, precision: &Expr) -> Result<Expr> {
    let written = match precision {
        Expr::Function(call) if call.name == named("$literal") => {
            arguments(call).first().and_then(raw_text).map(str::to_owned)
        }
        _ => None,
    };
    let digits = written.and_then(|text| text.parse::<u64>().ok());
    let (ty, zone) = match name {
        "current_timestamp" => ("timestamp", " with time zone"),
        "localtimestamp" => ("timestamp", ""),
        "current_time" => ("time", " with time zone"),
        _ => ("time", ""),
    };
    match digits {
        Some(digits @ 0..=12) => Ok(call("$cast", vec![now, raw(&format!("{ty}({digits}){zone}"))])),
        Some(digits) => {
            let upper = format!("{ty}{zone}").to_uppercase();
            let text = format!("{upper} precision must be in range [0, 12]: {digits}");
            Err(Error::user(1203, "NUMERIC_VALUE_OUT_OF_RANGE", text))
        }
        None => Err(Error::syntax(1, 1, "mismatched input '('")),
    }
}

/// What Trino says of an offset of LAG and LEAD that is a literal.
fn wrong_offset(offset: &Expr) -> Option<&'static str> {
    match offset {
        Expr::Function(call) if call.name == named("$neg") => {
            let args = arguments(call);
            let Some(Expr::Function(inner)) = args.first() else { return None };
            let number = arguments(inner).first().and_then(raw_text)?.parse::<i64>().ok()?;
            (inner.name == named("$literal") && number > 0).then_some("Offset must be at least 0")
        }
        Expr::Function(call) if call.name == named("$literal") => {
            let number = arguments(call).first().and_then(raw_text)?.parse::<i64>().ok()?;
            (number < 0).then_some("Offset must be at least 0")
        }
        Expr::Value(value) if value.value == Value::Null => Some("Offset must not be null"),
        _ => None,
    }
}

/// A frame of rows or groups that ends before it begins has none: it lies behind all of them.
fn without_rows(frame: &mut WindowFrame) {
    let place = |bound: &WindowFrameBound| -> Option<i128> {
        let (sign, offset) = match bound {
            WindowFrameBound::CurrentRow => return Some(0),
            WindowFrameBound::Preceding(Some(offset)) => (-1, offset),
            WindowFrameBound::Following(Some(offset)) => (1, offset),
            _ => return None,
        };
        match offset.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => text.parse::<i64>().ok().map(|n| sign * i128::from(n)),
                _ => None,
            },
            _ => None,
        }
    };
    let same_side = |start: &WindowFrameBound, end: &WindowFrameBound| {
        use WindowFrameBound::{Following, Preceding};
        matches!((start, end), (Preceding(_), Preceding(_)) | (Following(_), Following(_)))
    };
    if frame.units != WindowFrameUnits::Range
        && let Some(end) = &frame.end_bound
        && same_side(&frame.start_bound, end)
        && let (Some(from), Some(to)) = (place(&frame.start_bound), place(end))
        && from > to
    {
        let behind = || {
            let far = Value::Number((1u64 << 40).to_string(), false);
            WindowFrameBound::Following(Some(Box::new(Expr::Value(far.into()))))
        };
        (frame.start_bound, frame.end_bound) = (behind(), Some(behind()));
    }
}

/// What Trino says of frames before it looks at their functions.
fn check_frame(name: &str, spec: &WindowSpec) -> Result<()> {
    let Some(frame) = &spec.window_frame else { return Ok(()) };
    let offset = |bound: &WindowFrameBound| {
        matches!(bound, WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_)))
    };
    if spec.order_by.is_empty()
        && !matches!(frame.units, WindowFrameUnits::Rows)
        && (offset(&frame.start_bound) || frame.end_bound.as_ref().is_some_and(offset))
    {
        let text = format!("line 1:8: Window frame of type {} PRECEDING or FOLLOWING requires ORDER BY", frame.units);
        return Err(Error::user(1006, "MISSING_ORDER_BY", text));
    }
    if spec.order_by.len() > 1
        && matches!(frame.units, WindowFrameUnits::Range)
        && (offset(&frame.start_bound) || frame.end_bound.as_ref().is_some_and(offset))
    {
        let text = format!(
            "line 1:8: Window frame of type RANGE PRECEDING or FOLLOWING requires single sort item in ORDER BY (actual: {})",
            spec.order_by.len()
        );
        return Err(Error::user(1006, "INVALID_ORDER_BY", text));
    }
    if RANKING.contains(&name) {
        let text = format!("line 1:8: Cannot specify window frame for {name} function");
        return Err(Error::user(1006, "INVALID_WINDOW_FRAME", text));
    }
    Ok(())
}

/// The first aggregate or window function in a lambda's body, `TRY`'s excepted, which is a lambda here and not in Trino.
fn aggregated(body: &Expr) -> Option<String> {
    let mut found = None;
    let _ = visit_expressions(body, |expr| {
        if let Expr::Function(function) = expr
            && let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice()
            && (function.over.is_some() || trino_functions::aggregate::exists(&name.value.to_lowercase()))
        {
            found = Some(function.to_string());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found
}

pub(super) fn lambda(parameter: Ident, body: Expr) -> Expr {
    Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::One(LambdaFunctionParameter { name: parameter, data_type: None }),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    })
}

fn arguments(function: &Function) -> Vec<Expr> {
    match &function.args {
        FunctionArguments::List(list) => list
            .args
            .iter()
            .filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// `r[1]` may be a field of a row, for which the number must be seen.
fn subscript(value: Expr, index: Expr) -> Expr {
    let number = match &index {
        Expr::Function(function) if function.name == named("$literal") => {
            arguments(function).first().and_then(raw_text).map(raw)
        }
        _ => None,
    };
    call("$subscript", [value, index].into_iter().chain(number).collect())
}

fn concat(left: Expr, right: Expr) -> Expr {
    call("concat", vec![left, right])
}

/// The function of an operator; `None` for AND and OR.
fn operator(op: &BinaryOperator) -> Result<Option<&'static str>> {
    use BinaryOperator as Op;
    Ok(Some(match op {
        Op::Plus => "$add",
        Op::Minus => "$sub",
        Op::Multiply => "$mul",
        Op::Divide => "$div",
        Op::Modulo => "$mod",
        Op::Eq => "$eq",
        Op::NotEq => "$neq",
        Op::Lt => "$lt",
        Op::LtEq => "$lte",
        Op::Gt => "$gt",
        Op::GtEq => "$gte",
        Op::StringConcat => "concat",
        Op::And | Op::Or => return Ok(None),
        other => return Err(Error::syntax(1, 1, format_args!("mismatched input '{other}'"))),
    }))
}

fn extracted(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(name) => name.value.to_uppercase(),
        DateTimeField::TimezoneHour => "TIMEZONE_HOUR".to_owned(),
        DateTimeField::TimezoneMinute => "TIMEZONE_MINUTE".to_owned(),
        DateTimeField::DayOfWeek => "DAY_OF_WEEK".to_owned(),
        DateTimeField::DayOfYear => "DAY_OF_YEAR".to_owned(),
        other => other.to_string().to_uppercase(),
    }
}

fn type_text(data_type: &DataType) -> String {
    match data_type {
        // Types that the parser only carries.
        DataType::Custom(name, modifiers) => match modifiers.first() {
            Some(text) if name.to_string() == super::grammar::TYPE => text.clone(),
            _ if modifiers.is_empty() => name.to_string().to_lowercase(),
            _ => format!("{name}({})", modifiers.join(",")).to_lowercase(),
        },
        other => other.to_string().to_lowercase(),
    }
}

fn lower_interval(interval: &Interval) -> Option<Expr> {
    let mut value = interval.value.as_ref();
    let mut sign = "+";
    while let Expr::UnaryOp { op, expr } = value {
        if *op == UnaryOperator::Minus {
            sign = if sign == "+" { "-" } else { "+" };
        }
        value = expr;
    }
    let Expr::Value(text) = value else { return None };
    let Value::SingleQuotedString(text) = &text.value else { return None };
    let unit = |field: &DateTimeField| field.to_string().to_lowercase();
    let from = interval.leading_field.as_ref().map(unit)?;
    let to = interval.last_field.as_ref().map(unit).unwrap_or_default();
    Some(literal(text, &format!("interval:{from}:{to}:{sign}")))
}

/// Brings the columns of VALUES to types common to all rows.
fn values(body: &mut SetExpr) -> Result<()> {
    let SetExpr::Values(values) = body else { return Ok(()) };
    let fields = |row: &Expr| match infer(row) {
        Some(Ok(Argument { ty: Type::Row(fields), .. })) => Some(fields.len()),
        _ => None,
    };
    // One row's value alone is the row.
    let widths = values.rows.iter().map(|row| if row.len() == 1 { fields(&row[0]) } else { None });
    if let Some(widths) = widths.collect::<Option<Vec<_>>>()
        && let Some(first) = widths.first()
        && widths.iter().all(|width| width == first)
    {
        for row in &mut values.rows {
            let whole = row[0].clone();
            let field = |i: usize| subscript(whole.clone(), literal(&i.to_string(), "number"));
            row.content = (1..=*first).map(field).collect();
        }
    }
    let Some(width) = values.rows.first().map(|row| row.len()) else { return Ok(()) };
    if let Some(other) = values.rows.iter().find(|row| row.len() != width) {
        return Err(Error::user(
            1006,
            "TYPE_MISMATCH",
            format_args!("line 1:1: Values rows have mismatched sizes: {width} vs {}", other.len()),
        ));
    }
    for column in 0..width {
        let mut common = Type::Unknown;
        let mut types = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let Some(Ok(argument)) = infer(&row[column]) else { break };
            let Some(next) = trino_functions::types::common(&common, &argument.ty) else {
                return Err(Error::user(
                    1006,
                    "TYPE_MISMATCH",
                    format_args!("line 1:1: Types are not compatible with each other: {common} vs {}", argument.ty),
                ));
            };
            common = next;
            types.push(argument.ty);
        }
        if types.len() < values.rows.len() {
            continue;
        }
        for (row, ty) in values.rows.iter_mut().zip(types) {
            if ty != common {
                let cell = &mut row[column];
                *cell = call("$cast", vec![take(cell), raw(&common.to_string())]);
            }
        }
    }
    Ok(())
}

/// Sets of VALUES and of queries go their own ways; here is nothing to do but to reach every VALUES.
fn set_operands(body: &mut SetExpr) -> Result<()> {
    if let SetExpr::SetOperation { left, right, .. } = body {
        for side in [left, right] {
            values(side)?;
            set_operands(side)?;
        }
    }
    Ok(())
}

/// The type of a lowered expression without columns, as far as it can be told here.
fn infer(expr: &Expr) -> Option<Result<Argument, trino_functions::Error>> {
    let plain = |ty| Some(Ok(Argument { ty, literal: None }));
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Null => plain(Type::Unknown),
            Value::Boolean(_) => plain(Type::Boolean),
            _ => raw_text(expr)
                .map(|text| Ok(Argument { ty: trino_functions::types::VARCHAR, literal: Some(text.into()) })),
        },
        Expr::UnaryOp { op: UnaryOperator::Not, .. } | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::BinaryOp { .. } => {
            plain(Type::Boolean)
        }
        Expr::Function(function) if function.over.is_none() => {
            let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
            let mut args = Vec::new();
            for arg in arguments(function) {
                match infer(&arg)? {
                    Ok(argument) => args.push(argument),
                    Err(error) => return Some(Err(error)),
                }
            }
            let name = name.value.to_lowercase();
            let name = if name == "$map" { "map" } else { &name };
            if !trino_functions::call::exists(name) {
                return None;
            }
            Some(trino_functions::call::resolve(name, &args).map(|call| Argument { ty: call.returns, literal: None }))
        }
        _ => None,
    }
}
