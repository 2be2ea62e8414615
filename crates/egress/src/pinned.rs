//! Certificates that are trusted beside those of the machine's authorities: by the SHA-1 thumbprint of the last one of the chain, as IAM's
//! OpenID Connect providers name them. Source: IAM User Guide, "Obtain the thumbprint for an OpenID Connect identity provider".

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha1::{Digest as _, Sha1};

#[derive(Debug)]
struct Verifier {
    /// By the machine's authorities; none where it has none.
    usual: Option<Arc<WebPkiServerVerifier>>,
    thumbprints: Vec<[u8; 20]>,
    provider: Arc<CryptoProvider>,
}

/// Settings of TLS that trust the machine's authorities, and chains that end with one of these.
pub(crate) fn config(thumbprints: &[[u8; 20]]) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let usual = if roots.is_empty() { None } else { Some(by_authorities(roots, &provider)?) };
    let verifier = Verifier { usual, thumbprints: thumbprints.to_vec(), provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn by_authorities(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.build().map_err(|error| error.to_string())
}

fn unknown() -> rustls::Error {
    rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)
}

impl Verifier {
    /// A chain whose last certificate is named: the others hang by it.
    fn by_thumbprint(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let last = between.last().unwrap_or(end);
        if !self.thumbprints.contains(&Sha1::digest(last).into()) {
            return Err(unknown());
        }
        let Some((last, between)) = between.split_last() else {
            // The server's own certificate is named itself. Whether it has its key, the handshake shows.
            verify_server_name(&ParsedCertificate::try_from(end)?, name)?;
            return Ok(ServerCertVerified::assertion());
        };
        let mut roots = RootCertStore::empty();
        roots.add(last.clone().into_owned())?;
        let verifier = by_authorities(roots, &self.provider).map_err(rustls::Error::General)?;
        verifier.verify_server_cert(end, between, name, &[], now)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let usual = match &self.usual {
            Some(usual) => usual.verify_server_cert(end, between, name, ocsp, now),
            None => Err(unknown()),
        };
        usual.or_else(|refused| self.by_thumbprint(end, between, name, now).map_err(|_| refused))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
