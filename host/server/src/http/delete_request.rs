//! Parses the path and the query of `DELETE /learnings/{learning_id}`.

use delete_learning::storage::{Databases, UnresolvedRecord};
use delete_learning::{DeleteRequest, RecordStorage, StorageError, StorageErrorKind};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::sync::Arc;

/// A request to delete, and whether it can name a record.
#[derive(Debug)]
pub(super) struct ParsedRequest {
    /// The request for the policy. Of a repeated parameter it has the first value; an id that is not UTF-8 has U+FFFD in
    /// place of invalid bytes.
    pub(super) request: DeleteRequest,
    has_valid_id: bool,
    has_repeated_parameter: bool,
}

impl ParsedRequest {
    /// Parses the encoded id and the query. The id can have at most `max_id_bytes` when decoded.
    pub(super) fn parse(id: &str, query: Option<&str>, max_id_bytes: usize) -> Self {
        let bytes = Cow::from(percent_decode_str(id));
        let is_utf8 = std::str::from_utf8(&bytes).is_ok();
        let learning_id = String::from_utf8_lossy(&bytes).into_owned();
        let has_valid_id = is_utf8 && learning_id.len() <= max_id_bytes;
        let mut request = DeleteRequest { learning_id, db_id: None, table: None };
        let mut has_repeated_parameter = false;
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let parameter = match name.as_ref() {
                "db_id" => &mut request.db_id,
                "table" => &mut request.table,
                _ => continue,
            };
            has_repeated_parameter |= parameter.is_some();
            parameter.get_or_insert(value.into_owned());
        }
        Self { request, has_valid_id, has_repeated_parameter }
    }

    /// The learning id, if it can name a record.
    pub(super) fn learning_id(&self) -> Option<&str> {
        self.has_valid_id.then_some(&self.request.learning_id)
    }

    /// Why the request cannot name a record, whatever the databases are.
    pub(super) fn error(&self) -> Option<StorageError> {
        if self.has_repeated_parameter {
            let message = "db_id or table is given more than once";
            Some(StorageError::new(StorageErrorKind::RepeatedParameter, message))
        } else if !self.has_valid_id {
            let message = "the learning id is not UTF-8 or too long";
            Some(StorageError::new(StorageErrorKind::InvalidLearningId, message))
        } else {
            None
        }
    }

    /// The record that the request names.
    pub(super) fn record(&self, databases: &Databases) -> Arc<dyn RecordStorage> {
        match self.error() {
            Some(error) => Arc::new(UnresolvedRecord(error)),
            None => databases.record(&self.request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ParsedRequest;

    #[test]
    fn id_is_decoded_once() {
        for (encoded, id) in [
            ("a%2Fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("%F0%9F%A6%80", "🦀"),
            ("%", "%"),
            ("%zz", "%zz"),
            ("a+b", "a+b"),
            ("%00", "\0"),
        ] {
            assert_eq!(ParsedRequest::parse(encoded, None, 4096).learning_id(), Some(id), "{encoded}");
        }
        assert_eq!(ParsedRequest::parse("%FF", None, 4096).learning_id(), None);
    }

    #[test]
    fn id_longer_than_the_limit_is_invalid() {
        assert!(ParsedRequest::parse(&"%41".repeat(8), None, 8).has_valid_id);
        assert!(!ParsedRequest::parse(&"%41".repeat(9), None, 8).has_valid_id);
        assert!(!ParsedRequest::parse("%C3%A9%C3%A9", None, 3).has_valid_id, "the limit is in bytes");
    }

    #[test]
    fn repeated_parameter_is_detected_whatever_its_values_are() {
        for query in ["db_id=a&db_id=a", "db_id=&db_id=a", "table=a&x=1&table=b", "db_id=a&db%5Fid=b"] {
            assert!(ParsedRequest::parse("x", Some(query), 8).has_repeated_parameter, "{query}");
        }
        let parsed = ParsedRequest::parse("x", Some("db_id=a+b&table=%26&limit=1&limit=2"), 8);
        assert!(!parsed.has_repeated_parameter);
        assert_eq!((parsed.request.db_id.as_deref(), parsed.request.table.as_deref()), (Some("a b"), Some("&")));
    }
}
