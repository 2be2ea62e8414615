//! CreateConnection, UpdateConnection.

use wire::Timestamp;

use super::prelude::*;
use crate::connections::{self, Record};

#[async_trait]
impl Handle<CreateConnection> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateConnectionRequest) -> Result<CreateConnectionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let name = req.connection_input.name.clone();
        let labels = req.tags.unwrap_or_default();
        let record = Record::new(req.connection_input, Timestamp(cx.now()), None)?;
        cx.write(&self.store, move |tx| {
            let key = connections::key(&scope, &name);
            if tx.get(&key)?.is_some() {
                return Err(already_exists_exception(format!("Connection {name} already exists.")));
            }
            tx.put_json(&key, &record)?;
            tags::add(tx, &scope, &connections::arn(&scope, &name), &labels)?;
            Ok(CreateConnectionResponse { create_connection_status: Some("READY".to_owned()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateConnection> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateConnectionRequest) -> Result<UpdateConnectionResponse, Error> {
        let (scope, now) = (Scope::catalog(cx, req.catalog_id.as_deref())?, Timestamp(cx.now()));
        cx.write(&self.store, move |tx| {
            let old = connections::find(tx, &scope, &req.name)?;
            let input = ConnectionInput { name: req.name.clone(), ..req.connection_input.clone() };
            tx.put_json(connections::key(&scope, &req.name), &Record::new(input, now, old.connection.creation_time)?)?;
            Ok(UpdateConnectionResponse::default())
        })
        .await
    }
}
