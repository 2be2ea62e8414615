//! TLS for clients and between nodes, on the same port: a connection that begins as a handshake is one. The certificate is read again
//! when its files change, or when the server is told to; connections that are there keep theirs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A handshake must be done within this.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);
/// The first byte of a handshake. Source: RFC 8446, 5.1 (`ContentType` 22).
const BEGINS: u8 = 0x16;

/// Where a server's certificate, its key, and the authority of other nodes' are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate and what leads from it to the authority, as PEM.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Against which other nodes' certificates are held; none where there are no other nodes.
    pub authority: Option<PathBuf>,
}

/// What connections are made with. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: Files,
    now: RwLock<Made>,
}

#[derive(Clone)]
struct Made {
    server: Arc<ServerConfig>,
    client: Option<Arc<ClientConfig>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.0.files)
    }
}

impl Tls {
    /// # Errors
    /// A text that says which file is wrong, and what is wrong with it.
    pub fn load(files: Files) -> Result<Self, String> {
        let now = RwLock::new(made(&files)?);
        Ok(Self(Arc::new(Shared { files, now })))
    }

    /// Reads the files again. What is wrong with them is said, and what was there stays.
    pub fn reload(&self) {
        match made(&self.0.files) {
            Ok(made) => {
                *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = made;
                tracing::info!(certificate = %self.0.files.certificate.display(), "the certificate was read again");
            }
            Err(error) => tracing::warn!(error, "the certificate stays as it was"),
        }
    }

    /// Reads the files again whenever they change, until dropped.
    pub async fn watch(self) {
        let mut known = self.0.files.stamps();
        loop {
            tokio::time::sleep(LOOK).await;
            let stamps = self.0.files.stamps();
            if stamps != known {
                known = stamps;
                self.reload();
            }
        }
    }

    fn now(&self) -> Made {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// When the handshake fails, or takes too long.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<server::TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.now().server);
        tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await?
    }

    /// TLS to another node, whose address is `HOST:PORT`.
    ///
    /// # Errors
    /// When its certificate is not for that host, or by another authority.
    pub async fn connect(&self, stream: TcpStream, address: &str) -> std::io::Result<client::TlsStream<TcpStream>> {
        let client = self.now().client.ok_or_else(|| std::io::Error::other("[tls] names no authority of nodes"))?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        tokio::time::timeout(HANDSHAKE, TlsConnector::from(client).connect(name, stream)).await?
    }
}

impl Files {
    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files = [Some(&self.certificate), Some(&self.key), self.authority.as_ref()];
        let stamp = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        files.into_iter().flatten().map(stamp).collect()
    }
}

fn made(files: &Files) -> Result<Made, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong = |path: &Path| {
        let path = path.display().to_string();
        move |error: &dyn std::fmt::Display| format!("{path}: {error}")
    };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key)(&error))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let mut server = builder
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&files.certificate)(&error))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let client = match &files.authority {
        None => None,
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(authority)? {
                roots.add(certificate).map_err(|error| wrong(authority)(&error))?;
            }
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let builder = builder.map_err(|error| error.to_string())?;
            Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
        }
    };
    Ok(Made { server: Arc::new(server), client })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    if found.is_empty() {
        return Err(wrong(&"holds no certificate"));
    }
    Ok(found)
}

/// Does the connection begin as a handshake? Nothing is taken from it.
pub(crate) async fn begins(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    let seen = tokio::time::timeout(HANDSHAKE, stream.peek(&mut first)).await??;
    Ok(seen == 1 && first[0] == BEGINS)
}

/// What a client of another machine is told that does not come by TLS.
pub(crate) async fn refuse_plain(mut stream: TcpStream) -> std::io::Result<()> {
    const SAID: &str = "This server takes requests of other machines by TLS alone: use https://\n";
    let text = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{SAID}",
        SAID.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Both ends are this machine's: what goes between them leaves it nowhere, and needs no TLS.
pub(crate) fn is_local(stream: &TcpStream, peer: SocketAddr) -> bool {
    let peer = peer.ip().to_canonical();
    peer.is_loopback() || stream.local_addr().is_ok_and(|local| local.ip().to_canonical() == peer)
}
