//! Leaves out a table that nothing uses.
//!
//! The linker makes one as soon as the address of a function is taken anywhere, also where only its keeping alive is
//! meant. Every instance would be given that table and have it taken away again.

use anyhow::Result;
use wasm_encoder::{Module, RawSection};
use wasmparser::{Parser, Payload, Validator};

/// The module without its tables and what is in them; as it is, where it is none without them, because an instruction or
/// an export names one, or a function that only they declare.
pub(crate) fn without_unused(module: Vec<u8>) -> Result<Vec<u8>> {
    let mut without = Module::new();
    for payload in Parser::new(0).parse_all(&module) {
        let payload = payload?;
        if matches!(payload, Payload::TableSection(_) | Payload::ElementSection(_)) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            without.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
        }
    }
    let without = without.finish();
    Ok(if Validator::new().validate_all(&without).is_ok() { without } else { module })
}
