//! The types of resources, one file each: how properties become calls of AWS's operations, what Ref and GetAtt answer.
//! Everything goes through the Router as the stack's caller: a stack can do what its caller can.

mod athena_named_query;
mod athena_work_group;
mod cdk_metadata;
mod cloudformation_macro;
mod cloudformation_stack;
mod cloudtrail_trail;
mod custom_resource;
mod defaults;
mod dynamodb_global_table;
mod dynamodb_table;
mod ecr_repository;
mod events_connection;
mod events_rule;
pub(crate) mod existing;
mod glue_classifier;
mod glue_crawler;
mod glue_database;
mod glue_job;
mod glue_schemas;
mod glue_security_configuration;
mod glue_table;
mod iam_access_key;
mod iam_group;
mod iam_holders;
mod iam_inline_policy;
mod iam_instance_profile;
mod iam_managed_policy;
mod iam_membership;
mod iam_oidc_provider;
mod iam_policy;
mod iam_role;
mod iam_service_linked_role;
mod iam_user;
mod inline_policies;
mod kms_key;
mod lambda_function;
mod lambda_permission;
mod lambda_provisioned;
mod logs_log_group;
mod s3_bucket;
mod s3_bucket_policy;
mod sagemaker_endpoint;
mod sagemaker_model;
mod scheduler_schedule;
mod secretsmanager_secret;
mod simple;
mod sns_subscription;
mod sns_topic;
mod sns_topic_policy;
mod sqs_queue;
mod sqs_queue_policy;
mod ssm_parameter;
mod states_activity;
mod states_state_machine;
mod states_state_machine_alias;
mod states_state_machine_version;
mod tags;
mod told;
mod wait_condition;
pub(crate) mod whole;
mod zip;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use service::Cx;
use sha2::{Digest as _, Sha256};
use store::Store;
use wire::Error;
use wire::schema::Shape;

use crate::Result;
use crate::answers::Answers;
use crate::template::validation;

/// What generated names end with.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// A resource that has been made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// What Ref answers.
    pub(crate) physical_id: String,
    /// What GetAtt answers.
    pub(crate) attributes: Value,
}

impl Made {
    fn new(physical_id: impl Into<String>, attributes: Value) -> Self {
        Self { physical_id: physical_id.into(), attributes }
    }
    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// How an update went.
pub(crate) enum Updated {
    InPlace(Made),
    /// It cannot be done in place: a new one is to be made, then the old one deleted.
    Replace,
}

/// A type of resource.
#[async_trait]
pub(crate) trait Kind: Sync {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made>;

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated>;

