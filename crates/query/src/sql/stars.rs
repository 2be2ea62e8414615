//! `t.* AS (a, b)` and `row.*`: the columns are known when the relations are, so each becomes a relation beside the others, which
//! `plan::relations` makes of the columns that stand left of it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, WildcardAdditionalOptions, visit_expressions,
};

use super::rewrite::{function, name_of};
use crate::error::{Error, Result};

/// Stands first in the list of what `*` leaves out: the others are the names that it gives.
pub(super) const NAMED: &str = "$named_star";
/// Stands there where the statement itself says what is left out, as a call of `exclude_columns` does.
pub(super) const WITHOUT: &str = "$excluded_columns";

/// The columns of a relation, or the fields of a row, where a relation's rows are wanted.
pub(crate) const COLUMNS_OF: &str = "$columns_of";
pub(crate) const FIELDS_OF: &str = "$fields_of";

/// Puts relations into FROM for what `*` alone cannot say.
pub(super) fn expand(select: &mut Select) -> Result<()> {
    let mut added = Vec::new();
    let mut items = Vec::with_capacity(select.projection.len());
    let shown_whole = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    for item in std::mem::take(&mut select.projection) {
        let item = match item {
            SelectItem::Wildcard(mut options) => {
                let names = names(&mut options)?;
                if let Some(first) = names.first() {
                    return Err(unread(first, "AS"));
                }
                SelectItem::Wildcard(options)
            }
            SelectItem::QualifiedWildcard(kind, mut options) => {
                let names = names(&mut options)?;
                match relation(kind, &names, &select.from)? {
                    Wanted::Whole(kind) => SelectItem::QualifiedWildcard(kind, options),
                    Wanted::Made(call) => {
                        let alias = format!("$star_{}", added.len());
                        added.push(made(&alias, call, names));
                        let name = ObjectName::from(vec![Ident::with_quote('"', alias)]);
                        let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                        SelectItem::QualifiedWildcard(kind, options)
                    }
                }
            }
            other => other,
        };
        items.push(item);
    }
    select.projection = items;
    if shown_whole && !added.is_empty() {
        return Err(Error::not_supported("* beside the fields of a row or a relation under other names"));
    }
    select.from.extend(added);
    Ok(())
}

enum Wanted {
    Whole(SelectItemQualifiedWildcardKind),
    Made(Expr),
}

fn relation(kind: SelectItemQualifiedWildcardKind, names: &[Ident], from: &[TableWithJoins]) -> Result<Wanted> {
    match kind {
        SelectItemQualifiedWildcardKind::Expr(expr) => {
            if let Some(name) = gathered(&expr) {
                return Err(Error::not_supported(format_args!("The fields of a row of {name}")));
            }
            Ok(Wanted::Made(function(FIELDS_OF, vec![expr])))
        }
        SelectItemQualifiedWildcardKind::ObjectName(name) => {
            let parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
            if let [first, _, ..] = &parts[..]
                && is_alias(first, from)
            {
                return Ok(Wanted::Made(function(FIELDS_OF, vec![Expr::CompoundIdentifier(parts)])));
            }
            if names.is_empty() {
                return Ok(Wanted::Whole(SelectItemQualifiedWildcardKind::ObjectName(name)));
            }
            Ok(Wanted::Made(function(COLUMNS_OF, parts.into_iter().map(Expr::Identifier).collect())))
        }
    }
}

/// The first aggregate or window function of an expression.
fn gathered(expr: &Expr) -> Option<String> {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Function(call) => match name_of(call) {
            Some(name) if call.over.is_some() || trino_functions::aggregate::exists(&name) => ControlFlow::Break(name),
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    found.break_value()
}

/// Whether a relation is called so by an alias.
fn is_alias(name: &Ident, from: &[TableWithJoins]) -> bool {
    let of = |factor: &TableFactor| match factor {
        TableFactor::Table { alias: None, name: own, .. } => {
            let [only] = &own.0[..] else { return false };
            only.as_ident().is_some_and(|own| own.value.eq_ignore_ascii_case(&name.value))
        }
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::MatchRecognize { alias, .. } => {
            alias.as_ref().is_some_and(|alias| alias.name.value.eq_ignore_ascii_case(&name.value))
        }
        TableFactor::NestedJoin { table_with_joins, .. } => {
            is_alias(name, std::slice::from_ref(table_with_joins.as_ref()))
        }
        _ => false,
    };
    from.iter().any(|from| of(&from.relation) || from.joins.iter().any(|join| of(&join.relation)))
}

fn made(alias: &str, call: Expr, names: Vec<Ident>) -> TableWithJoins {
    let relation = TableFactor::UNNEST {
        alias: Some(TableAlias {
            explicit: true,
            name: Ident::with_quote('"', alias),
            columns: names.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect(),
            at: None,
        }),
        array_exprs: vec![call],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    TableWithJoins { relation, joins: Vec::new() }
}

/// The names that `* AS (…)` gives. What sqlparser reads behind `*` and Trino does not is refused.
fn names(options: &mut WildcardAdditionalOptions) -> Result<Vec<Ident>> {
    let at = Ident::new("");
    if options.opt_except.is_some() {
        return Err(unread(&at, "EXCEPT"));
    }
    if options.opt_replace.is_some() {
        return Err(unread(&at, "REPLACE"));
    }
    if options.opt_rename.is_some() {
        return Err(unread(&at, "RENAME"));
    }
    if options.opt_ilike.is_some() {
        return Err(unread(&at, "ILIKE"));
    }
    let Some(exclude) = options.opt_exclude.take() else { return Ok(Vec::new()) };
    let given = match exclude {
        ExcludeSelectItem::Single(name) => vec![name],
        ExcludeSelectItem::Multiple(names) => names,
    };
    let idents: Vec<Ident> = given.iter().filter_map(|name| name.0.last()?.as_ident().cloned()).collect();
    match idents.split_first() {
        Some((first, rest)) if first.value == NAMED => Ok(rest.to_vec()),
        Some((first, _)) if first.value == WITHOUT => {
            options.opt_exclude = Some(ExcludeSelectItem::Multiple(given[1..].to_vec()));
            Ok(Vec::new())
        }
        Some((first, _)) => Err(unread(first, "EXCLUDE")),
        None => Ok(Vec::new()),
    }
}

fn unread(at: &Ident, word: &str) -> Error {
    let start = at.span.start;
    Error::syntax(start.line.max(1), start.column.max(1), format_args!("mismatched input '{word}'"))
}
