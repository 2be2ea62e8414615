//! Clients of S3, over its HTTP door: each has keys of its own in a plain bucket and in one with versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use wire::sigv4::{SigningKeys, sign_request};

use super::{Outcome, World};
use crate::chance::Chance;

const PLAIN: &str = "plain";
const VERSIONED: &str = "versioned";

/// A body by what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Body {
    serial: u64,
    len: usize,
}

impl Body {
    fn bytes(self) -> Bytes {
        format!("{}:{};", self.serial, self.len).bytes().cycle().take(self.len).collect::<Vec<u8>>().into()
    }
}

/// What a key may hold: one of these.
type States = BTreeSet<Option<Body>>;

/// What is asked for.
#[derive(Clone, Debug)]
enum Ask {
    Put { key: String, body: Body, only_new: bool },
    Copy { from: String, to: String, body: Body },
    Delete { key: String },
    PutVersion { key: String, body: Body },
    MarkVersion { key: String },
    DeleteVersion { key: String, version: String },
    Begin { key: String },
    Part { key: String, upload: String, body: Body },
    Complete { key: String, upload: String, etag: String, body: Body },
    Abort { key: String, upload: String },
}

/// One client. Cheap to clone; what it remembers outlives the process that it asks.
#[derive(Clone)]
pub(super) struct ObjectsClient(Arc<Mutex<State>>);

struct State {
    number: u64,
    steps: u64,
    serial: u64,
    chance: Chance,
    /// Sent, and not answered.
    under_way: Option<Ask>,
    plain: BTreeMap<String, States>,
    versions: BTreeMap<String, Versions>,
    upload: Option<Upload>,
}

/// What is known of a key with versions.
#[derive(Clone, Debug, Default)]
struct Versions {
    /// By their ids; no body: a delete marker.
    known: BTreeMap<String, Option<Body>>,
    /// Those that may be there, under ids that nobody was told.
    doubtful: Vec<Option<Body>>,
    /// Of the known, those whose deletion nobody was told the end of.
    fading: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Upload {
    key: String,
    id: String,
    part: Option<(String, Body)>,
    /// Its completion, or its end, was asked for and not answered.
    completing: bool,
    aborting: bool,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim_matches('"').to_owned()
    }
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// The texts of all elements of this name.
    fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let text = self.text();
        text.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
    }
    fn code(&self) -> String {
        self.all("Code").pop().unwrap_or_default()
    }
}

