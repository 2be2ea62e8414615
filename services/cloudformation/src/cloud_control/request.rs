//! What is stored of a request for a resource's operation.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Cx, Principal};
use store::{Key, Tx};
use wire::Timestamp;

use crate::Result;
use crate::records;

/// Milliseconds for which a request is known. Source: Cloud Control API User Guide, "Managing resource operation requests".
const KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// Milliseconds for which a client's token names one request. Source: API Reference, CreateResource, `ClientToken`.
const TOKEN_KEPT_MS: i64 = 36 * 3_600_000;
/// Requests that are looked at in one place.
pub(super) const MOST: usize = 10_000;

/// Where requests are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) account: String,
    pub(super) region: String,
}

impl Place {
    pub(super) fn of(cx: &Cx) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned() }
    }

    pub(super) fn requests(&self) -> Key {
        records::base(&self.account, &self.region, "resource-request")
    }

    fn client_token(&self, token: &str) -> Key {
        records::base(&self.account, &self.region, "resource-client-token").push(token)
    }

    fn busy(&self, of: (&str, &str)) -> Key {
        records::base(&self.account, &self.region, "resource-busy").push(of.0).push(of.1)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) token: String,
    pub(super) type_name: String,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub(super) operation: String,
    pub(super) status: String,
    pub(super) identifier: Option<String>,
    pub(super) principal: Principal,
    pub(super) role_arn: Option<String>,
    /// What it was; of an update.
    pub(super) old: Value,
    /// What it is to be; of a making or an update.
    pub(super) desired: Value,
    /// There was none of it before: what is there from then on, this request has made.
    pub(super) begun: bool,
    pub(super) model: Option<Value>,
    pub(super) message: Option<String>,
    pub(super) error: Option<String>,
    pub(super) begun_ms: i64,
    pub(super) at_ms: i64,
}

/// Which request a client's token has made, and of what.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    version: u32,
    request: String,
    payload: String,
    at_ms: i64,
}

/// Does a client's token name no request any more?
pub(crate) fn token_is_old(key: &[u8], value: &[u8], now_ms: i64) -> Result<bool> {
    let given: Given = store::kv::decode(key, value)?;
    Ok(now_ms - given.at_ms >= TOKEN_KEPT_MS)
}

impl Request {
    pub(super) fn find(tx: &mut Tx<'_>, place: &Place, token: &str, now_ms: i64) -> Result<Option<Self>> {
        let found: Option<Self> = tx.get_json(place.requests().push(token))?;
        Ok(found.filter(|request| request.is_known(now_ms)))
    }

    pub(super) fn is_known(&self, now_ms: i64) -> bool {
        !self.is_over() || now_ms - self.at_ms < KEPT_MS
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "SUCCESS" | "FAILED" | "CANCEL_COMPLETE")
    }

    pub(super) fn save(&self, tx: &mut Tx<'_>, place: &Place) -> Result<()> {
        Ok(tx.put_json(place.requests().push(&self.token), self)?)
    }

    /// The request that this client's token has made already, with the same payload; another payload's is a conflict.
    pub(super) fn given(tx: &mut Tx<'_>, place: &Place, client: (&str, &str), now_ms: i64) -> Result<Option<Self>> {
        let (token, payload) = client;
        let found: Option<Given> = tx.get_json(place.client_token(token))?;
        let Some(found) = found.filter(|found| now_ms - found.at_ms < TOKEN_KEPT_MS) else { return Ok(None) };
        if found.payload != payload {
            return Err(api_cloudcontrol::error::client_token_conflict_exception(
                "The specified client token has already been used in another resource request.",
            ));
        }
        Self::find(tx, place, &found.request, now_ms)
    }

    /// Notes the client's token, and that something is being done with the resource.
    pub(super) fn begin(&self, tx: &mut Tx<'_>, place: &Place, client: Option<(&str, &str)>) -> Result<()> {
        if let Some((token, payload)) = client {
            let given =
                Given { version: 1, request: self.token.clone(), payload: payload.to_owned(), at_ms: self.begun_ms };
            tx.put_json(place.client_token(token), &given)?;
        }
        if let Some(identifier) = &self.identifier {
            let busy = place.busy((&self.type_name, identifier));
            let other: Option<String> = tx.get_json(busy.clone())?;
            let other = other.map(|token| Self::find(tx, place, &token, self.begun_ms)).transpose()?.flatten();
            if let Some(other) = other.filter(|other| !other.is_over()) {
                return Err(api_cloudcontrol::error::concurrent_operation_exception(format!(
                    "Concurrent operation with request token {} is in progress on the resource {identifier} of type {}",
                    other.token, self.type_name
                )));
            }
            tx.put_json(busy, &self.token)?;
        }
        self.save(tx, place)
    }

    /// Nobody waits for it any more.
    pub(super) fn end(&self, tx: &mut Tx<'_>, place: &Place) -> Result<()> {
        if let Some(identifier) = &self.identifier {
            let busy = place.busy((&self.type_name, identifier));
            if tx.get_json::<String>(busy.clone())?.is_some_and(|token| token == self.token) {
                tx.delete(busy)?;
            }
        }
        self.save(tx, place)
    }

    pub(super) fn shape(&self) -> api_cloudcontrol::ProgressEvent {
        api_cloudcontrol::ProgressEvent {
            type_name: Some(self.type_name.clone()),
            identifier: self.identifier.clone(),
            request_token: Some(self.token.clone()),
            operation: Some(self.operation.clone()),
            operation_status: Some(self.status.clone()),
            event_time: Some(Timestamp::from_millis(self.at_ms)),
            resource_model: self.model.as_ref().map(Value::to_string),
            status_message: self.message.clone(),
            error_code: self.error.clone(),
            ..Default::default()
        }
    }
}
