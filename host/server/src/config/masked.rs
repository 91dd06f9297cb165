//! Values that are shown although a part of them can be a secret.

use super::secret::{MASK, Secret};
use crate::auth::JwksUrl;
use crate::storage::postgres::PostgresUrl;
use serde::ser::{Serialize, Serializer};

/// Serializes the URL of a database without its secrets.
pub(super) fn database_url<S: Serializer>(url: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(|url| mask_database_url(url.expose())).serialize(serializer)
}

/// Masks the secrets in the URL of a database.
pub(super) fn mask_database_url(url: &str) -> String {
    if url.starts_with("sqlite") { url.to_owned() } else { PostgresUrl::mask(url, MASK).unwrap_or(MASK.to_owned()) }
}

/// Serializes the URL of a key set without its query, which can contain a secret.
pub(super) fn jwks_url<S: Serializer>(url: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(|url| mask_jwks_url(url.expose())).serialize(serializer)
}

fn mask_jwks_url(url: &str) -> String {
    let query = if url.contains('?') { format!("?{MASK}") } else { String::new() };
    JwksUrl::parse(url).map_or_else(|| MASK.to_owned(), |url| format!("{url}{query}"))
}

#[cfg(test)]
mod tests {
    use super::{mask_database_url, mask_jwks_url};

    #[test]
    fn secrets_of_urls_are_masked() {
        for (url, masked) in [
            ("https://issuer.example/keys", "https://issuer.example/keys"),
            ("https://issuer.example/keys?client=hunter2", "https://issuer.example/keys?***"),
            ("https://user:hunter2@issuer.example/keys", "***"),
            ("hunter2", "***"),
        ] {
            assert_eq!(mask_jwks_url(url), masked, "{url}");
        }
        for (url, masked) in [
            ("sqlite:main.db", "sqlite:main.db"),
            ("postgres://u:hunter2@h/d", "postgres://u:***@h/d"),
            ("mysql://u:hunter2@h/d", "***"),
        ] {
            assert_eq!(mask_database_url(url), masked, "{url}");
        }
    }
}
