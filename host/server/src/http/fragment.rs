//! Detects a raw `#` in a request target, which RFC 9112, section 3.2, does not allow.
//!
//! The HTTP library removes it and what follows it, so that a request for `/learnings/a#b` would delete `a`. The library
//! has no option for this, and does not pass the target on as it was received.

/// The start of the version in a request line.
const VERSION: &[u8] = b"HTTP/1.";

/// Scans the bytes that a connection receives for request lines. A line of a body can look like a request line; then the
/// server refuses requests that it could have served.
#[derive(Default)]
pub(super) struct FragmentScanner {
    position: Position,
}

/// The position in a line.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Position {
    /// In the method.
    #[default]
    Method,
    /// In the target, before a `#`.
    Target,
    /// In the target, after a `#`.
    Fragment,
    /// After a target with a `#`, and this many bytes of [`VERSION`].
    Version(usize),
    /// In a line that is not a request line with a `#`.
    OtherLine,
}

impl FragmentScanner {
    /// Scans further bytes. Returns whether a request line with a `#` in its target was found.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> bool {
        let has_fragment = matches!(self.position, Position::Fragment | Position::Version(_));
        let start = if has_fragment || memchr::memchr(b'#', bytes).is_some() {
            0
        } else {
            // Only where the last line ends matters.
            memchr::memrchr(b'\n', bytes).unwrap_or_default()
        };
        bytes.iter().skip(start).any(|byte| {
            self.position = self.position.after(*byte);
            self.position == Position::Version(VERSION.len())
        })
    }
}

impl Position {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (_, b'\n') => Self::Method,
            (Self::Method, b' ') => Self::Target,
            // A header line has a colon before its first space.
            (Self::Method, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_') => Self::Method,
            (Self::Target, b'#') => Self::Fragment,
            (Self::Fragment, b' ') => Self::Version(0),
            (Self::Target | Self::Fragment, byte) if byte != b' ' => self,
            (Self::Version(matched), byte) if VERSION.get(matched) == Some(&byte) => Self::Version(matched + 1),
            _ => Self::OtherLine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FragmentScanner;

    /// Scans a text in chunks of this size.
    fn scan(text: &str, chunk_size: usize) -> bool {
        let mut scanner = FragmentScanner::default();
        text.as_bytes().chunks(chunk_size).any(|chunk| scanner.scan(chunk))
    }

    #[test]
    fn fragment_is_found_only_in_a_request_line() {
        for (text, expected) in [
            ("DELETE /learnings/a#b HTTP/1.1\r\n", true),
            ("DELETE /learnings/a# HTTP/1.0\n", true),
            ("M-SEARCH #/## HTTP/1.1\r\n", true),
            ("\r\nGET /#? HTTP/1.1\r\n", true),
            ("GET / HTTP/1.1\r\nx: #\r\n\r\nDELETE /learnings/a#b HTTP/1.1\r\n", true),
            ("DELETE /learnings/a%23b HTTP/1.1\r\nx: #\r\ny: HTTP/1.1\r\n\r\n", false),
            ("DELETE /learnings/a HTTP/1.1\r\nauthorization: Bearer a#b\r\nx: a#b HTTP/1.1\r\n\r\n", false),
            ("DELETE / HTTP/1.1\r\nx: y\r\n\r\n{\"reason\": \"see #12 HTTP/1.1\"}\nfix #12 in HTTP/1.1\n", false),
            ("GET /a b#c HTTP/1.1\r\n", false),
            ("#\n# HTTP\n# HTTP/2\nHTTP/1.1 #\n #\n HTTP/1.1\nGET /# HTTP/2.0\n", false),
        ] {
            for chunk_size in 1..=text.len() {
                assert_eq!(scan(text, chunk_size), expected, "{text:?} in chunks of {chunk_size}");
            }
        }
    }
}
