//! One port, every protocol: finds the service and the operation, checks the signature, and passes on: S3 to its own door, the
//! console's paths to the console, everything else through the codecs to the Router.
//!
//! Map: this file HTTP/1.1 and what every request passes through · [`body`] how much is taken of bodies · [`finish`] requests whose clients
//! have gone · [`console`] the console's bundle, sessions and calls ·
//! [`counted`] connections of other nodes · [`dynamodb`] what `DynamoDB`'s answers have that no other service's have · [`files`] open files of objects for workers ·
//! [`forward`] connections that a node which stands by passes on, and what is said of a node's health · [`iceberg`] the Iceberg REST
//! catalog's door · [`metrics`] what Prometheus reads · [`quiet`] a connection's own wakes · [`tls`] certificates and handshakes.
//!
//! A crate of its own, because it and what it makes of hyper run for every request and are worth optimising fully, while the rest of
//! the binary is quicker to build without.

mod body;
mod console;
mod counted;
mod dynamodb;
mod files;
mod finish;
mod forward;
mod iceberg;
mod metrics;
mod names;
mod quiet;
mod tls;

pub use counted::Counted;
pub use forward::{Between, Owner, PrefaceKey, Standby, standing_by};
pub use metrics::{Figure, Kind, Labels, Metrics, State, Value};
pub use tls::{Files, Tls};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use service::{Cx, Origin, Platform, Principal, Router};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use wire::codec::{self, cbor, query, rest};
use wire::sigv4::{Claim, Signable, SigningKey, sha256_hex};
use wire::{Error, OperationSpec, Protocol};

use crate::body::{collect, too_large};
use crate::finish::{Begun, Finished};

/// 2 KB of an object's metadata may be several hundred short headers; hyper takes 100 where nothing is said.
const MAX_HEADERS: usize = 512;
/// A request's head must come within this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest bodies but S3's: a Lambda zip in base64, what a model is asked, a commit of a table.
const MAX_BODY: usize = 70 << 20;
/// Those of other services.
const MAX_ORDINARY_BODY: usize = 16 << 20;
/// Form parameters, in which a letter may be written as three.
const MAX_FORM: usize = 4 << 20;
/// What a function's URL takes is bounded by what functions do.
const MAX_URL_BODY: usize = 7 << 20;
const MAX_CONNECTIONS: usize = 4096;
/// Of one address, so that a single client shuts nobody out.
const MAX_OF_ADDRESS: usize = 3072;
/// Where the links of `GetFunction` lead.
const LAMBDA_CODE: &str = "/_lakerun/lambda/code/";

/// The largest answer of a custom resource that is read at all.
const MAX_ANSWER: usize = 1 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// The HTTP front of the server.
#[expect(missing_debug_implementations, reason = "it holds all services")]
pub struct Front {
    router: Arc<Router>,
    names: names::Names,
    account: Arc<str>,
    region: Arc<str>,
    s3: s3_service::Door,
    lambda: Arc<lambda::Lambda>,
    cloudformation: Arc<cloudformation::CloudFormation>,
    links: messaging::Links,
    glue: Arc<glue::Glue>,
    telemetry: Arc<telemetry::Telemetry>,
    console: console::Console,
    signing_keys: SigningKeys,
    open: Connections,
    requests: Arc<AtomicUsize>,
    stopping: AtomicBool,
    /// Set where several nodes take each other's place.
    term: Option<Term>,
    tls: Option<Tls>,
    metrics: Option<(Metrics, Option<String>)>,
}

/// A term of ownership: while it lasts this node alone answers.
struct Term {
    lasts: Box<dyn Fn() -> bool + Send + Sync>,
    prefaces: PrefaceKey,
    between: Between,
}

impl Front {
    /// `token` opens the console.
    ///
    /// # Errors
    /// A text that says what of the settings is wrong.
    pub fn new(
        platform: &Platform,
        s3: s3_service::Door,
        (lambda, cloudformation, glue): (Arc<lambda::Lambda>, Arc<cloudformation::CloudFormation>, Arc<glue::Glue>),
        telemetry: Arc<telemetry::Telemetry>,
        links: messaging::Links,
        token: String,
    ) -> Result<Self, String> {
        Ok(Self {
            router: platform.router.clone(),
            names: names::Names::of(&platform.router),
            account: platform.account.as_str().into(),
            region: platform.region.as_str().into(),
            s3,
            lambda,
            cloudformation,
            links,
            glue,
            telemetry,
            console: console::Console::new(platform, token)?,
            signing_keys: SigningKeys::default(),
            open: Connections::default(),
            requests: Arc::default(),
            stopping: AtomicBool::new(false),
            term: None,
            tls: None,
            metrics: None,
        })
    }

    /// Answers only as long as `lasts` says so, and believes nodes that pass connections on; `between` gets those about work.
    #[must_use]
    pub fn during(
        mut self,
        lasts: impl Fn() -> bool + Send + Sync + 'static,
        prefaces: PrefaceKey,
        between: Between,
    ) -> Self {
        self.term = Some(Term { lasts: Box::new(lasts), prefaces, between });
        self
    }

    /// Clients of other machines come by TLS.
    #[must_use]
    pub fn by_tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// Answers `/metrics`: to this machine's programs, and to who brings the token.
    #[must_use]
    pub fn shows(mut self, metrics: Metrics, token: Option<String>) -> Self {
        self.metrics = Some((metrics, token));
        self
    }

    fn is_owner(&self) -> bool {
        self.term.as_ref().is_none_or(|term| (term.lasts)())
    }

