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
