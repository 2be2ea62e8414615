//! Calls of other people's HTTP endpoints, for whoever makes them (HTTP Tasks, subscriptions): one client, and which addresses it may
//! call. What is sent, and what an answer means, is the caller's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};

/// The client.
#[derive(Debug)]
pub struct Door {
    /// Made when it is first used: it reads the machine's certificates.
    client: OnceLock<Result<Client, String>>,
    link_local: bool,
    limit: Option<Duration>,
}

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
        Self { client: OnceLock::new(), link_local, limit: None }
    }

    /// An exchange takes no longer.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
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
            let resolver = Arc::new(Resolver { link_local: self.link_local });
            // A redirection is an answer like others: who may call one address may not therefore call another.
            let mut builder = Client::builder().redirect(Policy::none()).dns_resolver(resolver);
            if let Some(limit) = self.limit {
                builder = builder.timeout(limit);
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

/// Names by the machine's own means, without the addresses that are not called.
struct Resolver {
    link_local: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let link_local = self.link_local;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(refused) = found.iter().find(|address| !link_local && is_reserved(address.ip())) {
                return Err(refusal(refused.ip()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::{is_reserved, literal};

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