    fn serves(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && self.is_owner()
    }

    /// Serves connections until dropped.
    pub fn accept(self: Arc<Self>, listener: TcpListener) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.connections(listener))
    }

    async fn connections(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of file descriptors, mostly: wait for connections to end.
                    tracing::warn!(error = %e, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(place) = self.open.place(peer.ip()) else { continue };
            let _ = stream.set_nodelay(true);
            let front = self.clone();
            tokio::spawn(async move {
                let _place = place;
                if let Err(e) = front.connection(stream, peer).await {
                    tracing::debug!(error = %e, "connection ended");
                }
            });
        }
    }

    async fn connection(self: Arc<Self>, mut stream: TcpStream, peer: SocketAddr) -> Result<(), BoxError> {
        let mut client = peer.ip();
        if let Some(term) = &self.term {
            match term.prefaces.take(&mut stream, client).await? {
                forward::Whose::Client(told) => client = told,
                forward::Whose::Node => {
                    if let Some(stream) = Counted::new(stream) {
                        (term.between)(stream);
                    }
                    return Ok(());
                }
            }
        }
        // Of what another node passes on, its own address says nothing.
        let is_local = tls::is_local(&stream, peer);
        let secure = client.to_canonical().is_loopback() || (is_local && client == peer.ip());
        let from = |secure, by_tls| s3_service::Peer { address: client, secure, by_tls };
        let Some(tls) = &self.tls else { return self.requests(stream, from(secure, false)).await };
        if tls::begins(&stream).await? {
            let stream = tls.accept(stream).await?;
            return self.requests(stream, from(true, true)).await;
        }
        if is_local {
            return self.requests(stream, from(secure, false)).await;
        }
        // That and nothing else is answered in the clear.
        match tokio::time::timeout(HEADER_TIMEOUT, forward::health(&stream)).await?? {
            Some(look) => Ok(look.answer_alone(stream, self.serves()).await?),
            None => Ok(tls::refuse_plain(stream).await?),
        }
    }

    async fn requests(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        from: s3_service::Peer,
    ) -> Result<(), BoxError> {
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            let front = self.clone();
            request.extensions_mut().insert(from);
            let begun = Begun::default();
            request.extensions_mut().insert(begun.clone());
            Finished::new(async move { Ok::<_, Infallible>(front.answer(request).await) }, begun)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        Ok(quiet::Quiet::new(connection).await?)
    }

    /// Waits for the requests under way; those that come now are told to come again.
    pub async fn drain(&self, limit: Duration) {
        self.stopping.store(true, Ordering::Relaxed);
        let end = Instant::now() + limit;
        while self.requests.load(Ordering::Relaxed) > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn answer(&self, request: http::Request<Incoming>) -> http::Response<ResponseBody> {
        let is_stopping = self.stopping.load(Ordering::Relaxed);
        if let Some(health) = forward::Health::asked(&request) {
            return whole(health.answer(self.serves()));
        }
        if let Some((metrics, token)) = &self.metrics
            && let Some(may) = may_look(&request, token.as_deref())
        {
            return whole(looked_at(metrics, may).await);
        }
        if is_stopping {
            return unavailable(&request.into_parts().0, "stopping");
        }
        if !self.is_owner() {
            return unavailable(&request.into_parts().0, NOT_OWNER);
        }
        let _under_way = UnderWay::new(Arc::clone(&self.requests));
        let waits = request.headers().contains_key(http::header::EXPECT);
        let begun = Instant::now();
        let mut response = self.route(request).await;
        if let Some((metrics, _)) = &self.metrics {
            let asked = response.extensions_mut().remove().unwrap_or(metrics::Asked("other", "other"));
            metrics.answered(asked, response.status().as_u16(), begun.elapsed());
        }
        if !self.is_owner() {
            // What was read may have been written over by another node meanwhile.
            response = whole(codec::encode_error(Protocol::RestJson, &turned_away(NOT_OWNER), ""));
        }
        if waits && !response.status().is_success() {
            // Who waited for 100 (Continue) keeps its body to itself now; what it sends next would be taken for that body
            // (RFC 9110, 10.1.1).
            response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
        }
        response
    }

    #[expect(clippy::too_many_lines, reason = "the order in which a request finds who answers it")]
    async fn route(&self, request: http::Request<Incoming>) -> http::Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let begun = parts.extensions.get::<Begun>().cloned().unwrap_or_default();
        let reads = matches!(parts.method, http::Method::GET | http::Method::HEAD | http::Method::OPTIONS);
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let claim = Claim::of(&parts.headers, &query);
        if matches!(claim, Ok(None)) && console::Console::is_meant(&parts) {
            return match collect(&parts.headers, body, console::MAX_BODY).await {
                Ok(body) => {
                    if !reads {
                        begun.note();
                    }
                    self.console.answer(&parts, body).await
                }
                Err(e) => whole(codec::encode_error(Protocol::RestJson, &e, "")),
            };
        }
        if matches!(claim, Ok(None))
            && let Some(answer) = dynamodb::unsigned(&parts)
        {
            return whole(answer);
        }
        if let (Ok(None), Some(link)) = (&claim, parts.uri.path().strip_prefix(LAMBDA_CODE)) {
            return self.lambda_code(link).await;
        }
        if parts.uri.path().starts_with(lambda::URL_PREFIX) {
            return self.function_url(&parts, body, &claim).await;
        }
        if let (Ok(None), Some(token)) = (&claim, parts.uri.path().strip_prefix(cloudformation::ANSWERS)) {
            return self.stack_answer(&parts, token, body).await;
        }
        if matches!(claim, Ok(None))
            && let Some(answer) = self.link(&parts, &query).await
        {
            return answer;
        }
        let is_iceberg = iceberg::is_meant(&parts, &claim);
        let named = self.named_service(&parts, claim.as_ref().ok().and_then(Option::as_ref));
        let asks_by_token =
            parts.uri.path() == "/" && query.split('&').any(|pair| pair.strip_prefix("Action=") == Some(BY_TOKEN));
        if !is_iceberg && (named == Some("s3") || (named.is_none() && !asks_by_token && is_s3(&parts))) {
            if !reads {
                begun.note();
            }
            let request = http::Request::from_parts(parts, s3s::Body::http_body_unsync(body::Progressing::new(body)));
            let asked = metrics::Asked("s3", method_name(request.method()));
            let mut response = self.s3.serve(request).await.map(|body| body.map_err(Into::into).boxed_unsync());
            response.extensions_mut().insert(asked);
            return response;
        }
        // Nobody, until who has signed is known.
        let (account, region) = (Arc::clone(&self.account), Arc::clone(&self.region));
        let cx = Cx::of(self.router.clone(), Principal::Anonymous, account, region).with_origin(origin(&parts));
        let is_dynamodb = dynamodb::is_meant(named, &parts.headers);
        let limit = if is_iceberg { MAX_BODY } else { largest(named, is_dynamodb, &parts.headers) };
        let body = match self.body(&cx, &parts, &claim, body, limit).await {
            Ok(body) => body,
            Err(e) if is_dynamodb && e.status() == 413 => return whole(dynamodb::too_large(cx.request_id())),
            Err(e) => {
                let protocol = asked(&parts.headers);
                return whole(codec::encode_error(protocol, &renamed(e, protocol), cx.request_id()));
            }
        };
        let request = codec::Request {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: &query,
            headers: &parts.headers,
            body: &body,
        };
        if is_iceberg {
            if !reads {
                begun.note();
            }
            return whole(self.iceberg(&cx, &claim, &request, &body).await);
        }
        let id = cx.request_id().to_owned();
        let by_token = matches!(claim, Ok(None)) && named.is_none() && is_by_token(&request);
        let named = if by_token { Some("sts") } else { named };
        let found = match self.find(named, &request) {
            Ok(spec) => spec,
            Err((protocol, e)) => {
                // Who has no valid signature learns nothing of what exists.
                let foreign = claim.as_ref().ok().and_then(Option::as_ref).filter(|_| named == Some("unknown"));
                let e = foreign.map_or(e, |claim| not_here(&claim.service));
                let e = self.authenticate(&cx, &claim, &request).await.err().unwrap_or(e);
                let e = renamed(e, protocol);
                return whole(if is_dynamodb {
                    dynamodb::finish(codec::encode_error(protocol, &dynamodb::named(&e), &id), request.headers)
                } else {
                    codec::encode_error(protocol, &e, &id)
                });
            }
        };
        let protocol = spoken(found, request.headers);
        let outcome = async {
            let cx = if by_token { cx } else { self.authenticate(&cx, &claim, &request).await? };
            if let Ok(Some(claim)) = &claim {
                check_scope(claim, found.service.name, request.headers)?;
            }
            let unpacked = unpacked(&request, protocol, limit)?;
            let request = codec::Request { body: unpacked.as_deref().unwrap_or(request.body), ..request };
            let input = codec::decode_input(found, protocol, &request).map_err(|e| service::refusal(found, e))?;
            if !found.readonly && !IS_WAITED_FOR.contains(&found.name) {
                begun.note();
            }
            self.router.call_canonical(&cx, found, input).await
        };
        let answer = match outcome.await {
            Ok(output) => {
                let head = codec::encode_output(found, protocol, &output, &id);
                // The answers that are sent while they are made.
                let pieces = match found.name {
                    "InvokeWithResponseStream" => self.lambda.fetch_stream(&id),
                    "StartLiveTail" => self.telemetry.fetch_tail(&id),
                    _ => None,
                };
                match pieces {
                    Some(events) => return asked_of(streamed(head, events), found),
                    None => head,
                }
            }
            Err(e) => {
                let e = masked(by_service(renamed(e, protocol), found), found, &id);
                codec::encode_error(protocol, &if is_dynamodb { dynamodb::named(&e) } else { e }, &id)
            }
        };
        asked_of(whole(if is_dynamodb { dynamodb::finish(answer, &parts.headers) } else { answer }), found)
    }

    /// What `GetFunction` gave a link to: the link itself is the secret, as a presigned URL is on AWS.
    async fn lambda_code(&self, link: &str) -> http::Response<ResponseBody> {
        let archive = match self.lambda.linked_code(link) {
            Some(path) => tokio::fs::read(path).await.ok(),
            None => None,
        };
        let mut response = http::Response::new(Bytes::new());
        match archive {
            Some(bytes) => *response.body_mut() = bytes.into(),
            None => *response.status_mut() = http::StatusCode::NOT_FOUND,
        }
        whole(response)
    }

    /// A call of a function's URL.
    async fn function_url(
        &self,
        parts: &http::request::Parts,
        body: Incoming,
        claim: &Result<Option<Claim>, Error>,
    ) -> http::Response<ResponseBody> {
        let body = match collect(&parts.headers, body, MAX_URL_BODY).await {
            Ok(body) => body,
            Err(e) => return whole(codec::encode_error(Protocol::RestJson, &e, "")),
        };
        let query = parts.uri.query().unwrap_or_default();
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let request = codec::Request { method, path, query, headers: &parts.headers, body: &body };
        let cx = Cx::new(self.router.clone(), Principal::Anonymous, &self.account, &self.region);
        let cx = cx.with_origin(origin(parts));
        let caller = match claim {
            Ok(None) => Ok(None),
            Ok(Some(signed)) => match check_scope(signed, "lambda", &http::HeaderMap::new()) {
                Ok(()) => self.authenticate(&cx, claim, &request).await.map(Some),
                Err(error) => Err(error),
            },
            Err(error) => Err(error.clone()),
        };
        let (method, headers, origin) = (&parts.method, &parts.headers, origin(parts));
        let by_tls = parts.extensions.get::<s3_service::Peer>().is_some_and(|peer| peer.by_tls);
        let call = lambda::UrlCall { method, path, query, headers, body: body.clone(), origin, by_tls, caller };
        self.lambda.call_url(call).await.map(|body| match body {
            lambda::UrlBody::Whole(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
            lambda::UrlBody::Pieces(pieces) => Written(pieces).boxed_unsync(),
        })
    }

    /// What the links in SNS's messages lead to.
    async fn link(&self, parts: &http::request::Parts, query: &str) -> Option<http::Response<ResponseBody>> {
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        match self.links.certificate(path).await {
            Ok(Some(pem)) => return Some(whole(http::Response::new(pem.into()))),
            Ok(None) => {}
            Err(e) => return Some(whole(codec::encode_error(Protocol::Query, &e, ""))),
        }
        if !messaging::Links::is_meant(method, path, query) {
            return None;
        }
        let request = codec::Request { method, path, query, headers: &parts.headers, body: b"" };
        let operation = query::action(&request).unwrap_or_default();
        let found = self.router.find("sns", &operation)?;
        let cx = Cx::new(self.router.clone(), Principal::Anonymous, &self.account, &self.region);
        let followed = async {
            let input = codec::decode_input(found, Protocol::Query, &request)?;
            self.links.follow(&cx, &operation, input).await
        };
        Some(whole(match followed.await {
            Ok(output) => codec::encode_output(found, Protocol::Query, &output, cx.request_id()),
            Err(e) => {
                let e = masked(renamed(e, Protocol::Query), found, cx.request_id());
                codec::encode_error(Protocol::Query, &e, cx.request_id())
            }
        }))
    }

    /// What a custom resource or a wait condition is answered with, which is put: who only looks at the link does not answer.
    async fn stack_answer(
        &self,
        parts: &http::request::Parts,
        token: &str,
        body: Incoming,
    ) -> http::Response<ResponseBody> {
        let mut response = http::Response::new(Bytes::new());
        if parts.method != http::Method::PUT {
            *response.status_mut() = http::StatusCode::FORBIDDEN;
            return whole(response);
        }
        let answer = match collect(&parts.headers, body, MAX_ANSWER).await {
            Ok(body) => self.cloudformation.take_answer(token, &body).await,
            Err(error) => Err(error),
        };
        *response.status_mut() = match answer {
            Ok(true) => http::StatusCode::OK,
            Ok(false) => http::StatusCode::FORBIDDEN,
            Err(error) => http::StatusCode::from_u16(error.status()).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR),
        };
        whole(response)
    }

    /// The service that a request is for, as its credential scope says, or the target of one that is not signed.
    fn named_service(&self, parts: &http::request::Parts, claim: Option<&Claim>) -> Option<&'static str> {
        let Some(claim) = claim else {
            let target = parts.headers.get("x-amz-target")?.to_str().ok()?;
            return self.names.of_target(target.split('.').next()?);
        };
        // Two services sign with one name, and one of them has a protocol with a target.
        let of_endpoints = claim.service == "sagemaker" && parts.uri.path().starts_with("/endpoints/");
        let own = if of_endpoints { Some("sagemakerruntime") } else { self.names.signed(&claim.service) };
        Some(own.unwrap_or("unknown"))
    }

    /// Service and operation of a request that is not S3's.
    fn find(
        &self,
        named: Option<&'static str>,
        request: &codec::Request<'_>,
    ) -> Result<&'static OperationSpec, (Protocol, Error)> {
        let protocol = asked(request.headers);
        let unknown = |service: &str, operation: &str| (protocol, Error::unknown_operation(service, operation));
        if protocol == Protocol::RpcV2Cbor {
            let (prefix, operation) = cbor::target(request.path).unwrap_or(("", request.path));
            let service = self.names.of_target(prefix).or(named).unwrap_or("unknown");
            return self.router.find(service, operation).ok_or_else(|| unknown(service, operation));
        }
        if let Some(target) = request.headers.get("x-amz-target").and_then(|v| v.to_str().ok()) {
            let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
            let own = self.names.of_target(prefix);
            if own.is_none() && named == Some("dynamodb") {
                return Err((Protocol::AwsJson10, Error::unknown_operation("dynamodb", target)));
            }
            let service = own.or(named).unwrap_or("unknown");
            return self.router.find(service, operation).ok_or_else(|| unknown(service, operation));
        }
        let service = named.unwrap_or("unknown");
        if service == "dynamodb" {
            return Err((Protocol::AwsJson10, Error::unknown_operation(service, "without X-Amz-Target")));
        }
        let action = query::action(request);
        let rest = self.names.is_rest(service);
        if rest || (action.is_none() && (request.method != "POST" || request.path != "/")) {
            let operations = self.router.operations();
            let own = operations.iter().filter(|o| rest && o.service.name == service);
            return rest::route(own, (request.method, request.path, request.query)).ok_or_else(|| {
                let operation = format!("{} {}", request.method, request.path);
                (Protocol::RestJson, Error::unknown_operation(service, &operation))
            });
        }
        let Some(action) = action else {
            return Err((
                protocol,
                Error::new("MissingAction", 400, "The request names no operation (X-Amz-Target or Action)"),
            ));
        };
        let invalid = |message| (Protocol::Query, Error::new("InvalidAction", 400, message));
        let found = self.router.find(service, &action);
        let found = found.ok_or_else(|| invalid(format!("Could not find operation {action} of service {service}")))?;
        if found.service.protocol != Protocol::Query {
            return Err(invalid(format!(
                "{service} is spoken in its model's protocols, which the query protocol is not of"
            )));
        }
        Ok(found)
    }

    /// A request's body. Of somebody whose key is not known no more is taken than what that is told by.
    async fn body(
        &self,
        cx: &Cx,
        parts: &http::request::Parts,
        claim: &Result<Option<Claim>, Error>,
        body: Incoming,
        limit: usize,
    ) -> Result<Bytes, Error> {
        let is_small = body.size_hint().upper().is_some_and(|n| n <= u64::try_from(body::FROM_ANYBODY).unwrap_or(0));
        if is_small || self.is_known(cx, parts, claim).await {
            return collect(&parts.headers, body, limit).await;
        }
        match collect(&parts.headers, body, limit.min(body::FROM_ANYBODY)).await {
            Err(error) if error.status() == 413 => {
                let request = codec::Request {
                    method: parts.method.as_str(),
                    path: parts.uri.path(),
                    query: parts.uri.query().unwrap_or_default(),
                    headers: &parts.headers,
                    body: b"",
                };
                Err(self.authenticate(cx, claim, &request).await.err().unwrap_or(error))
            }
            collected => collected,
        }
    }

    /// Whether the key that a request says it is signed with is one, of a session that lasts.
    async fn is_known(&self, cx: &Cx, parts: &http::request::Parts, claim: &Result<Option<Claim>, Error>) -> bool {
        match claim {
            Ok(Some(claim)) => match self.router.identity().credentials(&claim.access_key).await {
                Ok(Some(keys)) => keys.check_session(claim.session_token.as_deref(), cx.now()).is_ok(),
                _ => false,
            },
            Ok(None) => false,
            Err(_) => iceberg::has_token(&self.router, &parts.headers).await,
        }
    }

    /// Checks signature, session and expiry; the context with the caller in it.
    async fn authenticate(
        &self,
        cx: &Cx,
        claim: &Result<Option<Claim>, Error>,
        request: &codec::Request<'_>,
    ) -> Result<Cx, Error> {
        let claim =
            claim.as_ref().map_err(Clone::clone)?.as_ref().ok_or_else(|| {
                Error::new("MissingAuthenticationToken", 403, "Request is missing Authentication Token")
            })?;
        let unknown =
            || Error::new("InvalidClientTokenId", 403, "The security token included in the request is invalid.");
        let keys = self.router.identity().credentials(&claim.access_key).await?.ok_or_else(unknown)?;
        keys.check_session(claim.session_token.as_deref(), cx.now())?;
        let hash = sha256_hex(request.body);
        let said = request.headers.get("x-amz-content-sha256").and_then(|v| v.to_str().ok());
        // Iceberg's Java client says the hash in base64, and signs its hex. Source: `RESTSigV4AuthSession` of iceberg-aws.
        let said = said.map(|text| hex_of_base64(text).map_or(Cow::Borrowed(text), Cow::Owned));
        let said = said.as_deref();
        if said.is_some_and(|s| s.len() == 64 && s != hash) {
            return Err(Error::new(
                "SignatureDoesNotMatch",
                403,
                "The body does not have the hash that x-amz-content-sha256 says",
            ));
        }
        let signable = Signable {
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
            payload_hash: said.filter(|s| s.len() != 64).unwrap_or(&hash),
        };
        self.signing_keys.check(claim, &signable, &keys.secret_key, cx.now())?;
        if matches!(keys.principal, Principal::User { context: None, .. }) {
            self.router.identity().used(&claim.access_key, &claim.service, &claim.region).await?;
        }
        Ok(cx.with_credentials(keys).with_region(&claim.region))
    }
}

