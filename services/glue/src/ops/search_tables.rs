//! SearchTables: tables of all databases whose properties match.

use super::prelude::*;

#[async_trait]
impl Handle<SearchTables> for Glue {
    async fn handle(&self, cx: &Cx, req: SearchTablesRequest) -> Result<SearchTablesResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let limit = scope::limit(req.max_results, 100);
        let filters = req.filters.unwrap_or_default();
        let text = req.search_text.map(|t| t.trim_matches('"').to_lowercase()).filter(|t| !t.is_empty());
        let (tables, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &scope.key("table"), req.next_token.as_deref(), limit, |table: Table| {
                    let words = text.as_ref().is_none_or(|text| mentions(&table, text));
                    Ok((words && filters.iter().all(|f| passes(&table, f))).then_some(table))
                })
            })
            .await?;
        Ok(SearchTablesResponse { table_list: Some(tables), next_token })
    }
}

fn mentions(table: &Table, text: &str) -> bool {
    let columns = table.storage_descriptor.iter().flat_map(|sd| sd.columns.iter().flatten());
    let database = table.database_name.iter().map(String::as_str);
    let description = table.description.iter().map(String::as_str);
    let mut texts = columns.map(|c| c.name.as_str()).chain([table.name.as_str()]).chain(database).chain(description);
    texts.any(|t| t.to_lowercase().contains(text))
}

fn passes(table: &Table, filter: &PropertyPredicate) -> bool {
    let wanted = filter.value.as_deref().unwrap_or_default();
    let same = |have: Option<&str>| have.is_some_and(|have| have.eq_ignore_ascii_case(wanted));
    match filter.key.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
        "databasename" | "database" => same(table.database_name.as_deref()),
        "name" | "tablename" => same(Some(&table.name)),
        "type" | "tabletype" => same(table.table_type.as_deref()),
        key => table.parameters.iter().flatten().any(|(k, v)| k.eq_ignore_ascii_case(key) && same(Some(v))),
    }
}
