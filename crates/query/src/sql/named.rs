//! A query in parentheses may give its own queries of WITH names that a query around it has given to others; DataFusion has one
//! name for one query. The inner ones get names of their own.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Query, TableAlias, TableFactor, VisitMut, VisitorMut};

/// Gives each query of a WITH within another a name that no query around it has.
pub(super) fn apart(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Apart::default());
}

/// The names of a query's scope as they are written, and as they are now.
type Scope = BTreeMap<String, String>;

#[derive(Default)]
struct Apart {
    scopes: Vec<Scope>,
    /// What the queries of a WITH see, by their place: those that stand before them.
    within: BTreeMap<usize, Scope>,
    count: usize,
}

fn place(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

impl VisitorMut for Apart {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let around = self.within.remove(&place(query)).or_else(|| self.scopes.last().cloned()).unwrap_or_default();
        let mut scope = around.clone();
        if let Some(with) = &mut query.with {
            let recursive = with.recursive;
            for table in &mut with.cte_tables {
                let written = table.alias.name.value.to_lowercase();
                let mut now = written.clone();
                if around.contains_key(&written) {
                    self.count += 1;
                    now = format!("{written}$with_{}", self.count);
                    table.alias.name = Ident::with_quote('"', &now);
                }
                let mut own = scope.clone();
                if recursive {
                    own.insert(written.clone(), now.clone());
                }
                self.within.insert(place(&table.query), own);
                scope.insert(written, now);
            }
        }
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, .. } = factor else { return ControlFlow::Continue(()) };
        let [part] = &name.0[..] else { return ControlFlow::Continue(()) };
        let Some(written) = part.as_ident().cloned() else { return ControlFlow::Continue(()) };
        let lower = written.value.to_lowercase();
        let now = self.scopes.last().and_then(|scope| scope.get(&lower));
        if let Some(now) = now.filter(|now| **now != lower) {
            if alias.is_none() {
                *alias = Some(TableAlias { explicit: true, name: written, columns: Vec::new(), at: None });
            }
            *name = ObjectName::from(vec![Ident::with_quote('"', now)]);
        }
        ControlFlow::Continue(())
    }
}
