//! Who is calling: the trait that a platform implements, and this host's own implementation.

mod authenticator;
mod digest;
mod jwt;
mod security_key;
mod service_accounts;

pub use authenticator::{Authenticator, Method};
pub use jwt::{Algorithm, Bearer, JwksFile, JwksFileError, JwtVerifier, KeyError, VerificationKey, VerifiedTokens};
pub use security_key::SecurityKey;
pub use service_accounts::{Account, AccountStore, ServiceAccounts};

use crate::BoxFuture;
use crate::contract::{Caller, IdentityError};

/// The caller of one request, as the contract's `identity` promises it.
pub trait Identity: Send + Sync + 'static {
    /// The caller, the same at every call.
    fn current(&self) -> BoxFuture<'_, Result<Caller, IdentityError>>;
}

/// A caller that is known beforehand, or known not to be.
impl Identity for Result<Caller, IdentityError> {
    fn current(&self) -> BoxFuture<'_, Result<Caller, IdentityError>> {
        Box::pin(std::future::ready(self.clone()))
    }
}
