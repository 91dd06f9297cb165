//! Checks and reads the claims of a token whose signature was verified.

use super::error::{invalid_token, token_error};
use delete_learning::{IdentityError, IdentityErrorKind};
use serde_json::{Map, Value};

/// A JWT Claims Set (RFC 7519, section 4).
pub(super) type ClaimsSet = Map<String, Value>;

/// The claims of a verified token that authorization needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaims {
    /// The claim `sub`.
    pub subject: Option<String>,
    /// The claim `scopes`: an array of strings, or a string that is one scope.
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

/// Checks `aud` if an audience is configured. The claim must be that audience, or an array that contains it.
pub(super) fn check_audience(claims: &ClaimsSet, expected: Option<&str>) -> Result<(), IdentityError> {
    let Some(expected) = expected else { return Ok(()) };
    let is_expected = |audience: &Value| audience.as_str() == Some(expected);
    match claims.get("aud") {
        None | Some(Value::Null) => Err(invalid_token("no audience (aud)")),
        Some(Value::Array(audiences)) if audiences.iter().any(is_expected) => Ok(()),
        Some(audience) if is_expected(audience) => Ok(()),
        Some(_) => Err(token_error(IdentityErrorKind::WrongAudience, "the audience (aud) is another one")),
    }
}

/// Checks `iss` if an issuer is configured. The claim must be that issuer.
pub(super) fn check_issuer(claims: &ClaimsSet, expected: Option<&str>) -> Result<(), IdentityError> {
    match expected {
        Some(expected) if claims.get("iss").and_then(Value::as_str) != Some(expected) => {
            Err(invalid_token("the issuer (iss) is another one"))
        }
        _ => Ok(()),
    }
}

/// Reads `sub` and `scopes`, and checks the type of `jti`.
pub(super) fn read_claims(claims: &ClaimsSet) -> Result<VerifiedClaims, IdentityError> {
    if claims.get("jti").is_some_and(|jti| !jti.is_string()) {
        return Err(invalid_token("the token ID (jti) is not a string"));
    }
    let subject = match claims.get("sub") {
        None => None,
        Some(Value::String(subject)) if is_reserved(subject) => {
            return Err(token_error(IdentityErrorKind::ReservedSubject, "the subject is reserved for the platform"));
        }
        Some(Value::String(subject)) => Some(subject.clone()),
        Some(_) => return Err(invalid_token("the subject (sub) is not a string")),
    };
    let scopes = match claims.get("scopes") {
        Some(Value::String(scope)) => vec![scope.clone()],
        // One element that is not a string makes the whole array grant nothing.
        Some(Value::Array(scopes)) => {
            scopes.iter().map(|scope| scope.as_str().map(str::to_owned)).collect::<Option<_>>().unwrap_or_default()
        }
        // A value of any other type grants nothing either.
        _ => Vec::new(),
    };
    Ok(VerifiedClaims { subject, scopes })
}

/// Returns whether only the platform may use this subject: service accounts, OAuth clients, the scheduler.
fn is_reserved(subject: &str) -> bool {
    subject.starts_with("sa:") || subject.starts_with("__oauth__:") || subject == "__scheduler__"
}

#[cfg(test)]
mod tests {
    use super::{ClaimsSet, TimeClaims, read_claims};
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
            let claims = ClaimsSet::from_iter([("scopes".to_owned(), scopes.clone())]);
            assert_eq!(read_claims(&claims).unwrap().scopes, expected, "{scopes}");
        }
        assert!(read_claims(&ClaimsSet::new()).unwrap().scopes.is_empty());
    }

    #[test]
    fn subject_is_an_unreserved_string() {
        let subject = |value| read_claims(&ClaimsSet::from_iter([("sub".to_owned(), value)]));
        assert_eq!(subject(json!("alice")).unwrap().subject.as_deref(), Some("alice"));
        assert_eq!(subject(json!("__scheduler")).unwrap().subject.as_deref(), Some("__scheduler"));
        for reserved in ["sa:bot", "__oauth__:client", "__scheduler__"] {
            assert_eq!(subject(json!(reserved)).unwrap_err().kind, IdentityErrorKind::ReservedSubject, "{reserved}");
        }
        for other in [json!(7), json!(null), json!(["alice"])] {
            assert_eq!(subject(other.clone()).unwrap_err().kind, IdentityErrorKind::Invalid, "{other}");
        }
        let with_number_as_id = ClaimsSet::from_iter([("jti".to_owned(), json!(7))]);
        assert_eq!(read_claims(&with_number_as_id).unwrap_err().kind, IdentityErrorKind::Invalid);
    }
}
