//! Leaves out a table that no instruction uses.
//!
//! The linker makes one as soon as the address of a function is taken anywhere, also where only its keeping alive is
//! meant. Every instance would be given that table and have it taken away again.

use anyhow::Result;
use wasm_encoder::{Module, RawSection};
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

/// The module without its tables and what is in them, or as it is where something uses, imports or exports one.
pub(crate) fn without_unused(module: &[u8]) -> Result<Vec<u8>> {
    let mut without = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if uses_tables(&payload)? {
            return Ok(module.to_vec());
        }
        match &payload {
            Payload::TableSection(_) | Payload::ElementSection(_) => {}
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let data = module.get(range).unwrap_or_default();
                    without.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(without.finish())
}

fn uses_tables(payload: &Payload<'_>) -> Result<bool> {
    match payload {
        Payload::ImportSection(imports) => {
            for import in imports.clone().into_imports() {
                if matches!(import?.ty, TypeRef::Table(_)) {
                    return Ok(true);
                }
            }
        }
        Payload::ExportSection(exports) => {
            for export in exports.clone() {
                if export?.kind == ExternalKind::Table {
                    return Ok(true);
                }
            }
        }
        Payload::CodeSectionEntry(body) => {
            for operator in body.get_operators_reader()? {
                if is_of_tables(&operator?) {
                    return Ok(true);
                }
            }
        }
        _ => {}
    }
    Ok(false)
}

/// Also what names a function that only an element segment declares.
fn is_of_tables(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::CallIndirect { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::RefFunc { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableSize { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
    )
}
