//! GetAlias.

use api_lambda::{AliasConfiguration, GetAlias, GetAliasRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::create_alias::not_found;
use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<GetAlias> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetAliasRequest) -> Result<AliasConfiguration, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let alias = self.store.read(|tx| Ok::<_, Error>(tx.get_json(place.alias(&name, &req.name))?)).await?;
        alias.ok_or_else(|| not_found(&place, &name, &req.name))
    }
}
