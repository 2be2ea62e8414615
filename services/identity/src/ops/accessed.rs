//! GenerateServiceLastAccessedDetails and what it has found, ListPoliciesGrantingServiceAccess: which services a user, group, role or
//! policy may use, by which policies, and when it did.

use std::collections::BTreeSet;

use api_iam::error::{invalid_input_exception, no_such_entity_exception};
use api_iam::{
    EntityDetails, EntityInfo, GenerateServiceLastAccessedDetails, GenerateServiceLastAccessedDetailsRequest,
    GenerateServiceLastAccessedDetailsResponse, GetServiceLastAccessedDetails, GetServiceLastAccessedDetailsRequest,
    GetServiceLastAccessedDetailsResponse, GetServiceLastAccessedDetailsWithEntities,
    GetServiceLastAccessedDetailsWithEntitiesRequest, GetServiceLastAccessedDetailsWithEntitiesResponse,
    ListPoliciesGrantingServiceAccess, ListPoliciesGrantingServiceAccessEntry,
    ListPoliciesGrantingServiceAccessRequest, ListPoliciesGrantingServiceAccessResponse, PolicyGrantingServiceAccess,
    RoleLastUsed, ServiceLastAccessed,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::policy::{glob, one_or_many, statements};
use service::{Cx, Handle};
use store::{Key, Tx};
use wire::{Error, Timestamp};

use super::account::Holders;
use super::page::page;
use crate::Identity;
use crate::accessed::{self, Access};
use crate::records::{GroupRecord, Holder, RoleRecord, UserRecord, document, policy};

/// How long a report is kept. Source: IAM API reference, GenerateServiceLastAccessedDetails.
const KEPT_MS: i64 = 7 * 86_400_000;

/// Services that may be used here, as policies and as people call them.
const SERVICES: [(&str, &str); 24] = [
    ("athena", "Amazon Athena"),
    ("cloudformation", "AWS CloudFormation"),
    ("cloudtrail", "AWS CloudTrail"),
    ("cloudwatch", "Amazon CloudWatch"),
    ("dynamodb", "Amazon DynamoDB"),
    ("ecr", "Amazon Elastic Container Registry"),
    ("events", "Amazon EventBridge"),
    ("glue", "AWS Glue"),
    ("iam", "AWS Identity and Access Management"),
    ("kms", "AWS Key Management Service"),
    ("lambda", "AWS Lambda"),
    ("logs", "Amazon CloudWatch Logs"),
    ("pipes", "Amazon EventBridge Pipes"),
    ("s3", "Amazon S3"),
    ("sagemaker", "Amazon SageMaker"),
    ("scheduler", "Amazon EventBridge Scheduler"),
    ("secretsmanager", "AWS Secrets Manager"),
    ("sns", "Amazon SNS"),
    ("sqs", "Amazon SQS"),
    ("ssm", "AWS Systems Manager"),
    ("states", "AWS Step Functions"),
    ("sts", "AWS Security Token Service"),
    ("ec2", "Amazon EC2"),
    ("xray", "AWS X-Ray"),
];

/// A report that was asked for: of what. What it says is read when it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    /// Version of the record's form.
    version: u32,
    id: String,
    arn: String,
    created_ms: i64,
}

fn jobs(account: &str) -> Key {
    Key::new("iamreport").push(account)
}

