//! CreateClassifier: a custom classifier for crawlers.

use super::prelude::*;

use crate::crawlers::classifiers;

#[async_trait]
impl Handle<CreateClassifier> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateClassifierRequest) -> Result<CreateClassifierResponse, Error> {
        let scope = Scope::of(cx);
        let record = classifiers::create(req, cx.now())?;
        let name = classifiers::name(&record).to_owned();
        cx.write(&self.store, move |tx| {
            if tx.get(scope.key("classifier").push(&name))?.is_some() {
                return Err(already_exists_exception(format!("{name} already exists")));
            }
            tx.put_json(scope.key("classifier").push(&name), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateClassifierResponse::default())
    }
}
