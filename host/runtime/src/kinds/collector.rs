//! Collectors: the half that reads and listens.

use crate::{
    convert::{Check, collection},
    outward,
    plugin::{Plugin, Prepared, Slot},
    runtime::Runtime,
};
use std::time::Duration;
use tandem_domain::{
    Failure, Timestamp,
    plugin::PluginKind,
    ports::{BoxFuture, Collection, Collectors, LivePlugin, Payload},
};

/// Time for one collection when the operator gives none: a slow BMC needs seconds for each of its pages.
const COLLECT_DEADLINE: Duration = Duration::from_secs(30);
/// Time for one pushed payload, which needs nothing from outside.
const RECEIVE_DEADLINE: Duration = Duration::from_secs(5);
const COLLECT: &str = "collector.collect";
const RECEIVE: &str = "collector.receive";

fn checked(
    slot: &Slot,
    plugin: &Plugin,
    function: &str,
    said: crate::bindings::collector::exports::tandem::plugin::collector::Collection,
) -> Result<Collection, Failure> {
    collection::collection(Check { plugin: plugin.name(), function }, said).inspect_err(|failure| {
        slot.usage().count_contract_breach();
        slot.note_failure(failure);
    })
}

impl Collectors for Runtime {
    fn collectors(&self) -> Vec<LivePlugin> {
        self.core().listed(PluginKind::Collector)
    }

    fn collect<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        cursor: &'a [u8],
        timeout: Option<Duration>,
    ) -> BoxFuture<'a, Result<Collection, Failure>> {
        Box::pin(async move {
            let core = self.core();
            let (slot, plugin) = outward::at_work(core, plugin)?;
            let Prepared::Collector { collector, .. } = &plugin.prepared else {
                return Err(core.wrong_kind(&plugin, PluginKind::Collector));
            };
            let request = collection::request_out(target, &plugin.config, now, cursor);
            let limit = timeout.unwrap_or(COLLECT_DEADLINE);
            let said = outward::call(core, &slot, &plugin, COLLECT, target, limit, move |store, _| {
                Box::pin(async move {
                    let exports = collector.instantiate_async(&mut *store).await?;
                    exports.tandem_plugin_collector().call_collect(store, &request).await
                })
            });
            checked(&slot, &plugin, COLLECT, said.await?)
        })
    }

    fn receive<'a>(
        &'a self,
        plugin: &'a str,
        payload: Payload,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Collection, Failure>> {
        Box::pin(async move {
            let core = self.core();
            let (slot, plugin) = outward::at_work(core, plugin)?;
            let Prepared::Collector { collector, .. } = &plugin.prepared else {
                return Err(core.wrong_kind(&plugin, PluginKind::Collector));
            };
            let payload = collection::payload_out(payload, &plugin.config, now);
            let said = outward::call(core, &slot, &plugin, RECEIVE, "", RECEIVE_DEADLINE, move |store, _| {
                Box::pin(async move {
                    let exports = collector.instantiate_async(&mut *store).await?;
                    exports.tandem_plugin_collector().call_receive(store, &payload).await
                })
            });
            checked(&slot, &plugin, RECEIVE, said.await?)
        })
    }
}
