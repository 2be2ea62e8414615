//! Policies of parameters: when one ends, what is told before that, and what is told of one that does not change. Each is a task at its
//! time. Source: Systems Manager User Guide, "Assigning parameter policies in Parameter Store".

use api_ssm::ParameterInlinePolicy;
use api_ssm::error::{
    incompatible_policy_exception, invalid_policy_attribute_exception, invalid_policy_type_exception,
    policies_limit_exceeded_exception,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{NewTask, Store, Task, Tx};
use wire::Error;

use super::events::{self, Change, Place};
use crate::ops::parameters::{Record, prefix_of};

pub(crate) const DUE: &str = "ssm:policy";
/// Policies of a parameter. Source: Systems Manager API reference, `PoliciesLimitExceededException`.
const MOST: usize = 10;

/// A policy as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    text: String,
    kind: String,
    finished: bool,
}

/// When it is due.
enum When {
    At(Timestamp),
    BeforeEnd(SignedDuration),
    AfterChange(SignedDuration),
}

/// Which policy of which parameter a task is of.
#[derive(Debug, Serialize, Deserialize)]
struct Due {
    place: Place,
    name: String,
    index: usize,
    policy: Policy,
}

/// What a request gives: a list of policies, or an empty text for none.
pub(crate) fn parse(text: &str) -> Result<Vec<Policy>, Error> {
    let invalid = || Error::validation(format!("Invalid policies input: {text}."));
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let given: Vec<Value> = serde_json::from_str(text).map_err(|_| invalid())?;
    // An empty policy, by which AWS's page takes all away.
    let given: Vec<Value> = given.into_iter().filter(|one| *one != json!({})).collect();
    if given.len() > MOST {
        return Err(policies_limit_exceeded_exception(format!("A parameter can have a maximum of {MOST} policies.")));
    }
    let kept = given.iter().map(|one| {
        let kind = one["Type"].as_str().ok_or_else(invalid)?.to_owned();
        when(one)?;
        Ok::<_, Error>(Policy { text: one.to_string(), kind, finished: false })
    });
    let kept: Vec<Policy> = kept.collect::<Result<_, Error>>()?;
    let has = |kind: &str| kept.iter().filter(|one| one.kind == kind).count();
    if has("Expiration") > 1 || (has("ExpirationNotification") > 0 && has("Expiration") == 0) {
        return Err(incompatible_policy_exception(
            "There is a conflict in the policies specified for this parameter: an ExpirationNotification needs one Expiration, and \
             there is one Expiration at most.",
        ));
    }
    Ok(kept)
}

fn when(policy: &Value) -> Result<When, Error> {
    let kind = policy["Type"].as_str().unwrap_or_default();
    let wrong = |what: &str| invalid_policy_attribute_exception(format!("The policy {kind} has no valid {what}."));
    if policy["Version"] != "1.0" {
        return Err(wrong("Version: it is 1.0"));
    }
    let attribute = |name: &str| policy["Attributes"][name].as_str();
    let span = |name: &str| {
        let number = attribute(name).and_then(|text| text.parse::<u16>().ok()).filter(|number| *number > 0);
        let hours = match attribute("Unit") {
            Some("Days") => 24,
            Some("Hours") => 1,
            _ => return Err(wrong("Unit: it is Days or Hours")),
        };
        let number = number.ok_or_else(|| wrong(name))?;
        Ok(SignedDuration::from_hours(i64::from(number) * hours))
    };
    Ok(match kind {
        "Expiration" => {
            let at = attribute("Timestamp").and_then(|text| text.parse().ok());
            When::At(at.ok_or_else(|| wrong("Timestamp"))?)
        }
        "ExpirationNotification" => When::BeforeEnd(span("Before")?),
        "NoChangeNotification" => When::AfterChange(span("After")?),
        _ => return Err(invalid_policy_type_exception(format!("The policy type {kind} is not supported."))),
    })
}

/// As they are described.
pub(crate) fn told(policies: &[Policy]) -> Vec<ParameterInlinePolicy> {
    let told = |policy: &Policy| ParameterInlinePolicy {
        policy_text: Some(policy.text.clone()),
        policy_type: Some(policy.kind.clone()),
        policy_status: Some(if policy.finished { "Finished" } else { "Pending" }.to_owned()),
    };
    policies.iter().map(told).collect()
}

fn task((account, region): &Place, name: &str, index: usize) -> String {
    format!("{DUE}/{account}/{region}/{name}/{index}")
}

