//! The settings of TLS: `sslmode`, the certificates and `channel_binding`.

use super::error::UrlError;
use super::parameters::{Parameters, Value};
use std::path::{Path, PathBuf};
use tokio_postgres::config::{ChannelBinding, SslMode};

/// How a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertificateCheck {
    /// Not at all.
    None,
    /// A trusted certificate authority must have signed it.
    VerifyCa,
    /// In addition, it must be for the name of the host.
    VerifyFull,
}

/// The files of a client certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientCertificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// The settings of TLS to every host of a database.
#[derive(Clone, Debug)]
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    pub(super) check: CertificateCheck,
    /// The file of trusted root certificates; `None` for those that the machine trusts.
    pub(super) roots: Option<PathBuf>,
    pub(super) client: Option<ClientCertificate>,
    /// Whether the handshake contains the name of the host in clear text.
    pub(super) has_sni: bool,
    pub(super) channel_binding: ChannelBinding,
}

impl TlsSettings {
    /// The path of a file is relative to `directory`. Default files are in the user's directory `home`, as with libpq.
    pub(super) fn from_parameters(
        parameters: &Parameters,
        directory: &Path,
        home: Option<&Path>,
    ) -> Result<Self, UrlError> {
        let default = |name: &str| home.map(|home| home.join(".postgresql").join(name)).filter(|path| path.exists());
        let file = |name: &'static str| parameters.text(name).map(|path| directory.join(path));
        let is_system = parameters.text("sslrootcert") == Some("system");
        let roots = if is_system { None } else { file("sslrootcert").or_else(|| default("root.crt")) };
        let (mode, check) = match parameters.get("sslmode") {
            // As libpq: anybody can get a certificate of an authority that the system trusts.
            None if is_system => (SslMode::Require, CertificateCheck::VerifyFull),
            None => (SslMode::Prefer, CertificateCheck::None),
            Some(mode) if is_system && mode.text != "verify-full" => {
                return Err(mode.invalid("verify-full with sslrootcert=system"));
            }
            Some(mode) => resolve_mode(mode, roots.is_some())?,
        };
        let channel_binding = match parameters.get("channel_binding") {
            None => ChannelBinding::Prefer,
            Some(value) => match value.text.as_str() {
                "disable" => ChannelBinding::Disable,
                "prefer" => ChannelBinding::Prefer,
                "require" if mode == SslMode::Disable => {
                    return Err(UrlError::Conflict(
                        "channel_binding=require needs TLS, and sslmode=disable prevents it",
                    ));
                }
                "require" => ChannelBinding::Require,
                _ => return Err(value.invalid("disable, prefer or require")),
            },
        };
        let uses_client_certificate = match parameters.get("sslcertmode") {
            None => true,
            Some(value) => match value.text.as_str() {
                "allow" => true,
                "disable" => false,
                "require" => {
                    let advice =
                        "set clientcert=verify-full in pg_hba.conf, so that PostgreSQL requires the certificate";
                    return Err(UrlError::UnsupportedValue(value.origin, advice));
                }
                _ => return Err(value.invalid("allow or disable")),
            },
        };
        let client = if uses_client_certificate && mode != SslMode::Disable {
            let certificate = file("sslcert").or_else(|| default("postgresql.crt"));
            match (certificate, file("sslkey").or_else(|| default("postgresql.key"))) {
                (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
                (Some(_), None) => {
                    return Err(UrlError::Conflict("sslcert (or PGSSLCERT) needs sslkey, its private key"));
                }
                (None, Some(_)) if parameters.get("sslkey").is_some() => {
                    return Err(UrlError::Conflict("sslkey (or PGSSLKEY) needs sslcert, its certificate"));
                }
                (None, _) => None,
            }
        } else {
            None
        };
        let has_sni = parameters.get("sslsni").map(Value::boolean).transpose()?.unwrap_or(true);
        Ok(Self { mode, check, roots, client, has_sni, channel_binding })
    }
}

/// The meaning of the mode in libpq: `require` checks the certificate if there are root certificates, the `verify-` modes
/// always.
fn resolve_mode(mode: &Value, has_roots: bool) -> Result<(SslMode, CertificateCheck), UrlError> {
    Ok(match mode.text.as_str() {
        "disable" => (SslMode::Disable, CertificateCheck::None),
        "prefer" | "allow" => (SslMode::Prefer, CertificateCheck::None),
        "require" if has_roots => (SslMode::Require, CertificateCheck::VerifyCa),
        "require" => (SslMode::Require, CertificateCheck::None),
        "verify-ca" => (SslMode::Require, CertificateCheck::VerifyCa),
        "verify-full" => (SslMode::Require, CertificateCheck::VerifyFull),
        _ => return Err(mode.invalid("disable, allow, prefer, require, verify-ca or verify-full")),
    })
}
