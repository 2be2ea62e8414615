//! The one client, and which addresses it may call.
//!
//! A name is resolved once for a connection, and what is looked at is what is connected to. A proxy would resolve names itself, so those of
//! the environment (`HTTP_PROXY`) are not asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};

use crate::pinned;

/// The client.
#[derive(Debug)]
pub struct Door {
    /// Made when it is first used: it reads the machine's certificates.
    client: OnceLock<Result<Client, String>>,
    link_local: bool,
    limit: Option<Duration>,
    /// Of certificates that are trusted beside the machine's.
    thumbprints: Vec<[u8; 20]>,
    lookup: Lookup,
}

/// How names become addresses: the machine's own means, or a test's.
type Lookup = fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Why nothing was sent.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The machine's certificates cannot be read.
    NoClient(String),
    /// The address is not one that may be called.
    Address(String),
}

impl Door {
    /// `link_local`: link-local addresses may be called, too.
    pub fn new(link_local: bool) -> Self {
        Self { client: OnceLock::new(), link_local, limit: None, thumbprints: Vec::new(), lookup: by_the_machine }
    }

    /// An exchange takes no longer.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Servers whose chain of certificates ends with one of these (their SHA-1) are trusted, too.
    #[must_use]
    pub fn trusting(mut self, thumbprints: Vec<[u8; 20]>) -> Self {
        self.thumbprints = thumbprints;
        self
    }

    /// A request to be made complete and sent.
    ///
    /// # Errors
    /// Where the URL itself names an address that is not called, or there is no client.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, Refused> {
        if let Some(address) = literal(url).filter(|address| !self.link_local && is_reserved(*address)) {
            return Err(Refused::Address(refusal(address)));
        }
        Ok(self.client()?.request(method, url.clone()))
    }

    fn client(&self) -> Result<&Client, Refused> {
        let made = self.client.get_or_init(|| {
            let resolver = Arc::new(Resolver { link_local: self.link_local, lookup: self.lookup });
            // A redirection is an answer like others: who may call one address may not therefore call another.
            let mut builder = Client::builder().redirect(Policy::none()).no_proxy().dns_resolver(resolver);
            if let Some(limit) = self.limit {
                builder = builder.timeout(limit);
            }
            if !self.thumbprints.is_empty() {
                builder = builder.use_preconfigured_tls(pinned::config(&self.thumbprints)?);
            }
            builder.build().map_err(|error| told(&error))
        });
        made.as_ref().map_err(|error| Refused::NoClient(error.clone()))
    }
}

/// An error with what caused it. Its URL is left out: it may hold secrets.
pub fn told(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "The request could not be sent".to_owned() } else { text }
}

/// The address that a URL names itself.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn refusal(address: IpAddr) -> String {
    format!("The address {address} is reserved for the machine itself; it is not called")
}

/// Addresses at which clouds hand out the machine's credentials: link-local ones, and those of AWS's, Azure's and Alibaba's metadata
/// services that are not.
fn is_reserved(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let others = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
            address.is_link_local() || address.is_unspecified() || others.contains(&address)
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            address.to_ipv4().is_some_and(|address| is_reserved(IpAddr::V4(address)) && !address.is_unspecified())
                || segments[0] & 0xffc0 == 0xfe80
                || address.is_unspecified()
                || segments[..2] == [0xfd00, 0x0ec2]
                // An IPv4 address behind NAT64 (RFC 6052).
                || (segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] && {
                    let [.., a, b, c, d] = address.octets();
                    is_reserved(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
                })
        }
    }
}

fn by_the_machine(name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
}

/// Names without the addresses that are not called.
struct Resolver {
    link_local: bool,
    lookup: Lookup,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (link_local, lookup) = (self.link_local, self.lookup);
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            if let Some(refused) = found.iter().find(|address| !link_local && is_reserved(address.ip())) {
                return Err(refusal(refused.ip()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::process::Command;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use reqwest::{Method, Url};

    use super::*;

    /// An endpoint that answers each request with its name.
    fn endpoint(name: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let length = name.len();
                let _ =
                    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}");
            }
        });
        port
    }

    fn ask(door: &Door, url: &str) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = door.request(Method::GET, &Url::parse(url).unwrap()).unwrap();
            let answer = request.send().await.map_err(|error| told(&error))?;
            answer.text().await.map_err(|error| told(&error))
        })
    }

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    /// A name that is harmless at first, and the machine's credentials from then on.
    fn changing(_: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
        let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
        let address = if first { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(169, 254, 169, 254) };
        Box::pin(async move { Ok(vec![SocketAddr::from((address, 0))]) })
    }

    #[test]
    fn what_is_looked_at_is_what_is_connected_to() {
        let port = endpoint("harmless");
        let door = Door { lookup: changing, ..Door::new(false) };
        let url = format!("http://changing.example:{port}/");
        // The one address that was looked at is the one that answers: nobody has asked for another in between.
        assert_eq!(ask(&door, &url).unwrap(), "harmless");
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        let refused = ask(&door, &url).unwrap_err();
        assert!(refused.contains("169.254.169.254 is reserved"), "{refused}");
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn proxies_of_the_environment_are_not_asked() {
        let (proxy, target) = (endpoint("proxy"), endpoint("target"));
        // The environment is another process's, since threads share theirs.
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::with_a_proxy", "--ignored"])
            .env("HTTP_PROXY", format!("http://127.0.0.1:{proxy}"))
            .env("http_proxy", format!("http://127.0.0.1:{proxy}"))
            .env("ALL_PROXY", format!("http://127.0.0.1:{proxy}"))
            .env("TARGET", target.to_string())
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[test]
    #[ignore = "run by the test above"]
    fn with_a_proxy() {
        let port = std::env::var("TARGET").unwrap();
        assert_eq!(ask(&Door::new(false), &format!("http://127.0.0.1:{port}/")).unwrap(), "target");
        let door = Door {
            lookup: |_| Box::pin(async { Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]) }),
            ..Door::new(false)
        };
        assert_eq!(ask(&door, &format!("http://some.example:{port}/")).unwrap(), "target");
    }

    #[test]
    fn the_machines_own_addresses_are_reserved() {
        let check = |url: &str, reserved: bool| {
            let address = literal(&Url::parse(url).unwrap());
            assert_eq!(address.map(is_reserved), Some(reserved), "{url}");
        };
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.170.2",
            "http://2852039166",
            "http://0xa9fea9fe",
            "http://[fe80::1]",
            "http://[fd00:ec2::254]",
            "http://[::ffff:169.254.169.254]",
            "http://[64:ff9b::a9fe:a9fe]",
            "http://168.63.129.16",
            "http://0.0.0.0",
        ] {
            check(url, true);
        }
        for url in ["http://127.0.0.1:4566", "http://10.1.2.3", "http://[::1]", "https://93.184.216.34"] {
            check(url, false);
        }
        assert_eq!(literal(&Url::parse("http://localhost").unwrap()), None);
    }
}
