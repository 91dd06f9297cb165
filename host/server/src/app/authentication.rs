//! Builds the authenticator.

use crate::auth::{AuthMode, Authenticator, Authorization, Jwks, JwtVerifier, ServiceAccounts, TokenCache};
use crate::config::{AuthConfig, AuthModeConfig, Config, ConfigError, JwksSource};

/// Reads or fetches the JSON Web Key Set, if one is configured, and starts to watch it.
pub(super) async fn open_jwks(config: &Config) -> Result<Option<Jwks>, ConfigError> {
    let AuthModeConfig::Jwt(jwt) = &config.auth.mode else { return Ok(None) };
    let Some((key, source)) = &jwt.jwks else { return Ok(None) };
    let jwks = match source {
        JwksSource::File(path) => Jwks::watch_file(path, jwt.algorithm),
        JwksSource::Url(url) => Jwks::fetch(url.clone(), jwt.algorithm).await,
        JwksSource::Document(document) => Jwks::from_document(document, jwt.algorithm),
    };
    jwks.map(Some).map_err(|error| config.error(*key, error.to_string()))
}

/// Reads the JSON Web Key Set, if one is configured and not at a URL.
pub(super) fn check_jwks(config: &Config) -> Result<(), ConfigError> {
    let AuthModeConfig::Jwt(jwt) = &config.auth.mode else { return Ok(()) };
    let Some((key, source)) = &jwt.jwks else { return Ok(()) };
    let jwks = match source {
        JwksSource::File(path) => Jwks::read_file(path, jwt.algorithm),
        JwksSource::Document(document) => Jwks::from_document(document, jwt.algorithm),
        JwksSource::Url(_) => return Ok(()),
    };
    jwks.map(drop).map_err(|error| config.error(*key, error.to_string()))
}

/// Combines the configuration with what was opened for it.
pub(super) fn build(
    auth: AuthConfig,
    authorization: Authorization,
    jwks: Option<Jwks>,
    service_accounts: Option<ServiceAccounts>,
) -> Authenticator {
    let mode = match auth.mode {
        AuthModeConfig::None => AuthMode::None,
        AuthModeConfig::SecurityKey(key) => AuthMode::SecurityKey(key),
        AuthModeConfig::Jwt(jwt) => AuthMode::Jwt(Box::new(JwtVerifier {
            algorithm: jwt.algorithm,
            keys: jwt.keys,
            jwks,
            claims: jwt.claims,
            leeway_seconds: jwt.leeway_seconds,
            token_cache: TokenCache::default(),
        })),
    };
    Authenticator { mode, service_accounts, authorization }
}
