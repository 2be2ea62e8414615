//! Making, describing, changing and deleting repositories.

use api_ecr::error::{invalid_parameter_exception, repository_already_exists_exception};
use api_ecr::{
    CreateRepository, CreateRepositoryRequest, CreateRepositoryResponse, DeleteRepository, DeleteRepositoryRequest,
    DeleteRepositoryResponse, DescribeRepositories, DescribeRepositoriesRequest, DescribeRepositoriesResponse,
    EncryptionConfiguration, ImageScanningConfiguration, PutImageScanningConfiguration,
    PutImageScanningConfigurationRequest, PutImageScanningConfigurationResponse, PutImageTagMutability,
    PutImageTagMutabilityRequest, PutImageTagMutabilityResponse, Repository,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::Registry;
use crate::repository::{Record, check_registry, load, prefix, well_formed};

#[async_trait]
impl Handle<CreateRepository> for Registry {
    async fn handle(&self, cx: &Cx, req: CreateRepositoryRequest) -> Result<CreateRepositoryResponse, Error> {
        check_registry(cx, req.registry_id.as_deref())?;
        let name = req.repository_name;
        if !well_formed(&name) {
            return Err(invalid_parameter_exception(format!(
                "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression \
                 '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'' : {name}"
            )));
        }
        let aes =
            || EncryptionConfiguration { encryption_type: "AES256".to_owned(), ..EncryptionConfiguration::default() };
        let no_scan = ImageScanningConfiguration { scan_on_push: Some(false) };
        let shown = Repository {
            repository_arn: Some(cx.arn("ecr", format!("repository/{name}"))),
            registry_id: Some(cx.account().to_owned()),
            repository_uri: Some(format!("{}.dkr.ecr.{}.amazonaws.com/{name}", cx.account(), cx.region())),
            repository_name: Some(name.clone()),
            created_at: Some(Timestamp::from(cx.now())),
            image_tag_mutability: Some(req.image_tag_mutability.unwrap_or_else(|| "MUTABLE".to_owned())),
            image_tag_mutability_exclusion_filters: req.image_tag_mutability_exclusion_filters,
            image_scanning_configuration: Some(req.image_scanning_configuration.unwrap_or(no_scan)),
            encryption_configuration: Some(req.encryption_configuration.unwrap_or_else(aes)),
        };
        let tags = req.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        let record = Record { version: 1, shown, policy: None, lifecycle: None, tags };
        let (key, account) = (prefix(cx).push(&name), cx.account().to_owned());
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_some() {
                return Err(repository_already_exists_exception(format!(
                    "The repository with name '{name}' already exists in the registry with id '{account}'"
                )));
            }
            tx.put_json(&key, &record)?;
            Ok(CreateRepositoryResponse { repository: Some(record.shown.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<DescribeRepositories> for Registry {
    async fn handle(&self, cx: &Cx, req: DescribeRepositoriesRequest) -> Result<DescribeRepositoriesResponse, Error> {
        let names = req.repository_names.unwrap_or_default();
        if !names.is_empty() {
            let mut found = Vec::with_capacity(names.len());
            for name in &names {
                found.push(self.find(cx, req.registry_id.as_deref(), name).await?.shown);
            }
            return Ok(DescribeRepositoriesResponse { repositories: Some(found), next_token: None });
        }
        check_registry(cx, req.registry_id.as_deref())?;
        let prefix = prefix(cx);
        let all: Vec<Record> = self.store.read(|tx| tx.list_json(prefix.clone(), usize::MAX)).await?;
        let most = req.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(100);
        let after = req.next_token.unwrap_or_default();
        let mut left: Vec<Repository> = all
            .into_iter()
            .map(|record| record.shown)
            .filter(|shown| shown.repository_name.as_deref().unwrap_or_default() > after.as_str())
            .collect();
        let more = left.len() > most;
        left.truncate(most);
        let next_token = left.last().filter(|_| more).and_then(|last| last.repository_name.clone());
        Ok(DescribeRepositoriesResponse { repositories: Some(left), next_token })
    }
}

#[async_trait]
impl Handle<DeleteRepository> for Registry {
    /// A repository is always empty here, so that nothing has to be forced.
    async fn handle(&self, cx: &Cx, req: DeleteRepositoryRequest) -> Result<DeleteRepositoryResponse, Error> {
        check_registry(cx, req.registry_id.as_deref())?;
        let (prefix, account) = (prefix(cx), cx.account().to_owned());
        cx.write(&self.store, move |tx| {
            let (key, record) = load(tx, &prefix, &account, &req.repository_name)?;
            tx.delete(&key)?;
            Ok(DeleteRepositoryResponse { repository: Some(record.shown) })
        })
        .await
    }
}

#[async_trait]
impl Handle<PutImageTagMutability> for Registry {
    async fn handle(&self, cx: &Cx, req: PutImageTagMutabilityRequest) -> Result<PutImageTagMutabilityResponse, Error> {
        let (registry, name) = (req.registry_id.clone(), req.repository_name.clone());
        self.change(cx, (registry.as_deref(), &name), move |record| {
            let shown = &mut record.shown;
            shown.image_tag_mutability = Some(req.image_tag_mutability.clone());
            shown.image_tag_mutability_exclusion_filters.clone_from(&req.image_tag_mutability_exclusion_filters);
            let shown = shown.clone();
            Ok(PutImageTagMutabilityResponse {
                registry_id: shown.registry_id,
                repository_name: shown.repository_name,
                image_tag_mutability: shown.image_tag_mutability,
                image_tag_mutability_exclusion_filters: shown.image_tag_mutability_exclusion_filters,
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<PutImageScanningConfiguration> for Registry {
    async fn handle(
        &self,
        cx: &Cx,
        req: PutImageScanningConfigurationRequest,
    ) -> Result<PutImageScanningConfigurationResponse, Error> {
        let (registry, name) = (req.registry_id.clone(), req.repository_name.clone());
        self.change(cx, (registry.as_deref(), &name), move |record| {
            record.shown.image_scanning_configuration = Some(req.image_scanning_configuration.clone());
            let shown = record.shown.clone();
            Ok(PutImageScanningConfigurationResponse {
                registry_id: shown.registry_id,
                repository_name: shown.repository_name,
                image_scanning_configuration: shown.image_scanning_configuration,
            })
        })
        .await
    }
}
