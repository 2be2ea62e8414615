//! What a query's text says beyond its expressions: names of the result's columns, in the casing of the text, and which
//! functions there are. Expressions are [`super::lower`]'s.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, ObjectName, ObjectNamePart, OrderByKind, Query, Select as AstSelect, SelectItem, SetExpr,
    Spanned, TableFactor, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::dialect::Trino;
use super::{Select, Source, aliases, forms, stars};
use crate::error::{Error, Result};

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
        let own = |name: &String| match name.strip_prefix(SHARED) {
            Some(shared) => shared.rsplit_once('_').map(|(name, _)| name.to_owned()),
            None if name.starts_with(INTERNAL) => None,
            None => Some(name.clone()),
        };
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

/// Prefix of names that columns of a relation share: nobody can name them, but `*` shows them.
pub(crate) const SHARED: &str = "__column_as_";

/// Whether a column is one of several that were given this name.
pub(crate) fn shares(column: &str, name: &str) -> bool {
    let number = column.strip_prefix(SHARED).and_then(|rest| rest.strip_prefix(name)).and_then(|r| r.strip_prefix('_'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

pub(super) fn select(mut query: Query, source: &Source<'_>, hidden: Vec<&'static str>) -> Result<Select> {
    let mut labels = Vec::new();
    collect_labels(&query.body, source, &mut labels);
    super::checks::query(&query)?;
    super::named::apart(&mut query);
    let mut rewriter = Rewriter { error: None };
    if VisitMut::visit(&mut query, &mut rewriter).is_break() {
        return Err(rewriter.error.unwrap_or_else(|| Error::internal("a rewrite was broken off")));
    }
    make_unique(&mut query.body);
    let aggregates = super::lower::lower(&mut query)?;
    Ok(Select { query, labels: Labels(labels), aggregates, hidden })
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

/// Columns without names never stand in each other's way.
pub(super) fn make_unnamed_unique(select: &mut AstSelect) {
    let mut seen: Vec<String> = Vec::new();
    for (i, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        // Names of calls have quotes where they were made here.
        let name = expr.to_string().replace('"', "").to_lowercase();
        // DataFusion finds what ORDER BY's ordinals mean by names, and windows have several.
        if seen.contains(&name) || name.contains(" over (") {
            let alias = Ident::with_quote('"', format!("{INTERNAL}{i}"));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        } else {
            seen.push(name);
        }
    }
}

/// Items that ORDER BY names by number are found by their names: an expression over groups needs one of its own.
pub(super) fn name_ordered(query: &mut Query) {
    let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|order| &order.kind) else { return };
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse::<usize>().ok(),
            _ => None,
        },
        _ => None,
    };
    let wanted: Vec<usize> = order.iter().filter_map(|item| number(&item.expr)).collect();
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty()) {
        return;
    }
    for (i, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if wanted.contains(&(i + 1)) && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            let alias = Ident::with_quote('"', format!("{INTERNAL}{i}"));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// Trino lets two columns of a result share a name, DataFusion does not.
fn make_unique(body: &mut SetExpr) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, right, .. } => {
            make_unique(left);
            make_unique(right);
            return;
        }
        _ => return,
    };
    let mut seen: Vec<String> = Vec::new();
    let starred = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    for (i, item) in select.projection.iter_mut().enumerate() {
        let name = match &*item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.value.to_lowercase(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) if starred => {
                parts.last().map(|name| name.value.to_lowercase()).unwrap_or_default()
            }
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(_)) => continue,
            SelectItem::UnnamedExpr(other) => other.to_string(),
            SelectItem::ExprWithAlias { alias, .. } => alias.value.to_lowercase(),
            _ => continue,
        };
        // Queries all look the same to DataFusion, and what `*` brings is not known yet.
        let queries = matches!(item, SelectItem::UnnamedExpr(_)) && name.contains("SELECT ");
        let unknown =
            starred && matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        if !seen.contains(&name) && !queries && !unknown {
            seen.push(name);
            continue;
        }
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let alias = Ident::with_quote('"', format!("{INTERNAL}{i}"));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// Columns of a relation that share a name get names of their own, by which nobody finds them.
fn part_shared(body: &mut SetExpr) {
    let SetExpr::Select(select) = body else { return };
    let name_of = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.to_lowercase()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(|name| name.value.to_lowercase()),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.to_lowercase()),
        _ => None,
    };
    let names: Vec<Option<String>> = select.projection.iter().map(name_of).collect();
    for (i, item) in select.projection.iter_mut().enumerate() {
        let Some(name) = &names[i] else { continue };
        if names.iter().flatten().filter(|other| *other == name).count() < 2 {
            continue;
        }
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let alias = Ident::with_quote('"', format!("{SHARED}{name}_{i}"));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

struct Rewriter {
    error: Option<Error>,
}

impl Rewriter {
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

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        forms::table_query(&mut query.body);
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            part_shared(&mut table.query.body);
        }
        let checked = forms::corresponding(&mut query.body)
            .and_then(|()| forms::ambiguous_order(query))
            .and_then(|()| aliases::order_aggregates(query))
            .and_then(|()| aliases::distinct_order(query))
            .and_then(|()| forms::fetch(query))
            .and_then(|()| forms::bags(&mut query.body));
        self.check(checked)
    }

    fn pre_visit_select(&mut self, select: &mut AstSelect) -> ControlFlow<()> {
        self.check(forms::not_trinos(select))?;
        self.check(reserved_alias(select))?;
        forms::group_by_auto(select);
        self.check(stars::expand(select))?;
        aliases::source_names(select);
        forms::inline_windows(select);
        forms::group_unnest(select);
        forms::several_in_one_key(select);
        forms::distinct_groups(select);
        forms::flatten_group_by(select);
        for condition in select.selection.iter_mut().chain(select.having.iter_mut()) {
            forms::row_in_query(condition);
            forms::uncertain_in_query(condition);
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                forms::in_query(expr);
            }
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            keys.iter_mut().for_each(forms::in_query);
        }
        for join in select.from.iter_mut().flat_map(|table| &mut table.joins) {
            if let Some(condition) = forms::outer_condition(&mut join.join_operator) {
                forms::in_query(condition);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        forms::time_travel(factor);
        if let TableFactor::Derived { subquery, .. } = factor {
            part_shared(&mut subquery.body);
        }
        let checked = forms::table_function(factor);
        self.check(checked)?;
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor
            && !forms::is_grouped(table_with_joins)
        {
            forms::group_joins(table_with_joins);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(name) = name_of(function)
            && !super::lower::is_known(&name)
        {
            let at = function.name.span().start;
            if super::lower::is_refused(&name) {
                self.error = Some(Error::not_supported(format_args!("Function '{name}' is not supported")));
                return ControlFlow::Break(());
            }
            if RESERVED.contains(&name.as_str()) {
                let text = format!("mismatched input '{name}'. Expecting: <expression>");
                self.error = Some(Error::syntax(at.line.max(1), at.column.max(1), text));
                return ControlFlow::Break(());
            }
            let text = format!("line {}:{}: Function '{name}' not registered", at.line.max(1), at.column.max(1));
            self.error = Some(Error::user(1006, "FUNCTION_NOT_FOUND", text));
            return ControlFlow::Break(());
        }
        if let Expr::Function(function) = expr {
            let checked = forms::lambda_parameters(function);
            self.check(checked)?;
            if let FunctionArguments::List(list) = &function.args
                && list.duplicate_treatment.is_some()
                && list.args.iter().any(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard)))
            {
                self.error = Some(Error::syntax(1, 1, "mismatched input '*'. Expecting: <expression>"));
                return ControlFlow::Break(());
            }
        }
        if let Expr::Function(function) = expr
            && name_of(function).as_deref() == Some("normalize")
            && let FunctionArguments::List(list) = &mut function.args
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(form))) = list.args.get_mut(1)
            && let Expr::Identifier(word) = form
        {
            *form = Expr::Value(Value::SingleQuotedString(word.value.to_uppercase()).into());
        }
        if matches!(expr, Expr::Overlay { .. }) {
            self.error = Some(Error::syntax(1, 1, "mismatched input 'PLACING'"));
            return ControlFlow::Break(());
        }
        if let Some(new) = forms::quantified(expr).or_else(|| forms::rows(expr)).or_else(|| forms::row_of_query(expr)) {
            *expr = new;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match forms::like(expr) {
            Some(result) => self.check(result),
            None => ControlFlow::Continue(()),
        }
    }
}

