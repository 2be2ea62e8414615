//! GetPartitions: the partitions that an expression keeps, in pages and segments.

use store::{Key, Tx};

use super::prelude::*;

#[async_trait]
impl Handle<GetPartitions> for Glue {
    async fn handle(&self, cx: &Cx, req: GetPartitionsRequest) -> Result<GetPartitionsResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let limit = scope::limit(req.max_results, 1000);
        let bare = req.exclude_column_schema.unwrap_or(false);
        let segment = req.segment.as_ref().map(|s| (s.segment_number, s.total_segments.max(1)));
        let read = |tx: &mut Tx<'_>| {
            let table = catalog::table(tx, &scope, &db, &name)?;
            let keys = table.partition_keys.unwrap_or_default();
            let expression = req.expression.as_deref().filter(|e| !e.trim().is_empty());
            let filter = expression.map(|e| catalog::Filter::parse(e, &keys)).transpose()?;
            // The key holds the values: what the expression excludes is not read, and where it fixes the first
            // keys only their part of the table is walked through.
            let table_prefix = scope.partitions(&db, &name);
            let fixed = filter.as_ref().map(|f| f.fixed_prefix(keys.len())).unwrap_or_default();
            let prefix = fixed.iter().fold(table_prefix.clone(), Key::push);
            let from = table_prefix.as_bytes().len();
            let wanted = |key: &[u8]| {
                let parts = Key::parts(&key[from..]);
                let values: Vec<String> =
                    parts.into_iter().map(|part| String::from_utf8_lossy(&part).into_owned()).collect();
                let here = segment.is_none_or(|(number, total)| segment_of(&values, total) == number);
                here && filter.as_ref().is_none_or(|f| f.keeps(&values))
            };
            let keep = |mut partition: Partition| {
                if bare && let Some(storage) = &mut partition.storage_descriptor {
                    storage.columns = None;
                }
                Ok(Some(partition))
            };
            let page = scope::page_where(tx, &prefix, req.next_token.as_deref(), limit, wanted, keep)?;
            let key =
                |partition: &Partition| scope.partition(&db, &name, partition.values.as_deref().unwrap_or_default());
            let keys = page.0.iter().map(key).collect();
            Ok::<_, Error>((page, keys))
        };
        let (partitions, next_token) = self.look(cx, read).await?;
        Ok(GetPartitionsResponse { partitions: Some(partitions), next_token })
    }
}

/// Spreads partitions over segments that are read side by side.
fn segment_of(values: &[String], total: i32) -> i32 {
    let bytes = values.iter().flat_map(|v| v.bytes().chain([0]));
    let sum = bytes.fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    i32::try_from(sum % total.unsigned_abs().max(1)).unwrap_or(0)
}
