//! Workgroups: where results go and who may say so.

use api_athena::error::invalid_request_exception;
use api_athena::{
    CreateWorkGroup, CreateWorkGroupInput, CreateWorkGroupOutput, DeleteWorkGroup, DeleteWorkGroupInput,
    DeleteWorkGroupOutput, GetWorkGroup, GetWorkGroupInput, GetWorkGroupOutput, ListEngineVersions,
    ListEngineVersionsInput, ListEngineVersionsOutput, ListWorkGroups, ListWorkGroupsInput, ListWorkGroupsOutput,
    ResultConfiguration, ResultConfigurationUpdates, UpdateWorkGroup, UpdateWorkGroupInput, UpdateWorkGroupOutput,
    WorkGroup, WorkGroupConfiguration, WorkGroupConfigurationUpdates, WorkGroupSummary,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Key;
use wire::Error;

use crate::Athena;
use crate::records::{Group, PRIMARY, Record, Scope, engine, page, selected, workgroup};

/// Executions, named queries and statements of a workgroup looked through at once.
const SWEEP: usize = 10_000;

#[async_trait]
impl Handle<CreateWorkGroup> for Athena {
    async fn handle(&self, cx: &Cx, req: CreateWorkGroupInput) -> Result<CreateWorkGroupOutput, Error> {
        let mut configuration = req.configuration.unwrap_or_default();
        if configuration.managed_query_results_configuration.as_ref().is_some_and(|managed| managed.enabled) {
            return Err(invalid_request_exception("Managed query results are not supported."));
        }
        check_results(configuration.result_configuration.as_ref())?;
        configuration.enforce_work_group_configuration.get_or_insert(true);
        configuration.publish_cloud_watch_metrics_enabled.get_or_insert(true);
        configuration.requester_pays_enabled.get_or_insert(false);
        configuration.engine_version = Some(selected(configuration.engine_version)?);
        let group = Group {
            version: 1,
            group: WorkGroup {
                name: req.name.clone(),
                state: Some("ENABLED".to_owned()),
                configuration: Some(configuration),
                description: req.description,
                creation_time: Some(cx.now().into()),
                identity_center_application_arn: None,
            },
            tags: req.tags.unwrap_or_default(),
        };
        let (scope, name) = (Scope::of(cx), req.name);
        cx.write(&self.store, move |tx| {
            if workgroup(tx, &scope, &name).is_ok() {
                return Err(invalid_request_exception("WorkGroup is already created"));
            }
            tx.put_json(scope.key("workgroup").push(&name), &group)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateWorkGroupOutput::default())
    }
}

#[async_trait]
impl Handle<GetWorkGroup> for Athena {
    async fn handle(&self, cx: &Cx, req: GetWorkGroupInput) -> Result<GetWorkGroupOutput, Error> {
        let group = self.store.read(|tx| workgroup(tx, &Scope::of(cx), &req.work_group)).await?;
        Ok(GetWorkGroupOutput { work_group: Some(group.group) })
    }
}

#[async_trait]
impl Handle<ListWorkGroups> for Athena {
    async fn handle(&self, cx: &Cx, req: ListWorkGroupsInput) -> Result<ListWorkGroupsOutput, Error> {
        let scope = Scope::of(cx);
        let mut groups =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json::<Group>(scope.key("workgroup"), SWEEP)?)).await?;
        if !groups.iter().any(|group| group.group.name == PRIMARY) {
            groups.push(self.store.read(|tx| workgroup(tx, &scope, PRIMARY)).await?);
            groups.sort_by(|a, b| a.group.name.cmp(&b.group.name));
        }
        let (groups, next_token) =
            page(groups, |group| group.group.name.clone(), req.next_token.as_deref(), req.max_results, 50);
        let summary = |Group { group, .. }: Group| WorkGroupSummary {
            engine_version: group.configuration.and_then(|configuration| configuration.engine_version),
            name: Some(group.name),
            state: group.state,
            description: group.description,
            creation_time: group.creation_time,
            identity_center_application_arn: None,
        };
        Ok(ListWorkGroupsOutput { work_groups: Some(groups.into_iter().map(summary).collect()), next_token })
    }
}

#[async_trait]
impl Handle<UpdateWorkGroup> for Athena {
    async fn handle(&self, cx: &Cx, req: UpdateWorkGroupInput) -> Result<UpdateWorkGroupOutput, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut group = workgroup(tx, &scope, &req.work_group)?;
            if let Some(description) = &req.description {
                group.group.description = Some(description.clone());
            }
            if let Some(state) = &req.state {
                group.group.state = Some(state.clone());
            }
            if let Some(updates) = req.configuration_updates.clone() {
                update(group.group.configuration.get_or_insert_default(), updates)?;
            }
            tx.put_json(scope.key("workgroup").push(&req.work_group), &group)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateWorkGroupOutput::default())
    }
}

