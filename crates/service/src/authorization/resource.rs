//! From an operation's input to the ARNs that it acts on: the templates of models/authorization.toml, filled in.

use serde_json::Value;
use wire::Error;
use wire::arn::Arn;

use super::lookup;
use super::names::{FunctionName, QueueName, bus_name};
use crate::{Cx, Principal};

/// What one member contributed to a template.
enum Part {
    Text(String),
    /// It takes the place of all that was built before.
    Arn(String),
    /// The same, and of all that would follow.
    Whole(String),
}

/// The ARNs that a template names for an input: `*` where it names a member that is not set, or the elements of a list that is empty or
/// not given; none where no element of a list has what it names.
pub(super) async fn resources(template: &str, cx: &Cx, input: &Value) -> Result<Vec<String>, Error> {
    for alternative in template.split(" ; ") {
        let found = match root(alternative) {
            Some((list, keys)) => {
                let items = items(input, list, keys);
                if items.is_empty() {
                    continue;
                }
                let mut found = Vec::new();
                for item in items {
                    if let Some(arn) = fill(alternative, cx, input, Some((list, &item))).await?
                        && !found.contains(&arn)
                    {
                        found.push(arn);
                    }
                }
                return Ok(found);
            }
            None => fill(alternative, cx, input, None).await?,
        };
        if let Some(arn) = found {
            return Ok(vec![arn]);
        }
    }
    Ok(vec!["*".to_owned()])
}

/// The list or map over which a template goes: its path, and whether its keys are meant.
fn root(template: &str) -> Option<(&str, bool)> {
    template.split('{').skip(1).find_map(|part| {
        let member = part.split('}').next()?.split(['|', ':']).next()?;
        match member.split_once("[]") {
            Some((list, _)) => Some((list, false)),
            None => member.strip_suffix("@keys").map(|map| (map, true)),
        }
    })
}

fn items(input: &Value, list: &str, keys: bool) -> Vec<Value> {
    match super::context::at(input, list) {
        Some(Value::Array(all)) if !keys => all.clone(),
        Some(Value::Object(all)) if keys => all.keys().cloned().map(Value::String).collect(),
        _ => Vec::new(),
    }
}

/// A template with its members in place; `None` where one is not set.
async fn fill(template: &str, cx: &Cx, input: &Value, item: Option<(&str, &Value)>) -> Result<Option<String>, Error> {
    let (mut out, mut rest, mut filled) = (String::new(), template, false);
    while let Some(at) = rest.find(['{', '[']) {
        // A list's brackets stand within braces only: this one opens what may be left out.
        if rest[at..].starts_with('[') {
            let end = closing(&rest[at..]).map_or(rest.len(), |end| at + end);
            out.push_str(&rest[..at]);
            let (inner, after) = (&rest[at + 1..end], rest.get(end + 1..).unwrap_or_default());
            if let Some(text) = Box::pin(fill(inner, cx, input, item)).await? {
                out.push_str(&text);
            }
            rest = after;
            continue;
        }
        let Some(end) = rest[at..].find('}') else { break };
        out.push_str(&rest[..at]);
        let (name, after) = (&rest[at + 1..at + end], &rest[at + end + 1..]);
        match name {
            "region" => out.push_str(cx.region()),
            "account" => out.push_str(cx.account()),
            name => {
                let bare = out.ends_with(':') && after.is_empty();
                match member(name, cx, input, item, (!filled).then_some((out.as_str(), bare))).await? {
                    None => return Ok(None),
                    Some(Part::Whole(arn)) => return known_partition(arn).map(Some),
                    Some(Part::Arn(arn)) => out = known_partition(arn)?,
                    Some(Part::Text(text)) => out.push_str(&text),
                }
                filled = true;
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Some(out))
}

/// Fails for an ARN of another partition than there is: whoever answers the call looks at the rest of it alone, and would act on what
/// policies know by another ARN.
fn known_partition(arn: String) -> Result<String, Error> {
    if arn.starts_with("arn:") && !arn.starts_with("arn:aws:") {
        return Err(Error::validation(format!("Invalid ARN: {arn} is not of the partition aws")));
    }
    Ok(arn)
}

/// Where the bracket that a text begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut braces = 0;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => braces += 1,
            '}' => braces -= 1,
            ']' if braces == 0 => return Some(at),
            _ => {}
        }
        None
    })
}

