//! One connection to the server: signed requests, one after the other, as an AWS client sends them.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use wire::sigv4::{SigningKeys, sign_request};

/// Where a server listens and whose keys to use: what it writes into its data folder.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) pid: u32,
    address: String,
    region: String,
    access_key: String,
    secret_key: String,
}

impl Server {
    pub(crate) fn of(data: &Path) -> Result<Self> {
        let path = data.join("server.json");
        let text = std::fs::read(&path).with_context(|| format!("no server runs on {}", data.display()))?;
        let file: Value = serde_json::from_slice(&text)?;
        let member = |name: &str| {
            file[name].as_str().map(str::to_owned).with_context(|| format!("{name} in {}", path.display()))
        };
        let endpoint = member("endpoint")?;
        let address = endpoint.strip_prefix("http://").context("an endpoint of http")?.to_owned();
        ensure!(address.starts_with("127.0.0.1:"), "this program sends its load to 127.0.0.1 only, not to {address}");
        Ok(Self {
            pid: u32::try_from(file["pid"].as_u64().context("pid")?)?,
            address,
            region: member("region")?,
            access_key: member("access_key")?,
            secret_key: member("secret_key")?,
        })
    }
}

pub(crate) struct Client {
    server: Server,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(server: &Server) -> Result<Self> {
        let stream = TcpStream::connect(&server.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { server: server.clone(), sender })
    }

    /// An operation of Step Functions.
    pub(crate) async fn states(&mut self, operation: &str, input: &Value) -> Result<Value> {
        let target = format!("AWSStepFunctions.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        self.send("states", "POST", "/", &headers, input.to_string()).await
    }

    /// An operation of Lambda.
    pub(crate) async fn lambda(&mut self, method: &str, path: &str, input: &Value) -> Result<Value> {
        self.send("lambda", method, path, &[("content-type", "application/json")], input.to_string()).await
    }

    /// An operation of IAM; what it answers is of no interest here.
    pub(crate) async fn iam(&mut self, form: &str) -> Result<()> {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("iam", "POST", "/", &headers, form.to_owned()).await.map(|_| ())
    }

    async fn send(
        &mut self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: String,
    ) -> Result<Value> {
        let body = Bytes::from(body);
        let mut request = http::Request::new(Full::new(body.clone()));
        *request.method_mut() = method.parse()?;
        *request.uri_mut() = path.parse()?;
        let all = request.headers_mut();
        all.insert("host", self.server.address.parse()?);
        for (name, value) in headers {
            all.insert(*name, value.parse()?);
        }
        let keys = SigningKeys {
            access_key: &self.server.access_key,
            secret_key: &self.server.secret_key,
            session_token: None,
        };
        let scope = (self.server.region.as_str(), service);
        sign_request((method, path, ""), all, &body, scope, &keys, jiff::Timestamp::now());
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{service} {path}: {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}
