//! Checks and reads the claims of a token whose signature was verified.

use super::claim_path::ClaimPath;
use super::error::{invalid_token, token_error};
use delete_learning::{IdentityError, IdentityErrorKind};
use serde_json::{Map, Value};

/// A JWT Claims Set (RFC 7519, section 4).
pub(super) type ClaimsSet = Map<String, Value>;

/// Which claims a token must have, and which of them name its user and its scopes.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    /// The claim that names the user.
    pub user_id_claim: ClaimPath,
    /// The claim with the scopes.
    pub scopes_claim: ClaimPath,
    /// What every scope begins with. It is removed, and a scope without it is ignored. Can be empty.
    pub scope_prefix: String,
    /// The claim with the audience.
    pub audience_claim: ClaimPath,
    /// The accepted audiences. If there is none, the audience is not checked.
    pub audiences: Vec<String>,
    /// The required issuer (`iss`), if any.
    pub issuer: Option<String>,
}

/// Agno's claim with the scopes. A string in it is one scope.
const DEFAULT_SCOPES_CLAIM: &str = "scopes";

impl Default for ClaimRules {
    /// Agno's claims, any audience, any issuer.
    fn default() -> Self {
        Self {
            user_id_claim: ClaimPath::top_level("sub"),
            scopes_claim: ClaimPath::top_level(DEFAULT_SCOPES_CLAIM),
            scope_prefix: String::new(),
            audience_claim: ClaimPath::top_level("aud"),
            audiences: Vec::new(),
            issuer: None,
        }
    }
}

/// The claims of a verified token that authorization needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaims {
    /// The user.
    pub subject: Option<String>,
    /// The scopes.
    pub scopes: Vec<String>,
}

/// The claims `iat`, `nbf` and `exp` (RFC 7519, section 4.1), in seconds since 1970. Each is optional.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeClaims {
    issued_at: Option<f64>,
    not_before: Option<f64>,
    expires_at: Option<f64>,
}

impl TimeClaims {
    /// Reads the three claims. A claim that is present must be a number.
    pub(super) fn read(claims: &ClaimsSet) -> Result<Self, IdentityError> {
        Ok(Self {
            issued_at: numeric_date(claims, "iat")?,
            not_before: numeric_date(claims, "nbf")?,
            expires_at: numeric_date(claims, "exp")?,
        })
    }

    /// Checks that the token is valid at `now`, in seconds since 1970.
    pub(super) fn check(&self, now: u64, leeway_seconds: u64) -> Result<(), IdentityError> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in 53 bits")]
        let (now, leeway) = (now as f64, leeway_seconds as f64);
        if self.issued_at.is_some_and(|issued_at| issued_at > now + leeway) {
            return Err(invalid_token("issued in the future (iat)"));
        }
        if self.not_before.is_some_and(|not_before| not_before > now + leeway) {
            return Err(invalid_token("not valid yet (nbf)"));
        }
        if self.expires_at.is_some_and(|expires_at| expires_at <= now - leeway) {
            return Err(token_error(IdentityErrorKind::Expired, "expired (exp)"));
        }
        Ok(())
    }
}

/// Reads a NumericDate claim (RFC 7519, section 2).
fn numeric_date(claims: &ClaimsSet, name: &str) -> Result<Option<f64>, IdentityError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| invalid_token("a time claim is not a number")),
    }
}

impl ClaimRules {
    /// Checks audience and issuer, and reads the user and the scopes.
    pub(super) fn apply(&self, claims: &ClaimsSet) -> Result<VerifiedClaims, IdentityError> {
        self.check_audience(claims)?;
        self.check_issuer(claims)?;
        if claims.get("jti").is_some_and(|jti| !jti.is_string()) {
            return Err(invalid_token("the token ID (jti) is not a string"));
        }
        // A subject is a string (RFC 7519, section 4.1.2), also if another claim names the user.
        if claims.get("sub").is_some_and(|subject| !subject.is_string()) {
            return Err(invalid_token("the subject (sub) is not a string"));
        }
        Ok(VerifiedClaims { subject: self.user(claims)?, scopes: self.scopes(claims) })
    }

