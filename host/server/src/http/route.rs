//! What a request path stands for.

/// A route. The path is matched as it was sent and decoded afterwards, so an encoded slash is part of an id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/learnings/{learning_id}`, with the id still encoded.
    Learning(&'a str),
    /// `/health`.
    Health,
    /// `/livez`.
    Live,
    /// `/readyz`.
    Ready,
    /// `/openapi.json`.
    OpenApi,
    /// Any other path.
    NotFound,
}

impl<'a> Route<'a> {
    pub(super) fn from_path(path: &'a str) -> Self {
        match path.strip_prefix("/learnings/") {
            Some(id) if !id.is_empty() && !id.contains('/') => Self::Learning(id),
            _ => match path {
                "/health" => Self::Health,
                "/livez" => Self::Live,
                "/readyz" => Self::Ready,
                "/openapi.json" => Self::OpenApi,
                _ => Self::NotFound,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[test]
    fn path_is_matched_as_it_was_sent() {
        assert_eq!(Route::from_path("/learnings/a%2Fb"), Route::Learning("a%2Fb"));
        assert_eq!(Route::from_path("/learnings/.."), Route::Learning(".."));
        for path in
            ["/learnings/", "/learnings", "/learnings/a/", "/learnings/a/b", "/Learnings/a", "//learnings/a", "*"]
        {
            assert_eq!(Route::from_path(path), Route::NotFound, "{path}");
        }
        assert_eq!(Route::from_path("/health"), Route::Health);
        assert_eq!(Route::from_path("/livez"), Route::Live);
        assert_eq!(Route::from_path("/readyz"), Route::Ready);
        assert_eq!(Route::from_path("/openapi.json"), Route::OpenApi);
    }
}
