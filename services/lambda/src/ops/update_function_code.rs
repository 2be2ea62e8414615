//! UpdateFunctionCode: new code for `$LATEST`.

use api_lambda::{FunctionConfiguration, UpdateFunctionCode, UpdateFunctionCodeRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::{Source, prepare, publish, touch};
use crate::{Lambda, check};

#[async_trait]
impl Handle<UpdateFunctionCode> for Lambda {
    async fn handle(&self, cx: &Cx, req: UpdateFunctionCodeRequest) -> Result<FunctionConfiguration, Error> {
        let source =
            Source { zip: req.zip_file, bucket: req.s3_bucket, key: req.s3_key, object_version: req.s3_object_version };
        let code = self.fetch(cx, source).await?;
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        let (now, revision) = (cx.now(), cx.uuid());
        let (dry, wants_version) = (req.dry_run == Some(true), req.publish == Some(true));
        let shown = self.change(cx, &req.function_name, move |tx, place, function| {
            check::revision(req.revision_id.as_deref(), function.latest.config.revision_id.as_deref())?;
            let latest = &mut function.latest;
            let before = latest.clone();
            latest.config.code_size = Some(code.bytes);
            latest.config.code_sha256 = Some(code.sha256.clone());
            latest.code.clone_from(&code.name);
            latest.unpacked_bytes = code.unpacked_bytes;
            if let Some(architectures) = &req.architectures {
                latest.config.architectures = Some(architectures.clone());
            }
            if dry {
                let shown = latest.shown(false);
                *latest = before;
                return Ok(shown);
            }
            touch(&mut latest.config, now, &revision);
            latest.config.last_update_status = Some("InProgress".to_owned());
            latest.config.last_update_status_reason = Some("The function is being created.".to_owned());
            latest.config.last_update_status_reason_code = Some("Creating".to_owned());
            prepare(tx, (&account, &region), latest)?;
            if wants_version { publish(tx, place, function, None) } else { Ok(function.latest.shown(false)) }
        });
        let shown = shown.await?;
        self.pool.retire(&format!("{} $LATEST", shown.function_arn.as_deref().unwrap_or_default()));
        Ok(self.told(cx, shown).await)
    }
}