    /// A "not found" is as good as done.
    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()>;
}

/// The types that have files of their own.
static OWN: [(&str, &dyn Kind); 58] = [
    ("AWS::Athena::NamedQuery", &athena_named_query::NamedQuery),
    ("AWS::Athena::WorkGroup", &athena_work_group::WorkGroup),
    ("AWS::CDK::Metadata", &cdk_metadata::Metadata),
    ("AWS::CloudFormation::Macro", &cloudformation_macro::Macro),
    ("AWS::CloudFormation::Stack", &cloudformation_stack::Stack),
    ("AWS::CloudFormation::WaitCondition", &wait_condition::WaitCondition),
    ("AWS::CloudFormation::WaitConditionHandle", &wait_condition::Handle),
    ("AWS::CloudTrail::Trail", &cloudtrail_trail::Trail),
    ("AWS::DynamoDB::GlobalTable", &dynamodb_global_table::GlobalTable),
    ("AWS::DynamoDB::Table", &dynamodb_table::Table),
    ("AWS::ECR::Repository", &ecr_repository::Repository),
    ("AWS::Events::Connection", &events_connection::Connection),
    ("AWS::Events::Rule", &events_rule::Rule),
    ("AWS::Glue::Classifier", &glue_classifier::Classifier),
    ("AWS::Glue::Crawler", &glue_crawler::Crawler),
    ("AWS::Glue::Database", &glue_database::Database),
    ("AWS::Glue::Job", &glue_job::Job),
    ("AWS::Glue::Registry", &glue_schemas::Registry),
    ("AWS::Glue::Schema", &glue_schemas::Schema),
    ("AWS::Glue::SecurityConfiguration", &glue_security_configuration::SecurityConfiguration),
    ("AWS::Glue::Table", &glue_table::Table),
    ("AWS::IAM::AccessKey", &iam_access_key::AccessKey),
    ("AWS::IAM::Group", &iam_group::Group),
    ("AWS::IAM::GroupPolicy", &iam_inline_policy::InlinePolicy("Group")),
    ("AWS::IAM::InstanceProfile", &iam_instance_profile::InstanceProfile),
    ("AWS::IAM::ManagedPolicy", &iam_managed_policy::ManagedPolicy),
    ("AWS::IAM::OIDCProvider", &iam_oidc_provider::OidcProvider),
    ("AWS::IAM::Policy", &iam_policy::Policy),
    ("AWS::IAM::Role", &iam_role::Role),
    ("AWS::IAM::RolePolicy", &iam_inline_policy::InlinePolicy("Role")),
    ("AWS::IAM::ServiceLinkedRole", &iam_service_linked_role::ServiceLinkedRole),
    ("AWS::IAM::User", &iam_user::User),
    ("AWS::IAM::UserPolicy", &iam_inline_policy::InlinePolicy("User")),
    ("AWS::IAM::UserToGroupAddition", &iam_membership::UserToGroupAddition),
    ("AWS::KMS::Key", &kms_key::Key),
    ("AWS::Lambda::Alias", &lambda_provisioned::Provisioned("AWS::Lambda::Alias")),
    ("AWS::Lambda::Function", &lambda_function::Function),
    ("AWS::Lambda::Permission", &lambda_permission::Permission),
    ("AWS::Lambda::Version", &lambda_provisioned::Provisioned("AWS::Lambda::Version")),
    ("AWS::Logs::LogGroup", &logs_log_group::LogGroup),
    ("AWS::S3::Bucket", &s3_bucket::Bucket),
    ("AWS::S3::BucketPolicy", &s3_bucket_policy::BucketPolicy),
    ("AWS::SNS::Subscription", &sns_subscription::Subscription),
    ("AWS::SNS::Topic", &sns_topic::Topic),
    ("AWS::SNS::TopicInlinePolicy", &inline_policies::TopicInlinePolicy),
    ("AWS::SNS::TopicPolicy", &sns_topic_policy::TopicPolicy),
    ("AWS::SQS::Queue", &sqs_queue::Queue),
    ("AWS::SQS::QueueInlinePolicy", &inline_policies::QueueInlinePolicy),
    ("AWS::SQS::QueuePolicy", &sqs_queue_policy::QueuePolicy),
    ("AWS::SSM::Parameter", &ssm_parameter::Parameter),
    ("AWS::SageMaker::Endpoint", &sagemaker_endpoint::Endpoint),
    ("AWS::SageMaker::Model", &sagemaker_model::Model),
    ("AWS::Scheduler::Schedule", &scheduler_schedule::Schedule),
    ("AWS::SecretsManager::Secret", &secretsmanager_secret::Secret),
    ("AWS::StepFunctions::Activity", &states_activity::Activity),
    ("AWS::StepFunctions::StateMachine", &states_state_machine::StateMachine),
    ("AWS::StepFunctions::StateMachineAlias", &states_state_machine_alias::StateMachineAlias),
    ("AWS::StepFunctions::StateMachineVersion", &states_state_machine_version::StateMachineVersion),
];

/// The type of this name, where it exists.
pub(crate) fn find(name: &str) -> Option<&'static dyn Kind> {
    if custom_resource::is_custom(name) {
        return Some(&custom_resource::CustomResource);
    }
    OWN.iter().find(|(own, _)| *own == name).map(|(_, kind)| *kind).or_else(|| simple::find(name))
}

/// The names of all types, but for those that templates make up (`Custom::…`).
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = OWN.iter().map(|(name, _)| *name).chain(simple::names()).collect();
    names.push(custom_resource::NAME);
    names.sort_unstable();
    names.dedup();
    names
}

/// Changes a resource, its tags too. A type that is not known stays as it is.
pub(crate) async fn update(kind: &str, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
    let Some(provider) = find(kind) else { return Ok(Updated::InPlace(made.clone())) };
    if tags::are_apart(kind) && same_but_tags(old, new) {
        tags::apply(kind, at, made, old, new).await?;
        return Ok(Updated::InPlace(made.clone()));
    }
    let updated = provider.update(at, made, old, new).await?;
    if let Updated::InPlace(made) = &updated {
        tags::apply(kind, at, made, old, new).await?;
    }
    Ok(updated)
}

fn same_but_tags(old: &Value, new: &Value) -> bool {
    let plain = |properties: &Value| {
        let mut properties = properties.as_object().cloned().unwrap_or_default();
        properties.shift_remove("Tags");
        properties
    };
    plain(old) == plain(new)
}

