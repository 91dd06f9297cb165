//! Where a claim is in the claims set of a token.

use super::claims::ClaimsSet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of a claim, or the names on the path to a nested one.
///
/// In a configuration it is a string or an array of strings. Dots in a string separate the names of a path, as in
/// `realm_access.roles`, unless the string is a URL, which many issuers use as a name. An array can name every claim.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "OneOrMany", into = "OneOrMany")]
pub struct ClaimPath(Vec<String>);

#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "must be a name, or an array of the names on a path")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl ClaimPath {
    /// A claim that is not nested.
    #[must_use]
    pub fn top_level(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// Returns whether this is the top-level claim with this name.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.0.as_slice(), [only] if only == name)
    }

    /// Returns the claim, or `None` if it or an object on the path to it is absent.
    pub(super) fn find<'a>(&self, claims: &'a ClaimsSet) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| value.get(name))
    }
}

impl From<ClaimPath> for OneOrMany {
    fn from(ClaimPath(mut names): ClaimPath) -> Self {
        match names.pop() {
            Some(only) if names.is_empty() && (only.contains("://") || !only.contains('.')) => Self::One(only),
            last => {
                names.extend(last);
                Self::Many(names)
            }
        }
    }
}

impl TryFrom<OneOrMany> for ClaimPath {
    type Error = &'static str;

    fn try_from(names: OneOrMany) -> Result<Self, Self::Error> {
        let names = match names {
            OneOrMany::One(name) if name.contains("://") => vec![name],
            OneOrMany::One(path) => path.split('.').map(str::to_owned).collect(),
            OneOrMany::Many(names) => names,
        };
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err("must not be empty, nor contain an empty name");
        }
        Ok(Self(names))
    }
}

#[cfg(test)]
mod tests {
    use super::ClaimPath;
    use serde_json::{Value, json};

    #[test]
    fn path_is_written_so_that_it_reads_as_itself() {
        for (written, names, normal) in [
            (json!("scope"), vec!["scope"], json!("scope")),
            (json!("realm.roles"), vec!["realm", "roles"], json!(["realm", "roles"])),
            (json!(["realm", "roles"]), vec!["realm", "roles"], json!(["realm", "roles"])),
            (json!(["realm.roles"]), vec!["realm.roles"], json!(["realm.roles"])),
            (json!(["realm", "https://a.example/roles"]), vec!["realm", "https://a.example/roles"], Value::Null),
            (json!("https://a.example/roles"), vec!["https://a.example/roles"], json!("https://a.example/roles")),
        ] {
            let path: ClaimPath = serde_json::from_value(written.clone()).expect("a path");
            assert_eq!(path.0, names, "{written}");
            let again = serde_json::to_value(&path).expect("JSON");
            assert_eq!(again, if normal.is_null() { written } else { normal });
            assert_eq!(serde_json::from_value::<ClaimPath>(again).expect("a path"), path);
        }
        for invalid in [json!(""), json!("a..b"), json!([]), json!(["a", ""])] {
            assert!(serde_json::from_value::<ClaimPath>(invalid.clone()).is_err(), "{invalid}");
        }
    }
}
