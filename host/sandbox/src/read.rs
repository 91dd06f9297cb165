//! Reads the file of a component.

use crate::error::{LoadError, ReadError};
use crate::limits::Limits;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads the file of a component.
///
/// # Errors
/// [`ReadError::Io`] if the file cannot be read, [`ReadError::Load`] if it exceeds `max_component_bytes`.
pub fn read(file: &Path, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let mut opened = File::open(file)?;
    // One byte more than the limit shows that the file is too large, whatever its metadata reports.
    let max = u64::try_from(limits.max_component_bytes).unwrap_or(u64::MAX);
    opened.by_ref().take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limits.max_component_bytes {
        let bytes = opened.metadata()?.len();
        return Err(LoadError::TooLarge { bytes, max: limits.max_component_bytes }.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{LoadError, ReadError, read};
    use crate::limits::Limits;
    use std::io::Write;

    #[test]
    fn file_is_read_up_to_the_limit() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"abcd").expect("written");
        let read = |max| read(file.path(), &Limits::default().max_component_bytes(max));
        assert_eq!(read(4).expect("the bytes"), b"abcd");
        for max in [1, 3] {
            let error = read(max).expect_err("too large");
            assert!(matches!(error, ReadError::Load(LoadError::TooLarge { bytes: 4, max: given }) if given == max));
        }
    }
}