    /// The claim must be an accepted audience, or an array that contains one.
    fn check_audience(&self, claims: &ClaimsSet) -> Result<(), IdentityError> {
        if self.audiences.is_empty() {
            return Ok(());
        }
        let is_accepted =
            |audience: &Value| audience.as_str().is_some_and(|text| self.audiences.iter().any(|own| own == text));
        match self.audience_claim.find(claims) {
            None | Some(Value::Null) => Err(invalid_token("no audience")),
            Some(Value::Array(audiences)) if audiences.iter().any(is_accepted) => Ok(()),
            Some(audience) if is_accepted(audience) => Ok(()),
            Some(_) => Err(token_error(IdentityErrorKind::WrongAudience, "the audience is another one")),
        }
    }

    fn check_issuer(&self, claims: &ClaimsSet) -> Result<(), IdentityError> {
        match &self.issuer {
            Some(expected) if claims.get("iss").and_then(Value::as_str) != Some(expected) => {
                Err(invalid_token("the issuer (iss) is another one"))
            }
            _ => Ok(()),
        }
    }

    fn user(&self, claims: &ClaimsSet) -> Result<Option<String>, IdentityError> {
        match self.user_id_claim.find(claims) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(user)) if is_reserved(user) => {
                Err(token_error(IdentityErrorKind::ReservedSubject, "the subject is reserved for the platform"))
            }
            Some(Value::String(user)) => Ok(Some(user.clone())),
            Some(_) => Err(invalid_token("the claim that names the user is not a string")),
        }
    }

    /// Reads the scopes: an array of strings, or a string. RFC 6749, section 3.3, separates the scopes in a string by
    /// spaces; Agno does not.
    fn scopes(&self, claims: &ClaimsSet) -> Vec<String> {
        let scopes: Vec<&str> = match self.scopes_claim.find(claims) {
            Some(Value::String(scope)) if self.scopes_claim.is(DEFAULT_SCOPES_CLAIM) => vec![scope],
            Some(Value::String(scopes)) => scopes.split_ascii_whitespace().collect(),
            // One element that is not a string makes the whole array grant nothing.
            Some(Value::Array(scopes)) => scopes.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default(),
            // A value of any other type grants nothing either.
            _ => Vec::new(),
        };
        scopes.into_iter().filter_map(|scope| scope.strip_prefix(&self.scope_prefix)).map(str::to_owned).collect()
    }
}

/// Returns whether only the platform may use this subject: service accounts, OAuth clients, the scheduler.
fn is_reserved(subject: &str) -> bool {
    subject.starts_with("sa:") || subject.starts_with("__oauth__:") || subject == "__scheduler__"
}

#[cfg(test)]
mod tests {
    use super::{ClaimPath, ClaimRules, ClaimsSet, TimeClaims, Value};
    use delete_learning::IdentityErrorKind;
    use serde_json::json;

    /// The boundaries are those of the real service: `iat` and `nbf` are valid up to and including the leeway, `exp` is
    /// not.
    #[test]
    fn times_at_the_boundary_of_the_leeway_are_checked_as_agno_does() {
        const NOW: u64 = 1_000;
        const LEEWAY: u64 = 10;
        for (claim, time, expected) in [
            ("iat", 1_010, None),
            ("iat", 1_011, Some(IdentityErrorKind::Invalid)),
            ("nbf", 1_010, None),
            ("nbf", 1_011, Some(IdentityErrorKind::Invalid)),
            ("exp", 991, None),
            ("exp", 990, Some(IdentityErrorKind::Expired)),
        ] {
            let claims = ClaimsSet::from_iter([(claim.to_owned(), json!(time))]);
            let result = TimeClaims::read(&claims).and_then(|times| times.check(NOW, LEEWAY));
            assert_eq!(result.err().map(|error| error.kind), expected, "{claim} = {time}");
        }
    }

