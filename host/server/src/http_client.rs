//! The client for requests to other servers: the issuer of a key set, a collector of traces.

use rustls::crypto::aws_lc_rs;
use std::sync::Arc;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;

/// There is nothing to verify the certificate of another server with.
#[derive(Debug, thiserror::Error)]
#[error("this machine trusts no certificate authority; SSL_CERT_FILE can name a file")]
pub struct NoRootCertificates;

/// A configuration with the certificate authorities that this machine trusts.
pub(crate) fn tls_config() -> Result<ConfigBuilder<AgentScope>, NoRootCertificates> {
    let native = rustls_native_certs::load_native_certs();
    let roots: Vec<Certificate<'static>> =
        native.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    if roots.is_empty() {
        return Err(NoRootCertificates);
    }
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    Ok(Agent::config_builder().tls_config(tls))
}
