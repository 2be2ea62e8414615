//! Tokens of OpenID Connect: what they have to say, who has signed them, and when they are good. Sources: STS API reference,
//! AssumeRoleWithWebIdentity; IAM User Guide, "OIDC federation" (five minutes of grace behind `exp`); OpenID Connect Core 1.0, 2.

use api_sts::error::{
    expired_token_exception, idp_rejected_claim_exception, invalid_identity_token_exception as invalid,
};
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};
use wire::Error;

/// Clocks differ.
const GRACE_SECONDS: i64 = 300;
/// What issuers sign with that the library has.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::ES256, Algorithm::ES384];

/// What a token says.
pub(crate) struct Token<'a> {
    text: &'a str,
    /// `None` is ES512, which the library has not.
    algorithm: Option<Algorithm>,
    /// The key that it says it is signed with.
    pub(crate) key_id: Option<String>,
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// Whom it is for: the party that it was issued to where it names one, else its audience. Source: IAM User Guide, "Available
    /// keys for AWS OIDC federation" (`aud`, `azp`).
    pub(crate) audience: Vec<String>,
    expires: i64,
    pub(crate) all: Map<String, Value>,
}

/// Whether it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    Yes,
    /// By none of the keys.
    No,
    /// The key that it names is not among them.
    KeyMissing,
}