impl World {
    async fn s3(&self, method: &str, uri: &str, more: &[(&'static str, &str)], body: Bytes) -> Answer {
        let mut headers = http::HeaderMap::new();
        headers.insert("host", http::HeaderValue::from_static("127.0.0.1:4566"));
        headers.insert("content-length", body.len().into());
        for (name, value) in more {
            headers.insert(*name, value.parse().expect("a header's value"));
        }
        let keys = SigningKeys { access_key: "root", secret_key: "secret", session_token: None };
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let now = jiff::Timestamp::now();
        sign_request((method, path, query), &mut headers, &body, (super::REGION, "s3"), &keys, now);
        let mut request = http::Request::new(s3s::Body::from(body));
        *request.method_mut() = method.parse().expect("a method");
        *request.uri_mut() = uri.parse().expect("a path");
        *request.headers_mut() = headers;
        let (parts, body) = self.door.serve(request).await.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            // Cut short on its way, which a client takes for a failure.
            Err(_) => return Answer { status: 500, headers: parts.headers, body: Bytes::new() },
        };
        self.ground.unless_dead().await;
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Asks until the answer is one: of what only reads, and of what may be asked twice.
    async fn s3_surely(&self, method: &str, uri: &str, body: Bytes) -> Answer {
        let mut tries = 0;
        loop {
            let answer = self.s3(method, uri, &[], body.clone()).await;
            if answer.status < 500 || self.ground.is_lasting(&mut tries, uri).await {
                return answer;
            }
        }
    }
}

impl ObjectsClient {
    pub(super) fn new(number: u64, steps: u64, chance: Chance) -> Self {
        let (serial, under_way, plain, versions, upload) = Default::default();
        Self(Arc::new(Mutex::new(State { number, steps, serial, chance, under_way, plain, versions, upload })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.steps == 0 && state.under_way.is_none()
    }

    /// Goes on where it was, in a new life of the process.
    pub(super) async fn follow(self, world: World) {
        for bucket in [PLAIN, VERSIONED] {
            world.s3_surely("PUT", &format!("/{bucket}"), Bytes::new()).await;
        }
        let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        world.s3_surely("PUT", &format!("/{VERSIONED}?versioning"), enabled.into()).await;
        let lost = self.state().under_way.take();
        if let Some(ask) = lost {
            self.doubt(&world, &ask);
        }
        loop {
            let (ask, pause) = {
                let mut state = self.state();
                if state.steps == 0 {
                    return;
                }
                state.steps -= 1;
                let ask = state.next();
                state.under_way = Some(ask.clone());
                (ask, state.chance.below(40))
            };
            world.ground.told().operations += 1;
            let outcome = self.ask(&world, &ask).await;
            self.state().under_way = None;
            match outcome {
                Outcome::Done(answer) => self.done(&world, &ask, &answer),
                Outcome::Doubtful => self.doubt(&world, &ask),
                Outcome::Refused(code) => self.refused(&world, &ask, &code),
            }
            if pause < 10 {
                self.look(&world).await;
            }
            world.ground.sleep_ms(pause).await;
        }
    }

    async fn ask(&self, world: &World, ask: &Ask) -> Outcome<Answer> {
        let at = |bucket: &str, key: &str| format!("/{bucket}/{key}");
        let none = Bytes::new;
        let answer = match ask {
            Ask::Put { key, body, only_new } => {
                let more: &[(&'static str, &str)] = if *only_new { &[("if-none-match", "*")] } else { &[] };
                world.s3("PUT", &at(PLAIN, key), more, body.bytes()).await
            }
            Ask::Copy { from, to, .. } => {
                world.s3("PUT", &at(PLAIN, to), &[("x-amz-copy-source", &at(PLAIN, from))], none()).await
            }
            Ask::Delete { key } => world.s3("DELETE", &at(PLAIN, key), &[], none()).await,
            Ask::PutVersion { key, body } => world.s3("PUT", &at(VERSIONED, key), &[], body.bytes()).await,
            Ask::MarkVersion { key } => world.s3("DELETE", &at(VERSIONED, key), &[], none()).await,
            Ask::DeleteVersion { key, version } => {
                world.s3("DELETE", &format!("/{VERSIONED}/{key}?versionId={version}"), &[], none()).await
            }
            Ask::Begin { key } => world.s3("POST", &format!("/{PLAIN}/{key}?uploads="), &[], none()).await,
            Ask::Part { key, upload, body } => {
                let uri = format!("/{PLAIN}/{key}?partNumber=1&uploadId={upload}");
                world.s3("PUT", &uri, &[], body.bytes()).await
            }
            Ask::Complete { key, upload, etag, .. } => {
                let part = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>");
                let parts = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
                world.s3("POST", &format!("/{PLAIN}/{key}?uploadId={upload}"), &[], parts.into()).await
            }
            Ask::Abort { key, upload } => {
                world.s3("DELETE", &format!("/{PLAIN}/{key}?uploadId={upload}"), &[], none()).await
            }
        };
        // The completion of an upload may fail after its status has been sent.
        let code = answer.code();
        match answer.status {
            500.. => Outcome::Doubtful,
            400..500 => Outcome::Refused(code),
            _ if code == "InternalError" => Outcome::Doubtful,
            _ => Outcome::Done(answer),
        }
    }

    fn done(&self, world: &World, ask: &Ask, answer: &Answer) {
        let mut state = self.state();
        let version = answer.header("x-amz-version-id");
        match ask {
            Ask::Put { key, body, .. } | Ask::Copy { to: key, body, .. } => state.holds(key, Some(*body)),
            Ask::Delete { key } => state.holds(key, None),
            Ask::PutVersion { key, body } => {
                state.versions.entry(key.clone()).or_default().known.insert(version.clone(), Some(*body));
            }
            Ask::MarkVersion { key } => {
                state.versions.entry(key.clone()).or_default().known.insert(version.clone(), None);
            }
            Ask::DeleteVersion { key, version } => {
                let versions = state.versions.entry(key.clone()).or_default();
                versions.known.remove(version);
                versions.fading.remove(version);
            }
            Ask::Begin { key } => {
                let id = answer.all("UploadId").pop().unwrap_or_default();
                state.upload = Some(Upload { key: key.clone(), id, part: None, completing: false, aborting: false });
            }
            Ask::Part { body, .. } => {
                let part = (answer.header("etag"), *body);
                if let Some(upload) = &mut state.upload {
                    upload.part = Some(part);
                }
            }
            Ask::Complete { key, body, .. } => {
                state.holds(key, Some(*body));
                state.upload = None;
            }
            Ask::Abort { .. } => state.upload = None,
        }
        drop(state);
        if matches!(ask, Ask::PutVersion { .. } | Ask::MarkVersion { .. }) && version.is_empty() {
            world.ground.fault(format!("{ask:?} was answered without a version"));
        }
    }

    fn doubt(&self, world: &World, ask: &Ask) {
        world.ground.told().doubtful += 1;
        let mut state = self.state();
        match ask {
            Ask::Put { key, body, .. } | Ask::Copy { to: key, body, .. } => state.may_hold(key, Some(*body)),
            Ask::Delete { key } => state.may_hold(key, None),
            Ask::PutVersion { key, body } => {
                state.versions.entry(key.clone()).or_default().doubtful.push(Some(*body));
            }
            Ask::MarkVersion { key } => state.versions.entry(key.clone()).or_default().doubtful.push(None),
            Ask::DeleteVersion { key, version } => {
                state.versions.entry(key.clone()).or_default().fading.insert(version.clone());
            }
            // Nobody knows the upload's id: what is left of it is found by listing.
            Ask::Begin { .. } => {}
            // The part is there or not, or is the one before: sent once more, it is known.
            Ask::Part { .. } => {
                if let Some(upload) = &mut state.upload {
                    upload.part = None;
                }
            }
            Ask::Complete { key, body, .. } => {
                state.may_hold(key, Some(*body));
                if let Some(upload) = &mut state.upload {
                    upload.completing = true;
                }
            }
            Ask::Abort { .. } => {
                if let Some(upload) = &mut state.upload {
                    upload.aborting = true;
                }
            }
        }
    }

    fn refused(&self, world: &World, ask: &Ask, code: &str) {
        let mut state = self.state();
        let is_right = match ask {
            Ask::Put { key, only_new: true, .. } if code == "PreconditionFailed" => {
                let states = state.plain.entry(key.clone()).or_insert_with(nothing);
                states.remove(&None);
                !states.is_empty()
            }
            Ask::Copy { from, .. } if code == "NoSuchKey" => {
                let states = state.plain.entry(from.clone()).or_insert_with(nothing);
                states.retain(Option::is_none);
                !states.is_empty()
            }
            // It was aborted, and nobody was told.
            Ask::Abort { .. } if code == "NoSuchUpload" => {
                let was_asked = state.upload.as_ref().is_some_and(|upload| upload.aborting);
                state.upload = None;
                was_asked
            }
            _ => false,
        };
        drop(state);
        if !is_right {
            world.ground.fault(format!("{ask:?} was refused: {code}"));
        }
    }

    /// Reads one key.
    async fn look(&self, world: &World) {
        let key = {
            let mut state = self.state();
            let keys: Vec<String> = state.plain.keys().cloned().collect();
            if keys.is_empty() {
                return;
            }
            state.chance.pick(&keys).clone()
        };
        let answer = world.s3_surely("GET", &format!("/{PLAIN}/{key}"), Bytes::new()).await;
        self.seen(world, &key, &answer);
    }

    /// What a key holds is one of what it may hold, and is known from now on.
    fn seen(&self, world: &World, key: &str, answer: &Answer) {
        let mut state = self.state();
        let states = state.plain.entry(key.to_owned()).or_insert_with(nothing);
        let found: Vec<Option<Body>> = states
            .iter()
            .filter(|state| match state {
                Some(body) => answer.status == 200 && answer.body == body.bytes(),
                None => answer.status == 404,
            })
            .copied()
            .collect();
        if let Some(found) = found.first() {
            *states = BTreeSet::from([*found]);
        } else {
            let start = answer.text().chars().take(20).collect::<String>();
            let what = format!("{key} may hold {states:?} and answers {} {start:?}", answer.status);
            drop(state);
            world.ground.fault(what);
        }
    }

    /// All versions of a key, against what is known of them.
    async fn check_versions(&self, world: &World, key: &str, versions: &Versions) {
        let list = world.s3_surely("GET", &format!("/{VERSIONED}?versions=&prefix={key}"), Bytes::new()).await;
        let mut doubtful = versions.doubtful.clone();
        let mut found = BTreeSet::new();
        for id in list.all("VersionId") {
            let answer = world.s3_surely("GET", &format!("/{VERSIONED}/{key}?versionId={id}"), Bytes::new()).await;
            let is = |body: &Option<Body>| match body {
                Some(body) => answer.status == 200 && answer.body == body.bytes(),
                None => answer.status == 405,
            };
            match versions.known.get(&id) {
                Some(body) if is(body) => {}
                Some(body) => world.ground.fault(format!("{key} {id} is {body:?} and answers {}", answer.status)),
                None => match doubtful.iter().position(is) {
                    Some(at) => drop(doubtful.swap_remove(at)),
                    None => world.ground.fault(format!("{key} has {id}, which answers {}", answer.status)),
                },
            }
            found.insert(id);
        }
        for id in versions.known.keys().filter(|id| !found.contains(*id) && !versions.fading.contains(*id)) {
            world.ground.fault(format!("{key} has lost {id}"));
        }
    }
}

fn nothing() -> States {
    BTreeSet::from([None])
}

impl State {
    fn holds(&mut self, key: &str, body: Option<Body>) {
        self.plain.insert(key.to_owned(), BTreeSet::from([body]));
    }

    fn may_hold(&mut self, key: &str, body: Option<Body>) {
        self.plain.entry(key.to_owned()).or_insert_with(nothing).insert(body);
    }

    fn body(&mut self) -> Body {
        self.serial += 1;
        // Kept with their records, and as blobs.
        Body { serial: self.serial, len: *self.chance.pick(&[0, 9, 3000, 16_384, 16_385, 40_000]) }
    }

    fn key(&mut self) -> String {
        format!("{}-{}", self.number, self.chance.below(3))
    }

    fn next(&mut self) -> Ask {
        if let Some(upload) = self.upload.clone() {
            let Upload { key, id, part, completing, aborting } = upload;
            match part {
                // What was asked for and not answered is asked for again, until it is answered.
                Some((etag, body)) if completing => return Ask::Complete { key, upload: id, etag, body },
                _ if aborting => return Ask::Abort { key, upload: id },
                Some((etag, body)) if self.chance.permille(300) => {
                    return Ask::Complete { key, upload: id, etag, body };
                }
                None if self.chance.permille(400) => {
                    let body = self.body();
                    return Ask::Part { key, upload: id, body };
                }
                _ if self.chance.permille(60) => return Ask::Abort { key, upload: id },
                Some(_) if self.chance.permille(100) => {
                    let body = self.body();
                    return Ask::Part { key, upload: id, body };
                }
                _ => {}
            }
        }
        let key = self.key();
        match self.chance.below(100) {
            0..30 => Ask::Put { key, body: self.body(), only_new: self.chance.permille(200) },
            30..40 => Ask::Delete { key },
            40..50 => {
                let to = self.key();
                let known = self.plain.get(&key).filter(|states| states.len() == 1).and_then(|s| s.first().copied());
                match known.flatten() {
                    Some(body) if to != key => Ask::Copy { from: key, to, body },
                    _ => Ask::Delete { key },
                }
            }
            50..70 => Ask::PutVersion { key, body: self.body() },
            70..78 => Ask::MarkVersion { key },
            78..88 => {
                let ids: Vec<String> =
                    self.versions.get(&key).map(|v| v.known.keys().cloned().collect()).unwrap_or_default();
                if ids.is_empty() {
                    Ask::PutVersion { key, body: self.body() }
                } else {
                    let version = self.chance.pick(&ids).clone();
                    Ask::DeleteVersion { key, version }
                }
            }
            _ if self.upload.is_none() => Ask::Begin { key: format!("{key}-parts") },
            _ => Ask::Put { key, body: self.body(), only_new: false },
        }
    }
}

/// Everything that was acknowledged is there, and nothing that was not asked for; then all of it is deleted.
pub(super) async fn audit(world: &World, clients: &[ObjectsClient]) {
    for client in clients {
        let (plain, versions) = {
            let state = client.state();
            (state.plain.clone(), state.versions.clone())
        };
        for key in plain.keys() {
            let answer = world.s3_surely("GET", &format!("/{PLAIN}/{key}"), Bytes::new()).await;
            client.seen(world, key, &answer);
        }
        for (key, versions) in &versions {
            client.check_versions(world, key, versions).await;
        }
    }
    let listed: BTreeSet<String> =
        world.s3_surely("GET", &format!("/{PLAIN}?list-type=2"), Bytes::new()).await.all("Key").into_iter().collect();
    let held = clients.iter().flat_map(|client| {
        let state = client.state();
        let held = state.plain.iter().filter(|(_, states)| !states.contains(&None));
        held.map(|(key, _)| key.clone()).collect::<Vec<_>>()
    });
    let held: BTreeSet<String> = held.collect();
    if listed != held {
        world.ground.fault(format!("the list has {listed:?} where {held:?} are held"));
    }
    empty(world).await;
}

/// Over the protocol alone.
async fn empty(world: &World) {
    for bucket in [PLAIN, VERSIONED] {
        let list = world.s3_surely("GET", &format!("/{bucket}?uploads="), Bytes::new()).await;
        for (key, id) in list.all("Key").into_iter().zip(list.all("UploadId")) {
            world.s3_surely("DELETE", &format!("/{bucket}/{key}?uploadId={id}"), Bytes::new()).await;
        }
        let list = world.s3_surely("GET", &format!("/{bucket}?versions="), Bytes::new()).await;
        for (key, id) in list.all("Key").into_iter().zip(list.all("VersionId")) {
            world.s3_surely("DELETE", &format!("/{bucket}/{key}?versionId={id}"), Bytes::new()).await;
        }
        let gone = world.s3_surely("DELETE", &format!("/{bucket}"), Bytes::new()).await;
        if gone.status != 204 && gone.code() != "NoSuchBucket" {
            world.ground.fault(format!("{bucket} cannot be deleted: {}", gone.text()));
        }
    }
}

/// After a start, when all was deleted.
pub(super) async fn nothing_left(world: &World) {
    let blobs = world.ground.objects.names().await.unwrap_or_default();
    if !blobs.is_empty() {
        world.ground.fault(format!("{} blobs are left", blobs.len()));
    }
    for kind in ["bucket", "setting", "object", "version", "null-version", "data", "upload", "part", "undo"] {
        let left = world.ground.s3.keys(store::Key::new("s3").push(kind).as_bytes());
        if !left.is_empty() {
            world.ground.fault(format!("{} records of {kind} are left", left.len()));
        }
    }
}
