//! DeleteClassifier.

use super::prelude::*;

use crate::crawlers::classifiers;

#[async_trait]
impl Handle<DeleteClassifier> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteClassifierRequest) -> Result<DeleteClassifierResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            classifiers::find(tx, &scope, &req.name)?;
            tx.delete(scope.key("classifier").push(&req.name))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteClassifierResponse::default())
    }
}