impl<'a> Token<'a> {
    /// Reads it. Nothing that it says is known to be true.
    ///
    /// # Errors
    /// `InvalidIdentityToken` where it is no token of OpenID Connect.
    pub(crate) fn read(text: &'a str) -> Result<Self, Error> {
        let not = || {
            invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
        };
        let all: Map<String, Value> = insecure_decode_claims(text).map_err(|_| not())?;
        let (algorithm, key_id) = if let Some(header) = es512(text) {
            (None, header["kid"].as_str().map(str::to_owned))
        } else {
            let header = decode_header(text).map_err(|_| not())?;
            if !ALGORITHMS.contains(&header.alg) {
                let text = format!("The signature algorithm {:?} of the token is not supported", header.alg);
                return Err(invalid(text));
            }
            (Some(header.alg), header.kid)
        };
        let texts = |name: &str| match &all[name] {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        for name in ["iss", "sub", "aud", "exp", "iat"] {
            if !all.contains_key(name) {
                return Err(invalid(format!("Missing a required claim: {name}")));
            }
        }
        let text_of = |name: &str| all[name].as_str().map(str::to_owned);
        let time = |name: &str| seconds(&all[name]);
        let audience = texts("aud").filter(|all| !all.is_empty());
        let (Some(issuer), Some(subject), Some(audience), Some(expires), Some(_)) =
            (text_of("iss"), text_of("sub"), audience, time("exp"), time("iat"))
        else {
            return Err(not());
        };
        let party = all.get("azp").and_then(Value::as_str).map(str::to_owned);
        let audience = party.map_or(audience, |party| vec![party]);
        Ok(Self { text, algorithm, key_id, issuer, subject, audience, expires, all })
    }

    /// Whether one of the issuer's keys has signed it.
    pub(crate) fn signed(&self, keys: &[Jwk]) -> Signed {
        let of_it = |key: &&Jwk| self.key_id.is_none() || key.common.key_id == self.key_id;
        let mut candidates = keys.iter().filter(of_it).peekable();
        if candidates.peek().is_none() {
            return Signed::KeyMissing;
        }
        let Some(algorithm) = self.algorithm else {
            let signs = |key: &Jwk| signed_with_p521(self.text, key).is_some();
            return if candidates.any(signs) { Signed::Yes } else { Signed::No };
        };
        let mut rules = Validation::new(algorithm);
        // Times are looked at with the server's clock, and whom it is for by whom the provider lists.
        rules.required_spec_claims.clear();
        (rules.validate_exp, rules.validate_nbf, rules.validate_aud) = (false, false, false);
        let signs = |key: &Jwk| {
            let key = DecodingKey::from_jwk(key)?;
            decode::<Map<String, Value>>(self.text, &key, &rules)
        };
        if candidates.any(|key| signs(key).is_ok()) { Signed::Yes } else { Signed::No }
    }

    /// Whether it is good at a time.
    ///
    /// # Errors
    /// `ExpiredTokenException` afterwards, `IDPRejectedClaim` before.
    pub(crate) fn check_time(&self, now: i64) -> Result<(), Error> {
        if now >= self.expires.saturating_add(GRACE_SECONDS) {
            return Err(expired_token_exception(format!(
                "Token expired: current date/time {now} must be before the expiration date/time {}",
                self.expires
            )));
        }
        match self.all.get("nbf").map(seconds) {
            Some(Some(from)) if now.saturating_add(GRACE_SECONDS) < from => {
                Err(idp_rejected_claim_exception(format!("The token is not valid before {from}")))
            }
            Some(None) => Err(idp_rejected_claim_exception("The claim nbf of the token is not a time")),
            _ => Ok(()),
        }
    }
}

/// The header of a token that is signed with ES512.
fn es512(text: &str) -> Option<Value> {
    let header = URL_SAFE_NO_PAD.decode(text.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    Some(header).filter(|header| header["alg"] == "ES512")
}

/// Whether a key of the curve P-521 has signed a token. Source: RFC 7518, 3.4 and 6.2.1.
fn signed_with_p521(text: &str, key: &Jwk) -> Option<()> {
    const COORDINATE: usize = 66;
    let AlgorithmParameters::EllipticCurve(parameters) = &key.algorithm else { return None };
    if parameters.curve != EllipticCurve::P521 {
        return None;
    }
    let mut point = vec![4];
    for coordinate in [&parameters.x, &parameters.y] {
        let bytes = URL_SAFE_NO_PAD.decode(coordinate).ok().filter(|bytes| bytes.len() == COORDINATE)?;
        point.extend(bytes);
    }
    let (signed, signature) = text.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, &point).verify(signed.as_bytes(), &signature).ok()
}

/// A time as tokens have it: a number of seconds, whole or not.
fn seconds(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; a time so far off is never or always")]
    value.as_i64().or_else(|| value.as_f64().map(|time| time.floor() as i64))
}

/// The keys of a set that are of a kind that is known: others do not spoil it.
pub(crate) fn keys_of(set: &Value) -> Option<Vec<Jwk>> {
    let keys = set.get("keys")?.as_array()?;
    Some(keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    /// A key of the curve P-256, and its public half as its issuer tells it.
    fn key() -> (EncodingKey, Value) {
        let pair = aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = pair.unwrap().to_pkcs8v1().unwrap();
        let private = EncodingKey::from_ec_der(pkcs8.as_ref());
        let public = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
        (private, serde_json::to_value(public).unwrap())
    }

    fn claims() -> Value {
        json!({"iss": "https://i.example.org", "sub": "job:1", "aud": "sts.amazonaws.com", "exp": 1000, "iat": 900})
    }

    fn signed(claims: &Value, key: &EncodingKey, id: Option<&str>) -> String {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, key).unwrap()
    }

    #[test]
    fn only_the_issuers_keys_sign() {
        let ((own, mut public), (other, mut foreign)) = (key(), key());
        public["kid"] = json!("one");
        foreign["kid"] = json!("two");
        let unknown = json!({"kty": "AKP", "kid": "three", "pub": "AA"});
        let keys = keys_of(&json!({"keys": [unknown, public, foreign]})).unwrap();
        let check = |text: &str| Token::read(text).unwrap().signed(&keys);
        assert_eq!(check(&signed(&claims(), &own, Some("one"))), Signed::Yes);
        assert_eq!(check(&signed(&claims(), &own, None)), Signed::Yes);
        assert_eq!(check(&signed(&claims(), &own, Some("two"))), Signed::No);
        assert_eq!(check(&signed(&claims(), &other, Some("one"))), Signed::No);
        assert_eq!(check(&signed(&claims(), &own, Some("four"))), Signed::KeyMissing);
        // What it says is changed behind the signature.
        let text = signed(&claims(), &own, Some("one"));
        let mut more = claims();
        more["sub"] = json!("job:2");
        let parts: Vec<&str> = text.split('.').collect();
        let changed = signed(&more, &other, Some("one"));
        let body = changed.split('.').nth(1).unwrap();
        assert_eq!(check(&format!("{}.{body}.{}", parts[0], parts[2])), Signed::No);
        assert_eq!(check(&format!("{}.{}.", parts[0], parts[1])), Signed::No);
    }

    #[test]
    fn keys_of_the_largest_curve() {
        use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
        let generate = || EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
        let public = |pair: &EcdsaKeyPair, id: &str| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at(66);
            let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
            json!({"kty": "EC", "crv": "P-521", "alg": "ES512", "use": "sig", "kid": id, "x": x, "y": y})
        };
        let sign = |pair: &EcdsaKeyPair, id: &str| {
            let header = json!({"alg": "ES512", "typ": "JWT", "kid": id}).to_string();
            let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims().to_string()));
            let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), text.as_bytes()).unwrap();
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        };
        let (own, other) = (generate(), generate());
        let (_, of_another_curve) = key();
        let keys = keys_of(&json!({"keys": [public(&own, "one"), public(&other, "two"), of_another_curve]})).unwrap();
        assert_eq!(keys.len(), 3);
        let check = |text: &str| Token::read(text).unwrap().signed(&keys);
        assert_eq!(check(&sign(&own, "one")), Signed::Yes);
        assert_eq!(check(&sign(&own, "two")), Signed::No);
        assert_eq!(check(&sign(&own, "three")), Signed::KeyMissing);
        let text = sign(&own, "one");
        let (signed, _) = text.rsplit_once('.').unwrap();
        assert_eq!(check(&format!("{signed}.")), Signed::No);
    }

    #[test]
    fn what_a_token_must_say() {
        let (key, _) = key();
        for name in ["iss", "sub", "aud", "exp", "iat"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            let refused = Token::read(&signed(&claims, &key, None)).err().unwrap();
            assert_eq!(refused.code(), "InvalidIdentityToken");
            assert_eq!(refused.message(), format!("Missing a required claim: {name}"));
        }
        for wrong in ["", "a.b.c", "no token", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(Token::read(wrong).err().unwrap().code(), "InvalidIdentityToken", "{wrong}");
        }
        let mut empty = claims();
        empty["aud"] = json!([]);
        assert!(Token::read(&signed(&empty, &key, None)).is_err());
    }

    #[test]
    fn a_secret_that_both_know_signs_nothing() {
        let text = encode(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(b"x").unwrap()).unwrap();
        let refused = Token::read(&text).err().unwrap();
        assert_eq!(refused.message(), "The signature algorithm HS256 of the token is not supported");
    }

    #[test]
    fn whom_it_is_for() {
        let (key, _) = key();
        let audience = |claims: &Value| Token::read(&signed(claims, &key, None)).unwrap().audience;
        let mut claims = claims();
        assert_eq!(audience(&claims), ["sts.amazonaws.com"]);
        claims["aud"] = json!(["a", "b"]);
        assert_eq!(audience(&claims), ["a", "b"]);
        claims["azp"] = json!("client");
        assert_eq!(audience(&claims), ["client"]);
    }

    #[test]
    fn when_it_is_good() {
        let (key, _) = key();
        let mut claims = claims();
        claims["nbf"] = json!(900.5);
        let text = signed(&claims, &key, None);
        let token = Token::read(&text).unwrap();
        for (now, code) in [
            (599, "IDPRejectedClaim"),
            (600, ""),
            (1000, ""),
            (1299, ""),
            (1300, "ExpiredTokenException"),
            (i64::MAX, "ExpiredTokenException"),
        ] {
            let code_of = |error: Error| error.code().to_owned();
            assert_eq!(token.check_time(now).err().map(code_of).unwrap_or_default(), code, "{now}");
        }
    }
}
