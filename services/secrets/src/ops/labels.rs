//! The history of parameters, and labels of their versions. Source: Systems Manager User Guide, "Working with parameter labels".

use api_ssm::error::parameter_version_label_limit_exceeded;
use api_ssm::{
    GetParameterHistory, GetParameterHistoryRequest, GetParameterHistoryResult, LabelParameterVersion,
    LabelParameterVersionRequest, LabelParameterVersionResult, ParameterHistory, UnlabelParameterVersion,
    UnlabelParameterVersionRequest, UnlabelParameterVersionResult,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::parameters::{Record, Selector, load, load_selected, place, prefix, told};
use crate::Secrets;
use crate::parameters::{Change, changed, policies};

/// Labels of one version.
const MOST: usize = 10;
const PAGE: usize = 50;

/// Whether a version can have such a label.
fn is_label(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    let letters = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    letters
        && !label.starts_with(|c: char| c.is_ascii_digit())
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}

fn labels(record: &Record, version: i64) -> Vec<String> {
    record.labels.iter().filter(|(_, of)| **of == version).map(|(label, _)| label.clone()).collect()
}

#[async_trait]
impl Handle<GetParameterHistory> for Secrets {
    async fn handle(&self, cx: &Cx, req: GetParameterHistoryRequest) -> Result<GetParameterHistoryResult, Error> {
        let (record, _) = self.store.read(|tx| load_selected(tx, cx, &req.name)).await?;
        let after: i64 = match req.next_token.as_deref().map(str::parse) {
            None => 0,
            Some(Ok(after)) => after,
            Some(Err(_)) => return Err(api_ssm::error::invalid_next_token("The specified token isn't valid.")),
        };
        let limit = req.max_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE);
        let mut rest: Vec<_> = record.versions.iter().filter(|version| version.0 > after).collect();
        let more = rest.len() > limit;
        rest.truncate(limit);
        let next_token = rest.last().filter(|_| more).map(|last| last.0.to_string());
        let decrypt = req.with_decryption == Some(true);
        let mut parameters = Vec::with_capacity(rest.len());
        for (number, _, changed) in rest {
            let facts = record.facts.get(number).cloned().unwrap_or_else(|| record.facts());
            let shown = told(cx, record.shown(&Selector::Version(*number))?, facts.key_id.as_deref(), decrypt).await?;
            parameters.push(ParameterHistory {
                name: Some(record.name.clone()),
                r#type: Some(facts.kind),
                key_id: facts.key_id,
                last_modified_date: Some(*changed),
                last_modified_user: Some(facts.changed_by),
                description: facts.description,
                value: shown.value,
                allowed_pattern: facts.allowed_pattern,
                version: Some(*number),
                labels: Some(labels(&record, *number)),
                tier: Some(facts.tier),
                policies: Some(policies::told(&record.policies)),
                data_type: Some(facts.data_type),
            });
        }
        Ok(GetParameterHistoryResult { parameters: Some(parameters), next_token })
    }
}

#[async_trait]
impl Handle<LabelParameterVersion> for Secrets {
    /// A label that another version has moves to this one.
    async fn handle(&self, cx: &Cx, req: LabelParameterVersionRequest) -> Result<LabelParameterVersionResult, Error> {
        let (prefix, place, fresh) = (prefix(cx), place(cx), cx.uuid());
        cx.write(&self.store, move |tx| {
            let mut record = load(tx, &prefix, &req.name)?;
            let selector = req.parameter_version.map_or(Selector::Newest, Selector::Version);
            let version = record.version(&selector)?.0;
            let (given, invalid): (Vec<String>, Vec<String>) =
                req.labels.iter().cloned().partition(|label| is_label(label));
            record.labels.extend(given.into_iter().map(|label| (label, version)));
            if labels(&record, version).len() > MOST {
                return Err(parameter_version_label_limit_exceeded(format!(
                    "A parameter version can have a maximum of {MOST} labels."
                )));
            }
            tx.put_json(prefix.clone().push(&record.name), &record)?;
            changed(tx, &place, &record, Change::LabelParameterVersion, &fresh)?;
            Ok(LabelParameterVersionResult { invalid_labels: Some(invalid), parameter_version: Some(version) })
        })
        .await
    }
}

#[async_trait]
impl Handle<UnlabelParameterVersion> for Secrets {
    async fn handle(
        &self,
        cx: &Cx,
        req: UnlabelParameterVersionRequest,
    ) -> Result<UnlabelParameterVersionResult, Error> {
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let mut record = load(tx, &prefix, &req.name)?;
            let version = record.version(&Selector::Version(req.parameter_version))?.0;
            let (removed, invalid): (Vec<String>, Vec<String>) =
                req.labels.iter().cloned().partition(|label| record.labels.get(label) == Some(&version));
            record.labels.retain(|label, _| !removed.contains(label));
            tx.put_json(prefix.clone().push(&record.name), &record)?;
            Ok::<_, Error>(UnlabelParameterVersionResult {
                removed_labels: Some(removed),
                invalid_labels: Some(invalid),
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn labels_are_plain_words() {
        for (label, expected) in
            [("prod", true), ("v1.2-a_b", true), ("1st", false), ("awsome", false), ("SSM-x", false), ("a b", false)]
        {
            assert_eq!(is_label(label), expected, "{label}");
        }
    }
}
