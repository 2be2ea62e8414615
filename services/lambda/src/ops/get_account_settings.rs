//! GetAccountSettings: the limits that hold here, and what the account's functions take of them.

use api_lambda::{
    AccountLimit, AccountUsage, GetAccountSettings, GetAccountSettingsRequest, GetAccountSettingsResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::code::MAX_DIRECT_BYTES;
use crate::function::{Function, Scope, Version};
use crate::layer::MAX_UNPACKED_BYTES;

/// AWS's default for all code of a region, in bytes. Here the disk is the limit; clients take the difference to what is used as what is
/// left. Source: Lambda quotas.
const TOTAL_CODE_BYTES: i64 = 75 << 30;

#[async_trait]
impl Handle<GetAccountSettings> for Lambda {
    async fn handle(&self, cx: &Cx, _: GetAccountSettingsRequest) -> Result<GetAccountSettingsResponse, Error> {
        let place = Scope::of(cx);
        let (functions, bytes, reserved) = self
            .store
            .read(|tx| {
                let (mut bytes, mut reserved) = (0, 0);
                let functions: Vec<Function> = tx.list_json(place.functions(), usize::MAX)?;
                for function in &functions {
                    bytes += function.latest.config.code_size.unwrap_or(0);
                    reserved += function.reserved.unwrap_or(0);
                    let name = function.latest.config.function_name.as_deref().unwrap_or_default();
                    let versions: Vec<Version> = tx.list_json(place.versions(name), usize::MAX)?;
                    bytes += versions.iter().filter_map(|version| version.config.code_size).sum::<i64>();
                }
                Ok::<_, Error>((functions.len(), bytes, reserved))
            })
            .await?;
        let concurrency = i32::try_from(self.config.concurrency).unwrap_or(i32::MAX);
        Ok(GetAccountSettingsResponse {
            account_limit: Some(AccountLimit {
                total_code_size: Some(TOTAL_CODE_BYTES),
                code_size_unzipped: i64::try_from(MAX_UNPACKED_BYTES).ok(),
                code_size_zipped: i64::try_from(MAX_DIRECT_BYTES).ok(),
                concurrent_executions: Some(concurrency),
                unreserved_concurrent_executions: Some((concurrency - reserved).max(0)),
            }),
            account_usage: Some(AccountUsage {
                total_code_size: Some(bytes),
                function_count: i64::try_from(functions).ok(),
            }),
        })
    }
}
