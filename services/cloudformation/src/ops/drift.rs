//! Drift: what of a stack's resources is not as its template says. Types of which nothing can be told are not looked at, as on AWS.
//! Source: CloudFormation User Guide, "Detect unmanaged configuration changes to stacks and resources with drift detection".

use std::collections::BTreeMap;

use api_cloudformation as api;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Cx, Handle};
use store::Tx;
use wire::Timestamp;

use crate::parameters::text;
use crate::records::{self, ResourceRecord, StackRecord};
use crate::resources::existing;
use crate::template::validation;
use crate::{CloudFormation, Result, dynamic, stacks};

/// One looking at a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Detection {
    /// Version of the record's form.
    version: u32,
    id: String,
    stack_id: String,
    at_ms: i64,
    resources: Vec<Drift>,
}

/// What was found last of each of a stack's resources, by their logical ids.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Drifts {
    /// Version of the record's form.
    version: u32,
    /// Of the last looking, at the stack or at one of its resources.
    at_ms: i64,
    resources: BTreeMap<String, Drift>,
}

impl Drifts {
    /// What is known of a stack, its resources that are no more left out.
    pub(super) fn load(tx: &mut Tx<'_>, stack: &StackRecord) -> Result<Option<Self>> {
        let mut found: Option<Self> = tx.get_json(records::drifts(stack))?;
        if let Some(found) = &mut found {
            found.resources.retain(|name, _| stack.resources.contains_key(name));
        }
        Ok(found)
    }

    /// Adds what a looking has found.
    fn keep(tx: &mut Tx<'_>, stack: &StackRecord, at_ms: i64, found: &[Drift]) -> Result<()> {
        let mut all = Self::load(tx, stack)?.unwrap_or_default();
        (all.version, all.at_ms) = (1, at_ms);
        all.resources.extend(found.iter().map(|one| (one.logical_id.clone(), one.clone())));
        Ok(tx.put_json(records::drifts(stack), &all)?)
    }

    pub(super) fn status(&self) -> &'static str {
        stack_status(drifted(self.resources.values()))
    }

    pub(super) fn checked(&self) -> Option<Timestamp> {
        Timestamp::from_millis(self.at_ms).into()
    }
}

fn drifted<'a>(resources: impl IntoIterator<Item = &'a Drift>) -> usize {
    resources.into_iter().filter(|one| one.status != "IN_SYNC").count()
}

const fn stack_status(drifted: usize) -> &'static str {
    if drifted == 0 { "IN_SYNC" } else { "DRIFTED" }
}

/// One resource as it was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Drift {
    logical_id: String,
    physical_id: String,
    kind: String,
    /// `IN_SYNC`, `MODIFIED`, `DELETED`.
    status: String,
    expected: String,
    actual: Option<String>,
    differences: Vec<Difference>,
    at_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Difference {
    path: String,
    expected: String,
    actual: String,
    /// `NOT_EQUAL`, `REMOVE`.
    kind: String,
}

impl Difference {
    /// Without the stack's hidden values.
    fn shown(self, stack: &StackRecord) -> Self {
        Self { expected: stacks::shown(stack, self.expected), actual: stacks::shown(stack, self.actual), ..self }
    }
}

#[async_trait]
impl Handle<api::DetectStackDrift> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DetectStackDriftInput) -> Result<api::DetectStackDriftOutput> {
        let stack = self.stack(cx, &input.stack_name).await?;
        check_state(&stack)?;
        let wanted = input.logical_resource_ids.unwrap_or_default();
        if let Some(name) = wanted.iter().find(|name| !stack.resources.contains_key(*name)) {
            return Err(no_resource(name, &stack));
        }
        let mut found = Vec::new();
        for (name, record) in &stack.resources {
            if wanted.is_empty() || wanted.contains(name) {
                found.extend(self.drift(cx, &stack, name, record).await?);
            }
        }
        let detection = Detection {
            version: 1,
            id: cx.uuid(),
            stack_id: stack.id.clone(),
            at_ms: cx.now().as_millisecond(),
            resources: found,
        };
        let (account, region) = (stack.account.clone(), stack.region.clone());
        cx.write(&self.store, move |tx| {
            tx.put_json(records::base(&account, &region, "drift-detection").push(&detection.id), &detection)?;
            Drifts::keep(tx, &stack, detection.at_ms, &detection.resources)?;
            Ok(api::DetectStackDriftOutput { stack_drift_detection_id: detection.id.clone() })
        })
        .await
    }
}