/// Puts the tasks of a parameter that has just changed on the queue, in place of those of before.
pub(crate) fn schedule(tx: &mut Tx<'_>, place: &Place, record: &mut Record, before: usize) -> Result<(), Error> {
    cancel(tx, place, &record.name, before)?;
    let texts = record.policies.iter().map(|policy| serde_json::from_str::<Value>(&policy.text));
    let all: Vec<When> = texts.map(|text| when(&text.map_err(Error::internal)?)).collect::<Result<_, Error>>()?;
    let ends = all.iter().find_map(|when| if let When::At(at) = when { Some(*at) } else { None });
    let now = tx.now();
    for (index, when) in all.into_iter().enumerate() {
        record.policies[index].finished = false;
        let at = match when {
            When::At(at) => at,
            When::BeforeEnd(span) => ends.unwrap_or(now).saturating_sub(span).unwrap_or(now),
            When::AfterChange(span) => now.saturating_add(span).unwrap_or(Timestamp::MAX),
        };
        let (place, name, policy) = (place.clone(), record.name.clone(), record.policies[index].clone());
        let id = task(&place, &name, index);
        tx.enqueue(NewTask::new(DUE, id).payload(&Due { place, name, index, policy })?.at(at.max(now)))?;
    }
    Ok(())
}

/// Takes the tasks of a parameter's policies off the queue: so many there are.
pub(crate) fn cancel(tx: &mut Tx<'_>, place: &Place, name: &str, policies: usize) -> Result<(), Error> {
    for index in 0..policies {
        tx.finish_task(&task(place, name, index))?;
    }
    Ok(())
}

/// Does what is due, where the parameter still has the policy.
pub(crate) async fn run(store: &Store, task: &Task, fresh: String) -> Result<(), Error> {
    let due: Due = task.payload()?;
    let (id, at_ms) = (task.id.clone(), task.at_ms);
    let done = store.write(move |tx| {
        if tx.task(&id)?.is_none_or(|asked| asked.at_ms != at_ms) {
            return Ok(());
        }
        tx.finish_task(&id)?;
        let key = prefix_of(&due.place.0, &due.place.1).push(&due.name);
        let Some(mut record) = tx.get_json::<Record>(&key)? else { return Ok(()) };
        if record.policies.get(due.index) != Some(&due.policy) {
            return Ok(());
        }
        let detail = json!({
            "parameter-name": record.name,
            "parameter-type": record.kind,
            "policy-type": due.policy.kind,
            "policy-content": due.policy.text,
            "action-status": "SUCCESS",
        });
        events::tell(tx, &due.place, (&record.arn, "Parameter Store Policy Action"), detail, &fresh)?;
        if due.policy.kind == "Expiration" {
            cancel(tx, &due.place, &record.name, record.policies.len())?;
            events::changed(tx, &due.place, &record, Change::Delete, &format!("{fresh}/deleted"))?;
            return Ok(tx.delete(&key)?);
        }
        record.policies[due.index].finished = true;
        Ok::<_, Error>(tx.put_json(&key, &record)?)
    });
    done.await
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn policies_are_read_as_the_guide_has_them() {
        let end = r#"{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2027-06-30T00:00:00.000Z"}}"#;
        let before = r#"{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"5","Unit":"Days"}}"#;
        let still = r#"{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"60","Unit":"Hours"}}"#;
        assert_eq!(parse(&format!("[{end},{before},{still}]")).unwrap().len(), 3);
        assert!(parse("").unwrap().is_empty() && parse("[{}]").unwrap().is_empty());
        for (text, code) in [
            (end.to_owned(), "ValidationException"),
            (format!("[{before}]"), "IncompatiblePolicyException"),
            (format!("[{end},{end}]"), "IncompatiblePolicyException"),
            (still.replace("Hours", "Weeks").replacen('{', "[{", 1) + "]", "InvalidPolicyAttributeException"),
            (end.replace("1.0", "2.0").replacen('{', "[{", 1) + "]", "InvalidPolicyAttributeException"),
            (end.replace("Expiration", "End").replacen('{', "[{", 1) + "]", "InvalidPolicyTypeException"),
            (format!("[{}]", [still; 11].join(",")), "PoliciesLimitExceededException"),
        ] {
            assert_eq!(parse(&text).unwrap_err().code(), code, "{text}");
        }
    }
}
