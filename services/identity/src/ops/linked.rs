//! Service-linked roles: what tools create so that AWS's services may act. Their policies are AWS's own and not here: services act by
//! themselves on this platform, so that the role gives nobody anything.

use api_iam::error::{invalid_input_exception, no_such_entity_exception};
use api_iam::{
    CreateServiceLinkedRole, CreateServiceLinkedRoleRequest, CreateServiceLinkedRoleResponse, DeleteServiceLinkedRole,
    DeleteServiceLinkedRoleRequest, DeleteServiceLinkedRoleResponse, GetServiceLinkedRoleDeletionStatus,
    GetServiceLinkedRoleDeletionStatusRequest, GetServiceLinkedRoleDeletionStatusResponse, Role,
};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::Error;

use super::roles::shown;
use super::users::LETTERS;
use crate::Identity;
use crate::port::random_text;
use crate::records::{RoleRecord, role, role_key};

/// The names that AWS gives such roles, by service. Source: the services' guides, "Using service-linked roles".
const NAMES: [(&str, &str); 12] = [
    ("application-autoscaling.amazonaws.com", "ApplicationAutoScaling"),
    ("autoscaling.amazonaws.com", "AutoScaling"),
    ("dynamodb.application-autoscaling.amazonaws.com", "ApplicationAutoScaling_DynamoDBTable"),
    ("ecs.amazonaws.com", "ECS"),
    ("elasticloadbalancing.amazonaws.com", "ElasticLoadBalancing"),
    ("events.amazonaws.com", "CloudWatchEvents"),
    ("kinesis.amazonaws.com", "Kinesis"),
    ("lakeformation.amazonaws.com", "LakeFormationDataAccess"),
    ("ops.apigateway.amazonaws.com", "APIGateway"),
    ("replication.dynamodb.amazonaws.com", "DynamoDBReplication"),
    ("sagemaker.application-autoscaling.amazonaws.com", "ApplicationAutoScaling_SageMakerEndpoint"),
    ("ssm.amazonaws.com", "AmazonSSM"),
];

#[async_trait]
impl Handle<CreateServiceLinkedRole> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateServiceLinkedRoleRequest,
    ) -> Result<CreateServiceLinkedRoleResponse, Error> {
        let service = req.aws_service_name;
        let Some((_, name)) = NAMES.iter().find(|(of, _)| *of == service) else {
            return Err(invalid_input_exception(format!(
                "The role for the service {service} cannot be created: Lakerun does not know its name."
            )));
        };
        let suffix = req.custom_suffix.map(|suffix| format!("_{suffix}")).unwrap_or_default();
        let (name, path) = (format!("AWSServiceRoleFor{name}{suffix}"), format!("/aws-service-role/{service}/"));
        let account = cx.account().to_owned();
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": {"Service": [service]}}]});
        let new = Role {
            arn: format!("arn:aws:iam::{account}:role{path}{name}"),
            path,
            role_id: format!("AROA{}", random_text(17, LETTERS)),
            role_name: name,
            create_date: cx.now().into(),
            assume_role_policy_document: Some(trust.to_string()),
            description: req.description,
            max_session_duration: Some(3600),
            ..Default::default()
        };
        let made = cx
            .write(&self.store, move |tx| {
                let key = role_key(&account, &new.role_name);
                if tx.get(&key)?.is_some() {
                    return Err(invalid_input_exception(format!(
                        "Service role name {} has been taken in this account, please try a different suffix.",
                        new.role_name
                    )));
                }
                let (inline, attached) = Default::default();
                tx.put_json(&key, &RoleRecord { role: new.clone(), inline, attached })?;
                Ok(new.clone())
            })
            .await?;
        Ok(CreateServiceLinkedRoleResponse { role: Some(shown(made)) })
    }
}

#[async_trait]
impl Handle<DeleteServiceLinkedRole> for Identity {
    /// Nothing here uses such a role: it is deleted at once, and its task succeeded.
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteServiceLinkedRoleRequest,
    ) -> Result<DeleteServiceLinkedRoleResponse, Error> {
        let account = cx.account().to_owned();
        let id = cx.uuid();
        let deletion_task_id = cx
            .write(&self.store, move |tx| {
                let found = role(tx, &account, &req.role_name)?;
                let Some(service) = found.role.path.strip_prefix("/aws-service-role/") else {
                    return Err(no_such_entity_exception(format!(
                        "Cannot find a service-linked role with name {}.",
                        req.role_name
                    )));
                };
                let task = format!("task/aws-service-role/{service}{}/{id}", req.role_name);
                tx.delete(role_key(&account, &req.role_name))?;
                Ok(task)
            })
            .await?;
        Ok(DeleteServiceLinkedRoleResponse { deletion_task_id })
    }
}

#[async_trait]
impl Handle<GetServiceLinkedRoleDeletionStatus> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetServiceLinkedRoleDeletionStatusRequest,
    ) -> Result<GetServiceLinkedRoleDeletionStatusResponse, Error> {
        let parts: Vec<&str> = req.deletion_task_id.split('/').collect();
        let ["task", "aws-service-role", _, name, _] = parts.as_slice() else {
            return Err(no_such_entity_exception(format!("Cannot find the deletion task {}.", req.deletion_task_id)));
        };
        let gone = self.role(cx.account(), name).await?.is_none();
        let status = if gone { "SUCCEEDED" } else { "NOT_STARTED" }.to_owned();
        Ok(GetServiceLinkedRoleDeletionStatusResponse { status, reason: None })
    }
}
