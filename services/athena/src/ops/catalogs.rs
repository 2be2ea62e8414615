//! Data catalogs: `AwsDataCatalog` is always there, others of type GLUE are more names for it.

use api_athena::error::invalid_request_exception;
use api_athena::{
    CreateDataCatalog, CreateDataCatalogInput, CreateDataCatalogOutput, DataCatalog, DataCatalogSummary,
    DeleteDataCatalog, DeleteDataCatalogInput, DeleteDataCatalogOutput, GetDataCatalog, GetDataCatalogInput,
    GetDataCatalogOutput, ListDataCatalogs, ListDataCatalogsInput, ListDataCatalogsOutput, UpdateDataCatalog,
    UpdateDataCatalogInput, UpdateDataCatalogOutput,
};
use std::collections::BTreeMap;

use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::Athena;
use crate::records::{Scope, page};

const DEFAULT: &str = "AwsDataCatalog";

/// The catalog of that name, whatever its casing.
pub(super) fn find(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<DataCatalog, Error> {
    if name.eq_ignore_ascii_case(DEFAULT) {
        return Ok(default(scope));
    }
    tx.get_json(scope.key("catalog").push(name.to_lowercase()))?
        .ok_or_else(|| invalid_request_exception(format!("DataCatalog {name} was not found")))
}

fn default(scope: &Scope) -> DataCatalog {
    DataCatalog {
        name: DEFAULT.to_owned(),
        r#type: "GLUE".to_owned(),
        parameters: Some([("catalog-id".to_owned(), scope.account.clone())].into()),
        ..DataCatalog::default()
    }
}

/// The names of the account's catalog beside `AwsDataCatalog`, lower case.
pub(crate) fn own(tx: &mut Tx<'_>, scope: &Scope) -> Result<Vec<String>, Error> {
    let all = tx.list_json::<DataCatalog>(scope.key("catalog"), usize::MAX)?;
    let of_account = |catalog: &DataCatalog| check(&catalog.r#type, catalog.parameters.as_ref(), scope).is_ok();
    Ok(all.into_iter().filter(of_account).map(|catalog| catalog.name.to_lowercase()).collect())
}

/// A data catalog is one of Glue, and its `catalog-id` the account's: no other is read here.
fn check(ty: &str, parameters: Option<&BTreeMap<String, String>>, scope: &Scope) -> Result<(), Error> {
    if ty != "GLUE" {
        return Err(invalid_request_exception(format!("Data catalogs of type {ty} are not supported; GLUE is.")));
    }
    match parameters.and_then(|parameters| parameters.get("catalog-id")) {
        Some(id) if *id != scope.account => Err(invalid_request_exception(format!(
            "Data catalogs of other accounts are not supported: catalog-id {id} is not {}",
            scope.account
        ))),
        _ => Ok(()),
    }
}

#[async_trait]
impl Handle<CreateDataCatalog> for Athena {
    async fn handle(&self, cx: &Cx, req: CreateDataCatalogInput) -> Result<CreateDataCatalogOutput, Error> {
        let scope = Scope::of(cx);
        check(&req.r#type, req.parameters.as_ref(), &scope)?;
        let arn = cx.arn("athena", format!("datacatalog/{}", req.name));
        let catalog = cx
            .write(&self.store, move |tx| {
                if find(tx, &scope, &req.name).is_ok() {
                    return Err(invalid_request_exception(format!(
                        "DataCatalog {} has already been created",
                        req.name
                    )));
                }
                let catalog = DataCatalog {
                    name: req.name.clone(),
                    description: req.description.clone(),
                    r#type: req.r#type.clone(),
                    parameters: req.parameters.clone(),
                    status: Some("CREATE_COMPLETE".to_owned()),
                    ..DataCatalog::default()
                };
                tx.put_json(scope.key("catalog").push(req.name.to_lowercase()), &catalog)?;
                if let Some(tags) = &req.tags {
                    tx.put_json(scope.key("tags").push(&arn), tags)?;
                }
                Ok::<_, Error>(catalog)
            })
            .await?;
        Ok(CreateDataCatalogOutput { data_catalog: Some(catalog) })
    }
}

#[async_trait]
impl Handle<GetDataCatalog> for Athena {
    async fn handle(&self, cx: &Cx, req: GetDataCatalogInput) -> Result<GetDataCatalogOutput, Error> {
        let catalog = self.store.read(|tx| find(tx, &Scope::of(cx), &req.name)).await?;
        Ok(GetDataCatalogOutput { data_catalog: Some(catalog) })
    }
}

#[async_trait]
impl Handle<ListDataCatalogs> for Athena {
    async fn handle(&self, cx: &Cx, req: ListDataCatalogsInput) -> Result<ListDataCatalogsOutput, Error> {
        let scope = Scope::of(cx);
        let mut all =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json::<DataCatalog>(scope.key("catalog"), 1000)?)).await?;
        all.push(default(&scope));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let (all, next_token) =
            page(all, |catalog| catalog.name.clone(), req.next_token.as_deref(), req.max_results, 50);
        let summary = |catalog: DataCatalog| DataCatalogSummary {
            catalog_name: Some(catalog.name),
            r#type: Some(catalog.r#type),
            status: catalog.status,
            ..DataCatalogSummary::default()
        };
        Ok(ListDataCatalogsOutput { data_catalogs_summary: Some(all.into_iter().map(summary).collect()), next_token })
    }
}

#[async_trait]
impl Handle<UpdateDataCatalog> for Athena {
    async fn handle(&self, cx: &Cx, req: UpdateDataCatalogInput) -> Result<UpdateDataCatalogOutput, Error> {
        let scope = Scope::of(cx);
        check(&req.r#type, req.parameters.as_ref(), &scope)?;
        cx.write(&self.store, move |tx| {
            let mut catalog = find(tx, &scope, &req.name)?;
            catalog.description.clone_from(&req.description);
            catalog.parameters.clone_from(&req.parameters);
            tx.put_json(scope.key("catalog").push(req.name.to_lowercase()), &catalog)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateDataCatalogOutput::default())
    }
}

#[async_trait]
impl Handle<DeleteDataCatalog> for Athena {
    async fn handle(&self, cx: &Cx, req: DeleteDataCatalogInput) -> Result<DeleteDataCatalogOutput, Error> {
        let scope = Scope::of(cx);
        let arn = cx.arn("athena", format!("datacatalog/{}", req.name));
        let catalog = cx
            .write(&self.store, move |tx| {
                let catalog = find(tx, &scope, &req.name)?;
                tx.delete(scope.key("catalog").push(req.name.to_lowercase()))?;
                tx.delete(scope.key("tags").push(&arn))?;
                Ok::<_, Error>(catalog)
            })
            .await?;
        Ok(DeleteDataCatalogOutput { data_catalog: Some(catalog) })
    }
}