#[async_trait]
impl Handle<api::DescribeStackDriftDetectionStatus> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::DescribeStackDriftDetectionStatusInput,
    ) -> Result<api::DescribeStackDriftDetectionStatusOutput> {
        let key = records::base(cx.account(), cx.region(), "drift-detection").push(&input.stack_drift_detection_id);
        let found: Option<Detection> = self.store.read(|tx| tx.get_json(&key)).await?;
        let found = found.ok_or_else(|| {
            validation(format!("Drift detection with id {} does not exist", input.stack_drift_detection_id))
        })?;
        let drifted = drifted(&found.resources);
        Ok(api::DescribeStackDriftDetectionStatusOutput {
            stack_id: found.stack_id,
            stack_drift_detection_id: found.id,
            stack_drift_status: Some(stack_status(drifted).to_owned()),
            detection_status: "DETECTION_COMPLETE".to_owned(),
            drifted_stack_resource_count: i32::try_from(drifted).ok(),
            timestamp: Timestamp::from_millis(found.at_ms),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::DescribeStackResourceDrifts> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::DescribeStackResourceDriftsInput,
    ) -> Result<api::DescribeStackResourceDriftsOutput> {
        let stack = self.stack(cx, &input.stack_name).await?;
        let found = self.store.read(|tx| Drifts::load(tx, &stack)).await?;
        let mut all: Vec<Drift> = found.map(|found| found.resources.into_values().collect()).unwrap_or_default();
        if let Some(wanted) = input.stack_resource_drift_status_filters {
            all.retain(|one| wanted.contains(&one.status));
        }
        let start: usize = match &input.next_token {
            None => 0,
            Some(token) => token.parse().map_err(|_| validation("The next token is not valid"))?,
        };
        let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(100);
        let next = (start + most < all.len()).then(|| (start + most).to_string());
        let page = all.into_iter().skip(start).take(most).map(|one| shape(&stack.id, one));
        Ok(api::DescribeStackResourceDriftsOutput { stack_resource_drifts: page.collect(), next_token: next })
    }
}

#[async_trait]
impl Handle<api::DetectStackResourceDrift> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::DetectStackResourceDriftInput,
    ) -> Result<api::DetectStackResourceDriftOutput> {
        let stack = self.stack(cx, &input.stack_name).await?;
        check_state(&stack)?;
        let name = &input.logical_resource_id;
        let record = stack.resources.get(name).ok_or_else(|| no_resource(name, &stack))?;
        let drift = self
            .drift(cx, &stack, name, record)
            .await?
            .ok_or_else(|| validation(format!("Resource type {} is not supported for drift detection", record.kind)))?;
        cx.write(&self.store, move |tx| {
            Drifts::keep(tx, &stack, drift.at_ms, std::slice::from_ref(&drift))?;
            Ok(api::DetectStackResourceDriftOutput { stack_resource_drift: shape(&stack.id, drift.clone()) })
        })
        .await
    }
}

/// Was this detection made before then?
pub(crate) fn detection_is_old(key: &[u8], value: &[u8], before_ms: i64) -> Result<bool> {
    let detection: Detection = store::kv::decode(key, value)?;
    Ok(detection.at_ms < before_ms)
}

fn no_resource(name: &str, stack: &StackRecord) -> wire::Error {
    validation(format!("Resource {name} does not exist for stack {}", stack.name))
}

/// Source: CloudFormation API Reference, DetectStackDrift.
fn check_state(stack: &StackRecord) -> Result<()> {
    let may =
        ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "IMPORT_COMPLETE"];
    if may.contains(&stack.status.as_str()) || stack.status == "IMPORT_ROLLBACK_COMPLETE" {
        return Ok(());
    }
    let text = format!("Drift detection cannot be performed on stack [{}] in state {}", stack.id, stack.status);
    Err(validation(text))
}

impl CloudFormation {
    /// How a resource is; `None` where nothing can be told of its type.
    async fn drift(&self, cx: &Cx, stack: &StackRecord, name: &str, record: &ResourceRecord) -> Result<Option<Drift>> {
        if existing::identifier(&record.kind).is_none() || !record.status.ends_with("_COMPLETE") {
            return Ok(None);
        }
        let at = self.looking(cx, stack, name);
        let found = existing::find(&at, &record.kind, &record.physical_id).await?;
        let mut differences = Vec::new();
        let status = match &found {
            None => "DELETED",
            Some(found) => {
                for (property, wanted) in record.properties.as_object().into_iter().flatten() {
                    if let Some(is) = found.properties.get(property) {
                        compare(&format!("/{property}"), wanted, is, &mut differences);
                    }
                }
                if differences.is_empty() { "IN_SYNC" } else { "MODIFIED" }
            }
        };
        Ok(Some(Drift {
            logical_id: name.to_owned(),
            physical_id: record.physical_id.clone(),
            kind: record.kind.clone(),
            status: status.to_owned(),
            expected: stacks::shown(stack, record.properties.to_string()),
            actual: found.map(|found| {
                let actual = without_references(&record.properties, found.properties);
                stacks::shown(stack, actual.to_string())
            }),
            differences: differences.into_iter().map(|one| one.shown(stack)).collect(),
            at_ms: cx.now().as_millisecond(),
        }))
    }
}

