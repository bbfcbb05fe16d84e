//! Collectors: they give series their meaning, and fetch what no metrics endpoint gives.

use crate::{
    about::Description,
    bindings,
    host::Outside,
    mapper::{Mapping, Target},
    panic::install_hook,
    types::{Failure, Series},
};
use std::marker::PhantomData;

pub use crate::bindings::collector::exports::tandem::plugin::collector::{CollectRequest, Collection, Payload};
pub use crate::host::{Files, FilesystemSpace, Host, Http, HttpRequest, HttpResponse};

/// A collector; only what is overridden does anything.
pub trait Collector: 'static {
    /// What the plugin says of itself. The answer must not vary.
    fn describe() -> Description;

    /// The meaning of all series of one target that the selectors fit. Pure.
    fn interpret(target: &Target, series: &[Series]) -> Result<Mapping, Failure>;

    /// Fetches; the cursor of the answer is given to the next call.
    fn collect(request: CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        let _ = (request, host);
        Err(Failure::unsupported("this plugin collects nothing; it only gives series their meaning"))
    }

    /// Takes a payload that was pushed to `/hooks/{plugin}`.
    fn receive(payload: Payload) -> Result<Collection, Failure> {
        let _ = payload;
        Err(Failure::unsupported("this plugin takes no pushed payloads"))
    }
}

/// The component made of a collector, and whether it imports files and HTTP.
#[doc(hidden)]
pub struct Exported<C, const FILES: bool, const HTTP: bool>(PhantomData<C>);

impl<C: Collector, const FILES: bool, const HTTP: bool> bindings::about::exports::tandem::plugin::about::Guest
    for Exported<C, FILES, HTTP>
{
    fn describe() -> Description {
        install_hook();
        C::describe()
    }
}

impl<C: Collector, const FILES: bool, const HTTP: bool> bindings::collector::exports::tandem::plugin::mapper::Guest
    for Exported<C, FILES, HTTP>
{
    fn interpret(target: Target, series: Vec<Series>) -> Result<Mapping, Failure> {
        install_hook();
        C::interpret(&target, &series)
    }
}

impl<C: Collector, const FILES: bool, const HTTP: bool> bindings::collector::exports::tandem::plugin::collector::Guest
    for Exported<C, FILES, HTTP>
{
    fn collect(request: CollectRequest) -> Result<Collection, Failure> {
        install_hook();
        C::collect(request, &Outside::<FILES, HTTP>)
    }

    fn receive(payload: Payload) -> Result<Collection, Failure> {
        install_hook();
        C::receive(payload)
    }
}

/// Makes a [`Collector`](crate::collector::Collector) the plugin of this crate. `collector!(Mine)` may read files and send HTTP
/// requests; `collector!(Mine, files)`, `collector!(Mine, http)` and `collector!(Mine, nothing)` leave the other imports out
/// of the component, which tells the operator most plainly what it cannot do.
#[macro_export]
macro_rules! collector {
    ($plugin:ident) => {
        $crate::collector!(@export $plugin, true, true);
    };
    ($plugin:ident, files, http) => {
        $crate::collector!(@export $plugin, true, true);
    };
    ($plugin:ident, files) => {
        $crate::collector!(@export $plugin, true, false);
    };
    ($plugin:ident, http) => {
        $crate::collector!(@export $plugin, false, true);
    };
    ($plugin:ident, nothing) => {
        $crate::collector!(@export $plugin, false, false);
    };
    (@export $plugin:ident, $files:literal, $http:literal) => {
        const _: () = {
            #[allow(dead_code, reason = "natively it only proves that the trait is implemented")]
            type Exported = $crate::collector::Exported<$plugin, $files, $http>;
            const fn is_collector<T: $crate::collector::Collector>() {}
            is_collector::<$plugin>();
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::collector::export_collector!(Exported with_types_in $crate::bindings::collector);
        };
    };
}
