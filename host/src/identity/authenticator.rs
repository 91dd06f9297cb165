//! From the headers of a request to its caller.

use super::service_accounts::{ServiceAccounts, TOKEN_PREFIX};
use super::{JwtVerifier, SecurityKey};
use crate::contract::{Caller, Credential, IdentityError, IdentityErrorKind};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use std::net::IpAddr;

/// How a deployment authenticates.
pub enum Method {
    /// Not at all: everybody may do everything. Only for an operator who said so.
    None,
    /// By the one security key.
    SecurityKey(SecurityKey),
    /// By JSON Web Tokens.
    Jwt(Box<JwtVerifier>),
}

/// Authenticates requests, and says how this deployment weighs what their callers hold.
pub struct Authenticator {
    /// How callers prove who they are.
    pub method: Method,
    /// Service accounts, beside the method, where there are any.
    pub service_accounts: Option<ServiceAccounts>,
    /// Whether a token needs a scope.
    pub enforce_scopes: bool,
    /// Whether a token's holder is confined to its own records.
    pub user_isolation: bool,
    /// The scope that makes an administrator.
    pub admin_scope: String,
}

impl Authenticator {
    /// The caller of the request with these headers, from this address.
    ///
    /// # Errors
    /// The reason for which there is none, as the contract's `identity-error` has it.
    pub async fn authenticate(&self, headers: &HeaderMap, client: IpAddr) -> Result<Caller, IdentityError> {
        let expected = match &self.method {
            Method::None => return Ok(self.caller(Credential::None, None, Vec::new())),
            Method::SecurityKey(_) => Credential::SecurityKey,
            Method::Jwt(_) => Credential::Jwt,
        };
        let error = |kind, message: &str| IdentityError::new(kind, expected, message);

        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Err(error(IdentityErrorKind::Missing, "no Authorization header"));
        };
        if values.next().is_some() {
            return Err(error(IdentityErrorKind::Malformed, "more than one Authorization header"));
        }
        let token = match bearer_token(value) {
            Some("") => return Err(error(IdentityErrorKind::Missing, "the Bearer scheme without a token")),
            Some(token) => token,
            None => return Err(error(IdentityErrorKind::Malformed, "not the Bearer scheme, or not text")),
        };
        if token.starts_with(TOKEN_PREFIX) {
            return match &self.service_accounts {
                Some(accounts) => accounts.verify(token, client).await.map(|account| {
                    let subject = Some(format!("sa:{}", account.name));
                    self.caller(Credential::ServiceAccount, subject, account.scopes)
                }),
                None => Err(IdentityError::new(
                    IdentityErrorKind::NotEnabled,
                    Credential::ServiceAccount,
                    "a service account's token, and no account store is configured",
                )),
            };
        }
        match &self.method {
            Method::None => Ok(self.caller(Credential::None, None, Vec::new())),
            Method::SecurityKey(key) if key.is(token) => Ok(self.caller(Credential::SecurityKey, None, Vec::new())),
            Method::SecurityKey(_) => Err(error(IdentityErrorKind::Invalid, "not the security key")),
            Method::Jwt(verifier) => {
                let bearer = verifier.verify(token)?;
                Ok(self.caller(Credential::Jwt, bearer.subject, bearer.scopes))
            }
        }
    }

    fn caller(&self, credential: Credential, subject: Option<String>, scopes: Vec<String>) -> Caller {
        Caller {
            credential,
            subject,
            scopes,
            enforce_scopes: self.enforce_scopes,
            user_isolation: self.user_isolation,
            admin_scope: self.admin_scope.clone(),
        }
    }
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1), the scheme in any case (RFC 9110, section 11.1).
fn bearer_token(value: &HeaderValue) -> Option<&str> {
    let value = value.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
