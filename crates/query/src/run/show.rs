//! SHOW and DESCRIBE: text about the catalog.

use std::fmt::Write;

use super::ddl::partition_name;
use super::{Answer, Run};
use crate::catalog::{ViewText, state};
use crate::delta::DeltaTable;
use crate::error::{Error, Result};
use crate::sql::Name;
use crate::types::ColumnInfo;

fn lines(column: &str, lines: Vec<String>) -> Answer {
    Answer::Lines { columns: vec![ColumnInfo::string(column)], lines }
}

/// What Trino answers rather than Hive has its type.
fn trino_lines(columns: &[&str], lines: Vec<String>) -> Answer {
    let varchar = |name: &&str| ColumnInfo { ty: "varchar".to_owned(), ..ColumnInfo::string(name) };
    Answer::Lines { columns: columns.iter().map(varchar).collect(), lines }
}

/// A view's columns, for DESCRIBE and SHOW COLUMNS alike.
fn view_columns(table: &crate::catalog::Table) -> Result<Answer> {
    let view = ViewText::decode(table)?;
    let rows = view.columns.iter().map(|column| format!("{}\t{}", column.name, column.ty)).collect();
    Ok(trino_lines(&["column", "type"], rows))
}

impl Run<'_> {
    pub(super) async fn show_tables(
        &mut self,
        database: Option<String>,
        pattern: Option<String>,
        views: bool,
    ) -> Result<Answer> {
        let database = database.unwrap_or_else(|| self.job.database.to_lowercase());
        if self.catalog.database(&database).await?.is_none() {
            if database == state::DATABASE {
                let names = state::names().filter(|name| !views && matches(pattern.as_deref(), name)).collect();
                return Ok(if views { trino_lines(&["views"], names) } else { lines("tab_name", names) });
            }
            return Err(Error::ddl(format_args!(
                "SemanticException [Error 10072]: Database does not exist: {database}"
            )));
        }
        let tables = self.catalog.tables(&database).await?;
        let mut names: Vec<String> = tables
            .into_iter()
            .filter(|table| !views || table.is_view())
            .map(|table| table.name)
            .filter(|name| matches(pattern.as_deref(), name))
            .collect();
        names.sort();
        Ok(if views { trino_lines(&["views"], names) } else { lines("tab_name", names) })
    }

    pub(super) async fn show_databases(&mut self, pattern: Option<String>) -> Result<Answer> {
        let mut names: Vec<String> = self
            .catalog
            .databases()
            .await?
            .into_iter()
            .map(|database| database.name)
            .filter(|name| matches(pattern.as_deref(), name))
            .collect();
        names.sort();
        Ok(lines("database_name", names))
    }

    /// A table to be told about, which may be one of the platform's own.
    async fn shown(&self, name: &Name) -> Result<crate::catalog::Table> {
        let database = self.database_of(name)?;
        if database == state::DATABASE
            && let Some(table) = state::described(&name.name)
            && self.catalog.database(&database).await?.is_none()
        {
            return Ok(table);
        }
        self.table(name).await.map(|(_, table)| table)
    }

    pub(super) async fn show_columns(&mut self, name: &Name) -> Result<Answer> {
        let table = self.shown(name).await?;
        if table.is_view() {
            return view_columns(&table);
        }
        let current = table
            .columns()
            .iter()
            .filter(|column| column.parameters.get("iceberg.field.current").is_none_or(|current| current != "false"));
        // Hive pads, Iceberg does not.
        let width = if table.is_iceberg() { 0 } else { 20 };
        let names = current.chain(&table.partition_keys);
        let names = names.map(|column| format!("{:<width$}", column.name.to_lowercase())).collect();
        Ok(lines("field", names))
    }

    pub(super) async fn show_partitions(&mut self, name: &Name) -> Result<Answer> {
        let (database, table) = self.table(name).await?;
        if table.is_delta() && !table.partition_keys.is_empty() {
            let delta = DeltaTable::load(&self.storage, &database, &table).await?;
            return Ok(lines("partition", delta.partitions().await?));
        }
        if table.partition_keys.is_empty() {
            return Err(Error::ddl(format_args!("Table {} is not a partitioned table", table.name)));
        }
        let partitions = self.catalog.partitions(&database, &table.name).await?;
        Ok(lines("partition", partitions.iter().map(|partition| partition_name(&table, &partition.values)).collect()))
    }

    pub(super) async fn show_properties(&mut self, name: &Name, key: Option<String>) -> Result<Answer> {
        let (_, table) = self.table(name).await?;
        let found = table.parameters.iter().filter(|(name, _)| key.as_ref().is_none_or(|key| key == *name));
        let text = found.map(|(name, value)| format!("{name}\t{value}")).collect();
        Ok(Answer::Lines {
            columns: vec![ColumnInfo::string("prpt_name"), ColumnInfo::string("prpt_value")],
            lines: text,
        })
    }

    pub(super) async fn show_create_view(&mut self, name: &Name) -> Result<Answer> {
        let (database, table) = self.table(name).await?;
        if !table.is_view() {
            return Err(Error::semantic(format_args!(
                "line 1:1: Relation 'awsdatacatalog.{database}.{}' is a table, not a view",
                table.name
            )));
        }
        let view = ViewText::decode(&table)?;
        let text = format!("CREATE VIEW \"{}\" AS\n{}", table.name, view.original_sql);
        Ok(trino_lines(&["create view"], text.lines().map(str::to_owned).collect()))
    }

    pub(super) async fn show_create_table(&mut self, name: &Name) -> Result<Answer> {
        let (database, table) = self.table(name).await?;
        if table.is_view() {
            return Err(Error::ddl(format_args!("{}.{} is a view: use SHOW CREATE VIEW", database, table.name)));
        }
        if table.is_iceberg() {
            return Box::pin(self.iceberg_show_create(&database, &table)).await;
        }
        let mut text = String::new();
        let _ = writeln!(text, "CREATE EXTERNAL TABLE `{database}.{}`(", table.name);
        let list = |columns: &[crate::catalog::Column]| {
            let lines: Vec<_> = columns
                .iter()
                .map(|column| {
                    let comment =
                        column.comment.as_ref().map(|comment| format!(" COMMENT '{}'", comment.replace('\'', "\\'")));
                    format!("  `{}` {}{}", column.name, column.ty, comment.unwrap_or_default())
                })
                .collect();
            lines.join(", \n")
        };
        let _ = writeln!(text, "{})", list(table.columns()));
        if let Some(comment) = &table.description {
            let _ = writeln!(text, "COMMENT '{}'", comment.replace('\'', "\\'"));
        }
        if !table.partition_keys.is_empty() {
            let _ = writeln!(text, "PARTITIONED BY ( \n{})", list(&table.partition_keys));
        }
        if let Some(storage) = &table.storage_descriptor {
            if let Some(serde) = &storage.serde_info {
                let _ = writeln!(
                    text,
                    "ROW FORMAT SERDE \n  '{}' ",
                    serde.serialization_library.as_deref().unwrap_or_default()
                );
                if !serde.parameters.is_empty() {
                    let _ = writeln!(text, "WITH SERDEPROPERTIES ( \n{}) ", properties(&serde.parameters));
                }
            }
            let _ =
                writeln!(text, "STORED AS INPUTFORMAT \n  '{}' ", storage.input_format.as_deref().unwrap_or_default());
            let _ = writeln!(text, "OUTPUTFORMAT \n  '{}'", storage.output_format.as_deref().unwrap_or_default());
            let _ = writeln!(text, "LOCATION\n  '{}'", storage.location.as_deref().unwrap_or_default());
        }
        let _ = write!(text, "TBLPROPERTIES (\n{})", properties(&table.parameters));
        Ok(lines("createtab_stmt", text.lines().map(str::to_owned).collect()))
    }

    pub(super) async fn describe(&mut self, name: &Name, extended: bool) -> Result<Answer> {
        let table = self.shown(name).await?;
        if table.is_iceberg() {
            return Box::pin(self.iceberg_describe(&table)).await;
        }
        if table.is_view() {
            return view_columns(&table);
        }
        let row = |column: &crate::catalog::Column| {
            format!("{:<20}\t{:<20}\t{:<20}", column.name, column.ty, column.comment.as_deref().unwrap_or_default())
        };
        let mut text: Vec<String> = table.columns().iter().chain(&table.partition_keys).map(row).collect();
        if !table.partition_keys.is_empty() {
            let blank = || "\t \t ".to_owned();
            text.push(blank());
            text.push("# Partition Information\t \t ".to_owned());
            text.push(format!("# {:<20}\t{:<20}\t{:<20}", "col_name", "data_type", "comment"));
            text.push(blank());
            text.extend(table.partition_keys.iter().map(row));
        }
        if extended {
            text.push("\t \t ".to_owned());
            text.push("# Detailed Table Information\t \t ".to_owned());
            let pairs = [
                ("Location:", table.location()),
                ("Table Type:", table.table_type.as_deref()),
                ("Owner:", table.owner.as_deref()),
            ];
            text.extend(pairs.iter().map(|(name, value)| format!("{name:<20}\t{:<20}\t ", value.unwrap_or_default())));
            text.extend(table.parameters.iter().map(|(name, value)| format!("\t{name:<20}\t{value:<20}")));
        }
        let columns = ["col_name", "data_type", "comment"].map(ColumnInfo::string).to_vec();
        Ok(Answer::Lines { columns, lines: text })
    }
}

fn properties(parameters: &std::collections::BTreeMap<String, String>) -> String {
    let escape = |text: &str| text.replace('\t', "\\t").replace('\n', "\\n").replace('\'', "\\'");
    let pairs: Vec<_> = parameters.iter().map(|(k, v)| format!("  '{}'='{}'", escape(k), escape(v))).collect();
    pairs.join(", \n")
}

/// Hive's patterns: `*` is anything, `|` separates alternatives, case does not count.
fn matches(pattern: Option<&str>, name: &str) -> bool {
    let Some(pattern) = pattern else { return true };
    pattern.split('|').any(|one| {
        let regex = regex::escape(&one.to_lowercase())
            .replace("\\*", ".*")
            .replace('%', ".*")
            .replace("\\.\\*", ".*")
            .replace("\\..*", ".*");
        regex::Regex::new(&format!("^{regex}$")).is_ok_and(|regex| regex.is_match(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_hive() {
        assert!(matches(Some("fl*|w"), "flights"));
        assert!(matches(Some("W"), "w"));
        assert!(matches(Some(".*ghts"), "flights"));
        assert!(!matches(Some("fl"), "flights"));
        assert!(matches(None, "x"));
    }
}
