//! Each operation that there is, under a policy that allows exactly what it needs, and under one that misses by a little.

use serde_json::{Map, Value, json};

use crate::{ACCOUNT, REGION, World, all_operations, allow, router};

/// An input in which the members of a template are set, and the ARN that is meant by it, made by other means than the platform's.
fn sample(template: &str, input: &mut Value) -> String {
    let template = template.split(" ; ").next().unwrap();
    let mut arn = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap();
        arn.push_str(&before.replace(['[', ']'], ""));
        let member = name.split(['|', ':']).next().unwrap();
        match member {
            "region" => arn.push_str(REGION),
            "account" => arn.push_str(ACCOUNT),
            "self" => return "*".to_owned(),
            member => {
                let value = match name {
                    "Path:/" => "/team/",
                    _ if arn.ends_with("000:") && after.is_empty() && !named(member) => {
                        "arn:aws:x:us-east-1:000000000000:thing/sample"
                    }
                    _ => "sample",
                };
                set(input, member, value);
                if value.starts_with("arn:") {
                    arn.clear();
                }
                arn.push_str(value);
            }
        }
        rest = after;
    }
    arn + &rest.replace(']', "")
}

/// Members that hold names where others hold ARNs.
fn named(member: &str) -> bool {
    ["QueueUrl", "QueueName", "Name"].contains(&member)
}

fn set(input: &mut Value, path: &str, value: &str) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if let Some(map) = first.strip_suffix("@keys") {
        input[map] = json!({ value: {} });
    } else if let Some(list) = first.strip_suffix("[]") {
        if input.get(list).is_none_or(Value::is_null) {
            input[list] = json!([if rest.is_empty() { json!(value) } else { json!({}) }]);
        }
        if !rest.is_empty() {
            set(&mut input[list][0], rest, value);
        }
    } else if rest.is_empty() {
        input[first] = json!(value);
    } else {
        if input.get(first).is_none_or(Value::is_null) {
            input[first] = json!({});
        }
        set(&mut input[first], rest, value);
    }
}

#[tokio::test]
async fn exact_resources_pass_and_near_misses_do_not() {
    let world = World::new();
    let mut asked = 0;
    for spec in all_operations() {
        let mut input = Value::Object(Map::new());
        let mut needs = Vec::new();
        for need in spec.needs {
            if need.when.is_some_and(|(_, set)| set) {
                continue;
            }
            needs.push((need.action, sample(need.resource, &mut input)));
        }
        let name = format!("{}-{}", spec.service.name, spec.name);
        let statements: Vec<Value> =
            needs.iter().map(|(action, arn)| allow(action, arn)["Statement"].clone()).collect();
        if statements.is_empty() {
            let nobody = world.role(&name, &[], &[]).await;
            router(&world).admit(&nobody, spec, &input).await.unwrap();
            continue;
        }
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        let exact = world.role(&name, &[policy], &[]).await;
        let admitted = router(&world).admit(&exact, spec, &input).await;
        assert!(admitted.is_ok(), "{name} {input}: {}", admitted.unwrap_err().message());
        for (n, (action, arn)) in needs.iter().enumerate() {
            let mut near = statements.clone();
            // Two members may mean the same resource here.
            for (statement, _) in near.iter_mut().zip(&needs).filter(|(_, need)| **need == needs[n]) {
                statement["Resource"] =
                    json!(if arn == "*" { "arn:aws:s3:::other".to_owned() } else { format!("{arn}-other") });
            }
            let policy = json!({"Version": "2012-10-17", "Statement": near});
            let missing = world.role(&format!("{name}-{n}"), &[policy], &[]).await;
            let error = router(&world).admit(&missing, spec, &input).await.expect_err(&name);
            let user = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}-{n}/session");
            let expected = format!(
                "User: {user} is not authorized to perform: {action} on resource: {arn} because no identity-based policy allows the {action} action"
            );
            assert_eq!((error.code(), error.message()), ("AccessDeniedException", expected.as_str()), "{name} {input}");
            asked += 1;
        }
    }
    assert!(asked > 400, "{asked}");
}
