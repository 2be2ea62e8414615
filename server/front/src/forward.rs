//! What a node does that stands by: it says that it lives, and passes connections on, as they are, to the node that owns the stores.
//!
//! Before the first byte goes a *preface*: who the client is, under a key that nodes share, for conditions on addresses to hold. An owner
//! takes it from no one else: it gives a number that it has made for this connection alone, which is signed too, so that who has
//! listened to one cannot say it again.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::counted::Counted;
use crate::tls::{self, Tls};

/// No HTTP request begins like this.
const MAGIC: &[u8; 9] = b"\0lakerun2";
const NONCE: usize = 32;
const ADDRESS: usize = 16;
const TAG: usize = 32;
/// A connection's first bytes, and the owner's answer, must come within this.
const PATIENCE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(2);
/// The longest head of a look at a node's health.
const MAX_HEAD: usize = 8 << 10;
/// Connections of clients to a node that stands by.
static OPEN: Semaphore = Semaphore::const_new(super::MAX_CONNECTIONS);

/// The node that owns the stores.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner {
    /// `HOST:PORT`.
    pub address: String,
    pub key: PrefaceKey,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Owner({})", self.address)
    }
}

/// What prefaces are signed with, and for which term of ownership.
#[derive(Clone, PartialEq, Eq)]
pub struct PrefaceKey {
    pub secret: Vec<u8>,
    pub fence: i64,
}

impl std::fmt::Debug for PrefaceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrefaceKey({})", self.fence)
    }
}

impl PrefaceKey {
    fn signer(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.secret)
    }

    fn signed(&self, nonce: &[u8; NONCE], address: &[u8; ADDRESS]) -> Vec<u8> {
        [&MAGIC[..], &self.fence.to_be_bytes(), nonce, address].concat()
    }

    /// What a node answers that passes a client's connection on.
    fn said(&self, nonce: &[u8; NONCE], client: IpAddr) -> Vec<u8> {
        let address = match client {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let tag = hmac::sign(&self.signer(), &self.signed(nonce, &address.octets()));
        [&address.octets()[..], tag.as_ref()].concat()
    }

    fn client(&self, preface: &Preface) -> Option<IpAddr> {
        hmac::verify(&self.signer(), &self.signed(&preface.nonce, &preface.address), &preface.tag).ok()?;
        Some(Ipv6Addr::from(preface.address).to_canonical())
    }

    /// Says to the owner whose connection it is.
    async fn introduce(&self, owner: &mut TcpStream, client: IpAddr) -> std::io::Result<()> {
        let mut nonce = [0; NONCE];
        owner.write_all(MAGIC).await?;
        owner.read_exact(&mut nonce).await?;
        owner.write_all(&self.said(&nonce, client)).await
    }

    /// Takes the preface off a connection that has one. An error ends the connection.
    pub(crate) async fn take(&self, stream: &mut TcpStream, peer: IpAddr) -> std::io::Result<Whose> {
        let begun = async {
            Ok(match begins(stream).await? {
                Begins::Otherwise => Whose::Client(peer),
                Begins::Node => Whose::Node,
                Begins::Preface(preface) => Whose::Client(
                    self.client(&preface).ok_or_else(|| std::io::Error::other("a preface that no node has made"))?,
                ),
            })
        };
        tokio::time::timeout(PATIENCE, begun).await?
    }
}

/// Whose a connection is.
pub(crate) enum Whose {
    Client(IpAddr),
    /// Another node's, about work; what is said first has been taken off.
    Node,
}

/// How a connection begins.
pub(crate) enum Begins {
    Preface(Preface),
    Node,
    Otherwise,
}

/// What was said of a client, and what was to be signed with it.
pub(crate) struct Preface {
    nonce: [u8; NONCE],
    address: [u8; ADDRESS],
    tag: [u8; TAG],
}

