//! User-defined functions: what Hive's clients keep in the catalog of a database's functions. Nothing here runs one.

use super::get_tables::matcher;
use super::prelude::*;

fn missing(name: &str) -> Error {
    entity_not_found_exception(format!("Function {name} not found."))
}

fn function(
    scope: &Scope,
    db: &str,
    name: String,
    input: UserDefinedFunctionInput,
    now: jiff::Timestamp,
) -> UserDefinedFunction {
    UserDefinedFunction {
        function_name: Some(name),
        database_name: Some(db.to_owned()),
        class_name: input.class_name,
        owner_name: input.owner_name,
        function_type: input.function_type,
        owner_type: input.owner_type,
        create_time: Some(now.into()),
        resource_uris: input.resource_uris,
        catalog_id: Some(scope.account.clone()),
        ..UserDefinedFunction::default()
    }
}

#[async_trait]
impl Handle<CreateUserDefinedFunction> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateUserDefinedFunctionRequest,
    ) -> Result<CreateUserDefinedFunctionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let db = catalog::fold(&req.database_name);
        let name = req.function_input.function_name.clone().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid_input_exception("FunctionName is required."))?;
        let record = function(&scope, &db, name.clone(), req.function_input, cx.now());
        cx.write(&self.store, move |tx| {
            catalog::database(tx, &scope, &db)?;
            let key = scope.functions(&db).push(&name);
            if tx.get(&key)?.is_some() {
                return Err(already_exists_exception(format!("Function {name} already exists.")));
            }
            tx.put_json(key, &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateUserDefinedFunctionResponse::default())
    }
}

#[async_trait]
impl Handle<GetUserDefinedFunction> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetUserDefinedFunctionRequest,
    ) -> Result<GetUserDefinedFunctionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), req.function_name);
        let found = self.store.read(|tx| {
            catalog::database(tx, &scope, &db)?;
            let found: Option<UserDefinedFunction> = tx.get_json(scope.functions(&db).push(&name))?;
            found.ok_or_else(|| missing(&name))
        });
        Ok(GetUserDefinedFunctionResponse { user_defined_function: Some(found.await?) })
    }
}

#[async_trait]
impl Handle<GetUserDefinedFunctions> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetUserDefinedFunctionsRequest,
    ) -> Result<GetUserDefinedFunctionsResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let pattern = Some(req.pattern.as_str()).filter(|text| !text.is_empty()).map(matcher).transpose()?;
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let db = req.database_name.as_deref().map(catalog::fold);
        let wanted = |function: &UserDefinedFunction| {
            let name = function.function_name.as_deref().unwrap_or_default();
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(name))
                && req.function_type.as_ref().is_none_or(|kind| function.function_type.as_ref() == Some(kind))
        };
        let (list, next_token) = self
            .store
            .read(|tx| {
                let prefix = match &db {
                    Some(db) => {
                        catalog::database(tx, &scope, db)?;
                        scope.functions(db)
                    }
                    None => scope.key(catalog::FUNCTIONS),
                };
                scope::page(tx, &prefix, token, limit, |function: UserDefinedFunction| {
                    Ok(wanted(&function).then_some(function))
                })
            })
            .await?;
        Ok(GetUserDefinedFunctionsResponse { user_defined_functions: Some(list), next_token })
    }
}

#[async_trait]
impl Handle<UpdateUserDefinedFunction> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateUserDefinedFunctionRequest,
    ) -> Result<UpdateUserDefinedFunctionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), req.function_name);
        if req.function_input.function_name.as_ref().is_some_and(|new| *new != name) {
            return Err(invalid_input_exception("Function name can not be changed."));
        }
        let record = function(&scope, &db, name.clone(), req.function_input, cx.now());
        cx.write(&self.store, move |tx| {
            catalog::database(tx, &scope, &db)?;
            let key = scope.functions(&db).push(&name);
            let old: UserDefinedFunction = tx.get_json(&key)?.ok_or_else(|| missing(&name))?;
            tx.put_json(key, &UserDefinedFunction { create_time: old.create_time, ..record.clone() })?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateUserDefinedFunctionResponse::default())
    }
}

#[async_trait]
impl Handle<DeleteUserDefinedFunction> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteUserDefinedFunctionRequest,
    ) -> Result<DeleteUserDefinedFunctionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), req.function_name);
        cx.write(&self.store, move |tx| {
            catalog::database(tx, &scope, &db)?;
            let key = scope.functions(&db).push(&name);
            if tx.get(&key)?.is_none() {
                return Err(missing(&name));
            }
            tx.delete(key)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteUserDefinedFunctionResponse::default())
    }
}
