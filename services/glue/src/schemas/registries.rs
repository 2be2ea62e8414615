//! CreateRegistry, GetRegistry, ListRegistries, UpdateRegistry, DeleteRegistry.

use super::prelude::*;
use super::records::Registry;

#[async_trait]
impl Handle<CreateRegistry> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateRegistryInput) -> Result<CreateRegistryResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now().to_string());
        let name = req.registry_name;
        let (description, tags) = (req.description, req.tags);
        let record =
            Registry { name: name.clone(), description: description.clone(), created: now.clone(), updated: now };
        let arn = scope.registry_arn(&name);
        let (given, of, key) = (tags.clone().unwrap_or_default(), arn.clone(), name.clone());
        cx.write(&self.store, move |tx| {
            if tx.get(scope.registry(&key))?.is_some() {
                return Err(already_exists_exception(format!("Registry already exists. RegistryName: {key}")));
            }
            tags::add(tx, &scope, &of, &given)?;
            tx.put_json(scope.registry(&key), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateRegistryResponse { registry_arn: Some(arn), registry_name: Some(name), description, tags })
    }
}

#[async_trait]
impl Handle<GetRegistry> for Glue {
    async fn handle(&self, cx: &Cx, req: GetRegistryInput) -> Result<GetRegistryResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::registry_name(&scope, Some(&req.registry_id))?;
        let found = self.store.read(|tx| records::find_registry(tx, &scope, &name)).await?;
        Ok(GetRegistryResponse {
            registry_arn: Some(scope.registry_arn(&name)),
            registry_name: Some(found.name),
            description: found.description,
            status: Some(AVAILABLE.to_owned()),
            created_time: Some(found.created),
            updated_time: Some(found.updated),
        })
    }
}

#[async_trait]
impl Handle<ListRegistries> for Glue {
    async fn handle(&self, cx: &Cx, req: ListRegistriesInput) -> Result<ListRegistriesResponse, Error> {
        let scope = Scope::of(cx);
        let limit = scope::limit(req.max_results, 25);
        let item = |found: Registry| RegistryListItem {
            registry_arn: Some(scope.registry_arn(&found.name)),
            registry_name: Some(found.name),
            description: found.description,
            status: Some(AVAILABLE.to_owned()),
            created_time: Some(found.created),
            updated_time: Some(found.updated),
        };
        let (registries, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &scope.registries(), req.next_token.as_deref(), limit, |found| Ok(Some(item(found))))
            })
            .await?;
        Ok(ListRegistriesResponse { registries: Some(registries), next_token })
    }
}

#[async_trait]
impl Handle<UpdateRegistry> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateRegistryInput) -> Result<UpdateRegistryResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::registry_name(&scope, Some(&req.registry_id))?;
        let (arn, key, now) = (scope.registry_arn(&name), name.clone(), cx.now().to_string());
        cx.write(&self.store, move |tx| {
            let found = records::find_registry(tx, &scope, &key)?;
            let changed = Registry { description: Some(req.description.clone()), updated: now.clone(), ..found };
            tx.put_json(scope.registry(&key), &changed)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateRegistryResponse { registry_name: Some(name), registry_arn: Some(arn) })
    }
}

#[async_trait]
impl Handle<DeleteRegistry> for Glue {
    /// With all its schemas, at once: AWS takes a while.
    async fn handle(&self, cx: &Cx, req: DeleteRegistryInput) -> Result<DeleteRegistryResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::registry_name(&scope, Some(&req.registry_id))?;
        let (arn, key) = (scope.registry_arn(&name), name.clone());
        cx.write(&self.store, move |tx| {
            records::find_registry(tx, &scope, &key)?;
            let of_registry: Vec<records::Schema> = {
                let (mut all, mut after) = (Vec::new(), Vec::new());
                loop {
                    let batch = tx.scan_after(scope.schemas(Some(&key)), &after, 1000)?;
                    let Some((last, _)) = batch.last() else { break all };
                    after.clone_from(last);
                    for (key, value) in batch {
                        all.push(store::kv::decode(&key, &value)?);
                    }
                }
            };
            for schema in of_registry {
                super::definitions::delete(tx, &scope, &Name { registry: key.clone(), schema: schema.name })?;
            }
            tags::clear(tx, &scope, &scope.registry_arn(&key))?;
            tx.delete(scope.registry(&key))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteRegistryResponse {
            registry_name: Some(name),
            registry_arn: Some(arn),
            status: Some("DELETING".to_owned()),
        })
    }
}
