//! The client, and which addresses it may call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};

use super::super::failure::Failure;
use super::{Exchange, Received, Request};

/// The largest response, as the largest result of a Task.
const MAX_BYTES: usize = 262_144;

pub(super) struct Door {
    /// Made when it is first used: it reads the machine's certificates.
    client: OnceLock<Result<Client, String>>,
    link_local: bool,
}

impl Door {
    pub(super) fn new(link_local: bool) -> Self {
        Self { client: OnceLock::new(), link_local }
    }

    fn client(&self) -> Result<&Client, Failure> {
        let made = self.client.get_or_init(|| {
            let resolver = Arc::new(Resolver { link_local: self.link_local });
            // A redirection is an answer like others: who may call one address may not therefore call another.
            let builder = Client::builder().redirect(Policy::none()).dns_resolver(resolver);
            builder.build().map_err(|error| told(&error))
        });
        made.as_ref().map_err(|error| Failure::named("States.TaskFailed", error.clone()))
    }

    /// Sends and reads the answer to its end.
    pub(super) async fn send(&self, request: &Request, exchange: &mut Exchange) -> Result<Received, Failure> {
        exchange.sent = Some(request.clone());
        let response = self.begin(request).await?;
        let received = read(&request.url, response).await?;
        exchange.received = Some(received.clone());
        Ok(received)
    }

    async fn begin(&self, request: &Request) -> Result<reqwest::Response, Failure> {
        let socket = |cause: String| Failure::named("States.Http.Socket", cause);
        if let Some(address) = literal(&request.url).filter(|address| !self.link_local && is_reserved(*address)) {
            return Err(socket(refusal(address)));
        }
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|error| Failure::named("States.Runtime", error.to_string()))?;
        let mut building = self.client()?.request(method, request.url.clone());
        for (name, value) in &request.headers {
            let invalid = || Failure::named("States.Runtime", format!("The header '{name}' cannot be sent"));
            let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            building = building.header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, value);
        }
        if let Some(body) = &request.body {
            building = building.body(body.clone());
        }
        building.send().await.map_err(|error| socket(told(&error)))
    }
}

async fn read(url: &Url, mut response: reqwest::Response) -> Result<Received, Failure> {
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let headers = headers.collect();
    let mut body = Vec::new();
    loop {
        let piece = response.chunk().await;
        let piece = piece.map_err(|error| Failure::named("States.Http.Socket", told(&error)))?;
        let Some(piece) = piece else { break };
        if body.len() + piece.len() > MAX_BYTES {
            let cause = "The state/task 'arn:aws:states:::http:invoke' returned a result with a size exceeding the maximum number of bytes service limit.";
            return Err(Failure::named("States.DataLimitExceeded", cause));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Received {
        protocol: if url.scheme() == "https" { "https" } else { "http" },
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default(),
        headers,
        body,
    })
}

/// An error with what caused it. Its URL is left out: it may hold secrets.
fn told(error: &reqwest::Error) -> String {
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
    format!("The address {address} is reserved for the machine itself; HTTP Tasks do not call it")
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
