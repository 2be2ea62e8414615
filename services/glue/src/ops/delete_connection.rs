//! DeleteConnection, BatchDeleteConnection.

use super::prelude::*;
use crate::connections;

#[async_trait]
impl Handle<DeleteConnection> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteConnectionRequest) -> Result<DeleteConnectionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        cx.write(&self.store, move |tx| {
            delete(tx, &scope, &req.connection_name)?;
            Ok(DeleteConnectionResponse::default())
        })
        .await
    }
}

#[async_trait]
impl Handle<BatchDeleteConnection> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchDeleteConnectionRequest) -> Result<BatchDeleteConnectionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        cx.write(&self.store, move |tx| {
            let (mut succeeded, mut errors) = (Vec::new(), std::collections::BTreeMap::new());
            for name in &req.connection_name_list {
                match delete(tx, &scope, name) {
                    Ok(()) => succeeded.push(name.clone()),
                    Err(error) if error.is("EntityNotFoundException") => {
                        errors.insert(name.clone(), detail(error.code(), error.message()));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(BatchDeleteConnectionResponse { succeeded: Some(succeeded), errors: Some(errors) })
        })
        .await
    }
}

fn delete(tx: &mut store::Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    connections::find(tx, scope, name)?;
    tx.delete(connections::key(scope, name))?;
    tags::clear(tx, scope, &connections::arn(scope, name))
}