/// A policy that somebody has, and by what.
struct Has {
    name: String,
    /// Of managed ones.
    arn: Option<String>,
    /// `USER`, `ROLE` or `GROUP`, and its name.
    by: (&'static str, String),
    document: Value,
}

/// A user or role that uses services.
#[derive(Clone)]
struct Entity {
    arn: String,
    name: String,
    kind: &'static str,
    id: String,
    path: String,
}

/// What a report is of: its policies, and who acts by them.
struct Subject {
    policies: Vec<Has>,
    entities: Vec<Entity>,
}

fn of_user(record: &UserRecord) -> Entity {
    let user = &record.user;
    Entity {
        arn: user.arn.clone(),
        name: user.user_name.clone(),
        kind: "USER",
        id: user.user_id.clone(),
        path: user.path.clone(),
    }
}

fn of_role(record: &RoleRecord) -> Entity {
    let role = &record.role;
    Entity {
        arn: role.arn.clone(),
        name: role.role_name.clone(),
        kind: "ROLE",
        id: role.role_id.clone(),
        path: role.path.clone(),
    }
}

fn held<H: Holder>(tx: &mut Tx<'_>, account: &str, record: &mut H, kind: &'static str) -> Result<Vec<Has>, Error> {
    let by = (kind, record.name().to_owned());
    let mut all = Vec::new();
    for (name, text) in record.inline().iter() {
        let document = serde_json::from_str(text).unwrap_or_default();
        all.push(Has { name: name.clone(), arn: None, by: by.clone(), document });
    }
    for arn in record.attached().clone() {
        let document = document(tx, account, &arn)?.unwrap_or_default();
        let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
        all.push(Has { name, arn: Some(arn), by: by.clone(), document });
    }
    Ok(all)
}

impl Identity {
    async fn subject(&self, cx: &Cx, arn: &str) -> Result<Subject, Error> {
        let holders = self.holders(cx.account()).await?;
        let (account, arn) = (cx.account().to_owned(), arn.to_owned());
        self.store.read(move |tx| subject(tx, &account, &arn, &holders)).await
    }

    /// The uses by somebody of a service.
    async fn uses(&self, arn: &str) -> Result<Vec<Access>, Error> {
        Ok(self.store.read(|tx| accessed::of(tx, arn)).await?)
    }

    /// When a role was last used.
    pub(super) async fn last_used(&self, arn: &str) -> Result<RoleLastUsed, Error> {
        let last = self.uses(arn).await?.into_iter().max_by_key(|access| access.at_ms);
        Ok(RoleLastUsed {
            last_used_date: last.as_ref().map(|access| Timestamp::from_millis(access.at_ms)),
            region: last.map(|access| access.region).filter(|region| !region.is_empty()),
        })
    }

