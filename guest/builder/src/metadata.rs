//! The standard metadata of a component, which tools such as `wasm-tools metadata show` and registries read.

use crate::package::Package;
use anyhow::{Context, Result};
use wasm_metadata::{AddMetadata, AddMetadataField, Description, Licenses, Source, Version};

/// Adds name, version, license, source and description of the crate, as far as its manifest has them.
pub(crate) fn add(component: &[u8], package: &Package) -> Result<Vec<u8>> {
    fn field<T: std::fmt::Debug + Clone>(
        key: &str,
        value: Option<&str>,
        parse: fn(&str) -> Result<T>,
    ) -> Result<AddMetadataField<T>> {
        let Some(value) = value else { return Ok(AddMetadataField::Keep) };
        let parsed = parse(value).with_context(|| format!("invalid {key} \"{value}\" in Cargo.toml"))?;
        Ok(AddMetadataField::Set(parsed))
    }
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(package.name().to_owned());
    metadata.version = field("version", Some(package.version()), |text| Ok(Version::new(text.to_owned())))?;
    metadata.licenses = field("license", package.license(), Licenses::new)?;
    metadata.source = field("repository", package.repository(), Source::new)?;
    metadata.description = field("description", package.description(), |text| Ok(Description::new(text.to_owned())))?;
    metadata.to_wasm(component)
}
