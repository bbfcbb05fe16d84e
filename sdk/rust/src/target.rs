//! Deployment targets: places where models are served. Declarative; the host owns the state machine of a rollout.

use crate::{
    about::Description,
    bindings,
    http::{Http, WasiHttp},
    panic::install_hook,
    types::Failure,
};
use std::marker::PhantomData;

use crate::bindings::deployment_target::exports::tandem::plugin::deployment_target::Guest;
pub use crate::bindings::deployment_target::exports::tandem::plugin::deployment_target::{
    Call, Observation, Phase, Revision, RevisionState, TargetAbilities,
};

/// A place where models are served.
pub trait DeploymentTarget: 'static {
    /// What the plugin says of itself. The answer must not vary.
    fn describe() -> Description;

    /// What the target can do.
    fn abilities(call: &Call, http: &dyn Http) -> Result<TargetAbilities, Failure>;

    /// Brings a revision up and answers its id. The same key again gives the same revision and does nothing twice.
    fn apply(call: &Call, revision: &Revision, idempotency_key: &str, http: &dyn Http) -> Result<String, Failure>;

    /// How a service stands.
    fn observe(call: &Call, service: &str, http: &dyn Http) -> Result<Observation, Failure>;

    /// Sets shares in basis points that sum to 10,000, and answers the new generation. `refused` when the generation is no
    /// longer the expected one.
    fn set_traffic(
        call: &Call,
        service: &str,
        shares: &[(String, u32)],
        expected_generation: u64,
        http: &dyn Http,
    ) -> Result<u64, Failure>;

    /// Stops what is under way.
    fn abort(call: &Call, service: &str, http: &dyn Http) -> Result<(), Failure>;

    /// Takes a revision away.
    fn retire(call: &Call, service: &str, revision: &str, http: &dyn Http) -> Result<(), Failure>;
}

/// The component made of a deployment target.
#[doc(hidden)]
pub struct Exported<T>(PhantomData<T>);

impl<T: DeploymentTarget> bindings::about::exports::tandem::plugin::about::Guest for Exported<T> {
    fn describe() -> Description {
        install_hook();
        T::describe()
    }
}

impl<T: DeploymentTarget> Guest for Exported<T> {
    fn abilities(call: Call) -> Result<TargetAbilities, Failure> {
        install_hook();
        T::abilities(&call, &WasiHttp)
    }

    fn apply(call: Call, revision: Revision, idempotency_key: String) -> Result<String, Failure> {
        install_hook();
        T::apply(&call, &revision, &idempotency_key, &WasiHttp)
    }

    fn observe(call: Call, service: String) -> Result<Observation, Failure> {
        install_hook();
        T::observe(&call, &service, &WasiHttp)
    }

    fn set_traffic(
        call: Call,
        service: String,
        shares: Vec<(String, u32)>,
        expected_generation: u64,
    ) -> Result<u64, Failure> {
        install_hook();
        T::set_traffic(&call, &service, &shares, expected_generation, &WasiHttp)
    }

    fn abort(call: Call, service: String) -> Result<(), Failure> {
        install_hook();
        T::abort(&call, &service, &WasiHttp)
    }

    fn retire(call: Call, service: String, revision: String) -> Result<(), Failure> {
        install_hook();
        T::retire(&call, &service, &revision, &WasiHttp)
    }
}

/// Makes a [`DeploymentTarget`](crate::target::DeploymentTarget) the plugin of this crate.
#[macro_export]
macro_rules! deployment_target {
    ($plugin:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "natively it only proves that the trait is implemented")]
            type Exported = $crate::target::Exported<$plugin>;
            const fn is_target<T: $crate::target::DeploymentTarget>() {}
            is_target::<$plugin>();
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::deployment_target::export_deployment_target!(
                Exported with_types_in $crate::bindings::deployment_target
            );
        };
    };
}