/// A member's part. `before`: what stands before it, while an ARN may still take its place, and whether that is the prefix alone.
async fn member(
    name: &str,
    cx: &Cx,
    input: &Value,
    item: Option<(&str, &Value)>,
    before: Option<(&str, bool)>,
) -> Result<Option<Part>, Error> {
    if name == "self" {
        return Ok(match cx.principal() {
            Principal::User { user_arn, .. } => Some(Part::Arn(user_arn.clone())),
            _ => None,
        });
    }
    let (path, how) = name.split_once('|').map_or((name, ""), |(path, how)| (path, how));
    let (path, default) = path.split_once(':').map_or((path, None), |(path, default)| (path, Some(default)));
    let found = match item {
        Some((list, item))
            if path.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '@'])) =>
        {
            let inner = path[list.len()..].trim_start_matches("[]").trim_start_matches("@keys").trim_start_matches('.');
            if inner.is_empty() { text(item) } else { super::context::at(item, inner).and_then(text) }
        }
        _ => super::context::at(input, path).and_then(text),
    };
    let found = found.filter(|value| !value.is_empty()).or_else(|| default.map(str::to_owned));
    let Some(value) = found else { return Ok(None) };
    let value = value.as_str();
    if let Some(part) = lookup::find(how, cx, value).await? {
        return Ok(Some(if part.starts_with("arn:") { Part::Whole(part) } else { Part::Text(part) }));
    }
    Ok(match how {
        "bus" => {
            let bus = bus_name(value);
            (bus != "default").then(|| Part::Text(bus.to_owned()))
        }
        // What its service knows by any case. No ARN stands for it.
        "lower" => Some(Part::Text(value.to_lowercase())),
        "function" | "function-itself" => Some(function(how, cx, input, value)),
        // A queue's URL names the account that has it.
        "url" => {
            let QueueName { account, name } = QueueName::parse(value);
            Some(match account {
                Some(owner) => Part::Whole(format!("arn:aws:sqs:{}:{owner}:{name}", cx.region())),
                None => Part::Text(name.to_owned()),
            })
        }
        "without-scheme" => {
            Some(Part::Text(value.split_once("://").map_or(value, |(_, rest)| rest).trim_end_matches('/').to_owned()))
        }
        // The iterator of a stream's shard begins with the stream's ARN.
        "iterator" => Some(Part::Arn(value.split('|').next().unwrap_or(value).to_owned())),
        "machine" => Some(Part::Arn(machine(value))),
        "parameter" => Some(parameter(value)),
        // By its ARN, with or without the end that stands for its streams, it may be another region's or account's.
        "log-group" => {
            let group = value.trim_end_matches(":*").to_owned();
            Some(if Arn::parse(&group).is_some_and(|arn| arn.service == "logs") {
                Part::Arn(group)
            } else {
                Part::Text(group)
            })
        }
        _ => Some(match before {
            Some((before, bare)) if takes_place(value, before, bare) => {
                if how == "whole" {
                    Part::Whole(value.to_owned())
                } else {
                    Part::Arn(value.to_owned())
                }
            }
            _ => Part::Text(value.to_owned()),
        }),
    })
}

/// A name, or a number such as a version's.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a value is an ARN that stands for the resource: of the template's service, or of any where the template is nothing else.
fn takes_place(value: &str, before: &str, bare: bool) -> bool {
    let service = |arn: &str| arn.split(':').nth(2).map(str::to_owned);
    value.starts_with("arn:") && (bare || service(value) == service(before))
}