/// Words that name nothing unless they stand in quotes (Trino's documentation, "Reserved keywords").
const RESERVED: &[&str] = &[
    "alter",
    "and",
    "as",
    "between",
    "by",
    "case",
    "cast",
    "constraint",
    "create",
    "cross",
    "cube",
    "current_catalog",
    "current_date",
    "current_path",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "deallocate",
    "delete",
    "describe",
    "distinct",
    "drop",
    "else",
    "end",
    "escape",
    "except",
    "execute",
    "exists",
    "extract",
    "false",
    "for",
    "from",
    "full",
    "group",
    "grouping",
    "having",
    "in",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "join",
    "left",
    "like",
    "listagg",
    "localtime",
    "localtimestamp",
    "natural",
    "normalize",
    "not",
    "null",
    "on",
    "or",
    "order",
    "outer",
    "prepare",
    "recursive",
    "right",
    "rollup",
    "select",
    "skip",
    "table",
    "then",
    "trim",
    "true",
    "uescape",
    "union",
    "unnest",
    "using",
    "values",
    "when",
    "where",
    "with",
];

fn reserved_alias(select: &AstSelect) -> Result<()> {
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && alias.quote_style == Some('\'')
        {
            let at = alias.span.start;
            let text = format!("mismatched input '{alias}'");
            return Err(Error::syntax(at.line.max(1), at.column.max(1), text));
        }
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && alias.quote_style.is_none()
            && RESERVED.contains(&alias.value.to_lowercase().as_str())
        {
            let at = alias.span.start;
            let text = format!("mismatched input '{}'. Expecting: <identifier>", alias.value);
            return Err(Error::syntax(at.line.max(1), at.column.max(1), text));
        }
    }
    Ok(())
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

