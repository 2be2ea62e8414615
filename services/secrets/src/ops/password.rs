//! GetRandomPassword: characters of the types that are asked for, by default at least one of each.

use api_secretsmanager::error::invalid_parameter_exception;
use api_secretsmanager::{GetRandomPassword, GetRandomPasswordRequest, GetRandomPasswordResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Secrets;

/// Source: Secrets Manager API Reference, GetRandomPassword.
const DEFAULT_LENGTH: i64 = 32;
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

#[async_trait]
impl Handle<GetRandomPassword> for Secrets {
    async fn handle(&self, cx: &Cx, req: GetRandomPasswordRequest) -> Result<GetRandomPasswordResponse, Error> {
        let clock = cx.router().clock();
        let password = password(&req, &mut || clock.random())?;
        Ok(GetRandomPasswordResponse { random_password: Some(password) })
    }
}

/// `random` gives 128 bits each time.
fn password(req: &GetRandomPasswordRequest, random: &mut dyn FnMut() -> u128) -> Result<String, Error> {
    let length = usize::try_from(req.password_length.unwrap_or(DEFAULT_LENGTH)).unwrap_or_default();
    let kinds = kinds(req);
    let all: Vec<char> = kinds.iter().flatten().copied().collect();
    if all.is_empty() {
        return Err(invalid_parameter_exception("All characters of the password are excluded."));
    }
    let required = if req.require_each_included_type == Some(false) { &[][..] } else { kinds.as_slice() };
    if required.len() > length || required.iter().any(Vec::is_empty) {
        return Err(invalid_parameter_exception(
            "The password cannot have each included type: it is too short, or all characters of one are excluded.",
        ));
    }
    let mut below = |most: usize| usize::try_from(random() % most as u128).unwrap_or_default();
    let mut chosen: Vec<char> = required.iter().map(|kind| kind[below(kind.len())]).collect();
    while chosen.len() < length {
        chosen.push(all[below(all.len())]);
    }
    // The required ones stand anywhere.
    for last in (1..chosen.len()).rev() {
        chosen.swap(last, below(last + 1));
    }
    Ok(chosen.into_iter().collect())
}

/// The characters of each included type.
fn kinds(req: &GetRandomPasswordRequest) -> Vec<Vec<char>> {
    let excluded = req.exclude_characters.as_deref().unwrap_or_default();
    let kinds: [(bool, Vec<char>); 5] = [
        (req.exclude_lowercase == Some(true), ('a'..='z').collect()),
        (req.exclude_uppercase == Some(true), ('A'..='Z').collect()),
        (req.exclude_numbers == Some(true), ('0'..='9').collect()),
        (req.exclude_punctuation == Some(true), PUNCTUATION.chars().collect()),
        (req.include_space != Some(true), vec![' ']),
    ];
    let included = kinds.into_iter().filter(|(left_out, _)| !left_out);
    included.map(|(_, kind)| kind.into_iter().filter(|c| !excluded.contains(*c)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(req: &GetRandomPasswordRequest) -> Result<String, Error> {
        let mut seed: u128 = 1;
        password(req, &mut || {
            seed = seed.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(1);
            seed >> 64
        })
    }

    #[test]
    fn types_that_are_included_are_there() {
        for length in 4..40 {
            let password =
                made(&GetRandomPasswordRequest { password_length: Some(length), ..Default::default() }).unwrap();
            assert_eq!(password.len(), usize::try_from(length).unwrap());
            for test in
                [char::is_ascii_lowercase, char::is_ascii_uppercase, char::is_ascii_digit, char::is_ascii_punctuation]
            {
                assert!(password.chars().any(|c| test(&c)), "{password}");
            }
        }
        assert_eq!(made(&GetRandomPasswordRequest::default()).unwrap().len(), 32);
    }

    #[test]
    fn what_is_excluded_is_not() {
        let req = GetRandomPasswordRequest {
            password_length: Some(1000),
            exclude_characters: Some("abc\"@/\\".to_owned()),
            exclude_numbers: Some(true),
            exclude_uppercase: Some(true),
            include_space: Some(true),
            ..Default::default()
        };
        let password = made(&req).unwrap();
        assert!(!password.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || "abc\"@/\\".contains(c)));
        assert!(password.contains(' ') && password.contains('z') && password.contains('!'));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let short = GetRandomPasswordRequest { password_length: Some(3), ..Default::default() };
        assert!(made(&short).is_err());
        let any = GetRandomPasswordRequest { require_each_included_type: Some(false), ..short };
        assert_eq!(made(&any).unwrap().len(), 3);
        let none = GetRandomPasswordRequest {
            exclude_lowercase: Some(true),
            exclude_uppercase: Some(true),
            exclude_numbers: Some(true),
            exclude_punctuation: Some(true),
            ..Default::default()
        };
        assert!(made(&none).is_err());
    }
}
