//! GetPolicy: the resource policy of a function, version or alias.

use api_lambda::{GetPolicy, GetPolicyRequest, GetPolicyResponse, error};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::function::{Name, Policy, Scope};

#[async_trait]
impl Handle<GetPolicy> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetPolicyRequest) -> Result<GetPolicyResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let policy = self
            .store
            .read(|tx| {
                place.resolve(tx, &name, 1.0)?;
                Ok::<_, Error>(tx.get_json::<Policy>(place.policy(&name.name, name.qualifier.as_deref()))?)
            })
            .await?;
        let none =
            || error::resource_not_found_exception("The resource you requested does not exist.").with("Type", "User");
        let policy = policy.ok_or_else(none)?;
        let document = json!({ "Version": "2012-10-17", "Id": "default", "Statement": policy.statements });
        Ok(GetPolicyResponse { policy: Some(document.to_string()), revision_id: Some(policy.revision) })
    }
}