/// The name that a service's requests are signed with.
fn signs_as(service: &str) -> &str {
    match service {
        "cloudcontrol" => "cloudcontrolapi",
        "cloudwatch" => "monitoring",
        "dynamodbstreams" => "dynamodb",
        "sagemakerruntime" => "sagemaker",
        other => other,
    }
}

/// A signature is good for the service that it was made for, and for the operation that was signed.
/// Source: IAM User Guide, "Elements of an AWS API request signature".
fn check_scope(claim: &Claim, service: &str, headers: &http::HeaderMap) -> Result<(), Error> {
    let wanted = signs_as(service);
    if claim.service != wanted {
        let message = format!("Credential should be scoped to correct service: '{wanted}'.");
        return Err(Error::new("SignatureDoesNotMatch", 403, message));
    }
    if headers.contains_key("x-amz-target") && !claim.signed_headers.split(';').any(|name| name == "x-amz-target") {
        let message = "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(Error::new("SignatureDoesNotMatch", 403, message));
    }
    Ok(())
}

/// Where a request came from.
fn origin(parts: &http::request::Parts) -> Origin {
    let text = |name| parts.headers.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok());
    let peer = parts.extensions.get::<s3_service::Peer>();
    let (agent, referer) = (text(http::header::USER_AGENT), text(http::header::REFERER));
    let origin = Origin::new(peer.map(|peer| peer.address), agent, referer);
    Origin { secure: peer.map_or(origin.secure, |peer| peer.secure), ..origin }
}

