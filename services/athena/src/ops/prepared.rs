//! Prepared statements of a workgroup.

use api_athena::error::{invalid_request_exception, resource_not_found_exception};
use api_athena::{
    BatchGetPreparedStatement, BatchGetPreparedStatementInput, BatchGetPreparedStatementOutput,
    CreatePreparedStatement, CreatePreparedStatementInput, CreatePreparedStatementOutput, DeletePreparedStatement,
    DeletePreparedStatementInput, DeletePreparedStatementOutput, GetPreparedStatement, GetPreparedStatementInput,
    GetPreparedStatementOutput, ListPreparedStatements, ListPreparedStatementsInput, ListPreparedStatementsOutput,
    PreparedStatement, PreparedStatementSummary, UnprocessedPreparedStatementName, UpdatePreparedStatement,
    UpdatePreparedStatementInput, UpdatePreparedStatementOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::Athena;
use crate::records::{Scope, page, workgroup};

fn find(tx: &mut Tx<'_>, scope: &Scope, group: &str, name: &str) -> Result<PreparedStatement, Error> {
    tx.get_json(scope.key("prepared").push(group).push(name))?.ok_or_else(|| {
        resource_not_found_exception(format!("PreparedStatement {name} was not found in workGroup {group}"))
            .with("ResourceName", name)
    })
}

#[async_trait]
impl Handle<CreatePreparedStatement> for Athena {
    async fn handle(&self, cx: &Cx, req: CreatePreparedStatementInput) -> Result<CreatePreparedStatementOutput, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            workgroup(tx, &scope, &req.work_group)?;
            let key = scope.key("prepared").push(&req.work_group).push(&req.statement_name);
            if tx.get(&key)?.is_some() {
                return Err(invalid_request_exception(format!(
                    "PreparedStatement {} already exists in WorkGroup {}",
                    req.statement_name, req.work_group
                )));
            }
            let statement = PreparedStatement {
                statement_name: Some(req.statement_name.clone()),
                query_statement: Some(req.query_statement.clone()),
                work_group_name: Some(req.work_group.clone()),
                description: req.description.clone(),
                last_modified_time: Some(now.into()),
            };
            tx.put_json(key, &statement)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreatePreparedStatementOutput::default())
    }
}

#[async_trait]
impl Handle<GetPreparedStatement> for Athena {
    async fn handle(&self, cx: &Cx, req: GetPreparedStatementInput) -> Result<GetPreparedStatementOutput, Error> {
        let scope = Scope::of(cx);
        let statement = self.store.read(|tx| find(tx, &scope, &req.work_group, &req.statement_name)).await?;
        Ok(GetPreparedStatementOutput { prepared_statement: Some(statement) })
    }
}

#[async_trait]
impl Handle<BatchGetPreparedStatement> for Athena {
    async fn handle(
        &self,
        cx: &Cx,
        req: BatchGetPreparedStatementInput,
    ) -> Result<BatchGetPreparedStatementOutput, Error> {
        let scope = Scope::of(cx);
        let (found, missing) = self
            .store
            .read(|tx| {
                workgroup(tx, &scope, &req.work_group)?;
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                for name in &req.prepared_statement_names {
                    match find(tx, &scope, &req.work_group, name) {
                        Ok(statement) => found.push(statement),
                        Err(error) if error.is("ResourceNotFoundException") => {
                            missing.push(UnprocessedPreparedStatementName {
                                statement_name: Some(name.clone()),
                                error_code: Some("STATEMENT_NOT_FOUND".to_owned()),
                                error_message: Some(error.message().to_owned()),
                            });
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok::<_, Error>((found, missing))
            })
            .await?;
        Ok(BatchGetPreparedStatementOutput {
            prepared_statements: Some(found),
            unprocessed_prepared_statement_names: Some(missing),
        })
    }
}

#[async_trait]
impl Handle<ListPreparedStatements> for Athena {
    async fn handle(&self, cx: &Cx, req: ListPreparedStatementsInput) -> Result<ListPreparedStatementsOutput, Error> {
        let scope = Scope::of(cx);
        let all = self
            .store
            .read(|tx| {
                workgroup(tx, &scope, &req.work_group)?;
                Ok::<_, Error>(tx.list_json::<PreparedStatement>(scope.key("prepared").push(&req.work_group), 1000)?)
            })
            .await?;
        let name = |statement: &PreparedStatement| statement.statement_name.clone().unwrap_or_default();
        let (statements, next_token) = page(all, name, req.next_token.as_deref(), req.max_results, 50);
        let summary = |statement: PreparedStatement| PreparedStatementSummary {
            statement_name: statement.statement_name,
            last_modified_time: statement.last_modified_time,
        };
        Ok(ListPreparedStatementsOutput {
            prepared_statements: Some(statements.into_iter().map(summary).collect()),
            next_token,
        })
    }
}

#[async_trait]
impl Handle<UpdatePreparedStatement> for Athena {
    async fn handle(&self, cx: &Cx, req: UpdatePreparedStatementInput) -> Result<UpdatePreparedStatementOutput, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            let mut statement = find(tx, &scope, &req.work_group, &req.statement_name)?;
            statement.query_statement = Some(req.query_statement.clone());
            statement.description.clone_from(&req.description);
            statement.last_modified_time = Some(now.into());
            tx.put_json(scope.key("prepared").push(&req.work_group).push(&req.statement_name), &statement)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdatePreparedStatementOutput::default())
    }
}

#[async_trait]
impl Handle<DeletePreparedStatement> for Athena {
    async fn handle(&self, cx: &Cx, req: DeletePreparedStatementInput) -> Result<DeletePreparedStatementOutput, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            find(tx, &scope, &req.work_group, &req.statement_name)?;
            tx.delete(scope.key("prepared").push(&req.work_group).push(&req.statement_name))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeletePreparedStatementOutput::default())
    }
}
