//! A panic's message goes to the host's log before the trap, so that the operator reads why and not only `unreachable`.

/// Called first by every function through which a fresh instance can be entered.
#[cfg(target_arch = "wasm32")]
pub(crate) fn install_hook() {
    use std::sync::Once;
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let message = info.payload_as_str().unwrap_or("a panic without a message");
            match info.location() {
                Some(place) => {
                    crate::log::error(&format!("panicked at {}:{}: {message}", place.file(), place.line()));
                }
                None => crate::log::error(&format!("panicked: {message}")),
            }
        }));
    });
}

/// Natively the test harness has its own hook.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn install_hook() {}
