//! What a request's path and query name.

use crate::contract::Request;
use crate::storage::Named;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// What a path stands for. The path is matched as it was sent; what is percent-encoded in it is decoded afterwards, so
/// a slash in an id is a part of the id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// One learning: its id, still encoded.
    Learning(&'a str),
    /// The state of this server.
    Health,
    /// The description of this server's endpoint.
    OpenApi,
    /// Nothing here.
    Nothing,
}

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        match path.strip_prefix("/learnings/") {
            Some(id) if !id.is_empty() && !id.contains('/') => Self::Learning(id),
            _ => match path {
                "/health" => Self::Health,
                "/openapi.json" => Self::OpenApi,
                _ => Self::Nothing,
            },
        }
    }
}

/// The parameters of a request for a learning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The id, decoded once; with U+FFFD for what is not UTF-8.
    learning_id: String,
    /// Whether the id can name a record.
    is_valid: bool,
    /// The first `db_id`.
    db_id: Option<String>,
    /// The first `table`.
    table: Option<String>,
    /// Whether either was given more than once.
    repeated: bool,
}

impl Parameters {
    /// Reads the id and the query. `most` is how many bytes an id may have.
    pub(super) fn read(id: &str, query: Option<&str>, most: usize) -> Self {
        let bytes = Cow::from(percent_decode_str(id));
        let is_utf8 = std::str::from_utf8(&bytes).is_ok();
        let learning_id = String::from_utf8_lossy(&bytes).into_owned();
        let is_valid = is_utf8 && learning_id.len() <= most;
        let mut parameters = Self { learning_id, is_valid, db_id: None, table: None, repeated: false };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let slot = match name.as_ref() {
                "db_id" => &mut parameters.db_id,
                "table" => &mut parameters.table,
                _ => continue,
            };
            parameters.repeated |= slot.is_some();
            slot.get_or_insert(value.into_owned());
        }
        parameters
    }

    /// What they name, for the databases.
    pub(super) fn named(&self) -> Named<'_> {
        Named {
            learning_id: self.is_valid.then_some(&self.learning_id),
            db_id: self.db_id.as_deref(),
            table: self.table.as_deref(),
            repeated: self.repeated,
        }
    }

    /// What they say, for the policy.
    pub(super) fn request(&self) -> Request {
        Request { learning_id: self.learning_id.clone(), db_id: self.db_id.clone(), table: self.table.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Parameters, Route};

    #[test]
    fn a_path_is_matched_as_it_was_sent() {
        assert_eq!(Route::of("/learnings/a%2Fb"), Route::Learning("a%2Fb"));
        assert_eq!(Route::of("/learnings/.."), Route::Learning(".."));
        for path in
            ["/learnings/", "/learnings", "/learnings/a/", "/learnings/a/b", "/Learnings/a", "//learnings/a", "*"]
        {
            assert_eq!(Route::of(path), Route::Nothing, "{path}");
        }
        assert_eq!(Route::of("/health"), Route::Health);
        assert_eq!(Route::of("/openapi.json"), Route::OpenApi);
    }

    #[test]
    fn an_id_is_decoded_once() {
        for (encoded, id) in [
            ("a%2Fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("%F0%9F%A6%80", "🦀"),
            ("%", "%"),
            ("%zz", "%zz"),
            ("a+b", "a+b"),
            ("%00", "\0"),
        ] {
            let parameters = Parameters::read(encoded, None, 4096);
            assert_eq!((parameters.learning_id.as_str(), parameters.is_valid), (id, true), "{encoded}");
        }
        assert!(!Parameters::read("%FF", None, 4096).is_valid);
    }

    #[test]
    fn an_id_may_be_as_long_as_the_limit_and_no_longer() {
        assert!(Parameters::read(&"%41".repeat(8), None, 8).is_valid);
        assert!(!Parameters::read(&"%41".repeat(9), None, 8).is_valid);
        assert!(!Parameters::read("%C3%A9%C3%A9", None, 3).is_valid, "the limit is in bytes");
    }

    #[test]
    fn a_parameter_given_twice_is_seen_whatever_its_values() {
        for query in ["db_id=a&db_id=a", "db_id=&db_id=a", "table=a&x=1&table=b", "db_id=a&db%5Fid=b"] {
            assert!(Parameters::read("x", Some(query), 8).repeated, "{query}");
        }
        let parameters = Parameters::read("x", Some("db_id=a+b&table=%26&limit=1&limit=2"), 8);
        assert!(!parameters.repeated);
        assert_eq!((parameters.db_id.as_deref(), parameters.table.as_deref()), (Some("a b"), Some("&")));
    }
}
