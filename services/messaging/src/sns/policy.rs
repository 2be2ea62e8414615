//! Delivery policies: how often, after which pauses and how fast HTTP endpoints are called. A subscription's own goes before its
//! topic's, and that before what SNS does where nothing is said.
//! Source: SNS Developer Guide, "Amazon SNS message delivery retries".

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wire::Error;

use super::topic::{Subscription, Topic, invalid};

/// All retries of a message are made within that.
const LONGEST_SECONDS: f64 = 3600.0;
const MAX_RETRIES: u32 = 100;
const TYPES: [&str; 10] = [
    "application/json",
    "application/octet-stream",
    "application/soap+xml",
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
];
const TYPE: &str = "text/plain; charset=UTF-8";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Backoff {
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

/// `healthyRetryPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Healthy {
    min_delay_target: u32,
    max_delay_target: u32,
    num_retries: u32,
    num_max_delay_retries: u32,
    num_no_delay_retries: u32,
    num_min_delay_retries: u32,
    backoff_function: Backoff,
}

impl Default for Healthy {
    fn default() -> Self {
        Self {
            min_delay_target: 20,
            max_delay_target: 20,
            num_retries: 3,
            num_max_delay_retries: 0,
            num_no_delay_retries: 0,
            num_min_delay_retries: 0,
            backoff_function: Backoff::Linear,
        }
    }
}

/// What holds for deliveries to one HTTP endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Effective {
    retries: Healthy,
    per_second: Option<u32>,
    content_type: Option<String>,
}

impl Effective {
    pub(super) fn of_topic(topic: &Topic) -> Self {
        let policy = parsed(topic.attributes.get("DeliveryPolicy"));
        Self::default()
            .with(&policy["http"], ["defaultHealthyRetryPolicy", "defaultThrottlePolicy", "defaultRequestPolicy"])
    }

    pub(super) fn of(topic: &Topic, subscription: &Subscription) -> Self {
        let whole = Self::of_topic(topic);
        let policy = parsed(topic.attributes.get("DeliveryPolicy"));
        if policy["http"]["disableSubscriptionOverrides"] == true {
            return whole;
        }
        let own = parsed(subscription.attributes.get("DeliveryPolicy"));
        whole.with(&own, ["healthyRetryPolicy", "throttlePolicy", "requestPolicy"])
    }

    /// The same with the parts that a policy has. It was checked when it was set.
    fn with(mut self, policy: &Value, [retries, throttle, request]: [&str; 3]) -> Self {
        if let Some(given) = policy.get(retries).filter(|given| given.is_object()) {
            self.retries = serde_json::from_value(given.clone()).unwrap_or(self.retries);
        }
        if let Some(most) = policy[throttle]["maxReceivesPerSecond"].as_u64() {
            self.per_second = u32::try_from(most).ok();
        }
        if let Some(given) = policy[request]["headerContentType"].as_str() {
            self.content_type = Some(given.to_owned());
        }
        self
    }

    pub(super) fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or(TYPE)
    }

    /// Between two deliveries, where they are held back.
    pub(super) fn interval_ms(&self) -> Option<i64> {
        self.per_second.map(|most| 1000 / i64::from(most.max(1)))
    }

    /// How long to wait after so many failures; none: it is given up.
    pub(super) fn pause_ms(&self, failures: u32) -> Option<i64> {
        self.retries.pauses().get(usize::try_from(failures).ok()?.checked_sub(1)?).copied()
    }

    pub(super) fn as_topics(&self) -> String {
        let mut http = json!({
            "defaultHealthyRetryPolicy": self.retries.shown(),
            "disableSubscriptionOverrides": false,
            "defaultRequestPolicy": { "headerContentType": self.content_type() },
        });
        if let Some(most) = self.per_second {
            http["defaultThrottlePolicy"] = json!({ "maxReceivesPerSecond": most });
        }
        json!({ "http": http }).to_string()
    }

    pub(super) fn as_subscriptions(&self) -> String {
        json!({
            "healthyRetryPolicy": self.retries.shown(),
            "sicklyRetryPolicy": null,
            "throttlePolicy": self.per_second.map(|most| json!({ "maxReceivesPerSecond": most })),
            "requestPolicy": { "headerContentType": self.content_type() },
            "guaranteed": false,
        })
        .to_string()
    }
}

