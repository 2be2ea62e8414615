//! ListImages and DescribeImages: there are none.

use api_ecr::error::image_not_found_exception;
use api_ecr::{
    DescribeImages, DescribeImagesRequest, DescribeImagesResponse, ListImages, ListImagesRequest, ListImagesResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Registry;

#[async_trait]
impl Handle<ListImages> for Registry {
    async fn handle(&self, cx: &Cx, req: ListImagesRequest) -> Result<ListImagesResponse, Error> {
        self.find(cx, req.registry_id.as_deref(), &req.repository_name).await?;
        Ok(ListImagesResponse { image_ids: Some(Vec::new()), next_token: None })
    }
}

#[async_trait]
impl Handle<DescribeImages> for Registry {
    async fn handle(&self, cx: &Cx, req: DescribeImagesRequest) -> Result<DescribeImagesResponse, Error> {
        let name = req.repository_name;
        self.find(cx, req.registry_id.as_deref(), &name).await?;
        if let Some(asked) = req.image_ids.unwrap_or_default().first() {
            let shown =
                |text: &Option<String>| text.as_ref().map_or_else(|| "null".to_owned(), |text| format!("'{text}'"));
            let (digest, tag) = (shown(&asked.image_digest), shown(&asked.image_tag));
            return Err(image_not_found_exception(format!(
                "The image with imageId {{imageDigest:{digest}, imageTag:{tag}}} does not exist within the repository with name \
                 '{name}' in the registry with id '{}'",
                cx.account()
            )));
        }
        Ok(DescribeImagesResponse { image_details: Some(Vec::new()), next_token: None })
    }
}
