//! Named queries.

use api_athena::error::invalid_request_exception;
use api_athena::{
    BatchGetNamedQuery, BatchGetNamedQueryInput, BatchGetNamedQueryOutput, CreateNamedQuery, CreateNamedQueryInput,
    CreateNamedQueryOutput, DeleteNamedQuery, DeleteNamedQueryInput, DeleteNamedQueryOutput, GetNamedQuery,
    GetNamedQueryInput, GetNamedQueryOutput, ListNamedQueries, ListNamedQueriesInput, ListNamedQueriesOutput,
    NamedQuery, UnprocessedNamedQueryId, UpdateNamedQuery, UpdateNamedQueryInput, UpdateNamedQueryOutput,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle};
use store::{Key, Tx};
use wire::Error;

use crate::Athena;
use crate::records::{PRIMARY, Scope, page, workgroup};

fn find(tx: &mut Tx<'_>, scope: &Scope, id: &str) -> Result<NamedQuery, Error> {
    tx.get_json(scope.key("named").push(id))?
        .ok_or_else(|| invalid_request_exception(format!("NamedQuery {id} was not found")))
}

/// What a client token stands for.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Token {
    /// As tokens were kept once: the id alone.
    Id(String),
    Whole {
        id: String,
        request: Box<CreateNamedQueryInput>,
    },
}

/// The named query that the request's token has made before; none once that is deleted.
fn known(tx: &mut Tx<'_>, scope: &Scope, req: &CreateNamedQueryInput) -> Result<Option<String>, Error> {
    let Some(token) = &req.client_request_token else { return Ok(None) };
    let id = match tx.get_json(scope.key("named-token").push(token))? {
        Some(Token::Whole { request, .. }) if *request != *req => {
            return Err(invalid_request_exception("Idempotent parameters do not match"));
        }
        Some(Token::Id(id) | Token::Whole { id, .. }) => id,
        None => return Ok(None),
    };
    Ok(tx.get(scope.key("named").push(&id))?.map(|_| id))
}

#[async_trait]
impl Handle<CreateNamedQuery> for Athena {
    async fn handle(&self, cx: &Cx, req: CreateNamedQueryInput) -> Result<CreateNamedQueryOutput, Error> {
        let (scope, id) = (Scope::of(cx), cx.uuid());
        let id = cx
            .write(&self.store, move |tx| {
                if let Some(known) = known(tx, &scope, &req)? {
                    return Ok(known);
                }
                let group = req.work_group.as_deref().unwrap_or(PRIMARY);
                workgroup(tx, &scope, group)?;
                let query = NamedQuery {
                    name: req.name.clone(),
                    description: req.description.clone(),
                    database: req.database.clone(),
                    query_string: req.query_string.clone(),
                    named_query_id: Some(id.clone()),
                    work_group: Some(group.to_owned()),
                };
                tx.put_json(scope.key("named").push(&id), &query)?;
                tx.put(scope.key("named-by-group").push(group).push(&id), &[])?;
                if let Some(token) = &req.client_request_token {
                    let known = Token::Whole { id: id.clone(), request: Box::new(req.clone()) };
                    tx.put_json(scope.key("named-token").push(token), &known)?;
                }
                Ok::<_, Error>(id.clone())
            })
            .await?;
        Ok(CreateNamedQueryOutput { named_query_id: Some(id) })
    }
}

#[async_trait]
impl Handle<GetNamedQuery> for Athena {
    async fn handle(&self, cx: &Cx, req: GetNamedQueryInput) -> Result<GetNamedQueryOutput, Error> {
        let query = self.store.read(|tx| find(tx, &Scope::of(cx), &req.named_query_id)).await?;
        Ok(GetNamedQueryOutput { named_query: Some(query) })
    }
}

#[async_trait]
impl Handle<BatchGetNamedQuery> for Athena {
    async fn handle(&self, cx: &Cx, req: BatchGetNamedQueryInput) -> Result<BatchGetNamedQueryOutput, Error> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in req.named_query_ids {
            match self
                .store
                .read(|tx| Ok::<_, Error>(tx.get_json::<NamedQuery>(Scope::of(cx).key("named").push(&id))?))
                .await?
            {
                Some(query) => found.push(query),
                None => missing.push(UnprocessedNamedQueryId {
                    error_code: Some("INVALID_NAMED_QUERY_ID".to_owned()),
                    error_message: Some(format!("NamedQuery {id} was not found")),
                    named_query_id: Some(id),
                }),
            }
        }
        Ok(BatchGetNamedQueryOutput { named_queries: Some(found), unprocessed_named_query_ids: Some(missing) })
    }
}

#[async_trait]
impl Handle<ListNamedQueries> for Athena {
    async fn handle(&self, cx: &Cx, req: ListNamedQueriesInput) -> Result<ListNamedQueriesOutput, Error> {
        let scope = Scope::of(cx);
        let group = req.work_group.as_deref().unwrap_or(PRIMARY);
        let pairs = self
            .store
            .read(|tx| {
                workgroup(tx, &scope, group)?;
                Ok::<_, Error>(tx.scan_prefix(scope.key("named-by-group").push(group), 100_000)?)
            })
            .await?;
        let ids = pairs.iter().filter_map(|(key, _)| String::from_utf8(Key::parts(key).pop()?).ok()).collect();
        let (ids, next_token) = page(ids, String::clone, req.next_token.as_deref(), req.max_results, 50);
        Ok(ListNamedQueriesOutput { named_query_ids: Some(ids), next_token })
    }
}

#[async_trait]
impl Handle<UpdateNamedQuery> for Athena {
    async fn handle(&self, cx: &Cx, req: UpdateNamedQueryInput) -> Result<UpdateNamedQueryOutput, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut query = find(tx, &scope, &req.named_query_id)?;
            query.name.clone_from(&req.name);
            query.query_string.clone_from(&req.query_string);
            if req.description.is_some() {
                query.description.clone_from(&req.description);
            }
            tx.put_json(scope.key("named").push(&req.named_query_id), &query)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateNamedQueryOutput::default())
    }
}

#[async_trait]
impl Handle<DeleteNamedQuery> for Athena {
    async fn handle(&self, cx: &Cx, req: DeleteNamedQueryInput) -> Result<DeleteNamedQueryOutput, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let query = find(tx, &scope, &req.named_query_id)?;
            let group = query.work_group.as_deref().unwrap_or(PRIMARY);
            tx.delete(scope.key("named").push(&req.named_query_id))?;
            tx.delete(scope.key("named-by-group").push(group).push(&req.named_query_id))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteNamedQueryOutput::default())
    }
}