/// Characters of a SHA-256 in base64.
const BASE64_BYTES: usize = 44;

/// The hex of a SHA-256 that is in base64.
fn hex_of_base64(text: &str) -> Option<String> {
    use base64::Engine as _;
    use std::fmt::Write as _;
    if text.len() != BASE64_BYTES {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 32)?;
    Some(bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// Keys derived for a day, a region and a service, which a client uses again and again; with the secrets that they are of.
#[derive(Default)]
struct SigningKeys(Mutex<KnownKeys>);

/// By access key.
type KnownKeys = BTreeMap<String, Vec<KnownKey>>;

struct KnownKey {
    date: String,
    region: String,
    service: String,
    secret: String,
    key: SigningKey,
}

impl KnownKey {
    fn is_for(&self, claim: &Claim, secret: &str) -> bool {
        self.date == claim.date && self.region == claim.region && self.service == claim.service && self.secret == secret
    }
}

/// Access keys, and keys derived from one secret.
const MAX_ACCESS_KEYS: usize = 1000;
const MAX_SIGNING_KEYS: usize = 100;

impl SigningKeys {
    /// Checks the claim. Only keys that have signed something are kept.
    fn check(&self, claim: &Claim, request: &Signable<'_>, secret: &str, now: jiff::Timestamp) -> Result<(), Error> {
        let of_access_key = |known: &KnownKeys| {
            let mut all = known.get(&claim.access_key)?.iter();
            all.find(|known| known.is_for(claim, secret)).map(|known| known.key.clone())
        };
        let known = of_access_key(&self.known());
        if let Some(key) = known {
            return claim.check_with(request, &key, now);
        }
        let key = claim.signing_key(secret);
        claim.check_with(request, &key, now)?;
        let mut known = self.known();
        if known.len() >= MAX_ACCESS_KEYS {
            known.clear();
        }
        let keys = known.entry(claim.access_key.clone()).or_default();
        if keys.len() >= MAX_SIGNING_KEYS {
            keys.clear();
        }
        let Claim { date, region, service, .. } = claim.clone();
        keys.push(KnownKey { date, region, service, secret: secret.to_owned(), key });
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, KnownKeys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose signature names no service is S3's, unless it is in another protocol: that is S3's too where nobody has signed, and
/// only its POSTs have to be told from those of other services.
fn is_s3(parts: &http::request::Parts) -> bool {
    if parts.headers.contains_key("x-amz-target") {
        return false;
    }
    if parts.method != "POST" {
        return true;
    }
    let kind = parts.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let keys = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    kind.to_ascii_lowercase().starts_with("multipart/form-data")
        || keys.into_iter().any(|key| ["delete", "uploads", "uploadId", "select", "restore"].contains(&key))
}

/// The largest body that a request for a service may have.
fn largest(named: Option<&str>, is_dynamodb: bool, headers: &http::HeaderMap) -> usize {
    match named {
        _ if is_dynamodb => dynamodb::MAX_BODY,
        Some("lambda" | "sagemakerruntime") => MAX_BODY,
        _ if asked(headers) == Protocol::Query => MAX_FORM,
        _ => MAX_ORDINARY_BODY,
    }
}

/// Operations that change something and wait for it to be there: nothing is given to a client that has gone. What a function answers in
/// pieces is nobody else's either; its invocation goes on by itself.
const IS_WAITED_FOR: [&str; 3] = ["ReceiveMessage", "GetActivityTask", "InvokeWithResponseStream"];

/// A request that nobody signs: what it has of a token says who asks. Source: STS API reference, AssumeRoleWithWebIdentity.
fn is_by_token(request: &codec::Request<'_>) -> bool {
    (request.method == "GET" || asked(request.headers) == Protocol::Query)
        && query::action(request).as_deref() == Some(BY_TOKEN)
}

const BY_TOKEN: &str = "AssumeRoleWithWebIdentity";

/// A service that is AWS's alone, by the name that requests are signed with.
fn not_here(service: &str) -> Error {
    let name = match service {
        "kinesis" => "Kinesis",
        "firehose" => "Kinesis Data Firehose",
        "ec2" => "EC2",
        "ecs" => "ECS",
        "ecr" => "ECR",
        "kms" => "KMS",
        "rds" => "RDS",
        "redshift" => "Redshift",
        "elasticmapreduce" => "EMR",
        "execute-api" | "apigateway" => "API Gateway",
        "cognito-idp" => "Cognito",
        "lakeformation" => "Lake Formation",
        "batch" => "Batch",
        "ses" => "SES",
        "xray" => "X-Ray",
        other => other,
    };
    Error::new(
        "UnknownOperationException",
        400,
        format!("{name} is not part of Lakerun (COMPATIBILITY.md lists what is)"),
    )
}

/// The protocol that a request is in, as far as its head tells.
fn asked(headers: &http::HeaderMap) -> Protocol {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|v| v.as_bytes().starts_with(value.as_bytes()));
    if is(cbor::PROTOCOL.0, cbor::PROTOCOL.1) {
        Protocol::RpcV2Cbor
    } else if headers.contains_key("x-amz-target") {
        if is("content-type", "application/x-amz-json-1.0") { Protocol::AwsJson10 } else { Protocol::AwsJson11 }
    } else if is("content-type", "application/x-www-form-urlencoded") {
        Protocol::Query
    } else {
        Protocol::RestJson
    }
}

/// CloudWatch is spoken in three protocols: the request's own decides.
fn spoken(spec: &OperationSpec, headers: &http::HeaderMap) -> Protocol {
    match (asked(headers), spec.service.protocol) {
        (Protocol::RpcV2Cbor, _) => Protocol::RpcV2Cbor,
        (Protocol::AwsJson10 | Protocol::AwsJson11, Protocol::Query) => Protocol::AwsJson10,
        (_, protocol) => protocol,
    }
}

/// The body of a request that was compressed for the way: SDKs do so with large PutMetricData. REST services take bodies as they are.
/// Source: AWS SDKs and Tools Reference Guide, "Request compression".
///
/// `deflate` is zlib's format (RFC 9110, 8.4.1.2), which DynamoDB takes too, as ScyllaDB's people found when they asked it.
fn unpacked(request: &codec::Request<'_>, protocol: Protocol, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    let encoding = request.headers.get("content-encoding").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = encoding.trim().to_ascii_lowercase();
    if matches!(protocol, Protocol::RestJson | Protocol::RestXml) {
        return Ok(None);
    }
    match encoding.as_str() {
        // A file of several members is one body (RFC 1952, 2.2).
        "gzip" => inflate(flate2::read::MultiGzDecoder::new(request.body), &encoding, limit).map(Some),
        "deflate" => inflate(flate2::read::ZlibDecoder::new(request.body), &encoding, limit).map(Some),
        _ => Ok(None),
    }
}

/// What is longer than a body may be is given up as soon as that shows.
fn inflate(packed: impl std::io::Read, encoding: &str, limit: usize) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut body = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = packed.take(most).read_to_end(&mut body);
    read.map_err(|error| Error::serialization(format!("the body is not {encoding}: {error}")))?;
    if body.len() > limit { Err(too_large(limit)) } else { Ok(body) }
}

/// What a node says that may no longer own the stores: it could not reach the database for too long.
const NOT_OWNER: &str = "without its lease";

fn turned_away(what: &str) -> Error {
    Error::new("ServiceUnavailable", 503, format!("The server is {what}; try again"))
}

/// The connections that are open, by address.
#[derive(Default)]
struct Connections(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A connection's place, which it gives back however it ends.
struct Place(Arc<Mutex<BTreeMap<IpAddr, usize>>>, IpAddr);

impl Connections {
    /// None where there are as many as may be.
    fn place(&self, of: IpAddr) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(&of).copied().unwrap_or_default();
        if own >= MAX_OF_ADDRESS || open.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        open.insert(of, own + 1);
        Some(Place(Arc::clone(&self.0), of))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.1) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(open.remove(&self.1)),
        }
    }
}

