//! From a core module to a component, with its name and version inside.

use anyhow::{Context, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

/// What a component says of itself in its metadata, beside what its `about` answers.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The plugin's name.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One sentence for people.
    pub description: Option<String>,
}

/// Makes a validated component of a core module that carries the description of its world.
pub fn encode(module: &[u8], identity: &Identity) -> anyhow::Result<Vec<u8>> {
    let name = &identity.name;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .with_context(|| {
            format!(
                "{name} is no plugin: it must export one of Tandem's kinds, for instance with tandem_sdk::detector!(…)"
            )
        })?;
    let mut metadata = wasm_metadata::AddMetadata::default();
    metadata.name = wasm_metadata::AddMetadataField::Set(name.clone());
    let version = identity.version.parse().with_context(|| format!("{:?} is no version", identity.version))?;
    metadata.version = wasm_metadata::AddMetadataField::Set(version);
    if let Some(description) = &identity.description {
        let description = description.parse().with_context(|| format!("{description:?} is no description"))?;
        metadata.description = wasm_metadata::AddMetadataField::Set(description);
    }
    metadata.to_wasm(&component).with_context(|| format!("the metadata of {name} cannot be written"))
}

/// The interfaces that a component imports, except those that hold types only.
pub fn imports(component: &[u8]) -> anyhow::Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("this is no component but an interface package");
    };
    let has_functions = |item: &wit_parser::WorldItem| match item {
        wit_parser::WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
        _ => true,
    };
    let imports = resolve.worlds[world].imports.iter().filter(|(_, item)| has_functions(item));
    Ok(imports.map(|(key, _)| resolve.name_world_key(key)).collect())
}
