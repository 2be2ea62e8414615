//! Names that SELECT gives its columns: GROUP BY and HAVING do not know them, ORDER BY does. DataFusion lets all three name them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Ident, LambdaFunction, OneOrManyWithParens, OrderByKind, Query,
    Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::forms::columns_of;
use super::rewrite::{function, name_of};
use crate::error::{Error, Result};

/// True, of columns of the relations in FROM: an error where one is not there.
pub(crate) const NAMES: &str = "$names";

/// What GROUP BY and HAVING name as SELECT names a column has to be a column of FROM: this is asked where nothing else can be meant, in
/// WHERE.
pub(super) fn source_names(select: &mut Select) {
    let aliases: Vec<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.to_lowercase()),
            _ => None,
        })
        .collect();
    if aliases.is_empty() {
        return;
    }
    let mut named = Named { aliases: &aliases, found: Vec::new(), parameters: Vec::new(), queries: 0 };
    if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
        for item in items {
            let _ = VisitMut::visit(item, &mut named);
        }
    }
    let mut found = std::mem::take(&mut named.found);
    if let Some(having) = &mut select.having {
        let _ = VisitMut::visit(having, &mut named);
    }
    // HAVING takes a name for that of SELECT's column, unless it is known to be one of a relation.
    if !named.found.is_empty() {
        let mut count = 0;
        select.from.iter_mut().for_each(|from| qualify(from, &mut count));
    }
    found.append(&mut named.found);
    if found.is_empty() {
        return;
    }
    let asked = function(NAMES, found.into_iter().map(Expr::Identifier).collect());
    select.selection = Some(match select.selection.take() {
        None => asked,
        Some(condition) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(condition))),
            op: BinaryOperator::And,
            right: Box::new(asked),
        },
    });
}

/// Gives relations without a name one that nobody else has.
fn qualify(from: &mut TableWithJoins, count: &mut usize) {
    let relations = std::iter::once(&mut from.relation).chain(from.joins.iter_mut().map(|join| &mut join.relation));
    for relation in relations {
        match relation {
            TableFactor::Derived { alias: alias @ None, .. } => {
                *count += 1;
                let name = Ident::with_quote('"', format!("$relation_{count}"));
                *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
            }
            TableFactor::NestedJoin { table_with_joins, .. } => qualify(table_with_joins, count),
            _ => {}
        }
    }
}

struct Named<'a> {
    aliases: &'a [String],
    found: Vec<Ident>,
    /// Of the lambdas around.
    parameters: Vec<Vec<String>>,
    queries: usize,
}

impl VisitorMut for Named<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(lambda) => self.parameters.push(parameters(lambda)),
            Expr::Identifier(name) if self.queries == 0 => {
                let lower = name.value.to_lowercase();
                let is_parameter = self.parameters.iter().flatten().any(|parameter| *parameter == lower);
                let is_known = self.found.iter().any(|known| known.value.eq_ignore_ascii_case(&lower));
                if !is_parameter && !is_known && self.aliases.contains(&lower) {
                    self.found.push(name.clone());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Lambda(_)) {
            self.parameters.pop();
        }
        ControlFlow::Continue(())
    }
}

/// The names of a lambda's parameters in lower case.
pub(super) fn parameters(lambda: &LambdaFunction) -> Vec<String> {
    let all: Vec<_> = match &lambda.params {
        OneOrManyWithParens::One(one) => vec![one],
        OneOrManyWithParens::Many(many) => many.iter().collect(),
    };
    all.into_iter().map(|parameter| parameter.name.value.to_lowercase()).collect()
}

/// ORDER BY of SELECT DISTINCT: what is ordered by is one of the columns, which DataFusion knows by their numbers.
pub(super) fn distinct_order(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
    if !matches!(select.distinct, Some(Distinct::Distinct)) {
        return Ok(());
    }
    let Some(OrderByKind::Expressions(items)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
        return Ok(());
    };
    let starred = select
        .projection
        .iter()
        .position(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    for item in items {
        if matches!(item.expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)) {
            continue;
        }
        let wanted = plain(&item.expr);
        let position = select.projection.iter().position(|own| match own {
            SelectItem::UnnamedExpr(own) | SelectItem::ExprWithAlias { expr: own, .. } => plain(own) == wanted,
            _ => false,
        });
        match position {
            // How many columns `*` brings is not known here.
            Some(at) if starred.is_some_and(|star| star < at) => {}
            Some(at) => item.expr = Expr::Value(Value::Number((at + 1).to_string(), false).into()),
            None => {
                let text = "line 1:1: For SELECT DISTINCT, ORDER BY expressions must appear in select list";
                return Err(Error::user(1006, "EXPRESSION_NOT_IN_DISTINCT", text));
            }
        }
    }
    Ok(())
}

/// An expression as one that says the same has it: names without their relations, in lower case, nothing in brackets.
fn plain(expr: &Expr) -> Expr {
    struct Plain;
    impl VisitorMut for Plain {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let bare = |name: &Ident| Expr::Identifier(Ident::new(name.value.to_lowercase()));
            match expr {
                Expr::Nested(inner) => *expr = inner.as_ref().clone(),
                Expr::Identifier(name) => *expr = bare(name),
                Expr::CompoundIdentifier(parts) if parts.len() == 2 => *expr = bare(&parts[1]),
                Expr::Function(call) => {
                    for part in &mut call.name.0 {
                        if let datafusion::sql::sqlparser::ast::ObjectNamePart::Identifier(name) = part {
                            *name = Ident::new(name.value.to_lowercase());
                        }
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut expr = expr.clone();
    let _ = VisitMut::visit(&mut expr, &mut Plain);
    expr
}

/// An aggregate in ORDER BY is of the rows that are grouped: it may not name a column of SELECT.
pub(super) fn order_aggregates(query: &mut Query) -> Result<()> {
    struct Aggregates<'a> {
        names: &'a [String],
        inside: usize,
        found: Option<Ident>,
    }
    impl VisitorMut for Aggregates<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Lambda(_) => {
                    ControlFlow::Break(())
                }
                Expr::Function(call) if is_aggregate(call) => {
                    self.inside += 1;
                    ControlFlow::Continue(())
                }
                Expr::Identifier(name) if self.inside > 0 && self.names.contains(&name.value.to_lowercase()) => {
                    self.found = Some(name.clone());
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if matches!(expr, Expr::Function(call) if is_aggregate(call)) {
                self.inside -= 1;
            }
            ControlFlow::Continue(())
        }
    }
    let SetExpr::Select(_) = query.body.as_ref() else { return Ok(()) };
    let names: Vec<String> =
        columns_of(&query.body).into_iter().flatten().flatten().map(|name| name.value.to_lowercase()).collect();
    let Some(OrderByKind::Expressions(items)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
        return Ok(());
    };
    for item in items {
        let mut aggregates = Aggregates { names: &names, inside: 0, found: None };
        let _ = VisitMut::visit(&mut item.expr, &mut aggregates);
        if let Some(name) = aggregates.found {
            let at = name.span.start;
            let text = format!(
                "line {}:{}: Invalid reference to output projection attribute from ORDER BY aggregation",
                at.line.max(1),
                at.column.max(1)
            );
            return Err(Error::user(1006, "COLUMN_NOT_FOUND", text));
        }
    }
    Ok(())
}

fn is_aggregate(call: &datafusion::sql::sqlparser::ast::Function) -> bool {
    call.over.is_none() && name_of(call).is_some_and(|name| trino_functions::aggregate::exists(&name))
}
