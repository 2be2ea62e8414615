//! GetTables: the tables of a database whose names match a pattern.

use super::prelude::*;

use regex::Regex;

#[async_trait]
impl Handle<GetTables> for Glue {
    async fn handle(&self, cx: &Cx, req: GetTablesRequest) -> Result<GetTablesResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let db = catalog::fold(&req.database_name);
        let pattern = req.expression.as_deref().filter(|e| !e.is_empty()).map(matcher).transpose()?;
        let names_only = req.attributes_to_get.as_deref().is_some_and(|a| a == ["NAME"]);
        let limit = scope::limit(req.max_results, 100);
        let (tables, next_token) = self
            .store
            .read(|tx| {
                catalog::database(tx, &scope, &db)?;
                scope::page(tx, &scope.tables(&db), req.next_token.as_deref(), limit, |table: Table| {
                    let wanted = pattern.as_ref().is_none_or(|p| p.is_match(&table.name));
                    Ok(wanted.then(|| if names_only { Table { name: table.name, ..Table::default() } } else { table }))
                })
            })
            .await?;
        Ok(GetTablesResponse { table_list: Some(tables), next_token })
    }
}

/// A regular expression over the whole name; a bare `*`, as Hive has it, is any text.
pub(super) fn matcher(expression: &str) -> Result<Regex, Error> {
    let whole = |e: &str| Regex::new(&format!("(?i)^(?:{e})$"));
    let found = whole(expression).or_else(|_| whole(&expression.replace(".*", "*").replace('*', ".*")));
    found.map_err(|_| invalid_input_exception(format!("Invalid expression: {expression}")))
}

#[cfg(test)]
mod tests {
    use super::matcher;

    #[test]
    fn patterns_cover_the_whole_name() {
        for (pattern, name, want) in [
            ("flights", "flights", true),
            ("flights", "flights_2", false),
            ("fl.*", "flights", true),
            ("*ghts", "flights", true),
            ("a|flights", "flights", true),
            ("FLIGHTS", "flights", true),
        ] {
            assert_eq!(matcher(pattern).unwrap().is_match(name), want, "{pattern} {name}");
        }
        assert!(matcher("(").unwrap_err().is("InvalidInputException"));
    }
}
