//! AWS::Athena::NamedQuery: Ref and NamedQueryId are its id.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only, pick};
use crate::Result;

pub(super) struct NamedQuery;

const MEMBERS: [&str; 5] = ["Database", "Description", "Name", "QueryString", "WorkGroup"];

#[async_trait]
impl Kind for NamedQuery {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let mut input = pick(properties, &MEMBERS);
        input.insert("Name".to_owned(), at.name(properties, "Name", 128).into());
        let output = at.call("athena", "CreateNamedQuery", input.into()).await?;
        let id = output["NamedQueryId"].as_str().unwrap_or_default();
        Ok(Made::new(id, json!({ "NamedQueryId": id })))
    }

    async fn update(&self, _: &Context, _: &Made, _: &Value, _: &Value) -> Result<Updated> {
        Ok(Updated::Replace)
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("athena", "DeleteNamedQuery", json!({ "NamedQueryId": made.physical_id })).await
    }
}
