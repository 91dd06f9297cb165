//! Builds the authenticator.

use crate::auth::{AuthMode, Authenticator, Authorization, JwksFile, JwtVerifier, ServiceAccounts, TokenCache};
use crate::config::{AuthConfig, AuthModeConfig, Config, ConfigError};
use std::sync::Arc;

/// Reads the JSON Web Key Set, if one is configured, and starts to watch its file.
pub(super) fn open_jwks(config: &Config) -> Result<Option<Arc<JwksFile>>, ConfigError> {
    let AuthModeConfig::Jwt(jwt) = &config.auth.mode else { return Ok(None) };
    let Some(jwks) = &jwt.jwks else { return Ok(None) };
    let file = JwksFile::watch(&jwks.file, jwt.algorithm);
    file.map(Some).map_err(|error| config.error(jwks.key, error.to_string()))
}

/// Combines the configuration with what was opened for it.
pub(super) fn build(
    auth: AuthConfig,
    authorization: Authorization,
    jwks: Option<Arc<JwksFile>>,
    service_accounts: Option<ServiceAccounts>,
) -> Authenticator {
    let mode = match auth.mode {
        AuthModeConfig::None => AuthMode::None,
        AuthModeConfig::SecurityKey(key) => AuthMode::SecurityKey(key),
        AuthModeConfig::Jwt(jwt) => AuthMode::Jwt(Box::new(JwtVerifier {
            algorithm: jwt.algorithm,
            keys: jwt.keys,
            jwks,
            audience: jwt.audience,
            issuer: jwt.issuer,
            leeway_seconds: jwt.leeway_seconds,
            token_cache: TokenCache::default(),
        })),
    };
    Authenticator { mode, service_accounts, authorization }
}
