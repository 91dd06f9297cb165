//! Validates authentication and authorization.

use super::databases::{DatabaseConfig, is_name};
use super::error::ConfigError;
use super::file::Names;
use super::secret::MASK;
use super::{Derived, Environment, Origin, Source, file, nearest};
use crate::auth::{Algorithm, ClaimRules, JwksUrl, SecurityKey, VerificationKey};
use std::path::PathBuf;
use std::time::Duration;

/// How callers authenticate.
pub struct AuthConfig {
    /// The mode.
    pub mode: AuthModeConfig,
    /// Service accounts, which can authenticate in addition to the mode.
    pub service_accounts: Option<ServiceAccountsConfig>,
}

/// The authentication mode.
pub enum AuthModeConfig {
    /// Without authentication.
    None,
    /// With the security key.
    SecurityKey(SecurityKey),
    /// With JSON Web Tokens.
    Jwt(Box<JwtConfig>),
}

/// How JSON Web Tokens are verified. There is a key, a key set, or both.
pub struct JwtConfig {
    /// The only accepted signature algorithm.
    pub algorithm: Algorithm,
    /// The keys without a key set.
    pub keys: Vec<VerificationKey>,
    /// The key set, and the key or the environment variable that names it, for error messages.
    pub jwks: Option<(&'static str, JwksSource)>,
    /// What is required of the claims, and what they mean.
    pub claims: ClaimRules,
    /// By how many seconds the clocks of issuer and server can differ.
    pub leeway_seconds: u64,
}

/// Where a JSON Web Key Set is.
pub enum JwksSource {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(JwksUrl),
    /// The set itself.
    Document(String),
}

/// The store of service accounts.
pub struct ServiceAccountsConfig {
    /// The index of its database in [`Config::databases`](super::Config::databases).
    pub database: usize,
    /// The name of its table.
    pub table: String,
    /// How long a valid token is cached.
    pub cache_ttl: Duration,
}

pub(super) fn validate(
    auth: file::Auth,
    databases: &[DatabaseConfig],
    source: &Source,
    environment: &Environment,
    warnings: &mut Vec<String>,
    derived: &mut Derived,
) -> Result<AuthConfig, ConfigError> {
    let mode = auth
        .mode
        .ok_or_else(|| source.error("auth.mode", "is missing; set it to \"jwt\", \"security-key\" or \"none\""))?;
    let service_accounts = validate_service_accounts(auth.service_accounts.as_ref(), mode, databases, source)?;
    let mode = match mode {
        file::Mode::None => {
            warnings.push("auth.mode is \"none\": everybody who reaches this address can delete every learning".into());
            AuthModeConfig::None
        }
        file::Mode::SecurityKey => {
            AuthModeConfig::SecurityKey(validate_security_key(&auth, source, environment, derived)?)
        }
        file::Mode::Jwt => AuthModeConfig::Jwt(Box::new(validate_jwt(auth.jwt, source, environment, derived)?)),
    };
    Ok(AuthConfig { mode, service_accounts })
}

fn validate_service_accounts(
    accounts: Option<&file::ServiceAccounts>,
    mode: file::Mode,
    databases: &[DatabaseConfig],
    source: &Source,
) -> Result<Option<ServiceAccountsConfig>, ConfigError> {
    let Some(accounts) = accounts else { return Ok(None) };
    if mode == file::Mode::None {
        let reason = "has no effect with mode \"none\": every caller can delete every learning without a token";
        return Err(source.error("auth.service_accounts", reason));
    }
    let database = databases.iter().position(|database| database.id == accounts.database).ok_or_else(|| {
        source.error("auth.service_accounts.database", format!("no database has the id {:?}", accounts.database))
    })?;
    if !is_name(&accounts.table) {
        return Err(source.error("auth.service_accounts.table", "must be the name of a table"));
    }
    let cache_ttl = Duration::from_secs(accounts.cache_seconds);
    Ok(Some(ServiceAccountsConfig { database, table: accounts.table.clone(), cache_ttl }))
}

fn validate_security_key(
    auth: &file::Auth,
    source: &Source,
    environment: &Environment,
    derived: &mut Derived,
) -> Result<SecurityKey, ConfigError> {
    const KEY: &str = "auth.security_key";
    let configured = source.secret(KEY, auth.security_key.as_ref(), auth.security_key_file.as_deref())?;
    let (name, key) = match configured {
        Some(configured) => configured,
        None => {
            let key = environment
                .get("OS_SECURITY_KEY")
                .ok_or_else(|| source.error(KEY, "is missing; set it, security_key_file or OS_SECURITY_KEY"))?;
            derived.insert(KEY.to_owned(), (MASK.into(), Origin::Variable("OS_SECURITY_KEY".to_owned())));
            ("OS_SECURITY_KEY".to_owned(), key)
        }
    };
    SecurityKey::new(&key).map_err(|error| source.error(name, error.to_string()))
}

fn validate_jwt(
    jwt: file::Jwt,
    source: &Source,
    environment: &Environment,
    derived: &mut Derived,
) -> Result<JwtConfig, ConfigError> {
    let algorithm = Algorithm::by_name(&jwt.algorithm).ok_or_else(|| {
        let reason = nearest::not_a_choice(&jwt.algorithm, &Algorithm::ALL.map(Algorithm::name));
        source.error("auth.jwt.algorithm", reason)
    })?;
    let audiences = jwt.audience.clone().map_or_else(Vec::new, Names::into_vec);
    let has_no_audience = jwt.audience.is_some() && audiences.is_empty();
    if has_no_audience || audiences.iter().any(String::is_empty) || jwt.issuer.as_deref() == Some("") {
        return Err(source.error("auth.jwt", "audience and issuer must not be empty; leave them out to ask for none"));
    }
    let keys = verification_keys(&jwt, algorithm, source, environment, derived)?;
    let jwks = jwks_source(&jwt, source, environment, derived)?;
    if keys.is_empty() && jwks.is_none() {
        let reason = "is missing; set it, verification_key_files, jwks_file, jwks_url, jwks_url_file, JWT_VERIFICATION_KEY, JWT_JWKS_FILE \
                      or JWT_JWKS";
        return Err(source.error("auth.jwt.verification_keys", reason));
    }
    let claims = ClaimRules {
        user_id_claim: jwt.user_id_claim,
        scopes_claim: jwt.scopes_claim,
        scope_prefix: jwt.scope_prefix,
        audience_claim: jwt.audience_claim,
        audiences,
        issuer: jwt.issuer,
    };
    Ok(JwtConfig { algorithm, keys, jwks, claims, leeway_seconds: jwt.leeway_seconds })
}

/// The key set of the configuration; of the environment if there is none.
fn jwks_source(
    jwt: &file::Jwt,
    source: &Source,
    environment: &Environment,
    derived: &mut Derived,
) -> Result<Option<(&'static str, JwksSource)>, ConfigError> {
    const FILE: &str = "auth.jwt.jwks_file";
    const URL: &str = "auth.jwt.jwks_url";
    let variable = |name| environment.get(name).filter(|value: &String| !value.trim().is_empty());
    let url = source.secret(URL, jwt.jwks_url.as_ref(), jwt.jwks_url_file.as_deref())?;
    Ok(match (&jwt.jwks_file, url) {
        (Some(_), Some((key, _))) => return Err(source.error(key, "give either jwks_file or jwks_url")),
        (Some(path), None) => Some((FILE, JwksSource::File(source.path(path)))),
        (None, Some((key, url))) => {
            let reason = "must be an https:// URL without user and password";
            let url = JwksUrl::parse(&url).ok_or_else(|| source.error(key, reason))?;
            Some((URL, JwksSource::Url(url)))
        }
        (None, None) => match variable("JWT_JWKS_FILE") {
            Some(path) => {
                let origin = Origin::Variable("JWT_JWKS_FILE".to_owned());
                derived.insert(FILE.to_owned(), (path.as_str().into(), origin));
                Some(("JWT_JWKS_FILE", JwksSource::File(source.path(&path))))
            }
            None => variable("JWT_JWKS").map(|document| ("JWT_JWKS", JwksSource::Document(document))),
        },
    })
}

/// The keys of the configuration and of the files that it names; of the environment if there are none.
fn verification_keys(
    jwt: &file::Jwt,
    algorithm: Algorithm,
    source: &Source,
    environment: &Environment,
    derived: &mut Derived,
) -> Result<Vec<VerificationKey>, ConfigError> {
    let mut texts = Vec::new();
    for (index, key) in jwt.verification_keys.expose().enumerate() {
        texts.push((format!("auth.jwt.verification_keys[{index}]"), key.to_owned()));
    }
    for (index, path) in jwt.verification_key_files.iter().enumerate() {
        let key = format!("auth.jwt.verification_key_files[{index}]");
        let text = source.read_secret(&key, path)?;
        texts.push((key, text));
    }
    if texts.is_empty()
        && let Some(text) = environment.get("JWT_VERIFICATION_KEY").filter(|text| !text.is_empty())
    {
        let origin = Origin::Variable("JWT_VERIFICATION_KEY".to_owned());
        derived.insert("auth.jwt.verification_keys".to_owned(), (vec![MASK].into(), origin));
        texts.push(("JWT_VERIFICATION_KEY".to_owned(), text));
    }
    let parse = |(key, text): &(String, String)| {
        VerificationKey::from_text(algorithm, text).map_err(|error| source.error(key, error.to_string()))
    };
    texts.iter().map(parse).collect()
}