    fn claims(value: Value) -> ClaimsSet {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn scopes_are_an_array_of_strings_or_one_string() {
        for (scopes, expected) in [
            (json!(["a", "b"]), vec!["a", "b"]),
            (json!("a"), vec!["a"]),
            (json!("a b"), vec!["a b"]),
            (json!(["a", 7]), vec![]),
            (json!({ "a": true }), vec![]),
            (json!(null), vec![]),
        ] {
            let verified = ClaimRules::default().apply(&claims(json!({ "scopes": scopes }))).unwrap();
            assert_eq!(verified.scopes, expected, "{scopes}");
        }
        assert!(ClaimRules::default().apply(&ClaimsSet::new()).unwrap().scopes.is_empty());
    }

    #[test]
    fn configured_scopes_claim_is_split_at_spaces_and_loses_its_prefix() {
        for (path, prefix, value, expected) in [
            (json!("scope"), "", json!({ "scope": " a  b " }), vec!["a", "b"]),
            (json!("scp"), "", json!({ "scp": ["a b", "c"] }), vec!["a b", "c"]),
            (json!("scp"), "", json!({ "scopes": ["a"] }), vec![]),
            (json!("realm_access.roles"), "", json!({ "realm_access": { "roles": ["a"] } }), vec!["a"]),
            (json!("realm_access.roles"), "", json!({ "realm_access.roles": ["a"] }), vec![]),
            (json!("realm_access.roles"), "", json!({ "realm_access": ["roles"] }), vec![]),
            (json!(["a.b", "c"]), "", json!({ "a.b": { "c": "a b" } }), vec!["a", "b"]),
            (json!("https://os.example/scopes"), "", json!({ "https://os.example/scopes": ["a"] }), vec!["a"]),
            (json!("scope"), "os/", json!({ "scope": "os/a other/b c os/" }), vec!["a", ""]),
        ] {
            let rules = ClaimRules {
                scopes_claim: serde_json::from_value(path).unwrap(),
                scope_prefix: prefix.to_owned(),
                ..ClaimRules::default()
            };
            assert_eq!(rules.apply(&claims(value.clone())).unwrap().scopes, expected, "{value}");
        }
    }

    #[test]
    fn claim_path_has_at_least_one_name_and_no_empty_one() {
        for path in
            [json!(""), json!("."), json!("a."), json!(".a"), json!("a..b"), json!([]), json!(["a", ""]), json!(7)]
        {
            assert!(serde_json::from_value::<ClaimPath>(path.clone()).is_err(), "{path}");
        }
    }

    #[test]
    fn subject_is_an_unreserved_string() {
        let subject = |value| ClaimRules::default().apply(&claims(json!({ "sub": value })));
        assert_eq!(subject(json!("alice")).unwrap().subject.as_deref(), Some("alice"));
        assert_eq!(subject(json!("__scheduler")).unwrap().subject.as_deref(), Some("__scheduler"));
        for reserved in ["sa:bot", "__oauth__:client", "__scheduler__"] {
            assert_eq!(subject(json!(reserved)).unwrap_err().kind, IdentityErrorKind::ReservedSubject, "{reserved}");
        }
        for other in [json!(7), json!(null), json!(["alice"])] {
            assert_eq!(subject(other.clone()).unwrap_err().kind, IdentityErrorKind::Invalid, "{other}");
        }
        let with_number_as_id = ClaimRules::default().apply(&claims(json!({ "jti": 7 })));
        assert_eq!(with_number_as_id.unwrap_err().kind, IdentityErrorKind::Invalid);
    }

    #[test]
    fn configured_claim_names_the_user() {
        let rules = ClaimRules { user_id_claim: ClaimPath::top_level("email"), ..ClaimRules::default() };
        let user = |value| rules.apply(&claims(value)).map(|verified| verified.subject).map_err(|error| error.kind);
        assert_eq!(user(json!({ "sub": "1", "email": "alice" })), Ok(Some("alice".to_owned())));
        assert_eq!(user(json!({ "sub": "sa:bot", "email": "alice" })), Ok(Some("alice".to_owned())));
        assert_eq!(user(json!({ "sub": "alice" })), Ok(None));
        assert_eq!(user(json!({ "sub": "alice", "email": null })), Ok(None));
        assert_eq!(user(json!({ "sub": "alice", "email": "sa:bot" })), Err(IdentityErrorKind::ReservedSubject));
        assert_eq!(user(json!({ "sub": "alice", "email": 7 })), Err(IdentityErrorKind::Invalid));
        assert_eq!(user(json!({ "sub": 7, "email": "alice" })), Err(IdentityErrorKind::Invalid));
    }

    #[test]
    fn one_of_several_audiences_suffices() {
        let rules = ClaimRules {
            audiences: vec!["a".to_owned(), "b".to_owned()],
            audience_claim: ClaimPath::top_level("client_id"),
            ..ClaimRules::default()
        };
        let error = |value| rules.apply(&claims(value)).err().map(|error| error.kind);
        assert_eq!(error(json!({ "client_id": "b" })), None);
        assert_eq!(error(json!({ "client_id": ["c", "a"] })), None);
        assert_eq!(error(json!({ "client_id": "c", "aud": "a" })), Some(IdentityErrorKind::WrongAudience));
        assert_eq!(error(json!({ "client_id": ["c", 7] })), Some(IdentityErrorKind::WrongAudience));
        assert_eq!(error(json!({ "aud": "a" })), Some(IdentityErrorKind::Invalid));
    }
}
