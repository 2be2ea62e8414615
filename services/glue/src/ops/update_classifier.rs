//! UpdateClassifier: changes what the request names; the rest stays.

use super::prelude::*;

use crate::crawlers::classifiers;

#[async_trait]
impl Handle<UpdateClassifier> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateClassifierRequest) -> Result<UpdateClassifierResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            let name = classifiers::updated_name(&req)?;
            let old = classifiers::find(tx, &scope, &name)?;
            let new = classifiers::update(old, req.clone(), now)?;
            tx.put_json(scope.key("classifier").push(&name), &new)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateClassifierResponse::default())
    }
}
