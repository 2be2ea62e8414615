//! The keys that issuers sign with: found by their discovery document, fetched when they are first needed, and kept. Anybody may send a
//! token, so that how often one issuer is asked is bounded, whatever tokens say. Source: OpenID Connect Discovery 1.0, 4.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_sts::error::{idp_communication_error_exception, invalid_identity_token_exception};
use egress::{Door, Failed, Request};
use jsonwebtoken::jwk::Jwk;
use reqwest::Url;
use serde_json::Value;
use wire::Error;

use super::token::{Signed, Token, keys_of};

/// An issuer has so long for each answer. Source: AWS re:Post, "How can I resolve the AWS STS AssumeRoleWithWebIdentity API call error
/// InvalidIdentityToken" (five seconds).
const LIMIT: Duration = Duration::from_secs(5);
/// Keys are asked for anew after this.
const KEPT_MS: i64 = 15 * 60 * 1000;
/// And for a key that is not among them, or after a failure, no sooner than after this.
const AGAIN_MS: i64 = 5 * 1000;
/// A document that is longer is none.
const MOST_BYTES: usize = 1 << 20;

/// The issuers that have been asked.
#[derive(Default)]
pub(crate) struct Issuers {
    /// By account and URL.
    known: Mutex<BTreeMap<(String, String), Shared>>,
}

/// One that is asked by one request at a time.
type Shared = Arc<tokio::sync::Mutex<Issuer>>;

/// Whom to ask.
pub(crate) struct Asked<'a> {
    pub(crate) account: &'a str,
    /// Without its scheme.
    pub(crate) url: &'a str,
    pub(crate) thumbprints: &'a [String],
}

#[derive(Default)]
struct Issuer {
    door: Option<Door>,
    thumbprints: Vec<String>,
    /// Those that were told last, or why there are none.
    told: Option<(i64, Result<Vec<Jwk>, Error>)>,
}

impl Issuers {
    /// Whether the issuer has signed the token.
    ///
    /// # Errors
    /// `IDPCommunicationError` where the issuer is not reached, `InvalidIdentityToken` where what it answers is no use.
    pub(crate) async fn signed(&self, asked: &Asked<'_>, token: &Token<'_>, now_ms: i64) -> Result<Signed, Error> {
        let issuer = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((asked.account.to_owned(), asked.url.to_owned())).or_default())
        };
        // One at a time: the others find what the first has fetched.
        let mut issuer = issuer.lock().await;
        if issuer.door.is_none() || issuer.thumbprints != asked.thumbprints {
            let thumbprints = asked.thumbprints.iter().filter_map(|text| hex::decode(text).ok()?.try_into().ok());
            let door = Door::new(false).within(LIMIT).trusting(thumbprints.collect());
            *issuer = Issuer { door: Some(door), thumbprints: asked.thumbprints.to_vec(), told: None };
        }
        if let Some((at, told)) = &issuer.told {
            let age = now_ms - at;
            match told {
                Ok(keys) if age < KEPT_MS => {
                    let signed = token.signed(keys);
                    if signed != Signed::KeyMissing || age < AGAIN_MS {
                        return Ok(signed);
                    }
                }
                Err(error) if age < AGAIN_MS => return Err(error.clone()),
                _ => {}
            }
        }
        let told = match &issuer.door {
            Some(door) => fetch(door, asked.url).await,
            None => Err(unusable()),
        };
        let signed = told.as_ref().map(|keys| token.signed(keys)).map_err(Clone::clone);
        issuer.told = Some((now_ms, told));
        signed
    }
}

fn unusable() -> Error {
    invalid_identity_token_exception(
        "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
    )
}

async fn fetch(door: &Door, url: &str) -> Result<Vec<Jwk>, Error> {
    let issuer = format!("https://{url}");
    let document = json(door, &format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).await?;
    if document["issuer"].as_str() != Some(&issuer) {
        tracing::warn!(%issuer, "its discovery document names another issuer");
        return Err(unusable());
    }
    let set = json(door, document["jwks_uri"].as_str().unwrap_or_default()).await?;
    keys_of(&set).ok_or_else(unusable)
}

async fn json(door: &Door, url: &str) -> Result<Value, Error> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https").ok_or_else(unusable)?;
    let headers = vec![("accept".to_owned(), "application/json".to_owned())];
    let request = Request { url: url.clone(), method: "GET".to_owned(), headers, body: None };
    match door.exchange(&request, MOST_BYTES).await {
        Ok(answer) if answer.is_success() => serde_json::from_slice(&answer.body).map_err(|_| unusable()),
        Ok(answer) => {
            tracing::warn!(%url, status = answer.status, "an identity provider's document is not there");
            Err(unusable())
        }
        Err(Failed::TooLong(_) | Failed::Unsendable(_)) => Err(unusable()),
        Err(failed) => {
            // Who asks is nobody yet: the cause is the operator's to read.
            tracing::warn!(%url, cause = failed.cause(), "an identity provider is not reached");
            Err(idp_communication_error_exception(
                "Could not reach the identity provider to verify the incoming identity token",
            ))
        }
    }
}
