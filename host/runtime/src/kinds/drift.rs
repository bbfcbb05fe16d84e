//! Drift metrics: each fit and each comparison in an instance of its own, on workers of their own, because they may compute
//! for half a minute and detectors must not wait for them.

use crate::{
    bindings::drift::DriftView,
    convert::{Check, drift},
    imports::HostState,
    instance::{CallError, Instance},
    plugin::{Plugin, Prepared, Slot},
    runtime::{Core, Runtime},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_domain::{
    Failure,
    drift::{Chunk, ColumnDescription, Drift},
    plugin::PluginKind,
    ports::{BoxFuture, DriftMetrics, LivePlugin},
};

/// Time for all calls of one fit or one comparison together.
const DEADLINE: Duration = Duration::from_secs(30);

/// Largest fitted reference.
const MAX_STATE_BYTES: usize = 64 << 20;

impl DriftMetrics for Runtime {
    fn drift_metrics(&self) -> Vec<LivePlugin> {
        self.core().listed(PluginKind::DriftMetric)
    }

    fn fit<'a>(
        &'a self,
        plugin: &'a str,
        columns: &'a [ColumnDescription],
        reference: Vec<Chunk>,
        seed: u64,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            let core = self.core().clone();
            let slot = core.slot(plugin)?;
            let at_work = slot.admitted(core.now())?;
            let columns = columns.to_vec();
            let run = Run::new(core.clone(), slot, at_work);
            core.on_long_worker(move || run.told(|run| fit(run, &columns, reference, seed))).await?
        })
    }

    fn compare<'a>(
        &'a self,
        plugin: &'a str,
        columns: &'a [ColumnDescription],
        fitted: &'a [u8],
        current: Vec<Chunk>,
        seed: u64,
    ) -> BoxFuture<'a, Result<Vec<Drift>, Failure>> {
        Box::pin(async move {
            let core = self.core().clone();
            let slot = core.slot(plugin)?;
            let at_work = slot.admitted(core.now())?;
            let (columns, fitted) = (columns.to_vec(), fitted.to_vec());
            let run = Run::new(core.clone(), slot, at_work);
            core.on_long_worker(move || run.told(|run| compare(run, &columns, &fitted, current, seed))).await?
        })
    }
}

/// One fit or comparison under way.
struct Run {
    core: Arc<Core>,
    slot: Arc<Slot>,
    plugin: Arc<Plugin>,
}

impl Run {
    fn new(core: Arc<Core>, slot: Arc<Slot>, plugin: Arc<Plugin>) -> Self {
        Self { core, slot, plugin }
    }

    /// Runs it and tells the supervisor how it went.
    fn told<T>(self, run: impl FnOnce(&Run) -> Result<T, CallError>) -> Result<T, Failure> {
        let outcome = run(&self);
        super::told(&self.core, &self.slot, &self.plugin, outcome)
    }

    fn start(&self) -> Result<Instance<DriftView>, CallError> {
        let Prepared::DriftMetric(prepared) = &self.plugin.prepared else {
            return Err(CallError::Answered(self.core.wrong_kind(&self.plugin, PluginKind::DriftMetric)));
        };
        let host = HostState::pure(self.plugin.context.clone());
        Instance::start(&self.core.engine, &self.plugin.identity, host, |store| prepared.instantiate(store))
            .map_err(CallError::Broke)
    }
}

/// What is left of the time for all calls together.
struct Remaining(Instant);

impl Remaining {
    fn time(&self) -> Duration {
        DEADLINE.saturating_sub(self.0.elapsed())
    }
}

fn fit(run: &Run, columns: &[ColumnDescription], chunks: Vec<Chunk>, seed: u64) -> Result<Vec<u8>, CallError> {
    let mut instance = run.start()?;
    let left = Remaining(Instant::now());
    let columns: Vec<_> = columns.iter().map(drift::column_out).collect();
    let config = &run.plugin.config;
    let fitting = instance.call("drift-metric.fit", left.time(), |store, exports| {
        exports.tandem_plugin_drift_metric().call_fit(store, config, &columns, seed)
    })?;
    for chunk in chunks {
        let chunk = drift::chunk_out(chunk);
        instance.call("drift-metric.fitting.feed", left.time(), |store, exports| {
            exports.tandem_plugin_drift_metric().fitting().call_feed(store, fitting, &chunk)
        })?;
    }
    let reference = instance.call("drift-metric.fitting.finish", left.time(), |store, exports| {
        exports.tandem_plugin_drift_metric().fitting().call_finish(store, fitting)
    })?;
    let state = instance.call("drift-metric.reference.snapshot", left.time(), |store, exports| {
        exports.tandem_plugin_drift_metric().reference().call_snapshot(store, reference)
    })?;
    if state.len() > MAX_STATE_BYTES {
        run.slot.usage().count_contract_breach();
        let check = Check { plugin: run.plugin.name(), function: "drift-metric.reference.snapshot" };
        return Err(CallError::Answered(
            check.breach("state", format_args!("has {} bytes, at most {MAX_STATE_BYTES} are kept", state.len())),
        ));
    }
    Ok(state)
}

fn compare(
    run: &Run,
    columns: &[ColumnDescription],
    fitted: &[u8],
    chunks: Vec<Chunk>,
    seed: u64,
) -> Result<Vec<Drift>, CallError> {
    const FINISH: &str = "drift-metric.comparison.finish";
    let mut instance = run.start()?;
    let left = Remaining(Instant::now());
    let described: Vec<_> = columns.iter().map(drift::column_out).collect();
    let config = &run.plugin.config;
    let reference = instance.call("drift-metric.restore", left.time(), |store, exports| {
        exports.tandem_plugin_drift_metric().call_restore(store, config, &described, fitted)
    })?;
    let comparison = instance.call("drift-metric.reference.compare", left.time(), |store, exports| {
        exports.tandem_plugin_drift_metric().reference().call_compare(store, reference, seed)
    })?;
    for chunk in chunks {
        let chunk = drift::chunk_out(chunk);
        instance.call("drift-metric.comparison.feed", left.time(), |store, exports| {
            exports.tandem_plugin_drift_metric().comparison().call_feed(store, comparison, &chunk)
        })?;
    }
    let said = instance.call(FINISH, left.time(), |store, exports| {
        exports.tandem_plugin_drift_metric().comparison().call_finish(store, comparison)
    })?;
    drift::drifts(Check { plugin: run.plugin.name(), function: FINISH }, said, columns.len()).map_err(|failure| {
        run.slot.usage().count_contract_breach();
        CallError::Answered(failure)
    })
}
