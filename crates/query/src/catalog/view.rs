//! Views as Athena keeps them in Glue: `/* Presto View: <base64 of JSON> */` in `ViewOriginalText`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{SerdeInfo, StorageDescriptor, Table};
use crate::error::{Error, Result};

/// The decoded text of a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewText {
    pub original_sql: String,
    #[serde(default = "default_catalog")]
    pub catalog: String,
    #[serde(default)]
    pub schema: Option<String>,
    #[serde(default)]
    pub columns: Vec<ViewColumn>,
}

/// A column of a view with its Trino type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
}

fn default_catalog() -> String {
    "awsdatacatalog".to_owned()
}

impl ViewText {
    /// Reads what any client wrote: padding may be missing, white space may vary.
    pub fn decode(table: &Table) -> Result<Self> {
        let bad =
            |why: &str| Error::user(1006, "INVALID_VIEW", format_args!("View '{}' cannot be read: {why}", table.name));
        let text = table.view_original_text.as_deref().unwrap_or_default();
        let inner = text
            .trim()
            .strip_prefix("/*")
            .and_then(|rest| rest.trim_start().strip_prefix("Presto View:"))
            .and_then(|rest| rest.trim_end().strip_suffix("*/"))
            .ok_or_else(|| bad("it is no Presto view"))?;
        let compact: String = inner.chars().filter(|c| !c.is_whitespace() && *c != '=').collect();
        let bytes = base64::engine::general_purpose::STANDARD_NO_PAD
            .decode(compact)
            .map_err(|_| bad("its text is not base64"))?;
        serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))
    }

    /// The Glue table that holds this view; Hive types are given beside the Trino types in `columns`.
    pub fn into_table(self, name: &str, hive_types: &[String]) -> Result<Table> {
        let json = serde_json::to_vec(&self).map_err(Error::internal)?;
        let columns =
            self.columns.iter().zip(hive_types).map(|(column, ty)| super::Column::new(&column.name, ty)).collect();
        Ok(Table {
            name: name.to_owned(),
            table_type: Some("VIRTUAL_VIEW".to_owned()),
            parameters: [("presto_view", "true"), ("comment", "Presto View")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            storage_descriptor: Some(StorageDescriptor {
                columns,
                location: Some(String::new()),
                serde_info: Some(SerdeInfo::default()),
                ..StorageDescriptor::default()
            }),
            view_original_text: Some(format!("/* Presto View: {} */", STANDARD.encode(json))),
            view_expanded_text: Some("/* Presto View */".to_owned()),
            ..Table::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_survives_the_catalog() {
        let view = ViewText {
            original_sql: "SELECT 1\nAS \"a\"".to_owned(),
            catalog: default_catalog(),
            schema: Some("db".to_owned()),
            columns: vec![ViewColumn { name: "a".to_owned(), ty: "integer".to_owned() }],
        };
        let table = view.clone().into_table("v", &["int".to_owned()]).unwrap();
        assert_eq!(table.columns()[0].ty, "int");
        assert_eq!(ViewText::decode(&table).unwrap(), view);
    }

    #[test]
    fn nonsense_is_no_view() {
        for text in ["", "SELECT 1", "/* Presto View: %%% */", "/* Presto View: aGk= */"] {
            let table = Table { view_original_text: Some(text.to_owned()), ..Table::default() };
            assert!(ViewText::decode(&table).is_err(), "{text}");
        }
    }
}