#[async_trait]
impl Handle<DeleteWorkGroup> for Athena {
    async fn handle(&self, cx: &Cx, req: DeleteWorkGroupInput) -> Result<DeleteWorkGroupOutput, Error> {
        let scope = Scope::of(cx);
        if req.work_group == PRIMARY {
            return Err(invalid_request_exception("Primary WorkGroup cannot be deleted"));
        }
        cx.write(&self.store, move |tx| {
            workgroup(tx, &scope, &req.work_group)?;
            let queries = tx.scan_prefix(scope.by_time(&req.work_group), SWEEP)?;
            let prepared = tx.scan_prefix(scope.key("prepared").push(&req.work_group), SWEEP)?;
            let named = tx.scan_prefix(scope.key("named-by-group").push(&req.work_group), SWEEP)?;
            let full = !(queries.is_empty() && prepared.is_empty() && named.is_empty());
            if full && req.recursive_delete_option != Some(true) {
                return Err(invalid_request_exception(format!("WorkGroup {} is not empty", req.work_group)));
            }
            for (key, _) in queries {
                if let Some(id) = last_part(&key) {
                    if let Some(record) = tx.get_json::<Record>(scope.query(&id))?
                        && !record.is_over()
                    {
                        return Err(invalid_request_exception(format!(
                            "WorkGroup {} has queries that run",
                            req.work_group
                        )));
                    }
                    tx.delete(scope.query(&id))?;
                }
                tx.delete(key)?;
            }
            for (key, _) in prepared {
                tx.delete(key)?;
            }
            for (key, _) in named {
                if let Some(id) = last_part(&key) {
                    tx.delete(scope.key("named").push(id))?;
                }
                tx.delete(key)?;
            }
            tx.delete(scope.key("workgroup").push(&req.work_group))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteWorkGroupOutput::default())
    }
}

#[async_trait]
impl Handle<ListEngineVersions> for Athena {
    async fn handle(&self, _: &Cx, _: ListEngineVersionsInput) -> Result<ListEngineVersionsOutput, Error> {
        let versions = vec![engine(None), engine(Some("Athena engine version 3".to_owned()))];
        Ok(ListEngineVersionsOutput { engine_versions: Some(versions), next_token: None })
    }
}

fn last_part(key: &[u8]) -> Option<String> {
    String::from_utf8(Key::parts(key).pop()?).ok()
}

fn check_results(configuration: Option<&ResultConfiguration>) -> Result<(), Error> {
    let Some(configuration) = configuration else { return Ok(()) };
    match configuration.output_location.as_deref() {
        Some(place) if !place.starts_with("s3://") => {
            Err(invalid_request_exception("outputLocation is not a valid S3 path."))
        }
        _ => check_encryption(configuration),
    }
}

/// An encryption that results can have: the server's, with a key where it needs one.
pub(crate) fn check_encryption(configuration: &ResultConfiguration) -> Result<(), Error> {
    let Some(encryption) = &configuration.encryption_configuration else { return Ok(()) };
    let wrong = match (encryption.encryption_option.as_str(), &encryption.kms_key) {
        ("CSE_KMS", _) => "EncryptionOption CSE_KMS is not supported by this endpoint; SSE_S3 and SSE_KMS are",
        ("SSE_KMS", None) => "KmsKey must be specified for the EncryptionOption SSE_KMS",
        ("SSE_S3", Some(_)) => "KmsKey must not be specified for the EncryptionOption SSE_S3",
        _ => return Ok(()),
    };
    Err(invalid_request_exception(wrong))
}

fn update(configuration: &mut WorkGroupConfiguration, updates: WorkGroupConfigurationUpdates) -> Result<(), Error> {
    fn set<T>(target: &mut Option<T>, value: Option<T>) {
        if value.is_some() {
            *target = value;
        }
    }
    set(&mut configuration.enforce_work_group_configuration, updates.enforce_work_group_configuration);
    set(&mut configuration.publish_cloud_watch_metrics_enabled, updates.publish_cloud_watch_metrics_enabled);
    set(&mut configuration.bytes_scanned_cutoff_per_query, updates.bytes_scanned_cutoff_per_query);
    if updates.remove_bytes_scanned_cutoff_per_query == Some(true) {
        configuration.bytes_scanned_cutoff_per_query = None;
    }
    set(&mut configuration.requester_pays_enabled, updates.requester_pays_enabled);
    if let Some(version) = updates.engine_version {
        configuration.engine_version = Some(selected(Some(version))?);
    }
    set(&mut configuration.additional_configuration, updates.additional_configuration);
    set(&mut configuration.execution_role, updates.execution_role);
    if let Some(ResultConfigurationUpdates {
        output_location,
        remove_output_location,
        encryption_configuration,
        remove_encryption_configuration,
        expected_bucket_owner,
        remove_expected_bucket_owner,
        acl_configuration,
        remove_acl_configuration,
    }) = updates.result_configuration_updates
    {
        let results = configuration.result_configuration.get_or_insert_default();
        set(&mut results.output_location, output_location);
        set(&mut results.encryption_configuration, encryption_configuration);
        set(&mut results.expected_bucket_owner, expected_bucket_owner);
        set(&mut results.acl_configuration, acl_configuration);
        if remove_output_location == Some(true) {
            results.output_location = None;
        }
        if remove_encryption_configuration == Some(true) {
            results.encryption_configuration = None;
        }
        if remove_expected_bucket_owner == Some(true) {
            results.expected_bucket_owner = None;
        }
        if remove_acl_configuration == Some(true) {
            results.acl_configuration = None;
        }
        check_results(Some(results))?;
    }
    Ok(())
}
