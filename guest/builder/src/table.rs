//! Removes an unused table from a core module.
//!
//! The linker creates a table if any code takes the address of a function, even if only to keep the function from being
//! removed. A host would have to create and reset that table for every instance.

use anyhow::Result;
use wasm_encoder::{Module, RawSection};
use wasmparser::{Parser, Payload, Validator};

/// Removes all tables and their elements if the module is valid without them, and returns the module unchanged otherwise: an
/// instruction or an export uses a table, or an instruction refers to a function that only an element declares.
pub(crate) fn remove_unused(module: Vec<u8>) -> Result<Vec<u8>> {
    let mut stripped = Module::new();
    for payload in Parser::new(0).parse_all(&module) {
        let payload = payload?;
        if matches!(payload, Payload::TableSection(_) | Payload::ElementSection(_)) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            stripped.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
        }
    }
    let stripped = stripped.finish();
    Ok(if Validator::new().validate_all(&stripped).is_ok() { stripped } else { module })
}
