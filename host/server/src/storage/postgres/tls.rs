//! TLS to PostgreSQL, with the certificate checks of `sslmode`.

use super::error::TlsError;
use super::tls_settings::{CertificateCheck, TlsSettings};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// Creates what makes connections to PostgreSQL encrypted. It reads the files of certificates.
pub(super) fn connector(settings: &TlsSettings) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let authorities = match settings.check {
        CertificateCheck::None => None,
        CertificateCheck::VerifyCa | CertificateCheck::VerifyFull => {
            let roots = Arc::new(root_store(settings.roots.as_deref())?);
            let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            Some(builder.build().map_err(|_| TlsError::NoRootCertificates)?)
        }
    };
    let verifier = Verifier { check: settings.check, authorities, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let (chain, key) = (client_chain(&client.certificate)?, client_key(&client.key)?);
            builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::ClientCertificate {
                parameter: "sslcert",
                path: client.certificate.clone(),
                reason: format!("{error}; it must be the certificate of the key {}", client.key.display()),
            })?
        }
    };
    config.enable_sni = settings.has_sni;
    Ok(MakeRustlsConnect::new(config))
}

/// Reads a certificate, followed by those of intermediate authorities.
fn client_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason| TlsError::ClientCertificate { parameter: "sslcert", path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| failed(error.to_string()))?;
    if chain.is_empty() { Err(failed("it contains no certificate in PEM".to_owned())) } else { Ok(chain) }
}

/// Reads a private key. As libpq does, it refuses a key that other users can read.
fn client_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let failed = |reason| TlsError::ClientCertificate { parameter: "sslkey", path: path.to_owned(), reason };
    let metadata = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    // The group of a key of root can read it.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        let reason = "other users can access it; run chmod 600 (640 is enough if root owns it)";
        return Err(failed(reason.to_owned()));
    }
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            failed("it contains no private key in PEM that is not encrypted; decrypt it with openssl pkey".to_owned())
        }
        error => failed(error.to_string()),
    })
}

fn root_store(roots: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            let failed = |reason: String| TlsError::RootCertificates { path: path.to_owned(), reason };
            let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                store.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if store.is_empty() {
                return Err(failed("it contains no certificate in PEM".to_owned()));
            }
        }
        // A certificate that cannot be read is not trusted.
        None => drop(store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    Ok(store)
}

/// Checks a certificate as configured. That the server has its private key is always checked.
#[derive(Debug)]
struct Verifier {
    check: CertificateCheck,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked last, so everything else is valid.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == CertificateCheck::VerifyCa => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms);
        // rustls rejects certificates of X.509 version 1, which `openssl x509 -req` creates without extensions, as in
        // PostgreSQL's documentation. If nothing in the certificate is checked, its key is enough.
        match public_key(cert) {
            Some(key) if verified.is_err() && self.authorities.is_none() => {
                rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
            }
            _ => verified,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn public_key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate.subject_public_key_info.to_der().ok()?.into())
}
