//! Key pairs: RSA and elliptic curves. What is secret of one is PKCS #8, kept sealed as other material is.
//! Source: KMS Developer Guide, "Key spec reference". The work is AWS-LC's, by `aws-lc-rs`.

use api_kms::error::{
    invalid_ciphertext_exception, invalid_key_usage_exception, kms_invalid_signature_exception,
    unsupported_operation_exception,
};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use wire::Error;

const RSA_SIGNING: [&str; 6] = [
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
];
const RSA_ENCRYPTION: [&str; 2] = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];

/// What a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairSpec {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    P256K1,
}

impl PairSpec {
    pub(crate) fn of(spec: &str) -> Option<Self> {
        Some(match spec {
            "RSA_2048" => Self::Rsa2048,
            "RSA_3072" => Self::Rsa3072,
            "RSA_4096" => Self::Rsa4096,
            "ECC_NIST_P256" => Self::P256,
            "ECC_NIST_P384" => Self::P384,
            "ECC_NIST_P521" => Self::P521,
            "ECC_SECG_P256K1" => Self::P256K1,
            _ => return None,
        })
    }

    /// By name, or refused by name.
    pub(crate) fn named(spec: &str) -> Result<Self, Error> {
        let unknown = || unsupported_operation_exception(format!("KeyPairSpec {spec} is not supported by Lakerun."));
        Self::of(spec).ok_or_else(unknown)
    }

    fn curve(self) -> Option<&'static EcdsaSigningAlgorithm> {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => None,
            Self::P256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Self::P384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
            Self::P521 => Some(&ECDSA_P521_SHA512_ASN1_SIGNING),
            Self::P256K1 => Some(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
        }
    }

    /// The algorithms by which a key of the usage signs.
    pub(crate) fn signing(self) -> &'static [&'static str] {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &RSA_SIGNING,
            Self::P256 | Self::P256K1 => &["ECDSA_SHA_256"],
            Self::P384 => &["ECDSA_SHA_384"],
            Self::P521 => &["ECDSA_SHA_512"],
        }
    }

    /// The algorithms by which it encrypts; none of curves.
    pub(crate) fn encryption(self) -> &'static [&'static str] {
        if self.curve().is_some() { &[] } else { &RSA_ENCRYPTION }
    }

    /// A new pair, as PKCS #8. It takes a processor for a while.
    pub(crate) fn generate(self) -> Result<Vec<u8>, Error> {
        let size = match self {
            Self::Rsa2048 => KeySize::Rsa2048,
            Self::Rsa3072 => KeySize::Rsa3072,
            Self::Rsa4096 => KeySize::Rsa4096,
            Self::P256 | Self::P384 | Self::P521 | Self::P256K1 => {
                let curve = self.curve().ok_or_else(|| internal("no curve"))?;
                let made = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).map_err(internal)?;
                return Ok(made.as_ref().to_vec());
            }
        };
        let made = RsaKeyPair::generate(size).map_err(internal)?;
        let der: Pkcs8V1Der<'_> = made.as_der().map_err(internal)?;
        Ok(der.as_ref().to_vec())
    }

    /// What is public of a pair, as an X.509 `SubjectPublicKeyInfo`.
    pub(crate) fn public(self, pkcs8: &[u8]) -> Result<Vec<u8>, Error> {
        let der: PublicKeyX509Der<'_> = match self.curve() {
            Some(curve) => {
                let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(internal)?;
                pair.public_key().as_der().map_err(internal)?
            }
            None => RsaKeyPair::from_pkcs8(pkcs8).map_err(internal)?.public_key().as_der().map_err(internal)?,
        };
        Ok(der.as_ref().to_vec())
    }
}

fn internal(what: impl std::fmt::Debug) -> Error {
    Error::internal(format!("KMS: {what:?}"))
}

/// What is signed: a message, or its digest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) is_digest: bool,
}

/// How an algorithm of RSA signs, and how its signatures are verified.
type RsaPair = (&'static dyn RsaEncoding, &'static dyn VerificationAlgorithm);

