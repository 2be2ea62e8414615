//! `*` does not show hidden columns (`"$path"`): once it is known which of the relations that a query reads have some, each
//! `*` over them leaves them out. A column of that name that a view or a query within the query gives is as any other.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use super::forms;

/// Leaves hidden columns out of what each `*` shows. `hides` tells those of a table by its name.
///
/// # Errors
/// What cannot be told apart.
pub(crate) fn hide(query: &mut Query, hides: &dyn Fn(&ObjectName) -> Vec<&'static str>) -> Result<(), &'static str> {
    let mut hiding = Hiding { hides, named: Vec::new(), within: BTreeMap::new(), error: None };
    let _ = VisitMut::visit(query, &mut hiding);
    hiding.error.map_or(Ok(()), Err)
}

struct Hiding<'a> {
    hides: &'a dyn Fn(&ObjectName) -> Vec<&'static str>,
    /// The names of WITH that each query around sees.
    named: Vec<Vec<String>>,
    /// What the queries of a WITH see, by their place: those that stand before them.
    within: BTreeMap<usize, Vec<String>>,
    error: Option<&'static str>,
}

fn place(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

impl VisitorMut for Hiding<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let around = self.within.remove(&place(query)).or_else(|| self.named.last().cloned());
        let mut names = around.unwrap_or_default();
        if let Some(with) = &query.with {
            for table in &with.cte_tables {
                let name = table.alias.name.value.to_lowercase();
                let own =
                    if with.recursive { names.iter().cloned().chain([name.clone()]).collect() } else { names.clone() };
                self.within.insert(place(&table.query), own);
                names.push(name);
            }
        }
        self.named.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.named.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut relations = Vec::new();
        let mut by_names = false;
        for from in &select.from {
            self.relations(from, &mut relations, &mut by_names);
        }
        if relations.iter().all(|relation| relation.hidden.is_empty()) {
            return ControlFlow::Continue(());
        }
        let mut items = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let wanted = name.0.last().and_then(|part| part.as_ident()).map(|part| part.value.to_lowercase());
                    let found = relations.iter().find(|relation| relation.name.is_some() && relation.name == wanted);
                    let hidden = found.map(|relation| relation.hidden.clone()).unwrap_or_default();
                    let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                    items.push(SelectItem::QualifiedWildcard(kind, without(options, &hidden)));
                }
                SelectItem::Wildcard(options) if relations.len() == 1 => {
                    items.push(SelectItem::Wildcard(without(options, &relations[0].hidden)));
                }
                SelectItem::Wildcard(options) if !by_names && options.opt_exclude.is_none() => {
                    for relation in &relations {
                        let Some(name) = &relation.name else {
                            self.error = Some("hidden columns beside * of a relation without a name");
                            return ControlFlow::Break(());
                        };
                        let name = ObjectName::from(vec![Ident::with_quote('"', name)]);
                        let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                        items.push(SelectItem::QualifiedWildcard(kind, without(options.clone(), &relation.hidden)));
                    }
                }
                SelectItem::Wildcard(options) => {
                    let mut with = relations.iter().filter(|relation| !relation.hidden.is_empty());
                    let (Some(only), None) = (with.next(), with.next()) else {
                        self.error = Some("hidden columns of several tables beside * of a JOIN … USING");
                        return ControlFlow::Break(());
                    };
                    items.push(SelectItem::Wildcard(without(options, &only.hidden)));
                }
                other => items.push(other),
            }
        }
        select.projection = items;
        ControlFlow::Continue(())
    }
}

/// What a query reads: how it calls it, and which hidden columns it has.
struct Relation {
    name: Option<String>,
    hidden: Vec<&'static str>,
}

impl Hiding<'_> {
    fn relations(&self, from: &TableWithJoins, found: &mut Vec<Relation>, by_names: &mut bool) {
        self.relation(&from.relation, found, by_names);
        for join in &from.joins {
            *by_names |= forms::by_names(&join.join_operator);
            self.relation(&join.relation, found, by_names);
        }
    }

    fn relation(&self, factor: &TableFactor, found: &mut Vec<Relation>, by_names: &mut bool) {
        let lower = |name: &Ident| name.value.to_lowercase();
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident()).map(lower);
                let is_named = name.0.len() == 1
                    && last.as_ref().is_some_and(|last| self.named.last().is_some_and(|names| names.contains(last)));
                let hidden = if is_named { Vec::new() } else { (self.hides)(name) };
                found.push(Relation { name: alias.as_ref().map(|alias| lower(&alias.name)).or(last), hidden });
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.relations(table_with_joins, found, by_names);
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. }
            | TableFactor::MatchRecognize { alias, .. } => {
                found.push(Relation { name: alias.as_ref().map(|alias| lower(&alias.name)), hidden: Vec::new() });
            }
            _ => found.push(Relation { name: None, hidden: Vec::new() }),
        }
    }
}

fn without(mut options: WildcardAdditionalOptions, hidden: &[&str]) -> WildcardAdditionalOptions {
    if hidden.is_empty() {
        return options;
    }
    let mut names = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
        None => Vec::new(),
    };
    names.extend(hidden.iter().map(|name| ObjectName::from(vec![Ident::with_quote('"', *name)])));
    options.opt_exclude = Some(ExcludeSelectItem::Multiple(names));
    options
}
