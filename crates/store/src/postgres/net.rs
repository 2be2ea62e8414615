//! Connections to PostgreSQL. Their sockets are driven by a thread of their own, so that whoever waits for an answer may be any thread:
//! the store's, or one of a server's runtime, which then gives its other work away.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

const CONNECT: Duration = Duration::from_secs(5);
/// What was sent and is not acknowledged by the other machine for so long ends the connection.
const UNANSWERED: Duration = Duration::from_secs(10);

/// A transaction that begins so is durable when it has ended, also where the server's default is another.
pub(crate) const DURABLY: &str =
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

/// Where a database is, and the thread that talks to it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Net {
    config: Config,
    /// Where the URL asks for TLS.
    tls: Option<MakeRustlsConnect>,
    driver: Handle,
}

impl Net {
    /// `name` is what the database calls the sessions of this node.
    pub(crate) fn start(url: &str, name: &str) -> Result<Self, Error> {
        // What is wrong with it is not said in its own words: they may hold the password.
        let wrong = |e: tokio_postgres::Error| Error::Unusable(format!("the store's postgres:// URL: {e}"));
        let mut config: Config = url.parse().map_err(wrong)?;
        // Anything less than `require` lets whoever is in between answer for the server: then it is no TLS at all.
        let tls = if config.get_ssl_mode() == SslMode::Require { Some(verified()?) } else { None };
        if tls.is_none() {
            config.ssl_mode(SslMode::Disable);
        }
        config.application_name(name).connect_timeout(CONNECT).tcp_user_timeout(UNANSWERED);
        config.keepalives(true).keepalives_idle(UNANSWERED);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("store-net".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.handle().clone()));
                    runtime.block_on(pending::<()>());
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        })?;
        let driver = told.recv().map_err(|_| Error::Closed)??;
        Ok(Self { config, tls, driver })
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Result<Client, Error> {
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let connecting = self.driver.spawn(async move {
            match tls {
                Some(tls) => connect(&config, tls).await,
                None => connect(&config, NoTls).await,
            }
        });
        wait(connecting).map_err(|_| Error::Closed)?.map_err(storage)
    }
}

async fn connect<T>(config: &Config, tls: T) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %said(&error), "a connection to PostgreSQL ended");
        }
    });
    Ok(client)
}

/// TLS that holds the server's certificate against what this machine trusts, or `SSL_CERT_FILE` names; its name, too.
fn verified() -> Result<MakeRustlsConnect, Error> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
        return Err(Error::Unusable(format!("sslmode=require: no certificate authority is trusted here ({why})")));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Unusable(format!("sslmode=require: {error}")))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Waits on this thread for what another one brings forward.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    match Handle::try_current() {
        Ok(here) if here.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(|| futures::executor::block_on(future))
        }
        _ => futures::executor::block_on(future),
    }
}

/// Is the connection of no more use, so that the same may be asked over a new one? Source: PostgreSQL's documentation, appendix A,
/// classes 08 (connection), 57P (operator intervention: shutdown, crash, cannot connect now), 53300 (too many connections) and 25006 (the
/// server has become another one's replica).
pub(crate) fn is_gone(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        None => true,
        Some(code) => {
            code.code().starts_with("08") || code.code().starts_with("57P") || matches!(code.code(), "53300" | "25006")
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
pub(crate) fn storage(error: tokio_postgres::Error) -> Error {
    Error::Storage(format!("PostgreSQL: {}", said(&error)))
}

/// The server's own words where there are any: the error's own say only that there was one.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    }
}
