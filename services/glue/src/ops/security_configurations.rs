//! CreateSecurityConfiguration, GetSecurityConfiguration, GetSecurityConfigurations, DeleteSecurityConfiguration.

use super::prelude::*;
use crate::security::{self, Record};

#[async_trait]
impl Handle<CreateSecurityConfiguration> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateSecurityConfigurationRequest,
    ) -> Result<CreateSecurityConfigurationResponse, Error> {
        let (scope, now) = (Scope::of(cx), wire::Timestamp(cx.now()));
        let record = Record::new(&req.name, req.encryption_configuration, now)?;
        cx.write(&self.store, move |tx| {
            let key = security::key(&scope, &req.name);
            if tx.get(&key)?.is_some() {
                return Err(already_exists_exception(format!("Security configuration {} already exists", req.name)));
            }
            tx.put_json(&key, &record)?;
            Ok(CreateSecurityConfigurationResponse { name: Some(req.name.clone()), created_timestamp: Some(now) })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetSecurityConfiguration> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetSecurityConfigurationRequest,
    ) -> Result<GetSecurityConfigurationResponse, Error> {
        let scope = Scope::of(cx);
        let record = self.store.read(|tx| security::find(tx, &scope, &req.name)).await?;
        Ok(GetSecurityConfigurationResponse { security_configuration: Some(record.configuration) })
    }
}

#[async_trait]
impl Handle<GetSecurityConfigurations> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetSecurityConfigurationsRequest,
    ) -> Result<GetSecurityConfigurationsResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let (found, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &security::all(&scope), token, limit, |record: Record| Ok(Some(record.configuration)))
            })
            .await?;
        Ok(GetSecurityConfigurationsResponse { security_configurations: Some(found), next_token })
    }
}

#[async_trait]
impl Handle<DeleteSecurityConfiguration> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteSecurityConfigurationRequest,
    ) -> Result<DeleteSecurityConfigurationResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            security::find(tx, &scope, &req.name)?;
            tx.delete(security::key(&scope, &req.name))?;
            Ok(DeleteSecurityConfigurationResponse::default())
        })
        .await
    }
}
