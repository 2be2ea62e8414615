//! AWS::IAM::RolePolicy, UserPolicy and GroupPolicy: an inline policy of one. Ref is its name and its holder's, `POLICY|HOLDER`.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::iam_holders::with;
use super::{Context, Kind, Made, Updated, differ, document, only, required, required_text};
use crate::Result;

/// By what holds it.
pub(super) struct InlinePolicy(pub(super) &'static str);

impl InlinePolicy {
    /// The names of the policy and of its holder.
    fn names(&self, properties: &Value) -> Result<(String, String)> {
        Ok((required_text(properties, "PolicyName")?, required_text(properties, &self.holder())?))
    }

    fn holder(&self) -> String {
        format!("{}Name", self.0)
    }

    async fn put(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &["PolicyDocument", "PolicyName", &self.holder()])?;
        let (name, holder) = self.names(properties)?;
        let document = document(required(properties, "PolicyDocument")?);
        let input = json!({ "PolicyName": name, "PolicyDocument": document });
        with(at, "Put", (self.0, &holder), input).await?;
        Ok(Made::new(format!("{name}|{holder}"), json!({})))
    }
}

#[async_trait]
impl Kind for InlinePolicy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        self.put(at, properties).await
    }

    async fn update(&self, at: &Context, _: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["PolicyName", &self.holder()]) {
            return Ok(Updated::Replace);
        }
        self.put(at, new).await.map(Updated::InPlace)
    }

    async fn delete(&self, at: &Context, _: &Made, properties: &Value) -> Result<()> {
        let (name, holder) = self.names(properties)?;
        with(at, "Delete", (self.0, &holder), json!({ "PolicyName": name })).await
    }
}
