//! Guards for tests.

/// The guard of `guest/examples/legal-hold`.
pub const LEGAL_HOLD: &[u8] = include_bytes!("../../guest/examples/legal-hold/component/legal-hold.wasm");