/// Whether an update of such a resource may answer with another in its place.
pub(crate) fn replaces_itself(kind: &str) -> bool {
    custom_resource::is_custom(kind)
}

/// A stack within a stack.
pub(crate) const NESTED: &str = "AWS::CloudFormation::Stack";

/// The properties that list what a resource of such a type puts its policy onto, where another resource may do that in its place.
fn targets(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::IAM::Policy" => &["Groups", "Roles", "Users"],
        "AWS::IAM::UserToGroupAddition" => &["Users"],
        "AWS::SNS::TopicPolicy" => &["Topics"],
        "AWS::SQS::QueuePolicy" => &["Queues"],
        _ => &[],
    }
}

/// Whether a resource of such a type can take over what another of the stack had.
pub(crate) fn is_moved(kind: &str) -> bool {
    !targets(kind).is_empty()
}

/// The properties with what is left to a resource where others of its type have taken over the rest; `None` where that is all.
pub(crate) fn left_to(kind: &str, properties: &Value, others: &[&Value]) -> Option<Value> {
    if !is_moved(kind) {
        return Some(properties.clone());
    }
    let others: Vec<&&Value> =
        others.iter().filter(|other| !differ(other, properties, &["GroupName", "PolicyName"])).collect();
    let mut left = properties.clone();
    let mut some = false;
    for list in targets(kind) {
        let Some(items) = left.get_mut(*list).and_then(Value::as_array_mut) else { continue };
        items.retain(|item| {
            !others.iter().any(|other| other[*list].as_array().is_some_and(|taken| taken.contains(item)))
        });
        some |= !items.is_empty();
    }
    some.then_some(left)
}

pub(crate) use tags::takes_stack_tags;

/// Does this error say that the thing is not there (any more)?
pub(crate) fn is_missing(error: &Error) -> bool {
    let codes = [
        "ActivityDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
        "DashboardNotFoundError",
        "EntityNotFoundException",
        "LifecyclePolicyNotFoundException",
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "NoSuchEntity",
        "NotFound",
        "NotFoundException",
        "ParameterNotFound",
        "RepositoryNotFoundException",
        "RepositoryPolicyNotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
    ];
    error.status() == 404
        || codes.contains(&error.code())
        || error.message().starts_with("Could not find ")
        || error.is("InvalidRequestException")
            && [" is not found.", " was not found"].iter().any(|end| error.message().ends_with(end))
}

/// Where a resource belongs, and with whose powers it is made.
pub(crate) struct Context {
    pub(crate) cx: Cx,
    /// Empty where no stack has it.
    pub(crate) stack_name: String,
    pub(crate) stack_id: String,
    pub(crate) logical_id: String,
    /// The resource's type, as the template has it.
    pub(crate) kind: String,
    /// Links for those who answer.
    pub(crate) answers: Answers,
    /// Where the records of stacks are.
    pub(crate) store: Store,
    pub(crate) generation: u32,
    /// The stack's.
    pub(crate) tags: Vec<(String, String)>,
    /// Those of the stack that the resource has so far.
    pub(crate) tags_before: Vec<(String, String)>,
    /// Those that the stack's caller acknowledged.
    pub(crate) capabilities: Vec<String>,
    /// What has been made of a resource whose making goes on.
    pub(crate) half_made: Mutex<Option<Made>>,
    /// Whether a call has changed anything.
    pub(crate) touched: AtomicBool,
    /// An update is taken back.
    pub(crate) going_back: bool,
    /// It is made when it has got signals.
    pub(crate) is_signalled: bool,
    /// When what is waited for is waited for no more.
    pub(crate) until_ms: Option<i64>,
}

impl Context {
    /// Says what there is of a resource after the first of several calls: if a later one fails, this is deleted.
    fn begun(&self, made: &Made) {
        *self.half_made.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
    }

