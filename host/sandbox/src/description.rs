//! What can be seen of a component without compiling it.

use crate::error::LoadError;
use crate::limits::Limits;
use crate::wasi;
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Instance, Parser, Payload, TypeBounds};

/// The first bytes of a core module: magic number, version 1, layer 0. A component has layer 1.
const CORE_MODULE_HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// The export of a policy.
const POLICY_EXPORT: &str = "delete-learning";

/// The export of a guard.
pub(crate) const GUARD_EXPORT: &str = "learnings:plugin/storage@0.1.0";

/// A world of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// A policy, which decides.
    Policy,
    /// A guard, which retains records.
    Guard,
}

impl World {
    /// The name of the world in the contract (`wit/world.wit`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Guard => "guard",
        }
    }
}

/// The names that a component imports and exports, and its number of core instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its imports, in its order.
    pub imports: Vec<String>,
    /// Its exports, in its order.
    pub exports: Vec<String>,
    /// The number of core instances that it creates itself. Those of components inside it are not counted.
    pub core_instances: u32,
}

impl Description {
    /// The world that the component implements as far as its exports show; `None` if it is neither.
    #[must_use]
    pub fn world(&self) -> Option<World> {
        self.exports.iter().find_map(|export| match export.as_str() {
            POLICY_EXPORT => Some(World::Policy),
            GUARD_EXPORT => Some(World::Guard),
            _ => None,
        })
    }

    /// The imports that need a grant: the interfaces of WASI.
    #[must_use]
    pub fn grants_needed(&self) -> Vec<String> {
        self.imports.iter().filter(|import| wasi::is_wasi(import)).cloned().collect()
    }
}

/// Describes a component without compiling it, whether or not it implements the contract.
///
/// # Errors
/// [`LoadError::TooLarge`], [`LoadError::CoreModule`] or [`LoadError::Invalid`].
pub fn describe(bytes: &[u8], limits: &Limits) -> Result<Description, LoadError> {
    if bytes.len() > limits.max_component_bytes {
        return Err(LoadError::TooLarge { bytes: bytes.len() as u64, max: limits.max_component_bytes });
    }
    if bytes.starts_with(CORE_MODULE_HEADER) {
        return Err(LoadError::CoreModule);
    }
    read(bytes).map_err(|error| LoadError::Invalid(error.into()))
}

fn read(bytes: &[u8]) -> wasmparser::Result<Description> {
    let mut description = Description::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let import = import?;
                    // The name of a type, not something that the host supplies.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        description.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let export = export?;
                    if export.kind != ComponentExternalKind::Type {
                        description.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::InstanceSection(instances) if depth == 0 => {
                for instance in instances {
                    description.core_instances += u32::from(matches!(instance?, Instance::Instantiate { .. }));
                }
            }
            _ => {}
        }
    }
    Ok(description)
}

#[cfg(test)]
mod tests {
    use super::{LoadError, describe};
    use crate::{DEFAULT_POLICY, Limits};

    #[test]
    fn component_is_described_up_to_the_limit() {
        let describe = |max| describe(DEFAULT_POLICY, &Limits::default().max_component_bytes(max));
        let description = describe(DEFAULT_POLICY.len()).expect("a description");
        assert!(description.imports.iter().all(|import| import.starts_with("learnings:plugin/")), "{description:?}");
        assert!(describe(DEFAULT_POLICY.len() + 1).is_ok());
        for max in [DEFAULT_POLICY.len() - 1, 1] {
            assert!(matches!(describe(max), Err(LoadError::TooLarge { .. })), "{max}");
        }
    }
}
