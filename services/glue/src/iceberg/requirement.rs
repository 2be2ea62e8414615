//! What must hold of a table for a commit to be made (`TableRequirement` of the REST specification).

use serde::Deserialize;
use wire::Error;

use super::conflict;
use super::metadata::TableMetadata;

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all_fields = "kebab-case")]
pub(crate) enum Requirement {
    #[serde(rename = "assert-create")]
    Create,
    #[serde(rename = "assert-table-uuid")]
    TableUuid { uuid: String },
    #[serde(rename = "assert-ref-snapshot-id")]
    RefSnapshotId { r#ref: String, snapshot_id: Option<i64> },
    #[serde(rename = "assert-last-assigned-field-id")]
    LastAssignedFieldId { last_assigned_field_id: i32 },
    #[serde(rename = "assert-current-schema-id")]
    CurrentSchemaId { current_schema_id: i32 },
    #[serde(rename = "assert-last-assigned-partition-id")]
    LastAssignedPartitionId { last_assigned_partition_id: i32 },
    #[serde(rename = "assert-default-spec-id")]
    DefaultSpecId { default_spec_id: i32 },
    #[serde(rename = "assert-default-sort-order-id")]
    DefaultSortOrderId { default_sort_order_id: i32 },
}

impl Requirement {
    /// Checks against what is there, which is nothing where the table does not exist.
    ///
    /// # Errors
    /// `CommitFailedException`.
    pub(crate) fn check(&self, base: Option<&TableMetadata>) -> Result<(), Error> {
        let Some(base) = base else {
            return match self {
                Self::Create | Self::RefSnapshotId { snapshot_id: None, .. } => Ok(()),
                _ => Err(conflict("Requirement failed: the table does not exist")),
            };
        };
        let equal = |what: &str, found: i32, wanted: i32| {
            let message = || format!("Requirement failed: {what} changed: expected id {wanted} != {found}");
            if found == wanted { Ok(()) } else { Err(conflict(message())) }
        };
        match self {
            Self::Create => Err(conflict("Requirement failed: table already exists")),
            Self::TableUuid { uuid } if !uuid.eq_ignore_ascii_case(&base.table_uuid) => Err(conflict(format_args!(
                "Requirement failed: UUID does not match: expected {} != {uuid}",
                base.table_uuid
            ))),
            Self::TableUuid { .. } => Ok(()),
            Self::RefSnapshotId { r#ref, snapshot_id } => {
                let found = base.refs.get(r#ref).map(|reference| reference.snapshot_id);
                match (found, snapshot_id) {
                    (found, wanted) if found == *wanted => Ok(()),
                    (Some(_), None) => {
                        Err(conflict(format_args!("Requirement failed: branch or tag {ref} was created concurrently")))
                    }
                    (None, Some(wanted)) => Err(conflict(format_args!(
                        "Requirement failed: branch or tag {ref} is missing, expected {wanted}"
                    ))),
                    (found, wanted) => Err(conflict(format_args!(
                        "Requirement failed: branch or tag {ref} has changed: expected id {} != {}",
                        wanted.unwrap_or_default(),
                        found.unwrap_or_default()
                    ))),
                }
            }
            Self::LastAssignedFieldId { last_assigned_field_id } => {
                equal("last assigned field id", base.last_column_id, *last_assigned_field_id)
            }
            Self::CurrentSchemaId { current_schema_id } => {
                equal("current schema", base.current_schema_id, *current_schema_id)
            }
            Self::LastAssignedPartitionId { last_assigned_partition_id } => {
                equal("last assigned partition id", base.last_partition_id, *last_assigned_partition_id)
            }
            Self::DefaultSpecId { default_spec_id } => {
                equal("default partition spec", base.default_spec_id, *default_spec_id)
            }
            Self::DefaultSortOrderId { default_sort_order_id } => {
                equal("default sort order", base.default_sort_order_id, *default_sort_order_id)
            }
        }
    }
}
