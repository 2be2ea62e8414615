//! `http:invoke`: a call of an HTTP endpoint, with the credentials of an EventBridge connection.
//!
//! Map: [`request`] what is sent, a pure function of the state's parameters and the connection's · [`answer`] what comes back ·
//! [`exchange`] both, for TestState. Credentials and their tokens, and the client, are the crate `egress`'s.
//!
//! Source: Step Functions Developer Guide, "Call HTTPS APIs in Step Functions workflows". Unlike AWS, `http://` endpoints are called as
//! well, and those of private networks: services of one's own seldom have public certificates.

mod answer;
mod exchange;
mod request;

use std::time::Duration;

use egress::{Additions, Connection, Door, Tokens};
use serde::Deserialize;
use serde_json::Value;
use service::Cx;

use super::failure::Failure;
pub(crate) use exchange::Exchange;
pub(super) use request::findings;

/// A call may take that long. Source: Service quotas of Step Functions, "Quotas related to HTTP Task".
const LIMIT: Duration = Duration::from_mins(1);

/// `[states]` in the settings, as far as it is about HTTP Tasks.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Whether HTTP Tasks may call link-local addresses, where clouds keep the credentials of the machine. Default: false.
    http_link_local: bool,
}

/// Makes the calls. One for all: it keeps connections open, and tokens that are still good.
pub(crate) struct Http {
    door: Door,
    tokens: Tokens,
}

impl Http {
    pub(crate) fn new(config: Config) -> Self {
        Self { door: Door::new(config.http_link_local), tokens: Tokens::default() }
    }

    /// Calls on behalf of a machine (its ARN), as the role that `cx` is.
    pub(super) async fn invoke(
        &self,
        cx: &Cx,
        machine: &str,
        parameters: &Value,
        exchange: &mut Exchange,
    ) -> Result<Value, Failure> {
        let call = self.within(cx, machine, parameters, exchange);
        tokio::select! {
            called = call => called,
            () = cx.router().clock().sleep(LIMIT) => {
                Err(Failure::named("States.Http.Socket", "The HTTP Task did not get its response within 60 seconds."))
            }
        }
    }

    async fn within(
        &self,
        cx: &Cx,
        machine: &str,
        parameters: &Value,
        exchange: &mut Exchange,
    ) -> Result<Value, Failure> {
        let plain = request::build(parameters, &Additions::default(), cx.region())?;
        let (method, endpoint) = (plain.method.clone(), parameters["ApiEndpoint"].as_str().unwrap_or_default());
        let keys = [("states:HTTPMethod", method.as_str()), ("states:HTTPEndpoint", endpoint)];
        exchange.plain = Some(plain);
        cx.router()
            .authorize_with(cx, "states:InvokeHTTPEndpoint", machine, &keys)
            .await
            .map_err(|error| Failure::named("States.TaskFailed", error.message()))?;
        let connection = Connection::retrieve(cx, request::connection_arn(parameters)?).await;
        let connection = connection.map_err(|error| answer::unusable(&error))?;
        let mut additions = self.additions(cx, &connection, false).await?;
        let trace = cx.trace().map(|span| span.to_string());
        let mut again = connection.refreshes();
        loop {
            let request = request::build(parameters, &additions, cx.region())?;
            let request = request::traced(request, trace.as_deref());
            exchange.sent = Some(request.clone());
            let received =
                self.door.exchange(&request, answer::MOST).await.map_err(|failed| answer::failure(&failed))?;
            exchange.received = Some(received.clone());
            // A token may have been taken back before its time. Source: EventBridge User Guide, "Connections".
            if again && matches!(received.status, 401 | 407) {
                again = false;
                additions = self.additions(cx, &connection, true).await?;
                continue;
            }
            return answer::result(received);
        }
    }

    async fn additions(&self, cx: &Cx, connection: &Connection, fresh: bool) -> Result<Additions, Failure> {
        let added = connection.additions((&self.door, &self.tokens), cx.now(), fresh).await;
        added.map_err(|error| answer::unusable(&error))
    }
}
