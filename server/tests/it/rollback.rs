//! Stacks whose making fails at every one of their calls: what was made until then is deleted again. The services are the real ones, over
//! stores in memory; the call that fails is one that is denied, the first, the second, and so on, until none is left to fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use service::authorization::{Guard, ResourcePolicy};
use service::{Cx, Platform, Principal, Router, Settings};
use store::{Queue, Store};
use wire::Error;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
const ROLE: &str = "arn:aws:iam::000000000000:role/deployer";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// Denies one call: the one after so many others.
#[derive(Default)]
struct Failing {
    left: AtomicUsize,
}

#[async_trait::async_trait]
impl Guard for Failing {
    async fn policy(&self, _: &Cx, _: &str, _: &str) -> Result<Option<ResourcePolicy>, Error> {
        let counted = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let deny = json!({ "Statement": [{ "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*" }] });
        Ok((counted == Ok(1)).then_some(ResourcePolicy { policy: deny, must_allow: false }))
    }
}

/// What there can be, by the calls that list it: service, operation, input, and the member that has the list.
const LISTS: [(&str, &str, &str, &str); 21] = [
    ("s3", "listBuckets", "{}", "Buckets"),
    ("sqs", "listQueues", "{}", "QueueUrls"),
    ("sns", "listTopics", "{}", "Topics"),
    ("sns", "listSubscriptions", "{}", "Subscriptions"),
    ("iam", "listRoles", "{}", "Roles"),
    ("iam", "listUsers", "{}", "Users"),
    ("iam", "listGroups", "{}", "Groups"),
    ("iam", "listPolicies", r#"{"Scope":"Local"}"#, "Policies"),
    ("iam", "listInstanceProfiles", "{}", "InstanceProfiles"),
    ("iam", "listRolePolicies", r#"{"RoleName":"deployer"}"#, "PolicyNames"),
    ("dynamodb", "listTables", "{}", "TableNames"),
    ("secretsmanager", "listSecrets", "{}", "SecretList"),
    ("ssm", "describeParameters", "{}", "Parameters"),
    ("cloudwatchlogs", "describeLogGroups", "{}", "LogGroups"),
    ("cloudwatchlogs", "describeResourcePolicies", "{}", "ResourcePolicies"),
    ("eventbridge", "listRules", "{}", "Rules"),
    ("eventbridge", "listEventBuses", "{}", "EventBuses"),
    ("kms", "listAliases", "{}", "Aliases"),
    ("ecr", "describeRepositories", "{}", "Repositories"),
    ("sfn", "listStateMachines", "{}", "StateMachines"),
    ("cloudwatch", "describeAlarms", "{}", "MetricAlarms"),
];

struct World {
    platform: Cx,
    deployer: Cx,
    failing: Arc<Failing>,
    _data: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let router = Router::new();
        let platform = Platform {
            router: router.clone(),
            control: Queue::new(Store::memory()),
            s3: Queue::new(Store::memory()),
            dynamodb: Queue::new(Store::memory()),
            data: data.path().to_owned(),
            objects: None,
            endpoint: String::new(),
            account: ACCOUNT.into(),
            region: REGION.into(),
            settings: Settings::default(),
        };
        let keys = identity::RootKeys { access_key: "AKIATEST".into(), secret_key: "a secret".into() };
        identity::register(&platform, keys);
        s3_service::register(&platform).unwrap();
        dynamodb::register(&platform);
        kms::register(&platform).unwrap();
        secrets::register(&platform);
        registry::register(&platform);
        cloudformation::register(&platform, None);
        events::register(&platform).unwrap();
        messaging::register(&platform).unwrap();
        states::register(&platform).unwrap();
        telemetry::register(&platform);
        let failing = Arc::new(Failing::default());
        for name in [
            "cloudwatch",
            "dynamodb",
            "ecr",
            "events",
            "iam",
            "kms",
            "logs",
            "s3",
            "secretsmanager",
            "sns",
            "sqs",
            "ssm",
            "states",
        ] {
            router.add_guard(name, failing.clone());
        }
        let _dispatchers = (platform.control.start(), platform.s3.start(), platform.dynamodb.start());
        let cx = Cx::platform(&router, ACCOUNT, REGION);
        let deployer = cx.as_principal(Principal::role(ROLE, "session", None));
        let world = Self { platform: cx, deployer, failing, _data: data };
        world.call("iam", "createRole", json!({ "RoleName": "deployer", "AssumeRolePolicyDocument": TRUST })).await;
        let all = json!({ "RoleName": "deployer", "PolicyName": "all", "PolicyDocument": ALL });
        world.call("iam", "putRolePolicy", all).await;
        // The first secret makes the key of AWS that secrets are encrypted with, which stays.
        world.call("secretsmanager", "createSecret", json!({ "Name": "first", "SecretString": "x" })).await;
        let gone = json!({ "SecretId": "first", "ForceDeleteWithoutRecovery": true });
        world.call("secretsmanager", "deleteSecret", gone).await;
        world
    }

    async fn call(&self, service: &str, operation: &str, input: Value) -> Value {
        self.platform
            .call_json(service, operation, input)
            .await
            .unwrap_or_else(|e| panic!("{service}:{operation}: {e}"))
    }

    /// How many of each there are.
    async fn there(&self) -> BTreeMap<String, usize> {
        let mut there = BTreeMap::new();
        for (service, operation, input, member) in LISTS {
            let answer = self.call(service, operation, serde_json::from_str(input).unwrap()).await;
            there.insert(format!("{service} {member}"), answer[member].as_array().map_or(0, Vec::len));
        }
        there
    }

    async fn settled(&self, name: &str) -> Value {
        let wait = async {
            loop {
                let answer = self.call("cloudformation", "describeStacks", json!({ "StackName": name })).await;
                let stack = answer["Stacks"][0].clone();
                if !stack["StackStatus"].as_str().unwrap().ends_with("_IN_PROGRESS") {
                    return stack;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(10), wait).await.unwrap()
    }

    /// Makes and deletes the stack, with each of its calls failing once; answers how many there were.
    async fn fails_everywhere(&self, name: &str, resources: &str) -> usize {
        let before = self.there().await;
        let template = format!("Resources:\n{resources}");
        for n in 1..200 {
            let stack = format!("{name}-{n}");
            self.failing.left.store(n, Ordering::SeqCst);
            let input = json!({
                "StackName": stack, "TemplateBody": template, "Capabilities": ["CAPABILITY_NAMED_IAM"],
            });
            self.deployer.call_json("cloudformation", "createStack", input).await.unwrap();
            let ended = self.settled(&stack).await;
            let left = self.failing.left.swap(0, Ordering::SeqCst);
            let made = ended["StackStatus"] == "CREATE_COMPLETE";
            assert!(made || ended["StackStatus"] == "ROLLBACK_COMPLETE", "{name}, call {n}: {ended}");
            if !made {
                assert_eq!(self.there().await, before, "{name}: what is left after call {n} has failed");
            }
            let id = ended["StackId"].as_str().unwrap();
            self.deployer.call_json("cloudformation", "deleteStack", json!({ "StackName": id })).await.unwrap();
            let gone = self.settled(id).await;
            assert_eq!(gone["StackStatus"], "DELETE_COMPLETE", "{name}: {gone}");
            assert_eq!(self.there().await, before, "{name}: what is left of the deleted stack");
            if made && left > 0 {
                return n - 1;
            }
        }
        panic!("{name}: a call for ever");
    }
}

const DOCUMENT: &str = "{Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}";
const TRUSTED: &str = "{Version: '2012-10-17', Statement: [{Effect: Allow, Principal: {Service: states.amazonaws.com}, Action: 'sts:AssumeRole'}]}";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_half_made_is_deleted_wherever_it_fails() {
    let world = World::new().await;
    let to_queue = "{Version: '2012-10-17', Statement: [{Effect: Allow, Principal: '*', Action: 'sqs:SendMessage', Resource: '*'}]}";
    let templates = [
        ("bucket", "  B: {Type: AWS::S3::Bucket, Properties: {VersioningConfiguration: {Status: Enabled}, \
            PublicAccessBlockConfiguration: {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}, \
            CorsConfiguration: {CorsRules: [{AllowedMethods: [GET], AllowedOrigins: ['*']}]}, \
            LifecycleConfiguration: {Rules: [{Status: Enabled, ExpirationInDays: 3}]}, Tags: [{Key: a, Value: b}]}}\n".to_owned()),
        ("queue", format!("  D: {{Type: AWS::SQS::Queue}}\n  Q: {{Type: AWS::SQS::Queue, Properties: {{RedrivePolicy: {{deadLetterTargetArn: !GetAtt D.Arn, \
            maxReceiveCount: 3}}, Tags: [{{Key: a, Value: b}}]}}}}\n  P: {{Type: AWS::SQS::QueuePolicy, Properties: {{Queues: [!Ref Q], PolicyDocument: {to_queue}}}}}\n")),
        ("topic", "  Q: {Type: AWS::SQS::Queue}\n  T: {Type: AWS::SNS::Topic, Properties: {DisplayName: t, Subscription: [{Protocol: sqs, Endpoint: !GetAtt Q.Arn}]}}\n  \
            S: {Type: AWS::SNS::Subscription, Properties: {TopicArn: !Ref T, Protocol: email, Endpoint: a@b.c}}\n".to_owned()),
        ("role", format!("  R: {{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {TRUSTED}, Policies: [{{PolicyName: a, PolicyDocument: {DOCUMENT}}}, \
            {{PolicyName: b, PolicyDocument: {DOCUMENT}}}], ManagedPolicyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess']}}}}\n  \
            M: {{Type: AWS::IAM::ManagedPolicy, Properties: {{PolicyDocument: {DOCUMENT}, Roles: [!Ref R]}}}}\n  \
            P: {{Type: AWS::IAM::Policy, Properties: {{PolicyName: p, PolicyDocument: {DOCUMENT}, Roles: [!Ref R]}}}}\n  \
            I: {{Type: AWS::IAM::InstanceProfile, Properties: {{Roles: [!Ref R]}}}}\n")),
        ("user", format!("  G: {{Type: AWS::IAM::Group, Properties: {{Policies: [{{PolicyName: a, PolicyDocument: {DOCUMENT}}}]}}}}\n  \
            U: {{Type: AWS::IAM::User, Properties: {{Groups: [!Ref G], Policies: [{{PolicyName: a, PolicyDocument: {DOCUMENT}}}], \
            ManagedPolicyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess']}}}}\n  \
            P: {{Type: AWS::IAM::Policy, Properties: {{PolicyName: p, PolicyDocument: {DOCUMENT}, Users: [!Ref U], Groups: [!Ref G]}}}}\n")),
        ("table", "  T: {Type: AWS::DynamoDB::Table, Properties: {BillingMode: PAY_PER_REQUEST, AttributeDefinitions: [{AttributeName: id, AttributeType: S}], \
            KeySchema: [{AttributeName: id, KeyType: HASH}], TimeToLiveSpecification: {AttributeName: t, Enabled: true}, \
            PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}}}\n".to_owned()),
        ("kept", "  S: {Type: AWS::SecretsManager::Secret, Properties: {GenerateSecretString: {PasswordLength: 20}}}\n  \
            P: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: v}}\n  \
            G: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}}\n  \
            E: {Type: AWS::ECR::Repository, Properties: {LifecyclePolicy: {LifecyclePolicyText: '{\"rules\": [{\"rulePriority\": 1, \"selection\": {\"tagStatus\": \"untagged\", \"countType\": \"imageCountMoreThan\", \"countNumber\": 1}, \"action\": {\"type\": \"expire\"}}]}'}}}\n".to_owned()),
        ("events", "  B: {Type: AWS::Events::EventBus, Properties: {Name: bus}}\n  Q: {Type: AWS::SQS::Queue}\n  \
            R: {Type: AWS::Events::Rule, Properties: {EventBusName: !Ref B, EventPattern: {source: [a]}, Targets: [{Id: q, Arn: !GetAtt Q.Arn}]}}\n  \
            A: {Type: AWS::CloudWatch::Alarm, Properties: {Namespace: N, MetricName: M, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, \
            ComparisonOperator: GreaterThanThreshold}}\n".to_owned()),
        ("machine", format!("  R: {{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {TRUSTED}}}}}\n  \
            M: {{Type: AWS::StepFunctions::StateMachine, Properties: {{RoleArn: !GetAtt R.Arn, Definition: {{StartAt: P, States: {{P: {{Type: Pass, End: true}}}}}}}}}}\n")),
    ];
    for (name, resources) in &templates {
        let calls = world.fails_everywhere(name, resources).await;
        assert!(calls > 0, "{name}: no call has failed");
    }
}