/// A request under way, counted until it is answered or its future has ended otherwise.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a request is told while the server starts or stops, and when to come again: SDKs that know the header wait so long, which is
/// what a restart takes, before they try once more. Source: botocore 1.44's `retries/standard.py`, which reads milliseconds.
fn unavailable(parts: &http::request::Parts, what: &str) -> http::Response<ResponseBody> {
    const AGAIN_MS: &str = "2000";
    let s3 = Claim::of(&parts.headers, parts.uri.query().unwrap_or_default())
        .ok()
        .flatten()
        .is_some_and(|c| c.service == "s3");
    let protocol = if s3 { Protocol::RestXml } else { asked(&parts.headers) };
    let error = turned_away(what);
    let mut response = codec::encode_error(protocol, &error, "");
    let headers = response.headers_mut();
    headers.insert("x-amz-retry-after", http::HeaderValue::from_static(AGAIN_MS));
    headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    whole(response)
}

/// Tells all who come to come again, until dropped: for a start that takes long.
pub async fn starting(listener: &TcpListener, tls: Option<Tls>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            // What another node says before its client's request is none of the request's.
            match tokio::time::timeout(HEADER_TIMEOUT, forward::begins(&mut stream)).await?? {
                forward::Begins::Node => Ok(()),
                forward::Begins::Preface(_) | forward::Begins::Otherwise => turn_away(stream, tls, "starting").await,
            }
        });
    }
}

