//! Deployment targets: every call is told the target and held to its grant.

use crate::{
    convert::{Check, serving},
    outward,
    plugin::Prepared,
    runtime::Runtime,
};
use std::time::Duration;
use tandem_domain::{
    Failure, Timestamp,
    deployment::{Revision, TargetAbilities, TargetObservation},
    plugin::PluginKind,
    ports::{BoxFuture, DeploymentTargets, LivePlugin},
};

/// Time for one call; loading a model is asked for and observed, not waited for.
const DEADLINE: Duration = Duration::from_secs(30);

/// One call: the plugin at work, a fresh instance, the generated function.
macro_rules! call {
    ($self:ident, $plugin:ident, $target:ident, $now:ident, $function:literal, $call:ident ( $($argument:expr),* ), $check:expr) => {{
        let core = $self.core();
        let (slot, plugin) = outward::at_work(core, $plugin)?;
        let Prepared::DeploymentTarget(target) = &plugin.prepared else {
            return Err(core.wrong_kind(&plugin, PluginKind::DeploymentTarget));
        };
        let call = serving::call_out($target, &plugin.config, $now);
        let said = outward::call(core, &slot, &plugin, $function, $target, DEADLINE, move |store, _| {
            Box::pin(async move {
                let exports = target.instantiate_async(&mut *store).await?;
                exports.tandem_plugin_deployment_target().$call(store, &call, $($argument),*).await
            })
        })
        .await?;
        let check = Check { plugin: plugin.name(), function: $function };
        $check(check, said).inspect_err(|failure: &Failure| {
            slot.usage().count_contract_breach();
            slot.note_failure(failure);
        })
    }};
}

fn as_said<T>(_: Check<'_>, said: T) -> Result<T, Failure> {
    Ok(said)
}

fn named(check: Check<'_>, said: String) -> Result<String, Failure> {
    check.name("revision", said)
}

impl DeploymentTargets for Runtime {
    fn deployment_targets(&self) -> Vec<LivePlugin> {
        self.core().listed(PluginKind::DeploymentTarget)
    }

    fn abilities<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<TargetAbilities, Failure>> {
        Box::pin(async move {
            call!(self, plugin, target, now, "deployment-target.abilities", call_abilities(), serving::abilities)
        })
    }

    fn apply<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        revision: &'a Revision,
        idempotency_key: &'a str,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let revision = serving::revision_out(revision);
            call!(self, plugin, target, now, "deployment-target.apply", call_apply(&revision, idempotency_key), named)
        })
    }

    fn observe<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
    ) -> BoxFuture<'a, Result<TargetObservation, Failure>> {
        Box::pin(async move {
            call!(self, plugin, target, now, "deployment-target.observe", call_observe(service), serving::observation)
        })
    }

    fn set_traffic<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
        shares: &'a [(String, u32)],
        expected_generation: u64,
    ) -> BoxFuture<'a, Result<u64, Failure>> {
        Box::pin(async move {
            call!(
                self,
                plugin,
                target,
                now,
                "deployment-target.set-traffic",
                call_set_traffic(service, shares, expected_generation),
                as_said
            )
        })
    }

    fn abort<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(
            async move { call!(self, plugin, target, now, "deployment-target.abort", call_abort(service), as_said) },
        )
    }

    fn retire<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
        revision_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            call!(self, plugin, target, now, "deployment-target.retire", call_retire(service, revision_id), as_said)
        })
    }
}