pub(super) fn function(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub(super) fn name_of(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name.value.to_lowercase()),
        _ => None,
    }
}

/// Parses a template and puts the arguments into the places of `$1`, `$2`, ….
pub(super) fn template(text: &str, args: &[Expr]) -> Option<Expr> {
    struct Fill<'a>(&'a [Expr]);
    impl VisitorMut for Fill<'_> {
        type Break = ();
        // Behind what it holds, so that what is put in is not visited: it may have places of its own.
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Value(value) = &*expr
                && let Value::Placeholder(number) = &value.value
                && let Some(arg) =
                    number.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).and_then(|n| self.0.get(n - 1))
            {
                *expr = match arg {
                    Expr::BinaryOp { .. } => Expr::Nested(Box::new(arg.clone())),
                    plain => plain.clone(),
                };
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
    fn labels_keep_the_casing_of_the_text() {
        let select = parse_query("SELECT Foo, count(*), t.Bar, *, x AS \"Baz Q\" FROM t").unwrap();
        let fields: Vec<String> = ["foo", "count(*)", "bar", "p", "q", "baz q"].map(str::to_owned).into();
        let labels: Vec<_> = select.labels.apply(&fields).into_iter().map(Option::unwrap_or_default).collect();
        assert_eq!(labels, ["Foo", "", "Bar", "p", "q", "Baz Q"]);
    }
}