    /// Says that something has changed.
    fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// Whether something has changed although the change has failed.
    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// What there is of it although its making has failed.
    pub(crate) fn left_behind(&self) -> Option<Made> {
        self.half_made.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Fails when the time for the making of the stack is over.
    fn in_time(&self) -> Result<()> {
        if self.until_ms.is_some_and(|until| self.cx.now().as_millisecond() > until) {
            return Err(validation("Resource creation cancelled"));
        }
        Ok(())
    }

    /// Calls an operation; scalars are made what its shape wants, as CloudFormation does (`"5"` for 5, 1 for `"1"`).
    async fn call(&self, service: &str, operation: &str, input: Value) -> Result<Value> {
        let input = match self.cx.router().find_asl(service, operation) {
            Some(spec) => fit(spec.input, input),
            None => input,
        };
        let answer = self.cx.call_json(service, operation, input).await?;
        self.touch();
        Ok(answer)
    }

    /// Looks, which is no step that is to be remembered.
    async fn look(&self, service: &str, operation: &str, input: Value) -> Result<Value> {
        self.cx.without_task().call_json(service, operation, input).await
    }

    /// As `call`, where "not found" is as good.
    async fn call_if_there(&self, service: &str, operation: &str, input: Value) -> Result<()> {
        match self.call(service, operation, input).await {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The name that the properties give, or `stack-LogicalId-CHANCE`, at most so long. The chance is drawn from what the
    /// resource is, so that making it again after a crash gives the same name.
    fn name(&self, properties: &Value, member: &str, max: usize) -> String {
        if let Some(name) = properties.get(member).and_then(Value::as_str).filter(|n| !n.is_empty()) {
            return name.to_owned();
        }
        let digest = Sha256::digest(format!("{}/{}/{}", self.stack_id, self.logical_id, self.generation));
        let suffix: String =
            digest.iter().take(12).map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect();
        let room = max.saturating_sub(suffix.len() + 1);
        let mut front = format!("{}-{}", self.stack_name, self.logical_id);
        if self.stack_name.is_empty() {
            front.clone_from(&self.logical_id);
        }
        if front.len() > room {
            // Half for the stack, half for the resource, as AWS shortens them.
            let half = room.saturating_sub(1) / 2;
            let stack: String =
                self.stack_name.chars().take(half.max(room.saturating_sub(self.logical_id.len() + 1))).collect();
            let rest = room.saturating_sub(stack.len() + 1);
            front = format!("{stack}-{}", self.logical_id.chars().take(rest).collect::<String>());
        }
        format!("{front}-{suffix}")
    }

    /// The stack's tags, the resource's own, and AWS's three where a stack has it, as pairs.
    fn all_tags(&self, properties: &Value) -> Vec<(String, String)> {
        let mut tags = self.tags.clone();
        tags.extend(pairs(properties.get("Tags")));
        if self.stack_name.is_empty() {
            return tags;
        }
        tags.push(("aws:cloudformation:stack-name".to_owned(), self.stack_name.clone()));
        tags.push(("aws:cloudformation:stack-id".to_owned(), self.stack_id.clone()));
        tags.push(("aws:cloudformation:logical-id".to_owned(), self.logical_id.clone()));
        tags
    }

    /// As a list of `{Key, Value}`.
    fn tag_list(&self, properties: &Value) -> Value {
        let tags = unique(self.all_tags(properties));
        tags.into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
    }

    /// As a map.
    fn tag_map(&self, properties: &Value) -> Value {
        Value::Object(self.all_tags(properties).into_iter().map(|(k, v)| (k, Value::String(v))).collect())
    }

    /// Makes the tags of what an ARN names what they are to be, where `TagResource` and `UntagResource` take lists.
    async fn retag(&self, (service, arn): (&str, &str), old: &Value, new: &Value) -> Result<()> {
        let (gone, set) = self.changed_tags(old, new);
        if !gone.is_empty() {
            self.call_if_there(service, "UntagResource", json!({ "ResourceArn": arn, "TagKeys": gone })).await?;
        }
        if !set.is_empty() {
            self.call(service, "TagResource", json!({ "ResourceArn": arn, "Tags": set })).await?;
        }
        Ok(())
    }

    /// The same by name, as IAM has it: `TagRole`, `UntagRole`.
    async fn retag_named(&self, (service, what, name): (&str, &str, &str), old: &Value, new: &Value) -> Result<()> {
        let (gone, set) = self.changed_tags(old, new);
        let named = format!("{what}Name");
        if !gone.is_empty() {
            self.call_if_there(service, &format!("Untag{what}"), json!({ &named: name, "TagKeys": gone })).await?;
        }
        if !set.is_empty() {
            self.call(service, &format!("Tag{what}"), json!({ &named: name, "Tags": set })).await?;
        }
        Ok(())
    }

    /// The keys that are gone, and the tags that are new or have changed: the stack's, and the resource's own.
    fn changed_tags(&self, old: &Value, new: &Value) -> (Vec<String>, Vec<Value>) {
        let all = |stack: &[(String, String)], properties: &Value| {
            unique(stack.iter().cloned().chain(pairs(properties.get("Tags"))).collect())
        };
        let (old, new) = (all(&self.tags_before, old), all(&self.tags, new));
        let gone = old.iter().filter(|(key, _)| !new.iter().any(|(k, _)| k == key));
        let set = new.iter().filter(|tag| !old.contains(tag)).map(|(k, v)| json!({ "Key": k, "Value": v }));
        (gone.map(|(key, _)| key.clone()).collect(), set.collect())
    }

    fn arn(&self, service: &str, resource: impl Into<String>) -> String {
        self.cx.arn(service, resource)
    }
}

fn unique(tags: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for (key, value) in tags {
        match out.iter_mut().find(|(k, _)| *k == key) {
            Some(existing) => existing.1 = value,
            None => out.push((key, value)),
        }
    }
    out
}

/// Tags of properties: a list of `{Key, Value}`, or a map.
fn pairs(tags: Option<&Value>) -> Vec<(String, String)> {
    match tags {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|t| Some((text(t.get("Key")?), t.get("Value").map(text).unwrap_or_default())))
            .collect(),
        Some(Value::Object(map)) => map.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> String {
    crate::parameters::text(value)
}

/// A property that must be there.
fn required<'a>(properties: &'a Value, name: &str) -> Result<&'a Value> {
    match properties.get(name) {
        Some(value) if !value.is_null() => Ok(value),
        _ => Err(validation(format!("Properties validation failed for resource: required key [{name}] not found"))),
    }
}

fn required_text(properties: &Value, name: &str) -> Result<String> {
    required(properties, name).map(text)
}

/// The named members of the properties, where they are there.
fn pick(properties: &Value, members: &[&str]) -> Map<String, Value> {
    members
        .iter()
        .filter_map(|name| {
            let value = properties.get(name).filter(|v| !v.is_null())?;
            Some(((*name).to_owned(), value.clone()))
        })
        .collect()
}

/// Members under their own names; null for those that are not set.
fn same(from: &Value, members: &[&str]) -> Map<String, Value> {
    members.iter().map(|name| ((*name).to_owned(), from.get(name).cloned().unwrap_or_default())).collect()
}

/// Members that CloudFormation does not know are refused, not ignored.
fn only(properties: &Value, members: &[&str]) -> Result<()> {
    let unknown = properties.as_object().and_then(|map| map.keys().find(|k| !members.contains(&k.as_str())));
    match unknown {
        None => Ok(()),
        Some(name) => Err(validation(format!("Encountered unsupported property {name}"))),
    }
}

/// Do these members differ?
fn differ(old: &Value, new: &Value, members: &[&str]) -> bool {
    members.iter().any(|name| old.get(name).unwrap_or(&Value::Null) != new.get(name).unwrap_or(&Value::Null))
}

/// A policy document as text.
fn document(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Scalars as the shape wants them.
fn fit(shape: &Shape, value: Value) -> Value {
    match (shape, value) {
        (Shape::Structure(s), Value::Object(map)) => Value::Object(
            map.into_iter()
                .map(|(key, inner)| match s.members.iter().find(|m| m.name.eq_ignore_ascii_case(&key)) {
                    Some(member) => (key, fit(member.shape, inner)),
                    None => (key, inner),
                })
                .collect(),
        ),
        (Shape::List(l), Value::Array(items)) => items.into_iter().map(|v| fit(l.member, v)).collect(),
        // One where many may be.
        (Shape::List(l), one @ (Value::String(_) | Value::Number(_))) => Value::Array(vec![fit(l.member, one)]),
        (Shape::Map(m), Value::Object(map)) => {
            Value::Object(map.into_iter().map(|(k, v)| (k, fit(m.value, v))).collect())
        }
        (Shape::String { .. }, value @ (Value::Number(_) | Value::Bool(_))) => Value::String(value.to_string()),
        (Shape::Integer { .. }, Value::String(text)) => match text.trim().parse::<i64>() {
            Ok(n) => n.into(),
            Err(_) => Value::String(text),
        },
        (Shape::Float, Value::String(text)) => match text.trim().parse::<f64>() {
            Ok(n) => json!(n),
            Err(_) => Value::String(text),
        },
        (Shape::Boolean, Value::String(text)) => match text.as_str() {
            "true" | "True" => true.into(),
            "false" | "False" => false.into(),
            _ => Value::String(text),
        },
        (_, value) => value,
    }
}