/// Takes off a connection what is not the client's.
pub(crate) async fn begins(stream: &mut TcpStream) -> std::io::Result<Begins> {
    let mut first = [1];
    stream.peek(&mut first).await?;
    if first[0] != MAGIC[0] {
        return Ok(Begins::Otherwise);
    }
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if &magic == compute::nodes::link::MAGIC {
        return Ok(Begins::Node);
    }
    if &magic != MAGIC {
        return Err(std::io::Error::other("a node of another version"));
    }
    let mut preface = Preface { nonce: [0; NONCE], address: [0; ADDRESS], tag: [0; TAG] };
    SystemRandom::new().fill(&mut preface.nonce).map_err(|_| std::io::Error::other("no randomness"))?;
    stream.write_all(&preface.nonce).await?;
    stream.read_exact(&mut preface.address).await?;
    stream.read_exact(&mut preface.tag).await?;
    Ok(Begins::Preface(preface))
}

/// What is done with connections of other nodes about work.
pub type Between = Arc<dyn Fn(Counted<TcpStream>) + Send + Sync>;

/// What a node that stands by is for.
#[derive(Clone)]
pub struct Standby {
    /// The node that owns the stores, as far as is known.
    pub owner: watch::Receiver<Option<Owner>>,
    pub between: Between,
    /// Clients' connections are passed on.
    pub passes_on: bool,
    pub tls: Option<Tls>,
}

/// Passes connections on until dropped.
pub async fn standing_by(listener: &TcpListener, standby: Standby) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = OPEN.try_acquire() else { continue };
        let standby = standby.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = pass_on(stream, peer, standby).await {
                tracing::debug!(%error, "a connection that was passed on ended");
            }
        });
    }
}

async fn pass_on(mut stream: TcpStream, peer: SocketAddr, standby: Standby) -> std::io::Result<()> {
    let Standby { mut owner, between, passes_on, tls } = standby;
    let asked = tokio::time::timeout(PATIENCE, health(&stream)).await??;
    let known = owner.borrow_and_update().clone();
    if let Some(asked) = asked {
        return say_health(stream, &asked, known.is_some(), passes_on).await;
    }
    let again = |stream, what| super::turn_away(stream, tls.clone(), what);
    match tokio::time::timeout(PATIENCE, begins(&mut stream)).await?? {
        Begins::Otherwise => {}
        Begins::Node => {
            if let Some(stream) = Counted::new(stream) {
                between(stream);
            }
            return Ok(());
        }
        // Another node takes this one for the owner: passed on, it could go round for ever.
        Begins::Preface(_) => return again(stream, "standing by, and not the owner").await,
    }
    // What runs on this node for the owner reaches the platform here.
    let is_local = tls::is_local(&stream, peer);
    if !passes_on && !is_local {
        return again(stream, "without the role `api`").await;
    }
    let is_plain = tls.is_some() && !tls::begins(&stream).await?;
    if is_plain && !is_local {
        return tls::refuse_plain(stream).await;
    }
    let Some(known) = known else { return again(stream, "standing by, and no other is the owner").await };
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(&known.address));
    let Ok(Ok(mut to)) = connecting.await else {
        return again(stream, "standing by, and the owner does not answer").await;
    };
    let _ = (stream.set_nodelay(true), to.set_nodelay(true));
    let introduced = tokio::time::timeout(PATIENCE, known.key.introduce(&mut to, peer.ip()));
    let Ok(Ok(())) = introduced.await else {
        return again(stream, "standing by, and the owner does not answer").await;
    };
    let passing = async {
        match tls.filter(|_| is_plain) {
            // It leaves this machine.
            Some(tls) => {
                let mut to = tls.connect(to, &known.address).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut to).await
            }
            None => tokio::io::copy_bidirectional(&mut stream, &mut to).await,
        }
    };
    tokio::select! {
        done = passing => done.map(drop),
        // What is on its way there gets no answer: the client asks again.
        _ = owner.wait_for(|owner| owner.as_ref() != Some(&known)) => Ok(()),
    }
}