    async fn job(&self, cx: &Cx, id: &str) -> Result<Job, Error> {
        let key = jobs(cx.account()).push(id);
        let found = self.store.read(|tx| tx.get_json(&key)).await?;
        found.ok_or_else(|| no_such_entity_exception(format!("The job {id} cannot be found.")))
    }
}

fn subject(tx: &mut Tx<'_>, account: &str, arn: &str, holders: &Holders) -> Result<Subject, Error> {
    if let Some(user) = holders.users.iter().find(|user| user.user.arn == arn) {
        let mut policies = held(tx, account, &mut user.clone(), "USER")?;
        for group in holders.groups.iter().filter(|group| user.groups.contains(&group.group.group_name)) {
            policies.extend(held(tx, account, &mut group.clone(), "GROUP")?);
        }
        return Ok(Subject { policies, entities: vec![of_user(user)] });
    }
    if let Some(role) = holders.roles.iter().find(|role| role.role.arn == arn) {
        let policies = held(tx, account, &mut role.clone(), "ROLE")?;
        return Ok(Subject { policies, entities: vec![of_role(role)] });
    }
    if let Some(group) = holders.groups.iter().find(|group| group.group.arn == arn) {
        let policies = held(tx, account, &mut group.clone(), "GROUP")?;
        return Ok(Subject { policies, entities: members(holders, group) });
    }
    policy(tx, account, arn).map_err(|_| no_such_entity_exception(format!("ARN {arn} cannot be found.")))?;
    let document = document(tx, account, arn)?.unwrap_or_default();
    let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
    let has = |attached: &[String]| attached.iter().any(|one| one == arn);
    let mut entities: Vec<Entity> = holders.users.iter().filter(|user| has(&user.attached)).map(of_user).collect();
    entities.extend(holders.roles.iter().filter(|role| has(&role.attached)).map(of_role));
    for group in holders.groups.iter().filter(|group| has(&group.attached)) {
        entities.extend(members(holders, group));
    }
    let mut seen = BTreeSet::new();
    entities.retain(|one| seen.insert(one.arn.clone()));
    let policies = vec![Has { name: name.clone(), arn: Some(arn.to_owned()), by: ("POLICY", name), document }];
    Ok(Subject { policies, entities })
}

fn members(holders: &Holders, group: &GroupRecord) -> Vec<Entity> {
    holders.users.iter().filter(|user| user.groups.contains(&group.group.group_name)).map(of_user).collect()
}

/// Whether a policy allows anything of a service.
fn grants(document: &Value, service: &str) -> bool {
    statements(document).filter(|statement| statement["Effect"] == "Allow").any(|statement| {
        if statement.get("NotAction").is_some() {
            return true;
        }
        one_or_many(&statement["Action"]).filter_map(Value::as_str).any(|action| {
            let of = action.split_once(':').map_or(action, |(service, _)| service);
            glob(&of.to_ascii_lowercase(), service, false)
        })
    })
}

/// The services of policies: those of here, and what else they name.
fn granted(policies: &[Has]) -> Vec<String> {
    let mut named: BTreeSet<String> = SERVICES.iter().take(22).map(|(service, _)| (*service).to_owned()).collect();
    for policy in policies {
        for statement in statements(&policy.document) {
            let actions = one_or_many(&statement["Action"]).filter_map(Value::as_str);
            let services = actions.filter_map(|action| Some(action.split_once(':')?.0.to_ascii_lowercase()));
            named.extend(services.filter(|service| !service.contains(['*', '?'])));
        }
    }
    named.into_iter().filter(|service| policies.iter().any(|policy| grants(&policy.document, service))).collect()
}

#[async_trait]
impl Handle<GenerateServiceLastAccessedDetails> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: GenerateServiceLastAccessedDetailsRequest,
    ) -> Result<GenerateServiceLastAccessedDetailsResponse, Error> {
        if req.granularity.as_deref() == Some("ACTION_LEVEL") {
            return Err(invalid_input_exception(
                "The granularity ACTION_LEVEL is not supported here: uses of services are noted",
            ));
        }
        self.subject(cx, &req.arn).await?;
        let job = Job { version: 1, id: cx.uuid(), arn: req.arn, created_ms: cx.now().as_millisecond() };
        let account = cx.account().to_owned();
        let id = cx
            .write(&self.store, move |tx| {
                let all: Vec<Job> = tx.list_json(jobs(&account), usize::MAX)?;
                for old in all.iter().filter(|old| job.created_ms - old.created_ms > KEPT_MS) {
                    tx.delete(jobs(&account).push(&old.id))?;
                }
                tx.put_json(jobs(&account).push(&job.id), &job)?;
                Ok::<_, Error>(job.id.clone())
            })
            .await?;
        Ok(GenerateServiceLastAccessedDetailsResponse { job_id: Some(id) })
    }
}

#[async_trait]
impl Handle<GetServiceLastAccessedDetails> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetServiceLastAccessedDetailsRequest,
    ) -> Result<GetServiceLastAccessedDetailsResponse, Error> {
        let job = self.job(cx, &req.job_id).await?;
        let subject = self.subject(cx, &job.arn).await?;
        let mut uses = Vec::new();
        for entity in &subject.entities {
            uses.extend(self.uses(&entity.arn).await?.into_iter().map(|access| (entity.arn.clone(), access)));
        }
        let all: Vec<ServiceLastAccessed> =
            granted(&subject.policies).into_iter().map(|service| last_accessed(service, &uses)).collect();
        let name = |one: &ServiceLastAccessed| one.service_namespace.clone();
        let (page, is_truncated, marker) = page(all, req.max_items, req.marker, name);
        Ok(GetServiceLastAccessedDetailsResponse {
            job_status: "COMPLETED".to_owned(),
            job_type: Some("SERVICE_LEVEL".to_owned()),
            job_creation_date: Timestamp::from_millis(job.created_ms),
            job_completion_date: Timestamp::from_millis(job.created_ms),
            services_last_accessed: page,
            is_truncated,
            marker,
            ..GetServiceLastAccessedDetailsResponse::default()
        })
    }
}

