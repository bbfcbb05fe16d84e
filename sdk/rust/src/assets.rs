//! Files that travel beside the plugin, in `<plugin>.assets/`; for detectors and drift metrics.

use crate::types::Failure;

/// An asset whole. A native test has no assets: there the answer is `unsupported`.
pub fn read(name: &str) -> Result<Vec<u8>, Failure> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::tandem::plugin::assets::read(name);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Failure::unsupported(format!("there are no assets outside the sandbox, so {name:?} cannot be read")))
}

/// The names of the assets.
pub fn names() -> Vec<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::tandem::plugin::assets::names();
    #[cfg(not(target_arch = "wasm32"))]
    Vec::new()
}