async fn say_health(stream: TcpStream, look: &Look, has_owner: bool, passes_on: bool) -> std::io::Result<()> {
    let is_well = look.asked == Health::Lives || (has_owner && passes_on);
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let said = match (has_owner, passes_on) {
        (true, true) => "standby: passes on\n",
        (true, false) => "standby: works for the owner, takes no requests\n",
        (false, _) => "standby: no owner\n",
    };
    look.say(stream, status, said).await
}

/// What a look at a node's health asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// `/healthz`: does it live?
    Lives,
    /// `/readyz`: can requests go there?
    Ready,
}

impl Health {
    /// None for a request of S3's.
    pub(crate) fn asked<B>(request: &http::Request<B>) -> Option<Self> {
        let asked = match request.uri().path() {
            "/healthz" => Self::Lives,
            "/readyz" => Self::Ready,
            _ => return None,
        };
        (is_look(request) && !request.headers().contains_key(http::header::AUTHORIZATION)).then_some(asked)
    }

    pub(crate) fn answer(self, is_ready: bool) -> http::Response<Bytes> {
        let is_well = is_ready || self == Self::Lives;
        let mut response =
            http::Response::new(Bytes::from_static(if is_ready { b"serves\n" } else { b"does not serve\n" }));
        *response.status_mut() = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        response
    }
}

/// Could this be a look at a node, by its path? Not where the host names a bucket, or the query is a presigned URL's: that is an object.
pub(crate) fn is_look<B>(request: &http::Request<B>) -> bool {
    let names = request.uri().query().unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or(pair));
    let is_signed = |name: &str| ["X-Amz-Signature", "AWSAccessKeyId"].iter().any(|one| name.eq_ignore_ascii_case(one));
    request.method() == http::Method::GET
        && !s3_service::names_bucket(request.headers())
        && !names.into_iter().any(is_signed)
}

/// A look at a node's health with which a connection begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Look {
    asked: Health,
    /// Of its request.
    length: usize,
}

impl Look {
    /// Answers it, and nothing that comes after it.
    pub(crate) async fn answer_alone(&self, stream: TcpStream, is_ready: bool) -> std::io::Result<()> {
        let answer = self.asked.answer(is_ready);
        self.say(stream, answer.status(), &String::from_utf8_lossy(answer.body())).await
    }

    async fn say(&self, mut stream: TcpStream, status: StatusCode, said: &str) -> std::io::Result<()> {
        // What is left unread when a connection closes may take the answer with it.
        stream.read_exact(&mut vec![0; self.length]).await?;
        let text = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
            said.len()
        );
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    }
}

