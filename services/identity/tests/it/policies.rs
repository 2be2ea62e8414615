//! Policies of least privilege as people write them for pipelines, `policies.json`: each allows the calls that it is for, and denies the
//! near misses. After the examples of AWS's guides: IAM User Guide, "Example IAM identity-based policies", and the services' own pages.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use service::{Cx, Handle, Origin};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::Error;

use crate::{ACCOUNT, REGION, World, operation, router};

/// Answers what the platform asks of other services: a table's schema, tags, a query's workgroup, a secret's ARN.
struct Others;

#[async_trait]
impl Handle<api_dynamodb::DescribeTable> for Others {
    async fn handle(
        &self,
        _: &Cx,
        _: api_dynamodb::DescribeTableInput,
    ) -> Result<api_dynamodb::DescribeTableOutput, Error> {
        let key = |name: &str, kind: &str| api_dynamodb::KeySchemaElement {
            attribute_name: name.to_owned(),
            key_type: kind.to_owned(),
        };
        let table = api_dynamodb::TableDescription {
            key_schema: Some(vec![key("sk", "RANGE"), key("pk", "HASH")]),
            ..Default::default()
        };
        Ok(api_dynamodb::DescribeTableOutput { table: Some(table) })
    }
}

#[async_trait]
impl Handle<api_states::ListTagsForResource> for Others {
    async fn handle(
        &self,
        _: &Cx,
        req: api_states::ListTagsForResourceInput,
    ) -> Result<api_states::ListTagsForResourceOutput, Error> {
        let value = req.resource_arn.rsplit_once(":tagged-").map(|(_, team)| team.to_owned());
        let tags = value.map(|value| api_states::Tag { key: Some("team".to_owned()), value: Some(value) });
        Ok(api_states::ListTagsForResourceOutput { tags: Some(tags.into_iter().collect()) })
    }
}

#[async_trait]
impl Handle<api_athena::GetQueryExecution> for Others {
    async fn handle(
        &self,
        _: &Cx,
        req: api_athena::GetQueryExecutionInput,
    ) -> Result<api_athena::GetQueryExecutionOutput, Error> {
        let work_group = req.query_execution_id.strip_prefix("of-").map(str::to_owned);
        let found = api_athena::QueryExecution { work_group, ..Default::default() };
        Ok(api_athena::GetQueryExecutionOutput { query_execution: Some(found) })
    }
}

#[async_trait]
impl Handle<api_secretsmanager::DescribeSecret> for Others {
    async fn handle(
        &self,
        cx: &Cx,
        req: api_secretsmanager::DescribeSecretRequest,
    ) -> Result<api_secretsmanager::DescribeSecretResponse, Error> {
        let name = req.secret_id.rsplit(':').next().unwrap_or_default();
        let arn = match name {
            "db" | "db-AbCdEf" => cx.arn("secretsmanager", "secret:db-AbCdEf"),
            _ => return Err(api_secretsmanager::error::resource_not_found_exception("no such secret")),
        };
        Ok(api_secretsmanager::DescribeSecretResponse { arn: Some(arn), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api_ssm::ListTagsForResource> for Others {
    async fn handle(
        &self,
        _: &Cx,
        req: api_ssm::ListTagsForResourceRequest,
    ) -> Result<api_ssm::ListTagsForResourceResult, Error> {
        if !["/db-password", "token", "/db/password", "plain"].contains(&req.resource_id.as_str()) {
            return Err(api_ssm::error::invalid_resource_id("no such parameter"));
        }
        let value = if req.resource_id == "plain" { "open" } else { "secret" };
        let tag = api_ssm::Tag { key: "class".to_owned(), value: value.to_owned() };
        Ok(api_ssm::ListTagsForResourceResult { tag_list: Some(vec![tag]) })
    }
}

#[derive(Deserialize)]
struct Case {
    name: String,
    statement: Value,
    tags: BTreeMap<String, String>,
    allows: Vec<Value>,
    denies: Vec<Value>,
}

/// A call of `[service, operation, input]`, perhaps with `@region` or `@address` before.
async fn admit(world: &World, cx: &Cx, call: &Value) -> Result<(), Error> {
    let mut parts = call.as_array().unwrap().clone();
    let mut cx = cx.clone();
    if let Some(place) = parts[0].as_str().unwrap().strip_prefix('@') {
        cx = match place.parse() {
            Ok(address) => cx.with_origin(Origin::new(Some(address), None, None)),
            Err(_) => cx.with_region(place),
        };
        parts.remove(0);
    }
    let spec = operation(parts[0].as_str().unwrap(), parts[1].as_str().unwrap());
    router(world).admit(&cx, spec, &parts[2]).await.map(drop)
}

#[tokio::test]
async fn least_privilege() {
    let world = World::new();
    let others = Arc::new(Others);
    let router = world.cx.router();
    router.register::<api_dynamodb::DescribeTable, _>(&others);
    router.register::<api_states::ListTagsForResource, _>(&others);
    router.register::<api_athena::GetQueryExecution, _>(&others);
    router.register::<api_ssm::ListTagsForResource, _>(&others);
    router.register::<api_secretsmanager::DescribeSecret, _>(&others);
    let cases: Vec<Case> = serde_json::from_str(include_str!("policies.json")).unwrap();
    assert!(cases.len() >= 58);
    let mut wrong = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let policy = json!({"Version": "2012-10-17", "Statement": case.statement});
        let tags: Vec<(&str, &str)> = case.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let role = world.role(&format!("r{n}"), &[policy], &tags).await;
        for call in &case.allows {
            if let Err(error) = admit(&world, &role, call).await {
                wrong.push(format!("{}: {call}: {}", case.name, error.message()));
            }
        }
        for call in &case.denies {
            match admit(&world, &role, call).await {
                Ok(()) => wrong.push(format!("{}: {call} is allowed", case.name)),
                Err(error) => {
                    assert_eq!(error.code(), "AccessDeniedException", "{}: {call}", case.name);
                    let user = format!(
                        "User: arn:aws:sts::{ACCOUNT}:assumed-role/r{n}/session is not authorized to perform: "
                    );
                    assert!(error.message().starts_with(&user), "{REGION} {}", error.message());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
