//! The Iceberg REST catalog's door: its requests are signed as AWS's are, or carry a token that the catalog has given for an access key.

use std::sync::Arc;

use bytes::Bytes;
use glue::iceberg::rest::{self, Request, token};
use service::{Cx, Router};
use wire::Error;
use wire::codec;
use wire::sigv4::Claim;

use crate::Front;

/// Whether a request is for the catalog, and not for an object of a bucket that is called as its path begins: S3's are signed for S3, or
/// not at all.
pub(crate) fn is_meant(parts: &http::request::Parts, claim: &Result<Option<Claim>, Error>) -> bool {
    let Some(path) = parts.uri.path().strip_prefix(rest::PATH) else { return false };
    match claim {
        Ok(Some(claim)) => claim.service != "s3",
        Ok(None) => path == "config" || path == token::PATH,
        Err(_) => bearer(&parts.headers).is_some() || path == token::PATH,
    }
}

fn bearer(headers: &http::HeaderMap) -> Option<&str> {
    let text = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a request has a token that the catalog has given.
pub(crate) async fn has_token(router: &Arc<Router>, headers: &http::HeaderMap) -> bool {
    match bearer(headers) {
        Some(text) => token::check(router, text).await.is_ok(),
        None => false,
    }
}

impl Front {
    pub(crate) async fn iceberg(
        &self,
        cx: &Cx,
        claim: &Result<Option<Claim>, Error>,
        request: &codec::Request<'_>,
        body: &Bytes,
    ) -> http::Response<Bytes> {
        if request.method == "POST" && request.path.strip_prefix(rest::PATH) == Some(token::PATH) {
            return token::grant(&self.router, cx.account(), request.headers, body).await;
        }
        let caller = match bearer(request.headers) {
            Some(text) => token::check(&self.router, text).await.map(|keys| cx.with_credentials(keys)),
            None => self.authenticate(cx, claim, request).await,
        };
        match caller {
            Ok(cx) => {
                let asked = Request {
                    method: request.method,
                    path: request.path,
                    query: request.query,
                    headers: request.headers,
                    body,
                };
                self.glue.rest(&cx, asked).await
            }
            Err(error) => rest::refused(&error, cx.request_id()),
        }
    }
}
