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
#[serde(rename_all = "PascalCase", default)]
struct Document {
    crawler_output: Output,
    grouping: Grouping,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Output {
    tables: Behaviour,
    partitions: Behaviour,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Behaviour {
    add_or_update_behavior: Option<String>,
    table_threshold: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Grouping {
    table_grouping_policy: Option<String>,
    table_level_configuration: Option<usize>,
}

impl Configuration {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text.filter(|t| !t.trim().is_empty()) else { return Ok(Self::default()) };
        let document: Document = serde_json::from_str(text)
            .map_err(|error| invalid_input_exception(format!("Crawler configuration is not valid: {error}")))?;
        let is = |have: &Option<String>, wanted: &str| have.as_deref() == Some(wanted);
        Ok(Self {
            merge_new_columns: is(&document.crawler_output.tables.add_or_update_behavior, "MergeNewColumns"),
            inherit: is(&document.crawler_output.partitions.add_or_update_behavior, "InheritFromTable"),
            combine: is(&document.grouping.table_grouping_policy, "CombineCompatibleSchemas"),
            table_level: document.grouping.table_level_configuration,
            table_threshold: document.crawler_output.tables.table_threshold,
        })
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
        assert!(Configuration::parse(Some("[1]")).is_err());
    }
}
