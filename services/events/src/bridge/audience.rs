//! Who listens: tells the other services whether an event is worth making. Most events interest no rule, and then cost nothing.

use async_trait::async_trait;
use serde_json::Value;
use service::Audience;
use store::{Cache, Store};
use wire::Error;

use super::rule::{DEFAULT_BUS, Home, Rule, is_rule};

/// The enabled patterns of a bus.
pub(super) struct Listeners(Cache<Vec<Value>>);

/// Buses whose rules are remembered.
const MAX_BUSES: usize = 1000;

impl Listeners {
    pub(super) fn new(store: &Store) -> Self {
        let (rule, archive) = (is_rule(), crate::archive::is_archive());
        Self(Cache::new(store, MAX_BUSES, move |key| rule(key) || archive(key)))
    }
}

#[async_trait]
impl Audience for Listeners {
    async fn may_match(&self, account: &str, region: &str, source: &str, detail_type: &str) -> Result<bool, Error> {
        let home = Home { account: account.to_owned(), region: region.to_owned(), bus: DEFAULT_BUS.to_owned() };
        let look = |tx: &mut store::Tx<'_>| {
            let mut all = patterns(&home.all(tx)?);
            all.extend(crate::archive::patterns(tx, &home)?);
            Ok::<_, Error>(Some(all))
        };
        let patterns = self.0.find(home.rules(), look).await?;
        let wants = |pattern: &Value| admits(pattern, "source", source) && admits(pattern, "detail-type", detail_type);
        Ok(patterns.is_some_and(|patterns| patterns.iter().any(wants)))
    }
}

fn patterns(rules: &[Rule]) -> Vec<Value> {
    let enabled = rules.iter().filter(|rule| rule.is_enabled() && !rule.targets.is_empty());
    enabled.filter_map(|rule| serde_json::from_str(rule.pattern.as_deref()?).ok()).collect()
}

/// False where the pattern lists texts for the field and none of them is this one.
fn admits(pattern: &Value, field: &str, value: &str) -> bool {
    let Some(Value::Array(wanted)) = pattern.get(field) else { return true };
    wanted.iter().any(|wanted| wanted.as_str().is_none_or(|wanted| wanted == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_texts_exclude() {
        for (pattern, wanted) in [
            (r#"{"source":["aws.glue"]}"#, false),
            (r#"{"source":["aws.glue","aws.states"]}"#, true),
            (r#"{"source":[{"prefix":"aws."}]}"#, true),
            (r#"{"detail":{"status":["FAILED"]}}"#, true),
            (r#"{"$or":[{"source":["aws.glue"]},{"source":["aws.states"]}]}"#, true),
        ] {
            let pattern: Value = serde_json::from_str(pattern).unwrap();
            assert_eq!(admits(&pattern, "source", "aws.states"), wanted, "{pattern}");
        }
    }
}
