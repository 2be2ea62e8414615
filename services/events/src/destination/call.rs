//! One call of a destination's endpoint, and what its answer means. Sources: EventBridge User Guide, "API destination error codes",
//! "Connections"; texts of failures as messages in dead-letter queues have them.

use std::time::Duration;

use egress::connection::Unusable;
use egress::{Additions, Connection, Failed, Received};
use jiff::fmt::rfc2822;
use service::Cx;
use wire::Error;

use super::Destinations;
use super::record::{Destination, of_arn};
use super::request::{self, Http};

/// So much of an answer is read; the request asks for no more.
const MOST: usize = 1_048_576;
/// So much of an answer is told with a failure.
const TOLD: usize = 1000;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its status is 500 or above where the call may be made again.
    pub(crate) error: Error,
    /// How long the endpoint asks to be left alone.
    pub(crate) after_ms: Option<i64>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, after_ms: None }
    }
}

fn fault(again: bool, what: &str) -> Fault {
    let message = format!("Unable to invoke ApiDestination endpoint: {what}");
    Error::new("SDK_CLIENT_ERROR", if again { 503 } else { 400 }, message).into()
}

impl Destinations {
    /// The destination, where the role may call it.
    pub(crate) async fn find(&self, role: &Cx, arn: &str) -> Result<Destination, Error> {
        role.router().authorize(role, "events:InvokeApiDestination", arn).await?;
        self.store.read(|tx| of_arn(tx, arn)).await
    }

    /// For who waits: calls when it is its turn, and answers what the endpoint says.
    pub(crate) async fn call_in_turn(&self, role: &Cx, arn: &str, http: &Http, body: &str) -> Result<Vec<u8>, Error> {
        let destination = self.find(role, arn).await?;
        let now = role.now().as_microsecond();
        if let Some(at) = self.pace.turn(arn, destination.interval_micros(), now) {
            role.router().clock().sleep(Duration::from_micros(u64::try_from(at - now).unwrap_or(0))).await;
        }
        let answer = self.call(role, &destination, http, body).await.map_err(|fault| fault.error)?;
        Ok(answer.body)
    }

    /// Calls the endpoint once: again only where a token was taken back before its time.
    pub(crate) async fn call(
        &self,
        cx: &Cx,
        destination: &Destination,
        http: &Http,
        body: &str,
    ) -> Result<Received, Fault> {
        // The credentials are the service's own to read, as AWS's service-linked role does.
        let own = cx.as_platform();
        let connection =
            Connection::retrieve(&own, &destination.connection_arn).await.map_err(|error| unusable(&error))?;
        let mut additions = self.additions(&own, &connection, false).await?;
        let mut again = connection.refreshes();
        loop {
            let to = (destination.method.as_str(), destination.endpoint.as_str());
            let request = request::build(to, http, &additions, body.to_owned()).map_err(|why| fault(false, &why))?;
            let received = match self.door.exchange(&request, MOST).await {
                Ok(received) => received,
                // Nobody asked for so much: what it says is in its status.
                Err(Failed::TooLong(status)) => Received { status, ..Received::default() },
                Err(failed) => return Err(unreached(&failed)),
            };
            if again && matches!(received.status, 401 | 407) {
                again = false;
                additions = self.additions(&own, &connection, true).await?;
                continue;
            }
            if received.is_success() {
                return Ok(received);
            }
            return Err(refused(&received, cx.now()));
        }
    }

    async fn additions(&self, cx: &Cx, connection: &Connection, fresh: bool) -> Result<Additions, Fault> {
        let added = connection.additions((&self.door, &self.tokens), cx.now(), fresh).await;
        added.map_err(|error| unusable(&error))
    }
}

/// A connection may get credentials again.
fn unusable(unusable: &Unusable) -> Fault {
    fault(true, unusable.cause())
}

fn unreached(failed: &Failed) -> Fault {
    match failed {
        Failed::Unsendable(cause) => fault(false, cause),
        Failed::Timeout(_) => fault(true, "Timeout calling endpoint for API Destination: the request timed out."),
        other => fault(true, &format!("API destination endpoint cannot be reached. {}", other.cause())),
    }
}

fn refused(received: &Received, now: jiff::Timestamp) -> Fault {
    let status = received.status;
    let text: String = String::from_utf8_lossy(&received.body).chars().take(TOLD).collect();
    let what =
        format!("API destination endpoint returned an error with HTTP status code {status} with payload: {text}");
    let after_ms = received.header("retry-after").and_then(|text| retry_after(text, now));
    // A negative one: never again.
    let again = (matches!(status, 401 | 407 | 409 | 429) || status >= 500) && after_ms.is_none_or(|after| after >= 0);
    Fault { after_ms: after_ms.filter(|_| again), ..fault(again, &what) }
}

/// Of a number of seconds, or of a date.
fn retry_after(text: &str, now: jiff::Timestamp) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(at.duration_since(now).as_millis().try_into().unwrap_or(i64::MAX)).map(|after: i64| after.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_say_when_to_come_again() {
        let now: jiff::Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        for (text, wanted) in [
            ("120", Some(120_000)),
            ("-1", Some(-1000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7000)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_called_again() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let answer = |status, after: Option<&str>| {
            let headers = after.map(|after| ("retry-after".to_owned(), after.to_owned())).into_iter().collect();
            let fault = refused(&Received { status, headers, body: b"no".to_vec(), ..Received::default() }, now);
            (fault.error.status() >= 500, fault.after_ms)
        };
        for status in [401, 407, 409, 429, 500, 503, 599] {
            assert_eq!(answer(status, None), (true, None), "{status}");
        }
        for status in [302, 400, 403, 404, 410] {
            assert_eq!(answer(status, Some("5")), (false, None), "{status}");
        }
        assert_eq!(answer(503, Some("5")), (true, Some(5000)));
        assert_eq!(answer(503, Some("-5")), (false, None));
    }
}