/// Tells the client to come again, by TLS where it asks so.
async fn turn_away(stream: TcpStream, tls: Option<Tls>, what: &'static str) -> std::io::Result<()> {
    match tls {
        Some(tls) if tls::begins(&stream).await? => say_again(tls.accept(stream).await?, what).await,
        _ => say_again(stream, what).await,
    }
}

async fn say_again(stream: impl AsyncRead + AsyncWrite + Unpin, what: &'static str) -> std::io::Result<()> {
    let answer = move |request: http::Request<Incoming>| async move {
        Ok::<_, Infallible>(match forward::Health::asked(&request) {
            Some(health) => whole(health.answer(false)),
            None => unavailable(&request.into_parts().0, what),
        })
    };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(e) = connection.await {
        tracing::debug!(error = %e, "connection ended");
    }
    Ok(())
}

/// Is that a look at `/metrics`, and by one who may? None for what is S3's.
fn may_look<B>(request: &http::Request<B>, token: Option<&str>) -> Option<bool> {
    if request.uri().path() != metrics::PATH || !forward::is_look(request) {
        return None;
    }
    let Some(given) = request.headers().get(http::header::AUTHORIZATION) else {
        let peer = request.extensions().get::<s3_service::Peer>();
        return Some(peer.is_some_and(|peer| peer.address.to_canonical().is_loopback()));
    };
    // Else it is signed: a bucket of this name.
    let bearer = given.as_bytes().strip_prefix(b"Bearer ")?;
    // Of the same length whatever is given.
    let digest = |text: &[u8]| ring::digest::digest(&ring::digest::SHA256, text);
    Some(token.is_some_and(|token| digest(bearer).as_ref() == digest(token.as_bytes()).as_ref()))
}

