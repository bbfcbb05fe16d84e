//! Files that travel beside the plugin.

use crate::types::Failure;

/// The bytes of an asset.
///
/// # Errors
/// When there is no such asset. Natively there are none.
pub fn read(name: &str) -> Result<Vec<u8>, Failure> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::tandem::plugin::assets::read(name);
    #[cfg(not(target_arch = "wasm32"))]
    Err(crate::host::failure(crate::types::FailureCode::Misconfigured, format!("there is no asset {name}")))
}

/// The names of all assets.
pub fn names() -> Vec<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::tandem::plugin::assets::names();
    #[cfg(not(target_arch = "wasm32"))]
    Vec::new()
}
