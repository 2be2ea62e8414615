//! Who is somebody by the word of an issuer of OpenID Connect.
//!
//! Map: [`token`] what a token says and whether it is signed, pure · [`issuers`] the keys of issuers, fetched and kept for a while ·
//! [`claims`] what AWS makes of claims of its own.

pub(crate) mod claims;
pub(crate) mod issuers;
pub(crate) mod token;
