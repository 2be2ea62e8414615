//! Data quality: rulesets as they are named and kept, and the results that jobs publish (`EvaluateDataQuality` with
//! `enableDataQualityResultsPublishing`). The evaluation itself is the script's (`runtimes/spark/awsgluedq`).

use api_glue::error::entity_not_found_exception;
use api_glue::{DataQualityResult, DataQualityRuleResult, DataQualityTargetTable, JobRun};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Key, Tx};
use wire::{Error, Timestamp};

use crate::scope::Scope;

const VERSION: u32 = 1;

/// One evaluation, as the script reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    context: Option<String>,
    /// ms
    at: i64,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rule {
    description: String,
    passed: bool,
    message: Option<String>,
    metrics: std::collections::BTreeMap<String, f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResultRecord {
    version: u32,
    pub(crate) result: DataQualityResult,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RulesetRecord {
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) ruleset: String,
    pub(crate) target: Option<DataQualityTargetTable>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

pub(crate) fn results(scope: &Scope) -> Key {
    scope.key("dq-result")
}

pub(crate) fn rulesets(scope: &Scope) -> Key {
    scope.key("dq-ruleset")
}

pub(crate) fn ruleset_arn(scope: &Scope, name: &str) -> String {
    scope.arn(&format!("dataQualityRuleset/{name}"))
}

pub(crate) fn find_ruleset(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<RulesetRecord, Error> {
    tx.get_json(rulesets(scope).push(name))?
        .ok_or_else(|| entity_not_found_exception(format!("Ruleset with name {name} not found")))
}

/// What a script reported; what is not understood is left out.
pub(crate) fn read(reported: Vec<Value>) -> Vec<Found> {
    reported.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect()
}

/// Keeps a run's results, in the transaction that records its end.
pub(crate) fn publish(tx: &mut Tx<'_>, scope: &Scope, job: &str, run: &JobRun, found: &[Found]) -> Result<(), Error> {
    let run_id = run.id.clone().unwrap_or_default();
    for (place, one) in found.iter().enumerate() {
        let id =
            format!("dqresult-{}{place:04x}", run_id.trim_start_matches("jr_").chars().take(60).collect::<String>());
        let at = jiff::Timestamp::from_millisecond(one.at).map(Timestamp).ok();
        #[expect(clippy::cast_precision_loss, reason = "a ruleset has at most 2,000 rules")]
        let passed = one.rules.iter().filter(|rule| rule.passed).count() as f64 / one.rules.len().max(1) as f64;
        let rules = one.rules.iter().enumerate().map(|(number, rule)| DataQualityRuleResult {
            name: Some(format!("Rule_{}", number + 1)),
            description: Some(rule.description.clone()),
            evaluation_message: rule.message.clone(),
            result: Some(if rule.passed { "PASS" } else { "FAIL" }.to_owned()),
            evaluated_metrics: Some(rule.metrics.clone()),
            evaluated_rule: Some(rule.description.clone()),
            ..DataQualityRuleResult::default()
        });
        let result = DataQualityResult {
            result_id: Some(id.clone()),
            score: Some(passed),
            evaluation_context: one.context.clone(),
            started_on: at,
            completed_on: at,
            job_name: Some(job.to_owned()),
            job_run_id: run.id.clone(),
            rule_results: Some(rules.collect()),
            ..DataQualityResult::default()
        };
        tx.put_json(results(scope).push(&id), &ResultRecord { version: VERSION, result })?;
    }
    Ok(())
}
