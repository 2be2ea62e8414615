//! PublishLayerVersion: keeps an archive as the next version of a layer.

use api_lambda::{PublishLayerVersion, PublishLayerVersionRequest, PublishLayerVersionResponse, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::{Source, last_modified};
use crate::Lambda;
use crate::layer::{LayerName, LayerVersion};

#[async_trait]
impl Handle<PublishLayerVersion> for Lambda {
    async fn handle(&self, cx: &Cx, req: PublishLayerVersionRequest) -> Result<PublishLayerVersionResponse, Error> {
        let layer = LayerName::parse(cx, &req.layer_name)?;
        if layer.place.account != cx.account() || layer.version.is_some() {
            return Err(error::invalid_parameter_value_exception(format!(
                "{} is not a layer of this account.",
                req.layer_name
            )));
        }
        let content = req.content;
        let source = Source {
            zip: content.zip_file,
            bucket: content.s3_bucket,
            key: content.s3_key,
            object_version: content.s3_object_version,
        };
        let code = self.fetch(cx, source).await?;
        let version = LayerVersion {
            v: 1,
            name: layer.name.clone(),
            number: 0,
            code: code.name.clone(),
            sha256: code.sha256,
            bytes: code.bytes,
            unpacked_bytes: code.unpacked_bytes,
            description: req.description,
            created: last_modified(cx.now()),
            architectures: req.compatible_architectures,
            runtimes: req.compatible_runtimes,
            license: req.license_info,
        };
        let place = layer.place;
        let kept = cx
            .write(&self.store, {
                let place = place.clone();
                move |tx| {
                    let mut version = version.clone();
                    let counter = place.layer_counter(&version.name);
                    version.number = tx.get_json::<u64>(&counter)?.unwrap_or_default() + 1;
                    tx.put_json(counter, &version.number)?;
                    tx.put_json(place.layer_version(&version.name, version.number), &version)?;
                    Ok::<_, Error>(version)
                }
            })
            .await?;
        let shown = kept.shown(&place, self.link_code(cx, &code.name));
        Ok(PublishLayerVersionResponse {
            content: shown.content,
            layer_arn: shown.layer_arn,
            layer_version_arn: shown.layer_version_arn,
            description: shown.description,
            created_date: shown.created_date,
            version: shown.version,
            compatible_architectures: shown.compatible_architectures,
            compatible_runtimes: shown.compatible_runtimes,
            license_info: shown.license_info,
        })
    }
}
