//! Authenticates a request.

use super::service_accounts::{ServiceAccounts, TOKEN_PREFIX};
use super::{Authorization, JwtVerifier, SecurityKey};
use crate::telemetry::metrics::CacheMetrics;
use delete_learning::{Caller, Credential, IdentityError, IdentityErrorKind};
use std::net::IpAddr;
use std::sync::Arc;

/// How a deployment authenticates its callers.
pub enum AuthMode {
    /// Without authentication: every caller can delete every learning.
    None,
    /// With the security key.
    SecurityKey(SecurityKey),
    /// With JSON Web Tokens.
    Jwt(Box<JwtVerifier>),
}

/// Authenticates requests.
pub struct Authenticator {
    /// How callers authenticate.
    pub mode: AuthMode,
    /// Service accounts, which can authenticate in addition to the mode.
    pub service_accounts: Option<ServiceAccounts>,
    /// What authenticated callers can do.
    pub authorization: Authorization,
}

impl Authenticator {
    /// Returns the caller of a request from the values of its `Authorization` headers and the address of its client.
    ///
    /// # Errors
    /// [`IdentityError`], as the contract's `identity-error` describes.
    pub async fn authenticate<'a>(
        &self,
        authorization: impl Iterator<Item = &'a [u8]>,
        client: IpAddr,
    ) -> Result<Caller, IdentityError> {
        let expected = match &self.mode {
            AuthMode::None => return Ok(self.caller(Credential::None, None, Vec::new())),
            AuthMode::SecurityKey(_) => Credential::SecurityKey,
            AuthMode::Jwt(_) => Credential::Jwt,
        };
        let token =
            bearer_token(authorization).map_err(|(kind, message)| IdentityError::new(kind, expected, message))?;
        if token.starts_with(TOKEN_PREFIX) {
            return self.authenticate_service_account(token, client).await;
        }
        match &self.mode {
            AuthMode::SecurityKey(key) if !key.matches(token) => {
                let reason = match token.split('.').count() {
                    3 => "a JSON Web Token, and auth.mode is \"security-key\"",
                    _ => "not the security key",
                };
                Err(IdentityError::new(IdentityErrorKind::Invalid, expected, reason))
            }
            AuthMode::Jwt(verifier) => {
                let claims = verifier.verify(token).await?;
                Ok(self.caller(Credential::Jwt, claims.subject, claims.scopes))
            }
            AuthMode::SecurityKey(_) | AuthMode::None => Ok(self.caller(expected, None, Vec::new())),
        }
    }

    /// The caches of verified credentials.
    #[must_use]
    pub fn caches(&self) -> Vec<(Credential, Arc<CacheMetrics>)> {
        let tokens = match &self.mode {
            AuthMode::Jwt(verifier) => Some((Credential::Jwt, verifier.token_cache.metrics())),
            AuthMode::None | AuthMode::SecurityKey(_) => None,
        };
        let accounts = self.service_accounts.as_ref().map(|accounts| (Credential::ServiceAccount, accounts.metrics()));
        tokens.into_iter().chain(accounts).collect()
    }

    async fn authenticate_service_account(&self, token: &str, client: IpAddr) -> Result<Caller, IdentityError> {
        let Some(accounts) = &self.service_accounts else {
            return Err(IdentityError::new(
                IdentityErrorKind::NotEnabled,
                Credential::ServiceAccount,
                "the token of a service account, and no account store is configured",
            ));
        };
        let account = accounts.verify(token, client).await?;
        Ok(self.caller(Credential::ServiceAccount, Some(format!("sa:{}", account.name)), account.scopes))
    }

    fn caller(&self, credential: Credential, subject: Option<String>, scopes: Vec<String>) -> Caller {
        let Authorization { enforce_scopes, user_isolation, admin_scope } = self.authorization.clone();
        let (scopes_optional, all_owners) = (!enforce_scopes, !user_isolation);
        Caller { credential, subject, scopes, scopes_optional, all_owners, admin_scope }
    }
}

/// The token of the one `Authorization` header.
fn bearer_token<'a>(
    mut authorization: impl Iterator<Item = &'a [u8]>,
) -> Result<&'a str, (IdentityErrorKind, &'static str)> {
    let Some(value) = authorization.next() else {
        return Err((IdentityErrorKind::Missing, "no Authorization header"));
    };
    if authorization.next().is_some() {
        return Err((IdentityErrorKind::Malformed, "more than one Authorization header"));
    }
    match parse_bearer(value) {
        Some("") => Err((IdentityErrorKind::Missing, "the Bearer scheme without a token")),
        Some(token) => Ok(token),
        None => Err((IdentityErrorKind::Malformed, "not the Bearer scheme, or not visible ASCII")),
    }
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1). The scheme is case-insensitive (RFC 9110, section 11.1).
fn parse_bearer(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let value = std::str::from_utf8(value).ok().filter(|value| value.as_bytes().iter().all(is_visible))?.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