async fn looked_at(metrics: &Metrics, may: bool) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    if !may {
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        *response.body_mut() = Bytes::from_static(b"[metrics] token: as a bearer, or ask from this machine\n");
        return response;
    }
    match metrics.shown().await {
        Some(text) => {
            *response.body_mut() = text;
            response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(metrics::TYPE));
        }
        None => *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

/// Notes what was asked, for its metrics.
fn asked_of(mut response: http::Response<ResponseBody>, spec: &OperationSpec) -> http::Response<ResponseBody> {
    response.extensions_mut().insert(metrics::Asked(spec.service.name, spec.name));
    response
}

/// What S3's requests are counted by.
fn method_name(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// JSON services have names of their own for two errors of authentication.
fn renamed(e: Error, protocol: Protocol) -> Error {
    let json = !matches!(protocol, Protocol::Query | Protocol::RestXml);
    match e.code() {
        "InvalidClientTokenId" if json => Error::new("UnrecognizedClientException", 403, e.message()),
        "SignatureDoesNotMatch" if json => Error::new("InvalidSignatureException", 403, e.message()),
        "AccessDeniedException" if !json => Error::new("AccessDenied", 403, e.message()),
        "ValidationException" if protocol == Protocol::Query => Error::new("ValidationError", e.status(), e.message()),
        _ => e,
    }
}

/// SNS has a name of its own for what a caller may not. Source: SNS API reference, errors of its operations.
fn by_service(e: Error, spec: &OperationSpec) -> Error {
    if spec.service.name == "sns" && e.is("AccessDenied") {
        return Error::new("AuthorizationError", 403, e.message());
    }
    e
}

/// The cause of an internal error is for the log; the client gets the request's id.
fn masked(e: Error, spec: &OperationSpec, id: &str) -> Error {
    if e.status() < 500 || e.code() != "InternalFailure" {
        return e;
    }
    tracing::error!(request_id = id, service = spec.service.name, operation = spec.name, error = %e.message(), "internal failure");
    // What the caller's operator can mend is told; other causes are the log's.
    let what =
        if store::room::is_full(e.message()) { "The server's disk is full" } else { "An internal error occurred" };
    Error::new("InternalFailure", 500, format!("{what}; the log has its cause under request id {id}"))
}

/// An answer of which the head is known, and its body as it is written.
fn streamed(head: http::Response<Bytes>, pieces: lambda::Pieces) -> http::Response<ResponseBody> {
    let mut response = head.map(|_| Written(pieces).boxed_unsync());
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
    let kind = http::HeaderValue::from_static("application/vnd.amazon.eventstream");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// A body that is sent piece by piece as somebody writes it.
struct Written(lambda::Pieces);

impl Body for Written {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(Into::into)))
    }
}

