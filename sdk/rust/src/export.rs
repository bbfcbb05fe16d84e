//! What the macros of all kinds share.

/// The host's view of a plugin type.
pub struct Exported<P>(std::marker::PhantomData<P>);

/// Reads a plugin's configuration; an empty text is the default.
pub fn config<C: serde::de::DeserializeOwned + Default>(text: &str) -> Result<C, crate::types::Failure> {
    if text.trim().is_empty() || text.trim() == "{}" {
        return Ok(C::default());
    }
    serde_json::from_str(text).map_err(|error| {
        crate::host::failure(crate::types::FailureCode::Misconfigured, format!("the configuration is not understood: {error}"))
    })
}

/// Exports `about` and one interface of a plugin type; natively nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! export_kind {
    ($plugin:ty, $describe:path, $bindings:ident, $export:ident) => {
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        mod tandem_component {
            use super::*;
            type Component = $crate::export::Exported<$plugin>;
            struct About;
            impl $crate::bindings::about::exports::tandem::plugin::about::Guest for About {
                fn describe() -> $crate::about::Description {
                    $crate::log::tell_panics();
                    <$plugin as $describe>::describe()
                }
            }
            $crate::bindings::about::export_about!(About with_types_in $crate::bindings::about);
            $crate::bindings::$bindings::$export!(Component with_types_in $crate::bindings::$bindings);
        }
    };
}
