//! UpdateAlias: points an alias elsewhere.

use api_lambda::{AliasConfiguration, UpdateAlias, UpdateAliasRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::create_alias::{check_routing, check_version, is_weighted, not_found};
use crate::function::LATEST;
use crate::{Lambda, check};

#[async_trait]
impl Handle<UpdateAlias> for Lambda {
    async fn handle(&self, cx: &Cx, req: UpdateAliasRequest) -> Result<AliasConfiguration, Error> {
        let (function_name, revision) = (req.function_name.clone(), cx.uuid());
        self.change(cx, &function_name, move |tx, place, function| {
            let name = function.latest.config.function_name.clone().unwrap_or_default();
            let key = place.alias(&name, &req.name);
            let alias = tx.get_json::<AliasConfiguration>(&key)?;
            let mut alias = alias.ok_or_else(|| not_found(place, &name, &req.name))?;
            check::revision(req.revision_id.as_deref(), alias.revision_id.as_deref())?;
            if let Some(version) = &req.function_version {
                check_version(tx, place, &name, version)?;
                alias.function_version = Some(version.clone());
            }
            if req.description.is_some() {
                alias.description.clone_from(&req.description);
            }
            if let Some(routing) = &req.routing_config {
                alias.routing_config = Some(routing.clone()).filter(is_weighted);
            }
            let primary = alias.function_version.as_deref().unwrap_or(LATEST);
            check_routing(tx, place, &name, primary, alias.routing_config.as_ref())?;
            alias.revision_id = Some(revision.clone());
            tx.put_json(key, &alias)?;
            Ok(alias)
        })
        .await
    }
}