/// Is that what the connection's first request asks? Nothing is taken from it. The whole head decides.
pub(crate) async fn health(stream: &TcpStream) -> std::io::Result<Option<Look>> {
    let mut seen = vec![0; 16];
    loop {
        let n = stream.peek(&mut seen).await?;
        match look(&seen[..n]) {
            Seen::Look(look) => return Ok(Some(look)),
            Seen::Part if n > 0 && n < MAX_HEAD => {}
            Seen::Part | Seen::Other => return Ok(None),
        }
        if n == seen.len() {
            seen.resize(MAX_HEAD, 0);
        } else {
            // The rest is on its way.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Look(Look),
    /// It may become one.
    Part,
    Other,
}

fn look(seen: &[u8]) -> Seen {
    let begins = |text: &[u8]| seen.starts_with(text) || text.starts_with(seen);
    if !begins(b"GET /healthz") && !begins(b"GET /readyz") {
        return Seen::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(seen) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Seen::Part,
        Err(_) => return Seen::Other,
    };
    let mut request =
        http::Request::builder().method(parsed.method.unwrap_or_default()).uri(parsed.path.unwrap_or_default());
    for header in parsed.headers {
        request = request.header(header.name, header.value);
    }
    match request.body(()).ok().and_then(|request| Health::asked(&request)) {
        Some(asked) => Seen::Look(Look { asked, length }),
        None => Seen::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_passed_on_is_not_passed_on_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let own = Owner { address: address.clone(), key: PrefaceKey { secret: vec![7; 32], fence: 3 } };
        let (_tell, told) = watch::channel(Some(own));
        let asks = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = tokio::select! {
            answer = tokio::time::timeout(PATIENCE, asks) => answer.unwrap(),
            () = standing_by(&listener, Standby { owner: told, between: Arc::new(drop), passes_on: true, tls: None }) => unreachable!("it accepts until it is dropped"),
        };
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }

    #[test]
    fn a_look_at_health_is_told_from_objects_of_its_name() {
        let is = |asked, text: &str| Seen::Look(Look { asked, length: text.len() });
        let well = "GET /healthz HTTP/1.1\r\nhost: 10.0.0.1:4566\r\n\r\n";
        assert_eq!(look(well.as_bytes()), is(Health::Lives, well));
        let twice = format!("{well}GET /bucket/key HTTP/1.1\r\n\r\n");
        assert_eq!(look(twice.as_bytes()), is(Health::Lives, well), "what comes after it stays");
        let ready = "GET /readyz?from=balancer HTTP/1.0\r\n\r\n";
        assert_eq!(look(ready.as_bytes()), is(Health::Ready, ready));
        for end in [1, 8, 14, well.len() - 1] {
            assert_eq!(look(&well.as_bytes()[..end]), Seen::Part, "{end}");
        }
        for other in [
            "GET /healthz HTTP/1.1\r\nhost: bucket.localhost:4566\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 Credential=a\r\n\r\n",
            "GET /healthz?X-Amz-Signature=a HTTP/1.1\r\n\r\n",
            "GET /readyz?Expires=1&AWSAccessKeyId=a HTTP/1.1\r\n\r\n",
            "GET /healthz/key HTTP/1.1\r\n\r\n",
            "PUT /healthz HTTP/1.1\r\n\r\n",
            "GET /healthz HTTP/1.1\r\n no header\r\n\r\n",
            "\u{16}",
        ] {
            assert_eq!(look(other.as_bytes()), Seen::Other, "{other}");
        }
    }

    #[test]
    fn a_preface_is_taken_from_nodes_alone() {
        let key = PrefaceKey { secret: vec![7; 32], fence: 3 };
        for client in ["192.0.2.1", "2001:db8::1"] {
            let client: IpAddr = client.parse().unwrap();
            let of = |nonce: u8, said: &[u8]| Preface {
                nonce: [nonce; NONCE],
                address: said[..ADDRESS].try_into().unwrap(),
                tag: said[ADDRESS..].try_into().unwrap(),
            };
            let said = key.said(&[1; NONCE], client);
            assert_eq!(key.client(&of(1, &said)), Some(client));
            assert_eq!(key.client(&of(2, &said)), None, "said again on another connection");
            let later = PrefaceKey { fence: 4, ..key.clone() };
            assert_eq!(later.client(&of(1, &said)), None, "of an earlier owner's time");
            for at in [0, 10, 20, 40] {
                let mut changed = said.clone();
                changed[at] ^= 1;
                assert_eq!(key.client(&of(1, &changed)), None);
            }
        }
    }

    #[tokio::test]
    async fn an_owner_hears_whose_a_connection_is() {
        let (key, client) = (PrefaceKey { secret: vec![7; 32], fence: 3 }, "192.0.2.1".parse().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passes = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            key.introduce(&mut stream, client).await.unwrap();
            stream.write_all(b"GET").await.unwrap();
            stream
        };
        let owns = async {
            let (mut stream, peer) = listener.accept().await.unwrap();
            let whose = key.take(&mut stream, peer.ip()).await.unwrap();
            assert!(matches!(whose, Whose::Client(told) if told == client));
            let mut rest = [0; 3];
            stream.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"GET", "what follows is the client's");
        };
        tokio::join!(passes, owns);
        let of_before = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"\0lakerun1").await.unwrap();
            stream
        };
        let refuses = async {
            let (mut stream, peer) = listener.accept().await.unwrap();
            assert!(key.take(&mut stream, peer.ip()).await.is_err());
        };
        tokio::join!(of_before, refuses);
    }
}