impl Healthy {
    fn shown(&self) -> Value {
        let function = match self.backoff_function {
            Backoff::Linear => "linear",
            Backoff::Arithmetic => "arithmetic",
            Backoff::Geometric => "geometric",
            Backoff::Exponential => "exponential",
        };
        json!({
            "minDelayTarget": self.min_delay_target,
            "maxDelayTarget": self.max_delay_target,
            "numRetries": self.num_retries,
            "numMaxDelayRetries": self.num_max_delay_retries,
            "numNoDelayRetries": self.num_no_delay_retries,
            "numMinDelayRetries": self.num_min_delay_retries,
            "backoffFunction": function,
        })
    }

    /// The pause before each retry: at once, then the shortest, then between, then the longest. How the four functions go from the
    /// shortest to the longest pause is not published; these have the shapes of the guide's figure.
    fn pauses(&self) -> Vec<i64> {
        let between = self.num_retries.saturating_sub(self.outside());
        let (min, max) = (f64::from(self.min_delay_target), f64::from(self.max_delay_target));
        let last = f64::from(between.saturating_sub(1).max(1));
        let at = |index: u32| {
            let i = f64::from(index);
            match self.backoff_function {
                Backoff::Linear => min + (max - min) * i / last,
                Backoff::Arithmetic => min + (max - min) * i * (i + 1.0) / (last * (last + 1.0)),
                Backoff::Geometric => min * (max / min).powf(i / last),
                Backoff::Exponential => min + (max - min) * (i.exp2() - 1.0) / (last.exp2() - 1.0),
            }
        };
        let repeated = |pause: f64, count: u32| std::iter::repeat_n(pause, usize::try_from(count).unwrap_or_default());
        let seconds = repeated(0.0, self.num_no_delay_retries)
            .chain(repeated(min, self.num_min_delay_retries))
            .chain((0..between).map(at))
            .chain(repeated(max, self.num_max_delay_retries));
        #[expect(clippy::cast_possible_truncation, reason = "pauses are at most an hour")]
        seconds.map(|seconds| (seconds * 1000.0).round() as i64).collect()
    }

    fn outside(&self) -> u32 {
        [self.num_no_delay_retries, self.num_min_delay_retries, self.num_max_delay_retries]
            .into_iter()
            .fold(0, u32::saturating_add)
    }

    fn check(&self) -> Result<(), String> {
        if self.min_delay_target < 1 || self.min_delay_target > self.max_delay_target {
            return Err("minDelayTarget must be greater than 0 and at most maxDelayTarget".to_owned());
        }
        if self.max_delay_target > 3600 {
            return Err("maxDelayTarget must be less than or equal to 3600".to_owned());
        }
        if self.num_retries > MAX_RETRIES {
            return Err(format!("numHealthy must be less than or equal to {MAX_RETRIES}"));
        }
        if self.outside() > self.num_retries {
            return Err("numNoDelayRetries, numMinDelayHealthy and numMaxDelayHealthy must not be more than numHealthy together".to_owned());
        }
        #[expect(clippy::cast_precision_loss, reason = "at most a hundred pauses of an hour")]
        let total = self.pauses().iter().sum::<i64>() as f64 / 1000.0;
        if total > LONGEST_SECONDS {
            return Err("total retry time must be less than or equal to 3600 seconds".to_owned());
        }
        Ok(())
    }
}

fn parsed(text: Option<&String>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Checks what a topic's attribute is set to.
pub(super) fn check_of_topic(text: &str) -> Result<(), Error> {
    let policy = object(text)?;
    for (name, http) in &policy {
        if name != "http" {
            return Err(wrong(format!("{name}: Unknown member of the policy")));
        }
        let http = http.as_object().ok_or_else(|| wrong("http must be an object"))?;
        for (name, value) in http {
            if name == "disableSubscriptionOverrides" && value.is_boolean() {
                continue;
            }
            let plain = name
                .strip_prefix("default")
                .and_then(|rest| Some(rest.get(..1)?.to_ascii_lowercase() + rest.get(1..)?));
            check_part(plain.as_deref().unwrap_or_default(), value, &format!("http.{name}"))?;
        }
    }
    Ok(())
}

/// Checks what a subscription's attribute is set to.
pub(super) fn check_of_subscription(text: &str) -> Result<(), Error> {
    object(text)?.iter().try_for_each(|(name, value)| check_part(name, value, name))
}

fn object(text: &str) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(text).map_err(|_| wrong("failed to parse JSON"))
}

fn wrong(what: impl std::fmt::Display) -> Error {
    invalid(format!("DeliveryPolicy: {what}"))
}

