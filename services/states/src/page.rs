//! Pages of lists: how many, and where the next one begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wire::Error;

/// The page size asked for: 100 where none is, or zero.
pub(crate) fn size(asked: Option<i32>) -> usize {
    asked.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0).unwrap_or(100).min(1000)
}

pub(crate) fn token(place: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

pub(crate) fn place(token: Option<&String>) -> Result<Option<Vec<u8>>, Error> {
    let Some(token) = token else { return Ok(None) };
    URL_SAFE_NO_PAD
        .decode(token)
        .map(Some)
        .map_err(|_| api_states::error::invalid_token(format!("Invalid Token: '{token}'")))
}