/// What is, without the values of dynamic references.
fn without_references(wanted: &Value, is: Value) -> Value {
    match (wanted, is) {
        (Value::Object(wanted), Value::Object(is)) => {
            let shown = |(key, value)| {
                let value = match wanted.get(&key) {
                    Some(wanted) => without_references(wanted, value),
                    None => value,
                };
                (key, value)
            };
            Value::Object(is.into_iter().map(shown).collect())
        }
        // Lists may be told in another order.
        (wanted, _) if dynamic::is_in(wanted) => wanted.clone(),
        (_, is) => is,
    }
}

/// What the template says, against what is: members that it says nothing of may be anything.
fn compare(path: &str, wanted: &Value, is: &Value, out: &mut Vec<Difference>) {
    match (wanted, is) {
        // What a dynamic reference is, is not known, and would not be shown.
        (Value::String(_), _) if dynamic::is_in(wanted) => {}
        (Value::Object(wanted), Value::Object(is)) => {
            for (name, wanted) in wanted {
                compare(&format!("{path}/{name}"), wanted, is.get(name).unwrap_or(&Value::Null), out);
            }
        }
        (Value::Array(wanted), Value::Array(is)) if wanted.len() == is.len() => {
            // Lists of these types are sets, told in any order.
            let same = wanted.iter().all(|one| is.iter().any(|other| equal(one, other)));
            if !same {
                for (n, (wanted, is)) in wanted.iter().zip(is).enumerate() {
                    compare(&format!("{path}/{n}"), wanted, is, out);
                }
            }
        }
        _ if equal(wanted, is) => {}
        _ => out.push(Difference {
            path: path.to_owned(),
            expected: shown(wanted),
            actual: shown(is),
            kind: if is.is_null() { "REMOVE" } else { "NOT_EQUAL" }.to_owned(),
        }),
    }
}

fn equal(wanted: &Value, is: &Value) -> bool {
    let mut differences = Vec::new();
    match (wanted, is) {
        (Value::Object(_), Value::Object(_)) => compare("", wanted, is, &mut differences),
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
            // Nothing is as good as an empty list.
            return wanted == is || (wanted.as_array().is_some_and(Vec::is_empty) && is.is_null());
        }
        _ => return shown(wanted) == shown(is),
    }
    differences.is_empty()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(_) | Value::Array(_) => value.to_string(),
        scalar => text(scalar),
    }
}

fn shape(stack_id: &str, drift: Drift) -> api::StackResourceDrift {
    let differences = drift.differences.into_iter().map(|one| api::PropertyDifference {
        property_path: one.path,
        expected_value: one.expected,
        actual_value: one.actual,
        difference_type: one.kind,
    });
    api::StackResourceDrift {
        stack_id: stack_id.to_owned(),
        logical_resource_id: drift.logical_id,
        physical_resource_id: Some(drift.physical_id),
        resource_type: drift.kind,
        expected_properties: Some(drift.expected),
        actual_properties: drift.actual,
        property_differences: Some(differences.collect()),
        stack_resource_drift_status: drift.status,
        timestamp: Timestamp::from_millis(drift.at_ms),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences() {
        let found = |wanted: Value, is: Value| {
            let mut out = Vec::new();
            compare("/P", &wanted, &is, &mut out);
            out.into_iter()
                .map(|one| format!("{} {} {}->{}", one.kind, one.path, one.expected, one.actual))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(json!(5), json!("5")), [""; 0]);
        assert_eq!(found(json!({"a": 1}), json!({"a": "1", "b": 2})), [""; 0]);
        assert_eq!(found(json!(["x", "y"]), json!(["y", "x"])), [""; 0]);
        assert_eq!(found(json!({"a": {"b": 1}}), json!({"a": {"b": 2}})), ["NOT_EQUAL /P/a/b 1->2"]);
        assert_eq!(found(json!(30), Value::Null), ["REMOVE /P 30->"]);
        assert_eq!(found(json!(["x"]), json!(["x", "y"])), [r#"NOT_EQUAL /P ["x"]->["x","y"]"#]);
    }
}