fn last_accessed(service: String, uses: &[(String, Access)]) -> ServiceLastAccessed {
    let name = SERVICES.iter().find(|(known, _)| *known == service).map_or(service.as_str(), |(_, name)| name);
    let of: Vec<&(String, Access)> = uses.iter().filter(|(_, access)| access.service == service).collect();
    let last = of.iter().max_by_key(|(_, access)| access.at_ms);
    ServiceLastAccessed {
        service_name: name.to_owned(),
        last_authenticated: last.map(|(_, access)| Timestamp::from_millis(access.at_ms)),
        last_authenticated_entity: last.map(|(arn, _)| arn.clone()),
        last_authenticated_region: last.map(|(_, access)| access.region.clone()).filter(|region| !region.is_empty()),
        total_authenticated_entities: i32::try_from(of.len()).ok(),
        service_namespace: service,
        ..ServiceLastAccessed::default()
    }
}

#[async_trait]
impl Handle<GetServiceLastAccessedDetailsWithEntities> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetServiceLastAccessedDetailsWithEntitiesRequest,
    ) -> Result<GetServiceLastAccessedDetailsWithEntitiesResponse, Error> {
        let job = self.job(cx, &req.job_id).await?;
        let subject = self.subject(cx, &job.arn).await?;
        let mut all = Vec::new();
        for entity in subject.entities {
            let uses = self.uses(&entity.arn).await?;
            let last = uses.iter().find(|access| access.service == req.service_namespace);
            all.push(EntityDetails {
                last_authenticated: last.map(|access| Timestamp::from_millis(access.at_ms)),
                entity_info: EntityInfo {
                    arn: entity.arn,
                    name: entity.name,
                    r#type: entity.kind.to_owned(),
                    id: entity.id,
                    path: Some(entity.path),
                },
            });
        }
        let (page, is_truncated, marker) =
            page(all, req.max_items, req.marker, |one: &EntityDetails| one.entity_info.arn.clone());
        Ok(GetServiceLastAccessedDetailsWithEntitiesResponse {
            job_status: "COMPLETED".to_owned(),
            job_creation_date: Timestamp::from_millis(job.created_ms),
            job_completion_date: Timestamp::from_millis(job.created_ms),
            entity_details_list: page,
            is_truncated,
            marker,
            ..GetServiceLastAccessedDetailsWithEntitiesResponse::default()
        })
    }
}

#[async_trait]
impl Handle<ListPoliciesGrantingServiceAccess> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListPoliciesGrantingServiceAccessRequest,
    ) -> Result<ListPoliciesGrantingServiceAccessResponse, Error> {
        let subject = self.subject(cx, &req.arn).await?;
        let entry = |service: &String| ListPoliciesGrantingServiceAccessEntry {
            service_namespace: Some(service.clone()),
            policies: Some(
                subject.policies.iter().filter(|has| grants(&has.document, service)).map(granting).collect(),
            ),
        };
        Ok(ListPoliciesGrantingServiceAccessResponse {
            policies_granting_service_access: req.service_namespaces.iter().map(entry).collect(),
            is_truncated: Some(false),
            marker: None,
        })
    }
}

fn granting(has: &Has) -> PolicyGrantingServiceAccess {
    let is_inline = has.arn.is_none();
    PolicyGrantingServiceAccess {
        policy_name: has.name.clone(),
        policy_type: if is_inline { "INLINE" } else { "MANAGED" }.to_owned(),
        policy_arn: has.arn.clone(),
        entity_type: is_inline.then(|| has.by.0.to_owned()),
        entity_name: is_inline.then(|| has.by.1.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::grants;

    #[test]
    fn a_policy_grants_what_it_names() {
        let policy = json!({"Statement": [{"Effect": "Allow", "Action": ["S3:Get*", "sq*:SendMessage"]}, {"Effect": "Deny", "Action": "sns:*"}]});
        assert_eq!(["s3", "sqs", "sns", "s"].map(|service| grants(&policy, service)), [true, true, false, false]);
        let rest = json!({"Statement": {"Effect": "Allow", "NotAction": "iam:*"}});
        assert!(grants(&rest, "sns") && grants(&json!({"Statement": {"Effect": "Allow", "Action": "*"}}), "sns"));
    }
}