fn rsa(algorithm: &str) -> Option<RsaPair> {
    Some(match algorithm {
        "RSASSA_PKCS1_V1_5_SHA_256" => (&RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256),
        "RSASSA_PKCS1_V1_5_SHA_384" => (&RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384),
        "RSASSA_PKCS1_V1_5_SHA_512" => (&RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512),
        "RSASSA_PSS_SHA_256" => (&RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256),
        "RSASSA_PSS_SHA_384" => (&RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384),
        "RSASSA_PSS_SHA_512" => (&RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512),
        _ => return None,
    })
}

fn hash(algorithm: &str) -> &'static digest::Algorithm {
    match algorithm.rsplit('_').next() {
        Some("512") => &digest::SHA512,
        Some("384") => &digest::SHA384,
        _ => &digest::SHA256,
    }
}

fn digest_of(algorithm: &str, message: Message<'_>) -> Result<Digest, Error> {
    if !message.is_digest {
        return Ok(digest::digest(hash(algorithm), message.bytes));
    }
    Digest::import_less_safe(message.bytes, hash(algorithm))
        .map_err(|_| Error::validation(format!("Digest is invalid length for algorithm {algorithm}.")))
}

/// Algorithms are those of the key's spec.
pub(crate) fn check_algorithm(asked: &str, known: &[&str], spec: &str) -> Result<(), Error> {
    if known.contains(&asked) {
        return Ok(());
    }
    Err(invalid_key_usage_exception(format!("Algorithm {asked} is incompatible with key spec {spec}.")))
}

pub(crate) fn sign(spec: PairSpec, pkcs8: &[u8], algorithm: &str, message: Message<'_>) -> Result<Vec<u8>, Error> {
    let digest = digest_of(algorithm, message)?;
    if let Some(curve) = spec.curve() {
        let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(internal)?;
        return Ok(pair.sign_digest(&digest).map_err(internal)?.as_ref().to_vec());
    }
    let (encoding, _) = rsa(algorithm).ok_or_else(|| internal(algorithm))?;
    let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(internal)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign_digest(encoding, &digest, &mut signature).map_err(internal)?;
    Ok(signature)
}

/// # Errors
/// `KMSInvalidSignatureException`, which has no message on AWS either.
pub(crate) fn verify(
    spec: PairSpec,
    pkcs8: &[u8],
    algorithm: &str,
    message: Message<'_>,
    signature: &[u8],
) -> Result<(), Error> {
    let digest = digest_of(algorithm, message)?;
    let verification: &'static dyn VerificationAlgorithm = match spec {
        PairSpec::P256 => &ECDSA_P256_SHA256_ASN1,
        PairSpec::P384 => &ECDSA_P384_SHA384_ASN1,
        PairSpec::P521 => &ECDSA_P521_SHA512_ASN1,
        PairSpec::P256K1 => &ECDSA_P256K1_SHA256_ASN1,
        PairSpec::Rsa2048 | PairSpec::Rsa3072 | PairSpec::Rsa4096 => {
            rsa(algorithm).ok_or_else(|| internal(algorithm))?.1
        }
    };
    let public = spec.public(pkcs8)?;
    let verified = UnparsedPublicKey::new(verification, &public).verify_digest(&digest, signature);
    verified.map_err(|_| kms_invalid_signature_exception(""))
}

fn oaep(algorithm: &str) -> &'static OaepAlgorithm {
    if algorithm == "RSAES_OAEP_SHA_1" { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 }
}

/// `spec` as the key tells it, for the message of what is too long.
pub(crate) fn encrypt(pkcs8: &[u8], algorithm: &str, spec: &str, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let private = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(internal)?;
    let public = OaepPublicEncryptingKey::new(private.public_key()).map_err(internal)?;
    let most = public.max_plaintext_size(oaep(algorithm));
    if plaintext.len() > most {
        return Err(Error::validation(format!(
            "Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."
        )));
    }
    let mut ciphertext = vec![0; public.ciphertext_size()];
    let made = public.encrypt(oaep(algorithm), plaintext, &mut ciphertext, None).map_err(internal)?;
    Ok(made.to_vec())
}

