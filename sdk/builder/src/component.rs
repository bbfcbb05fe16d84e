//! From a core module to a component, with the package's name and version inside.

use crate::inputs::Package;
use anyhow::Context;
use wit_component::ComponentEncoder;

/// Makes a validated component.
pub(crate) fn encode(module: &[u8], package: &Package) -> anyhow::Result<Vec<u8>> {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| {
            format!("{} is no plugin: it must export one of Tandem's kinds, for instance with tandem_sdk::detector!(…)", package.name)
        })?;
    let mut metadata = wasm_metadata::AddMetadata::default();
    metadata.name = wasm_metadata::AddMetadataField::Set(package.name.clone());
    let version = package.version.parse().with_context(|| format!("the version {:?} is not one", package.version))?;
    metadata.version = wasm_metadata::AddMetadataField::Set(version);
    metadata.to_wasm(&component).with_context(|| format!("the metadata of {} cannot be written", package.name))
}
