//! GetClassifier and GetClassifiers.

use super::prelude::*;

use crate::crawlers::classifiers;

#[async_trait]
impl Handle<GetClassifier> for Glue {
    async fn handle(&self, cx: &Cx, req: GetClassifierRequest) -> Result<GetClassifierResponse, Error> {
        let scope = Scope::of(cx);
        let record = self.store.read(|tx| classifiers::find(tx, &scope, &req.name)).await?;
        Ok(GetClassifierResponse { classifier: Some(record) })
    }
}

#[async_trait]
impl Handle<GetClassifiers> for Glue {
    async fn handle(&self, cx: &Cx, req: GetClassifiersRequest) -> Result<GetClassifiersResponse, Error> {
        let scope = Scope::of(cx);
        let limit = scope::limit(req.max_results, 100);
        let token = req.next_token.as_deref();
        let (list, next_token) = self
            .store
            .read(|tx| scope::page(tx, &scope.key("classifier"), token, limit, |c: Classifier| Ok(Some(c))))
            .await?;
        Ok(GetClassifiersResponse { classifiers: Some(list), next_token })
    }
}
