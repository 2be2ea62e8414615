//! Pages of lists: how many, and where the next one begins. A page's token names its place and cannot be made up: it bears a seal.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wire::Error;

/// The page size asked for: 100 where none is, or zero.
pub(crate) fn size(asked: Option<i32>) -> usize {
    asked.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0).unwrap_or(100).min(1000)
}

pub(crate) fn token(place: &[u8]) -> String {
    let mut sealed = seal(place);
    sealed.extend_from_slice(place);
    URL_SAFE_NO_PAD.encode(sealed)
}

pub(crate) fn place(token: Option<&String>) -> Result<Option<Vec<u8>>, Error> {
    let Some(token) = token else { return Ok(None) };
    let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let (found, place) = sealed.split_at_checked(SEAL_BYTES).ok_or_else(invalid)?;
    if found == seal(place) { Ok(Some(place.to_vec())) } else { Err(invalid()) }
}

/// The place in a list whose keys begin with `prefix`; a token of another list is none of this one.
pub(crate) fn place_in(prefix: impl AsRef<[u8]>, token: Option<&String>) -> Result<Option<Vec<u8>>, Error> {
    match place(token)? {
        Some(place) if !place.starts_with(prefix.as_ref()) => Err(invalid()),
        place => Ok(place),
    }
}

pub(crate) fn invalid() -> Error {
    api_states::error::invalid_token("Invalid Token: 'Invalid token'")
}

const SEAL_BYTES: usize = 8;

fn seal(place: &[u8]) -> Vec<u8> {
    let text: String = place.iter().map(|byte| char::from(*byte)).collect();
    asl::fingerprint(&format!("page\n{text}")).into_bytes().into_iter().take(SEAL_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::{place, place_in, size, token};

    #[test]
    fn tokens_bear_a_seal() {
        let given = token(b"a/b\xff");
        assert_eq!(place(Some(&given)).unwrap(), Some(b"a/b\xff".to_vec()));
        assert_eq!(place_in("a/", Some(&given)).unwrap(), Some(b"a/b\xff".to_vec()));
        assert!(place_in("b/", Some(&given)).is_err());
        for forged in ["", "InvalidToken", "YWJj", &given[..given.len() - 2]] {
            assert_eq!(place(Some(&forged.to_owned())).unwrap_err().message(), "Invalid Token: 'Invalid token'");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!((size(None), size(Some(0)), size(Some(3)), size(Some(5000))), (100, 100, 3, 1000));
    }
}
