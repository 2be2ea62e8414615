//! S3 over HTTP: `s3s` speaks the protocol; here its typed requests become calls of [`S3`], one family a file.

mod access;
mod answer;
mod audit;
mod auth;
mod convert;
mod cors;
mod counts;
mod form;
mod gate;
mod host;
mod lenient;
mod listing;
mod log;
mod objects;
mod requests;
mod select;
mod settings;
mod sums;
mod uploads;

pub(crate) use access::tag_keys;
pub(crate) use cors::check as check_cors;
pub(crate) use form::hold as hold_form;
pub use host::names_bucket;
pub(crate) use settings::set_bucket_acl;

use std::sync::Arc;

use futures::future::BoxFuture;

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "every operation brings its types"))]
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpRequest, HttpResponse, S3Request, S3Response, S3Result};
use service::Cx;

use crate::S3;

/// The HTTP front of the service. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    service: S3Service,
    /// Without signatures and permissions, for requests that have passed both.
    passed: S3Service,
    s3: Arc<S3>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl Door {
    /// `account` and `region` are the service's own.
    pub fn new(service: Arc<S3>, account: &str, region: &str) -> Self {
        debug_assert_eq!(service.known.own(), (account, region), "the service was made for others");
        let mut builder = S3ServiceBuilder::new(Handler { s3: service.clone() });
        builder.set_auth(auth::Keys::new(Arc::clone(&service.router)));
        builder.set_access(access::Access::new(service.clone()));
        builder.set_host(host::Localhost);
        let mut passed = S3ServiceBuilder::new(Handler { s3: service.clone() });
        passed.set_access(access::Passed);
        passed.set_host(host::Localhost);
        Self { service: builder.build(), passed: passed.build(), s3: service }
    }

    /// Answers one request. Never fails: what goes wrong is an S3 error in XML.
    pub fn serve(&self, request: HttpRequest) -> BoxFuture<'_, HttpResponse> {
        Box::pin(crate::admitted::during(self.counted(request)))
    }

    async fn counted(&self, request: HttpRequest) -> HttpResponse {
        let counted = counts::Counted::of(&self.s3, &request).await;
        let response = Box::pin(self.logged(request)).await;
        if let Some(counted) = counted {
            counted.tell(&self.s3, &response);
        }
        response
    }

    async fn logged(&self, mut request: HttpRequest) -> HttpResponse {
        let Some(noted) = log::Noted::of(&self.s3, &mut request).await else {
            return Box::pin(self.audited(request)).await;
        };
        let response = Box::pin(self.audited(request)).await;
        noted.keep(&self.s3, &response).await;
        response
    }

    async fn audited(&self, mut request: HttpRequest) -> HttpResponse {
        let Some(noted) = audit::Noted::of(&self.s3, &mut request) else { return self.answer(request).await };
        let (response, statements) = Box::pin(service::audit::watched(self.answer(request))).await;
        Box::pin(noted.keep(&self.s3, &response, &statements)).await;
        response
    }

    async fn answer(&self, mut request: HttpRequest) -> HttpResponse {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let signed = gate::check_signed(&query, request.headers());
        gate::lift(&query, request.headers_mut());
        let id = Cx::platform(&self.s3.router, "", "").request_id().to_owned();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let named = names_bucket(request.headers());
        let tells_attributes = method == http::Method::GET && uri.query().is_some_and(gate::asks_attributes);
        let path = uri.path().to_owned();
        let authorization = request.headers().get(http::header::AUTHORIZATION).cloned();
        let origin = request.headers().get(http::header::ORIGIN).cloned();
        let crossing = origin.map(|origin| (origin, request.method().clone(), Target::of(&request)));
        let answered = match signed {
            Ok(()) => self.answered(request).await,
            Err(error) => Err(error),
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(error) => error.to_http_response().unwrap_or_else(|error| {
                tracing::error!(request_id = id, ?error, "an S3 error could not be written");
                let mut response = HttpResponse::default();
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                response
            }),
        };
        // S3 answers 501 here; clients of other services retry every 5xx for minutes, so it is the caller's error.
        if response.status() == http::StatusCode::NOT_IMPLEMENTED {
            if let Some(name) = gate::name(&method, named, &uri) {
                replace(&mut response, "Unknown operation", &format!("{name} is not implemented"));
            }
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
        }
        if matches!(gate::name(&method, named, &uri), Some("PutBucketAcl" | "PutObjectAcl")) {
            replace(&mut response, "<Code>MalformedXML</Code>", "<Code>MalformedACLError</Code>");
        }
        answer::in_own_words(&mut response, authorization.as_ref());
        answer::set_status(&mut response);
        sums::write(&mut response);
        if tells_attributes {
            answer::bare_etag(&mut response);
        }
        answer::finish(&mut response, &path, &id);
        if let Some((origin, method, Some(target))) = crossing
            && method != http::Method::OPTIONS
        {
            self.s3.allow_origin(&mut response, &target.bucket, &origin, &method).await;
        }
        if let Ok(value) = http::HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amz-request-id", value.clone());
            response.headers_mut().insert("x-amz-id-2", value);
        }
        response.headers_mut().insert(http::header::SERVER, http::HeaderValue::from_static("AmazonS3"));
        response
    }

    async fn answered(&self, mut request: HttpRequest) -> S3Result<HttpResponse> {
        if request.method() == http::Method::OPTIONS {
            let target = Target::of(&request);
            return self.s3.preflight(target.as_ref(), request.headers()).await.map_err(convert::error);
        }
        if gate::makes_bucket(request.method(), names_bucket(request.headers()), request.uri()) {
            settings::lift_tags(&mut request).await?;
        }
        if form::is_form(&request) {
            return self.s3.post_form(request).await;
        }
        if gate::has_document(request.method(), names_bucket(request.headers()), request.uri()) {
            sums::check_document(&mut request).await?;
        }
        gate::check_method(request.method(), names_bucket(request.headers()), request.uri()).map_err(convert::error)?;
        if lenient::has_void_headers(&request) {
            let plain = lenient::plain(&request);
            return self.read_twice(request, plain).await;
        }
        if let Some(plain) = sums::without_newer(&mut request).await? {
            return self.read_twice(request, plain).await;
        }
        self.service.call(request).await.map_err(failed)
    }

    /// Reads once as it came, for its signature and permissions, and once without what s3s does not take.
    async fn read_twice(&self, mut request: HttpRequest, mut plain: HttpRequest) -> S3Result<HttpResponse> {
        let caller = request.extensions().get::<access::Caller>().cloned().unwrap_or_default();
        request.extensions_mut().insert(caller.clone());
        let response = self.service.call(request).await.map_err(failed)?;
        match caller.0.get() {
            Some(cx) => {
                plain.extensions_mut().insert(cx.clone());
                self.passed.call(plain).await.map_err(failed)
            }
            None => Ok(response),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
fn failed(error: s3s::HttpError) -> s3s::S3Error {
    tracing::error!(?error, "an S3 request could not be answered");
    s3s::S3Error::new(s3s::S3ErrorCode::InternalError)
}

fn replace(response: &mut HttpResponse, from: &str, to: &str) {
    let Some(text) = response.body().bytes() else { return };
    let text = String::from_utf8_lossy(&text);
    if text.contains(from) {
        let told = text.replace(from, to);
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        *response.body_mut() = told.into_bytes().into();
    }
}

/// Where a request came from, where the server knows it.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: std::net::IpAddr,
    /// It came by TLS, or never left the machine.
    pub secure: bool,
    pub by_tls: bool,
}

impl Peer {
    /// The condition keys that it is asked by.
    fn keys(self) -> [(String, String); 2] {
        let secure = if self.secure { "true" } else { "false" };
        [("aws:SourceIp".to_owned(), self.address.to_string()), ("aws:SecureTransport".to_owned(), secure.to_owned())]
    }
}

/// Among the extensions of a request for a whole object, it asks for the open files that hold the bytes, instead of the bytes: what
/// allows the one allows the other. Empty after the answer where the bytes do not lie in files as they are (small objects, encrypted
/// ones); then the answer has them.
#[derive(Clone, Debug, Default)]
pub struct Files(Arc<std::sync::Mutex<OpenFiles>>);

/// Files, and how many bytes of the object each holds.
pub type OpenFiles = Vec<(Arc<std::fs::File>, u64)>;

impl Files {
    pub(crate) fn give(&self, files: OpenFiles) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = files;
    }
    pub fn take(&self) -> OpenFiles {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// What a request is about.
#[derive(Clone, Debug)]
struct Target {
    bucket: String,
}

impl Target {
    fn of(request: &HttpRequest) -> Option<Self> {
        let host = request.headers().get(http::header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
        if let Some(bucket) = host::bucket(host) {
            return Some(Self { bucket: bucket.to_owned() });
        }
        let path = request.uri().path().strip_prefix('/')?;
        let bucket = crate::put::url_decode(path.split('/').next()?)?;
        (!bucket.is_empty()).then_some(Self { bucket })
    }
}

/// What s3s calls.
struct Handler {
    s3: Arc<S3>,
}

/// The bucket that a copy is made out of.
fn source_bucket(headers: &http::HeaderMap) -> String {
    let text = headers.get("x-amz-copy-source").and_then(|source| source.to_str().ok()).unwrap_or_default();
    crate::ops::source(text).map(|source| source.bucket).unwrap_or_default()
}

type Answer<T> = S3Result<S3Response<T>>;

#[expect(clippy::unnecessary_wraps, reason = "it ends handlers, which may fail")]
fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

/// The caller's context, which [`access::Access`] has put there.
fn cx<T>(req: &S3Request<T>) -> S3Result<Cx> {
    req.extensions.get::<Cx>().cloned().ok_or_else(|| s3s::s3_error!(AccessDenied, "Access Denied"))
}

#[async_trait::async_trait]
impl s3s::S3 for Handler {
    // Buckets
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        settings::create_bucket(&self.s3, req).await
    }
    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        let bucket = self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        answer(HeadBucketOutput { bucket_region: Some(bucket.region), ..Default::default() })
    }
    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        listing::buckets(&self.s3, req).await
    }
    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.s3.delete_bucket(&cx(&req)?, &req.input.bucket).await.map_err(convert::error)?;
        answer(DeleteBucketOutput::default())
    }
    async fn get_bucket_location(&self, req: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        let bucket = self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        let location_constraint = (bucket.region != "us-east-1").then(|| bucket.region.into());
        answer(GetBucketLocationOutput { location_constraint })
    }

    // Objects
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        objects::put(&self.s3, req).await
    }
    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let asker = access::Asker::of(&req, &req.input.bucket);
        match objects::get(&self.s3, req).await {
            Err(error) => Err(asker.told(&self.s3, error).await),
            found => found,
        }
    }
    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let asker = access::Asker::of(&req, &req.input.bucket);
        match objects::head(&self.s3, req).await {
            Err(error) => Err(asker.told(&self.s3, error).await),
            found => found,
        }
    }
    async fn get_object_attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        let asker = access::Asker::of(&req, &req.input.bucket);
        match objects::attributes(&self.s3, req).await {
            Err(error) => Err(asker.told(&self.s3, error).await),
            found => found,
        }
    }
    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let asker = access::Asker::of(&req, &source_bucket(&req.headers));
        match Box::pin(objects::copy(&self.s3, req)).await {
            Err(error) => Err(asker.told(&self.s3, error).await),
            made => made,
        }
    }
    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        objects::delete(&self.s3, req).await
    }
    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        objects::delete_many(&self.s3, req).await
    }
    async fn get_object_tagging(&self, req: S3Request<GetObjectTaggingInput>) -> Answer<GetObjectTaggingOutput> {
        let asker = access::Asker::of(&req, &req.input.bucket);
        match objects::tags(&self.s3, req).await {
            Err(error) => Err(asker.told(&self.s3, error).await),
            found => found,
        }
    }
    async fn put_object_tagging(&self, req: S3Request<PutObjectTaggingInput>) -> Answer<PutObjectTaggingOutput> {
        objects::put_tags(&self.s3, req).await
    }
    async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        objects::delete_tags(&self.s3, req).await
    }
    async fn get_object_acl(&self, req: S3Request<GetObjectAclInput>) -> Answer<GetObjectAclOutput> {
        settings::object_acl(&self.s3, req).await
    }
    async fn put_object_acl(&self, req: S3Request<PutObjectAclInput>) -> Answer<PutObjectAclOutput> {
        settings::put_object_acl(&self.s3, req).await
    }
    async fn get_object_retention(&self, req: S3Request<GetObjectRetentionInput>) -> Answer<GetObjectRetentionOutput> {
        settings::retention(&self.s3, req).await
    }
    async fn put_object_retention(&self, req: S3Request<PutObjectRetentionInput>) -> Answer<PutObjectRetentionOutput> {
        settings::put_retention(&self.s3, req).await
    }
    async fn get_object_legal_hold(&self, req: S3Request<GetObjectLegalHoldInput>) -> Answer<GetObjectLegalHoldOutput> {
        settings::legal_hold(&self.s3, req).await
    }
    async fn put_object_legal_hold(&self, req: S3Request<PutObjectLegalHoldInput>) -> Answer<PutObjectLegalHoldOutput> {
        settings::put_legal_hold(&self.s3, req).await
    }
    async fn select_object_content(
        &self,
        req: S3Request<SelectObjectContentInput>,
    ) -> Answer<SelectObjectContentOutput> {
        let asker = access::Asker::of(&req, &req.input.bucket);
        match select::object(&self.s3, req).await {
            Err(error) => Err(asker.told(&self.s3, error).await),
            found => found,
        }
    }
    async fn restore_object(&self, req: S3Request<RestoreObjectInput>) -> Answer<RestoreObjectOutput> {
        settings::restore(&self.s3, req).await
    }

    // Listing
    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        listing::objects(&self.s3, req).await
    }
    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        listing::objects_v2(&self.s3, req).await
    }
    async fn list_object_versions(&self, req: S3Request<ListObjectVersionsInput>) -> Answer<ListObjectVersionsOutput> {
        listing::versions(&self.s3, req).await
    }

    // Multipart uploads
    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        uploads::create(&self.s3, req).await
    }
    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        uploads::part(&self.s3, req).await
    }
    async fn upload_part_copy(&self, req: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        let asker = access::Asker::of(&req, &source_bucket(&req.headers));
        match uploads::part_copy(&self.s3, req).await {
            Err(error) => Err(asker.told(&self.s3, error).await),
            made => made,
        }
    }
    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        uploads::complete(&self.s3, req).await
    }
    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        uploads::abort(&self.s3, req).await
    }
    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        uploads::parts(&self.s3, req).await
    }
    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        uploads::list(&self.s3, req).await
    }

    // Settings
    async fn get_bucket_policy(&self, req: S3Request<GetBucketPolicyInput>) -> Answer<GetBucketPolicyOutput> {
        settings::policy(&self.s3, &req.input.bucket).await
    }
    async fn put_bucket_policy(&self, req: S3Request<PutBucketPolicyInput>) -> Answer<PutBucketPolicyOutput> {
        settings::put_policy(&self.s3, req).await
    }
    async fn delete_bucket_policy(&self, req: S3Request<DeleteBucketPolicyInput>) -> Answer<DeleteBucketPolicyOutput> {
        settings::delete(&self.s3, &cx(&req)?, &req.input.bucket, crate::settings::POLICY).await
    }
    async fn get_bucket_policy_status(
        &self,
        req: S3Request<GetBucketPolicyStatusInput>,
    ) -> Answer<GetBucketPolicyStatusOutput> {
        settings::policy_status(&self.s3, &req.input.bucket).await
    }
    async fn get_bucket_cors(&self, req: S3Request<GetBucketCorsInput>) -> Answer<GetBucketCorsOutput> {
        let found: CORSConfiguration = settings::get(&self.s3, &req.input.bucket, crate::settings::CORS).await?;
        answer(GetBucketCorsOutput { cors_rules: Some(found.cors_rules) })
    }
    async fn put_bucket_cors(&self, req: S3Request<PutBucketCorsInput>) -> Answer<PutBucketCorsOutput> {
        settings::put_cors(&self.s3, req).await
    }
    async fn delete_bucket_cors(&self, req: S3Request<DeleteBucketCorsInput>) -> Answer<DeleteBucketCorsOutput> {
        settings::delete(&self.s3, &cx(&req)?, &req.input.bucket, crate::settings::CORS).await
    }
    async fn get_bucket_website(&self, req: S3Request<GetBucketWebsiteInput>) -> Answer<GetBucketWebsiteOutput> {
        let found: WebsiteConfiguration = settings::get(&self.s3, &req.input.bucket, crate::settings::WEBSITE).await?;
        answer(GetBucketWebsiteOutput {
            error_document: found.error_document,
            index_document: found.index_document,
            redirect_all_requests_to: found.redirect_all_requests_to,
            routing_rules: found.routing_rules,
        })
    }
    async fn get_bucket_lifecycle_configuration(
        &self,
        req: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> Answer<GetBucketLifecycleConfigurationOutput> {
        settings::lifecycle(&self.s3, &req.input.bucket).await
    }
    async fn put_bucket_lifecycle_configuration(
        &self,
        req: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> Answer<PutBucketLifecycleConfigurationOutput> {
        settings::put_lifecycle(&self.s3, req).await
    }
    async fn delete_bucket_lifecycle(
        &self,
        req: S3Request<DeleteBucketLifecycleInput>,
    ) -> Answer<DeleteBucketLifecycleOutput> {
        settings::delete(&self.s3, &cx(&req)?, &req.input.bucket, crate::settings::LIFECYCLE).await
    }
    async fn get_bucket_encryption(
        &self,
        req: S3Request<GetBucketEncryptionInput>,
    ) -> Answer<GetBucketEncryptionOutput> {
        settings::encryption(&self.s3, &req.input.bucket).await
    }
    async fn put_bucket_encryption(
        &self,
        req: S3Request<PutBucketEncryptionInput>,
    ) -> Answer<PutBucketEncryptionOutput> {
        settings::put_encryption(&self.s3, req).await
    }
    async fn delete_bucket_encryption(
        &self,
        req: S3Request<DeleteBucketEncryptionInput>,
    ) -> Answer<DeleteBucketEncryptionOutput> {
        settings::delete_encryption(&self.s3, &cx(&req)?, &req.input.bucket).await
    }
    async fn get_public_access_block(
        &self,
        req: S3Request<GetPublicAccessBlockInput>,
    ) -> Answer<GetPublicAccessBlockOutput> {
        let found = settings::get(&self.s3, &req.input.bucket, crate::settings::PUBLIC_ACCESS).await?;
        answer(GetPublicAccessBlockOutput { public_access_block_configuration: Some(found) })
    }
    async fn put_public_access_block(
        &self,
        req: S3Request<PutPublicAccessBlockInput>,
    ) -> Answer<PutPublicAccessBlockOutput> {
        settings::put_public_access(&self.s3, req).await
    }
    async fn delete_public_access_block(
        &self,
        req: S3Request<DeletePublicAccessBlockInput>,
    ) -> Answer<DeletePublicAccessBlockOutput> {
        settings::delete(&self.s3, &cx(&req)?, &req.input.bucket, crate::settings::PUBLIC_ACCESS).await
    }
    async fn get_bucket_ownership_controls(
        &self,
        req: S3Request<GetBucketOwnershipControlsInput>,
    ) -> Answer<GetBucketOwnershipControlsOutput> {
        settings::ownership(&self.s3, &req.input.bucket).await
    }
    async fn put_bucket_ownership_controls(
        &self,
        req: S3Request<PutBucketOwnershipControlsInput>,
    ) -> Answer<PutBucketOwnershipControlsOutput> {
        settings::put_ownership(&self.s3, req).await
    }
    async fn delete_bucket_ownership_controls(
        &self,
        req: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> Answer<DeleteBucketOwnershipControlsOutput> {
        settings::delete(&self.s3, &cx(&req)?, &req.input.bucket, crate::settings::OWNERSHIP).await
    }
    async fn get_bucket_notification_configuration(
        &self,
        req: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> Answer<GetBucketNotificationConfigurationOutput> {
        settings::notification(&self.s3, &req.input.bucket).await
    }
    async fn put_bucket_notification_configuration(
        &self,
        req: S3Request<PutBucketNotificationConfigurationInput>,
    ) -> Answer<PutBucketNotificationConfigurationOutput> {
        settings::put_notification(&self.s3, req).await
    }
    async fn get_bucket_tagging(&self, req: S3Request<GetBucketTaggingInput>) -> Answer<GetBucketTaggingOutput> {
        let found: Tagging = settings::get(&self.s3, &req.input.bucket, crate::settings::TAGGING).await?;
        answer(GetBucketTaggingOutput { tag_set: found.tag_set })
    }
    async fn put_bucket_tagging(&self, req: S3Request<PutBucketTaggingInput>) -> Answer<PutBucketTaggingOutput> {
        settings::put_tagging(&self.s3, req).await
    }
    async fn delete_bucket_tagging(
        &self,
        req: S3Request<DeleteBucketTaggingInput>,
    ) -> Answer<DeleteBucketTaggingOutput> {
        settings::delete(&self.s3, &cx(&req)?, &req.input.bucket, crate::settings::TAGGING).await
    }
    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        settings::versioning(&self.s3, &req.input.bucket).await
    }
    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        settings::put_versioning(&self.s3, req).await
    }

    // Settings that are always as they come
    async fn get_bucket_acl(&self, req: S3Request<GetBucketAclInput>) -> Answer<GetBucketAclOutput> {
        settings::bucket_acl(&self.s3, &req.input.bucket).await
    }
    async fn get_bucket_logging(&self, req: S3Request<GetBucketLoggingInput>) -> Answer<GetBucketLoggingOutput> {
        let log = self.s3.logging(&req.input.bucket).await.map_err(convert::error)?;
        answer(GetBucketLoggingOutput { logging_enabled: log.map(crate::logging::Log::told) })
    }
    async fn get_bucket_replication(
        &self,
        req: S3Request<GetBucketReplicationInput>,
    ) -> Answer<GetBucketReplicationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::settings::unset(&req.input.bucket, "replication")))
    }
    async fn get_object_lock_configuration(
        &self,
        req: S3Request<GetObjectLockConfigurationInput>,
    ) -> Answer<GetObjectLockConfigurationOutput> {
        settings::lock_configuration(&self.s3, &req.input.bucket).await
    }
    async fn get_bucket_accelerate_configuration(
        &self,
        req: S3Request<GetBucketAccelerateConfigurationInput>,
    ) -> Answer<GetBucketAccelerateConfigurationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        answer(GetBucketAccelerateConfigurationOutput::default())
    }
    async fn get_bucket_request_payment(
        &self,
        req: S3Request<GetBucketRequestPaymentInput>,
    ) -> Answer<GetBucketRequestPaymentOutput> {
        let bucket = self.s3.governed(&req.input.bucket).await.map_err(convert::error)?;
        let payer = if bucket.requester_pays { Payer::REQUESTER } else { Payer::BUCKET_OWNER };
        answer(GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(payer)) })
    }
    async fn put_bucket_acl(&self, req: S3Request<PutBucketAclInput>) -> Answer<PutBucketAclOutput> {
        settings::put_bucket_acl(&self.s3, req).await
    }
    async fn put_object_lock_configuration(
        &self,
        req: S3Request<PutObjectLockConfigurationInput>,
    ) -> Answer<PutObjectLockConfigurationOutput> {
        settings::put_lock_configuration(&self.s3, req).await
    }
    async fn put_bucket_request_payment(
        &self,
        req: S3Request<PutBucketRequestPaymentInput>,
    ) -> Answer<PutBucketRequestPaymentOutput> {
        settings::put_payment(&self.s3, req).await
    }
    async fn put_bucket_logging(&self, req: S3Request<PutBucketLoggingInput>) -> Answer<PutBucketLoggingOutput> {
        settings::put_logging(&self.s3, req).await
    }
    async fn put_bucket_website(&self, req: S3Request<PutBucketWebsiteInput>) -> Answer<PutBucketWebsiteOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::errors::not_implemented("Website hosting")))
    }
    async fn delete_bucket_website(
        &self,
        req: S3Request<DeleteBucketWebsiteInput>,
    ) -> Answer<DeleteBucketWebsiteOutput> {
        settings::delete(&self.s3, &cx(&req)?, &req.input.bucket, crate::settings::WEBSITE).await
    }
    // Settings that none can have here, for a request to have them is refused.
    async fn get_bucket_analytics_configuration(
        &self,
        req: S3Request<GetBucketAnalyticsConfigurationInput>,
    ) -> Answer<GetBucketAnalyticsConfigurationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::errors::no_such_configuration()))
    }
    async fn delete_bucket_analytics_configuration(
        &self,
        req: S3Request<DeleteBucketAnalyticsConfigurationInput>,
    ) -> Answer<DeleteBucketAnalyticsConfigurationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::errors::no_such_configuration()))
    }
    async fn list_bucket_analytics_configurations(
        &self,
        req: S3Request<ListBucketAnalyticsConfigurationsInput>,
    ) -> Answer<ListBucketAnalyticsConfigurationsOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        answer(ListBucketAnalyticsConfigurationsOutput { is_truncated: Some(false), ..Default::default() })
    }
    async fn get_bucket_intelligent_tiering_configuration(
        &self,
        req: S3Request<GetBucketIntelligentTieringConfigurationInput>,
    ) -> Answer<GetBucketIntelligentTieringConfigurationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::errors::no_such_configuration()))
    }
    async fn delete_bucket_intelligent_tiering_configuration(
        &self,
        req: S3Request<DeleteBucketIntelligentTieringConfigurationInput>,
    ) -> Answer<DeleteBucketIntelligentTieringConfigurationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::errors::no_such_configuration()))
    }
    async fn list_bucket_intelligent_tiering_configurations(
        &self,
        req: S3Request<ListBucketIntelligentTieringConfigurationsInput>,
    ) -> Answer<ListBucketIntelligentTieringConfigurationsOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        answer(ListBucketIntelligentTieringConfigurationsOutput { is_truncated: Some(false), ..Default::default() })
    }
    async fn get_bucket_inventory_configuration(
        &self,
        req: S3Request<GetBucketInventoryConfigurationInput>,
    ) -> Answer<GetBucketInventoryConfigurationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::errors::no_such_configuration()))
    }
    async fn delete_bucket_inventory_configuration(
        &self,
        req: S3Request<DeleteBucketInventoryConfigurationInput>,
    ) -> Answer<DeleteBucketInventoryConfigurationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        Err(convert::error(crate::errors::no_such_configuration()))
    }
    async fn list_bucket_inventory_configurations(
        &self,
        req: S3Request<ListBucketInventoryConfigurationsInput>,
    ) -> Answer<ListBucketInventoryConfigurationsOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        answer(ListBucketInventoryConfigurationsOutput { is_truncated: Some(false), ..Default::default() })
    }
    async fn get_bucket_metrics_configuration(
        &self,
        req: S3Request<GetBucketMetricsConfigurationInput>,
    ) -> Answer<GetBucketMetricsConfigurationOutput> {
        let found = self.s3.metrics(&req.input.bucket, &req.input.id).await.map_err(convert::error)?;
        answer(GetBucketMetricsConfigurationOutput { metrics_configuration: Some(found) })
    }
    async fn delete_bucket_metrics_configuration(
        &self,
        req: S3Request<DeleteBucketMetricsConfigurationInput>,
    ) -> Answer<DeleteBucketMetricsConfigurationOutput> {
        settings::delete_metrics(&self.s3, req).await
    }
    async fn list_bucket_metrics_configurations(
        &self,
        req: S3Request<ListBucketMetricsConfigurationsInput>,
    ) -> Answer<ListBucketMetricsConfigurationsOutput> {
        settings::list_metrics(&self.s3, req).await
    }
    async fn put_bucket_metrics_configuration(
        &self,
        req: S3Request<PutBucketMetricsConfigurationInput>,
    ) -> Answer<PutBucketMetricsConfigurationOutput> {
        settings::put_metrics(&self.s3, req).await
    }
    async fn delete_bucket_replication(
        &self,
        req: S3Request<DeleteBucketReplicationInput>,
    ) -> Answer<DeleteBucketReplicationOutput> {
        self.s3.bucket(&req.input.bucket).await.map_err(convert::error)?;
        answer(DeleteBucketReplicationOutput::default())
    }
}