/// A function as whoever answers the call reads it. What acts on the function itself (`function-itself`) passes over a qualifier; another
/// member's stands for the name's own.
fn function(how: &str, cx: &Cx, input: &Value, value: &str) -> Part {
    let FunctionName { region, account, name, qualifier } = FunctionName::parse(value);
    let another = input.get("Qualifier").and_then(Value::as_str).is_some_and(|qualifier| !qualifier.is_empty());
    let name = match qualifier.filter(|_| how == "function" && !another) {
        Some(qualifier) => format!("{name}:{qualifier}"),
        None => name.to_owned(),
    };
    if region.is_none() && account.is_none() {
        return Part::Text(name);
    }
    let (region, account) = (region.unwrap_or_else(|| cx.region()), account.unwrap_or_else(|| cx.account()));
    Part::Arn(format!("arn:aws:lambda:{region}:{account}:function:{name}"))
}

/// Versions and aliases are authorised as their state machine. Source: Step Functions Developer Guide, "Authorization for versions and
/// aliases".
fn machine(arn: &str) -> String {
    arn.splitn(8, ':').take(7).collect::<Vec<_>>().join(":")
}

/// A parameter's name or ARN, with or without its slash and a selector of version or label.
fn parameter(value: &str) -> Part {
    if let Some(arn) = Arn::parse(value).filter(|arn| arn.service == "ssm") {
        let name = arn.resource.split(':').next().unwrap_or_default();
        return Part::Arn(format!("arn:aws:ssm:{}:{}:{name}", arn.region, arn.account));
    }
    let name = value.split(':').next().unwrap_or_default();
    Part::Text(name.strip_prefix('/').unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Router;

    #[tokio::test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    async fn templates() {
        let cx = Cx::new(Router::new(), Principal::root("1"), "1", "r");
        let t = |rest: &str| format!("arn:aws:dynamodb:{{region}}:{{account}}:{rest}");
        let arn = |rest: &str| format!("arn:aws:dynamodb:r:1:{rest}");
        let table = t("table/{TableName}[/index/{IndexName}]");
        let cases = [
            (table.clone(), json!({"TableName": "t"}), vec![arn("table/t")]),
            (table.clone(), json!({"TableName": "t", "IndexName": "i"}), vec![arn("table/t/index/i")]),
            (
                table.clone(),
                json!({"TableName": "arn:aws:dynamodb:x:2:table/t", "IndexName": "i"}),
                vec!["arn:aws:dynamodb:x:2:table/t/index/i".to_owned()],
            ),
            (table.clone(), json!({"TableName": "arn:aws:s3:::b"}), vec![arn("table/arn:aws:s3:::b")]),
            (table, json!({}), vec!["*".to_owned()]),
            (t("table/{Items@keys}"), json!({"Items": {"a": 1, "b": 2}}), vec![arn("table/a"), arn("table/b")]),
            (
                t("table/{Do[].Put.TableName}"),
                json!({"Do": [{"Put": {"TableName": "a"}}, {"Get": {}}, {"Put": {"TableName": "a"}}]}),
                vec![arn("table/a")],
            ),
            (t("table/{Do[].Put.TableName}"), json!({"Do": [{"Get": {}}]}), vec![]),
            (t("table/{Do[].Put.TableName}"), json!({"Do": []}), vec!["*".to_owned()]),
            (
                t("a/{A} ; b/{B[]} ; c/{C[]}").replace(" ; ", &format!(" ; {}", t(""))),
                json!({"C": ["x"]}),
                vec![arn("c/x")],
            ),
            (t("a/{A[]}"), json!({}), vec!["*".to_owned()]),
            (
                t("bus/{Entries[].Bus:default}"),
                json!({"Entries": [{}, {"Bus": "b"}]}),
                vec![arn("bus/default"), arn("bus/b")],
            ),
            (t("job/{Names[]}"), json!({"Names": ["a", "b"]}), vec![arn("job/a"), arn("job/b")]),
            (t("rule/[{Bus|bus}/]{Name}"), json!({"Bus": "default", "Name": "n"}), vec![arn("rule/n")]),
            (t("rule/[{Bus|bus}/]{Name}"), json!({"Bus": "b", "Name": "n"}), vec![arn("rule/b/n")]),
            (t("rule/[{Bus|bus}/]{Name}"), json!({"Bus": "a/default", "Name": "n"}), vec![arn("rule/a/default/n")]),
            (
                t("rule/[{Bus|bus}/]{Name}"),
                json!({"Bus": "arn:aws:events:r:1:event-bus/a/b", "Name": "n"}),
                vec![arn("rule/a/b/n")],
            ),
            (t("{A} ; *"), json!({}), vec!["*".to_owned()]),
            (t("{A}"), json!({"A": "arn:aws:iam::1:role/r"}), vec!["arn:aws:iam::1:role/r".to_owned()]),
            (t("stack/{A|whole}/*"), json!({"A": "s"}), vec![arn("stack/s/*")]),
            (t("stack/{A|whole}/*"), json!({"A": "arn:aws:dynamodb:r:1:stack/s/9"}), vec![arn("stack/s/9")]),
            (
                t("{D:*|lower}/{A[]|lower}"),
                json!({"D": "SECRET", "A": ["Ä", "a", "Arn:aws:dynamodb:x:2:table/t"]}),
                vec![arn("secret/ä"), arn("secret/a"), arn("secret/arn:aws:dynamodb:x:2:table/t")],
            ),
            (t("{D:*|lower}/*"), json!({}), vec![arn("*/*")]),
            (t("parameter/{A|parameter}"), json!({"A": "/a/b:3"}), vec![arn("parameter/a/b")]),
            (t("f:{A|function}[:{Q}]"), json!({"A": "n", "Q": "p"}), vec![arn("f:n:p")]),
            (t("f:{A|function}[:{Q}]"), json!({"A": "etl-function:p"}), vec![arn("f:etl-function:p")]),
            (t("f:{A|function}[:{Qualifier}]"), json!({"A": "n:p", "Qualifier": "p"}), vec![arn("f:n:p")]),
            (t("f:{A|function-itself}"), json!({"A": "n:p"}), vec![arn("f:n")]),
            (
                t("f:{A|function}[:{Qualifier}]"),
                json!({"A": "1:function:n:p", "Qualifier": "p"}),
                vec!["arn:aws:lambda:r:1:function:n:p".to_owned()],
            ),
            (
                t("{A|machine}"),
                json!({"A": "arn:aws:states:r:1:stateMachine:m:p"}),
                vec!["arn:aws:states:r:1:stateMachine:m".to_owned()],
            ),
            (
                t("g:{A|log-group}:log-stream:"),
                json!({"A": "arn:aws:logs:r:1:log-group:/a/b:*"}),
                vec!["arn:aws:logs:r:1:log-group:/a/b:log-stream:".to_owned()],
            ),
            (
                "arn:aws:s3:::{Bucket}/{Key}".to_owned(),
                json!({"Bucket": "b", "Key": "arn:aws:s3:::other/k"}),
                vec!["arn:aws:s3:::b/arn:aws:s3:::other/k".to_owned()],
            ),
        ];
        for (template, input, expected) in cases {
            assert_eq!(resources(&template, &cx, &input).await.unwrap(), expected, "{template} {input}");
        }
    }

    #[tokio::test]
    async fn a_queue_is_the_end_of_its_url_whatever_stands_before() {
        let cx = Cx::new(Router::new(), Principal::root("1"), "1", "r");
        let template = "arn:aws:sqs:{region}:{account}:{A|url}";
        for (url, arn) in [("q", "arn:aws:sqs:r:1:q"), ("x/111111111111/q", "arn:aws:sqs:r:111111111111:q")] {
            assert_eq!(resources(template, &cx, &json!({ "A": url })).await.unwrap(), [arn]);
        }
    }

    #[tokio::test]
    async fn other_partitions_are_refused() {
        let cx = Cx::new(Router::new(), Principal::root("1"), "1", "r");
        let input = json!({"A": "arn:aws-x:dynamodb:r:1:table/t"});
        for template in ["table/{A}", "{A}", "{A|machine}", "{A|whole}/*"] {
            let template = format!("arn:aws:dynamodb:{{region}}:{{account}}:{template}");
            let refused = resources(&template, &cx, &input).await.unwrap_err();
            assert_eq!(refused.code(), "ValidationException", "{template}");
        }
    }
}
