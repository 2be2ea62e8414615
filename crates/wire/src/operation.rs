//! What an operation is: its types, its shapes and the metadata that the doors need.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::reflect::Reflect;
use crate::schema::Shape;

/// An AWS service as its model describes it.
#[derive(Debug)]
pub struct ServiceSpec {
    /// Our key, which is also the signing name, e.g. `dynamodb`.
    pub name: &'static str,
    /// Service ID of the model, e.g. `DynamoDB`, `SFN`; prefix of Step Functions' error names.
    pub service_id: &'static str,
    pub protocol: Protocol,
    /// `DynamoDB_20120810`; empty where the protocol has none.
    pub target_prefix: &'static str,
    pub xml_namespace: &'static str,
    pub api_version: &'static str,
    /// The prefix of IAM actions, e.g. `states`.
    pub iam_prefix: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    AwsJson10,
    AwsJson11,
    Query,
    RestJson,
    RestXml,
    RpcV2Cbor,
}

/// One operation: a row of the call table.
#[derive(Debug)]
pub struct OperationSpec {
    pub service: &'static ServiceSpec,
    pub name: &'static str,
    pub method: &'static str,
    /// Request URI template of REST protocols, e.g. `/2015-03-31/functions/{FunctionName}`.
    pub uri: &'static str,
    pub success_status: u16,
    pub input: &'static Shape,
    pub output: &'static Shape,
    /// Query protocol: the element around the result.
    pub result_wrapper: &'static str,
    pub readonly: bool,
    /// What it asks of IAM, all of it; none where nothing is asked, or the handler asks itself.
    pub needs: &'static [Need],
    /// Paths of the input's members that are refused when set, each with the values that it may have all the same.
    pub refused: &'static [(&'static str, &'static [&'static str])],
}

/// A permission that an operation needs: `models/authorization.toml`, which also says how resources are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The IAM action, e.g. `lambda:InvokeFunction`.
    pub action: &'static str,
    /// Templates of the resources' ARNs; `*` where the action is on none.
    pub resource: &'static str,
    /// Only where this member is set (or, with false, is not).
    pub when: Option<(&'static str, bool)>,
    /// The service that is passed a role; empty where the action is not `iam:PassRole`.
    pub passes: &'static str,
}

/// A type that stands for an operation, generated: `api_sqs::SendMessage`.
pub trait Operation: Send + Sync + 'static {
    type Input: Reflect + Default + Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    type Output: Reflect + Default + Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    const SPEC: &'static OperationSpec;
}
