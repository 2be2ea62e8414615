//! The `Configuration` of a crawler: JSON with options for output and grouping.

use api_glue::error::invalid_input_exception;
use serde::Deserialize;
use wire::Error;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) merge_new_columns: bool,
    pub(crate) inherit: bool,
    pub(crate) combine: bool,
    pub(crate) table_level: Option<usize>,
    pub(crate) table_threshold: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Document {
    version: Option<f64>,
    crawler_output: Output,
    grouping: Grouping,
    /// Partition indexes speed AWS's catalog up; here every partition is found by its key without one.
    create_partition_index: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Output {
    tables: TableOutput,
    partitions: PartitionOutput,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct TableOutput {
    add_or_update_behavior: Option<MergeNewColumns>,
    table_threshold: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct PartitionOutput {
    add_or_update_behavior: Option<InheritFromTable>,
}

/// The only value that each of these has.
#[derive(Deserialize)]
enum MergeNewColumns {
    MergeNewColumns,
}

#[derive(Deserialize)]
enum InheritFromTable {
    InheritFromTable,
}

#[derive(Deserialize)]
enum TableGroupingPolicy {
    CombineCompatibleSchemas,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Grouping {
    table_grouping_policy: Option<TableGroupingPolicy>,
    table_level_configuration: Option<usize>,
}

impl Configuration {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text.filter(|t| !t.trim().is_empty()) else { return Ok(Self::default()) };
        let bad =
            |why: &dyn std::fmt::Display| invalid_input_exception(format!("Crawler configuration is not valid: {why}"));
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| bad(&error))?;
        if has_list(&value) {
            return Err(bad(&"a list stands where an object is expected"));
        }
        let document: Document = serde_json::from_value(value).map_err(|error| bad(&error))?;
        if document.version.is_some_and(|version| (version - 1.0).abs() > f64::EPSILON) {
            return Err(bad(&"Version must be 1.0"));
        }
        if document.grouping.table_level_configuration == Some(0) {
            return Err(bad(&"TableLevelConfiguration must be at least 1"));
        }
        let _ = document.create_partition_index;
        let tables = document.crawler_output.tables;
        Ok(Self {
            merge_new_columns: matches!(tables.add_or_update_behavior, Some(MergeNewColumns::MergeNewColumns)),
            inherit: matches!(
                document.crawler_output.partitions.add_or_update_behavior,
                Some(InheritFromTable::InheritFromTable)
            ),
            combine: matches!(
                document.grouping.table_grouping_policy,
                Some(TableGroupingPolicy::CombineCompatibleSchemas)
            ),
            table_level: document.grouping.table_level_configuration,
            table_threshold: tables.table_threshold,
        })
    }
}

/// The document has none, and a structure would be read from one.
fn has_list(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Array(_) => true,
        serde_json::Value::Object(members) => members.values().any(has_list),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Configuration;

    #[test]
    fn reads_the_options_of_the_developer_guide() {
        let text = r#"{"Version":1.0,"CrawlerOutput":{"Partitions":{"AddOrUpdateBehavior":"InheritFromTable"},
            "Tables":{"AddOrUpdateBehavior":"MergeNewColumns","TableThreshold":5}},
            "Grouping":{"TableGroupingPolicy":"CombineCompatibleSchemas","TableLevelConfiguration":2}}"#;
        let want = Configuration {
            merge_new_columns: true,
            inherit: true,
            combine: true,
            table_level: Some(2),
            table_threshold: Some(5),
        };
        assert_eq!(Configuration::parse(Some(text)).unwrap(), want);
        assert_eq!(Configuration::parse(None).unwrap(), Configuration::default());
        for wrong in [
            "[1]",
            r#"{"Version":2.0}"#,
            r#"{"CrawlerOutputs":{}}"#,
            r#"{"CrawlerOutput":{"Tables":{"AddOrUpdateBehavior":"InheritFromTable"}}}"#,
            r#"{"CrawlerOutput":{"Partitions":{"AddOrUpdateBehavior":"mergenewcolumns"}}}"#,
            r#"{"Grouping":{"TableGroupingPolicy":"Combine"}}"#,
            r#"{"Grouping":{"TableLevelConfiguration":0}}"#,
        ] {
            assert!(Configuration::parse(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Configuration::parse(Some(r#"{"Version":1.0,"CreatePartitionIndex":true}"#)).is_ok());
    }
}
