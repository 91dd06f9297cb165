//! Authentication: from the `Authorization` header of a request to its caller.

mod authenticator;
mod authorization;
mod digest;
mod jwt;
mod security_key;
mod service_accounts;

pub use authenticator::{AuthMode, Authenticator};
pub use authorization::Authorization;
pub use jwt::{
    Algorithm, ClaimPath, ClaimRules, Jwks, JwksError, JwksUrl, JwtVerifier, KeyError, TokenCache, VerificationKey,
    VerifiedClaims,
};
pub use security_key::{SecurityKey, SecurityKeyError};
pub use service_accounts::{Account, AccountStore, ServiceAccounts};