/// # Errors
/// `InvalidCiphertextException`, which has no message on AWS either.
pub(crate) fn decrypt(pkcs8: &[u8], algorithm: &str, ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
    let private = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(internal)?;
    let private = OaepPrivateDecryptingKey::new(private).map_err(internal)?;
    let mut plaintext = vec![0; private.min_output_size()];
    let opened = private.decrypt(oaep(algorithm), ciphertext, &mut plaintext, None);
    Ok(opened.map_err(|_| invalid_ciphertext_exception(""))?.to_vec())
}

#[cfg(test)]
mod tests {
    use ring::signature as other;

    use super::*;

    /// Another implementation verifies what is signed here. It takes no `SubjectPublicKeyInfo`, so that its head is cut off.
    #[test]
    fn signatures_are_those_of_the_standards() {
        let message = Message { bytes: b"what is signed", is_digest: false };
        let cases: [(PairSpec, &str, usize, &dyn other::VerificationAlgorithm); 4] = [
            (PairSpec::Rsa2048, "RSASSA_PKCS1_V1_5_SHA_256", 24, &other::RSA_PKCS1_2048_8192_SHA256),
            (PairSpec::Rsa2048, "RSASSA_PSS_SHA_512", 24, &other::RSA_PSS_2048_8192_SHA512),
            (PairSpec::P256, "ECDSA_SHA_256", 26, &other::ECDSA_P256_SHA256_ASN1),
            (PairSpec::P384, "ECDSA_SHA_384", 23, &other::ECDSA_P384_SHA384_ASN1),
        ];
        for (spec, algorithm, head, verification) in cases {
            let pair = spec.generate().unwrap();
            let signature = sign(spec, &pair, algorithm, message).unwrap();
            let public = spec.public(&pair).unwrap();
            other::UnparsedPublicKey::new(verification, &public[head..]).verify(message.bytes, &signature).unwrap();
        }
    }

    #[test]
    fn pairs_sign_and_encrypt() {
        let message = Message { bytes: b"what is signed", is_digest: false };
        for spec in [PairSpec::Rsa2048, PairSpec::P256, PairSpec::P384, PairSpec::P521, PairSpec::P256K1] {
            let (pair, foreign) = (spec.generate().unwrap(), spec.generate().unwrap());
            for algorithm in spec.signing() {
                let signature = sign(spec, &pair, algorithm, message).unwrap();
                verify(spec, &pair, algorithm, message, &signature).unwrap();
                let digest = digest::digest(hash(algorithm), message.bytes);
                let of_digest = Message { bytes: digest.as_ref(), is_digest: true };
                verify(spec, &pair, algorithm, of_digest, &signature).unwrap();
                let signed = sign(spec, &pair, algorithm, of_digest).unwrap();
                verify(spec, &pair, algorithm, message, &signed).unwrap();
                let wrong = Message { bytes: b"what is not", is_digest: false };
                for (pair, message) in [(&pair, wrong), (&foreign, message)] {
                    let refused = verify(spec, pair, algorithm, message, &signature).unwrap_err();
                    assert_eq!(refused.code(), "KMSInvalidSignatureException");
                }
                assert!(verify(spec, &pair, algorithm, message, b"no signature").is_err());
                let short = Message { bytes: b"short", is_digest: true };
                assert_eq!(sign(spec, &pair, algorithm, short).unwrap_err().code(), "ValidationException");
            }
            for algorithm in spec.encryption() {
                let blob = encrypt(&pair, algorithm, "RSA_2048", b"secret").unwrap();
                assert_eq!(decrypt(&pair, algorithm, &blob).unwrap(), b"secret");
                assert_eq!(decrypt(&foreign, algorithm, &blob).unwrap_err().code(), "InvalidCiphertextException");
                let most = if *algorithm == "RSAES_OAEP_SHA_1" { 214 } else { 190 };
                encrypt(&pair, algorithm, "RSA_2048", &vec![1; most]).unwrap();
                let long = encrypt(&pair, algorithm, "RSA_2048", &vec![1; most + 1]).unwrap_err();
                assert!(long.message().ends_with(&format!("larger than {most} bytes.")), "{}", long.message());
            }
        }
    }
}
