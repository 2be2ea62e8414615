//! How callers name what is authorised, where a name may be written in several ways: read once, here, for the question and for who answers
//! the call, so that both mean the same thing.

/// A function as a request names it: `name`, `name:qualifier`, `function:name`, `account:function:name` or an ARN.
/// Source: Lambda API reference, `Invoke`, "FunctionName".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionName<'a> {
    pub region: Option<&'a str>,
    pub account: Option<&'a str>,
    pub name: &'a str,
    pub qualifier: Option<&'a str>,
}

impl<'a> FunctionName<'a> {
    pub fn parse(text: &'a str) -> Self {
        let (before, rest) = match text.split_once("function:") {
            Some((before, rest)) if before.is_empty() || before.ends_with(':') => (before, rest),
            // A name may end with the word, too: `etl-function:live`.
            _ => ("", text),
        };
        let parts: Vec<&str> = before.trim_end_matches(':').split(':').collect();
        let (region, account) = match parts.as_slice() {
            ["arn", _, _, region, account] | [region, account] => (Some(*region), Some(*account)),
            [account] => (None, Some(*account)),
            _ => (None, None),
        };
        let (name, qualifier) = rest.split_once(':').map_or((rest, None), |(name, qualifier)| (name, Some(qualifier)));
        let given = |part: &&str| !part.is_empty();
        Self { region: region.filter(given), account: account.filter(given), name, qualifier }
    }
}

/// A queue as a request names it: by a URL, whose last two parts are account and name, or by the bare name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueName<'a> {
    pub account: Option<&'a str>,
    pub name: &'a str,
}

impl<'a> QueueName<'a> {
    pub fn parse(url: &'a str) -> Self {
        let mut parts = url.trim_end_matches('/').rsplit('/');
        let name = parts.next().unwrap_or_default();
        Self { account: parts.next().filter(|part| wire::arn::is_account_id(part)), name }
    }
}

/// A bus as a request names it, by its name or its ARN: in an ARN of a bus all that follows `event-bus/` is the name.
pub fn bus_name(bus: &str) -> &str {
    let of_events = wire::arn::ArnRef::parse(bus).filter(|arn| arn.service == "events");
    of_events.and_then(|arn| arn.resource.strip_prefix("event-bus/")).unwrap_or(bus)
}

#[cfg(test)]
mod tests {
    use super::{FunctionName, QueueName, bus_name};

    #[test]
    fn a_queue_is_the_end_of_its_url() {
        let check = |url, account, name| assert_eq!(QueueName::parse(url), QueueName { account, name }, "{url}");
        check("q", None, "q");
        check("http://127.0.0.1:4566/111111111111/q/", Some("111111111111"), "q");
        check("https://sqs.us-east-1.amazonaws.com/queue/q", None, "q");
        check("x/111111111111/q", Some("111111111111"), "q");
    }

    #[test]
    fn a_bus_is_all_that_its_arn_names() {
        let arn = |rest: &str| format!("arn:aws:events:us-east-1:111111111111:{rest}");
        for (bus, name) in [
            ("b".to_owned(), "b"),
            (arn("event-bus/b"), "b"),
            (arn("event-bus/a/b"), "a/b"),
            (arn("event-bus/a:b"), "a:b"),
            ("a/default".to_owned(), "a/default"),
        ] {
            assert_eq!(bus_name(&bus), name, "{bus}");
        }
        assert_eq!(bus_name(&arn("rule/b")), arn("rule/b"));
    }

    #[test]
    fn a_function_has_many_names() {
        let check = |text, region, account, name, qualifier| {
            assert_eq!(FunctionName::parse(text), FunctionName { region, account, name, qualifier }, "{text}");
        };
        check("etl", None, None, "etl", None);
        check("etl:live", None, None, "etl", Some("live"));
        check("etl-function:live", None, None, "etl-function", Some("live"));
        check("function:etl:live", None, None, "etl", Some("live"));
        check("111111111111:function:etl-function:1", None, Some("111111111111"), "etl-function", Some("1"));
        let arn = "arn:aws:lambda:eu-west-1:111111111111:function:my-function:live";
        check(arn, Some("eu-west-1"), Some("111111111111"), "my-function", Some("live"));
        check(&arn[..arn.len() - 5], Some("eu-west-1"), Some("111111111111"), "my-function", None);
    }
}