fn check_part(kind: &str, value: &Value, name: &str) -> Result<(), Error> {
    match kind {
        "healthyRetryPolicy" | "throttlePolicy" | "requestPolicy" | "sicklyRetryPolicy" if value.is_null() => Ok(()),
        "healthyRetryPolicy" => {
            let retries: Healthy =
                serde_json::from_value(value.clone()).map_err(|error| wrong(format!("{name}: {error}")))?;
            retries.check().map_err(|error| wrong(format!("{name}.{error}")))
        }
        "throttlePolicy" => {
            match value["maxReceivesPerSecond"].as_u64().filter(|_| only(value, "maxReceivesPerSecond")) {
                Some(1..=4_294_967_295) => Ok(()),
                _ if value["maxReceivesPerSecond"].is_null() && only(value, "maxReceivesPerSecond") => Ok(()),
                _ => Err(wrong(format!("{name}.maxReceivesPerSecond must be greater than or equal to 1"))),
            }
        }
        "requestPolicy" => {
            let given =
                value["headerContentType"].as_str().filter(|_| only(value, "headerContentType")).unwrap_or_default();
            let plain = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let charset =
                given.split_once(';').is_none_or(|(_, rest)| rest.trim().eq_ignore_ascii_case("charset=utf-8"));
            if TYPES.contains(&plain.as_str()) && charset {
                return Ok(());
            }
            Err(wrong(format!("{name}.headerContentType: Unsupported content type: {given}")))
        }
        // SNS tells it, and takes it back as it told it.
        "guaranteed" if value == &Value::Bool(false) => Ok(()),
        _ => Err(wrong(format!("{name}: Unknown member of the policy"))),
    }
}

fn only(value: &Value, name: &str) -> bool {
    value.as_object().is_some_and(|object| object.keys().all(|key| key == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_go_through_four_phases() {
        let check = |policy: Value, expected: &[i64]| {
            let retries: Healthy = serde_json::from_value(policy.clone()).unwrap();
            retries.check().unwrap();
            assert_eq!(retries.pauses(), expected, "{policy}");
        };
        check(json!({}), &[20_000, 20_000, 20_000]);
        let phases = json!({"minDelayTarget": 1, "maxDelayTarget": 9, "numRetries": 8, "numNoDelayRetries": 1,
            "numMinDelayRetries": 2, "numMaxDelayRetries": 2});
        check(phases, &[0, 1000, 1000, 1000, 5000, 9000, 9000, 9000]);
        let growing = |function: &str| json!({"minDelayTarget": 1, "maxDelayTarget": 16, "numRetries": 5, "backoffFunction": function});
        check(growing("arithmetic"), &[1000, 2500, 5500, 10000, 16000]);
        check(growing("geometric"), &[1000, 2000, 4000, 8000, 16000]);
        check(growing("exponential"), &[1000, 2000, 4000, 8000, 16000]);
        check(json!({"numRetries": 0}), &[]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for (wrong, says) in [
            (r"[", "failed to parse JSON"),
            (r#"{"healthyRetryPolicy":{"minDelayTarget":30}}"#, "minDelayTarget must be"),
            (r#"{"healthyRetryPolicy":{"maxDelayTarget":3601}}"#, "maxDelayTarget must be"),
            (r#"{"healthyRetryPolicy":{"numRetries":101}}"#, "numHealthy must be"),
            (r#"{"healthyRetryPolicy":{"numRetries":2,"numNoDelayRetries":3}}"#, "more than numHealthy together"),
            (
                r#"{"healthyRetryPolicy":{"maxDelayTarget":3600,"minDelayTarget":3600,"numRetries":2}}"#,
                "total retry time",
            ),
            (r#"{"healthyRetryPolicy":{"backoffFunction":"cubic"}}"#, "unknown variant"),
            (r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#, "greater than or equal to 1"),
            (r#"{"requestPolicy":{"headerContentType":"image/png"}}"#, "Unsupported content type"),
            (r#"{"http":{}}"#, "Unknown member"),
        ] {
            let error = check_of_subscription(wrong).unwrap_err();
            assert!(
                error.message().starts_with("Invalid parameter: DeliveryPolicy: ") && error.message().contains(says),
                "{error}"
            );
        }
        check_of_topic(
            r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":5},"disableSubscriptionOverrides":true}}"#,
        )
        .unwrap();
        assert!(check_of_topic(r#"{"http":{"healthyRetryPolicy":{}}}"#).is_err());
    }
}