fn whole(response: http::Response<Bytes>) -> http::Response<ResponseBody> {
    response.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_whose_client_has_gone_counts_no_more() {
        let count = Arc::<AtomicUsize>::default();
        let request = async {
            let _under_way = UnderWay::new(Arc::clone(&count));
            std::future::pending::<()>().await;
        };
        let seen = tokio::time::timeout(Duration::from_millis(1), request).await;
        assert!(seen.is_err());
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_connection_gives_its_place_back_also_by_a_panic() {
        let connections = Connections::default();
        let [one, other] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let places: Vec<_> = (0..MAX_OF_ADDRESS).map(|_| connections.place(one).unwrap()).collect();
        assert!(connections.place(one).is_none());
        let place = connections.place(other).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _place = place;
            std::panic::resume_unwind(Box::new("a handler"));
        }));
        assert!(panicked.is_err());
        assert_eq!(connections.0.lock().unwrap().get(&other), None);
        drop(places);
        assert!(connections.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_signature_is_good_for_its_service_and_its_operation() {
        let claim = |service: &str, signed: &str| Claim {
            access_key: "AK".to_owned(),
            date: "20130524".to_owned(),
            region: "us-east-1".to_owned(),
            service: service.to_owned(),
            signed_headers: signed.to_owned(),
            signature: String::new(),
            time: "20130524T000000Z".to_owned(),
            expires: None,
            session_token: None,
        };
        let mut target = http::HeaderMap::new();
        target.insert("x-amz-target", http::HeaderValue::from_static("secretsmanager.ListSecrets"));
        let check = |claim: &Claim, service: &str, headers: &http::HeaderMap| {
            check_scope(claim, service, headers).map_err(|e| e.message().to_owned())
        };
        check(&claim("secretsmanager", "host;x-amz-target"), "secretsmanager", &target).unwrap();
        check(&claim("monitoring", "host"), "cloudwatch", &http::HeaderMap::new()).unwrap();
        check(&claim("dynamodb", "host;x-amz-target"), "dynamodbstreams", &target).unwrap();
        let other = check(&claim("sts", "host;x-amz-target"), "secretsmanager", &target).unwrap_err();
        assert_eq!(other, "Credential should be scoped to correct service: 'secretsmanager'.");
        let unsigned = check(&claim("secretsmanager", "host"), "secretsmanager", &target).unwrap_err();
        assert!(unsigned.starts_with("'X-Amz-Target' must be a 'SignedHeader'"), "{unsigned}");
    }
}
